/* Copies of signed heads outside the unit: whoever holds one can show later that the log was cut or replaced.
 * Places: a file of JSON lines, a syslog socket, an HTTPS address that takes POSTs. What a place refuses is
 * sent again later; the table `audit_copies` knows how far each has come. */
#ifndef KEYFILL_AUDIT_OUTSIDE_H
#define KEYFILL_AUDIT_OUTSIDE_H

#include "store/database.h"
#include "wire/http_client.h"

typedef struct kf_outside kf_outside;

/* Places that are NULL are none. */
typedef struct kf_outside_options {
    const char *file;                  /* appended to; made with mode 0640 */
    const char *syslog;                /* a datagram socket: /dev/log */
    const char *https;                 /* https://host[:port]/path */
    const char *program;               /* for syslog; static */
    kf_http_client_options https_unit; /* certificates; its base_url is replaced */
} kf_outside_options;

/* Opens the file, so that a sandbox may close behind it. KF_ERR_FILE, KF_ERR_CONFIGURATION. */
kf_code kf_outside_new(const kf_outside_options *options, kf_outside **ret_outside,
                       kf_error *error) KF_MUST_USE;
/* NULL and pointers to NULL are fine; sets NULL. */
void kf_outside_free(kf_outside **outside);

/* Sends each place what of this unit's heads it has not had yet, in order. Tries all places; the first
 * failure is told. */
kf_code kf_outside_send(kf_outside *outside, kf_database *database, kf_error *error) KF_MUST_USE;

#endif
