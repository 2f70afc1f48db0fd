#include <string.h>

#include "wire/certificate.h"
#include "wire/pki_signer.h"
#include "wire/revocation.h"

#define SECONDS_A_DAY 86400

static void free_list(gnutls_x509_crl_t *list)
{
    if (*list != NULL) gnutls_x509_crl_deinit(*list);
    *list = NULL;
}

static kf_code read_certificate(kf_view pem, gnutls_x509_crt_t *ret_certificate, kf_error *error)
{
    gnutls_x509_crt_t certificate = NULL;
    if (gnutls_x509_crt_init(&certificate) != 0) return kf_fail_plain(error, KF_ERR_MEMORY);
    gnutls_datum_t datum = kf_certificate_datum(pem);
    int got = gnutls_x509_crt_import(certificate, &datum, GNUTLS_X509_FMT_PEM);
    if (got != 0) {
        gnutls_x509_crt_deinit(certificate);
        return kf_pki_library_fault(got, "the certificate to be revoked cannot be read", error);
    }
    *ret_certificate = certificate;
    return KF_OK;
}

static bool is_issued_by(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer)
{
    unsigned status = 0;
    return gnutls_x509_crt_verify(certificate, &issuer, 1,
                                  GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DO_NOT_ALLOW_SAME,
                                  &status) == 0 &&
           status == 0;
}

bool kf_pki_has_issued(const kf_pki_pair *issuer, kf_view certificate)
{
    KF_CLEANUP(kf_pki_signer_clear) kf_pki_signer signer = {.key = NULL};
    KF_CLEANUP(kf_certificate_free) gnutls_x509_crt_t read = NULL;
    return kf_pki_signer_open(issuer, &signer, NULL) == KF_OK &&
           read_certificate(certificate, &read, NULL) == KF_OK && is_issued_by(read, signer.certificate);
}

typedef struct serial_number {
    uint8_t bytes[KF_SERIAL_MAX];
    size_t size;
} serial_number;

static kf_code add_serial(gnutls_x509_crl_t list, const serial_number *serial, time_t when, kf_error *error)
{
    int got = gnutls_x509_crl_set_crt_serial(list, serial->bytes, serial->size, when);
    return got == 0 ? KF_OK : kf_pki_library_fault(got, "the list cannot be made", error);
}

/* Whether `list` names it already: each certificate stands in a list once. */
static bool list_has(gnutls_x509_crl_t list, const serial_number *serial)
{
    gnutls_x509_crl_iter_t at = NULL;
    serial_number found = {.size = sizeof found.bytes};
    time_t when;
    bool has = false;
    while (!has && gnutls_x509_crl_iter_crt_serial(list, &at, found.bytes, &found.size, &when) == 0) {
        has = found.size == serial->size && memcmp(found.bytes, serial->bytes, serial->size) == 0;
        found.size = sizeof found.bytes;
    }
    if (at != NULL) gnutls_x509_crl_iter_deinit(at);
    return has;
}

static kf_code copy_entries(gnutls_x509_crl_t before, gnutls_x509_crl_t list, kf_error *error)
{
    gnutls_x509_crl_iter_t at = NULL;
    kf_code code = KF_OK;
    int got = 0;
    while (code == KF_OK) {
        serial_number serial = {.size = sizeof serial.bytes};
        time_t when = 0;
        got = gnutls_x509_crl_iter_crt_serial(before, &at, serial.bytes, &serial.size, &when);
        if (got != 0) break;
        code = add_serial(list, &serial, when, error);
    }
    if (at != NULL) gnutls_x509_crl_iter_deinit(at);
    if (code == KF_OK && got != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return kf_pki_library_fault(got, "the list before cannot be read", error);
    return code;
}

static void count_up(serial_number *number)
{
    for (size_t i = number->size; i > 0; i--)
        if (++number->bytes[i - 1] != 0) return;
}

typedef struct earlier_lists {
    gnutls_x509_crl_t *items;
    unsigned count;
} earlier_lists;

static void earlier_lists_clear(earlier_lists *lists)
{
    for (unsigned i = 0; i < lists->count; i++)
        gnutls_x509_crl_deinit(lists->items[i]);
    gnutls_free(lists->items);
}

/* The issuer's own list among those before, NULL where it has none yet. */
static kf_code find_before(const kf_pki_signer *signer, kf_view pem, earlier_lists *lists,
                           gnutls_x509_crl_t *ret_list, kf_error *error)
{
    *ret_list = NULL;
    if (pem.size == 0) return KF_OK;
    gnutls_datum_t datum = kf_certificate_datum(pem);
    int got = gnutls_x509_crl_list_import2(&lists->items, &lists->count, &datum, GNUTLS_X509_FMT_PEM, 0);
    if (got < 0) {
        lists->count = 0;
        return kf_pki_library_fault(got, "the list before cannot be read", error);
    }
    gnutls_x509_crt_t issuer = signer->certificate;
    for (unsigned i = 0; i < lists->count && *ret_list == NULL; i++) {
        unsigned status = 0;
        if (gnutls_x509_crl_verify(lists->items[i], &issuer, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status) ==
                0 &&
            status == 0)
            *ret_list = lists->items[i];
    }
    return KF_OK;
}

/* RFC 5280 5.2.3: rises by one from list to list. */
static kf_code set_number(gnutls_x509_crl_t list, gnutls_x509_crl_t before, kf_error *error)
{
    serial_number number = {.bytes = {0}, .size = 8};
    unsigned critical = 0;
    if (before != NULL) {
        serial_number found = {.size = sizeof found.bytes};
        int got = gnutls_x509_crl_get_number(before, found.bytes, &found.size, &critical);
        if (got != 0) return kf_pki_library_fault(got, "the list before has no number", error);
        if (found.size > number.size)
            return kf_fail(error, KF_ERR_CERTIFICATE, "the number of the list before has %zu bytes",
                           found.size);
        memcpy(number.bytes + number.size - found.size, found.bytes, found.size);
    }
    count_up(&number);
    int got = gnutls_x509_crl_set_number(list, number.bytes, number.size);
    return got == 0 ? KF_OK : kf_pki_library_fault(got, "the list's number cannot be set", error);
}

static kf_code revoke_one(const kf_pki_signer *signer, kf_view pem, time_t now, gnutls_x509_crl_t list,
                          kf_error *error)
{
    KF_CLEANUP(kf_certificate_free) gnutls_x509_crt_t certificate = NULL;
    KF_TRY(read_certificate(pem, &certificate, error));
    if (!is_issued_by(certificate, signer->certificate)) {
        char name[KF_CERTIFICATE_NAME_SIZE];
        kf_certificate_name(certificate, name);
        return kf_fail(error, KF_ERR_CERTIFICATE, "certificate %s was not issued by this authority", name);
    }
    serial_number serial = {.size = sizeof serial.bytes};
    int got = gnutls_x509_crt_get_serial(certificate, serial.bytes, &serial.size);
    if (got != 0) return kf_pki_library_fault(got, "the certificate's serial number cannot be read", error);
    return list_has(list, &serial) ? KF_OK : add_serial(list, &serial, now, error);
}

static kf_code sign(const kf_pki_signer *signer, const kf_pki_revocation *revocation, gnutls_x509_crl_t list,
                    kf_error *error)
{
    uint8_t identifier[64];
    size_t size = sizeof identifier;
    int got = gnutls_x509_crl_set_version(list, 2);
    if (got == 0) got = gnutls_x509_crl_set_this_update(list, revocation->now);
    if (got == 0)
        got =
            gnutls_x509_crl_set_next_update(list, revocation->now + (time_t)revocation->days * SECONDS_A_DAY);
    if (got == 0) got = gnutls_x509_crt_get_subject_key_id(signer->certificate, identifier, &size, NULL);
    if (got == 0) got = gnutls_x509_crl_set_authority_key_id(list, identifier, size);
    if (got == 0) got = gnutls_x509_crl_sign2(list, signer->certificate, signer->key, GNUTLS_DIG_SHA256, 0);
    return got == 0 ? KF_OK : kf_pki_library_fault(got, "the list cannot be signed", error);
}

kf_code kf_pki_revoke(const kf_pki_pair *issuer, const kf_pki_revocation *revocation, kf_buffer *list,
                      kf_error *error)
{
    KF_CLEANUP(kf_pki_signer_clear) kf_pki_signer signer = {.key = NULL};
    KF_CLEANUP(free_list) gnutls_x509_crl_t made = NULL;
    KF_CLEANUP(earlier_lists_clear) earlier_lists earlier = {.items = NULL};
    gnutls_x509_crl_t before = NULL;
    KF_TRY(kf_pki_signer_open(issuer, &signer, error));
    if (gnutls_x509_crl_init(&made) != 0) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(find_before(&signer, revocation->before, &earlier, &before, error));
    if (before != NULL) KF_TRY(copy_entries(before, made, error));
    for (size_t i = 0; i < revocation->revoked_count; i++)
        KF_TRY(revoke_one(&signer, revocation->revoked[i], revocation->now, made, error));
    KF_TRY(set_number(made, before, error));
    KF_TRY(sign(&signer, revocation, made, error));
    gnutls_datum_t pem = {NULL, 0};
    int got = gnutls_x509_crl_export2(made, GNUTLS_X509_FMT_PEM, &pem);
    if (got != 0) return kf_pki_library_fault(got, "the list cannot be written", error);
    kf_buffer_append_bytes(list, pem.data, pem.size);
    gnutls_free(pem.data);
    return kf_fail_plain(error, kf_buffer_status(list));
}
