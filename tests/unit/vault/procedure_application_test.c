#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "procedure_card.h"
#include "test_module.h"

#define PACKAGE TEST_MODULE_PACKAGE
#define PACKAGE_APPLET TEST_MODULE_APPLET

static kf_cap_file *module_of(const char *package)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    test_module_bytes(package, &bytes);
    kf_cap_file *module = NULL;
    kf_error error = {0};
    if (kf_cap_file_parse(kf_buffer_view(&bytes), &module, &error) != KF_OK) fail_msg("%s", error.message);
    return module;
}

/* Whether the collected lists hold `digits` under that scope, and how many entries they have in all. */
static bool listed(const kf_buffer *applications, uint8_t wanted_scope, const char *digits, size_t *ret_count)
{
    uint8_t aid[16];
    size_t size = strlen(digits) / 2;
    bool found = false;
    size_t count = 0;
    assert_int_equal(kf_hex_decode(digits, aid, size), KF_OK);
    kf_cursor lists = kf_cursor_of(kf_buffer_view(applications));
    while (!kf_cursor_at_end(&lists)) {
        uint8_t scope;
        uint16_t length;
        kf_view data;
        assert_int_equal(kf_cursor_u8(&lists, &scope), KF_OK);
        assert_int_equal(kf_cursor_u16(&lists, &length), KF_OK);
        assert_int_equal(kf_cursor_take(&lists, length, &data), KF_OK);
        kf_cursor entries = kf_cursor_of(data);
        while (!kf_cursor_at_end(&entries)) {
            kf_gp_status_entry entry;
            assert_int_equal(kf_gp_status_next(&entries, &entry), KF_OK);
            count++;
            found = found || (scope == wanted_scope && kf_view_equal(entry.aid, kf_view_of(aid, size)));
        }
    }
    *ret_count = count;
    return found;
}

/* Runs app-list; gives the number of entries. */
static size_t list(test_bench *bench, unsigned messages, uint8_t scope, const char *aid, bool expected)
{
    kf_procedure_request request = request_of(KF_OPERATION_APP_LIST);
    test_outcome outcome = run(bench, &request);
    size_t count = 0;
    if (outcome.code != KF_OK) fail_msg("%s", outcome.error.message);
    assert_int_equal(bench->messages, messages);
    assert_int_equal(listed(&outcome.state.applications, scope, aid, &count), expected);
    outcome_clear(&outcome);
    return count;
}

static kf_procedure_request module_request(kf_operation operation)
{
    kf_procedure_request request = request_of(operation);
    strcpy(request.module, "wallet");
    return request;
}

static void a_module_is_loaded_listed_and_deleted(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    bench.module = module_of(PACKAGE);
    (void)list(&bench, 3, 0x10, PACKAGE, false);
    kf_procedure_request load = module_request(KF_OPERATION_APP_LOAD);
    assert_done_text(&bench, &load, "module wallet is on the card", 3);
    assert_non_null(strstr(kf_buffer_text(&bench.labels), "LOAD\nLOAD\nLOAD\n"));
    assert_false(bench.has_record);
    (void)list(&bench, 3, 0x10, PACKAGE, true);
    (void)list(&bench, 3, 0x40, PACKAGE_APPLET, true);
    (void)list(&bench, 3, 0x80, "A000000151000000", true);
    kf_procedure_request delete = module_request(KF_OPERATION_APP_DELETE);
    assert_done_text(&bench, &delete, "module wallet is off the card", 3);
    (void)list(&bench, 3, 0x10, PACKAGE, false);
    (void)list(&bench, 3, 0x40, PACKAGE_APPLET, false);
    assert_refused(&bench, &delete, KF_ERR_STATUS_WORD, "DELETE module");
    bench_remove(&bench);
}

static void a_filled_card_takes_modules_too(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    bench.module = module_of(PACKAGE);
    fill_card(&bench);
    uint64_t sequence = bench.record.sequence;
    kf_procedure_request load = module_request(KF_OPERATION_APP_LOAD);
    assert_done(&bench, &load);
    assert_int_equal(bench.record.sequence, sequence);
    (void)list(&bench, 3, 0x40, DOMAIN_AID, true);
    assert_card_key(&bench, NUMBER, 1);
    bench_remove(&bench);
}

static void a_long_list_comes_in_pages(void **state)
{
    (void)state;
    test_bench bench;
    card_choice card = {.applets = 22};
    bench_make(&bench, NULL, &card);
    kf_procedure_request request = request_of(KF_OPERATION_APP_LIST);
    test_outcome outcome = run(&bench, &request);
    assert_int_equal(outcome.code, KF_OK);
    size_t count = 0;
    assert_true(listed(&outcome.state.applications, 0x40, "F04B465041590216", &count));
    assert_int_equal(count, 1 + 22 + 2);
    assert_in_range(bench.messages, 5, 8);
    outcome_clear(&outcome);
    bench_remove(&bench);
}

/* The absence of the domain among many applications is proven over all pages. */
static void a_clear_reads_every_page(void **state)
{
    (void)state;
    test_bench bench;
    card_choice card = {.applets = 20};
    bench_make(&bench, NULL, &card);
    fill_card(&bench);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    bench.tear_label = "DELETE security domain";
    assert_refused(&bench, &clear, KF_ERR_CARD_REMOVED, "");
    assert_done(&bench, &clear);
    assert_true(bench.messages > 4);
    assert_int_equal(bench.record.state, KF_CARD_BLANK);
    bench_remove(&bench);
}

/* A card without response MACs whose list never ends. */
static void go_on(test_bench *bench, unsigned message, const kf_script *script, kf_script_answers *answers)
{
    (void)bench;
    if (message == 1) return;
    kf_script_answer *last = &answers->items[answers->count - 1];
    while (answers->count > 1 && strncmp(script->entries[last->entry].label, "GET STATUS", 10) != 0)
        last = &answers->items[--answers->count - 1];
    if (strncmp(script->entries[answers->items[0].entry].label, "EXTERNAL", 8) == 0) {
        answers->count = 2;
        last = &answers->items[1];
    } else {
        answers->count = 1;
        last = &answers->items[0];
    }
    memset(last->response, 0xE3, 254);
    last->response[254] = 0x63;
    last->response[255] = 0x10;
    last->response_size = 256;
}

static void a_list_without_end_is_given_up(void **state)
{
    (void)state;
    test_bench bench;
    profile_choice profile = {.level = "0x03"};
    bench_make(&bench, &profile, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_APP_LIST);
    bench.alter = go_on;
    assert_refused(&bench, &request, KF_ERR_TOO_LONG, "");
    assert_in_range(bench.messages, 60, 70);
    bench_remove(&bench);
}

static void a_module_request_needs_a_module_that_is_not_the_profiles(void **state)
{
    (void)state;
    test_bench bench;
    profile_choice profile = {.modules = "[{load_file: " PACKAGE ", module: A000000151535041}]"};
    bench_make(&bench, &profile, NULL);
    kf_procedure_request delete = module_request(KF_OPERATION_APP_DELETE);
    assert_refused(&bench, &delete, KF_ERR_MODULE, "registered module");
    bench.module = module_of(PACKAGE);
    assert_refused(&bench, &delete, KF_ERR_MODULE, "profile test itself");
    kf_procedure_request load = module_request(KF_OPERATION_APP_LOAD);
    assert_refused(&bench, &load, KF_ERR_MODULE, "profile test itself");
    assert_int_equal(bench.sent, 0);
    bench_remove(&bench);
}

static void a_load_that_broke_off_is_deleted_and_done_again(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    bench.module = module_of(PACKAGE);
    kf_procedure_request load = module_request(KF_OPERATION_APP_LOAD);
    kf_procedure_request delete = module_request(KF_OPERATION_APP_DELETE);
    for (uint64_t at = 1; at < 12; at++) {
        bench.tear_at = at;
        bench.tear_after = at % 2 == 0;
        test_outcome outcome = run(&bench, &load);
        bool done = outcome.code == KF_OK;
        outcome_clear(&outcome);
        if (!done) {
            outcome = run(&bench, &delete); /* nothing may be there */
            outcome_clear(&outcome);
            assert_done(&bench, &load);
        }
        assert_done(&bench, &delete);
    }
    bench_remove(&bench);
}

static void an_unknown_operation_names_those_that_exist(void **state)
{
    (void)state;
    kf_operation operation = KF_OPERATION_FILL;
    kf_error error = {0};
    assert_int_equal(kf_operation_from_name("erase", &operation, &error), KF_ERR_OPERATION);
    assert_non_null(strstr(error.message, "\"erase\""));
    assert_non_null(strstr(error.message, "app-delete"));
    for (kf_operation each = KF_OPERATION_FILL; each <= KF_OPERATION_APP_DELETE; each++) {
        assert_int_equal(kf_operation_from_name(kf_operation_name(each), &operation, &error), KF_OK);
        assert_int_equal(operation, each);
    }
    assert_string_equal(kf_operation_name((kf_operation)0), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_loaded_listed_and_deleted),
        cmocka_unit_test(a_filled_card_takes_modules_too),
        cmocka_unit_test(a_long_list_comes_in_pages),
        cmocka_unit_test(a_clear_reads_every_page),
        cmocka_unit_test(a_list_without_end_is_given_up),
        cmocka_unit_test(a_module_request_needs_a_module_that_is_not_the_profiles),
        cmocka_unit_test(a_load_that_broke_off_is_deleted_and_done_again),
        cmocka_unit_test(an_unknown_operation_names_those_that_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
