/* Who is at the other end: the role and name in a certificate, and the certificates and keys of our own.
 *
 * A certificate's subject alternative name holds exactly one URI urn:keyfill:ROLE:NAME (docs/messages.md,
 * Roles). The path is either root -> certificate, or root -> terminal authority -> terminal.
 */
#ifndef KEYFILL_WIRE_TLS_IDENTITY_H
#define KEYFILL_WIRE_TLS_IDENTITY_H

#include <time.h>

#include <keyfill/bytes.h>

#include "wire/names.h"

typedef enum kf_peer_role {
    KF_PEER_NONE = 0, /* no certificate, or none that counts */
    KF_PEER_BKMU = 1,
    KF_PEER_KMU = 2,
    KF_PEER_HOST = 3,
    KF_PEER_TERMINAL = 4,
    KF_PEER_BANK = 5,
    KF_PEER_OFFICER = 6,
    KF_PEER_AUDITOR = 7,
    KF_PEER_ADMINISTRATOR = 8,
    KF_PEER_ISSUING_SERVER = 9,
    KF_PEER_TERMINAL_AUTHORITY = 10, /* signs terminals; calls nobody */
    KF_PEER_LOCAL = 11,              /* whoever may open a local socket; never in a certificate */
} kf_peer_role;

/* Sets of roles, for route tables: KF_PEER_BIT(KF_PEER_HOST) | KF_PEER_BIT(KF_PEER_AUDITOR). */
#define KF_PEER_BIT(role) (1U << (unsigned)(role))
/* Everyone, with or without a certificate; the caller's role is KF_PEER_NONE where it has none that counts.
 */
#define KF_PEER_ANYONE (1U << 31)

#define KF_PEER_NAME_MAX KF_NAME_MAX
#define KF_PEER_URI_SIZE 128 /* bytes with the zero */
#define KF_FINGERPRINT_SIZE 32
#define KF_PEER_PATH_MAX 2                  /* certificates of a path below the root */
#define KF_TLS_FILE_MAX ((size_t)64 * 1024) /* bytes of a certificate, chain or key file */

typedef struct kf_peer {
    kf_peer_role role;
    char name[KF_PEER_NAME_MAX + 1];
    time_t not_before;
    time_t not_after;                         /* the earliest of the path's */
    uint8_t fingerprint[KF_FINGERPRINT_SIZE]; /* SHA-256 of the certificate (DER) */
    /* Of one that was verified: what a revocation list names each certificate of its path by. */
    uint8_t path[KF_PEER_PATH_MAX][KF_FINGERPRINT_SIZE];
    size_t path_length;
} kf_peer;

/* "host", "terminal", "issuing-server", …; "none" for KF_PEER_NONE. Static strings. */
const char *kf_peer_role_name(kf_peer_role role);
/* KF_ERR_FIELD names the roles there are. `none` and `local` are not among them. */
kf_code kf_peer_role_from_name(const char *name, kf_peer_role *ret_role, kf_error *error) KF_MUST_USE;
/* urn:keyfill:ROLE:NAME. KF_ERR_FIELD for a name that is not valid. */
kf_code kf_peer_uri_format(kf_peer_role role, const char *name, char ret_uri[KF_PEER_URI_SIZE],
                           kf_error *error) KF_MUST_USE;
kf_code kf_peer_uri_parse(const char *uri, kf_peer_role *ret_role, char ret_name[KF_PEER_NAME_MAX + 1],
                          kf_error *error) KF_MUST_USE;

/* What a certificate file (its first certificate, PEM) says, without any verification: for display and for
 * finding out who we are. KF_ERR_CERTIFICATE. */
kf_code kf_peer_of_file(const char *path, kf_peer *ret_peer, kf_error *error) KF_MUST_USE;
/* The same of our own certificate; KF_ERR_CERTIFICATE where it is not of the role that this program has. */
kf_code kf_peer_of_own_file(const char *path, kf_peer_role role, kf_peer *ret_peer,
                            kf_error *error) KF_MUST_USE;
/* Whole days until `not_after`, negative behind it. */
long kf_peer_days_left(const kf_peer *peer, time_t now);

/* The roots that are trusted. Shared between threads. */
typedef struct kf_tls_trust kf_tls_trust;

/* PEM, one root or more. KF_ERR_CERTIFICATE for a file without any; `origin` names the source in messages. */
kf_code kf_tls_trust_new(kf_view pem, const char *origin, kf_tls_trust **ret_trust,
                         kf_error *error) KF_MUST_USE;
kf_code kf_tls_trust_of_file(const char *path, kf_tls_trust **ret_trust, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. */
void kf_tls_trust_free(kf_tls_trust **trust);
/* From now on certificates that the revocation lists in the file `path` name are refused (PEM; each list
 * signed by a root, or by a terminal authority whose certificate stands in the same file). The file is looked
 * at whenever a certificate is, and read again where it changed; a changed file that cannot be used, or holds
 * an older list than is in force, is logged and changes nothing. KF_ERR_FILE, KF_ERR_CERTIFICATE: it cannot
 * be used at all. */
kf_code kf_tls_trust_revoke_by(kf_tls_trust *trust, const char *path, kf_error *error) KF_MUST_USE;
/* Reads the file again now; in failure all stays. KF_OK where there is none. */
kf_code kf_tls_trust_reload(kf_tls_trust *trust, kf_error *error) KF_MUST_USE;

/* Verifies the certificates that a peer sent (DER, its own first) at time `now`: signatures up to a root, the
 * time of each, one URI, the terminal authority's rule. KF_ERR_CERTIFICATE with one sentence that says which
 * of these failed, and for which certificate. */
kf_code kf_tls_verify_peer(kf_tls_trust *trust, const kf_view *certificates, size_t count, time_t now,
                           kf_peer *ret_peer, kf_error *error) KF_MUST_USE;
/* Of a peer that was verified before, on a connection that stays open: whether it still counts at time `now`.
 * KF_ERR_CERTIFICATE where a certificate of its path expired or was revoked meanwhile. */
kf_code kf_tls_check_again(kf_tls_trust *trust, const kf_peer *peer, time_t now, kf_error *error) KF_MUST_USE;

#endif
