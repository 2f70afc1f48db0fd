#include "terminal/host_over_http.h"

#include <errno.h>
#include <time.h>

static kf_code post(void *context, const char *path, const json_t *body, json_t **ret_answer, kf_error *error)
{
    const kf_http_call call = {.method = "POST", .path = path, .body = body};
    return kf_http_client_call(context, &call, ret_answer, error);
}

static void wait_milliseconds(void *context, unsigned milliseconds)
{
    (void)context;
    struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

kf_code kf_host_over_http(const kf_terminal_config *config, kf_http_client **ret_client,
                          kf_host_link *ret_link, kf_error *error)
{
    const kf_http_client_options options = {.base_url = config->host,
                                            .ca_file = config->ca,
                                            .certificate_file = config->certificate,
                                            .key_file = config->private_key,
                                            .crl_file = config->crl,
                                            .expected_role = KF_PEER_HOST,
                                            .expected_name = config->host_name,
                                            .total_timeout_milliseconds = config->host_timeout_milliseconds};
    KF_TRY(kf_http_client_new(&options, ret_client, error));
    *ret_link = (kf_host_link){.context = *ret_client, .post = post, .pause = wait_milliseconds};
    return KF_OK;
}
