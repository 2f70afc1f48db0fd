#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "procedure_samples.h"
#include "vault/procedure_messages.h"

static void assert_same(const kf_buffer *left, const kf_buffer *right)
{
    assert_int_equal(kf_buffer_status(left), KF_OK);
    assert_true(left->size > 0);
    assert_true(kf_view_equal(kf_buffer_view(left), kf_buffer_view(right)));
}

static void a_state_comes_back_as_it_was(void **unused)
{
    (void)unused;
    kf_procedure_state state = sample_state();
    kf_procedure_state read = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
    kf_procedure_state_encode(&state, &bytes);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_procedure_state_decode(&cursor, &read), KF_OK);
    assert_true(kf_cursor_at_end(&cursor));
    kf_procedure_state_encode(&read, &again);
    assert_same(&bytes, &again);
    assert_int_equal(read.facts.domain_keys, KF_KEYS_FACTORY);
    assert_int_equal(read.facts.file_sizes[1], 17);
    assert_int_equal(read.list_pages[2], 3);
    assert_string_equal(read.request.module, "wallet");
    assert_int_equal(read.session_answer_size, 4);
    kf_procedure_state_clear(&read);
    kf_procedure_state_clear(&state);
}

static void a_state_that_is_cut_or_malformed_is_refused(void **unused)
{
    (void)unused;
    kf_procedure_state state = sample_state();
    kf_procedure_state read = {.step = 77};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_procedure_state_encode(&state, &bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        kf_cursor cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_not_equal(kf_procedure_state_decode(&cursor, &read), KF_OK);
    }
    /* Every byte with a value that hardly fits: no crash, and what is read is within bounds. */
    size_t refused = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t kept = bytes.data[i];
        bytes.data[i] = 0xFF;
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
        kf_procedure_state other = {0};
        if (kf_procedure_state_decode(&cursor, &other) != KF_OK) {
            refused++;
        } else {
            assert_true(other.session_answer_size <= KF_INITIALIZE_UPDATE_MAX);
            assert_in_range(other.request.operation, KF_OPERATION_FILL, KF_OPERATION_APP_DELETE);
            kf_procedure_state_clear(&other);
        }
        bytes.data[i] = kept;
    }
    assert_true(refused > 60);
    assert_int_equal(read.step, 77);
    kf_procedure_state_clear(&state);
}

static void a_begin_message_comes_back(void **unused)
{
    (void)unused;
    kf_begin_message message = {
        .request = sample_request(),
        .profile = kf_view_of_text("name: x"),
        .record = kf_view_of_text("record"),
        .module = kf_view_of_text("module"),
    };
    kf_begin_message read = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
    kf_begin_message_put(&bytes, &message);
    for (size_t size = 0; size < bytes.size; size++) {
        kf_cursor cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_not_equal(kf_begin_message_take(&cursor, &read), KF_OK);
    }
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_begin_message_take(&cursor, &read), KF_OK);
    kf_begin_message_put(&again, &read);
    assert_same(&bytes, &again);
    kf_buffer_append_u8(&bytes, 0);
    cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_begin_message_take(&cursor, &read), KF_ERR_MALFORMED);
    bytes.data[0] = 2; /* version */
    cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_begin_message_take(&cursor, &read), KF_ERR_MALFORMED);
}

static void a_begin_messages_parts_have_caps(void **unused)
{
    (void)unused;
    KF_CLEANUP(kf_buffer_clear) kf_buffer large = KF_BUFFER_INIT;
    kf_buffer_append_fill(&large, 'x', KF_CAP_FILE_MAX + 1);
    static const size_t caps[] = {KF_PROFILE_TEXT_MAX, KF_CARD_RECORD_MAX, KF_CAP_FILE_MAX};
    for (size_t part = 0; part < 3; part++)
        for (size_t over = 0; over < 2; over++) {
            kf_begin_message message = {.request = sample_request()};
            kf_view *parts[] = {&message.profile, &message.record, &message.module};
            *parts[part] = kf_view_of(large.data, caps[part] + over);
            KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
            kf_begin_message_put(&bytes, &message);
            kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
            kf_begin_message read;
            kf_code code = kf_begin_message_take(&cursor, &read);
            assert_int_equal(code, over ? KF_ERR_TOO_LONG : KF_OK);
            if (!over) assert_true(bytes.size <= KF_BEGIN_MESSAGE_MAX);
        }
}

static void an_advance_message_comes_back(void **unused)
{
    (void)unused;
    kf_advance_message message = {
        .actor = {"host:counter", "0011"},
        .step = 3,
        .attempt = 2,
        .token = kf_view_of_text("token"),
        .profile = kf_view_of_text("name: x"),
        .looked_up = "kdd:00112233445566778899",
        .record = kf_view_of_text("record"),
        .module = kf_view_of_text("module"),
    };
    const uint8_t response[] = {0x01, 0x02, 0x90, 0x00};
    assert_int_equal(kf_script_answers_append(&message.answers, 0, KF_VIEW(response)), KF_OK);
    assert_int_equal(kf_script_answers_append(&message.answers, 4, KF_VIEW(response)), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
    kf_advance_message_put(&bytes, &message);
    kf_advance_message read = {.step = 77};
    for (size_t size = 0; size < bytes.size; size++) {
        kf_cursor cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_not_equal(kf_advance_message_take(&cursor, &read), KF_OK);
    }
    assert_int_equal(read.step, 77);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_advance_message_take(&cursor, &read), KF_OK);
    assert_int_equal(read.answers.count, 2);
    assert_int_equal(read.answers.items[1].entry, 4);
    kf_advance_message_put(&again, &read);
    assert_same(&bytes, &again);
    kf_script_answers_clear(&read.answers);
    kf_buffer_append_u8(&bytes, 0);
    cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_advance_message_take(&cursor, &read), KF_ERR_MALFORMED);
    kf_script_answers_clear(&message.answers);
}

static void a_procedure_message_comes_back(void **unused)
{
    (void)unused;
    kf_procedure_message message = {
        .outcome = KF_PROCEDURE_CONTINUE,
        .identity = "kdd:00112233445566778899",
        .step = 2,
        .attempt = 1,
        .token = kf_view_of_text("token"),
        .record = kf_view_of_text("record"),
        .replaced_sequence = 12,
        .applications = kf_view_of_text("list"),
        .number = "8613800000001",
        .category = "cn-north",
        .generation = 2,
        .base_key_version = 3,
        .kcv = "A1B2C3",
        .personalised = "plan",
        .kept = "note",
        .round_trips = 4,
        .apdus = 11,
        .text = "filled",
    };
    const uint8_t command[] = {0x00, 0xA4, 0x04, 0x00, 0x00};
    assert_non_null(kf_script_append(&message.script, "SELECT", KF_VIEW(command)));
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
    kf_procedure_message_put(&bytes, &message);
    kf_procedure_message read = {.step = 77};
    for (size_t size = 0; size < bytes.size; size++) {
        kf_cursor cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_not_equal(kf_procedure_message_take(&cursor, &read), KF_OK);
    }
    for (uint8_t outcome = 0; outcome < 6; outcome++) {
        bytes.data[1] = outcome;
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
        bool possible = outcome >= KF_PROCEDURE_CONTINUE && outcome <= KF_PROCEDURE_NEED_RECORD;
        kf_code code = kf_procedure_message_take(&cursor, &read);
        assert_int_equal(code, possible ? KF_OK : KF_ERR_MALFORMED);
        if (code == KF_OK) kf_script_clear(&read.script);
    }
    bytes.data[1] = KF_PROCEDURE_CONTINUE;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_procedure_message_take(&cursor, &read), KF_OK);
    kf_procedure_message_put(&again, &read);
    assert_same(&bytes, &again);
    kf_script_clear(&read.script);
    kf_buffer_append_u8(&bytes, 0);
    cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_procedure_message_take(&cursor, &read), KF_ERR_MALFORMED);
    kf_script_clear(&message.script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_comes_back_as_it_was),
        cmocka_unit_test(a_state_that_is_cut_or_malformed_is_refused),
        cmocka_unit_test(a_begin_message_comes_back),
        cmocka_unit_test(a_begin_messages_parts_have_caps),
        cmocka_unit_test(an_advance_message_comes_back),
        cmocka_unit_test(a_procedure_message_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
