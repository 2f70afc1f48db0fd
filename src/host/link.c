#include "host/link.h"

#include <time.h>

static kf_code call_client(void *context, const kf_http_call *call, json_t **ret_json, kf_error *error)
{
    return kf_http_client_call(context, call, ret_json, error);
}

static void pause_thread(unsigned milliseconds)
{
    struct timespec left = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000L};
    while (nanosleep(&left, &left) != 0)
        continue;
}

kf_link kf_link_of_client(kf_http_client *client)
{
    return (kf_link){call_client, client, pause_thread};
}

bool kf_link_failure_is_passing(kf_code code)
{
    return kf_code_http_status(code) >= 500;
}

static bool may_try_again(kf_code code)
{
    return code == KF_ERR_UNREACHABLE || code == KF_ERR_BUSY || code == KF_ERR_STORE_BUSY ||
           code == KF_ERR_VAULT;
}

kf_code kf_link_call(const kf_link *link, const kf_http_call *call, json_t **ret_json, kf_error *error)
{
    kf_code code = KF_ERR_INTERNAL;
    unsigned pause = KF_LINK_FIRST_PAUSE_MILLISECONDS;
    for (unsigned tries = 0; tries < KF_LINK_TRIES; tries++) {
        if (tries > 0 && link->pause != NULL) {
            link->pause(pause);
            pause *= 2;
        }
        code = link->call(link->context, call, ret_json, error);
        if (!may_try_again(code)) return code;
    }
    return code;
}
