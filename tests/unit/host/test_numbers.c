#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "host/numbers.h"
#include "host_fixture.h"
#include "wire/json.h"

static const kf_number_claim claim_a = {"t1/a", "", "iccid:8986000000000000001"};
static const kf_number_claim claim_b = {"t1/b", "", "iccid:8986000000000000002"};

static void add(host_fixture *fixture, const char *number, const char *category)
{
    assert_int_equal(kf_numbers_add(fixture->database, number, category, &fixture->error), KF_OK);
}

static kf_code reserve(host_fixture *fixture, const kf_number_claim *claim, kf_reserved_number *ret_number)
{
    return kf_numbers_reserve_free(fixture->database, claim, ret_number, &fixture->error);
}

static const char *state_of(host_fixture *fixture, const char *number)
{
    char sql[128];
    (void)snprintf(sql, sizeof sql, "SELECT state FROM number WHERE number = '%s'", number);
    return read_text(fixture, sql);
}

static void a_number_goes_from_free_to_reserved_to_bound_to_released(void **state)
{
    host_fixture *fixture = *state;
    kf_number_change change;
    kf_reserved_number number;
    add(fixture, "8613800000001", "");
    assert_string_equal(state_of(fixture, "8613800000001"), "free");
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_OK);
    assert_string_equal(number.number, "8613800000001");
    assert_string_equal(state_of(fixture, number.number), "reserved");
    const kf_number_card card = {number.number, "kdd:01", "8986000000000000001"};
    assert_int_equal(kf_numbers_bind(fixture->database, &card, &change, &fixture->error), KF_OK);
    assert_true(change.found);
    assert_false(change.of_issuing_server);
    assert_string_equal(state_of(fixture, number.number), "bound");
    assert_string_equal(read_text(fixture, "SELECT proven_card FROM number"), "kdd:01");
    assert_int_equal(kf_numbers_release_card(fixture->database, "kdd:01", &change, &fixture->error), KF_OK);
    assert_true(change.found);
    assert_string_equal(change.number, number.number);
    assert_string_equal(state_of(fixture, number.number), "released");
    assert_int_equal(reserve(fixture, &claim_b, &number), KF_ERR_NO_NUMBER);
}

static void no_number_is_given_twice(void **state)
{
    host_fixture *fixture = *state;
    kf_reserved_number first;
    kf_reserved_number second;
    add(fixture, "8613800000002", "");
    add(fixture, "8613800000001", "");
    assert_int_equal(reserve(fixture, &claim_a, &first), KF_OK);
    assert_int_equal(reserve(fixture, &claim_b, &second), KF_OK);
    assert_string_equal(first.number, "8613800000001");
    assert_string_equal(second.number, "8613800000002");
    const kf_number_claim claim_c = {"t1/c", "", ""};
    assert_int_equal(reserve(fixture, &claim_c, &first), KF_ERR_NO_NUMBER);
}

static void a_returned_number_is_free_again(void **state)
{
    host_fixture *fixture = *state;
    kf_number_change change;
    kf_reserved_number number;
    add(fixture, "8613800000001", "");
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_OK);
    assert_int_equal(kf_numbers_return(fixture->database, "t1/other", &change, &fixture->error), KF_OK);
    assert_false(change.found);
    assert_string_equal(state_of(fixture, "8613800000001"), "reserved");
    assert_int_equal(kf_numbers_return(fixture->database, "t1/a", &change, &fixture->error), KF_OK);
    assert_true(change.found);
    assert_int_equal(reserve(fixture, &claim_b, &number), KF_OK);
}

static void a_kept_number_goes_to_its_card_only_and_never_back_to_the_pool(void **state)
{
    host_fixture *fixture = *state;
    kf_number_change change;
    kf_reserved_number number;
    add(fixture, "8613800000001", "");
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_OK);
    assert_int_equal(kf_numbers_keep(fixture->database, "t1/a", &change, &fixture->error), KF_OK);
    assert_int_equal(reserve(fixture, &claim_b, &number), KF_ERR_NO_NUMBER);
    assert_int_equal(kf_numbers_reserve_this(fixture->database, "8613800000001", &claim_b, &fixture->error),
                     KF_ERR_NUMBER_TAKEN);
    const kf_number_claim again = {"t1/again", "", claim_a.card_reference};
    assert_int_equal(reserve(fixture, &again, &number), KF_OK);
    assert_string_equal(number.number, "8613800000001");
    assert_int_equal(kf_numbers_return(fixture->database, "t1/again", &change, &fixture->error), KF_OK);
    assert_string_equal(state_of(fixture, "8613800000001"), "kept");
    assert_int_equal(reserve(fixture, &again, &number), KF_OK);
}

static void a_number_taken_over_by_the_next_request_of_the_card_is_kept_when_that_fails(void **state)
{
    host_fixture *fixture = *state;
    kf_number_change change;
    kf_reserved_number number;
    add(fixture, "8613800000001", "");
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_OK);
    const kf_number_claim again = {"t2/again", "", claim_a.card_reference};
    assert_int_equal(reserve(fixture, &again, &number), KF_OK);
    assert_int_equal(kf_numbers_return(fixture->database, "t2/again", &change, &fixture->error), KF_OK);
    assert_string_equal(state_of(fixture, "8613800000001"), "kept");
}

static void a_withdrawn_number_is_not_given_out_again(void **state)
{
    host_fixture *fixture = *state;
    kf_number_change change;
    kf_reserved_number number;
    add(fixture, "8613800000001", "");
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_OK);
    assert_int_equal(kf_numbers_withdraw(fixture->database, "t1/a", &change, &fixture->error), KF_OK);
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_ERR_NO_NUMBER);
}

static void a_category_takes_its_own_numbers_first_and_never_anothers(void **state)
{
    host_fixture *fixture = *state;
    kf_reserved_number number;
    const kf_number_claim north = {"t1/a", "north", ""};
    const kf_number_claim north_again = {"t1/b", "north", ""};
    const kf_number_claim north_more = {"t1/c", "north", ""};
    add(fixture, "1000001", "");
    add(fixture, "1000002", "north");
    add(fixture, "1000003", "south");
    assert_int_equal(reserve(fixture, &north, &number), KF_OK);
    assert_string_equal(number.number, "1000002");
    assert_string_equal(number.category, "north");
    assert_int_equal(reserve(fixture, &north_again, &number), KF_OK);
    assert_string_equal(number.number, "1000001");
    assert_int_equal(reserve(fixture, &north_more, &number), KF_ERR_NO_NUMBER);
    assert_non_null(strstr(fixture->error.message, "north"));
}

static void without_a_category_the_only_one_is_taken_and_several_are_asked_about(void **state)
{
    host_fixture *fixture = *state;
    kf_reserved_number number;
    add(fixture, "1000002", "north");
    add(fixture, "1000003", "north");
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_OK);
    assert_string_equal(number.category, "north");
    add(fixture, "1000004", "south");
    assert_int_equal(reserve(fixture, &claim_b, &number), KF_ERR_NO_NUMBER);
    assert_non_null(strstr(fixture->error.message, "name the card's category"));
}

static void a_typed_number_of_the_pool_is_taken_out_of_it(void **state)
{
    host_fixture *fixture = *state;
    kf_reserved_number number;
    add(fixture, "1000001", "");
    assert_int_equal(kf_numbers_reserve_this(fixture->database, "1000001", &claim_a, &fixture->error), KF_OK);
    assert_int_equal(reserve(fixture, &claim_b, &number), KF_ERR_NO_NUMBER);
    assert_int_equal(kf_numbers_reserve_this(fixture->database, "1000001", &claim_b, &fixture->error),
                     KF_ERR_NUMBER_TAKEN);
    assert_non_null(strstr(fixture->error.message, "1000001"));
    assert_int_equal(kf_numbers_reserve_this(fixture->database, "1000001", &claim_a, &fixture->error), KF_OK);
    assert_int_equal(kf_numbers_reserve_this(fixture->database, "999999", &claim_a, &fixture->error), KF_OK);
}

static void a_number_bound_to_another_card_is_taken(void **state)
{
    host_fixture *fixture = *state;
    kf_number_change change;
    kf_reserved_number number;
    add(fixture, "1000001", "");
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_OK);
    const kf_number_card card = {"1000001", "kdd:01", NULL};
    assert_int_equal(kf_numbers_bind(fixture->database, &card, &change, &fixture->error), KF_OK);
    assert_int_equal(kf_numbers_reserve_this(fixture->database, "1000001", &claim_b, &fixture->error),
                     KF_ERR_NUMBER_TAKEN);
    assert_int_equal(kf_numbers_reserve_this(fixture->database, "1000001", &claim_a, &fixture->error), KF_OK);
    assert_string_equal(state_of(fixture, "1000001"), "bound");
}

static void a_released_number_may_be_typed_in_and_is_released_again_when_that_fails(void **state)
{
    host_fixture *fixture = *state;
    kf_number_change change;
    add(fixture, "1000001", "");
    run_sql(fixture, "UPDATE number SET state = 'released'");
    assert_int_equal(kf_numbers_reserve_this(fixture->database, "1000001", &claim_a, &fixture->error), KF_OK);
    assert_int_equal(kf_numbers_return(fixture->database, "t1/a", &change, &fixture->error), KF_OK);
    assert_string_equal(state_of(fixture, "1000001"), "released");
}

typedef struct range_work {
    const kf_number_range *range;
    int64_t added;
} range_work;

static kf_code add_range_work(kf_database *database, void *context, kf_error *error)
{
    range_work *work = context;
    return kf_numbers_add_range(database, work->range, &work->added, error);
}

/* In one transaction, as the route has it. */
static kf_code add_range(host_fixture *fixture, const kf_number_range *range, int64_t *ret_added)
{
    range_work work = {.range = range};
    kf_code code = kf_database_write(fixture->database, add_range_work, &work, &fixture->error);
    *ret_added = work.added;
    return code;
}

static void ranges_count_with_leading_zeros_and_have_a_cap(void **state)
{
    host_fixture *fixture = *state;
    int64_t added = 0;
    const kf_number_range good = {"00098", "00101", "north"};
    assert_int_equal(add_range(fixture, &good, &added), KF_OK);
    assert_int_equal(added, 4);
    assert_string_equal(state_of(fixture, "00099"), "free");
    assert_string_equal(state_of(fixture, "00101"), "free");
    const struct {
        kf_number_range range;
        kf_code code;
    } wrong[] = {
        {{"200", "100", ""}, KF_ERR_FIELD},
        {{"100", "1000", ""}, KF_ERR_FIELD},
        {{"100000", "200000", ""}, KF_ERR_FIELD},
        {{"1x0", "200", ""}, KF_ERR_NUMBER},
        {{"10", "20", ""}, KF_ERR_NUMBER},
        {{"", "", ""}, KF_ERR_NUMBER},
        {{"100", "200", "a b"}, KF_ERR_FIELD},
        {{"1000000000000000000", "1000000000000000001", ""}, KF_ERR_FIELD},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(add_range(fixture, &wrong[i].range, &added), wrong[i].code);
    const kf_number_range widest = {"100000", "199999", ""};
    assert_int_equal(add_range(fixture, &widest, &added), KF_OK);
    assert_int_equal(added, KF_NUMBERS_IMPORT_MAX);
}

static void numbers_are_digits_and_listed_once(void **state)
{
    host_fixture *fixture = *state;
    static const char *const wrong[] = {"", "12", "+8613800000001", "861380000000123456789", "12 34", "12a4"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(kf_numbers_add(fixture->database, wrong[i], "", &fixture->error), KF_ERR_NUMBER);
    add(fixture, "86138000000012345678", "");
    assert_int_equal(kf_numbers_add(fixture->database, "86138000000012345678", "", &fixture->error),
                     KF_ERR_CONFLICT);
    assert_non_null(strstr(fixture->error.message, "86138000000012345678"));
}

static void a_listing_has_pages_states_and_counts(void **state)
{
    host_fixture *fixture = *state;
    kf_reserved_number number;
    add(fixture, "1000001", "");
    add(fixture, "1000002", "north");
    add(fixture, "1000003", "");
    assert_int_equal(reserve(fixture, &claim_a, &number), KF_OK);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    const kf_number_query all = {NULL, "1000001", 10};
    assert_int_equal(kf_numbers_list(fixture->database, &all, &json, &fixture->error), KF_OK);
    assert_int_equal(json_array_size(json_object_get(json, "numbers")), 2);
    const json_t *counts = json_object_get(json, "counts");
    assert_int_equal(json_integer_value(json_object_get(counts, "free")), 2);
    assert_int_equal(json_integer_value(json_object_get(counts, "reserved")), 1);
    kf_json_free(&json);
    const kf_number_query reserved = {"reserved", "", 10};
    assert_int_equal(kf_numbers_list(fixture->database, &reserved, &json, &fixture->error), KF_OK);
    const json_t *first = json_array_get(json_object_get(json, "numbers"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "number")), "1000001");
    assert_string_equal(json_string_value(json_object_get(first, "request")), "t1/a");
    const kf_number_query too_many = {NULL, "", KF_NUMBERS_LIST_MAX + 1};
    assert_int_equal(kf_numbers_list(fixture->database, &too_many, &json, &fixture->error), KF_ERR_FIELD);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, host_set_up, host_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_number_goes_from_free_to_reserved_to_bound_to_released),
        TEST(no_number_is_given_twice),
        TEST(a_returned_number_is_free_again),
        TEST(a_kept_number_goes_to_its_card_only_and_never_back_to_the_pool),
        TEST(a_number_taken_over_by_the_next_request_of_the_card_is_kept_when_that_fails),
        TEST(a_withdrawn_number_is_not_given_out_again),
        TEST(a_category_takes_its_own_numbers_first_and_never_anothers),
        TEST(without_a_category_the_only_one_is_taken_and_several_are_asked_about),
        TEST(a_typed_number_of_the_pool_is_taken_out_of_it),
        TEST(a_number_bound_to_another_card_is_taken),
        TEST(a_released_number_may_be_typed_in_and_is_released_again_when_that_fails),
        TEST(ranges_count_with_leading_zeros_and_have_a_cap),
        TEST(numbers_are_digits_and_listed_once),
        TEST(a_listing_has_pages_states_and_counts),
    };
    return cmocka_run_group_tests_name("host/numbers", tests, NULL, NULL);
}
