#include "certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include "base/file.h"

#define YEAR ((time_t)365 * 86400)

void test_path(const test_certificates *certificates, const char *name, char ret_path[128])
{
    (void)snprintf(ret_path, 128, "%s/%s", certificates->folder, name);
}

void test_certificates_make(test_certificates *certificates)
{
    kf_error error = {KF_OK, ""};
    kf_pki_validity validity = {time(NULL) - 20 * YEAR, time(NULL) + YEAR};
    memset(certificates, 0, sizeof *certificates);
    (void)snprintf(certificates->folder, sizeof certificates->folder, "/tmp/keyfill-unit-wire-XXXXXX");
    assert_non_null(mkdtemp(certificates->folder));
    assert_int_equal(kf_pki_make_root("test-root", validity, &certificates->root, &error), KF_OK);
    assert_int_equal(kf_pki_make_root("test-root", validity, &certificates->foreign_root, &error), KF_OK);
    kf_pki_subject authority = {.role = KF_PEER_TERMINAL_AUTHORITY, .name = "hosts", .validity = validity};
    assert_int_equal(kf_pki_issue(&certificates->root, &authority, &certificates->authority, &error), KF_OK);
    char path[128];
    test_path(certificates, "ca.pem", path);
    assert_int_equal(kf_file_replace(path, kf_buffer_view(&certificates->root.certificate), 0644, &error),
                     KF_OK);
    test_path(certificates, "foreign-ca.pem", path);
    assert_int_equal(
        kf_file_replace(path, kf_buffer_view(&certificates->foreign_root.certificate), 0644, &error), KF_OK);
}

void test_certificates_remove(test_certificates *certificates)
{
    DIR *folder = opendir(certificates->folder);
    struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder != NULL) (void)closedir(folder);
    (void)rmdir(certificates->folder);
    kf_pki_pair_clear(&certificates->root);
    kf_pki_pair_clear(&certificates->authority);
    kf_pki_pair_clear(&certificates->foreign_root);
}

static test_identity paths_of(const test_certificates *certificates, const char *role, const char *name)
{
    test_identity identity;
    (void)snprintf(identity.certificate, sizeof identity.certificate, "%s/%s-%s.pem", certificates->folder,
                   role, name);
    (void)snprintf(identity.key, sizeof identity.key, "%s/%s-%s.key", certificates->folder, role, name);
    return identity;
}

test_identity test_identity_make_until(test_certificates *certificates, const kf_pki_pair *issuer,
                                       kf_peer_role role, const char *name, time_t not_after)
{
    static const char *const dns[] = {"localhost"};
    static const char *const ip[] = {"127.0.0.1"};
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    kf_pki_subject subject = {.role = role,
                              .name = name,
                              .dns = dns,
                              .dns_count = 1,
                              .ip = ip,
                              .ip_count = 1,
                              .validity = {not_after - 10 * YEAR, not_after}};
    test_identity identity = paths_of(certificates, kf_peer_role_name(role), name);
    assert_int_equal(kf_pki_issue(issuer, &subject, &pair, &error), KF_OK);
    assert_int_equal(kf_pki_pair_save(&pair, identity.certificate, identity.key, &error), KF_OK);
    return identity;
}

test_identity test_identity_make(test_certificates *certificates, const kf_pki_pair *issuer,
                                 kf_peer_role role, const char *name)
{
    return test_identity_make_until(certificates, issuer, role, name, time(NULL) + YEAR);
}

static gnutls_datum_t datum_of(kf_view view)
{
    gnutls_datum_t datum;
    memcpy(&datum.data, &view.data, sizeof datum.data);
    datum.size = (unsigned)view.size;
    return datum;
}

static void save_forged(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key, const kf_pki_pair *issuer,
                        const test_identity *identity)
{
    kf_error error;
    gnutls_datum_t certificate_pem = {NULL, 0};
    gnutls_datum_t key_pem = {NULL, 0};
    assert_int_equal(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &certificate_pem), 0);
    assert_int_equal(
        gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &key_pem), 0);
    KF_CLEANUP(kf_buffer_clear) kf_buffer chain = KF_BUFFER_INIT;
    kf_buffer_append_bytes(&chain, certificate_pem.data, certificate_pem.size);
    kf_buffer_append(&chain, kf_buffer_view(&issuer->certificate));
    assert_int_equal(kf_file_replace(identity->certificate, kf_buffer_view(&chain), 0644, &error), KF_OK);
    assert_int_equal(kf_file_replace(identity->key, kf_view_of(key_pem.data, key_pem.size), 0600, &error),
                     KF_OK);
    gnutls_free(certificate_pem.data);
    gnutls_free(key_pem.data);
}

test_identity test_identity_forge(test_certificates *certificates, const kf_pki_pair *issuer, const char *uri,
                                  const char *name)
{
    test_identity identity = paths_of(certificates, "forged", name);
    gnutls_x509_crt_t certificate = NULL;
    gnutls_x509_crt_t above = NULL;
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_privkey_t signing_key = NULL;
    gnutls_datum_t above_pem = datum_of(kf_buffer_view(&issuer->certificate));
    gnutls_datum_t signing_pem = datum_of(kf_secret_expose(issuer->key));
    assert_int_equal(gnutls_x509_crt_init(&above), 0);
    assert_int_equal(gnutls_x509_crt_import(above, &above_pem, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_privkey_init(&signing_key), 0);
    assert_int_equal(gnutls_x509_privkey_import2(signing_key, &signing_pem, GNUTLS_X509_FMT_PEM, NULL, 0), 0);
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                                  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
    assert_int_equal(gnutls_x509_crt_set_version(certificate, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(certificate, "\x01\x02", 2), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(certificate, time(NULL) - 3600), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + YEAR), 0);
    assert_int_equal(gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                                   (unsigned)strlen(name)),
                     0);
    assert_int_equal(gnutls_x509_crt_set_basic_constraints(certificate, 0, -1), 0);
    if (uri != NULL)
        assert_int_equal(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_URI, uri,
                                                              (unsigned)strlen(uri), GNUTLS_FSAN_APPEND),
                         0);
    assert_int_equal(gnutls_x509_crt_set_key(certificate, key), 0);
    assert_int_equal(gnutls_x509_crt_sign2(certificate, above, signing_key, GNUTLS_DIG_SHA256, 0), 0);
    save_forged(certificate, key, issuer, &identity);
    gnutls_x509_privkey_deinit(key);
    gnutls_x509_privkey_deinit(signing_key);
    gnutls_x509_crt_deinit(above);
    gnutls_x509_crt_deinit(certificate);
    return identity;
}
