#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <stdlib.h>

#include <keyfill/bytes.h>

static const uint8_t sample[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static void a_part_never_leaves_its_view(void **state)
{
    (void)state;
    kf_view whole = KF_VIEW(sample);
    assert_int_equal(kf_view_part(whole, 0, 9).size, 9);
    assert_int_equal(kf_view_part(whole, 3, 100).size, 6);
    assert_ptr_equal(kf_view_part(whole, 3, 100).data, sample + 3);
    assert_int_equal(kf_view_part(whole, 3, SIZE_MAX).size, 6);
    assert_int_equal(kf_view_part(whole, 9, 1).size, 0);
    assert_int_equal(kf_view_part(whole, SIZE_MAX, SIZE_MAX).size, 0);
    assert_int_equal(kf_view_part(kf_view_of(NULL, 0), 0, 1).size, 0);
}

static void views_compare_by_content(void **state)
{
    (void)state;
    const uint8_t same[] = {1, 2, 3};
    assert_true(kf_view_equal(KF_VIEW(same), kf_view_of(sample, 3)));
    assert_false(kf_view_equal(KF_VIEW(same), kf_view_of(sample, 4)));
    assert_false(kf_view_equal(KF_VIEW(same), kf_view_of(sample + 1, 3)));
    assert_true(kf_view_equal(kf_view_of(NULL, 0), kf_view_of(sample, 0)));
    assert_true(kf_view_starts_with(KF_VIEW(sample), KF_VIEW(same)));
    assert_true(kf_view_starts_with(KF_VIEW(sample), kf_view_of(NULL, 0)));
    assert_false(kf_view_starts_with(KF_VIEW(same), KF_VIEW(sample)));
    assert_false(kf_view_starts_with(kf_view_of(NULL, 0), KF_VIEW(same)));
}

static void a_cursor_reads_big_endian_numbers_in_order(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                             0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0xFF};
    kf_cursor cursor = kf_cursor_of(KF_VIEW(bytes));
    uint8_t one = 0;
    uint16_t two = 0;
    uint32_t four = 0;
    uint64_t eight = 0;
    assert_int_equal(kf_cursor_u8(&cursor, &one), KF_OK);
    assert_int_equal(kf_cursor_u16(&cursor, &two), KF_OK);
    assert_int_equal(kf_cursor_u32(&cursor, &four), KF_OK);
    assert_false(kf_cursor_at_end(&cursor));
    assert_int_equal(one, 0x01);
    assert_int_equal(two, 0x0203);
    assert_int_equal(four, 0x04050607);
    assert_int_equal(kf_cursor_u64(&cursor, &eight), KF_OK);
    assert_true(eight == UINT64_C(0x08090A0B0C0D0EFF));
    assert_true(kf_cursor_at_end(&cursor));
}

static void a_cursor_at_its_end_changes_nothing(void **state)
{
    (void)state;
    kf_cursor cursor = kf_cursor_of(kf_view_of(sample, 1));
    uint16_t two = 7;
    uint32_t four = 7;
    uint64_t eight = 7;
    kf_view taken = {NULL, 7};
    uint8_t copied[2] = {7, 7};
    assert_int_equal(kf_cursor_u16(&cursor, &two), KF_ERR_TRUNCATED);
    assert_int_equal(kf_cursor_u32(&cursor, &four), KF_ERR_TRUNCATED);
    assert_int_equal(kf_cursor_u64(&cursor, &eight), KF_ERR_TRUNCATED);
    assert_int_equal(kf_cursor_take(&cursor, 2, &taken), KF_ERR_TRUNCATED);
    assert_int_equal(kf_cursor_take(&cursor, SIZE_MAX, &taken), KF_ERR_TRUNCATED);
    assert_int_equal(kf_cursor_copy(&cursor, copied, 2), KF_ERR_TRUNCATED);
    assert_int_equal(kf_cursor_skip(&cursor, 2), KF_ERR_TRUNCATED);
    assert_int_equal(two, 7);
    assert_int_equal(four, 7);
    assert_true(eight == 7);
    assert_int_equal(taken.size, 7);
    assert_int_equal(copied[0], 7);
    assert_int_equal(cursor.rest.size, 1);
    assert_int_equal(kf_cursor_skip(&cursor, 1), KF_OK);
    uint8_t one = 7;
    assert_int_equal(kf_cursor_u8(&cursor, &one), KF_ERR_TRUNCATED);
    assert_int_equal(one, 7);
    assert_int_equal(kf_cursor_take(&cursor, 0, &taken), KF_OK);
    assert_int_equal(taken.size, 0);
}

static void a_cursor_over_nothing_takes_nothing(void **state)
{
    (void)state;
    kf_cursor cursor = kf_cursor_of(kf_view_of(NULL, 0));
    kf_view taken;
    assert_true(kf_cursor_at_end(&cursor));
    assert_int_equal(kf_cursor_take(&cursor, 0, &taken), KF_OK);
    assert_int_equal(kf_cursor_copy(&cursor, NULL, 0), KF_OK);
    assert_int_equal(kf_cursor_skip(&cursor, 1), KF_ERR_TRUNCATED);
}

static void a_buffer_takes_what_is_appended_in_order(void **state)
{
    (void)state;
    const uint8_t wanted[] = {1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 8, 'a', 'b', '1', '2', 9, 9, 0x5A};
    kf_buffer buffer = KF_BUFFER_INIT;
    kf_buffer_append_u8(&buffer, 1);
    kf_buffer_append_u16(&buffer, 0x0203);
    kf_buffer_append_u32(&buffer, 0x04050607);
    kf_buffer_append_u64(&buffer, 8);
    kf_buffer_append_text(&buffer, "ab");
    kf_buffer_format(&buffer, "%d", 12);
    kf_buffer_append_fill(&buffer, 9, 2);
    *kf_buffer_extend(&buffer, 1) = 0x5A;
    kf_buffer_append(&buffer, kf_view_of(NULL, 0));
    assert_int_equal(kf_buffer_status(&buffer), KF_OK);
    assert_true(kf_view_equal(kf_buffer_view(&buffer), KF_VIEW(wanted)));
    kf_buffer_clear(&buffer);
    assert_int_equal(buffer.size, 0);
    assert_null(buffer.data);
}

static void a_buffer_grows_without_losing_a_byte(void **state)
{
    (void)state;
    kf_buffer buffer = KF_BUFFER_INIT;
    for (unsigned i = 0; i < 100000; i++)
        kf_buffer_append_u8(&buffer, (uint8_t)(i * 31));
    assert_int_equal(buffer.size, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(buffer.data[i], (uint8_t)(i * 31));
    kf_buffer_clear(&buffer);
}

static void past_its_limit_a_buffer_fails_and_stays_failed(void **state)
{
    (void)state;
    kf_buffer buffer = kf_buffer_with_limit(4);
    kf_buffer_append_text(&buffer, "abcd");
    assert_int_equal(kf_buffer_status(&buffer), KF_OK);
    assert_string_equal(kf_buffer_text(&buffer), "abcd");
    kf_buffer_append_u8(&buffer, 'e');
    assert_int_equal(kf_buffer_status(&buffer), KF_ERR_TOO_LONG);
    kf_buffer_truncate(&buffer, 0);
    kf_buffer_append_u8(&buffer, 'f');
    kf_buffer_format(&buffer, "g");
    assert_int_equal(buffer.size, 0);
    assert_null(kf_buffer_extend(&buffer, 0));
    assert_null(kf_buffer_text(&buffer));
    kf_buffer_clear(&buffer);
    assert_int_equal(kf_buffer_status(&buffer), KF_OK);
    kf_buffer_append_fill(&buffer, 'x', 5);
    assert_int_equal(kf_buffer_status(&buffer), KF_ERR_TOO_LONG);
    kf_buffer_clear(&buffer);
    kf_buffer_append_fill(&buffer, 'x', SIZE_MAX);
    assert_int_equal(kf_buffer_status(&buffer), KF_ERR_TOO_LONG);
    kf_buffer_clear(&buffer);
}

static void the_general_limit_holds(void **state)
{
    (void)state;
    kf_buffer buffer = KF_BUFFER_INIT;
    kf_buffer_append_u8(&buffer, 0);
    assert_null(kf_buffer_extend(&buffer, KF_BUFFER_LIMIT));
    assert_int_equal(kf_buffer_status(&buffer), KF_ERR_TOO_LONG);
    kf_buffer_clear(&buffer);
}

static void what_is_cut_off_is_wiped(void **state)
{
    (void)state;
    kf_buffer buffer = KF_BUFFER_INIT;
    kf_buffer_append_text(&buffer, "keep secret");
    const uint8_t *place = buffer.data;
    kf_buffer_truncate(&buffer, 4);
    for (size_t i = 4; i < 11; i++)
        assert_int_equal(place[i], 0);
    kf_buffer_truncate(&buffer, 100);
    assert_string_equal(kf_buffer_text(&buffer), "keep");
    kf_buffer_clear(&buffer);
}

static void an_empty_buffer_has_an_empty_text(void **state)
{
    (void)state;
    kf_buffer buffer = KF_BUFFER_INIT;
    assert_string_equal(kf_buffer_text(&buffer), "");
    kf_buffer_clear(&buffer);
}

static void a_view_becomes_a_text(void **state)
{
    (void)state;
    KF_CLEANUP(kf_free_pointer) char *text = kf_text_of_view(kf_view_of("abcdef", 3));
    KF_CLEANUP(kf_free_pointer) char *empty = kf_text_of_view(kf_view_of(NULL, 0));
    assert_string_equal(text, "abc");
    assert_string_equal(empty, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_never_leaves_its_view),
        cmocka_unit_test(views_compare_by_content),
        cmocka_unit_test(a_cursor_reads_big_endian_numbers_in_order),
        cmocka_unit_test(a_cursor_at_its_end_changes_nothing),
        cmocka_unit_test(a_cursor_over_nothing_takes_nothing),
        cmocka_unit_test(a_buffer_takes_what_is_appended_in_order),
        cmocka_unit_test(a_buffer_grows_without_losing_a_byte),
        cmocka_unit_test(past_its_limit_a_buffer_fails_and_stays_failed),
        cmocka_unit_test(the_general_limit_holds),
        cmocka_unit_test(what_is_cut_off_is_wiped),
        cmocka_unit_test(an_empty_buffer_has_an_empty_text),
        cmocka_unit_test(a_view_becomes_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
