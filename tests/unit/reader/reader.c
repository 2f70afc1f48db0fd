/* The layer above the drivers: mapping for T=0, GET RESPONSE, repetition with Le, states of a reader. */
#include "reader/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <keyfill/hex.h>

/* A driver that expects TPDUs and gives responses, in order. */
typedef struct exchange {
    const char *command;
    const char *response; /* NULL: the call fails with `failure` */
    kf_code failure;
} exchange;

typedef struct scripted {
    const exchange *exchanges;
    size_t count;
    size_t next;
    bool is_t0;
    unsigned disconnections;
    bool *closed;
} scripted;

static const char *scripted_name(const void *state)
{
    (void)state;
    return "scripted";
}

static kf_code scripted_wait(void *state, bool present, unsigned timeout, kf_error *error)
{
    (void)state;
    (void)timeout;
    return present ? KF_OK : kf_fail(error, KF_ERR_READER_TIMEOUT, "still there");
}

static kf_code scripted_connect(void *state, unsigned timeout, kf_answer_to_reset *ret_atr, kf_error *error)
{
    (void)state;
    (void)timeout;
    (void)error;
    ret_atr->bytes[0] = 0x3B;
    ret_atr->bytes[1] = 0x00;
    ret_atr->size = 2;
    return KF_OK;
}

static kf_code scripted_transmit(void *opaque, kf_view command, unsigned timeout,
                                 kf_card_response *ret_response, kf_error *error)
{
    scripted *state = opaque;
    (void)timeout;
    assert_true(state->next < state->count);
    const exchange *expected = &state->exchanges[state->next++];
    char digits[2 * KF_READER_COMMAND_MAX + 1];
    assert_int_equal(kf_hex_encode(command, digits, sizeof digits), KF_OK);
    assert_string_equal(digits, expected->command);
    if (expected->response == NULL) return kf_fail(error, expected->failure, "as the script says");
    ret_response->size = strlen(expected->response) / 2;
    assert_int_equal(kf_hex_decode(expected->response, ret_response->bytes, ret_response->size), KF_OK);
    return KF_OK;
}

static kf_code scripted_transmit_extended(void *opaque, kf_view command, unsigned timeout,
                                          kf_buffer *response, kf_error *error)
{
    kf_card_response answer;
    KF_TRY(scripted_transmit(opaque, command, timeout, &answer, error));
    kf_buffer_append_bytes(response, answer.bytes, answer.size);
    return kf_buffer_status(response);
}

static bool scripted_is_t0(const void *opaque)
{
    const scripted *state = opaque;
    return state->is_t0;
}

static void scripted_disconnect(void *opaque, kf_disconnection ending)
{
    scripted *state = opaque;
    (void)ending;
    state->disconnections++;
}

static void scripted_close(void *opaque)
{
    scripted *state = opaque;
    if (state->closed != NULL) *state->closed = true;
}

static const kf_reader_driver scripted_driver = {
    .name = scripted_name,
    .wait = scripted_wait,
    .connect = scripted_connect,
    .transmit = scripted_transmit,
    .transmit_extended = scripted_transmit_extended,
    .is_t0 = scripted_is_t0,
    .disconnect = scripted_disconnect,
    .close = scripted_close,
};

static kf_reader *connected(scripted *state)
{
    kf_reader *reader = NULL;
    kf_answer_to_reset atr;
    assert_int_equal(kf_reader_new(&scripted_driver, state, &reader), KF_OK);
    assert_int_equal(kf_reader_connect(reader, 100, &atr, NULL), KF_OK);
    assert_int_equal(atr.size, 2);
    return reader;
}

static kf_code transmit(kf_reader *reader, const char *command, kf_card_response *ret_response,
                        kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(command, &bytes), KF_OK);
    return kf_reader_transmit(reader, kf_buffer_view(&bytes), 100, ret_response, error);
}

/* Sends `command` where the card sees `exchanges`, and compares the whole response. */
static void expect(bool is_t0, const char *command, const exchange *exchanges, size_t count,
                   const char *response)
{
    scripted state = {.exchanges = exchanges, .count = count, .is_t0 = is_t0};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = connected(&state);
    kf_card_response got;
    kf_error error = {KF_OK, ""};
    assert_int_equal(transmit(reader, command, &got, &error), KF_OK);
    char digits[2 * KF_READER_RESPONSE_MAX + 1];
    assert_int_equal(kf_hex_encode(kf_view_of(got.bytes, got.size), digits, sizeof digits), KF_OK);
    assert_string_equal(digits, response);
    assert_int_equal(state.next, count);
}

static void commands_are_mapped_for_t0(void **unused)
{
    (void)unused;
    expect(true, "00200001", (exchange[]){{"0020000100", "63C3", 0}}, 1, "63C3");
    expect(true, "00B000000A",
           (exchange[]){{"00B000000A",
                         "00112233445566778899"
                         "9000",
                         0}},
           1, "001122334455667788999000");
    expect(true, "00D6000002ABCD", (exchange[]){{"00D6000002ABCD", "9000", 0}}, 1, "9000");
    expect(true,
           "00A4000402"
           "3F00"
           "00",
           (exchange[]){{"00A40004023F00", "6104", 0}, {"00C0000004", "620282009000", 0}}, 2, "620282009000");
}

static void commands_are_left_as_they_are_for_t1(void **unused)
{
    (void)unused;
    expect(false, "00200001", (exchange[]){{"00200001", "63C3", 0}}, 1, "63C3");
    expect(false, "00A40004023F0000", (exchange[]){{"00A40004023F0000", "9000", 0}}, 1, "9000");
}

static void further_data_is_fetched_until_it_ends(void **unused)
{
    (void)unused;
    expect(false, "80CA006600",
           (exchange[]){
               {"80CA006600", "01026102", 0}, {"00C0000002", "03046101", 0}, {"00C0000001", "059000", 0}},
           3, "01020304059000");
}

static void get_response_keeps_the_logical_channel(void **unused)
{
    (void)unused;
    expect(false, "82CA006600", (exchange[]){{"82CA006600", "6101", 0}, {"02C0000001", "AA9000", 0}}, 2,
           "AA9000");
    expect(false, "C1CA006600", (exchange[]){{"C1CA006600", "6101", 0}, {"41C0000001", "AA9000", 0}}, 2,
           "AA9000");
    expect(false, "A0B2010400", (exchange[]){{"A0B2010400", "6101", 0}, {"A0C0000001", "AA9000", 0}}, 2,
           "AA9000");
}

static void a_wrong_length_is_corrected_once_the_card_tells_it(void **unused)
{
    (void)unused;
    expect(true, "80CA9F7F00", (exchange[]){{"80CA9F7F00", "6C02", 0}, {"80CA9F7F02", "ABCD9000", 0}}, 2,
           "ABCD9000");
}

static void a_command_with_data_is_never_repeated(void **unused)
{
    (void)unused;
    expect(false,
           "80E400000102"
           "00",
           (exchange[]){{"80E40000010200", "6C02", 0}}, 1, "6C02");
}

static void a_card_that_offers_data_for_ever_is_refused(void **unused)
{
    (void)unused;
    exchange exchanges[16];
    for (size_t i = 0; i < 16; i++)
        exchanges[i] = (exchange){i == 0 ? "80CA006600" : "00C0000001", "AA6101", 0};
    scripted state = {.exchanges = exchanges, .count = 16};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = connected(&state);
    kf_card_response response;
    assert_int_equal(transmit(reader, "80CA006600", &response, NULL), KF_ERR_APDU);
}

static void too_much_data_in_parts_is_refused(void **unused)
{
    (void)unused;
    char part[2 * 200 + 5];
    memset(part, 'A', 400);
    memcpy(part + 400, "61C8", 5);
    const exchange exchanges[] = {{"80CA006600", part, 0}, {"00C00000C8", part, 0}};
    scripted state = {.exchanges = exchanges, .count = 2};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = connected(&state);
    kf_card_response response;
    kf_error error = {KF_OK, ""};
    assert_int_equal(transmit(reader, "80CA006600", &response, &error), KF_ERR_APDU);
    assert_non_null(strstr(error.message, "longer than the 256 bytes"));
}

static void extended_commands_go_as_they_are_but_not_by_t0(void **unused)
{
    (void)unused;
    const exchange exchanges[] = {
        {"80CA0066000000", "AABB6103", 0}, {"00C0000003", "CCDDEE9000", 0}, {"80CA006600", "AA9000", 0}};
    scripted state = {.exchanges = exchanges, .count = 3};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = connected(&state);
    KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
    const uint8_t command[] = {0x80, 0xCA, 0x00, 0x66, 0x00, 0x00, 0x00};
    const uint8_t whole[] = {0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0x90, 0x00, 0xAA, 0x90, 0x00};
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_reader_transmit_extended(reader, KF_VIEW(command), 100, &response, &error), KF_OK);
    assert_int_equal(kf_reader_transmit_extended(reader, kf_view_of(command, 5), 100, &response, NULL),
                     KF_OK);
    assert_int_equal(response.size, sizeof whole);
    assert_memory_equal(response.data, whole, sizeof whole);
    assert_int_equal(kf_reader_transmit_extended(reader, kf_view_of(command, 3), 100, &response, NULL),
                     KF_ERR_APDU);
    state.is_t0 = true;
    assert_int_equal(kf_reader_transmit_extended(reader, KF_VIEW(command), 100, &response, &error),
                     KF_ERR_UNSUPPORTED);
}

static void a_response_without_status_word_is_refused(void **unused)
{
    (void)unused;
    static const char *const responses[] = {"", "90"};
    for (size_t i = 0; i < 2; i++) {
        const exchange exchanges[] = {{"00200001", responses[i], 0}};
        scripted state = {.exchanges = exchanges, .count = 1};
        KF_CLEANUP(kf_reader_close) kf_reader *reader = connected(&state);
        kf_card_response response;
        assert_int_equal(transmit(reader, "00200001", &response, NULL), KF_ERR_APDU);
    }
}

static void commands_of_a_wrong_size_are_not_sent(void **unused)
{
    (void)unused;
    scripted state = {.count = 0};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = connected(&state);
    uint8_t command[KF_READER_COMMAND_MAX + 1] = {0};
    kf_card_response response;
    assert_int_equal(kf_reader_transmit(reader, kf_view_of(command, 3), 100, &response, NULL), KF_ERR_APDU);
    assert_int_equal(kf_reader_transmit(reader, KF_VIEW(command), 100, &response, NULL), KF_ERR_APDU);
    assert_int_equal(state.next, 0);
}

static void without_a_connection_there_is_no_card(void **unused)
{
    (void)unused;
    scripted state = {.count = 0};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = NULL;
    kf_card_response response;
    assert_int_equal(kf_reader_new(&scripted_driver, &state, &reader), KF_OK);
    assert_false(kf_reader_is_connected(reader));
    assert_int_equal(transmit(reader, "00200001", &response, NULL), KF_ERR_NO_CARD);
}

static void a_removed_card_stays_removed_until_the_next_connection(void **unused)
{
    (void)unused;
    const exchange exchanges[] = {{"00200001", NULL, KF_ERR_CARD_REMOVED}, {"00200001", "9000", 0}};
    scripted state = {.exchanges = exchanges, .count = 2};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = connected(&state);
    kf_card_response response;
    kf_answer_to_reset atr;
    assert_int_equal(transmit(reader, "00200001", &response, NULL), KF_ERR_CARD_REMOVED);
    assert_false(kf_reader_is_connected(reader));
    assert_int_equal(transmit(reader, "00200001", &response, NULL), KF_ERR_CARD_REMOVED);
    assert_int_equal(state.next, 1);
    assert_int_equal(kf_reader_connect(reader, 100, &atr, NULL), KF_OK);
    assert_int_equal(transmit(reader, "00200001", &response, NULL), KF_OK);
}

static void a_reader_that_hung_is_not_used_again(void **unused)
{
    (void)unused;
    const exchange exchanges[] = {{"00200001", NULL, KF_ERR_READER_TIMEOUT}};
    scripted state = {.exchanges = exchanges, .count = 1};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = connected(&state);
    kf_card_response response;
    kf_answer_to_reset atr;
    assert_int_equal(transmit(reader, "00200001", &response, NULL), KF_ERR_READER_TIMEOUT);
    assert_int_equal(transmit(reader, "00200001", &response, NULL), KF_ERR_READER);
    assert_int_equal(kf_reader_connect(reader, 100, &atr, NULL), KF_ERR_READER);
    assert_int_equal(kf_reader_wait_present(reader, 0, NULL), KF_ERR_READER);
    kf_reader_disconnect(reader, KF_CARD_RESET);
    assert_int_equal(state.disconnections, 0);
}

static void closing_disconnects_and_frees_once(void **unused)
{
    (void)unused;
    bool closed = false;
    scripted state = {.closed = &closed};
    kf_reader *reader = connected(&state);
    kf_reader_close(&reader);
    assert_null(reader);
    assert_true(closed);
    assert_int_equal(state.disconnections, 1);
    kf_reader_close(&reader);
}

static void addresses_of_another_form_are_refused(void **unused)
{
    (void)unused;
    static const char *const uris[] = {"", "usb:", "pcsc", "socket:", "/dev/ttyS0"};
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        kf_reader *reader = NULL;
        kf_error error = {KF_OK, ""};
        assert_int_equal(kf_reader_open(uris[i], &reader, &error), KF_ERR_CONFIGURATION);
        assert_null(reader);
        assert_non_null(strstr(error.message, uris[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_mapped_for_t0),
        cmocka_unit_test(commands_are_left_as_they_are_for_t1),
        cmocka_unit_test(further_data_is_fetched_until_it_ends),
        cmocka_unit_test(get_response_keeps_the_logical_channel),
        cmocka_unit_test(a_wrong_length_is_corrected_once_the_card_tells_it),
        cmocka_unit_test(a_command_with_data_is_never_repeated),
        cmocka_unit_test(a_card_that_offers_data_for_ever_is_refused),
        cmocka_unit_test(too_much_data_in_parts_is_refused),
        cmocka_unit_test(extended_commands_go_as_they_are_but_not_by_t0),
        cmocka_unit_test(a_response_without_status_word_is_refused),
        cmocka_unit_test(commands_of_a_wrong_size_are_not_sent),
        cmocka_unit_test(without_a_connection_there_is_no_card),
        cmocka_unit_test(a_removed_card_stays_removed_until_the_next_connection),
        cmocka_unit_test(a_reader_that_hung_is_not_used_again),
        cmocka_unit_test(closing_disconnects_and_frees_once),
        cmocka_unit_test(addresses_of_another_form_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
