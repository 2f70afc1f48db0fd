/* Whether the receipts of an audit log are all there. The vault numbers them without gaps; worker threads
 * write them in no certain order, but never far apart. */
#ifndef KEYFILL_VAULT_RECEIPT_ORDER_H
#define KEYFILL_VAULT_RECEIPT_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number that is not there when so many higher ones are is missing. As many as the vault hands over again
 * (KF_RECEIPTS_KEPT). */
#define KF_RECEIPTS_APART 1024

typedef struct kf_receipt_order {
    uint64_t written;              /* each number up to this one was there, or was told to be missing */
    uint64_t newest;               /* the highest that was there */
    bool ahead[KF_RECEIPTS_APART]; /* number % KF_RECEIPTS_APART of those above `written` that were there */
} kf_receipt_order;

typedef enum kf_receipt_place {
    KF_RECEIPT_FITS,
    KF_RECEIPT_REPEATED, /* its number was there, or so many higher ones were before it */
} kf_receipt_place;

/* Numbers that are not there: from `first`, `count` of them. */
typedef struct kf_receipt_gap {
    uint64_t first;
    uint64_t count;
} kf_receipt_gap;

/* Begins behind number `written`. */
void kf_receipt_order_start(kf_receipt_order *order, uint64_t written);
/* The next receipt of the log. `ret_gap` is what is missing for certain with it; its count mostly 0. */
kf_receipt_place kf_receipt_order_take(kf_receipt_order *order, uint64_t number, kf_receipt_gap *ret_gap);
/* At the end of the log: the first run of numbers below the newest that are not there. */
kf_receipt_gap kf_receipt_order_open_gap(const kf_receipt_order *order);

#endif
