/* How the host reaches another unit: a function, so that what decides can be run without a network. */
#ifndef KEYFILL_HOST_LINK_H
#define KEYFILL_HOST_LINK_H

#include "wire/http_client.h"

typedef struct kf_link {
    /* As kf_http_client_call. NULL: there is no such unit. */
    kf_code (*call)(void *context, const kf_http_call *call, json_t **ret_json, kf_error *error);
    void *context;
    /* Waits between two tries; NULL: does not wait. */
    void (*pause)(unsigned milliseconds);
} kf_link;

#define KF_LINK_TRIES 6                      /* the first one included */
#define KF_LINK_FIRST_PAUSE_MILLISECONDS 200 /* doubled each time: 6.2 s in all, a unit's restart */

/* A link over `client`, which outlives it. */
kf_link kf_link_of_client(kf_http_client *client);

/* One call, tried again where the unit cannot be reached or is busy: for calls that may be repeated safely.
 */
kf_code kf_link_call(const kf_link *link, const kf_http_call *call, json_t **ret_json,
                     kf_error *error) KF_MUST_USE;

/* Whether the failure says nothing about the request itself, so that the same may be asked again later. */
bool kf_link_failure_is_passing(kf_code code);

#endif
