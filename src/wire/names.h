/* The rule for every name that people give: of units, terminals, categories, profiles, modules, orders. */
#ifndef KEYFILL_WIRE_NAMES_H
#define KEYFILL_WIRE_NAMES_H

#include <keyfill/error.h>

#define KF_NAME_MAX 64 /* characters */

/* 1 to KF_NAME_MAX of a-z A-Z 0-9 - _ . */
bool kf_name_is_valid(const char *name);
/* KF_ERR_FIELD with the rule; `what` it is the name of. */
kf_code kf_name_check(const char *what, const char *name, kf_error *error) KF_MUST_USE;

#endif
