/* Packets over the air to the simulated card by ENVELOPE: sealed by the library's side with fields of any
 * value, and made of any bytes; the answers go back through the library. */
#include <string.h>

#include <keyfill/ota.h>

#include "memory_card.h"
#include "softcard/card.h"

#define STEPS_MAX 16

static kf_ota_keys keys_of(uint8_t choice)
{
    return (kf_ota_keys){.kic = fuzz_key(MEMORY_CARD_KIC, 16),
                         .kid = fuzz_key((choice & 4) != 0 ? MEMORY_CARD_KIC : MEMORY_CARD_KID, 16),
                         .implicit = KF_OTA_AES};
}

/* KF_OK with the answer of the last message. */
static kf_code send_packet(memory_card *card, kf_view packet, kf_buffer *response)
{
    KF_CLEANUP(kf_command_list_clear) kf_command_list messages = {0};
    const kf_ota_message message = {.originator = "8613800000001", .reference = 1};
    KF_TRY(kf_ota_messages(&message, packet, &messages));
    for (size_t i = 0; i < messages.count; i++) {
        FUZZ_BUFFER(envelope);
        KF_TRY(kf_ota_envelope("8613800000000", kf_buffer_view(&messages.items[i]), &envelope));
        kf_buffer_truncate(response, 0);
        (void)memory_card_send(card, kf_buffer_view(&envelope), response);
    }
    return KF_OK;
}

static void read_receipt(const kf_buffer *response, const kf_ota_header *header, const kf_ota_keys *keys)
{
    kf_response parsed;
    kf_ota_response receipt, untouched;
    FUZZ_BUFFER(data);
    if (kf_response_parse(kf_buffer_view(response), &parsed) != KF_OK) return;
    memset(&receipt, 0xA5, sizeof receipt);
    memset(&untouched, 0xA5, sizeof untouched);
    FUZZ_COPY(copy, parsed.data);
    kf_code code = kf_ota_response_decode(copy.view, header, keys, &receipt, &data);
    if (code != KF_OK) FUZZ_WANT(data.size == 0 && memcmp(&receipt, &untouched, sizeof receipt) == 0);
}

static void send_sealed(memory_card *card, fuzz_input *input)
{
    static const uint8_t algorithms[] = {0x32, 0x35, 0x30, 0x31, 0x39, 0x12};
    uint8_t spi[2];
    kf_ota_command command = {.prefix = kf_view_of(NULL, 0)};
    fuzz_fill(input, spi, sizeof spi);
    if (kf_ota_security_decode(spi, &command.header.security) != KF_OK) return;
    uint8_t choice = fuzz_u8(input);
    uint8_t algorithm = fuzz_u8(input);
    command.header.kic = algorithms[algorithm % sizeof algorithms];
    command.header.kid = algorithms[algorithm / 16 % sizeof algorithms];
    if (command.header.security.check == KF_OTA_REDUNDANCY)
        command.header.kid = (choice & 8) != 0 ? KF_OTA_CRC16 : KF_OTA_CRC32;
    static const uint8_t targets[][KF_OTA_TAR_SIZE] = {
        {0, 0, 0}, {0xB0, 0, 0}, {0xB0, 0, 1}, {0xB0, 0, 0x11}};
    memcpy(command.header.tar, targets[choice & 3], KF_OTA_TAR_SIZE);
    command.header.counter = fuzz_u8(input);
    uint8_t spoil = fuzz_u8(input);
    command.data = fuzz_part16(input);
    kf_ota_keys keys = keys_of(choice);
    FUZZ_BUFFER(packet);
    FUZZ_BUFFER(response);
    if (kf_ota_command_encode(&command, &keys, &packet) != KF_OK) {
        FUZZ_WANT(packet.size == 0);
        return;
    }
    if (spoil != 0) packet.data[spoil % packet.size] ^= spoil;
    if (send_packet(card, kf_buffer_view(&packet), &response) == KF_OK)
        read_receipt(&response, &command.header, &keys);
}

/* What the packet's reader says, without the way through short messages. */
static void open_packet(memory_card *card, kf_view bytes)
{
    softcard_remote_packet packet;
    softcard_remote_status status;
    memset(&packet, 0, sizeof packet);
    FUZZ_COPY(copy, bytes);
    (void)!softcard_remote_open(card->card->state, copy.view, &packet, &status);
    softcard_remote_packet_clear(&packet);
}

static void step(memory_card *card, fuzz_input *input)
{
    FUZZ_BUFFER(response);
    FUZZ_BUFFER(envelope);
    switch (fuzz_u8(input) % 4) {
    case 0:
        if (send_packet(card, fuzz_part16(input), &response) == KF_OK) FUZZ_WANT(response.size >= 2);
        return;
    case 1: open_packet(card, fuzz_part16(input)); return;
    case 2:
        if (kf_ota_envelope("8613800000000", fuzz_part16(input), &envelope) == KF_OK)
            (void)memory_card_send(card, kf_buffer_view(&envelope), &response);
        return;
    default: send_sealed(card, input); return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = fuzz_input_of(data, size);
    memory_card card;
    /* The kinds with keys for it: AES and 3DES. */
    memory_card_open(&card, (fuzz_u8(&input) & 1) != 0 ? 4 : 0);
    for (unsigned i = 0; i < STEPS_MAX && !fuzz_input_ends(&input); i++)
        step(&card, &input);
    memory_card_close(&card);
    return 0;
}
