#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault/receipt_order.h"

static void assert_fits(kf_receipt_order *order, uint64_t number)
{
    kf_receipt_gap gap;
    assert_int_equal(kf_receipt_order_take(order, number, &gap), KF_RECEIPT_FITS);
    assert_int_equal(gap.count, 0);
}

static void numbers_in_order_and_near_each_other_fit(void **state)
{
    (void)state;
    kf_receipt_order order;
    kf_receipt_order_start(&order, 10);
    assert_fits(&order, 11);
    assert_fits(&order, 14);
    assert_fits(&order, 13);
    assert_int_equal(order.written, 11);
    assert_int_equal(order.newest, 14);
    kf_receipt_gap open = kf_receipt_order_open_gap(&order);
    assert_int_equal(open.first, 12);
    assert_int_equal(open.count, 1);
    assert_fits(&order, 12);
    assert_int_equal(order.written, 14);
    assert_int_equal(kf_receipt_order_open_gap(&order).count, 0);
    assert_fits(&order, 14 + KF_RECEIPTS_APART);
    for (uint64_t number = 15; number < 14 + KF_RECEIPTS_APART; number++)
        assert_fits(&order, number);
    assert_int_equal(order.written, 14 + KF_RECEIPTS_APART);
}

static void the_same_number_twice_is_found(void **state)
{
    (void)state;
    kf_receipt_order order;
    kf_receipt_gap gap;
    kf_receipt_order_start(&order, 0);
    assert_fits(&order, 1);
    assert_fits(&order, 3);
    assert_int_equal(kf_receipt_order_take(&order, 1, &gap), KF_RECEIPT_REPEATED);
    assert_int_equal(kf_receipt_order_take(&order, 3, &gap), KF_RECEIPT_REPEATED);
    assert_int_equal(kf_receipt_order_take(&order, 0, &gap), KF_RECEIPT_REPEATED);
    assert_fits(&order, 2);
    assert_int_equal(kf_receipt_order_take(&order, 2, &gap), KF_RECEIPT_REPEATED);
}

static void a_number_that_many_higher_ones_came_before_is_missing(void **state)
{
    (void)state;
    kf_receipt_order order;
    kf_receipt_gap gap;
    kf_receipt_order_start(&order, 0);
    for (uint64_t number = 1; number <= KF_RECEIPTS_APART + 4; number++)
        if (number != 5 && number != 7) assert_fits(&order, number);
    assert_int_equal(kf_receipt_order_take(&order, KF_RECEIPTS_APART + 5, &gap), KF_RECEIPT_FITS);
    assert_int_equal(gap.first, 5);
    assert_int_equal(gap.count, 1);
    assert_int_equal(kf_receipt_order_open_gap(&order).first, 7);
    assert_fits(&order, KF_RECEIPTS_APART + 6);
    assert_int_equal(kf_receipt_order_take(&order, KF_RECEIPTS_APART + 7, &gap), KF_RECEIPT_FITS);
    assert_int_equal(gap.first, 7);
    assert_int_equal(kf_receipt_order_take(&order, 7, &gap), KF_RECEIPT_REPEATED);
}

static void a_number_far_ahead_makes_all_before_it_missing_at_once(void **state)
{
    (void)state;
    kf_receipt_order order;
    kf_receipt_gap gap;
    kf_receipt_order_start(&order, 0);
    assert_fits(&order, 1);
    assert_fits(&order, 9);
    assert_int_equal(kf_receipt_order_take(&order, UINT64_MAX, &gap), KF_RECEIPT_FITS);
    assert_int_equal(gap.first, 2);
    assert_int_equal(gap.count, UINT64_MAX - KF_RECEIPTS_APART - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_order_and_near_each_other_fit),
        cmocka_unit_test(the_same_number_twice_is_found),
        cmocka_unit_test(a_number_that_many_higher_ones_came_before_is_missing),
        cmocka_unit_test(a_number_far_ahead_makes_all_before_it_missing_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
