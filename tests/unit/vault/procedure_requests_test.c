/* Requests about cards through the vault's table, as a front sends them. */
#include <string.h>

#include "procedure_card.h"
#include "vault/procedure_messages.h"

#define PROFILE                                                                                              \
    "name: test\nissuer_domain: A000000151000000\nsecurity_level: 0x33\ndomain:\n  aid: " DOMAIN_AID         \
    "\n  parameters: \"81020370\"\n  key_version: 0x30\n  key_injection: put-key\n"                          \
    "  modules: [{load_file: A0000001515350, module: A000000151535041}]\n"

/* A front: the vault, what it stored, and the card behind host and terminal. */
typedef struct test_front {
    test_vault vault;
    test_bench bench; /* its key store is the vault's */
    kf_key_store *own_keys;
    kf_buffer record;
    kf_buffer answer;
    kf_procedure_message message;
    const char *profile;
} test_front;

static void make(test_front *front)
{
    memset(front, 0, sizeof *front);
    test_vault_make(&front->vault, KF_VAULT_KMU);
    bench_make(&front->bench, NULL, NULL);
    front->own_keys = front->bench.keys;
    front->bench.keys = front->vault.vault->keys;
    (void)bench_add_key(&front->bench, KF_PURPOSE_CARD_MANAGER, KF_CATEGORY_DEFAULT, MAKER_TEMPLATE,
                        MASTER_KEY);
    (void)bench_add_key(&front->bench, KF_PURPOSE_PAYMENT, CATEGORY, PAYMENT_TEMPLATE, PAYMENT_KEY);
    front->profile = PROFILE;
    bench_power_on(&front->bench);
}

static void forget(test_front *front)
{
    kf_script_clear(&front->message.script);
    front->message = (kf_procedure_message){0};
}

static void remove_front(test_front *front)
{
    forget(front);
    kf_buffer_clear(&front->record);
    kf_buffer_clear(&front->answer);
    front->bench.keys = front->own_keys;
    bench_remove(&front->bench);
    test_vault_remove(&front->vault);
}

static kf_code take(test_front *front, kf_code code)
{
    forget(front);
    if (code != KF_OK) return code;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&front->answer));
    assert_int_equal(kf_procedure_message_take(&cursor, &front->message), KF_OK);
    if (front->message.record.size > 0) {
        kf_buffer_truncate(&front->record, 0);
        kf_buffer_append(&front->record, front->message.record);
    }
    return KF_OK;
}

static kf_code begin(test_front *front, const kf_procedure_request *request, kf_error *error)
{
    kf_begin_message message = {
        .request = *request,
        .profile = kf_view_of_text(front->profile),
        .record = kf_buffer_view(&front->record),
    };
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_begin_message_put(&payload, &message);
    return take(front, test_ask(&front->vault, KF_VAULT_PROCEDURE_BEGIN, &payload, &front->answer, error));
}

/* What the front adds to the card's answers. */
static kf_advance_message advance_message(const test_front *front, const kf_buffer *token)
{
    kf_advance_message message = {
        .actor = {"host:counter", "00112233445566778899aabbccddeeff"},
        .step = front->message.step,
        .attempt = front->message.attempt,
        .token = kf_buffer_view(token),
        .profile = kf_view_of_text(front->profile),
        .looked_up = IDENTITY,
        .record = kf_buffer_view(&front->record),
    };
    return message;
}

static kf_code advance(test_front *front, const kf_advance_message *message, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_advance_message_put(&payload, message);
    return take(front, test_ask(&front->vault, KF_VAULT_PROCEDURE_ADVANCE, &payload, &front->answer, error));
}

static kf_buffer token_of(const test_front *front)
{
    kf_buffer token = KF_BUFFER_INIT;
    kf_buffer_append(&token, front->message.token);
    return token;
}

/* Runs to the end; gives the number of messages. */
static unsigned finish(test_front *front)
{
    unsigned messages = 1;
    while (front->message.outcome == KF_PROCEDURE_CONTINUE) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer token = token_of(front);
        kf_error error = {0};
        kf_advance_message message = advance_message(front, &token);
        bench_follow(&front->bench, &front->message.script, &message.answers);
        if (advance(front, &message, &error) != KF_OK) fail_msg("%s", error.message);
        kf_script_answers_clear(&message.answers);
        messages++;
    }
    return messages;
}

static kf_card_record record_of(const test_front *front)
{
    kf_card_record record;
    assert_int_equal(kf_card_record_open(kf_buffer_view(&front->record),
                                         kf_key_store_record_key(front->vault.vault->keys), &record),
                     KF_OK);
    return record;
}

static void a_card_is_filled_and_refilled_with_receipts(void **state)
{
    (void)state;
    test_front front;
    kf_error error = {0};
    make(&front);
    uint64_t receipts = front.vault.vault->last_receipt;
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_int_equal(begin(&front, &request, &error), KF_OK);
    assert_int_equal(front.message.step, 1);
    assert_int_equal(front.vault.vault->last_receipt, receipts);
    assert_int_equal(finish(&front), 4);
    assert_int_equal(front.message.outcome, KF_PROCEDURE_DONE);
    assert_string_equal(front.message.number, NUMBER);
    assert_string_equal(front.message.identity, IDENTITY);
    assert_int_equal(front.message.generation, 1);
    assert_int_equal(front.message.base_key_version, 1);
    assert_int_equal(strlen(front.message.kcv), 6);
    assert_int_equal(front.message.round_trips, 4);
    assert_int_equal(front.message.replaced_sequence, 1);
    assert_int_equal(front.vault.vault->last_receipt, receipts + 2); /* intent and deed */
    assert_int_equal(record_of(&front).state, KF_CARD_FILLED);
    assert_card_key(&front.bench, NUMBER, 1);

    bench_power_on(&front.bench);
    request = request_of(KF_OPERATION_REFILL);
    assert_int_equal(begin(&front, &request, &error), KF_OK);
    assert_int_equal(finish(&front), 3);
    assert_int_equal(front.message.replaced_sequence, 3);
    assert_int_equal(record_of(&front).sequence, 4);
    assert_card_key(&front.bench, NUMBER, 2);
    remove_front(&front);
}

static void a_record_is_asked_for_by_identity(void **state)
{
    (void)state;
    test_front front;
    kf_error error = {0};
    make(&front);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_int_equal(begin(&front, &request, &error), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = token_of(&front);
    kf_advance_message message = advance_message(&front, &token);
    message.looked_up[0] = '\0';
    bench_follow(&front.bench, &front.message.script, &message.answers);
    assert_int_equal(advance(&front, &message, &error), KF_OK);
    assert_int_equal(front.message.outcome, KF_PROCEDURE_NEED_RECORD);
    assert_string_equal(front.message.identity, IDENTITY);
    assert_int_equal(front.message.token.size, 0);
    assert_int_equal(front.message.record.size, 0);
    strcpy(message.looked_up, IDENTITY);
    assert_int_equal(advance(&front, &message, &error), KF_OK);
    assert_int_equal(front.message.outcome, KF_PROCEDURE_CONTINUE);
    assert_int_equal(front.message.step, 2);
    assert_int_equal(front.message.replaced_sequence, 0);
    kf_script_answers_clear(&message.answers);
    remove_front(&front);
}

static void the_same_answers_give_the_same_record(void **state)
{
    (void)state;
    test_front front;
    kf_error error = {0};
    make(&front);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_int_equal(begin(&front, &request, &error), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = token_of(&front);
    kf_advance_message message = advance_message(&front, &token);
    bench_follow(&front.bench, &front.message.script, &message.answers);
    assert_int_equal(advance(&front, &message, &error), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer first = KF_BUFFER_INIT;
    kf_buffer_append(&first, kf_buffer_view(&front.record));
    kf_buffer_truncate(&front.record, 0);
    message.record = kf_buffer_view(&front.record);
    assert_int_equal(advance(&front, &message, &error), KF_OK);
    assert_true(kf_view_equal(kf_buffer_view(&first), kf_buffer_view(&front.record)));
    kf_script_answers_clear(&message.answers);
    remove_front(&front);
}

static void assert_advance_refused(test_front *front, const kf_advance_message *message, kf_code code,
                                   const char *because)
{
    kf_error error = {0};
    assert_int_equal(advance(front, message, &error), code);
    if (strstr(error.message, because) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, because);
}

static void what_is_not_of_this_request_is_refused(void **state)
{
    (void)state;
    test_front front;
    kf_error error = {0};
    make(&front);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_int_equal(begin(&front, &request, &error), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = token_of(&front);
    const kf_advance_message good = advance_message(&front, &token);
    kf_advance_message message = good;
    message.step = 2;
    assert_advance_refused(&front, &message, KF_ERR_TOKEN, "step 1");
    message = good;
    message.attempt = 2;
    assert_advance_refused(&front, &message, KF_ERR_TOKEN, "attempt");
    message = good;
    strcpy(message.actor.who, "host:other");
    assert_advance_refused(&front, &message, KF_ERR_TOKEN, "host:other");
    message = good;
    message.record = kf_view_of_text("a record that was made up by a front");
    assert_advance_refused(&front, &message, KF_ERR_RECORD, "MAC");
    message = good;
    message.profile = kf_view_of_text(PROFILE "# changed\n");
    assert_advance_refused(&front, &message, KF_ERR_TOKEN, "changed");
    message = good;
    message.profile = kf_view_of_text("nonsense");
    assert_advance_refused(&front, &message, KF_ERR_PROFILE, "");
    message = good;
    message.module = kf_view_of_text("no archive");
    assert_advance_refused(&front, &message, KF_ERR_CAP_FILE, "");
    /* An attempt that fails has a receipt of its own. */
    uint64_t receipts = front.vault.vault->last_receipt;
    assert_advance_refused(&front, &good, KF_ERR_CARD_REMOVED, "");
    assert_int_equal(front.vault.vault->last_receipt, receipts + 1);
    remove_front(&front);
}

static void a_request_that_cannot_be_is_refused_at_once(void **state)
{
    (void)state;
    test_front front;
    kf_error error = {0};
    make(&front);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    strcpy(request.category, "nowhere");
    assert_int_equal(begin(&front, &request, &error), KF_ERR_NO_KEY);
    request = request_of(KF_OPERATION_APP_LOAD);
    assert_int_equal(begin(&front, &request, &error), KF_ERR_MODULE);
    request = request_of(KF_OPERATION_FILL);
    front.profile = "name: broken";
    assert_int_equal(begin(&front, &request, &error), KF_ERR_PROFILE);
    /* More profiles than are kept at hand. */
    for (int i = 0; i < 40; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
        kf_buffer_format(&text, PROFILE "# %d\n", i % 20);
        front.profile = kf_buffer_text(&text);
        assert_int_equal(begin(&front, &request, &error), KF_OK);
        front.profile = PROFILE;
    }
    remove_front(&front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_is_filled_and_refilled_with_receipts),
        cmocka_unit_test(a_record_is_asked_for_by_identity),
        cmocka_unit_test(the_same_answers_give_the_same_record),
        cmocka_unit_test(what_is_not_of_this_request_is_refused),
        cmocka_unit_test(a_request_that_cannot_be_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
