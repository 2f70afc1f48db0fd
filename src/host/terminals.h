/* Terminals: a one-time code is made for a name; with it a terminal's certificate request becomes a
 * certificate of that name. A terminal is heard while it is enabled and shows the certificate that was last
 * made for it. */
#ifndef KEYFILL_HOST_TERMINALS_H
#define KEYFILL_HOST_TERMINALS_H

#include "host/host.h"

#define KF_ENROLMENT_CODE_SIZE                                                                               \
    20 /* XXXX-XXXX-XXXX-XXXX and a zero: 80 random bits in base32 (RFC 4648 §6)                            \
        */
#define KF_TERMINAL_CONTACT_STEP_MS 10000 /* the last contact is noted no more often */

typedef struct kf_enrolment_code {
    char text[KF_ENROLMENT_CODE_SIZE];
    int64_t expires_ms;
} kf_enrolment_code;

/* A new code for `name`, which is added if it is not there; an earlier code of the same name is void. `actor`
 * for the audit row. */
kf_code kf_terminals_invite(kf_host *host, const char *name, const char *actor, kf_enrolment_code *ret_code,
                            kf_error *error) KF_MUST_USE;

typedef struct kf_enrolment {
    const char *code;
    kf_view request;     /* PEM, PKCS#10 */
    const char *address; /* the caller's, for the audit row */
} kf_enrolment;

/* Appends the certificate with its chain, and gives the name that the code stands for. KF_ERR_CODE where the
 * code is wrong, used or too old (with an audit row); KF_ERR_CERTIFICATE for a request that cannot be used:
 * the code is still good then. */
kf_code kf_terminals_enrol(kf_host *host, const kf_enrolment *enrolment, kf_buffer *certificate,
                           char ret_name[KF_PEER_NAME_MAX + 1], kf_error *error) KF_MUST_USE;

/* KF_ERR_NOT_FOUND. */
kf_code kf_terminals_set_enabled(kf_host *host, const char *name, bool enabled, const char *actor,
                                 kf_error *error) KF_MUST_USE;
/* KF_ERR_FORBIDDEN where the terminal is not listed, or shows another certificate than the last;
 * KF_ERR_DISABLED. Notes the contact. */
kf_code kf_terminals_admit(kf_host *host, const kf_peer *terminal, const char *address,
                           kf_error *error) KF_MUST_USE;

/* {"terminals": [{"name", "state": "invited|enrolled|disabled", "last_contact_ms"?, "address"?,
 * "fingerprint"?, "certificate_expires_ms"?, "code_expires_ms"?}]} */
kf_code kf_terminals_list(kf_host *host, json_t **ret_json, kf_error *error) KF_MUST_USE;

#endif
