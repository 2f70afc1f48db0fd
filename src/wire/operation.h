/* What may be asked for a card; the words are those of docs/messages.md. */
#ifndef KEYFILL_WIRE_OPERATION_H
#define KEYFILL_WIRE_OPERATION_H

#include <keyfill/error.h>

/* The numbers stand in sealed tokens and in messages to the vault. */
typedef enum kf_operation {
    KF_OPERATION_FILL = 1,
    KF_OPERATION_REFILL = 2,
    KF_OPERATION_CLEAR = 3,
    KF_OPERATION_APP_LOAD = 4,
    KF_OPERATION_APP_LIST = 5,
    KF_OPERATION_APP_DELETE = 6,
} kf_operation;

/* "fill", "refill", "clear", "app-load", "app-list", "app-delete". */
const char *kf_operation_name(kf_operation operation);
/* KF_ERR_OPERATION lists the names (S10: any other request ends with an error). */
kf_code kf_operation_from_name(const char *name, kf_operation *ret_operation, kf_error *error) KF_MUST_USE;
/* Whether it names a registered module; the others take none. */
bool kf_operation_names_module(kf_operation operation);

#endif
