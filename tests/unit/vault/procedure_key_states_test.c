/* What a base key may still do in each state of SP 800-57, at cards and in the middle of requests. */
#include <string.h>

#include "procedure_card.h"

#define SECOND_KEY "D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4"
#define THIRD_KEY "E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5"

static void set_state(test_bench *bench, uint32_t version, kf_key_state state)
{
    kf_error error = {0};
    const kf_key_entry *entry = kf_key_store_find(bench->keys, KF_PURPOSE_PAYMENT, CATEGORY, version, 0);
    assert_non_null(entry);
    if (kf_key_store_set_state(bench->keys, entry, state, &entry, &error) != KF_OK)
        fail_msg("%s", error.message);
}

static void add_payment_key(test_bench *bench, const char *key)
{
    (void)bench_add_key(bench, KF_PURPOSE_PAYMENT, CATEGORY, PAYMENT_TEMPLATE, key);
}

static void assert_filled(const test_bench *bench, uint32_t version, uint32_t generation)
{
    assert_int_equal(bench->record.state, KF_CARD_FILLED);
    assert_int_equal(bench->record.present.base_key_version, version);
    assert_int_equal(bench->record.present.generation, generation);
    assert_int_equal(bench->record.pending.generation, 0);
}

static void a_suspended_key_fills_nothing_and_proves_nothing(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    set_state(&bench, 1, KF_KEY_SUSPENDED);
    kf_procedure_request fill = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &fill, KF_ERR_NO_KEY, "no payment base key in force");
    assert_int_equal(bench.sent, 0);
    set_state(&bench, 1, KF_KEY_ACTIVE);
    fill_card(&bench);
    set_state(&bench, 1, KF_KEY_SUSPENDED);
    add_payment_key(&bench, SECOND_KEY);
    kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_refused(&bench, &refill, KF_ERR_KEY_POLICY, "payment/" CATEGORY "/1 is suspended");
    assert_int_equal(bench.sent, bench.in_contact);
    assert_refused(&bench, &clear, KF_ERR_KEY_POLICY, "payment/" CATEGORY "/1 is suspended");
    assert_filled(&bench, 1, 1);
    set_state(&bench, 1, KF_KEY_ACTIVE);
    assert_done(&bench, &refill);
    assert_filled(&bench, 2, 2);
    bench_remove(&bench);
}

static void a_deactivated_key_proves_and_writes_nothing_new(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    set_state(&bench, 1, KF_KEY_DEACTIVATED);
    kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    kf_procedure_request fill = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &refill, KF_ERR_NO_KEY, "no payment base key in force");
    assert_filled(&bench, 1, 1);
    assert_done(&bench, &clear);
    assert_refused(&bench, &fill, KF_ERR_NO_KEY, "no payment base key in force");
    add_payment_key(&bench, SECOND_KEY);
    assert_done(&bench, &fill);
    assert_filled(&bench, 2, 2);
    bench_remove(&bench);
}

static void a_refill_leads_from_a_deactivated_key_to_the_new_one(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    set_state(&bench, 1, KF_KEY_DEACTIVATED);
    add_payment_key(&bench, SECOND_KEY);
    kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
    assert_done_text(&bench, &refill, "key generation 2", 3);
    assert_filled(&bench, 2, 2);
    bench_remove(&bench);
}

/* Two rotations while the card was away: it never had a key of version 2. */
static void a_refill_skips_a_version(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    add_payment_key(&bench, SECOND_KEY);
    set_state(&bench, 1, KF_KEY_DEACTIVATED);
    add_payment_key(&bench, THIRD_KEY);
    set_state(&bench, 2, KF_KEY_DEACTIVATED);
    kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
    assert_done_text(&bench, &refill, "key generation 2", 3);
    assert_filled(&bench, 3, 2);
    set_state(&bench, 1, KF_KEY_DESTROYED);
    set_state(&bench, 2, KF_KEY_DESTROYED);
    assert_done_text(&bench, &refill, "key generation 3", 3);
    assert_filled(&bench, 3, 3);
    bench_remove(&bench);
}

static void a_destroyed_key_is_gone(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    add_payment_key(&bench, SECOND_KEY);
    set_state(&bench, 1, KF_KEY_DESTROYED);
    kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_refused(&bench, &refill, KF_ERR_KEY_POLICY, "payment/" CATEGORY "/1 is destroyed");
    assert_refused(&bench, &clear, KF_ERR_KEY_POLICY, "payment/" CATEGORY "/1 is destroyed");
    assert_filled(&bench, 1, 1);
    bench_remove(&bench);
}

/* -- while a request runs -- */

static struct change {
    unsigned message;
    kf_key_state state;
    const char *next; /* key of the version after it; NULL: none */
} change;

static void change_state(test_bench *bench, unsigned message, const kf_script *script,
                         kf_script_answers *answers)
{
    (void)script;
    (void)answers;
    if (message != change.message) return;
    if (change.next != NULL) add_payment_key(bench, change.next);
    set_state(bench, 1, change.state);
}

/* What was begun under a key is finished: a rotation breaks no request that runs. */
static void a_rotation_breaks_no_running_fill(void **state)
{
    (void)state;
    for (unsigned message = 1; message <= 3; message++) {
        test_bench bench;
        bench_make(&bench, NULL, NULL);
        change = (struct change){message, KF_KEY_DEACTIVATED, SECOND_KEY};
        bench.alter = change_state;
        kf_procedure_request fill = request_of(KF_OPERATION_FILL);
        assert_done(&bench, &fill);
        assert_filled(&bench, message == 1 ? 2 : 1, 1);
        kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
        assert_done(&bench, &refill);
        assert_filled(&bench, 2, 2);
        bench_remove(&bench);
    }
}

static void a_suspension_stops_a_running_fill_until_it_ends(void **state)
{
    (void)state;
    for (unsigned message = 1; message <= 3; message++) {
        test_bench bench;
        bench_make(&bench, NULL, NULL);
        change = (struct change){message, KF_KEY_SUSPENDED, NULL};
        bench.alter = change_state;
        kf_procedure_request fill = request_of(KF_OPERATION_FILL);
        assert_refused(&bench, &fill, message == 1 ? KF_ERR_NO_KEY : KF_ERR_KEY_POLICY, "");
        add_payment_key(&bench, SECOND_KEY);
        if (message > 1) assert_refused(&bench, &fill, KF_ERR_KEY_POLICY, "suspended");
        set_state(&bench, 1, KF_KEY_ACTIVE);
        assert_done(&bench, &fill);
        assert_filled(&bench, message == 1 ? 2 : 1, 1);
        bench_remove(&bench);
    }
}

/* -- after a tear -- */

/* The fill broke off before or after its key was written; then the base key was rotated. */
static void a_broken_fill_goes_on_after_a_rotation(void **state)
{
    (void)state;
    static const char *const injections[] = {"put-key", "store-data"};
    for (size_t i = 0; i < 2; i++) {
        profile_choice profile = {.injection = injections[i]};
        for (uint64_t at = 4; at <= 10; at++) {
            test_bench bench;
            bench_make(&bench, &profile, NULL);
            kf_procedure_request fill = request_of(KF_OPERATION_FILL);
            bench.tear_at = at;
            bench.tear_after = true;
            test_outcome outcome = run(&bench, &fill);
            bool done = outcome.code == KF_OK;
            outcome_clear(&outcome);
            add_payment_key(&bench, SECOND_KEY);
            set_state(&bench, 1, KF_KEY_DEACTIVATED);
            if (!done) assert_done(&bench, &fill);
            assert_int_equal(bench.record.state, KF_CARD_FILLED);
            kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
            assert_done(&bench, &refill);
            assert_int_equal(bench.record.present.base_key_version, 2);
            bench_remove(&bench);
        }
    }
}

static void a_key_that_is_given_up_is_not_forgotten(void **state)
{
    (void)state;
    static const kf_operation ends[] = {KF_OPERATION_FILL, KF_OPERATION_CLEAR};
    for (size_t i = 0; i < 2; i++) {
        test_bench bench;
        bench_make(&bench, NULL, NULL);
        kf_procedure_request fill = request_of(KF_OPERATION_FILL);
        bench.tear_label = "PUT KEY";
        assert_refused(&bench, &fill, KF_ERR_CARD_REMOVED, "");
        add_payment_key(&bench, SECOND_KEY);
        set_state(&bench, 1, KF_KEY_DEACTIVATED);
        bench.alter = bench_hide_domain;
        test_outcome outcome = run(&bench, &fill);
        assert_int_not_equal(outcome.code, KF_OK);
        outcome_clear(&outcome);
        assert_int_equal(bench.record.pending.base_key_version, 2);
        assert_int_equal(bench.record.previous.base_key_version, 1);
        kf_procedure_request end = request_of(ends[i]);
        assert_done(&bench, &end);
        if (ends[i] == KF_OPERATION_FILL)
            assert_filled(&bench, 2, 2);
        else
            assert_no_domain(&bench);
        bench_remove(&bench);
    }
}

/* The refill broke off; then the version that it led to was deactivated, or suspended. */
static void a_broken_refill_goes_on_after_a_rotation(void **state)
{
    (void)state;
    static const kf_key_state states[] = {KF_KEY_DEACTIVATED, KF_KEY_SUSPENDED};
    for (size_t i = 0; i < 2; i++) {
        for (int written = 0; written < 2; written++) {
            test_bench bench;
            bench_make(&bench, NULL, NULL);
            fill_card(&bench);
            add_payment_key(&bench, SECOND_KEY);
            kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
            bench.tear_label = written ? "PUT KEY" : "EXTERNAL AUTHENTICATE";
            assert_refused(&bench, &refill, KF_ERR_CARD_REMOVED, "");
            add_payment_key(&bench, THIRD_KEY);
            set_state(&bench, 2, states[i]);
            if (written && states[i] == KF_KEY_SUSPENDED) {
                assert_refused(&bench, &refill, KF_ERR_KEY_POLICY, "/2 is suspended");
                set_state(&bench, 2, KF_KEY_ACTIVE);
            }
            assert_done(&bench, &refill);
            assert_filled(&bench, written ? 2 : 3, written ? 2 : 3);
            assert_done(&bench, &refill);
            assert_filled(&bench, 3, bench.record.last_generation);
            bench_remove(&bench);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_suspended_key_fills_nothing_and_proves_nothing),
        cmocka_unit_test(a_deactivated_key_proves_and_writes_nothing_new),
        cmocka_unit_test(a_refill_leads_from_a_deactivated_key_to_the_new_one),
        cmocka_unit_test(a_refill_skips_a_version),
        cmocka_unit_test(a_destroyed_key_is_gone),
        cmocka_unit_test(a_rotation_breaks_no_running_fill),
        cmocka_unit_test(a_suspension_stops_a_running_fill_until_it_ends),
        cmocka_unit_test(a_broken_fill_goes_on_after_a_rotation),
        cmocka_unit_test(a_key_that_is_given_up_is_not_forgotten),
        cmocka_unit_test(a_broken_refill_goes_on_after_a_rotation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
