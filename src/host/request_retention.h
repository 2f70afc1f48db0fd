/* How long finished requests stay, and what the issuing server was told of them. What is not finished, or not
 * told yet, stays. */
#ifndef KEYFILL_HOST_REQUEST_RETENTION_H
#define KEYFILL_HOST_REQUEST_RETENTION_H

#include "host/host.h"

#define KF_REQUEST_PRUNE_MS (3600 * 1000) /* between two looks */
#define KF_REQUEST_PRUNE_BATCH 64         /* rows in one transaction: requests wait only so long */

/* Removes what is older than the setting; each transaction is small. */
kf_code kf_request_retention_keep(kf_host *host, kf_error *error) KF_MUST_USE;

#endif
