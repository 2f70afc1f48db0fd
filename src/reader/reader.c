#include "reader/reader.h"

#include <stdlib.h>
#include <string.h>

#include <keyfill/apdu.h>

#include "reader/deadline.h"

#define COMMAND_HEADER_SIZE 4 /* CLA INS P1 P2 */
#define EXCHANGES_MAX 16      /* for one command: the command itself, GET RESPONSE, repetitions with Le */
#define EXTENDED_EXCHANGES_MAX 300 /* 65536 bytes by GET RESPONSE */
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

static kf_code exchange_all(kf_reader *reader, kf_buffer *tpdu, kf_deadline deadline,
                            kf_card_response *ret_response, kf_error *error)
{
    kf_card_response whole = {.size = 0};
    for (size_t i = 0; i < EXCHANGES_MAX; i++) {
        kf_card_response part;
        KF_CLEANUP(kf_buffer_clear) kf_buffer next = KF_BUFFER_INIT;
        KF_TRY(exchange(reader, kf_buffer_view(tpdu), deadline, &part, error));
        KF_TRY(gather(&whole, &part, error));
        kf_code code = kf_command_continue(kf_buffer_view(tpdu), kf_card_response_status_word(&part), &next);
        /* What was no command to begin with is answered by its status word alone. */
        if (code != KF_ERR_APDU) KF_TRY(kf_fail_plain(error, code));
        if (next.size == 0) {
            *ret_response = whole;
            return KF_OK;
        }
        kf_buffer_truncate(tpdu, 0);
        kf_buffer_append(tpdu, kf_buffer_view(&next));
    }
    return kf_fail(error, KF_ERR_APDU, "the card still offers data after %d exchanges for one command",
                   EXCHANGES_MAX);
}

static kf_code check_card(const kf_reader *reader, kf_error *error)
{
    if (!reader->connected && reader->removed)
        return kf_fail(error, KF_ERR_CARD_REMOVED, "reader %s: the card was removed; insert it again",
                       kf_reader_name(reader));
    if (!reader->connected)
        return kf_fail(error, KF_ERR_NO_CARD, "reader %s: no card is connected", kf_reader_name(reader));
    return KF_OK;
}

kf_code kf_reader_transmit(kf_reader *reader, kf_view command, unsigned timeout,
                           kf_card_response *ret_response, kf_error *error)
{
    KF_TRY(check_usable(reader, error));
    if (command.size < COMMAND_HEADER_SIZE || command.size > KF_READER_COMMAND_MAX)
        return kf_fail(error, KF_ERR_APDU, "a command of %zu bytes cannot be sent: short APDUs have %d to %d",
                       command.size, COMMAND_HEADER_SIZE, KF_READER_COMMAND_MAX);
    KF_TRY(check_card(reader, error));
    /* A command may carry a PIN: the buffer is wiped. */
    KF_CLEANUP(kf_buffer_clear) kf_buffer tpdu = KF_BUFFER_INIT;
    bool mapped = reader->driver->is_t0(reader->state) && kf_command_for_t0(command, &tpdu) == KF_OK;
    if (!mapped) kf_buffer_append(&tpdu, command);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&tpdu)));
    return exchange_all(reader, &tpdu, kf_deadline_in(timeout), ret_response, error);
}

static kf_code transmit_short(kf_reader *reader, kf_view command, unsigned timeout, kf_buffer *response,
                              kf_error *error)
{
    kf_card_response answer;
    KF_TRY(kf_reader_transmit(reader, command, timeout, &answer, error));
    kf_buffer_append_bytes(response, answer.bytes, answer.size);
    return kf_fail_plain(error, kf_buffer_status(response));
}

static kf_code exchange_extended(kf_reader *reader, kf_view command, kf_deadline deadline, kf_buffer *part,
                                 kf_error *error)
{
    kf_code code =
        reader->driver->transmit_extended(reader->state, command, kf_deadline_left(deadline), part, error);
    if (code != KF_OK) return note_failure(reader, code);
    if (part->size >= 2) return KF_OK;
    return kf_fail(error, KF_ERR_APDU, "the card's answer is shorter than a status word (%zu of 2 bytes)",
                   part->size);
}

static kf_code exchange_all_extended(kf_reader *reader, kf_buffer *command, kf_deadline deadline,
                                     kf_buffer *whole, kf_error *error)
{
    for (size_t i = 0; i < EXTENDED_EXCHANGES_MAX; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer part = kf_buffer_with_limit(KF_READER_EXTENDED_RESPONSE_MAX);
        KF_CLEANUP(kf_buffer_clear) kf_buffer next = KF_BUFFER_INIT;
        KF_TRY(exchange_extended(reader, kf_buffer_view(command), deadline, &part, error));
        uint16_t status_word = (uint16_t)(part.data[part.size - 2] << 8 | part.data[part.size - 1]);
        KF_TRY(kf_fail_plain(error, kf_command_continue(kf_buffer_view(command), status_word, &next)));
        kf_buffer_append(whole, kf_view_part(kf_buffer_view(&part), 0, part.size - (next.size > 0 ? 2 : 0)));
        KF_TRY(kf_fail_plain(error, kf_buffer_status(whole)));
        if (next.size == 0) return KF_OK;
        kf_buffer_truncate(command, 0);
        kf_buffer_append(command, kf_buffer_view(&next));
    }
    return kf_fail(error, KF_ERR_APDU, "the card still offers data after %d exchanges for one command",
                   EXTENDED_EXCHANGES_MAX);
}

kf_code kf_reader_transmit_extended(kf_reader *reader, kf_view command, unsigned timeout, kf_buffer *response,
                                    kf_error *error)
{
    kf_command parsed;
    if (kf_command_parse(command, &parsed) != KF_OK)
        return kf_fail(error, KF_ERR_APDU, "%zu bytes are no command", command.size);
    if (!parsed.extended) return transmit_short(reader, command, timeout, response, error);
    KF_TRY(check_usable(reader, error));
    KF_TRY(check_card(reader, error));
    if (reader->driver->transmit_extended == NULL || reader->driver->is_t0(reader->state))
        return kf_fail(error, KF_ERR_UNSUPPORTED,
                       "reader %s: commands with extended lengths cannot be sent by T=0; use short ones",
                       kf_reader_name(reader));
    KF_CLEANUP(kf_buffer_clear) kf_buffer sent = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer whole = kf_buffer_with_limit(KF_READER_EXTENDED_RESPONSE_MAX);
    kf_buffer_append(&sent, command);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&sent)));
    KF_TRY(exchange_all_extended(reader, &sent, kf_deadline_in(timeout), &whole, error));
    kf_buffer_append(response, kf_buffer_view(&whole));
    return kf_fail_plain(error, kf_buffer_status(response));
}
