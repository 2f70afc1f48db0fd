#include "wire/pki.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <string.h>

#include "base/file.h"
#include "crypto/random.h"
#include "wire/certificate.h"
#include "wire/pki_signer.h"

#define SERIAL_SIZE 16 /* bytes: random, positive (RFC 5280 4.1.2.2) */
#define SECONDS_AN_HOUR 3600
#define SECONDS_A_DAY 86400

static void free_key(gnutls_x509_privkey_t *key)
{
    if (*key != NULL) gnutls_x509_privkey_deinit(*key);
    *key = NULL;
}

static void free_request(gnutls_x509_crq_t *request)
{
    if (*request != NULL) gnutls_x509_crq_deinit(*request);
    *request = NULL;
}

static void free_public_key(gnutls_pubkey_t *key)
{
    if (*key != NULL) gnutls_pubkey_deinit(*key);
    *key = NULL;
}

void kf_pki_signer_clear(kf_pki_signer *signer)
{
    kf_certificate_free(&signer->certificate);
    free_key(&signer->key);
}

kf_code kf_pki_library_fault(int got, const char *doing, kf_error *error)
{
    if (got == GNUTLS_E_MEMORY_ERROR) return kf_fail_plain(error, KF_ERR_MEMORY);
    return kf_fail(error, KF_ERR_CERTIFICATE, "%s: %s", doing, gnutls_strerror(got));
}

kf_pki_validity kf_pki_validity_of_days(time_t now, unsigned days)
{
    return (kf_pki_validity){.not_before = now - SECONDS_AN_HOUR,
                             .not_after = now + (time_t)days * SECONDS_A_DAY};
}

void kf_pki_pair_clear(kf_pki_pair *pair)
{
    kf_buffer_clear(&pair->certificate);
    kf_secret_free(&pair->key);
}

static kf_code make_key(gnutls_x509_privkey_t *ret_key, kf_error *error)
{
    KF_CLEANUP(free_key) gnutls_x509_privkey_t key = NULL;
    int got = gnutls_x509_privkey_init(&key);
    if (got == 0)
        got = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                           GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (got != 0) return kf_pki_library_fault(got, "a key cannot be made", error);
    *ret_key = key;
    key = NULL; /* the caller's */
    return KF_OK;
}

static kf_code export_key(gnutls_x509_privkey_t key, kf_secret **ret_key, kf_error *error)
{
    gnutls_datum_t pem = {NULL, 0};
    int got = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
    if (got != 0) return kf_pki_library_fault(got, "the key cannot be written", error);
    kf_code code = kf_secret_new(kf_view_of(pem.data, pem.size), ret_key);
    kf_wipe(pem.data, pem.size);
    gnutls_free(pem.data);
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

static kf_code export_certificate(gnutls_x509_crt_t certificate, kf_buffer *pem, kf_error *error)
{
    gnutls_datum_t text = {NULL, 0};
    int got = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text);
    if (got != 0) return kf_pki_library_fault(got, "the certificate cannot be written", error);
    kf_buffer_append_bytes(pem, text.data, text.size);
    gnutls_free(text.data);
    kf_code code = kf_buffer_status(pem);
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

kf_code kf_pki_signer_open(const kf_pki_pair *issuer, kf_pki_signer *signer, kf_error *error)
{
    gnutls_datum_t certificate = kf_certificate_datum(kf_buffer_view(&issuer->certificate));
    gnutls_datum_t key = kf_certificate_datum(kf_secret_expose(issuer->key));
    int got = gnutls_x509_crt_init(&signer->certificate);
    if (got == 0) got = gnutls_x509_crt_import(signer->certificate, &certificate, GNUTLS_X509_FMT_PEM);
    if (got == 0) got = gnutls_x509_privkey_init(&signer->key);
    if (got == 0) got = gnutls_x509_privkey_import2(signer->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (got != 0) return kf_pki_library_fault(got, "the issuer's certificate or key cannot be read", error);
    if (gnutls_x509_crt_get_ca_status(signer->certificate, NULL) <= 0)
        return kf_fail(error, KF_ERR_CERTIFICATE, "the issuer's certificate is no certificate authority's");
    bool is_root = gnutls_x509_crt_check_issuer(signer->certificate, signer->certificate) != 0;
    signer->peer.role = KF_PEER_NONE;
    return is_root ? KF_OK : kf_certificate_peer(signer->certificate, &signer->peer, error);
}

static kf_code check_issuer(const kf_pki_signer *signer, kf_peer_role role, kf_error *error)
{
    bool under_authority = signer->peer.role == KF_PEER_TERMINAL_AUTHORITY;
    if (signer->peer.role != KF_PEER_NONE && !under_authority)
        return kf_fail(error, KF_ERR_CERTIFICATE, "%s:%s may issue no certificates",
                       kf_peer_role_name(signer->peer.role), signer->peer.name);
    if (role == KF_PEER_TERMINAL && !under_authority)
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "terminals are accepted only under a terminal authority; issue this one under it, not "
                       "under the root");
    if (role != KF_PEER_TERMINAL && under_authority)
        return kf_fail(
            error, KF_ERR_CERTIFICATE,
            "the terminal authority %s may issue certificates for terminals only, not for the role %s",
            signer->peer.name, kf_peer_role_name(role));
    return KF_OK;
}

static int set_times_and_serial(gnutls_x509_crt_t certificate, kf_pki_validity validity)
{
    uint8_t serial[SERIAL_SIZE];
    if (kf_random_bytes(serial, sizeof serial) != KF_OK) return GNUTLS_E_RANDOM_FAILED;
    serial[0] = (uint8_t)((serial[0] & 0x7FU) | 0x40U);
    int got = gnutls_x509_crt_set_version(certificate, 3);
    if (got == 0) got = gnutls_x509_crt_set_serial(certificate, serial, sizeof serial);
    if (got == 0) got = gnutls_x509_crt_set_activation_time(certificate, validity.not_before);
    if (got == 0) got = gnutls_x509_crt_set_expiration_time(certificate, validity.not_after);
    return got;
}

/* Key identifiers (RFC 5280 4.2.1.1, 4.2.1.2): the first 20 bytes of the key's SHA-256, RFC 7093. */
static int set_key_identifiers(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer)
{
    uint8_t identifier[64];
    size_t size = sizeof identifier;
    int got = gnutls_x509_crt_get_key_id(certificate, GNUTLS_KEYID_USE_SHA256, identifier, &size);
    if (got == 0) got = gnutls_x509_crt_set_subject_key_id(certificate, identifier, 20);
    if (got != 0 || issuer == NULL) return got;
    size = sizeof identifier;
    got = gnutls_x509_crt_get_subject_key_id(issuer, identifier, &size, NULL);
    return got == 0 ? gnutls_x509_crt_set_authority_key_id(certificate, identifier, size) : got;
}

/* The unit is for people, and keeps apart the subjects of a root and of an authority of the same name. */
static int set_name(gnutls_x509_crt_t certificate, const char *name, const char *unit)
{
    int got = gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0, unit,
                                            (unsigned)strlen(unit));
    if (got != 0) return got;
    return gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                         (unsigned)strlen(name));
}

static int set_authority_usage(gnutls_x509_crt_t certificate, int path_length)
{
    int got = gnutls_x509_crt_set_basic_constraints(certificate, 1, path_length);
    return got == 0
               ? gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN)
               : got;
}

static int set_peer_usage(gnutls_x509_crt_t certificate)
{
    int got = gnutls_x509_crt_set_basic_constraints(certificate, 0, -1);
    if (got == 0) got = gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (got == 0) got = gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    if (got == 0) got = gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0);
    return got;
}

static kf_code set_ip(gnutls_x509_crt_t certificate, const char *text, kf_error *error)
{
    uint8_t address[16];
    unsigned size = 4;
    if (inet_pton(AF_INET, text, address) != 1) {
        size = 16;
        if (inet_pton(AF_INET6, text, address) != 1)
            return kf_fail(
                error, KF_ERR_FIELD,
                "\"%.60s\" is no IP address; give 192.0.2.1 or 2001:db8::1, and host names as DNS names",
                text);
    }
    int got = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, address, size,
                                                   GNUTLS_FSAN_APPEND);
    return got == 0 ? KF_OK : kf_pki_library_fault(got, "the IP address cannot be set", error);
}

static kf_code set_dns(gnutls_x509_crt_t certificate, const char *name, kf_error *error)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*";
    size_t length = strlen(name);
    if (length == 0 || length > 253 || strspn(name, letters) != length)
        return kf_fail(error, KF_ERR_FIELD, "\"%.80s\" is no host name", name);
    int got = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, name, (unsigned)length,
                                                   GNUTLS_FSAN_APPEND);
    return got == 0 ? KF_OK : kf_pki_library_fault(got, "the host name cannot be set", error);
}

static kf_code set_alternative_names(gnutls_x509_crt_t certificate, const kf_pki_subject *subject,
                                     kf_error *error)
{
    if (subject->dns_count > KF_PKI_NAMES_MAX || subject->ip_count > KF_PKI_NAMES_MAX)
        return kf_fail(error, KF_ERR_FIELD, "a certificate takes at most %d host names and %d IP addresses",
                       KF_PKI_NAMES_MAX, KF_PKI_NAMES_MAX);
    char uri[KF_PEER_URI_SIZE];
    KF_TRY(kf_peer_uri_format(subject->role, subject->name, uri, error));
    int got = gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_URI, uri, (unsigned)strlen(uri),
                                                   GNUTLS_FSAN_APPEND);
    if (got != 0) return kf_pki_library_fault(got, "the URI cannot be set", error);
    for (size_t i = 0; i < subject->dns_count; i++)
        KF_TRY(set_dns(certificate, subject->dns[i], error));
    for (size_t i = 0; i < subject->ip_count; i++)
        KF_TRY(set_ip(certificate, subject->ip[i], error));
    return KF_OK;
}

static kf_code check_validity(kf_pki_validity validity, kf_error *error)
{
    if (validity.not_after > validity.not_before) return KF_OK;
    char begin[KF_TIME_TEXT_SIZE];
    char end[KF_TIME_TEXT_SIZE];
    kf_time_format(validity.not_before, begin);
    kf_time_format(validity.not_after, end);
    return kf_fail(error, KF_ERR_FIELD, "a certificate cannot be valid from %s to %s", begin, end);
}

/* The certificate's key is set; everything else comes from `subject`. */
static kf_code complete_and_sign(gnutls_x509_crt_t certificate, const kf_pki_signer *signer,
                                 const kf_pki_subject *subject, kf_error *error)
{
    KF_TRY(check_validity(subject->validity, error));
    KF_TRY(set_alternative_names(certificate, subject, error));
    int got = set_times_and_serial(certificate, subject->validity);
    if (got == 0) got = set_name(certificate, subject->name, kf_peer_role_name(subject->role));
    if (got == 0 && subject->role == KF_PEER_TERMINAL_AUTHORITY) got = set_authority_usage(certificate, 0);
    if (got == 0 && subject->role != KF_PEER_TERMINAL_AUTHORITY) got = set_peer_usage(certificate);
    if (got == 0) got = set_key_identifiers(certificate, signer->certificate);
    if (got == 0)
        got = gnutls_x509_crt_sign2(certificate, signer->certificate, signer->key, GNUTLS_DIG_SHA256, 0);
    return got == 0 ? KF_OK : kf_pki_library_fault(got, "the certificate cannot be signed", error);
}

/* What a peer has to send: the certificate, and its issuer's where that is not a root. */
static kf_code export_chain(gnutls_x509_crt_t certificate, const kf_pki_signer *signer, kf_buffer *pem,
                            kf_error *error)
{
    KF_TRY(export_certificate(certificate, pem, error));
    if (signer->peer.role == KF_PEER_NONE) return KF_OK;
    return export_certificate(signer->certificate, pem, error);
}

kf_code kf_pki_make_root(const char *name, kf_pki_validity validity, kf_pki_pair *ret_root, kf_error *error)
{
    KF_CLEANUP(free_key) gnutls_x509_privkey_t key = NULL;
    KF_CLEANUP(kf_certificate_free) gnutls_x509_crt_t certificate = NULL;
    KF_TRY(kf_name_check("name", name, error));
    KF_TRY(check_validity(validity, error));
    KF_TRY(make_key(&key, error));
    int got = gnutls_x509_crt_init(&certificate);
    if (got == 0) got = gnutls_x509_crt_set_key(certificate, key);
    if (got == 0) got = set_times_and_serial(certificate, validity);
    if (got == 0) got = set_name(certificate, name, "root");
    if (got == 0) got = set_authority_usage(certificate, 1);
    if (got == 0) got = set_key_identifiers(certificate, NULL);
    if (got == 0) got = gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
    if (got != 0) return kf_pki_library_fault(got, "the root certificate cannot be made", error);
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair root = {KF_BUFFER_INIT, NULL};
    KF_TRY(export_certificate(certificate, &root.certificate, error));
    KF_TRY(export_key(key, &root.key, error));
    *ret_root = root;
    root = (kf_pki_pair){KF_BUFFER_INIT, NULL}; /* the caller's */
    return KF_OK;
}

kf_code kf_pki_issue(const kf_pki_pair *issuer, const kf_pki_subject *subject, kf_pki_pair *ret_pair,
                     kf_error *error)
{
    KF_CLEANUP(kf_pki_signer_clear) kf_pki_signer signer = {NULL, NULL, {.role = KF_PEER_NONE}};
    KF_CLEANUP(free_key) gnutls_x509_privkey_t key = NULL;
    KF_CLEANUP(kf_certificate_free) gnutls_x509_crt_t certificate = NULL;
    KF_TRY(kf_pki_signer_open(issuer, &signer, error));
    KF_TRY(check_issuer(&signer, subject->role, error));
    KF_TRY(make_key(&key, error));
    int got = gnutls_x509_crt_init(&certificate);
    if (got == 0) got = gnutls_x509_crt_set_key(certificate, key);
    if (got != 0) return kf_pki_library_fault(got, "the certificate cannot be made", error);
    KF_TRY(complete_and_sign(certificate, &signer, subject, error));
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    KF_TRY(export_chain(certificate, &signer, &pair.certificate, error));
    KF_TRY(export_key(key, &pair.key, error));
    *ret_pair = pair;
    pair = (kf_pki_pair){KF_BUFFER_INIT, NULL}; /* the caller's */
    return KF_OK;
}

kf_code kf_pki_request_new(const char *name, kf_buffer *request, kf_secret **ret_key, kf_error *error)
{
    KF_CLEANUP(free_key) gnutls_x509_privkey_t key = NULL;
    KF_CLEANUP(free_request) gnutls_x509_crq_t made = NULL;
    KF_TRY(make_key(&key, error));
    int got = gnutls_x509_crq_init(&made);
    if (got == 0) got = gnutls_x509_crq_set_version(made, 1);
    if (got == 0)
        got =
            gnutls_x509_crq_set_dn_by_oid(made, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
    if (got == 0) got = gnutls_x509_crq_set_key(made, key);
    if (got == 0) got = gnutls_x509_crq_sign2(made, key, GNUTLS_DIG_SHA256, 0);
    gnutls_datum_t pem = {NULL, 0};
    if (got == 0) got = gnutls_x509_crq_export2(made, GNUTLS_X509_FMT_PEM, &pem);
    if (got != 0) return kf_pki_library_fault(got, "the certificate request cannot be made", error);
    kf_buffer_append_bytes(request, pem.data, pem.size);
    gnutls_free(pem.data);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(request)));
    return export_key(key, ret_key, error);
}

static kf_code import_request(kf_view text, gnutls_x509_crq_t *request, kf_error *error)
{
    if (text.size > KF_PKI_REQUEST_MAX)
        return kf_fail(error, KF_ERR_CERTIFICATE,
                       "the certificate request is longer than the %zu bytes allowed", KF_PKI_REQUEST_MAX);
    gnutls_datum_t pem = kf_certificate_datum(text);
    int got = gnutls_x509_crq_init(request);
    if (got == 0) got = gnutls_x509_crq_import(*request, &pem, GNUTLS_X509_FMT_PEM);
    if (got != 0) return kf_pki_library_fault(got, "the certificate request cannot be read", error);
    got = gnutls_x509_crq_verify(*request, 0);
    if (got < 0)
        return kf_pki_library_fault(got, "the certificate request's own signature does not verify", error);
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    KF_CLEANUP(free_public_key) gnutls_pubkey_t key = NULL;
    got = gnutls_pubkey_init(&key);
    if (got == 0) got = gnutls_pubkey_import_x509_crq(key, *request, 0);
    if (got == 0) got = gnutls_pubkey_export_ecc_raw2(key, &curve, NULL, NULL, 0);
    if (got != 0 || curve != GNUTLS_ECC_CURVE_SECP256R1)
        return kf_fail(error, KF_ERR_CERTIFICATE, "the certificate request's key is not an EC key on P-256");
    return KF_OK;
}

kf_code kf_pki_sign_request(const kf_pki_pair *issuer, kf_view request, const kf_pki_subject *subject,
                            kf_buffer *certificate, kf_error *error)
{
    KF_CLEANUP(kf_pki_signer_clear) kf_pki_signer signer = {NULL, NULL, {.role = KF_PEER_NONE}};
    KF_CLEANUP(free_request) gnutls_x509_crq_t asked = NULL;
    KF_CLEANUP(kf_certificate_free) gnutls_x509_crt_t signed_one = NULL;
    KF_TRY(kf_pki_signer_open(issuer, &signer, error));
    KF_TRY(check_issuer(&signer, subject->role, error));
    KF_TRY(import_request(request, &asked, error));
    KF_CLEANUP(free_public_key) gnutls_pubkey_t key = NULL;
    int got = gnutls_pubkey_init(&key);
    if (got == 0) got = gnutls_pubkey_import_x509_crq(key, asked, 0);
    if (got == 0) got = gnutls_x509_crt_init(&signed_one);
    if (got == 0) got = gnutls_x509_crt_set_pubkey(signed_one, key);
    if (got != 0) return kf_pki_library_fault(got, "the certificate cannot be made", error);
    KF_TRY(complete_and_sign(signed_one, &signer, subject, error));
    return export_chain(signed_one, &signer, certificate, error);
}

static kf_code load_parts(const char *certificate_path, const char *key_path, kf_pki_pair *pair,
                          kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer key = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(certificate_path, KF_TLS_FILE_MAX, &pair->certificate, error));
    KF_TRY(kf_file_read(key_path, KF_SECRET_MAX_SIZE, &key, error));
    kf_code code = kf_secret_new(kf_buffer_view(&key), &pair->key);
    if (code == KF_ERR_ARGUMENT) return kf_fail(error, KF_ERR_CERTIFICATE, "%s is empty", key_path);
    if (code != KF_OK) return kf_fail_plain(error, code);
    return kf_certificate_check_pair(kf_buffer_view(&pair->certificate), kf_secret_expose(pair->key),
                                     certificate_path, error);
}

kf_code kf_pki_pair_load(const char *certificate_path, const char *key_path, kf_pki_pair *ret_pair,
                         kf_error *error)
{
    kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    kf_code code = load_parts(certificate_path, key_path, &pair, error);
    if (code != KF_OK) {
        kf_pki_pair_clear(&pair);
        return code;
    }
    *ret_pair = pair;
    return KF_OK;
}

kf_code kf_pki_pair_save(const kf_pki_pair *pair, const char *certificate_path, const char *key_path,
                         kf_error *error)
{
    KF_TRY(kf_file_replace(key_path, kf_secret_expose(pair->key), 0600, error));
    return kf_file_replace(certificate_path, kf_buffer_view(&pair->certificate), 0644, error);
}
