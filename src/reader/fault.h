/* A reader around another that goes wrong at a chosen command, for tests. */
#ifndef KEYFILL_READER_FAULT_H
#define KEYFILL_READER_FAULT_H

#include <reader/reader.h>

typedef enum kf_fault_kind {
    KF_FAULT_FAIL,        /* KF_ERR_READER, the command is not sent */
    KF_FAULT_TEAR_BEFORE, /* the card is unpowered; the command is not sent: KF_ERR_CARD_REMOVED */
    KF_FAULT_TEAR_AFTER, /* the command is sent, its response lost, the card unpowered: KF_ERR_CARD_REMOVED */
    KF_FAULT_DELAY,      /* the command is held back; over the deadline KF_ERR_READER_TIMEOUT */
} kf_fault_kind;

typedef struct kf_fault {
    kf_fault_kind kind;
    size_t at;             /* the transmission concerned, from 0, counted since opening */
    unsigned milliseconds; /* KF_FAULT_DELAY */
} kf_fault;

/* Takes `*inner` over (sets it NULL), also after a failure. */
kf_code kf_reader_open_fault(kf_reader **inner, kf_fault fault, kf_reader **ret_reader) KF_MUST_USE;

#endif
