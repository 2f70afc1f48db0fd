#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vault/card_record.h"

static kf_secret *key_of(uint8_t byte)
{
    uint8_t bytes[32];
    kf_secret *key = NULL;
    memset(bytes, byte, sizeof bytes);
    assert_int_equal(kf_secret_new(KF_VIEW(bytes), &key), KF_OK);
    return key;
}

static kf_card_record full_record(void)
{
    kf_card_record record = {
        .identity = "kdd:00112233445566778899",
        .state = KF_CARD_REFILLING,
        .category = "cn-north",
        .profile = "security-domain",
        .domain = {.bytes = {0xA0, 0, 0, 1, 0x51}, .size = 5},
        .number = "8613800000001",
        .iccid = "89860012345678901234",
        .present = {.generation = 3, .base_key_version = 2, .base_key = "cn-north", .key_version = 0x30},
        .pending = {.generation = 4, .base_key_version = 3, .base_key = "default", .key_version = 0x30},
        .previous = {.generation = 1, .base_key_version = 1, .base_key = "cn-north", .key_version = 0x31},
        .last_generation = 4,
        .number_written = true,
        .personalised = "plan,note",
        .sequence = 77,
    };
    memset(record.profile_digest, 0xD1, sizeof record.profile_digest);
    assert_int_equal(kf_named_values_set(&record.derivation, "number", "8613800000001", NULL), KF_OK);
    assert_int_equal(kf_named_values_set(&record.derivation, "plan", "5G-59", NULL), KF_OK);
    return record;
}

static void assert_same_record(const kf_card_record *left, const kf_card_record *right)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer one = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer other = KF_BUFFER_INIT;
    kf_card_record_encode(left, &one);
    kf_card_record_encode(right, &other);
    assert_true(one.size > 0);
    assert_true(kf_view_equal(kf_buffer_view(&one), kf_buffer_view(&other)));
}

static void a_record_comes_back_as_it_was_sealed(void **state)
{
    (void)state;
    KF_CLEANUP(kf_secret_free) kf_secret *key = key_of(7);
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    kf_card_record record = full_record();
    kf_card_record opened = {0};
    assert_int_equal(kf_card_record_seal(&record, key, &sealed), KF_OK);
    assert_int_equal(kf_card_record_open(kf_buffer_view(&sealed), key, &opened), KF_OK);
    assert_same_record(&record, &opened);
    assert_string_equal(opened.number, record.number);
    assert_int_equal(opened.pending.generation, 4);
    assert_string_equal(opened.pending.base_key, "default");
    assert_int_equal(opened.previous.key_version, 0x31);
    assert_int_equal(opened.domain.size, 5);
    assert_string_equal(kf_named_values_get(&opened.derivation, "plan"), "5G-59");
    assert_int_equal(kf_card_record_read_unverified(kf_buffer_view(&sealed), &opened), KF_OK);
    assert_same_record(&record, &opened);
    kf_card_record empty = {0};
    kf_buffer_truncate(&sealed, 0);
    assert_int_equal(kf_card_record_seal(&empty, key, &sealed), KF_OK);
    assert_int_equal(kf_card_record_open(kf_buffer_view(&sealed), key, &opened), KF_OK);
    assert_same_record(&empty, &opened);
}

static void the_largest_record_fits(void **state)
{
    (void)state;
    KF_CLEANUP(kf_secret_free) kf_secret *key = key_of(7);
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    kf_card_record record = full_record();
    char value[KF_VALUE_TEXT_SIZE];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    record.derivation.count = 0;
    for (int i = 0; i < KF_NAMED_VALUES_MAX; i++) {
        char name[KF_VALUE_NAME_SIZE];
        (void)snprintf(name, sizeof name, "a_name_of_thirty_two_letters__%02d", i);
        assert_int_equal(kf_named_values_set(&record.derivation, name, value, NULL), KF_OK);
    }
    memcpy(record.personalised, value, sizeof value);
    assert_int_equal(kf_card_record_seal(&record, key, &sealed), KF_OK);
    assert_true(sealed.size <= KF_CARD_RECORD_MAX);
    kf_card_record opened = {0};
    assert_int_equal(kf_card_record_open(kf_buffer_view(&sealed), key, &opened), KF_OK);
    assert_same_record(&record, &opened);
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    KF_CLEANUP(kf_secret_free) kf_secret *key = key_of(7);
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    kf_card_record record = full_record();
    kf_card_record opened = {.sequence = 5};
    assert_int_equal(kf_card_record_seal(&record, key, &sealed), KF_OK);
    for (size_t i = 0; i < sealed.size; i++)
        for (int bit = 0; bit < 8; bit++) {
            sealed.data[i] = (uint8_t)(sealed.data[i] ^ 1U << bit);
            assert_int_equal(kf_card_record_open(kf_buffer_view(&sealed), key, &opened), KF_ERR_RECORD);
            sealed.data[i] = (uint8_t)(sealed.data[i] ^ 1U << bit);
        }
    for (size_t size = 0; size < sealed.size; size++)
        assert_int_equal(kf_card_record_open(kf_view_of(sealed.data, size), key, &opened), KF_ERR_RECORD);
    kf_buffer_append_u8(&sealed, 0);
    assert_int_equal(kf_card_record_open(kf_buffer_view(&sealed), key, &opened), KF_ERR_RECORD);
    KF_CLEANUP(kf_buffer_clear) kf_buffer large = KF_BUFFER_INIT;
    kf_buffer_append_fill(&large, 1, KF_CARD_RECORD_MAX + 1);
    assert_int_equal(kf_card_record_open(kf_buffer_view(&large), key, &opened), KF_ERR_RECORD);
    assert_int_equal(opened.sequence, 5);
}

static void a_record_of_another_vault_is_refused(void **state)
{
    (void)state;
    KF_CLEANUP(kf_secret_free) kf_secret *key = key_of(7);
    KF_CLEANUP(kf_secret_free) kf_secret *other = key_of(8);
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    kf_card_record record = full_record();
    kf_card_record opened = {0};
    assert_int_equal(kf_card_record_seal(&record, other, &sealed), KF_OK);
    assert_int_equal(kf_card_record_open(kf_buffer_view(&sealed), key, &opened), KF_ERR_RECORD);
}

/* Without the MAC, as a front reads: every malformed part is refused, nothing is written. */
static void malformed_bytes_are_refused_without_a_mac_too(void **state)
{
    (void)state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_card_record record = full_record();
    kf_card_record read = {.sequence = 5};
    kf_card_record_encode(&record, &bytes);
    size_t body = bytes.size;
    for (size_t size = 0; size < body; size++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer cut = KF_BUFFER_INIT;
        kf_buffer_append_bytes(&cut, bytes.data, size);
        kf_buffer_append_fill(&cut, 0, KF_CARD_RECORD_MAC_SIZE);
        assert_int_equal(kf_card_record_read_unverified(kf_buffer_view(&cut), &read), KF_ERR_RECORD);
        kf_cursor cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_not_equal(kf_card_record_decode(&cursor, &read), KF_OK);
    }
    kf_buffer_append_fill(&bytes, 0, KF_CARD_RECORD_MAC_SIZE);
    assert_int_equal(kf_card_record_read_unverified(kf_buffer_view(&bytes), &read), KF_OK);
    read.sequence = 5;
    bytes.data[0] ^= 1; /* form */
    assert_int_equal(kf_card_record_read_unverified(kf_buffer_view(&bytes), &read), KF_ERR_RECORD);
    bytes.data[0] ^= 1;
    bytes.data[3 + strlen(record.identity)] = KF_CARD_UNKNOWN + 1;
    assert_int_equal(kf_card_record_read_unverified(kf_buffer_view(&bytes), &read), KF_ERR_RECORD);
    bytes.data[3 + strlen(record.identity)] = KF_CARD_BLANK;
    bytes.data[4] = '\n'; /* in the identity */
    assert_int_equal(kf_card_record_read_unverified(kf_buffer_view(&bytes), &read), KF_ERR_RECORD);
    assert_int_equal(read.sequence, 5);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(kf_card_state_name(KF_CARD_BLANK), "blank");
    assert_string_equal(kf_card_state_name(KF_CARD_FILLED), "filled");
    assert_string_equal(kf_card_state_name(KF_CARD_UNKNOWN), "unknown");
    assert_string_equal(kf_card_state_name((kf_card_state)99), "unknown");
}

static void name_lists_hold_whole_names(void **state)
{
    (void)state;
    char list[16] = "";
    assert_false(kf_name_list_has(list, "a"));
    assert_int_equal(kf_name_list_add(list, sizeof list, "plan"), KF_OK);
    assert_int_equal(kf_name_list_add(list, sizeof list, "planned"), KF_OK);
    assert_int_equal(kf_name_list_add(list, sizeof list, "plan"), KF_OK);
    assert_string_equal(list, "plan,planned");
    assert_true(kf_name_list_has(list, "plan"));
    assert_false(kf_name_list_has(list, "lan"));
    assert_false(kf_name_list_has(list, "plann"));
    assert_int_equal(kf_name_list_add(list, sizeof list, "abc"), KF_ERR_TOO_LONG);
    assert_string_equal(list, "plan,planned");
    assert_int_equal(kf_name_list_add(list, sizeof list, "ab"), KF_OK);
    kf_name_list_remove(list, "planned");
    assert_string_equal(list, "plan,ab");
    kf_name_list_remove(list, "a");
    kf_name_list_remove(list, "ab");
    assert_string_equal(list, "plan");
    kf_name_list_remove(list, "plan");
    assert_string_equal(list, "");
    strcpy(list, "a,b");
    kf_name_list_remove(list, "a");
    assert_string_equal(list, "b");
}

static void named_values_have_caps(void **state)
{
    (void)state;
    kf_named_values values = {0};
    kf_error error = {0};
    char long_value[KF_VALUE_TEXT_SIZE + 1];
    memset(long_value, 'x', sizeof long_value);
    long_value[KF_VALUE_TEXT_SIZE] = '\0';
    assert_int_equal(kf_named_values_set(&values, "a", long_value, &error), KF_ERR_FIELD);
    long_value[KF_VALUE_TEXT_SIZE - 1] = '\0';
    assert_int_equal(kf_named_values_set(&values, "a", long_value, &error), KF_OK);
    static const char *const wrong[] = {"", "A", "a-b", "a b", "ä", "a123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(kf_named_values_set(&values, wrong[i], "x", &error), KF_ERR_FIELD);
    for (int i = 1; i < KF_NAMED_VALUES_MAX; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(kf_named_values_set(&values, name, "x", &error), KF_OK);
    }
    assert_int_equal(kf_named_values_set(&values, "one_more", "x", &error), KF_ERR_FIELD);
    assert_non_null(strstr(error.message, "one_more"));
    assert_int_equal(kf_named_values_set(&values, "a", "replaced", &error), KF_OK);
    assert_string_equal(kf_named_values_get(&values, "a"), "replaced");
    assert_null(kf_named_values_get(&values, "one_more"));
    assert_int_equal(values.count, KF_NAMED_VALUES_MAX);
    kf_field items[KF_NAMED_VALUES_MAX];
    kf_fields fields = kf_named_values_fields(&values, items);
    assert_int_equal(fields.count, KF_NAMED_VALUES_MAX);
    assert_string_equal(fields.items[0].value, "replaced");
}

static void named_values_are_read_with_every_check(void **state)
{
    (void)state;
    kf_named_values values = {0};
    kf_named_values read = {.count = 9};
    assert_int_equal(kf_named_values_set(&values, "plan", "5G-59", NULL), KF_OK);
    assert_int_equal(kf_named_values_set(&values, "note", "", NULL), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_named_values_encode(&values, &bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        kf_cursor cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_not_equal(kf_named_values_decode(&cursor, &read), KF_OK);
    }
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    bytes.data[3] = 'P'; /* no name */
    assert_int_equal(kf_named_values_decode(&cursor, &read), KF_ERR_MALFORMED);
    bytes.data[3] = 'p';
    bytes.data[0] = KF_NAMED_VALUES_MAX + 1;
    cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_named_values_decode(&cursor, &read), KF_ERR_MALFORMED);
    assert_int_equal(read.count, 9);
    bytes.data[0] = 2;
    cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_named_values_decode(&cursor, &read), KF_OK);
    assert_true(kf_cursor_at_end(&cursor));
    assert_string_equal(kf_named_values_get(&read, "plan"), "5G-59");
    assert_string_equal(kf_named_values_get(&read, "note"), "");
}

static void a_text_is_copied_whole_or_not(void **state)
{
    (void)state;
    char text[4] = "abc";
    assert_int_equal(kf_text_copy(text, sizeof text, "wxyz"), KF_ERR_TOO_LONG);
    assert_string_equal(text, "abc");
    assert_int_equal(kf_text_copy(text, sizeof text, "x"), KF_OK);
    assert_memory_equal(text, "x\0\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back_as_it_was_sealed),
        cmocka_unit_test(the_largest_record_fits),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(a_record_of_another_vault_is_refused),
        cmocka_unit_test(malformed_bytes_are_refused_without_a_mac_too),
        cmocka_unit_test(states_have_names),
        cmocka_unit_test(name_lists_hold_whole_names),
        cmocka_unit_test(named_values_have_caps),
        cmocka_unit_test(named_values_are_read_with_every_check),
        cmocka_unit_test(a_text_is_copied_whole_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
