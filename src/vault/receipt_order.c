#include "vault/receipt_order.h"

#include <string.h>

void kf_receipt_order_start(kf_receipt_order *order, uint64_t written)
{
    memset(order, 0, sizeof *order);
    order->written = written;
    order->newest = written;
}

static bool *place_of(kf_receipt_order *order, uint64_t number)
{
    return &order->ahead[number % KF_RECEIPTS_APART];
}

static bool is_ahead(const kf_receipt_order *order, uint64_t number)
{
    return order->ahead[number % KF_RECEIPTS_APART];
}

/* Passes over what is there. */
static void close_up(kf_receipt_order *order)
{
    while (order->written < order->newest && is_ahead(order, order->written + 1)) {
        order->written++;
        *place_of(order, order->written) = false;
    }
}

/* Gives up waiting for the numbers that lie too far behind `number`. */
static void give_up(kf_receipt_order *order, uint64_t number, kf_receipt_gap *gap)
{
    uint64_t last = number - KF_RECEIPTS_APART;
    /* Nothing of the window is there behind the newest: a claim of any height costs no more than one pass. */
    uint64_t walked = last < order->newest ? last : order->newest;
    gap->first = order->written + 1;
    for (uint64_t missing = order->written + 1; missing <= walked; missing++) {
        if (!is_ahead(order, missing)) gap->count++;
        *place_of(order, missing) = false;
    }
    if (last > walked) gap->count += last - walked;
    order->written = last;
}

kf_receipt_place kf_receipt_order_take(kf_receipt_order *order, uint64_t number, kf_receipt_gap *ret_gap)
{
    *ret_gap = (kf_receipt_gap){0, 0};
    if (number <= order->written) return KF_RECEIPT_REPEATED;
    if (number - order->written <= KF_RECEIPTS_APART && number <= order->newest && is_ahead(order, number))
        return KF_RECEIPT_REPEATED;
    if (number - order->written > KF_RECEIPTS_APART) give_up(order, number, ret_gap);
    *place_of(order, number) = true;
    if (number > order->newest) order->newest = number;
    close_up(order);
    return KF_RECEIPT_FITS;
}

kf_receipt_gap kf_receipt_order_open_gap(const kf_receipt_order *order)
{
    kf_receipt_gap gap = {0, 0};
    if (order->written >= order->newest) return gap;
    gap.first = order->written + 1;
    while (!is_ahead(order, gap.first + gap.count))
        gap.count++;
    return gap;
}
