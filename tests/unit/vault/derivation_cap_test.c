#include "vault/derivation_cap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 600U

static uint64_t now;

static uint64_t test_seconds(void)
{
    return now;
}

static kf_derivation_cap *make(uint32_t limit)
{
    kf_derivation_cap *cap = NULL;
    kf_error error = {KF_OK, ""};
    if (kf_derivation_cap_new(limit, test_seconds, &cap, &error) != KF_OK) fail_msg("%s", error.message);
    return cap;
}

/* As many as are to be had. */
static unsigned drain(kf_derivation_cap *cap)
{
    unsigned taken = 0;
    while (kf_derivation_cap_take(cap, NULL) == KF_OK)
        taken++;
    return taken;
}

static void a_quiet_minute_frees_the_whole_number_and_not_one_more(void **state)
{
    (void)state;
    now = 1000;
    KF_CLEANUP(kf_derivation_cap_free) kf_derivation_cap *cap = make(LIMIT);
    now += 61;
    assert_int_equal(drain(cap), LIMIT);
    now += 59;
    assert_int_equal(drain(cap), 0);
    now += 2;
    assert_int_equal(drain(cap), LIMIT);
    now += 1000000;
    assert_int_equal(drain(cap), LIMIT);
}

/* Whatever the rhythm: a window of 60 seconds never has more. */
static void no_sixty_seconds_have_more(void **state)
{
    (void)state;
    enum { STEPS = 2000 };
    static unsigned taken[STEPS];
    uint64_t first;
    now = first = 77;
    KF_CLEANUP(kf_derivation_cap_free) kf_derivation_cap *cap = make(LIMIT);
    unsigned seed = 1;
    memset(taken, 0, sizeof taken);
    for (;;) {
        seed = seed * 1103515245U + 12345U;
        if (now - first >= STEPS) break;
        for (unsigned wanted = (seed >> 16) % 80; wanted > 0; wanted--)
            if (kf_derivation_cap_take(cap, NULL) == KF_OK) taken[now - first]++;
        now += (seed >> 8) % 4;
    }
    for (unsigned from = 0; from + 60 <= STEPS; from++) {
        unsigned sum = 0;
        for (unsigned i = from; i < from + 60; i++)
            sum += taken[i];
        assert_true(sum <= LIMIT);
    }
}

static void a_new_one_gives_its_rate_and_no_more(void **state)
{
    (void)state;
    now = 5;
    unsigned taken = 0;
    /* A vault that is started again every second. */
    for (unsigned start = 0; start < 60; start++, now++) {
        KF_CLEANUP(kf_derivation_cap_free) kf_derivation_cap *cap = make(LIMIT);
        taken += drain(cap);
    }
    assert_in_range(taken, LIMIT / 2, LIMIT + LIMIT / 10);
}

static void a_new_one_has_room_for_cards_at_once_and_goes_on_at_its_rate(void **state)
{
    (void)state;
    now = 5;
    KF_CLEANUP(kf_derivation_cap_free) kf_derivation_cap *cap = make(LIMIT);
    for (unsigned second = 0; second < 200; second++, now++) {
        unsigned taken = 0;
        while (taken < LIMIT / 60 - 2 && kf_derivation_cap_check_room(cap, false, NULL) == KF_OK) {
            assert_int_equal(kf_derivation_cap_take(cap, NULL), KF_OK);
            taken++;
        }
        if (second >= 10) assert_int_equal(taken, LIMIT / 60 - 2);
    }
}

static void what_is_refused_says_how_long_to_wait(void **state)
{
    (void)state;
    now = 0;
    KF_CLEANUP(kf_derivation_cap_free) kf_derivation_cap *cap = make(LIMIT);
    now = 61;
    (void)drain(cap);
    now = 91;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_derivation_cap_take(cap, &error), KF_ERR_RATE);
    assert_non_null(strstr(error.message, "600 card keys"));
    assert_non_null(strstr(error.message, "in 31 s"));
    assert_non_null(strstr(error.message, "derivations_per_minute"));
    now += 31;
    assert_int_equal(kf_derivation_cap_take(cap, &error), KF_OK);
}

static void the_last_tenth_is_for_cards_that_are_being_written(void **state)
{
    (void)state;
    now = 0;
    KF_CLEANUP(kf_derivation_cap_free) kf_derivation_cap *cap = make(LIMIT);
    now = 61;
    unsigned before = LIMIT - LIMIT / 10 - KF_DERIVATIONS_A_STEP + 1;
    for (unsigned i = 0; i < before; i++) {
        assert_int_equal(kf_derivation_cap_check_room(cap, false, NULL), KF_OK);
        assert_int_equal(kf_derivation_cap_take(cap, NULL), KF_OK);
    }
    assert_int_equal(kf_derivation_cap_check_room(cap, false, NULL), KF_ERR_RATE);
    for (unsigned i = 0; i < LIMIT / 10; i++) {
        assert_int_equal(kf_derivation_cap_check_room(cap, true, NULL), KF_OK);
        assert_int_equal(kf_derivation_cap_take(cap, NULL), KF_OK);
    }
    assert_int_equal(kf_derivation_cap_check_room(cap, true, NULL), KF_ERR_RATE);
    assert_int_equal(drain(cap), KF_DERIVATIONS_A_STEP - 1);
}

static void a_clock_that_stands_or_runs_back_frees_nothing(void **state)
{
    (void)state;
    now = 1000;
    KF_CLEANUP(kf_derivation_cap_free) kf_derivation_cap *cap = make(LIMIT);
    now = 1100;
    assert_int_equal(drain(cap), LIMIT);
    now = 10;
    assert_int_equal(drain(cap), 0);
    now = 1159;
    assert_int_equal(drain(cap), 0);
}

static void a_number_out_of_range_is_refused(void **state)
{
    (void)state;
    kf_derivation_cap *cap = NULL;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_derivation_cap_new(KF_DERIVATIONS_MIN - 1, NULL, &cap, &error), KF_ERR_CONFIGURATION);
    assert_non_null(strstr(error.message, "59 derivations a minute"));
    assert_int_equal(kf_derivation_cap_new(KF_DERIVATIONS_MAX + 1, NULL, &cap, &error), KF_ERR_CONFIGURATION);
    assert_null(cap);
    assert_int_equal(kf_derivation_cap_new(KF_DERIVATIONS_STANDARD, NULL, &cap, &error), KF_OK);
    assert_int_equal(kf_derivation_cap_take(cap, &error), KF_OK);
    kf_derivation_cap_free(&cap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_minute_frees_the_whole_number_and_not_one_more),
        cmocka_unit_test(no_sixty_seconds_have_more),
        cmocka_unit_test(a_new_one_gives_its_rate_and_no_more),
        cmocka_unit_test(a_new_one_has_room_for_cards_at_once_and_goes_on_at_its_rate),
        cmocka_unit_test(what_is_refused_says_how_long_to_wait),
        cmocka_unit_test(the_last_tenth_is_for_cards_that_are_being_written),
        cmocka_unit_test(a_clock_that_stands_or_runs_back_frees_nothing),
        cmocka_unit_test(a_number_out_of_range_is_refused),
    };
    return cmocka_run_group_tests_name("vault/derivation_cap", tests, NULL, NULL);
}
