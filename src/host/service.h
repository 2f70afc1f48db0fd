/* The issuing host as a service: its HTTP edge, and a thread that delivers to the issuing server and settles
 * requests that broke off. */
#ifndef KEYFILL_HOST_SERVICE_H
#define KEYFILL_HOST_SERVICE_H

#include "host/host_config.h"

typedef struct kf_host_service kf_host_service;

#define KF_HOST_HOUSEKEEPING_SECONDS 2 /* between two rounds of settling and delivering, at most */

/* KF_OK: it serves. */
kf_code kf_host_service_start(const kf_host_config *config, kf_host_service **ret_service,
                              kf_error *error) KF_MUST_USE;
uint16_t kf_host_service_port(const kf_host_service *service);
/* Reads the revocation lists again; in failure all stays. */
kf_code kf_host_service_reload(kf_host_service *service, kf_error *error) KF_MUST_USE;
/* Lets requests under way end, then frees and sets NULL. Fits KF_CLEANUP. */
void kf_host_service_stop(kf_host_service **service);

#endif
