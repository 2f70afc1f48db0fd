#include "hex_bytes.h"

#include <stdio.h>

#include "card/script.h"

static const uint8_t command[] = {0x00, 0xA4, 0x04, 0x00};

static void fill_script(kf_script *script)
{
    kf_script_entry *entry = kf_script_append(script, "SELECT", KF_VIEW(command));
    assert_non_null(entry);
    assert_int_equal(kf_script_accept_also(entry, 0x6A82, 0xFFFF, 2), KF_OK);
    assert_int_equal(kf_script_accept_also(entry, 0x6100, 0xFF00, KF_SCRIPT_END), KF_OK);
    entry = kf_script_append(script, "VERIFY ADM1", KF_VIEW(command));
    assert_non_null(entry);
    entry->secret = true;
    assert_non_null(kf_script_append(script, "last", KF_VIEW(command)));
}

static void status_words_lead_where_the_entry_says(void **state)
{
    (void)state;
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    fill_script(&script);
    size_t next;
    assert_int_equal(kf_script_follow(&script, 0, 0x9000, &next), KF_OK);
    assert_int_equal(next, 1);
    assert_int_equal(kf_script_follow(&script, 0, 0x6A82, &next), KF_OK);
    assert_int_equal(next, 2);
    assert_int_equal(kf_script_follow(&script, 0, 0x6155, &next), KF_OK);
    assert_int_equal(next, KF_SCRIPT_END);
    assert_int_equal(kf_script_follow(&script, 2, 0x9000, &next), KF_OK);
    assert_int_equal(next, script.count);
    assert_int_equal(kf_script_follow(&script, 0, 0x6A80, &next), KF_ERR_STATUS_WORD);
    assert_int_equal(kf_script_follow(&script, 3, 0x9000, &next), KF_ERR_ARGUMENT);
}

static void a_script_survives_encoding_and_no_truncation_of_it_does(void **state)
{
    (void)state;
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    KF_CLEANUP(kf_script_clear) kf_script back = {0};
    EMPTY(bytes);
    EMPTY(again);
    fill_script(&script);
    kf_script_encode(&script, &bytes);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_script_decode(&cursor, &back), KF_OK);
    assert_true(kf_cursor_at_end(&cursor));
    assert_true(back.entries[1].secret);
    assert_string_equal(back.entries[1].label, "VERIFY ADM1");
    kf_script_encode(&back, &again);
    assert_true(kf_view_equal(kf_buffer_view(&bytes), kf_buffer_view(&again)));
    for (size_t size = 0; size < bytes.size; size++) {
        KF_CLEANUP(kf_script_clear) kf_script cut = {0};
        cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_not_equal(kf_script_decode(&cursor, &cut), KF_OK);
        assert_int_equal(cut.count, 0);
    }
}

static void flipped_bytes_never_give_a_script_that_fails_its_check(void **state)
{
    (void)state;
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    EMPTY(bytes);
    fill_script(&script);
    kf_script_encode(&script, &bytes);
    for (size_t i = 0; i < bytes.size * 8; i++) {
        bytes.data[i / 8] ^= (uint8_t)(1u << (i % 8));
        KF_CLEANUP(kf_script_clear) kf_script back = {0};
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
        if (kf_script_decode(&cursor, &back) == KF_OK) assert_int_equal(kf_script_check(&back, NULL), KF_OK);
        bytes.data[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
}

static void only_forward_jumps_within_the_script_are_allowed(void **state)
{
    (void)state;
    static const uint16_t wrong[] = {0, 1, 3, 100};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        KF_CLEANUP(kf_script_clear) kf_script script = {0};
        fill_script(&script);
        assert_int_equal(kf_script_check(&script, NULL), KF_OK);
        script.entries[1].accepts[0].go_to = wrong[i];
        kf_error error = {0};
        assert_int_equal(kf_script_check(&script, &error), KF_ERR_MALFORMED);
        EMPTY(bytes);
        kf_script_encode(&script, &bytes);
        KF_CLEANUP(kf_script_clear) kf_script back = {0};
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
        assert_int_equal(kf_script_decode(&cursor, &back), KF_ERR_MALFORMED);
    }
}

static void a_script_is_bounded_in_every_direction(void **state)
{
    (void)state;
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    static const uint8_t large[KF_SCRIPT_COMMAND_MAX + 1];
    assert_null(kf_script_append(&script, "too long", KF_VIEW(large)));
    assert_null(kf_script_append(&script, "too short", kf_view_of(command, 3)));
    kf_script_entry *entry = kf_script_append(
        &script, "a label that is by far too long for the room that there is for it", KF_VIEW(command));
    assert_non_null(entry);
    assert_int_equal(strlen(entry->label), KF_SCRIPT_LABEL_SIZE - 1);
    for (size_t i = 1; i < KF_SCRIPT_ACCEPTS_MAX; i++)
        assert_int_equal(kf_script_accept_also(entry, 0x6A80, 0xFFFF, KF_SCRIPT_END), KF_OK);
    assert_int_equal(kf_script_accept_also(entry, 0x6A80, 0xFFFF, KF_SCRIPT_END), KF_ERR_TOO_LONG);
    for (size_t i = 1; i < KF_SCRIPT_ENTRIES_MAX; i++)
        assert_non_null(kf_script_append(&script, "", KF_VIEW(command)));
    assert_null(kf_script_append(&script, "", KF_VIEW(command)));
    BYTES(too_many, "0801");
    KF_CLEANUP(kf_script_clear) kf_script back = {0};
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&too_many));
    assert_int_equal(kf_script_decode(&cursor, &back), KF_ERR_TOO_LONG);
}

static void answers_go_forward_and_survive_encoding(void **state)
{
    (void)state;
    KF_CLEANUP(kf_script_answers_clear) kf_script_answers answers = {0};
    KF_CLEANUP(kf_script_answers_clear) kf_script_answers back = {0};
    BYTES(response, "01026310");
    static const uint8_t large[KF_SCRIPT_RESPONSE_MAX + 1];
    assert_int_equal(kf_script_answers_append(&answers, 0, kf_buffer_view(&response)), KF_OK);
    assert_int_equal(kf_script_answers_append(&answers, 2, kf_view_of(large, KF_SCRIPT_RESPONSE_MAX)), KF_OK);
    assert_int_equal(kf_script_answers_append(&answers, 2, kf_buffer_view(&response)), KF_ERR_MALFORMED);
    assert_int_equal(kf_script_answers_append(&answers, 3, KF_VIEW(large)), KF_ERR_TOO_LONG);
    assert_int_equal(kf_script_answers_append(&answers, KF_SCRIPT_END, kf_buffer_view(&response)),
                     KF_ERR_MALFORMED);
    EMPTY(bytes);
    kf_script_answers_encode(&answers, &bytes);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_script_answers_decode(&cursor, &back), KF_OK);
    assert_int_equal(back.count, 2);
    assert_int_equal(kf_script_answer_status_word(kf_script_answer_of(&back, 0)), 0x6310);
    assert_null(kf_script_answer_of(&back, 1));
    for (size_t size = 0; size < bytes.size; size++) {
        KF_CLEANUP(kf_script_answers_clear) kf_script_answers cut = {0};
        cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_not_equal(kf_script_answers_decode(&cursor, &cut), KF_OK);
    }
    const kf_script_answer nothing = {0};
    assert_int_equal(kf_script_answer_status_word(&nothing), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_words_lead_where_the_entry_says),
        cmocka_unit_test(a_script_survives_encoding_and_no_truncation_of_it_does),
        cmocka_unit_test(flipped_bytes_never_give_a_script_that_fails_its_check),
        cmocka_unit_test(only_forward_jumps_within_the_script_are_allowed),
        cmocka_unit_test(a_script_is_bounded_in_every_direction),
        cmocka_unit_test(answers_go_forward_and_survive_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
