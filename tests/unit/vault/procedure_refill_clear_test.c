#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/sim.h>

#include "procedure_card.h"
#include "softcard/file_system.h"
#include "softcard/registry.h"

static kf_buffer copy_of(const kf_buffer *buffer)
{
    kf_buffer copy = KF_BUFFER_INIT;
    kf_buffer_append(&copy, kf_buffer_view(buffer));
    return copy;
}

/* Counters move with every INITIALIZE UPDATE; keys, data and content do not. */
static void assert_untouched(const kf_buffer *before, const test_bench *bench)
{
    softcard_state *then = NULL;
    assert_int_equal(softcard_state_read(kf_buffer_view(before), &then, NULL), KF_OK);
    softcard_state *now = card_state(bench);
    for (size_t i = 0; i < then->application_count; i++)
        for (size_t j = 0; j < then->applications[i].key_set_count; j++) {
            then->applications[i].key_sets[j].sequence_counter = 0;
            now->applications[i].key_sets[j].sequence_counter = 0;
        }
    KF_CLEANUP(kf_buffer_clear) kf_buffer left = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer right = KF_BUFFER_INIT;
    assert_int_equal(softcard_state_write(then, &left), KF_OK);
    assert_int_equal(softcard_state_write(now, &right), KF_OK);
    assert_true(kf_view_equal(kf_buffer_view(&left), kf_buffer_view(&right)));
    softcard_state_free(&then);
    softcard_state_free(&now);
}

/* Somebody else's key in the card's domain. */
static void replace_card_key(test_bench *bench)
{
    softcard_state *state = card_state(bench);
    softcard_application *domain = &state->applications[state->application_count - 1];
    assert_int_equal(domain->kind, SOFTCARD_DOMAIN);
    for (size_t i = 0; i < domain->key_sets[0].key_count; i++)
        kf_secret_expose_writable(domain->key_sets[0].keys[i].value)[0] ^= 1;
    kf_buffer_truncate(&bench->saved, 0);
    assert_int_equal(softcard_state_write(state, &bench->saved), KF_OK);
    softcard_state_free(&state);
}

static void a_refill_proves_the_present_key_and_writes_the_next(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    assert_done_text(&bench, &request, "refilled: number " NUMBER ", key generation 2", 3);
    assert_card_key(&bench, NUMBER, 2);
    assert_int_equal(bench.record.state, KF_CARD_FILLED);
    assert_int_equal(bench.record.present.generation, 2);
    assert_int_equal(bench.record.previous.generation, 1);
    assert_int_equal(bench.record.pending.generation, 0);
    assert_done_text(&bench, &request, "generation 3", 3);
    assert_card_key(&bench, NUMBER, 3);
    bench_remove(&bench);
}

static void a_refill_goes_on_to_a_new_base_key(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    (void)bench_add_key(&bench, KF_PURPOSE_PAYMENT, CATEGORY, PAYMENT_TEMPLATE,
                        "D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4");
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    assert_done(&bench, &request);
    assert_int_equal(bench.record.present.base_key_version, 2);
    assert_done(&bench, &request);
    assert_int_equal(bench.record.present.generation, 3);
    bench_remove(&bench);
}

static void a_card_whose_key_does_not_verify_is_left_untouched(void **state)
{
    (void)state;
    static const kf_operation operations[] = {KF_OPERATION_REFILL, KF_OPERATION_CLEAR};
    for (size_t i = 0; i < 2; i++) {
        test_bench bench;
        bench_make(&bench, NULL, NULL);
        fill_card(&bench);
        replace_card_key(&bench);
        KF_CLEANUP(kf_buffer_clear) kf_buffer before = copy_of(&bench.saved);
        kf_card_record record = bench.record;
        kf_procedure_request request = request_of(operations[i]);
        assert_refused(&bench, &request, KF_ERR_CRYPTOGRAM, "untouched");
        assert_int_equal(bench.sent, bench.in_contact);
        assert_untouched(&before, &bench);
        assert_int_equal(bench.record.sequence, record.sequence);
        assert_int_equal(bench.record.state, KF_CARD_FILLED);
        bench_remove(&bench);
    }
}

static void a_refill_is_for_a_filled_card(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    assert_refused(&bench, &request, KF_ERR_STATE, "not on record");
    fill_card(&bench);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_done(&bench, &clear);
    assert_refused(&bench, &request, KF_ERR_STATE, "a blank card is filled");
    bench_remove(&bench);
}

static void a_suspended_key_proves_no_card_and_is_named(void **state)
{
    (void)state;
    test_bench bench;
    kf_error error = {0};
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    const kf_key_entry *entry = kf_key_store_find(bench.keys, KF_PURPOSE_PAYMENT, CATEGORY, 1, 0);
    assert_int_equal(kf_key_store_set_state(bench.keys, entry, KF_KEY_SUSPENDED, &entry, &error), KF_OK);
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    assert_refused(&bench, &request, KF_ERR_KEY_POLICY, "suspended");
    assert_int_equal(bench.record.state, KF_CARD_FILLED);
    bench_remove(&bench);
}

static void a_profile_that_names_another_domain_touches_no_filled_card(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    bench.profile.domain.bytes[9] ^= 1;
    kf_procedure_request request = request_of(KF_OPERATION_CLEAR);
    assert_refused(&bench, &request, KF_ERR_PROFILE, "another security domain");
    assert_int_equal(bench.record.state, KF_CARD_FILLED);
    bench_remove(&bench);
}

static void a_clear_of_a_blank_card_ends_at_once(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    KF_CLEANUP(kf_buffer_clear) kf_buffer before = copy_of(&bench.saved);
    kf_procedure_request request = request_of(KF_OPERATION_CLEAR);
    assert_done_text(&bench, &request, "the card was blank", 2);
    assert_int_equal(bench.sent, bench.in_contact);
    assert_false(bench.has_record);
    assert_untouched(&before, &bench);
    bench_remove(&bench);
}

static void a_clear_takes_the_key_and_everything_that_was_written(void **state)
{
    (void)state;
    test_bench bench;
    profile_choice profile = {.fields = "[{field: plan, place: domain-tag, tag: 0x5F50},"
                                        " {field: note, place: sim-file, path: 7F106FE1},"
                                        " {field: data, place: application, application: " APPLET_AID
                                        ", dgi: 0x0101}]"};
    card_choice card = {.applets = 1};
    bench_make(&bench, &profile, &card);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    request.write_number = true;
    request_field(&request, "plan", "5G-59");
    request_field(&request, "note", "hello");
    request_field(&request, "data", "4711");
    assert_done(&bench, &request);
    assert_string_equal(bench.record.personalised, "plan,data,note");

    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_done_text(&bench, &clear, "cleared: key and personalisation of number " NUMBER, 3);
    assert_no_domain(&bench);
    softcard_state *now = card_state(&bench);
    for (size_t i = 0; i < SOFTCARD_MSISDN_RECORD; i++)
        assert_int_equal(now->files[SOFTCARD_EF_MSISDN][i], 0xFF);
    for (size_t i = 0; i < SOFTCARD_OPERATOR_SIZE; i++)
        assert_int_equal(now->files[SOFTCARD_EF_OPERATOR][i], 0xFF);
    softcard_state_free(&now);
    KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
    card_value(&bench, APPLET_AID, 0x0101, &value);
    assert_int_equal(value.size, 0);
    assert_int_equal(bench.record.state, KF_CARD_BLANK);
    assert_string_equal(bench.record.number, "");
    assert_string_equal(bench.record.personalised, "");
    assert_false(bench.record.number_written);
    assert_int_equal(bench.record.previous.generation, 1);

    assert_done_text(&bench, &clear, "the card was blank", 2);
    request = request_of(KF_OPERATION_FILL);
    strcpy(request.number, OTHER_NUMBER);
    assert_done_text(&bench, &request, "filled: number " OTHER_NUMBER ", key generation 2", 4);
    assert_card_key(&bench, OTHER_NUMBER, 2);
    bench_remove(&bench);
}

/* The front did not find the record by what the card reports: it is asked for by identity. */
static void a_record_is_found_by_the_identity_that_is_proven(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    request.write_number = true;
    assert_done(&bench, &request);
    kf_card_record kept = bench.record;
    /* What the identifiers lead to is another card's record. */
    strcpy(bench.record.identity, "kdd:FFFFFFFFFFFFFFFFFFFF");
    bench.record.number_written = false;
    request = request_of(KF_OPERATION_CLEAR);
    bench.lookup = &kept;
    test_outcome outcome = run(&bench, &request);
    assert_int_equal(outcome.code, KF_ERR_CARD_UNSUITABLE);
    outcome_clear(&outcome);
    /* Nothing was found at all: then the number's file is looked at in case. */
    bench.has_record = false;
    bench.lookup = &kept;
    outcome = run(&bench, &request);
    if (outcome.code != KF_OK) fail_msg("%s", outcome.error.message);
    outcome_clear(&outcome);
    assert_no_domain(&bench);
    bench_remove(&bench);
}

static void another_cards_record_is_refused(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    kf_card_record other = bench.record;
    strcpy(other.identity, "kdd:FFFFFFFFFFFFFFFFFFFF");
    bench.has_record = false;
    bench.lookup = &other;
    bench.lookup_lies = true;
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_refused(&bench, &clear, KF_ERR_RECORD, "is that of card kdd:FFFF");
    bench_remove(&bench);
}

static void a_preloaded_domain_gets_its_first_keys_back(void **state)
{
    (void)state;
    for (int factory = 0; factory < 2; factory++) {
        for (int level = 0; level < 2; level++) {
            test_bench bench;
            profile_choice profile = {.injection = "preloaded",
                                      .preloaded = factory ? "factory" : NULL,
                                      .modules = "[]",
                                      .level = level ? "0x03" : NULL,
                                      .fields = TAG_FIELDS};
            card_choice card = {
                .preloaded = true, .factory_keys = factory != 0, .parameter = level ? "10" : NULL};
            bench_make(&bench, &profile, &card);
            kf_procedure_request fill = request_of(KF_OPERATION_FILL);
            request_field(&fill, "plan", "5G-59");
            assert_done(&bench, &fill);
            kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
            bool proven = level == 0 || factory != 0;
            assert_done_text(&bench, &clear, proven ? "cleared" : "officer", 3);
            assert_int_equal(bench.record.state, proven ? KF_CARD_BLANK : KF_CARD_UNKNOWN);
            KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
            card_value(&bench, DOMAIN_AID, 0x5F50, &value);
            assert_int_equal(value.size, 0);
            if (proven) {
                assert_done_text(&bench, &clear, "the card was blank", 2);
                assert_done_text(&bench, &fill, "generation 2", 3);
                assert_card_key(&bench, NUMBER, 2);
            }
            bench_remove(&bench);
        }
    }
}

static void without_response_macs_a_clear_leaves_the_card_unknown(void **state)
{
    (void)state;
    test_bench bench;
    profile_choice profile = {.level = "0x03", .parameters = "81020310"};
    card_choice card = {.parameter = "10"};
    bench_make(&bench, &profile, &card);
    fill_card(&bench);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_done_text(&bench, &clear, "until an officer confirms", 3);
    assert_no_domain(&bench);
    assert_int_equal(bench.record.state, KF_CARD_UNKNOWN);
    assert_int_equal(bench.record.present.generation, 1);
    assert_string_equal(bench.record.number, NUMBER);
    kf_procedure_request fill = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &fill, KF_ERR_STATE, "unknown");
    bench_remove(&bench);
}

static void a_domain_that_is_hidden_is_not_forgotten(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    bench.alter = bench_hide_domain;
    assert_refused(&bench, &clear, KF_ERR_STATE, "hides");
    assert_int_equal(bench.record.state, KF_CARD_CLEARING);
    assert_int_equal(bench.record.present.generation, 1);
    assert_key_is_nameable(&bench);
    assert_done_text(&bench, &clear, "cleared", 3);
    assert_no_domain(&bench);
    bench_remove(&bench);
}

/* With nothing installed the card has no list, so no MAC: the probe shows it. */
static void an_empty_list_proves_nothing_and_the_probe_does(void **state)
{
    (void)state;
    for (unsigned applets = 0; applets < 2; applets++) {
        test_bench bench;
        card_choice card = {.applets = applets};
        bench_make(&bench, NULL, &card);
        fill_card(&bench);
        kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
        /* Power goes right after the domain was deleted. */
        bench.tear_label = "DELETE security domain";
        assert_refused(&bench, &clear, KF_ERR_CARD_REMOVED, "DELETE");
        assert_no_domain(&bench);
        assert_int_equal(bench.record.state, KF_CARD_CLEARING);
        assert_done_text(&bench, &clear, "cleared", applets == 0 ? 4 : 3);
        assert_no_domain(&bench);
        assert_int_equal(bench.record.state, KF_CARD_BLANK);
        bench_remove(&bench);
    }
}

static void a_domain_that_is_not_ours_is_not_deleted(void **state)
{
    (void)state;
    test_bench bench;
    card_choice card = {.preloaded = true};
    bench_make(&bench, NULL, &card);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_refused(&bench, &clear, KF_ERR_STATE, "no fill of ours");
    assert_int_equal(bench.sent, bench.in_contact);
    bench_remove(&bench);
}

/* An application that the customer had removed has nothing to erase any more. */
static void a_clear_passes_over_an_application_that_is_gone(void **state)
{
    (void)state;
    test_bench bench;
    profile_choice profile = {.fields = APPLICATION_FIELDS};
    card_choice card = {.applets = 1};
    bench_make(&bench, &profile, &card);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    request_field(&request, "plan", "5G-59");
    assert_done(&bench, &request);
    softcard_state *now = card_state(&bench);
    softcard_application_remove(now, &now->applications[1]);
    kf_buffer_truncate(&bench.saved, 0);
    assert_int_equal(softcard_state_write(now, &bench.saved), KF_OK);
    softcard_state_free(&now);
    request = request_of(KF_OPERATION_CLEAR);
    assert_done_text(&bench, &request, "cleared", 3);
    bench_remove(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refill_proves_the_present_key_and_writes_the_next),
        cmocka_unit_test(a_refill_goes_on_to_a_new_base_key),
        cmocka_unit_test(a_card_whose_key_does_not_verify_is_left_untouched),
        cmocka_unit_test(a_refill_is_for_a_filled_card),
        cmocka_unit_test(a_suspended_key_proves_no_card_and_is_named),
        cmocka_unit_test(a_profile_that_names_another_domain_touches_no_filled_card),
        cmocka_unit_test(a_clear_of_a_blank_card_ends_at_once),
        cmocka_unit_test(a_clear_takes_the_key_and_everything_that_was_written),
        cmocka_unit_test(a_record_is_found_by_the_identity_that_is_proven),
        cmocka_unit_test(another_cards_record_is_refused),
        cmocka_unit_test(a_preloaded_domain_gets_its_first_keys_back),
        cmocka_unit_test(without_response_macs_a_clear_leaves_the_card_unknown),
        cmocka_unit_test(a_domain_that_is_hidden_is_not_forgotten),
        cmocka_unit_test(an_empty_list_proves_nothing_and_the_probe_does),
        cmocka_unit_test(a_domain_that_is_not_ours_is_not_deleted),
        cmocka_unit_test(a_clear_passes_over_an_application_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
