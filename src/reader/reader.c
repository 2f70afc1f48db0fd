#include "reader/reader.h"

#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "reader/deadline.h"

#define COMMAND_HEADER_SIZE 4  /* CLA INS P1 P2 */
#define COMMAND_WITH_LE_SIZE 5 /* case 2: the header and Le */
#define EXCHANGES_MAX 16       /* for one command: the command itself, GET RESPONSE, repetitions with Le */
#define DATA_MAX (KF_READER_RESPONSE_MAX - 2)

#define PCSC_SCHEME "pcsc:"
#define SOCKET_SCHEME "socket:"

struct kf_reader {
    const kf_reader_driver *driver;
    void *state;
    bool connected;
    bool removed;   /* the card that was connected is gone */
    bool timed_out; /* the driver may still be busy with an old call */
};

kf_code kf_reader_new(const kf_reader_driver *driver, void *state, kf_reader **ret_reader)
{
    kf_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        driver->close(state);
        return KF_ERR_MEMORY;
    }
    reader->driver = driver;
    reader->state = state;
    *ret_reader = reader;
    return KF_OK;
}

kf_code kf_reader_open(const char *uri, kf_reader **ret_reader, kf_error *error)
{
    if (strncmp(uri, PCSC_SCHEME, strlen(PCSC_SCHEME)) == 0)
        return kf_reader_open_pcsc(uri + strlen(PCSC_SCHEME), ret_reader, error);
    if (strncmp(uri, SOCKET_SCHEME, strlen(SOCKET_SCHEME)) == 0)
        return kf_reader_open_socket(uri + strlen(SOCKET_SCHEME), ret_reader, error);
    return kf_fail(error, KF_ERR_CONFIGURATION,
                   "reader '%.100s': not a reader's address; write pcsc:, pcsc:NAME or socket:PATH", uri);
}

void kf_reader_close(kf_reader **reader)
{
    if (*reader == NULL) return;
    kf_reader_disconnect(*reader, KF_CARD_UNPOWER);
    (*reader)->driver->close((*reader)->state);
    free(*reader);
    *reader = NULL;
}

const char *kf_reader_name(const kf_reader *reader)
{
    return reader->driver->name(reader->state);
}

bool kf_reader_is_connected(const kf_reader *reader)
{
    return reader->connected;
}

static kf_code check_usable(const kf_reader *reader, kf_error *error)
{
    if (!reader->timed_out) return KF_OK;
    return kf_fail(error, KF_ERR_READER,
                   "reader %s: an earlier call is still under way; open the reader anew",
                   kf_reader_name(reader));
}

/* What a failed call of the driver means for the reader as a whole. */
static kf_code note_failure(kf_reader *reader, kf_code code)
{
    if (code == KF_ERR_CARD_REMOVED) reader->removed = true;
    if (code == KF_ERR_READER_TIMEOUT) reader->timed_out = true;
    if (code == KF_ERR_CARD_REMOVED || code == KF_ERR_READER_TIMEOUT) reader->connected = false;
    return code;
}

kf_code kf_reader_wait_present(kf_reader *reader, unsigned timeout, kf_error *error)
{
    KF_TRY(check_usable(reader, error));
    kf_code code = reader->driver->wait(reader->state, true, timeout, error);
    return code == KF_ERR_READER_TIMEOUT ? note_failure(reader, code) : code;
}

kf_code kf_reader_wait_absent(kf_reader *reader, unsigned timeout, kf_error *error)
{
    KF_TRY(check_usable(reader, error));
    KF_TRY(reader->driver->wait(reader->state, false, timeout, error));
    reader->removed = reader->removed || reader->connected;
    reader->connected = false;
    return KF_OK;
}

kf_code kf_reader_connect(kf_reader *reader, unsigned timeout, kf_answer_to_reset *ret_atr, kf_error *error)
{
    KF_TRY(check_usable(reader, error));
    kf_reader_disconnect(reader, KF_CARD_RESET);
    kf_answer_to_reset atr = {.size = 0};
    kf_code code = reader->driver->connect(reader->state, timeout, &atr, error);
    if (code != KF_OK) return note_failure(reader, code);
    reader->connected = true;
    reader->removed = false;
    *ret_atr = atr;
    return KF_OK;
}

void kf_reader_disconnect(kf_reader *reader, kf_disconnection ending)
{
    if (reader->connected && !reader->timed_out) reader->driver->disconnect(reader->state, ending);
    reader->connected = false;
}

uint16_t kf_card_response_status_word(const kf_card_response *response)
{
    if (response->size < 2) return 0;
    return (uint16_t)(response->bytes[response->size - 2] << 8 | response->bytes[response->size - 1]);
}

kf_view kf_card_response_data(const kf_card_response *response)
{
    return kf_view_of(response->bytes, response->size < 2 ? 0 : response->size - 2);
}

static kf_code exchange(kf_reader *reader, kf_view command, kf_deadline deadline,
                        kf_card_response *ret_response, kf_error *error)
{
    kf_card_response response = {.size = 0};
    kf_code code =
        reader->driver->transmit(reader->state, command, kf_deadline_left(deadline), &response, error);
    if (code != KF_OK) return note_failure(reader, code);
    if (response.size < 2)
        return kf_fail(error, KF_ERR_APDU, "the card's answer is shorter than a status word (%zu of 2 bytes)",
                       response.size);
    *ret_response = response;
    return KF_OK;
}

/* ISO/IEC 7816-3 §12.2: case 1 gets P3 = 00; case 4 loses its Le, the card offers its data by 61xx. */
static size_t map_to_t0(uint8_t *command, size_t size)
{
    if (size == COMMAND_HEADER_SIZE) {
        command[COMMAND_HEADER_SIZE] = 0x00;
        return size + 1;
    }
    bool has_data = size > COMMAND_WITH_LE_SIZE;
    if (has_data && size == COMMAND_WITH_LE_SIZE + (size_t)command[COMMAND_HEADER_SIZE] + 1) return size - 1;
    return size;
}

/* GET RESPONSE on the command's logical channel (ISO/IEC 7816-4 §5.4.1). The class of GSM cards, A0, keeps
 * its own. */
static size_t make_get_response(uint8_t class_byte, uint8_t available, uint8_t *ret_command)
{
    uint8_t further_channel = (class_byte & 0x40) != 0 ? (uint8_t)(0x40 | (class_byte & 0x0F)) : 0;
    uint8_t basic_channel = class_byte & 0x03;
    uint8_t response_class = further_channel != 0 ? further_channel : basic_channel;
    const uint8_t command[] = {class_byte == 0xA0 ? class_byte : response_class, 0xC0, 0x00, 0x00, available};
    memcpy(ret_command, command, sizeof command);
    return sizeof command;
}

/* Appends the data of `part` and takes its status word. */
static kf_code gather(kf_card_response *whole, const kf_card_response *part, kf_error *error)
{
    size_t data_before = whole->size < 2 ? 0 : whole->size - 2;
    if (data_before + part->size > KF_READER_RESPONSE_MAX)
        return kf_fail(error, KF_ERR_APDU, "the card's response is longer than the %d bytes of a short APDU",
                       DATA_MAX);
    memcpy(whole->bytes + data_before, part->bytes, part->size);
    whole->size = data_before + part->size;
    return KF_OK;
}

static kf_code exchange_all(kf_reader *reader, uint8_t *tpdu, size_t size, kf_deadline deadline,
                            kf_card_response *ret_response, kf_error *error)
{
    const uint8_t class_byte = tpdu[0];
    kf_card_response whole = {.size = 0};
    for (size_t i = 0; i < EXCHANGES_MAX; i++) {
        kf_card_response part;
        KF_TRY(exchange(reader, kf_view_of(tpdu, size), deadline, &part, error));
        KF_TRY(gather(&whole, &part, error));
        uint16_t status_word = kf_card_response_status_word(&part);
        uint8_t count = (uint8_t)(status_word & 0xFF);
        if (status_word >> 8 == 0x61) {
            size = make_get_response(class_byte, count, tpdu);
        } else if (status_word >> 8 == 0x6C && size == COMMAND_WITH_LE_SIZE) {
            tpdu[COMMAND_HEADER_SIZE] = count;
        } else {
            *ret_response = whole;
            return KF_OK;
        }
    }
    return kf_fail(error, KF_ERR_APDU, "the card still offers data after %d exchanges for one command",
                   EXCHANGES_MAX);
}

kf_code kf_reader_transmit(kf_reader *reader, kf_view command, unsigned timeout,
                           kf_card_response *ret_response, kf_error *error)
{
    KF_TRY(check_usable(reader, error));
    if (command.size < COMMAND_HEADER_SIZE || command.size > KF_READER_COMMAND_MAX)
        return kf_fail(error, KF_ERR_APDU, "a command of %zu bytes cannot be sent: short APDUs have %d to %d",
                       command.size, COMMAND_HEADER_SIZE, KF_READER_COMMAND_MAX);
    if (!reader->connected && reader->removed)
        return kf_fail(error, KF_ERR_CARD_REMOVED, "reader %s: the card was removed; insert it again",
                       kf_reader_name(reader));
    if (!reader->connected)
        return kf_fail(error, KF_ERR_NO_CARD, "reader %s: no card is connected", kf_reader_name(reader));

    uint8_t tpdu[KF_READER_COMMAND_MAX];
    memcpy(tpdu, command.data, command.size);
    size_t size = reader->driver->is_t0(reader->state) ? map_to_t0(tpdu, command.size) : command.size;
    kf_code code = exchange_all(reader, tpdu, size, kf_deadline_in(timeout), ret_response, error);
    /* A command may carry a PIN. */
    kf_wipe(tpdu, sizeof tpdu);
    return code;
}
