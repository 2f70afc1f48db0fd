#include "wire/health.h"

#include "wire/json.h"

kf_code kf_health_answer(void *context, const kf_http_request *request, kf_http_response *response,
                         kf_error *error)
{
    (void)context;
    (void)request;
    response->json = json_object();
    return kf_fail_plain(error, kf_json_set_text(response->json, "status", "ok"));
}
