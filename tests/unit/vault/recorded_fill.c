#include "recorded_fill.h"

#include <string.h>

#define PROFILE                                                                                              \
    "name: test\nissuer_domain: A000000151000000\nsecurity_level: 0x33\ndomain:\n  aid: " DOMAIN_AID         \
    "\n  parameters: \"81020370\"\n  key_version: 0x30\n  key_injection: put-key\n"                          \
    "  modules: [{load_file: A0000001515350, module: A000000151535041}]\n"

static void ask(recorded_fill *fill, kf_buffer *answer, kf_procedure_message *ret_message)
{
    kf_error error = {KF_OK, ""};
    size_t last = fill->count++;
    if (test_ask(&fill->vault, fill->kinds[last], &fill->requests[last], answer, &error) != KF_OK)
        fail_msg("%s", kf_error_text(&error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(answer));
    assert_int_equal(kf_procedure_message_take(&cursor, ret_message), KF_OK);
}

static void begin(recorded_fill *fill, kf_buffer *answer, kf_procedure_message *ret_message)
{
    kf_begin_message message = {.request = request_of(KF_OPERATION_FILL),
                                .profile = kf_view_of_text(PROFILE)};
    fill->kinds[0] = KF_VAULT_PROCEDURE_BEGIN;
    kf_begin_message_put(&fill->requests[0], &message);
    ask(fill, answer, ret_message);
}

static void advance(recorded_fill *fill, const kf_buffer *record, kf_buffer *answer,
                    kf_procedure_message *message)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    kf_buffer_append(&token, message->token);
    kf_advance_message next = {.actor = {"host:counter", "00112233445566778899aabbccddeeff"},
                               .step = message->step,
                               .attempt = message->attempt,
                               .token = kf_buffer_view(&token),
                               .profile = kf_view_of_text(PROFILE),
                               .looked_up = IDENTITY,
                               .record = kf_buffer_view(record)};
    bench_follow(&fill->bench, &message->script, &next.answers);
    assert_true(fill->count < RECORDED_MAX);
    fill->kinds[fill->count] = KF_VAULT_PROCEDURE_ADVANCE;
    kf_advance_message_put(&fill->requests[fill->count], &next);
    kf_script_clear(&message->script);
    kf_script_answers_clear(&next.answers);
    ask(fill, answer, message);
}

void recorded_fill_make(recorded_fill *fill)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer record = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_procedure_message message = {0};
    memset(fill, 0, sizeof *fill);
    test_vault_make(&fill->vault, KF_VAULT_KMU);
    bench_make(&fill->bench, NULL, NULL);
    fill->bench_keys = fill->bench.keys;
    fill->bench.keys = fill->vault.vault->keys;
    (void)bench_add_key(&fill->bench, KF_PURPOSE_CARD_MANAGER, KF_CATEGORY_DEFAULT, MAKER_TEMPLATE,
                        MASTER_KEY);
    (void)bench_add_key(&fill->bench, KF_PURPOSE_PAYMENT, CATEGORY, PAYMENT_TEMPLATE, PAYMENT_KEY);
    bench_power_on(&fill->bench);
    begin(fill, &answer, &message);
    while (message.outcome == KF_PROCEDURE_CONTINUE) {
        advance(fill, &record, &answer, &message);
        if (message.record.size == 0) continue;
        kf_buffer_truncate(&record, 0);
        kf_buffer_append(&record, message.record);
    }
    assert_int_equal(message.outcome, KF_PROCEDURE_DONE);
    kf_script_clear(&message.script);
}

void recorded_fill_remove(recorded_fill *fill)
{
    for (size_t i = 0; i < fill->count; i++)
        kf_buffer_clear(&fill->requests[i]);
    fill->bench.keys = fill->bench_keys;
    bench_remove(&fill->bench);
    test_vault_remove(&fill->vault);
}
