/* A front that was taken over: it sends the vault frames of its own making. What a base key's policy says
 * holds, whatever the front asks. */
#include <string.h>

#include <keyfill/hex.h>

#include "crypto/digest.h"
#include "procedure_card.h"
#include "vault/derivation_cap.h"
#include "vault/key_custody.h"
#include "vault/procedure_messages.h"

#define PROFILE_OF(name, level, more)                                                                        \
    "name: " name "\nissuer_domain: A000000151000000\nsecurity_level: " level                                \
    "\ndomain:\n  aid: " DOMAIN_AID "\n  parameters: \"81020370\"\n  key_version: 0x30\n" more               \
    "  modules: [{load_file: A0000001515350, module: A000000151535041}]\n"
#define STRONG PROFILE_OF("strong", "0x33", "  key_injection: put-key\n")
#define LESS PROFILE_OF("less", "0x13", "  key_injection: put-key\n")
#define WEAK PROFILE_OF("weak", "0x03", "  key_injection: put-key\n")
#define NAMES_OTHERS_KEY                                                                                     \
    PROFILE_OF("factory", "0x33", "  key_injection: preloaded\n  preloaded_base_key: maker-b\n")

typedef struct hostile_front {
    test_vault vault;
    test_bench bench; /* its key store is the vault's */
    kf_key_store *own_keys;
    kf_buffer record;
    kf_buffer answer;
    kf_buffer token;
    kf_procedure_message message;
    kf_script_answers answers;
    const char *profile;
} hostile_front;

static uint64_t cap_now;

static uint64_t cap_seconds(void)
{
    return cap_now;
}

static const kf_key_policy any_profile = {.least_channel = KF_CHANNEL_ANY};

static void add_key_of(hostile_front *front, kf_key_purpose purpose, const char *category, const char *digits,
                       const kf_key_policy *policy)
{
    kf_error error = {KF_OK, ""};
    const kf_key_entry *added = NULL;
    const char *template = purpose == KF_PURPOSE_PAYMENT ? PAYMENT_TEMPLATE : MAKER_TEMPLATE;
    KF_CLEANUP(kf_secret_free)
    kf_secret *key = NULL;
    assert_int_equal(kf_hex_decode_secret(digits, &key), KF_OK);
    kf_key_entry entry = {
        .purpose = purpose, .algorithm = KF_AES, .size = 16, .state = KF_KEY_ACTIVE, .policy = *policy};
    strcpy(entry.category, category);
    strcpy(entry.policy.diversification, template);
    if (kf_key_store_add(front->vault.vault->keys, &entry, key, TEST_NOW_SECONDS, &added, &error) != KF_OK)
        fail_msg("%s", error.message);
}

static void add_key(hostile_front *front, kf_key_purpose purpose, const char *category,
                    const kf_key_policy *policy)
{
    add_key_of(front, purpose, category, purpose == KF_PURPOSE_PAYMENT ? PAYMENT_KEY : MASTER_KEY, policy);
}

static kf_key_policy permitting(const char *profile)
{
    kf_key_policy policy = {.profile_count = 1};
    assert_int_equal(kf_sha256(kf_view_of_text(profile), policy.profiles[0]), KF_OK);
    return policy;
}

static void make(hostile_front *front, const kf_key_policy *payment, const kf_key_policy *maker)
{
    memset(front, 0, sizeof *front);
    test_vault_make(&front->vault, KF_VAULT_KMU);
    bench_make(&front->bench, NULL, NULL);
    front->own_keys = front->bench.keys;
    front->bench.keys = front->vault.vault->keys;
    add_key(front, KF_PURPOSE_CARD_MANAGER, KF_CATEGORY_DEFAULT, maker);
    add_key(front, KF_PURPOSE_PAYMENT, CATEGORY, payment);
    front->profile = STRONG;
    bench_power_on(&front->bench);
}

static void forget(hostile_front *front)
{
    kf_script_clear(&front->message.script);
    front->message = (kf_procedure_message){0};
}

static void remove_front(hostile_front *front)
{
    forget(front);
    kf_script_answers_clear(&front->answers);
    kf_buffer_clear(&front->record);
    kf_buffer_clear(&front->answer);
    kf_buffer_clear(&front->token);
    front->bench.keys = front->own_keys;
    bench_remove(&front->bench);
    test_vault_remove(&front->vault);
}

static void take(hostile_front *front)
{
    forget(front);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&front->answer));
    assert_int_equal(kf_procedure_message_take(&cursor, &front->message), KF_OK);
    if (front->message.record.size > 0) {
        kf_buffer_truncate(&front->record, 0);
        kf_buffer_append(&front->record, front->message.record);
    }
    kf_buffer_truncate(&front->token, 0);
    kf_buffer_append(&front->token, front->message.token);
}

static kf_code begin(hostile_front *front, const kf_procedure_request *request, kf_error *error)
{
    kf_begin_message message = {.request = *request,
                                .profile = kf_view_of_text(front->profile),
                                .record = kf_buffer_view(&front->record)};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_begin_message_put(&payload, &message);
    bench_power_on(&front->bench);
    KF_TRY(test_ask(&front->vault, KF_VAULT_PROCEDURE_BEGIN, &payload, &front->answer, error));
    take(front);
    return KF_OK;
}

/* The card's answers to the script at hand; the same message can be sent again. */
static void follow(hostile_front *front)
{
    kf_script_answers_clear(&front->answers);
    bench_follow(&front->bench, &front->message.script, &front->answers);
}

static kf_code advance(hostile_front *front, kf_error *error)
{
    kf_advance_message message = {.actor = {"host:counter", "00112233445566778899aabbccddeeff"},
                                  .step = front->message.step,
                                  .attempt = front->message.attempt,
                                  .token = kf_buffer_view(&front->token),
                                  .profile = kf_view_of_text(front->profile),
                                  .answers = front->answers,
                                  .looked_up = IDENTITY,
                                  .record = kf_buffer_view(&front->record)};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_advance_message_put(&payload, &message);
    KF_TRY(test_ask(&front->vault, KF_VAULT_PROCEDURE_ADVANCE, &payload, &front->answer, error));
    take(front);
    return KF_OK;
}

static kf_code run_request(hostile_front *front, const kf_procedure_request *request, kf_error *error)
{
    KF_TRY(begin(front, request, error));
    while (front->message.outcome == KF_PROCEDURE_CONTINUE) {
        follow(front);
        KF_TRY(advance(front, error));
    }
    return KF_OK;
}

static kf_procedure_request as(kf_operation operation, const char *category)
{
    kf_procedure_request request = request_of(operation);
    strcpy(request.category, category);
    return request;
}

static void fill(hostile_front *front)
{
    kf_error error = {KF_OK, ""};
    kf_procedure_request request = as(KF_OPERATION_FILL, CATEGORY);
    if (run_request(front, &request, &error) != KF_OK) fail_msg("%s", error.message);
    assert_int_equal(front->message.outcome, KF_PROCEDURE_DONE);
}

static void assert_policy(hostile_front *front, kf_operation operation, kf_code expected, const char *because)
{
    kf_error error = {KF_OK, ""};
    kf_procedure_request request = as(operation, CATEGORY);
    kf_code code = run_request(front, &request, &error);
    if (code != expected) fail_msg("%s: %s", kf_code_name(code), error.message);
    if (strstr(error.message, because) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, because);
}

static void a_profile_that_the_key_does_not_permit_is_refused_before_the_card_is_touched(void **state)
{
    (void)state;
    hostile_front front;
    const kf_key_policy policy = permitting(STRONG);
    make(&front, &policy, &any_profile);
    front.profile = WEAK;
    assert_policy(&front, KF_OPERATION_FILL, KF_ERR_KEY_POLICY, "does not permit profile weak");
    assert_int_equal(front.bench.sent, 0);
    /* Not its name, its digest: the same name with one byte more is another profile. */
    front.profile = STRONG " \n";
    assert_policy(&front, KF_OPERATION_FILL, KF_ERR_KEY_POLICY, "does not permit profile strong");
    front.profile = STRONG;
    fill(&front);
    remove_front(&front);
}

static void the_card_managers_key_has_a_say_too(void **state)
{
    (void)state;
    hostile_front front;
    const kf_key_policy policy = permitting(STRONG);
    make(&front, &any_profile, &policy);
    front.profile = WEAK;
    assert_policy(&front, KF_OPERATION_FILL, KF_ERR_KEY_POLICY, "card-manager/default/1 does not permit");
    assert_policy(&front, KF_OPERATION_CLEAR, KF_ERR_KEY_POLICY, "card-manager/default/1 does not permit");
    assert_policy(&front, KF_OPERATION_APP_LIST, KF_ERR_KEY_POLICY, "card-manager/default/1 does not permit");
    front.profile = STRONG;
    fill(&front);
    remove_front(&front);
}

static void a_lower_level_than_the_key_asks_for_is_refused(void **state)
{
    (void)state;
    hostile_front front;
    const kf_key_policy policy = {.least_level = 0x33};
    make(&front, &policy, &any_profile);
    front.profile = WEAK;
    assert_policy(&front, KF_OPERATION_FILL, KF_ERR_KEY_POLICY, "security level 0x33 at least");
    front.profile = LESS;
    assert_policy(&front, KF_OPERATION_FILL, KF_ERR_KEY_POLICY, "opens channels at 0x13");
    assert_int_equal(front.bench.sent, 0);
    front.profile = STRONG;
    fill(&front);
    remove_front(&front);
}

static void another_profile_between_two_messages_is_refused(void **state)
{
    (void)state;
    hostile_front front;
    kf_error error = {KF_OK, ""};
    make(&front, &any_profile, &any_profile);
    kf_procedure_request request = as(KF_OPERATION_FILL, CATEGORY);
    assert_int_equal(begin(&front, &request, &error), KF_OK);
    follow(&front);
    front.profile = WEAK;
    assert_int_equal(advance(&front, &error), KF_ERR_TOKEN);
    remove_front(&front);
}

/* The newer key permits what the older does not: a channel under the older stays as the older asks. */
static void an_older_keys_policy_holds_for_the_cards_that_still_have_it(void **state)
{
    (void)state;
    hostile_front front;
    const kf_key_policy policy = {.least_level = 0x33};
    make(&front, &policy, &any_profile);
    fill(&front);
    add_key(&front, KF_PURPOSE_PAYMENT, CATEGORY, &any_profile);
    front.profile = WEAK;
    assert_policy(&front, KF_OPERATION_REFILL, KF_ERR_KEY_POLICY, "payment/" CATEGORY "/1 asks for");
    assert_policy(&front, KF_OPERATION_CLEAR, KF_ERR_KEY_POLICY, "payment/" CATEGORY "/1 asks for");
    front.profile = STRONG;
    kf_error error = {KF_OK, ""};
    kf_procedure_request request = as(KF_OPERATION_REFILL, CATEGORY);
    if (run_request(&front, &request, &error) != KF_OK) fail_msg("%s", error.message);
    assert_int_equal(front.message.base_key_version, 2);
    remove_front(&front);
}

static void a_card_is_worked_on_in_its_own_category_only(void **state)
{
    (void)state;
    static const kf_operation operations[] = {KF_OPERATION_FILL, KF_OPERATION_REFILL, KF_OPERATION_CLEAR,
                                              KF_OPERATION_APP_LIST};
    hostile_front front;
    make(&front, &any_profile, &any_profile);
    add_key(&front, KF_PURPOSE_PAYMENT, "cn-south", &any_profile);
    add_key(&front, KF_PURPOSE_CARD_MANAGER, "cn-south", &any_profile);
    fill(&front);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        kf_error error = {KF_OK, ""};
        kf_procedure_request request = as(operations[i], "cn-south");
        assert_int_equal(run_request(&front, &request, &error), KF_ERR_CATEGORY);
        assert_non_null(strstr(error.message, "is of category " CATEGORY ", not cn-south"));
    }
    assert_card_key(&front.bench, NUMBER, 1);
    remove_front(&front);
}

static void a_profile_cannot_borrow_a_key_that_does_not_permit_it(void **state)
{
    (void)state;
    hostile_front front;
    kf_error error = {KF_OK, ""};
    const kf_key_policy policy = permitting(STRONG);
    make(&front, &any_profile, &any_profile);
    add_key_of(&front, KF_PURPOSE_CARD_MANAGER, "maker-b", FACTORY_KEY, &policy);
    bench_set_card(&front.bench, &(card_choice){.preloaded = true, .factory_keys = true});
    front.profile = NAMES_OTHERS_KEY;
    kf_procedure_request request = as(KF_OPERATION_FILL, CATEGORY);
    assert_int_equal(run_request(&front, &request, &error), KF_ERR_KEY_POLICY);
    assert_non_null(strstr(error.message, "card-manager/maker-b/1 does not permit profile factory"));
    assert_int_equal(front.record.size, 0);
    remove_front(&front);
}

static void a_key_of_another_purpose_stands_in_for_none(void **state)
{
    (void)state;
    hostile_front front;
    make(&front, &any_profile, &any_profile);
    add_key(&front, KF_PURPOSE_CARD_MANAGER, "only-cards", &any_profile);
    kf_error error = {KF_OK, ""};
    kf_procedure_request request = as(KF_OPERATION_FILL, "only-cards");
    assert_int_equal(run_request(&front, &request, &error), KF_ERR_NO_KEY);
    assert_non_null(strstr(error.message, "no payment base key"));
    remove_front(&front);
}

static void a_key_for_clear_values_opens_no_channel(void **state)
{
    (void)state;
    hostile_front front;
    kf_key_policy policy = permitting(STRONG);
    policy.clear_at_terminal = true;
    make(&front, &policy, &any_profile);
    assert_policy(&front, KF_OPERATION_FILL, KF_ERR_KEY_POLICY, "clear_at_terminal");
    assert_int_equal(front.bench.sent, 0);
    remove_front(&front);
}

/* Procedures open SCP03 alone, so that no card can talk a key down to less than its least channel. */
static void a_card_that_offers_a_lesser_channel_is_refused(void **state)
{
    (void)state;
    hostile_front front;
    kf_error error = {KF_OK, ""};
    const kf_key_policy policy = {.least_channel = KF_CHANNEL_SCP03};
    make(&front, &policy, &any_profile);
    kf_procedure_request request = as(KF_OPERATION_FILL, CATEGORY);
    assert_int_equal(begin(&front, &request, &error), KF_OK);
    follow(&front);
    size_t altered = 0;
    for (size_t i = 0; i < front.answers.count; i++) {
        kf_script_answer *answer = &front.answers.items[i];
        if (answer->response_size < 30 || answer->response[11] != 0x03) continue;
        /* An answer to INITIALIZE UPDATE as SCP02 has it: the protocol, and 28 bytes. */
        answer->response[11] = 0x02;
        answer->response[28] = 0x90;
        answer->response[29] = 0x00;
        answer->response_size = 30;
        altered++;
    }
    assert_true(altered > 0);
    kf_code code = advance(&front, &error);
    if (code != KF_ERR_CARD_UNSUITABLE || strstr(error.message, "SCP02") == NULL)
        fail_msg("%s: %s", kf_code_name(code), error.message);
    remove_front(&front);
}

static kf_code export_from(test_vault *vault, kf_buffer *answer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_key_export_request request = {.actor = {"kmu:north", ""}, .pair = "north", .after = 0, .limit = 64};
    kf_key_export_request_put(&payload, &request);
    return test_ask(vault, KF_VAULT_KEY_BLOCK_EXPORT, &payload, answer, error);
}

static void only_exportable_keys_leave_and_only_a_base_key_management_unit(void **state)
{
    (void)state;
    test_vault central;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_key_export_answer batch;
    const kf_key_entry *added = NULL;
    test_vault_make(&central, KF_VAULT_BKMU);
    kf_key_entry transport = transport_entry("north");
    kf_key_entry stays = payment_entry("stays");
    kf_key_entry leaves = payment_entry("leaves");
    stays.policy.exportable = false;
    leaves.policy.exportable = true;
    kf_key_store *keys = central.vault->keys;
    assert_int_equal(kf_key_store_add(keys, &transport, NULL, TEST_NOW_SECONDS, &added, &error), KF_OK);
    assert_int_equal(kf_key_store_add(keys, &stays, NULL, TEST_NOW_SECONDS, &added, &error), KF_OK);
    assert_int_equal(kf_key_store_add(keys, &leaves, NULL, TEST_NOW_SECONDS, &added, &error), KF_OK);
    if (export_from(&central, &answer, &error) != KF_OK) fail_msg("%s", error.message);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    assert_int_equal(kf_key_export_answer_take(&cursor, &batch), KF_OK);
    assert_int_equal(batch.count, 1);
    assert_string_equal(batch.messages[0].category, "leaves");
    test_vault_remove(&central);

    /* In a key management unit's table there is no such request: its vault ends. */
    test_vault unit;
    test_vault_make(&unit, KF_VAULT_KMU);
    assert_int_equal(export_from(&unit, &answer, &error), KF_ERR_MALFORMED);
    test_vault_remove(&unit);
}

/* -- derivations a minute -- */

static void use_cap(hostile_front *front, uint32_t limit)
{
    kf_derivation_cap *cap = NULL;
    cap_now = 1000;
    assert_int_equal(kf_derivation_cap_new(limit, cap_seconds, &cap, NULL), KF_OK);
    kf_key_store_cap_derivations(front->vault.vault->keys, cap);
    cap_now += 61;
}

/* A front that sends the same answers again and again gets no more keys computed than the minute has; the
 * refusal has a receipt, and the same message is taken later. */
static void a_front_that_asks_without_end_is_held_to_the_minute(void **state)
{
    (void)state;
    hostile_front front;
    kf_error error = {KF_OK, ""};
    make(&front, &any_profile, &any_profile);
    use_cap(&front, 100);
    kf_procedure_request request = as(KF_OPERATION_FILL, CATEGORY);
    kf_code code = KF_OK;
    unsigned contacts = 0;
    for (; code == KF_OK && contacts < 1000; contacts++) {
        kf_buffer_truncate(&front.record, 0);
        assert_int_equal(begin(&front, &request, &error), KF_OK);
        follow(&front);
        if (contacts > 0 || code == KF_OK) code = advance(&front, &error);
    }
    assert_int_equal(code, KF_ERR_RATE);
    assert_in_range(contacts, 10, 100);
    assert_non_null(strstr(error.message, "100 card keys"));
    uint64_t receipts = front.vault.vault->last_receipt;
    assert_int_equal(advance(&front, &error), KF_ERR_RATE);
    assert_int_equal(front.vault.vault->last_receipt, receipts + 1);
    cap_now += 61;
    assert_int_equal(advance(&front, &error), KF_OK);
    while (front.message.outcome == KF_PROCEDURE_CONTINUE) {
        follow(&front);
        if (advance(&front, &error) != KF_OK) fail_msg("%s", error.message);
    }
    assert_card_key(&front.bench, NUMBER, 1);
    remove_front(&front);
}

/* Whatever message the minute ends at: the card comes out as if it had not, and no generation is lost. */
static void a_minute_that_ends_in_the_middle_loses_nothing(void **state)
{
    (void)state;
    for (unsigned left = 0; left < 40; left++) {
        hostile_front front;
        kf_error error = {KF_OK, ""};
        make(&front, &any_profile, &any_profile);
        fill(&front);
        kf_procedure_request request = as(KF_OPERATION_REFILL, CATEGORY);
        /* The first refill breaks off with its key pending. */
        assert_int_equal(begin(&front, &request, &error), KF_OK);
        follow(&front);
        assert_int_equal(advance(&front, &error), KF_OK);
        kf_derivation_cap *cap = NULL;
        cap_now = 1000;
        assert_int_equal(kf_derivation_cap_new(600, cap_seconds, &cap, NULL), KF_OK);
        cap_now += 61;
        for (unsigned i = left; i < 600; i++)
            assert_int_equal(kf_derivation_cap_take(cap, NULL), KF_OK);
        kf_key_store_cap_derivations(front.vault.vault->keys, cap);
        assert_int_equal(begin(&front, &request, &error), KF_OK);
        while (front.message.outcome == KF_PROCEDURE_CONTINUE) {
            follow(&front);
            kf_code code = advance(&front, &error);
            if (code == KF_ERR_RATE) {
                cap_now += 61;
                code = advance(&front, &error);
            }
            if (code != KF_OK) fail_msg("%u left: %s", left, error.message);
        }
        assert_card_key(&front.bench, NUMBER, 2);
        remove_front(&front);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_that_the_key_does_not_permit_is_refused_before_the_card_is_touched),
        cmocka_unit_test(the_card_managers_key_has_a_say_too),
        cmocka_unit_test(a_lower_level_than_the_key_asks_for_is_refused),
        cmocka_unit_test(another_profile_between_two_messages_is_refused),
        cmocka_unit_test(an_older_keys_policy_holds_for_the_cards_that_still_have_it),
        cmocka_unit_test(a_card_is_worked_on_in_its_own_category_only),
        cmocka_unit_test(a_profile_cannot_borrow_a_key_that_does_not_permit_it),
        cmocka_unit_test(a_key_of_another_purpose_stands_in_for_none),
        cmocka_unit_test(a_key_for_clear_values_opens_no_channel),
        cmocka_unit_test(a_card_that_offers_a_lesser_channel_is_refused),
        cmocka_unit_test(only_exportable_keys_leave_and_only_a_base_key_management_unit),
        cmocka_unit_test(a_front_that_asks_without_end_is_held_to_the_minute),
        cmocka_unit_test(a_minute_that_ends_in_the_middle_loses_nothing),
    };
    return cmocka_run_group_tests_name("vault/hostile_front", tests, NULL, NULL);
}
