#include "hex_bytes.h"

#include <stdlib.h>

#include <keyfill/card_data.h>
#include <keyfill/tlv.h>

/* Every truncation and bit flip of `digits` goes through every parser: none may read past the end (the
 * sanitizers tell) or leave anything in its output after a failure. */
static void maul(const char *digits)
{
    BYTES(data, digits);
    for (size_t i = 0; i < data.size * 9; i++) {
        size_t size = i < data.size ? i : data.size;
        size_t flipped = i < data.size ? 0 : (i - data.size) / 8;
        uint8_t bit = i < data.size ? 0 : (uint8_t)(1u << (i % 8));
        data.data[flipped] ^= bit;
        /* Of exactly that size, so that a read behind it is seen. */
        KF_CLEANUP(kf_free_pointer) uint8_t *exact = malloc(size > 0 ? size : 1);
        assert_non_null(exact);
        memcpy(exact, data.data, size);
        kf_view view = kf_view_of(exact, size);
        kf_cplc cplc;
        kf_card_recognition recognition = {.protocol_count = 99};
        kf_card_capability capability = {.protocol_count = 99};
        kf_key_information information = {.count = 99};
        kf_atr atr = {.interface_count = 99};
        kf_gp_status_entry entry = {.module_count = 99};
        kf_cursor cursor = kf_cursor_of(view);
        if (kf_cplc_parse(view, &cplc) == KF_OK) assert_true(size >= KF_CPLC_SIZE);
        if (kf_card_recognition_parse(view, &recognition) != KF_OK)
            assert_int_equal(recognition.protocol_count, 99);
        if (kf_card_capability_parse(view, &capability) != KF_OK)
            assert_int_equal(capability.protocol_count, 99);
        if (kf_key_information_parse(view, &information) != KF_OK) assert_int_equal(information.count, 99);
        if (kf_atr_parse(view, &atr) != KF_OK) assert_int_equal(atr.interface_count, 99);
        if (kf_gp_status_next(&cursor, &entry) != KF_OK) {
            assert_int_equal(entry.module_count, 99);
            assert_int_equal(cursor.rest.size, size);
        }
        data.data[flipped] ^= bit;
    }
}

static void mauled_data_is_refused_without_a_trace(void **state)
{
    (void)state;
    maul("9F7F2A000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F20212223242526272829");
    maul("664D734B06072A864886FC6B01600B06092A864886FC6B020203630906072A864886FC6B03640B06092A864886FC6B04037"
         "06"
         "50D060B2A864886FC6B0507020000660C060A2B060104012A026E0103");
    maul("6724A0098001038102607082010781039EFE8082031E03008301028401028501"
         "7B86010C87017B");
    maul("E020C00401018820C00402018820C00403018820C0060170A180A003C00401718010");
    maul("E00EC00C0101FF880010FF100001010001");
    maul("E3144F07A00000015100009F700107C50180EA028000");
    maul("3BF41300FF9101717C4100DEADBEEFE6");
}

static void a_check_byte_that_does_not_fit_is_told(void **state)
{
    (void)state;
    BYTES(bytes, "3BF41300FF9101717C4100DEADBEEFE6");
    kf_atr atr;
    assert_int_equal(kf_atr_parse(kf_buffer_view(&bytes), &atr), KF_OK);
    assert_true(atr.check_required && atr.check_ok);
    bytes.data[bytes.size - 1] ^= 1;
    assert_int_equal(kf_atr_parse(kf_buffer_view(&bytes), &atr), KF_OK);
    assert_false(atr.check_ok);
    static const char *const wrong[] = {"", "3B", "3C00", "3B0100FF", "3B80", "3B8001", "3BF0"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BYTES(malformed, wrong[i]);
        assert_int_equal(kf_atr_parse(kf_buffer_view(&malformed), &atr), KF_ERR_CARD_DATA);
    }
    EMPTY(endless);
    kf_buffer_append_u8(&endless, 0x3B);
    kf_buffer_append_fill(&endless, 0x80, KF_ATR_MAX - 1);
    assert_int_equal(kf_atr_parse(kf_buffer_view(&endless), &atr), KF_ERR_CARD_DATA);
}

static void cplc_identity_is_fabricator_type_batch_and_serial(void **state)
{
    (void)state;
    BYTES(data, "9F7F2A000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F20212223242526272829");
    kf_cplc with_tag, without_tag;
    assert_int_equal(kf_cplc_parse(kf_buffer_view(&data), &with_tag), KF_OK);
    assert_int_equal(kf_cplc_parse(kf_view_of(data.data + 3, 42), &without_tag), KF_OK);
    assert_memory_equal(with_tag.bytes, without_tag.bytes, KF_CPLC_SIZE);
    uint8_t identity[KF_CPLC_IDENTITY_SIZE];
    kf_cplc_identity(&with_tag, identity);
    assert_bytes(KF_VIEW(identity), "0001020310110C0D0E0F");
    assert_int_equal(kf_cplc_named(&with_tag, "no such field").size, 0);
    assert_int_equal(kf_cplc_field(&with_tag, KF_CPLC_FIELDS, NULL).size, 0);
}

static void object_identifiers_too_large_or_cut_off_are_refused(void **state)
{
    (void)state;
    kf_oid_text text;
    static const char *const wrong[] = {"", "80", "2A86", "2AFFFFFFFFFFFFFFFFFFFFFF7F"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BYTES(oid, wrong[i]);
        assert_int_equal(kf_oid_show(kf_buffer_view(&oid), &text), KF_ERR_CARD_DATA);
    }
    EMPTY(many);
    kf_buffer_append_fill(&many, 0x7F, KF_OID_TEXT_SIZE);
    assert_int_equal(kf_oid_show(kf_buffer_view(&many), &text), KF_ERR_CARD_DATA);
    BYTES(high_root, "883703");
    assert_int_equal(kf_oid_show(kf_buffer_view(&high_root), &text), KF_OK);
    assert_string_equal(text.text, "2.999.3");
}

static void lists_beyond_their_caps_are_refused(void **state)
{
    (void)state;
    EMPTY(keys);
    static const uint8_t key[] = {0xC0, 0x04, 0x01, 0x01, 0x88, 0x10};
    for (size_t i = 0; i <= KF_KEY_INFORMATION_MAX; i++)
        kf_buffer_append(&keys, KF_VIEW(key));
    kf_key_information information;
    assert_int_equal(kf_key_information_parse(kf_buffer_view(&keys), &information), KF_ERR_CARD_DATA);
    kf_buffer_truncate(&keys, keys.size - sizeof(key));
    assert_int_equal(kf_key_information_parse(kf_buffer_view(&keys), &information), KF_OK);
    assert_int_equal(information.count, KF_KEY_INFORMATION_MAX);
    assert_non_null(kf_key_information_version(&information, 0x01));
    assert_null(kf_key_information_version(&information, 0x30));

    EMPTY(status);
    static const uint8_t module[] = {0xA0, 0, 0, 0, 1};
    size_t mark = kf_tlv_begin(&status, 0xE3);
    kf_tlv_append(&status, 0x4F, KF_VIEW(module));
    for (size_t i = 0; i <= KF_STATUS_MODULES_MAX; i++)
        kf_tlv_append(&status, 0x84, KF_VIEW(module));
    kf_tlv_end(&status, mark);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&status));
    kf_gp_status_entry entry;
    assert_int_equal(kf_gp_status_next(&cursor, &entry), KF_ERR_CARD_DATA);

    EMPTY(recognition);
    BYTES(protocol, "640B06092A864886FC6B040370");
    mark = kf_tlv_begin(&recognition, 0x73);
    for (size_t i = 0; i <= KF_RECOGNITION_PROTOCOLS_MAX; i++)
        kf_buffer_append(&recognition, kf_buffer_view(&protocol));
    kf_tlv_end(&recognition, mark);
    kf_card_recognition parsed;
    assert_int_equal(kf_card_recognition_parse(kf_buffer_view(&recognition), &parsed), KF_ERR_CARD_DATA);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(kf_gp_state_text(KF_GP_ISSUER_SECURITY_DOMAIN, 0x0F), "SECURED");
    assert_string_equal(kf_gp_state_text(KF_GP_APPLICATIONS, 0x0F), "PERSONALIZED");
    assert_string_equal(kf_gp_state_text(KF_GP_APPLICATIONS, 0x87), "LOCKED");
    assert_string_equal(kf_gp_state_text(KF_GP_LOAD_FILES, 0x01), "LOADED");
}

static void the_answer_to_select_is_read(void **state)
{
    (void)state;
    BYTES(data, "6F198408A000000151000000A50D9F6501FF73009F6E0401020304");
    kf_gp_select_answer answer;
    assert_int_equal(kf_gp_select_answer_parse(kf_buffer_view(&data), &answer), KF_OK);
    assert_bytes(answer.aid, "A000000151000000");
    assert_bytes(answer.life_cycle_data, "01020304");
    assert_int_equal(answer.command_data_max, 255);
    assert_int_equal(answer.management_data.size, 0);
    for (size_t size = 0; size < data.size; size++)
        assert_int_equal(kf_gp_select_answer_parse(kf_view_of(data.data, size), &answer), KF_ERR_CARD_DATA);
    static const char *const refused[] = {"",
                                          "6F00",
                                          "6F02A400",
                                          "6200",
                                          "6F07A5059F6503000001",
                                          "6F05A5039F6500",
                                          "6F1384110102030405060708090A0B0C0D0E0F1011"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        BYTES(bad, refused[i]);
        assert_int_equal(kf_gp_select_answer_parse(kf_buffer_view(&bad), &answer), KF_ERR_CARD_DATA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mauled_data_is_refused_without_a_trace),
        cmocka_unit_test(a_check_byte_that_does_not_fit_is_told),
        cmocka_unit_test(cplc_identity_is_fabricator_type_batch_and_serial),
        cmocka_unit_test(object_identifiers_too_large_or_cut_off_are_refused),
        cmocka_unit_test(lists_beyond_their_caps_are_refused),
        cmocka_unit_test(states_have_names),
        cmocka_unit_test(the_answer_to_select_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
