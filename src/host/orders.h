/* Orders: what an operator wants on cards, by name. {"category"?, "number"?, "number_source"?: "pool" |
 * "issuing-server", "write_number"?, "personalisation"?: {NAME: text}, "personalise"?: "if-absent" | "always"
 * | "never"}. */
#ifndef KEYFILL_HOST_ORDERS_H
#define KEYFILL_HOST_ORDERS_H

#include "host/host.h"

#define KF_ORDERS_LIST_MAX 10000

/* Checks the body and puts it in the place of what was there. */
kf_code kf_orders_put(kf_host *host, const char *name, const json_t *body, const char *actor,
                      kf_error *error) KF_MUST_USE;
/* KF_ERR_NOT_FOUND. The caller frees. */
kf_code kf_orders_get(kf_host *host, const char *name, json_t **ret_body, kf_error *error) KF_MUST_USE;
/* {"orders": [{"name", …}]} */
kf_code kf_orders_list(kf_host *host, json_t **ret_json, kf_error *error) KF_MUST_USE;

#endif
