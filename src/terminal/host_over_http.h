/* The link to the host over mutual TLS, with the terminal's certificate. */
#ifndef KEYFILL_TERMINAL_HOST_OVER_HTTP_H
#define KEYFILL_TERMINAL_HOST_OVER_HTTP_H

#include "terminal/operation.h"
#include "terminal/terminal_config.h"
#include "wire/http_client.h"

/* `*ret_client` stands behind `*ret_link`: free it (kf_http_client_free) once nobody uses the link. */
kf_code kf_host_over_http(const kf_terminal_config *config, kf_http_client **ret_client,
                          kf_host_link *ret_link, kf_error *error) KF_MUST_USE;

#endif
