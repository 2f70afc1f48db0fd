/* The replay and fault drivers, one inside the other. */
#include "reader/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reader/replay.h"

static const kf_replay_exchange exchanges[] = {{"00A40004023F0000", "9000"},
                                               {"00B000000A", "00112233445566778899"
                                                              "9000"},
                                               {NULL, "6A82"},
                                               {"00200001", NULL}};

static kf_replay replay_of(size_t *played)
{
    return (kf_replay){.atr = "3B00", .exchanges = exchanges, .count = 4, .played = played};
}

static kf_code send_select(kf_reader *reader, kf_error *error)
{
    static const uint8_t command[] = {0x00, 0xA4, 0x00, 0x04, 0x02, 0x3F, 0x00, 0x00};
    kf_card_response response;
    return kf_reader_transmit(reader, KF_VIEW(command), 50, &response, error);
}

static kf_code send_read(kf_reader *reader, kf_card_response *ret_response)
{
    static const uint8_t command[] = {0x00, 0xB0, 0x00, 0x00, 0x0A};
    return kf_reader_transmit(reader, KF_VIEW(command), 50, ret_response, NULL);
}

static kf_reader *open_replay(const kf_replay *replay)
{
    kf_reader *reader = NULL;
    kf_answer_to_reset atr;
    assert_int_equal(kf_reader_open_replay(replay, &reader), KF_OK);
    assert_int_equal(kf_reader_connect(reader, 50, &atr, NULL), KF_OK);
    return reader;
}

static void a_replay_gives_the_recorded_responses_in_order(void **unused)
{
    (void)unused;
    static const uint8_t verify[] = {0x00, 0x20, 0x00, 0x01};
    size_t played = 0;
    kf_replay replay = replay_of(&played);
    KF_CLEANUP(kf_reader_close) kf_reader *reader = open_replay(&replay);
    kf_card_response response;
    assert_int_equal(send_select(reader, NULL), KF_OK);
    assert_int_equal(send_read(reader, &response), KF_OK);
    assert_int_equal(response.size, 12);
    assert_int_equal(kf_card_response_status_word(&response), 0x9000);
    assert_int_equal(kf_card_response_data(&response).size, 10);
    assert_int_equal(send_read(reader, &response), KF_OK);
    assert_int_equal(kf_card_response_status_word(&response), 0x6A82);
    assert_int_equal(kf_reader_transmit(reader, KF_VIEW(verify), 50, &response, NULL), KF_ERR_CARD_REMOVED);
    assert_int_equal(played, 4);
}

static void a_replay_refuses_another_command(void **unused)
{
    (void)unused;
    kf_replay replay = replay_of(NULL);
    KF_CLEANUP(kf_reader_close) kf_reader *reader = open_replay(&replay);
    kf_card_response response;
    assert_int_equal(send_read(reader, &response), KF_ERR_READER);
}

static void a_replay_without_atr_has_no_card(void **unused)
{
    (void)unused;
    const kf_replay replay = {.atr = NULL};
    KF_CLEANUP(kf_reader_close) kf_reader *reader = NULL;
    kf_answer_to_reset atr;
    assert_int_equal(kf_reader_open_replay(&replay, &reader), KF_OK);
    assert_int_equal(kf_reader_wait_present(reader, 0, NULL), KF_ERR_NO_CARD);
    assert_int_equal(kf_reader_wait_absent(reader, 0, NULL), KF_OK);
    assert_int_equal(kf_reader_connect(reader, 0, &atr, NULL), KF_ERR_NO_CARD);
}

/* A connected reader whose transmission 1 goes wrong. */
static kf_reader *faulty(const kf_replay *replay, kf_fault fault)
{
    kf_reader *inner = NULL;
    kf_reader *reader = NULL;
    kf_answer_to_reset atr;
    assert_int_equal(kf_reader_open_replay(replay, &inner), KF_OK);
    assert_int_equal(kf_reader_open_fault(&inner, fault, &reader), KF_OK);
    assert_null(inner);
    assert_int_equal(kf_reader_connect(reader, 50, &atr, NULL), KF_OK);
    return reader;
}

static void expect_fault(kf_fault fault, kf_code code, size_t played_after)
{
    size_t played = 0;
    kf_replay replay = replay_of(&played);
    KF_CLEANUP(kf_reader_close) kf_reader *reader = faulty(&replay, fault);
    kf_card_response response;
    assert_int_equal(send_select(reader, NULL), KF_OK);
    assert_int_equal(played, 1);
    assert_int_equal(send_read(reader, &response), code);
    assert_int_equal(played, played_after);
}

static void the_chosen_transmission_goes_wrong(void **unused)
{
    (void)unused;
    expect_fault((kf_fault){.kind = KF_FAULT_FAIL, .at = 1}, KF_ERR_READER, 1);
    expect_fault((kf_fault){.kind = KF_FAULT_TEAR_BEFORE, .at = 1}, KF_ERR_CARD_REMOVED, 1);
    expect_fault((kf_fault){.kind = KF_FAULT_TEAR_AFTER, .at = 1}, KF_ERR_CARD_REMOVED, 2);
    expect_fault((kf_fault){.kind = KF_FAULT_DELAY, .at = 1, .milliseconds = 1000}, KF_ERR_READER_TIMEOUT, 1);
    expect_fault((kf_fault){.kind = KF_FAULT_DELAY, .at = 1, .milliseconds = 1}, KF_OK, 2);
    expect_fault((kf_fault){.kind = KF_FAULT_FAIL, .at = 7}, KF_OK, 2);
}

static void after_a_tear_the_card_can_be_connected_again(void **unused)
{
    (void)unused;
    kf_replay replay = replay_of(NULL);
    KF_CLEANUP(kf_reader_close)
    kf_reader *reader = faulty(&replay, (kf_fault){.kind = KF_FAULT_TEAR_BEFORE, .at = 0});
    kf_answer_to_reset atr;
    assert_int_equal(send_select(reader, NULL), KF_ERR_CARD_REMOVED);
    assert_int_equal(send_select(reader, NULL), KF_ERR_CARD_REMOVED);
    assert_int_equal(kf_reader_connect(reader, 50, &atr, NULL), KF_OK);
    assert_int_equal(send_select(reader, NULL), KF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_gives_the_recorded_responses_in_order),
        cmocka_unit_test(a_replay_refuses_another_command),
        cmocka_unit_test(a_replay_without_atr_has_no_card),
        cmocka_unit_test(the_chosen_transmission_goes_wrong),
        cmocka_unit_test(after_a_tear_the_card_can_be_connected_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
