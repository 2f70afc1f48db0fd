#include "hex_bytes.h"

#include <keyfill/tlv.h>

static void every_truncation_is_malformed_and_moves_nothing(void **state)
{
    (void)state;
    BYTES(whole, "BF8C0182000461024F00");
    assert_int_equal(kf_tlv_check(kf_buffer_view(&whole)), KF_OK);
    for (size_t size = 0; size < whole.size; size++) {
        kf_cursor cursor = kf_cursor_of(kf_view_of(whole.data, size));
        kf_tlv tlv;
        assert_int_equal(kf_tlv_read(&cursor, &tlv), KF_ERR_TLV);
        assert_int_equal(cursor.rest.size, size);
    }
}

static void tags_and_lengths_beyond_their_caps_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "9F8181810100",     /* a tag of five bytes */
        "4F85000000000100", /* a length of five bytes */
        "4F80",             /* indefinite */
        "4F84FFFFFFFF00",   /* 4 GiB */
        "4FFF",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BYTES(bytes, wrong[i]);
        assert_int_equal(kf_tlv_check(kf_buffer_view(&bytes)), KF_ERR_TLV);
    }
    BYTES(four, "9F81810101AA");
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&four));
    kf_tlv tlv;
    assert_int_equal(kf_tlv_read(&cursor, &tlv), KF_OK);
    assert_int_equal(tlv.tag, 0x9F818101);
}

static void nesting_is_followed_down_to_its_cap_and_no_further(void **state)
{
    (void)state;
    EMPTY(nested);
    size_t marks[KF_TLV_DEPTH_MAX];
    for (size_t i = 0; i < KF_TLV_DEPTH_MAX - 1; i++)
        marks[i] = kf_tlv_begin(&nested, 0x70);
    for (size_t i = KF_TLV_DEPTH_MAX - 1; i-- > 0;)
        kf_tlv_end(&nested, marks[i]);
    assert_int_equal(kf_tlv_check(kf_buffer_view(&nested)), KF_OK);
    EMPTY(deeper);
    kf_tlv_append(&deeper, 0x70, kf_buffer_view(&nested));
    assert_int_equal(kf_tlv_check(kf_buffer_view(&deeper)), KF_ERR_TLV);
}

static void an_inner_length_may_not_leave_its_object(void **state)
{
    (void)state;
    BYTES(lying, "E1034F04A1C10100");
    assert_int_equal(kf_tlv_check(kf_buffer_view(&lying)), KF_ERR_TLV);
}

static void what_is_written_is_read_back_with_minimal_lengths(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000};
    static const size_t headers[] = {2, 2, 2, 3, 3, 4, 4, 5};
    static const uint8_t value[0x10000] = {0x11, 0x22};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        EMPTY(direct);
        EMPTY(between);
        kf_tlv_append(&direct, 0x4F, kf_view_of(value, sizes[i]));
        size_t mark = kf_tlv_begin(&between, 0x4F);
        kf_buffer_append_bytes(&between, value, sizes[i]);
        kf_tlv_end(&between, mark);
        assert_int_equal(direct.size, headers[i] + sizes[i]);
        assert_true(kf_view_equal(kf_buffer_view(&direct), kf_buffer_view(&between)));
        kf_view found;
        assert_true(kf_tlv_find(kf_buffer_view(&direct), 0x4F, &found));
        assert_true(kf_view_equal(found, kf_view_of(value, sizes[i])));
    }
}

static void objects_are_found_by_their_path(void **state)
{
    (void)state;
    BYTES(data, "4F01AA6F0AA5088801019F65020102");
    static const uint32_t path[] = {0x6F, 0xA5, 0x9F65};
    kf_view found;
    assert_true(kf_tlv_find_path(kf_buffer_view(&data), path, 3, &found));
    assert_bytes(found, "0102");
    static const uint32_t missing[] = {0x6F, 0xA6};
    assert_false(kf_tlv_find_path(kf_buffer_view(&data), missing, 2, &found));
    assert_false(kf_tlv_find(kf_buffer_view(&data), 0x88, &found));
}

static void data_groupings_are_read_back_and_checked(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 254, 255, 256, KF_DGI_SIZE_MAX};
    static const uint8_t value[KF_DGI_SIZE_MAX + 1] = {0x33};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        EMPTY(bytes);
        assert_int_equal(kf_dgi_append(&bytes, 0x8113, kf_view_of(value, sizes[i])), KF_OK);
        uint16_t identifier;
        kf_view read;
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
        assert_int_equal(kf_dgi_read(&cursor, &identifier, &read), KF_OK);
        assert_int_equal(identifier, 0x8113);
        assert_int_equal(read.size, sizes[i]);
        assert_true(kf_cursor_at_end(&cursor));
        cursor = kf_cursor_of(kf_view_of(bytes.data, bytes.size - 1));
        assert_int_equal(kf_dgi_read(&cursor, &identifier, &read), KF_ERR_TLV);
    }
    EMPTY(bytes);
    assert_int_equal(kf_dgi_append(&bytes, 1, KF_VIEW(value)), KF_ERR_ARGUMENT);
    assert_int_equal(bytes.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_is_malformed_and_moves_nothing),
        cmocka_unit_test(tags_and_lengths_beyond_their_caps_are_refused),
        cmocka_unit_test(nesting_is_followed_down_to_its_cap_and_no_further),
        cmocka_unit_test(an_inner_length_may_not_leave_its_object),
        cmocka_unit_test(what_is_written_is_read_back_with_minimal_lengths),
        cmocka_unit_test(objects_are_found_by_their_path),
        cmocka_unit_test(data_groupings_are_read_back_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
