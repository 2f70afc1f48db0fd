#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/sim.h>

#include "procedure_card.h"
#include "softcard/file_system.h"
#include "softcard/registry.h"

static void assert_value(const test_bench *bench, const char *application, uint16_t tag, const char *text)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
    card_value(bench, application, tag, &value);
    assert_true(kf_view_equal(kf_buffer_view(&value), kf_view_of_text(text)));
}

static void assert_file(const test_bench *bench, size_t file, const char *text)
{
    softcard_state *state = card_state(bench);
    assert_memory_equal(state->files[file], text, strlen(text));
    assert_int_equal(state->files[file][strlen(text)], 0xFF);
    softcard_state_free(&state);
}

static void assert_number(const test_bench *bench, const char *number)
{
    softcard_state *state = card_state(bench);
    kf_msisdn msisdn;
    kf_view record = kf_view_of(state->files[SOFTCARD_EF_MSISDN], SOFTCARD_MSISDN_RECORD);
    assert_int_equal(kf_msisdn_decode(record, &msisdn), KF_OK);
    assert_string_equal(msisdn.number, number);
    softcard_state_free(&state);
}

static void a_fill_with_put_key_takes_four_messages(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_done_text(&bench, &request, "filled: number " NUMBER ", key generation 1", 4);
    assert_card_key(&bench, NUMBER, 1);
    assert_int_equal(bench.record.state, KF_CARD_FILLED);
    assert_string_equal(bench.record.number, NUMBER);
    assert_string_equal(bench.record.iccid, ICCID);
    assert_int_equal(bench.record.present.generation, 1);
    assert_int_equal(bench.record.pending.generation, 0);
    assert_int_equal(bench.record.sequence, 2);
    assert_refused(&bench, &request, KF_ERR_STATE, "ask for refill or clear");
    bench_remove(&bench);
}

static void a_fill_with_store_data_takes_three_messages(void **state)
{
    (void)state;
    test_bench bench;
    for (int tags = 0; tags < 2; tags++) {
        for (int order = 0; order < 2; order++) {
            profile_choice profile = {.injection = "store-data",
                                      .fields = tags ? TAG_FIELDS : NULL,
                                      .order = order ? "personalisation-first" : NULL};
            bench_make(&bench, &profile, NULL);
            kf_procedure_request request = request_of(KF_OPERATION_FILL);
            if (tags) request_field(&request, "plan", "5G-59");
            assert_done_text(&bench, &request, "filled: number " NUMBER, 3);
            assert_card_key(&bench, NUMBER, 1);
            if (tags) assert_value(&bench, DOMAIN_AID, 0x5F50, "5G-59");
            bench_remove(&bench);
        }
    }
}

static void a_fill_of_a_preloaded_domain_takes_three_messages(void **state)
{
    (void)state;
    test_bench bench;
    for (int factory = 0; factory < 2; factory++) {
        profile_choice profile = {
            .injection = "preloaded", .preloaded = factory ? "factory" : NULL, .modules = "[]"};
        card_choice card = {.preloaded = true, .factory_keys = factory != 0};
        bench_make(&bench, &profile, &card);
        kf_procedure_request request = request_of(KF_OPERATION_FILL);
        assert_done_text(&bench, &request, "filled: number " NUMBER, 3);
        assert_card_key(&bench, NUMBER, 1);
        bench_remove(&bench);
    }
}

static void a_preloaded_profile_needs_the_domain(void **state)
{
    (void)state;
    test_bench bench;
    profile_choice profile = {.injection = "preloaded", .modules = "[]"};
    bench_make(&bench, &profile, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &request, KF_ERR_CARD_UNSUITABLE, "as delivered");
    assert_false(bench.has_record);
    bench_remove(&bench);
}

static void the_number_is_written_and_read_back(void **state)
{
    (void)state;
    test_bench bench;
    for (int order = 0; order < 2; order++) {
        profile_choice profile = {.order = order ? "personalisation-first" : NULL};
        bench_make(&bench, &profile, NULL);
        kf_procedure_request request = request_of(KF_OPERATION_FILL);
        request.write_number = true;
        assert_done_text(&bench, &request, "filled", 4);
        assert_number(&bench, "+" NUMBER);
        assert_true(bench.record.number_written);
        bench_remove(&bench);
    }
}

static void a_wrong_administrative_code_stops_the_fill(void **state)
{
    (void)state;
    test_bench bench;
    card_choice card = {.no_adm = true};
    bench_make(&bench, NULL, &card);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    request.write_number = true;
    assert_refused(&bench, &request, KF_ERR_STATUS_WORD, "VERIFY ADM1");
    assert_key_is_nameable(&bench);
    for (int i = 0; i < 12; i++) {
        test_outcome outcome = run(&bench, &request);
        assert_int_not_equal(outcome.code, KF_OK);
        outcome_clear(&outcome);
    }
    softcard_state *card_now = card_state(&bench);
    assert_int_equal(card_now->pins[SOFTCARD_ADM1].tries_left, 1);
    softcard_state_free(&card_now);
    assert_refused(&bench, &request, KF_ERR_CARD_UNSUITABLE, "the last one is not used up");
    bench_remove(&bench);
}

static void personalisation_goes_to_the_domains_tags(void **state)
{
    (void)state;
    test_bench bench;
    for (int order = 0; order < 2; order++) {
        profile_choice profile = {.fields = TAG_FIELDS, .order = order ? "personalisation-first" : NULL};
        bench_make(&bench, &profile, NULL);
        kf_procedure_request request = request_of(KF_OPERATION_FILL);
        request_field(&request, "plan", "5G-59");
        request_field(&request, "customer", "4711");
        test_outcome outcome = run(&bench, &request);
        assert_int_equal(outcome.code, KF_OK);
        assert_string_equal(outcome.result.personalised, "plan,customer");
        assert_string_equal(outcome.result.kept, "");
        outcome_clear(&outcome);
        assert_value(&bench, DOMAIN_AID, 0x5F50, "5G-59");
        assert_value(&bench, DOMAIN_AID, 0x45, "4711");
        assert_card_key(&bench, NUMBER, 1);
        const char *labels = kf_buffer_text(&bench.labels);
        bool data_first = strstr(labels, "STORE DATA") < strstr(labels, "PUT KEY");
        assert_int_equal(data_first, order == 1);
        bench_remove(&bench);
    }
}

static void personalisation_goes_to_a_file(void **state)
{
    (void)state;
    test_bench bench;
    for (int order = 0; order < 2; order++) {
        profile_choice profile = {.fields = FILE_FIELDS, .order = order ? "personalisation-first" : NULL};
        bench_make(&bench, &profile, NULL);
        kf_procedure_request request = request_of(KF_OPERATION_FILL);
        request_field(&request, "plan", "5G-59");
        assert_done_text(&bench, &request, "filled", 4);
        assert_file(&bench, SOFTCARD_EF_OPERATOR, "5G-59");
        assert_string_equal(bench.record.personalised, "plan");
        const char *labels = kf_buffer_text(&bench.labels);
        bool data_first = strstr(labels, "UPDATE personalisation") < strstr(labels, "PUT KEY");
        assert_int_equal(data_first, order == 1);
        bench_remove(&bench);
    }
}

static void personalisation_goes_to_an_application_and_secrets_are_not_seen(void **state)
{
    (void)state;
    test_bench bench;
    for (int order = 0; order < 2; order++) {
        for (int injection = 0; injection < 2; injection++) {
            profile_choice profile = {.fields = APPLICATION_FIELDS,
                                      .injection = injection ? "store-data" : NULL,
                                      .order = order ? "personalisation-first" : NULL};
            card_choice card = {.applets = 1};
            bench_make(&bench, &profile, &card);
            kf_procedure_request request = request_of(KF_OPERATION_FILL);
            request_field(&request, "plan", "5G-59");
            assert_done(&bench, &request);
            assert_value(&bench, APPLET_AID, 0x0101, "5G-59");
            KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
            card_value(&bench, APPLET_AID, 0x8001, &value);
            assert_int_equal(value.size, 16);
            assert_false(seen(&bench, kf_buffer_view(&value)));
            assert_false(seen(&bench, kf_view_of_text("5G-59")));
            assert_card_key(&bench, NUMBER, 1);
            bench_remove(&bench);
        }
    }
}

static void a_secret_field_is_named_by_no_order(void **state)
{
    (void)state;
    test_bench bench;
    profile_choice profile = {.fields = APPLICATION_FIELDS};
    card_choice card = {.applets = 1};
    bench_make(&bench, &profile, &card);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    request_field(&request, "secret_value", "mine");
    assert_refused(&bench, &request, KF_ERR_FIELD, "secret_value");
    request = request_of(KF_OPERATION_FILL);
    request_field(&request, "unknown", "x");
    assert_refused(&bench, &request, KF_ERR_FIELD, "unknown");
    assert_int_equal(bench.sent, 0);
    bench_remove(&bench);
}

/* Fills a card whose personalisation is there already, as `personalise` says. */
static void fill_again(const char *fields, kf_personalise personalise, const char *value,
                       const char *personalised, const char *kept, const char *now_there)
{
    test_bench bench;
    profile_choice profile = {.fields = fields, .injection = "preloaded", .modules = "[]"};
    card_choice card = {.preloaded = true};
    bool tags = strstr(fields, "domain-tag") != NULL;
    bench_make(&bench, &profile, &card);
    softcard_state *made = card_state(&bench);
    if (tags)
        assert_int_equal(softcard_datum_set(&made->applications[1], 0x5F50, kf_view_of_text("old")), KF_OK);
    else
        memcpy(made->files[SOFTCARD_EF_OPERATOR], "old", 3);
    kf_buffer_truncate(&bench.saved, 0);
    assert_int_equal(softcard_state_write(made, &bench.saved), KF_OK);
    softcard_state_free(&made);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    request.personalise = personalise;
    request_field(&request, "plan", value);
    test_outcome outcome = run(&bench, &request);
    if (outcome.code != KF_OK) fail_msg("%s", outcome.error.message);
    assert_string_equal(outcome.result.personalised, personalised);
    if (kept != NULL) assert_string_equal(outcome.result.kept, kept);
    outcome_clear(&outcome);
    if (tags)
        assert_value(&bench, DOMAIN_AID, 0x5F50, now_there);
    else
        assert_file(&bench, SOFTCARD_EF_OPERATOR, now_there);
    bench_remove(&bench);
}

static void personalisation_that_is_there_is_kept_unless_the_order_says_otherwise(void **state)
{
    (void)state;
    fill_again(FILE_FIELDS, KF_PERSONALISE_IF_ABSENT, "new", "", "plan", "old");
    fill_again(FILE_FIELDS, KF_PERSONALISE_ALWAYS, "new", "plan", "", "new");
    fill_again(FILE_FIELDS, KF_PERSONALISE_NEVER, "new", "", NULL, "old");
    fill_again(TAG_FIELDS, KF_PERSONALISE_IF_ABSENT, "new", "", "plan", "old");
    fill_again(TAG_FIELDS, KF_PERSONALISE_ALWAYS, "new", "plan", "", "new");
    fill_again(TAG_FIELDS, KF_PERSONALISE_NEVER, "new", "", "plan", "old");
}

static void without_response_macs_the_new_keys_cryptogram_is_the_receipt(void **state)
{
    (void)state;
    static const char *const parameters[] = {"00", "10"};
    static const char *const written[] = {"81020300", "81020310"};
    for (size_t i = 0; i < 2; i++) {
        for (int injection = 0; injection < 2; injection++) {
            test_bench bench;
            profile_choice profile = {
                .level = "0x03", .parameters = written[i], .injection = injection ? "store-data" : NULL};
            card_choice card = {.parameter = parameters[i]};
            bench_make(&bench, &profile, &card);
            kf_procedure_request request = request_of(KF_OPERATION_FILL);
            assert_done_text(&bench, &request, "filled", injection ? 3 : 4);
            assert_card_key(&bench, NUMBER, 1);
            request = request_of(KF_OPERATION_REFILL);
            assert_done_text(&bench, &request, "refilled", 3);
            assert_card_key(&bench, NUMBER, 2);
            bench_remove(&bench);
        }
    }
}

static void a_profile_asks_no_more_of_a_card_than_it_offers(void **state)
{
    (void)state;
    test_bench bench;
    card_choice card = {.parameter = "00"};
    bench_make(&bench, NULL, &card);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &request, KF_ERR_CHANNEL, "");
    assert_false(bench.has_record);
    assert_int_equal(bench.sent, bench.in_contact);
    bench_remove(&bench);
}

static void the_module_that_the_card_has_is_found(void **state)
{
    (void)state;
    for (int injection = 0; injection < 2; injection++) {
        test_bench bench;
        profile_choice profile = {.injection = injection ? "store-data" : NULL,
                                  .modules = "[{load_file: A0000000035350, module: A000000003535041},"
                                             " {load_file: A0000001515350, module: A000000151535041}]"};
        bench_make(&bench, &profile, NULL);
        kf_procedure_request request = request_of(KF_OPERATION_FILL);
        assert_done_text(&bench, &request, "filled", injection ? 3 : 4);
        assert_card_key(&bench, NUMBER, 1);
        bench_remove(&bench);
        profile.modules = "[{load_file: A0000000035350, module: A000000003535041}]";
        bench_make(&bench, &profile, NULL);
        assert_refused(&bench, &request, KF_ERR_STATUS_WORD, "INSTALL security domain");
        assert_no_domain(&bench);
        bench_remove(&bench);
    }
}

static void what_cannot_be_written_is_found_before_the_card_is_touched(void **state)
{
    (void)state;
    test_bench bench;
    profile_choice profile = {.fields = "[{field: plan, place: sim-file, path: 7F106F99}]"};
    bench_make(&bench, &profile, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    request_field(&request, "plan", "5G-59");
    assert_refused(&bench, &request, KF_ERR_CARD_UNSUITABLE, "no file for personalisation plan");
    assert_false(bench.has_record);
    bench_remove(&bench);
    char text[100];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    profile.fields = FILE_FIELDS;
    bench_make(&bench, &profile, NULL);
    request = request_of(KF_OPERATION_FILL);
    request_field(&request, "plan", text);
    assert_refused(&bench, &request, KF_ERR_TOO_LONG, "plan has 99 bytes");
    assert_false(bench.has_record);
    bench_remove(&bench);
}

static void a_card_of_other_keys_gets_nothing_beyond_the_contact(void **state)
{
    (void)state;
    test_bench bench;
    card_choice card = {.published_keys = true};
    bench_make(&bench, NULL, &card);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &request, KF_ERR_CRYPTOGRAM, "imitates");
    assert_false(bench.has_record);
    assert_int_equal(bench.sent, bench.in_contact);
    assert_null(strstr(kf_buffer_text(&bench.labels), "AUTHENTICATE"));
    bench_remove(&bench);
}

static void card_manager_keys_that_all_cards_share_need_development(void **state)
{
    (void)state;
    static const char *const templates[] = {"none()", "sp800-108-aes(role,'01')"};
    for (size_t i = 0; i < 2; i++) {
        test_bench bench;
        card_choice card = {.published_keys = true};
        bench_make(&bench, NULL, &card);
        (void)bench_add_key(&bench, KF_PURPOSE_CARD_MANAGER, CATEGORY, templates[i],
                            "404142434445464748494A4B4C4D4E4F");
        kf_procedure_request request = request_of(KF_OPERATION_FILL);
        assert_refused(&bench, &request, KF_ERR_KEY_POLICY, "development");
        assert_false(bench.has_record);
        bench.development = true;
        if (i == 0) {
            assert_done(&bench, &request);
            assert_card_key(&bench, NUMBER, 1);
        }
        bench_remove(&bench);
    }
}

static void a_key_of_another_size_than_the_profiles_is_refused(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    (void)bench_add_key(&bench, KF_PURPOSE_PAYMENT, "large", PAYMENT_TEMPLATE, PAYMENT_KEY PAYMENT_KEY);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    strcpy(request.category, "large");
    assert_refused(&bench, &request, KF_ERR_PROFILE, "32");
    request = request_of(KF_OPERATION_FILL);
    strcpy(request.category, "nowhere");
    assert_refused(&bench, &request, KF_ERR_NO_KEY, "nowhere");
    request = request_of(KF_OPERATION_FILL);
    request.number[0] = '\0';
    assert_refused(&bench, &request, KF_ERR_FIELD, "number");
    bench_remove(&bench);
}

static void generations_go_on_from_the_numbers_highest(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    request.generation_floor = 7;
    assert_done_text(&bench, &request, "generation 8", 4);
    assert_card_key(&bench, NUMBER, 8);
    bench_remove(&bench);
    bench_make(&bench, NULL, NULL);
    request.generation_floor = UINT32_MAX;
    assert_refused(&bench, &request, KF_ERR_STATE, "no generations left");
    bench_remove(&bench);
}

/* Keys that nobody here made. */
static void a_domain_with_a_foreign_key_is_left_untouched(void **state)
{
    (void)state;
    test_bench bench;
    card_choice card = {.preloaded = true, .domain_keys = "000102030405060708090A0B0C0D0E0F"};
    bench_make(&bench, NULL, &card);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &request, KF_ERR_CRYPTOGRAM, "not on record");
    assert_int_equal(bench.sent, bench.in_contact);
    assert_false(bench.has_record);
    bench_remove(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fill_with_put_key_takes_four_messages),
        cmocka_unit_test(a_fill_with_store_data_takes_three_messages),
        cmocka_unit_test(a_fill_of_a_preloaded_domain_takes_three_messages),
        cmocka_unit_test(a_preloaded_profile_needs_the_domain),
        cmocka_unit_test(the_number_is_written_and_read_back),
        cmocka_unit_test(a_wrong_administrative_code_stops_the_fill),
        cmocka_unit_test(personalisation_goes_to_the_domains_tags),
        cmocka_unit_test(personalisation_goes_to_a_file),
        cmocka_unit_test(personalisation_goes_to_an_application_and_secrets_are_not_seen),
        cmocka_unit_test(a_secret_field_is_named_by_no_order),
        cmocka_unit_test(personalisation_that_is_there_is_kept_unless_the_order_says_otherwise),
        cmocka_unit_test(without_response_macs_the_new_keys_cryptogram_is_the_receipt),
        cmocka_unit_test(a_profile_asks_no_more_of_a_card_than_it_offers),
        cmocka_unit_test(the_module_that_the_card_has_is_found),
        cmocka_unit_test(what_cannot_be_written_is_found_before_the_card_is_touched),
        cmocka_unit_test(a_card_of_other_keys_gets_nothing_beyond_the_contact),
        cmocka_unit_test(card_manager_keys_that_all_cards_share_need_development),
        cmocka_unit_test(a_key_of_another_size_than_the_profiles_is_refused),
        cmocka_unit_test(generations_go_on_from_the_numbers_highest),
        cmocka_unit_test(a_domain_with_a_foreign_key_is_left_untouched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
