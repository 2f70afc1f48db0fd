#include "wire/tls_identity.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "wire/certificate.h"
#include "wire/revocation.h"

#define URI_PREFIX "urn:keyfill:"
#define ALTERNATIVE_NAMES_MAX 64   /* of one certificate */
#define ALTERNATIVE_NAME_SIZE 1024 /* bytes of one */
#define SECONDS_A_DAY ((time_t)86400)

struct kf_tls_trust {
    pthread_mutex_t
        lock; /* GnuTLS does not promise that a trust list can be used by several threads at a time */
    gnutls_x509_trust_list_t list;
    kf_revocations *revocations; /* NULL: none are read */
    char origin[256];
};

static const struct role_row {
    kf_peer_role role;
    const char *name;
} role_rows[] = {
    {KF_PEER_BKMU, "bkmu"},
    {KF_PEER_KMU, "kmu"},
    {KF_PEER_HOST, "host"},
    {KF_PEER_TERMINAL, "terminal"},
    {KF_PEER_BANK, "bank"},
    {KF_PEER_OFFICER, "officer"},
    {KF_PEER_AUDITOR, "auditor"},
    {KF_PEER_ADMINISTRATOR, "administrator"},
    {KF_PEER_ISSUING_SERVER, "issuing-server"},
    {KF_PEER_TERMINAL_AUTHORITY, "terminal-authority"},
};

static const size_t role_row_count = sizeof role_rows / sizeof role_rows[0];

const char *kf_peer_role_name(kf_peer_role role)
{
    for (size_t i = 0; i < role_row_count; i++)
        if (role_rows[i].role == role) return role_rows[i].name;
    return role == KF_PEER_LOCAL ? "local" : "none";
}

kf_code kf_peer_role_from_name(const char *name, kf_peer_role *ret_role, kf_error *error)
{
    for (size_t i = 0; i < role_row_count; i++) {
        if (strcmp(role_rows[i].name, name) != 0) continue;
        *ret_role = role_rows[i].role;
        return KF_OK;
    }
    return kf_fail(error, KF_ERR_FIELD,
                   "\"%.40s\" is no role; the roles are bkmu, kmu, host, terminal, bank, officer, auditor, "
                   "administrator, issuing-server, terminal-authority",
                   name);
}

kf_code kf_peer_uri_format(kf_peer_role role, const char *name, char ret_uri[KF_PEER_URI_SIZE],
                           kf_error *error)
{
    KF_TRY(kf_name_check("name", name, error));
    kf_peer_role known = KF_PEER_NONE;
    KF_TRY(kf_peer_role_from_name(kf_peer_role_name(role), &known, error));
    (void)snprintf(ret_uri, KF_PEER_URI_SIZE, URI_PREFIX "%s:%s", kf_peer_role_name(role), name);
    return KF_OK;
}

kf_code kf_peer_uri_parse(const char *uri, kf_peer_role *ret_role, char ret_name[KF_PEER_NAME_MAX + 1],
                          kf_error *error)
{
    size_t prefix = strlen(URI_PREFIX);
    const char *colon = strncmp(uri, URI_PREFIX, prefix) == 0 ? strchr(uri + prefix, ':') : NULL;
    if (colon == NULL)
        return kf_fail(error, KF_ERR_FIELD, "\"%.120s\" is not of the form urn:keyfill:ROLE:NAME", uri);
    char role_name[32];
    (void)snprintf(role_name, sizeof role_name, "%.*s", (int)(colon - uri - (long)prefix), uri + prefix);
    kf_peer_role role = KF_PEER_NONE;
    KF_TRY(kf_peer_role_from_name(role_name, &role, error));
    KF_TRY(kf_name_check("name", colon + 1, error));
    *ret_role = role;
    (void)snprintf(ret_name, KF_PEER_NAME_MAX + 1, "%s", colon + 1);
    return KF_OK;
}

void kf_time_format(time_t time, char ret_text[KF_TIME_TEXT_SIZE])
{
    struct tm utc;
    if (gmtime_r(&time, &utc) == NULL ||
        strftime(ret_text, KF_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        (void)snprintf(ret_text, KF_TIME_TEXT_SIZE, "%lld", (long long)time);
}

void kf_certificate_free(gnutls_x509_crt_t *certificate)
{
    if (*certificate != NULL) gnutls_x509_crt_deinit(*certificate);
    *certificate = NULL;
}

/* The one URI of the subject alternative name. */
static kf_code uri_of(gnutls_x509_crt_t certificate, char ret_uri[KF_PEER_URI_SIZE], kf_error *error)
{
    char uri[KF_PEER_URI_SIZE] = "";
    size_t uris = 0;
    for (unsigned i = 0; i < ALTERNATIVE_NAMES_MAX; i++) {
        char value[ALTERNATIVE_NAME_SIZE];
        size_t size = sizeof value;
        unsigned type = 0;
        int got = gnutls_x509_crt_get_subject_alt_name2(certificate, i, value, &size, &type, NULL);
        if (got == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) break;
        if (got < 0)
            return kf_fail(error, KF_ERR_CERTIFICATE, "its alternative names cannot be read: %s",
                           gnutls_strerror(got));
        if (type != GNUTLS_SAN_URI) continue;
        uris++;
        if (size >= sizeof uri || memchr(value, '\0', size) != NULL)
            return kf_fail(error, KF_ERR_CERTIFICATE, "its URI is longer than %d bytes or holds a zero",
                           KF_PEER_URI_SIZE - 1);
        memcpy(uri, value, size);
        uri[size] = '\0';
    }
    if (uris != 1)
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "it holds %zu URIs, and exactly one urn:keyfill:ROLE:NAME is needed", uris);
    memcpy(ret_uri, uri, sizeof uri);
    return KF_OK;
}

void kf_certificate_name(gnutls_x509_crt_t certificate, char ret_name[KF_CERTIFICATE_NAME_SIZE])
{
    char uri[KF_PEER_URI_SIZE];
    if (uri_of(certificate, uri, NULL) == KF_OK) {
        (void)snprintf(ret_name, KF_CERTIFICATE_NAME_SIZE, "%s", uri);
        return;
    }
    gnutls_datum_t subject = {NULL, 0};
    if (gnutls_x509_crt_get_dn3(certificate, &subject, 0) == 0) {
        (void)snprintf(ret_name, KF_CERTIFICATE_NAME_SIZE, "\"%.140s\"", (const char *)subject.data);
        gnutls_free(subject.data);
        return;
    }
    (void)snprintf(ret_name, KF_CERTIFICATE_NAME_SIZE, "without a subject");
}

kf_code kf_certificate_peer(gnutls_x509_crt_t certificate, kf_peer *ret_peer, kf_error *error)
{
    char uri[KF_PEER_URI_SIZE];
    kf_peer peer;
    memset(&peer, 0, sizeof peer);
    KF_TRY(uri_of(certificate, uri, error));
    if (kf_peer_uri_parse(uri, &peer.role, peer.name, error) != KF_OK) {
        if (error != NULL) error->code = KF_ERR_CERTIFICATE;
        return KF_ERR_CERTIFICATE;
    }
    peer.not_before = gnutls_x509_crt_get_activation_time(certificate);
    peer.not_after = gnutls_x509_crt_get_expiration_time(certificate);
    size_t size = sizeof peer.fingerprint;
    if (peer.not_before == (time_t)-1 || peer.not_after == (time_t)-1 ||
        gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, peer.fingerprint, &size) != 0)
        return kf_fail(error, KF_ERR_CERTIFICATE, "its times or fingerprint cannot be read");
    *ret_peer = peer;
    return KF_OK;
}

long kf_peer_days_left(const kf_peer *peer, time_t now)
{
    time_t left = peer->not_after - now;
    return (long)(left >= 0 ? left / SECONDS_A_DAY : -((-left + SECONDS_A_DAY - 1) / SECONDS_A_DAY));
}

gnutls_datum_t kf_certificate_datum(kf_view view)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } pointer = {.in = view.data};
    return (gnutls_datum_t){.data = pointer.out, .size = (unsigned)view.size};
}

kf_code kf_peer_of_file(const char *path, kf_peer *ret_peer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer pem = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(path, KF_TLS_FILE_MAX, &pem, error));
    KF_CLEANUP(kf_certificate_free) gnutls_x509_crt_t certificate = NULL;
    if (gnutls_x509_crt_init(&certificate) != 0) return kf_fail_plain(error, KF_ERR_MEMORY);
    gnutls_datum_t datum = kf_certificate_datum(kf_buffer_view(&pem));
    int got = gnutls_x509_crt_import(certificate, &datum, GNUTLS_X509_FMT_PEM);
    if (got != 0)
        return kf_fail(error, KF_ERR_CERTIFICATE, "%s holds no certificate (PEM): %s", path,
                       gnutls_strerror(got));
    kf_error reason = {KF_OK, ""};
    if (kf_certificate_peer(certificate, ret_peer, &reason) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_CERTIFICATE, "certificate %s: %s", path, kf_error_text(&reason));
}

kf_code kf_peer_of_own_file(const char *path, kf_peer_role role, kf_peer *ret_peer, kf_error *error)
{
    kf_peer self;
    KF_TRY(kf_peer_of_file(path, &self, error));
    if (self.role != role)
        return kf_fail(error, KF_ERR_CERTIFICATE, "%s is the certificate of a %s; a %s's is wanted", path,
                       kf_peer_role_name(self.role), kf_peer_role_name(role));
    *ret_peer = self;
    return KF_OK;
}

kf_code kf_tls_trust_new(kf_view pem, const char *origin, kf_tls_trust **ret_trust, kf_error *error)
{
    kf_tls_trust *trust = calloc(1, sizeof *trust);
    if (trust == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    (void)pthread_mutex_init(&trust->lock, NULL);
    (void)snprintf(trust->origin, sizeof trust->origin, "%s", origin);
    gnutls_datum_t datum = kf_certificate_datum(pem);
    int got = gnutls_x509_trust_list_init(&trust->list, 0);
    if (got == 0)
        got = gnutls_x509_trust_list_add_trust_mem(trust->list, &datum, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
    if (got <= 0) {
        kf_tls_trust_free(&trust);
        return kf_fail(error, KF_ERR_CERTIFICATE, "%s holds no CA certificate (PEM)%s%s", origin,
                       got < 0 ? ": " : "", got < 0 ? gnutls_strerror(got) : "");
    }
    *ret_trust = trust;
    return KF_OK;
}

kf_code kf_tls_trust_of_file(const char *path, kf_tls_trust **ret_trust, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer pem = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(path, KF_TLS_FILE_MAX, &pem, error));
    return kf_tls_trust_new(kf_buffer_view(&pem), path, ret_trust, error);
}

void kf_tls_trust_free(kf_tls_trust **trust)
{
    if (*trust == NULL) return;
    kf_revocations_free(&(*trust)->revocations);
    if ((*trust)->list != NULL) gnutls_x509_trust_list_deinit((*trust)->list, 1);
    (void)pthread_mutex_destroy(&(*trust)->lock);
    free(*trust);
    *trust = NULL;
}

kf_code kf_tls_trust_revoke_by(kf_tls_trust *trust, const char *path, kf_error *error)
{
    kf_revocations *revocations = NULL;
    (void)pthread_mutex_lock(&trust->lock);
    kf_code code = kf_revocations_new(path, trust->list, &revocations, error);
    if (code == KF_OK) {
        kf_revocations_free(&trust->revocations);
        trust->revocations = revocations;
    }
    (void)pthread_mutex_unlock(&trust->lock);
    return code;
}

kf_code kf_tls_trust_reload(kf_tls_trust *trust, kf_error *error)
{
    kf_code code = KF_OK;
    (void)pthread_mutex_lock(&trust->lock);
    if (trust->revocations != NULL) code = kf_revocations_reload(trust->revocations, trust->list, error);
    (void)pthread_mutex_unlock(&trust->lock);
    return code;
}

/* The number of the first certificate of the path that was revoked; the path's length: none. */
static size_t first_revoked(kf_tls_trust *trust, const kf_peer *peer)
{
    size_t i = peer->path_length;
    if (trust->revocations == NULL) return i;
    kf_revocations_refresh(trust->revocations, trust->list);
    for (i = 0; i < peer->path_length; i++)
        if (kf_revocations_have(trust->revocations, peer->path[i])) break;
    return i;
}

static kf_code check_revoked(kf_tls_trust *trust, const kf_peer *peer, kf_error *error)
{
    size_t revoked = first_revoked(trust, peer);
    if (revoked == peer->path_length) return KF_OK;
    return kf_fail(error, KF_ERR_CERTIFICATE,
                   revoked == 0 ? "certificate urn:keyfill:%s:%s was revoked; issue a new one"
                                : "certificate urn:keyfill:%s:%s was issued by an authority whose own was "
                                  "revoked; issue a new one under another",
                   kf_peer_role_name(peer->role), peer->name);
}

kf_code kf_tls_check_again(kf_tls_trust *trust, const kf_peer *peer, time_t now, kf_error *error)
{
    if (now > peer->not_after) {
        char when[KF_TIME_TEXT_SIZE];
        kf_time_format(peer->not_after, when);
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "certificate urn:keyfill:%s:%s expired on %s; issue a new one",
                       kf_peer_role_name(peer->role), peer->name, when);
    }
    (void)pthread_mutex_lock(&trust->lock);
    kf_code code = check_revoked(trust, peer, error);
    (void)pthread_mutex_unlock(&trust->lock);
    return code;
}

static kf_code check_time(gnutls_x509_crt_t certificate, time_t now, kf_peer *peer, kf_error *error)
{
    time_t not_before = gnutls_x509_crt_get_activation_time(certificate);
    time_t not_after = gnutls_x509_crt_get_expiration_time(certificate);
    char name[KF_CERTIFICATE_NAME_SIZE];
    char when[KF_TIME_TEXT_SIZE];
    kf_certificate_name(certificate, name);
    if (now > not_after) {
        kf_time_format(not_after, when);
        return kf_fail(error, KF_ERR_CERTIFICATE, "certificate %s expired on %s; issue a new one", name,
                       when);
    }
    if (now < not_before) {
        kf_time_format(not_before, when);
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "certificate %s is not valid before %s; check the clocks of both machines", name,
                       when);
    }
    if (not_after < peer->not_after) peer->not_after = not_after;
    return KF_OK;
}

/* Signatures only; times are compared by check_time with the caller's clock. */
static kf_code check_signatures(const kf_tls_trust *trust, gnutls_x509_crt_t *chain, unsigned count,
                                kf_error *error)
{
    unsigned status = 0;
    int got = gnutls_x509_trust_list_verify_crt(trust->list, chain, count, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
                                                &status, NULL);
    if (got == 0 && status == 0) return KF_OK;
    char name[KF_CERTIFICATE_NAME_SIZE];
    kf_certificate_name(chain[0], name);
    if (got == 0 && (status & (unsigned)GNUTLS_CERT_SIGNER_NOT_FOUND) != 0)
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "certificate %s was not issued by the CA in %s; issue one under it", name,
                       trust->origin);
    gnutls_datum_t reason = {NULL, 0};
    if (got == 0) got = gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &reason, 0);
    kf_code code =
        kf_fail(error, KF_ERR_CERTIFICATE, "certificate %s does not verify against the CA in %s: %s", name,
                trust->origin, got == 0 ? (const char *)reason.data : gnutls_strerror(got));
    gnutls_free(reason.data);
    return code;
}

static kf_code check_root_time(const kf_tls_trust *trust, gnutls_x509_crt_t below, time_t now, kf_peer *peer,
                               kf_error *error)
{
    gnutls_x509_crt_t root = NULL;
    if (gnutls_x509_trust_list_get_issuer(trust->list, below, &root, GNUTLS_TL_GET_COPY) != 0)
        return kf_fail(error, KF_ERR_CERTIFICATE, "the CA in %s that issued it cannot be found",
                       trust->origin);
    kf_code code = check_time(root, now, peer, error);
    gnutls_x509_crt_deinit(root);
    return code;
}

static kf_code check_authority(gnutls_x509_crt_t authority, const kf_peer *peer, kf_error *error)
{
    kf_peer above;
    kf_error reason = {KF_OK, ""};
    if (kf_certificate_peer(authority, &above, &reason) != KF_OK)
        return kf_fail(error, KF_ERR_CERTIFICATE, "certificate of the authority that issued %s:%s: %s",
                       kf_peer_role_name(peer->role), peer->name, kf_error_text(&reason));
    if (above.role != KF_PEER_TERMINAL_AUTHORITY)
        return kf_fail(
            error, KF_ERR_CERTIFICATE,
            "certificate %s:%s was issued by %s:%s, which may issue none; only a terminal authority may",
            kf_peer_role_name(peer->role), peer->name, kf_peer_role_name(above.role), above.name);
    if (peer->role != KF_PEER_TERMINAL)
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "certificate %s:%s was issued by the terminal authority %s, under which only the role "
                       "terminal is accepted",
                       kf_peer_role_name(peer->role), peer->name, above.name);
    return KF_OK;
}

/* docs/messages.md, Roles: root -> anything but a terminal, or root -> terminal authority -> terminal. */
static kf_code verify_path(kf_tls_trust *trust, gnutls_x509_crt_t *chain, size_t count, time_t now,
                           kf_peer *ret_peer, kf_error *error)
{
    unsigned status = 0;
    bool direct = gnutls_x509_trust_list_verify_crt(trust->list, chain, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS,
                                                    &status, NULL) == 0 &&
                  status == 0;
    unsigned length = direct || count < KF_PEER_PATH_MAX ? 1 : KF_PEER_PATH_MAX;
    KF_TRY(check_signatures(trust, chain, length, error));
    kf_peer peer;
    kf_error reason = {KF_OK, ""};
    if (kf_certificate_peer(chain[0], &peer, &reason) != KF_OK) {
        char name[KF_CERTIFICATE_NAME_SIZE];
        kf_certificate_name(chain[0], name);
        return kf_fail(error, KF_ERR_CERTIFICATE, "certificate %s: %s", name, kf_error_text(&reason));
    }
    for (peer.path_length = 0; peer.path_length < length; peer.path_length++) {
        KF_TRY(check_time(chain[peer.path_length], now, &peer, error));
        KF_TRY(kf_revocation_entry(chain[peer.path_length], peer.path[peer.path_length], error));
    }
    KF_TRY(check_root_time(trust, chain[length - 1], now, &peer, error));
    if (peer.role == KF_PEER_TERMINAL_AUTHORITY)
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "certificate terminal-authority:%s signs terminals; it identifies no peer", peer.name);
    if (length == KF_PEER_PATH_MAX) KF_TRY(check_authority(chain[1], &peer, error));
    if (length == 1 && peer.role == KF_PEER_TERMINAL)
        return kf_fail(
            error, KF_ERR_CERTIFICATE,
            "certificate terminal:%s was not issued by a terminal authority; terminals are accepted only "
            "under one",
            peer.name);
    KF_TRY(check_revoked(trust, &peer, error));
    *ret_peer = peer;
    return KF_OK;
}

static void free_chain(gnutls_x509_crt_t (*chain)[KF_CHAIN_MAX])
{
    for (size_t i = 0; i < KF_CHAIN_MAX; i++)
        kf_certificate_free(&(*chain)[i]);
}

kf_code kf_tls_verify_peer(kf_tls_trust *trust, const kf_view *certificates, size_t count, time_t now,
                           kf_peer *ret_peer, kf_error *error)
{
    if (count == 0) return kf_fail(error, KF_ERR_CERTIFICATE, "no certificate was shown");
    if (count > KF_CHAIN_MAX)
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "a chain of %zu certificates was shown, and %d are the most", count, KF_CHAIN_MAX);
    KF_CLEANUP(free_chain) gnutls_x509_crt_t chain[KF_CHAIN_MAX] = {NULL};
    for (size_t i = 0; i < count; i++) {
        if (gnutls_x509_crt_init(&chain[i]) != 0) return kf_fail_plain(error, KF_ERR_MEMORY);
        gnutls_datum_t datum = kf_certificate_datum(certificates[i]);
        int got = gnutls_x509_crt_import(chain[i], &datum, GNUTLS_X509_FMT_DER);
        if (got != 0)
            return kf_fail(error, KF_ERR_CERTIFICATE, "certificate %zu that was shown cannot be read: %s",
                           i + 1, gnutls_strerror(got));
    }
    (void)pthread_mutex_lock(&trust->lock);
    kf_code code = verify_path(trust, chain, count, now, ret_peer, error);
    (void)pthread_mutex_unlock(&trust->lock);
    return code;
}

kf_code kf_certificate_check_pair(kf_view certificate, kf_view key, const char *origin, kf_error *error)
{
    gnutls_certificate_credentials_t credentials = NULL;
    if (gnutls_certificate_allocate_credentials(&credentials) != 0)
        return kf_fail_plain(error, KF_ERR_MEMORY);
    gnutls_datum_t certificate_datum = kf_certificate_datum(certificate);
    gnutls_datum_t key_datum = kf_certificate_datum(key);
    int got =
        gnutls_certificate_set_x509_key_mem(credentials, &certificate_datum, &key_datum, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    if (got >= 0) return KF_OK;
    return kf_fail(
        error, KF_ERR_CERTIFICATE,
        "certificate %s and its key cannot be used together (%s): give two files that were issued together",
        origin, gnutls_strerror(got));
}
