/* Packets over the air at the library's side: any bytes as command and response packets, and command packets
 * of any fields that are sealed and opened again. */
#include <keyfill/ota.h>

#include <string.h>

#include "fuzz.h"

static kf_ota_keys keys_of(uint8_t choice)
{
    static const kf_ota_algorithm algorithms[] = {KF_OTA_AES, KF_OTA_TDES_TWO, KF_OTA_DES_CBC,
                                                  KF_OTA_TDES_THREE};
    static const size_t sizes[] = {16, 16, 8, 24};
    return (kf_ota_keys){.kic = fuzz_key(0x30, sizes[choice & 3]),
                         .kid = fuzz_key(0x50, sizes[choice & 3]),
                         .implicit = algorithms[choice & 3],
                         .check_size = (choice & 4) != 0 ? 4 : 0};
}

static void take_header(fuzz_input *input, kf_ota_header *header, bool *good)
{
    uint8_t spi[2];
    fuzz_fill(input, spi, sizeof spi);
    *good = kf_ota_security_decode(spi, &header->security) == KF_OK;
    header->kic = fuzz_u8(input);
    header->kid = fuzz_u8(input);
    fuzz_fill(input, header->tar, sizeof header->tar);
    header->counter = (uint64_t)fuzz_u16(input) << 24 | fuzz_u8(input);
}

static void want_same_again(const kf_ota_command *command, const kf_ota_keys *keys)
{
    FUZZ_BUFFER(packet);
    FUZZ_BUFFER(data);
    kf_ota_header header;
    if (kf_ota_command_encode(command, keys, &packet) != KF_OK) {
        FUZZ_WANT(packet.size == 0);
        return;
    }
    FUZZ_COPY(copy, kf_buffer_view(&packet));
    FUZZ_WANT(kf_ota_command_decode(copy.view, keys, &header, &data) == KF_OK);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&data), command->data));
    FUZZ_WANT(header.kic == command->header.kic && header.kid == command->header.kid);
    FUZZ_WANT(memcmp(header.tar, command->header.tar, sizeof header.tar) == 0);
    FUZZ_WANT(header.counter == command->header.counter);
}

static void read_command(kf_view bytes, const kf_ota_keys *keys)
{
    kf_ota_header header, untouched;
    FUZZ_BUFFER(data);
    memset(&header, 0xA5, sizeof header);
    memset(&untouched, 0xA5, sizeof untouched);
    FUZZ_COPY(copy, bytes);
    if (kf_ota_command_decode(copy.view, keys, &header, &data) != KF_OK)
        FUZZ_WANT(data.size == 0 && memcmp(&header, &untouched, sizeof header) == 0);
    else
        FUZZ_WANT(data.size <= bytes.size);
}

static void read_response(kf_view bytes, const kf_ota_header *header, const kf_ota_keys *keys)
{
    kf_ota_response response, untouched;
    FUZZ_BUFFER(data);
    memset(&response, 0xA5, sizeof response);
    memset(&untouched, 0xA5, sizeof untouched);
    FUZZ_COPY(copy, bytes);
    if (kf_ota_response_decode(copy.view, header, keys, &response, &data) != KF_OK)
        FUZZ_WANT(data.size == 0 && memcmp(&response, &untouched, sizeof response) == 0);
    else
        FUZZ_WANT(data.size <= bytes.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = fuzz_input_of(data, size);
    uint8_t choice = fuzz_u8(&input);
    kf_ota_keys keys = keys_of(choice);
    kf_ota_command command = {.prefix = kf_view_of(NULL, 0)};
    bool good;
    take_header(&input, &command.header, &good);
    command.data = fuzz_rest(&input);
    if (good) want_same_again(&command, &keys);
    read_command(command.data, &keys);
    if (good) read_response(command.data, &command.header, &keys);
    return 0;
}
