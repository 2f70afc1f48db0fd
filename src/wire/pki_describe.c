#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>

#include "wire/certificate.h"
#include "wire/pki.h"

#define DESCRIBED_MAX 8 /* certificates of one text */
#define ALTERNATIVE_NAMES_MAX 64
#define ALTERNATIVE_NAME_SIZE 1024

static void describe_names(gnutls_x509_crt_t certificate, kf_buffer *text)
{
    for (unsigned i = 0; i < ALTERNATIVE_NAMES_MAX; i++) {
        uint8_t value[ALTERNATIVE_NAME_SIZE];
        char address[INET6_ADDRSTRLEN];
        size_t size = sizeof value;
        unsigned type = 0;
        if (gnutls_x509_crt_get_subject_alt_name2(certificate, i, value, &size, &type, NULL) < 0) return;
        if (type == GNUTLS_SAN_DNSNAME)
            kf_buffer_format(text, "  host name:   %.*s\n", (int)size, (const char *)value);
        if (type == GNUTLS_SAN_IPADDRESS &&
            inet_ntop(size == 4 ? AF_INET : AF_INET6, value, address, sizeof address) != NULL)
            kf_buffer_format(text, "  IP address:  %s\n", address);
    }
}

static void describe_validity(gnutls_x509_crt_t certificate, time_t now, kf_buffer *text)
{
    kf_peer peer = {.not_after = gnutls_x509_crt_get_expiration_time(certificate)};
    char begin[KF_TIME_TEXT_SIZE];
    char end[KF_TIME_TEXT_SIZE];
    kf_time_format(gnutls_x509_crt_get_activation_time(certificate), begin);
    kf_time_format(peer.not_after, end);
    kf_buffer_format(text, "  valid:       %s to %s", begin, end);
    long days = kf_peer_days_left(&peer, now);
    if (now > peer.not_after)
        kf_buffer_append_text(text, " (expired)\n");
    else
        kf_buffer_format(text, " (%ld days left)\n", days);
}

static kf_code describe_one(gnutls_x509_crt_t certificate, time_t now, kf_buffer *text, kf_error *error)
{
    kf_peer peer;
    gnutls_datum_t subject = {NULL, 0};
    uint8_t fingerprint[KF_FINGERPRINT_SIZE];
    size_t size = sizeof fingerprint;
    if (gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, fingerprint, &size) != 0)
        return kf_fail(error, KF_ERR_CERTIFICATE, "a certificate's fingerprint cannot be computed");
    (void)gnutls_x509_crt_get_dn3(certificate, &subject, 0);
    bool is_authority = gnutls_x509_crt_get_ca_status(certificate, NULL) > 0;
    kf_buffer_format(text, "%s%s\n", is_authority ? "certificate authority " : "certificate ",
                     subject.data != NULL ? (const char *)subject.data : "without a subject");
    gnutls_free(subject.data);
    if (kf_certificate_peer(certificate, &peer, NULL) == KF_OK)
        kf_buffer_format(text, "  role:        %s\n  name:        %s\n", kf_peer_role_name(peer.role),
                         peer.name);
    else
        kf_buffer_append_text(text, "  role:        none\n");
    describe_names(certificate, text);
    describe_validity(certificate, now, text);
    kf_buffer_append_text(text, "  SHA-256:     ");
    kf_buffer_append_hex(text, kf_view_of(fingerprint, size));
    kf_buffer_append_text(text, "\n");
    kf_code code = kf_buffer_status(text);
    return code == KF_OK ? KF_OK : kf_fail_plain(error, code);
}

kf_code kf_pki_describe(kf_view pem, time_t now, kf_buffer *text, kf_error *error)
{
    gnutls_x509_crt_t certificates[DESCRIBED_MAX];
    unsigned count = DESCRIBED_MAX;
    gnutls_datum_t datum = kf_certificate_datum(pem);
    int got = gnutls_x509_crt_list_import(certificates, &count, &datum, GNUTLS_X509_FMT_PEM,
                                          GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (got < 0)
        return kf_fail(error, KF_ERR_CERTIFICATE, "no certificate (PEM) can be read: %s",
                       gnutls_strerror(got));
    kf_code code = KF_OK;
    for (unsigned i = 0; i < count; i++) {
        if (code == KF_OK) code = describe_one(certificates[i], now, text, error);
        gnutls_x509_crt_deinit(certificates[i]);
    }
    return code;
}
