#include "wire/revocation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "wire/certificate.h"

typedef struct issuer_row {
    uint8_t name[KF_FINGERPRINT_SIZE]; /* SHA-256 of the issuer's name (DER) */
    uint8_t number[KF_SERIAL_MAX];     /* of its list, with zeros before it (RFC 5280 5.2.3) */
} issuer_row;

typedef uint8_t entry_row[KF_FINGERPRINT_SIZE];

/* What one reading of the file gave. */
typedef struct revoked_lists {
    issuer_row issuers[KF_REVOCATION_ISSUERS_MAX];
    size_t issuer_count;
    entry_row *entries; /* sorted */
    size_t count;
    size_t room;
} revoked_lists;

struct kf_revocations {
    char *path;
    struct stat seen; /* of the file that was read last, also where it could not be used */
    revoked_lists lists;
};

/* What is open while the file is read. */
typedef struct reading {
    const char *path;
    gnutls_x509_trust_list_t roots;
    gnutls_x509_crt_t *shown; /* certificates of the file */
    unsigned shown_count;
    gnutls_x509_crl_t *crls;
    unsigned crl_count;
    gnutls_x509_crt_t signers[2 * KF_REVOCATION_ISSUERS_MAX]; /* authorities of the file, then roots */
    bool owned[2 * KF_REVOCATION_ISSUERS_MAX];
    unsigned signer_count;
} reading;

static void reading_clear(reading *read)
{
    for (unsigned i = 0; i < read->signer_count; i++)
        if (read->owned[i]) kf_certificate_free(&read->signers[i]);
    for (unsigned i = 0; i < read->shown_count; i++)
        kf_certificate_free(&read->shown[i]);
    for (unsigned i = 0; i < read->crl_count; i++)
        gnutls_x509_crl_deinit(read->crls[i]);
    gnutls_free(read->shown);
    gnutls_free(read->crls);
}

static void lists_clear(revoked_lists *lists)
{
    free(lists->entries);
    lists->entries = NULL;
    lists->count = 0;
    lists->room = 0;
}

static kf_code library_fault(const reading *read, int got, const char *what, kf_error *error)
{
    if (got == GNUTLS_E_MEMORY_ERROR) return kf_fail_plain(error, KF_ERR_MEMORY);
    return kf_fail(error, KF_ERR_CERTIFICATE, "%s: %s: %s", read->path, what, gnutls_strerror(got));
}

static kf_code entry_of(const gnutls_datum_t *issuer, const uint8_t *serial, size_t size, entry_row ret_entry)
{
    /* A leading zero keeps the number positive; whether it is written is not the same everywhere. */
    while (size > 1 && serial[0] == 0) {
        serial++;
        size--;
    }
    const kf_view parts[] = {kf_view_of(issuer->data, issuer->size), kf_view_of(serial, size)};
    return kf_sha256_parts(parts, 2, ret_entry);
}

kf_code kf_revocation_entry(gnutls_x509_crt_t certificate, uint8_t ret_entry[KF_FINGERPRINT_SIZE],
                            kf_error *error)
{
    gnutls_datum_t issuer = {NULL, 0};
    uint8_t serial[128];
    size_t size = sizeof serial;
    int got = gnutls_x509_crt_get_serial(certificate, serial, &size);
    if (got == 0) got = gnutls_x509_crt_get_raw_issuer_dn(certificate, &issuer);
    if (got != 0)
        return kf_fail(error, KF_ERR_CERTIFICATE, "its issuer and serial number cannot be read: %s",
                       gnutls_strerror(got));
    kf_code code = entry_of(&issuer, serial, size, ret_entry);
    gnutls_free(issuer.data);
    return kf_fail_plain(error, code);
}

/* -- reading -- */

static kf_code parse(kf_view pem, reading *read, kf_error *error)
{
    gnutls_datum_t datum = kf_certificate_datum(pem);
    int got = gnutls_x509_crl_list_import2(&read->crls, &read->crl_count, &datum, GNUTLS_X509_FMT_PEM, 0);
    if (got < 0 || read->crl_count == 0) {
        read->crl_count = 0;
        return kf_fail(error, KF_ERR_CERTIFICATE, "%s holds no certificate revocation list (PEM)%s%s",
                       read->path, got < 0 ? ": " : "", got < 0 ? gnutls_strerror(got) : "");
    }
    got = gnutls_x509_crt_list_import2(&read->shown, &read->shown_count, &datum, GNUTLS_X509_FMT_PEM, 0);
    if (got < 0) read->shown_count = 0;
    if (got < 0 && got != GNUTLS_E_NO_CERTIFICATE_FOUND)
        return library_fault(read, got, "a certificate in it cannot be read", error);
    if (read->crl_count > KF_REVOCATION_ISSUERS_MAX || read->shown_count > KF_REVOCATION_ISSUERS_MAX)
        return kf_fail(error, KF_ERR_CERTIFICATE, "%s: %u lists and %u certificates; %d of each are the most",
                       read->path, read->crl_count, read->shown_count, KF_REVOCATION_ISSUERS_MAX);
    return KF_OK;
}

/* An authority below a root may revoke what it issued, if it is one that issues (docs/messages.md, Roles). */
static kf_code take_authorities(reading *read, kf_error *error)
{
    for (unsigned i = 0; i < read->shown_count; i++) {
        unsigned status = 0;
        kf_peer peer;
        int got = gnutls_x509_trust_list_verify_crt(read->roots, &read->shown[i], 1,
                                                    GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status, NULL);
        if (got != 0 || status != 0 || kf_certificate_peer(read->shown[i], &peer, NULL) != KF_OK ||
            peer.role != KF_PEER_TERMINAL_AUTHORITY) {
            char name[KF_CERTIFICATE_NAME_SIZE];
            kf_certificate_name(read->shown[i], name);
            return kf_fail(error, KF_ERR_CERTIFICATE,
                           "%s: certificate %s is not that of a terminal authority under a trusted root",
                           read->path, name);
        }
        read->signers[read->signer_count++] = read->shown[i];
    }
    return KF_OK;
}

static kf_code take_roots(reading *read, kf_error *error)
{
    gnutls_x509_trust_list_iter_t at = NULL;
    for (;;) {
        gnutls_x509_crt_t root = NULL;
        int got = gnutls_x509_trust_list_iter_get_ca(read->roots, &at, &root);
        if (got == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) return KF_OK;
        if (got == 0 && read->signer_count < sizeof read->signers / sizeof read->signers[0]) {
            read->owned[read->signer_count] = true;
            read->signers[read->signer_count++] = root;
            continue;
        }
        kf_certificate_free(&root);
        gnutls_x509_trust_list_iter_deinit(at);
        if (got != 0) return library_fault(read, got, "the roots cannot be looked through", error);
        return kf_fail(error, KF_ERR_CERTIFICATE, "%s: there are more trusted roots than %d", read->path,
                       KF_REVOCATION_ISSUERS_MAX);
    }
}

static kf_code check_signature(const reading *read, gnutls_x509_crl_t crl, kf_error *error)
{
    /* One by one: two roots may bear one name while the newer takes over. */
    for (unsigned i = 0; i < read->signer_count; i++) {
        unsigned status = 0;
        int got =
            gnutls_x509_crl_verify(crl, &read->signers[i], 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status);
        if (got == 0 && status == 0) return KF_OK;
    }
    gnutls_datum_t name = {NULL, 0};
    bool named = gnutls_x509_crl_get_issuer_dn3(crl, &name, 0) == 0;
    kf_code code = kf_fail(error, KF_ERR_CERTIFICATE,
                           "%s: the list of \"%.120s\" is not signed by a trusted root, nor by a terminal "
                           "authority whose certificate stands in the same file",
                           read->path, named ? (const char *)name.data : "?");
    gnutls_free(name.data);
    return code;
}

/* Nothing is refused for it: who keeps no list up to date would stand still, and what is on it stays revoked.
 */
static void warn_if_overdue(const reading *read, gnutls_x509_crl_t crl)
{
    time_t next = gnutls_x509_crl_get_next_update(crl);
    char when[KF_TIME_TEXT_SIZE];
    if (next == (time_t)-1 || next > time(NULL)) return;
    kf_time_format(next, when);
    kf_log(KF_LOG_WARNING, "%s: a newer list was due on %s; make one (keyfill pki revoke)", read->path, when);
}

static kf_code grow(revoked_lists *found, size_t more, const reading *read, kf_error *error)
{
    if (more > KF_REVOCATIONS_MAX - found->count)
        return kf_fail(error, KF_ERR_TOO_LONG, "%s: more than %d revoked certificates", read->path,
                       KF_REVOCATIONS_MAX);
    found->room = found->count + more;
    if (more == 0) return KF_OK;
    entry_row *entries = realloc(found->entries, found->room * sizeof *entries);
    if (entries == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    found->entries = entries;
    return KF_OK;
}

static kf_code take_entries(const reading *read, gnutls_x509_crl_t crl, const gnutls_datum_t *issuer,
                            revoked_lists *found, kf_error *error)
{
    int count = gnutls_x509_crl_get_crt_count(crl);
    if (count < 0) return library_fault(read, count, "a list cannot be counted", error);
    KF_TRY(grow(found, (size_t)count, read, error));
    gnutls_x509_crl_iter_t at = NULL;
    int got = 0;
    kf_code code = KF_OK;
    while (code == KF_OK && found->count < found->room) {
        uint8_t serial[128];
        size_t size = sizeof serial;
        time_t when = 0;
        got = gnutls_x509_crl_iter_crt_serial(crl, &at, serial, &size, &when);
        if (got != 0) break;
        code = entry_of(issuer, serial, size, found->entries[found->count]);
        found->count++;
    }
    if (at != NULL) gnutls_x509_crl_iter_deinit(at);
    if (got != 0) return library_fault(read, got, "a list's entry cannot be read", error);
    return kf_fail_plain(error, code);
}

static kf_code take_issuer(const reading *read, gnutls_x509_crl_t crl, const gnutls_datum_t *name,
                           revoked_lists *found, kf_error *error)
{
    issuer_row row = {.name = {0}};
    uint8_t number[KF_SERIAL_MAX];
    size_t size = sizeof number;
    unsigned critical = 0;
    int got = gnutls_x509_crl_get_number(crl, number, &size, &critical);
    if (got == 0) memcpy(row.number + sizeof row.number - size, number, size);
    if (got != 0 && got != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return library_fault(read, got, "a list's number cannot be read", error);
    KF_TRY(kf_fail_plain(error, kf_sha256(kf_view_of(name->data, name->size), row.name)));
    for (size_t i = 0; i < found->issuer_count; i++)
        if (memcmp(found->issuers[i].name, row.name, sizeof row.name) == 0)
            return kf_fail(error, KF_ERR_CERTIFICATE, "%s: two lists of one issuer", read->path);
    found->issuers[found->issuer_count++] = row;
    return KF_OK;
}

static kf_code take_list(const reading *read, gnutls_x509_crl_t crl, revoked_lists *found, kf_error *error)
{
    KF_TRY(check_signature(read, crl, error));
    warn_if_overdue(read, crl);
    gnutls_datum_t issuer = {NULL, 0};
    int got = gnutls_x509_crl_get_raw_issuer_dn(crl, &issuer);
    if (got != 0) return library_fault(read, got, "a list's issuer cannot be read", error);
    kf_code code = take_issuer(read, crl, &issuer, found, error);
    if (code == KF_OK) code = take_entries(read, crl, &issuer, found, error);
    gnutls_free(issuer.data);
    return code;
}

static int compare_entries(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(entry_row));
}

static kf_code read_lists(const char *path, gnutls_x509_trust_list_t roots, revoked_lists *found,
                          kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer pem = KF_BUFFER_INIT;
    KF_CLEANUP(reading_clear) reading read = {.path = path, .roots = roots};
    KF_TRY(kf_file_read(path, KF_REVOCATION_FILE_MAX, &pem, error));
    KF_TRY(parse(kf_buffer_view(&pem), &read, error));
    KF_TRY(take_authorities(&read, error));
    KF_TRY(take_roots(&read, error));
    for (unsigned i = 0; i < read.crl_count; i++)
        KF_TRY(take_list(&read, read.crls[i], found, error));
    if (found->count > 0) qsort(found->entries, found->count, sizeof(entry_row), compare_entries);
    return KF_OK;
}

/* -- what is in force -- */

static kf_code check_newer(const kf_revocations *revocations, const revoked_lists *found, kf_error *error)
{
    for (size_t i = 0; i < revocations->lists.issuer_count; i++) {
        const issuer_row *before = &revocations->lists.issuers[i];
        const issuer_row *now = NULL;
        for (size_t j = 0; j < found->issuer_count && now == NULL; j++)
            if (memcmp(found->issuers[j].name, before->name, sizeof before->name) == 0)
                now = &found->issuers[j];
        if (now == NULL || memcmp(now->number, before->number, sizeof before->number) < 0)
            return kf_fail(error, KF_ERR_REVISION,
                           "%s: %s; put the newest file there, or start this program again to go back",
                           revocations->path,
                           now == NULL ? "a list that is in force is not in it any more"
                                       : "a list in it is older than the one in force");
    }
    return KF_OK;
}

kf_code kf_revocations_reload(kf_revocations *revocations, gnutls_x509_trust_list_t roots, kf_error *error)
{
    /* Looked at before it is read: what changes meanwhile is another file at the next look. */
    struct stat seen;
    memset(&seen, 0, sizeof seen);
    (void)stat(revocations->path, &seen);
    revocations->seen = seen;
    KF_CLEANUP(lists_clear) revoked_lists found = {.entries = NULL};
    KF_TRY(read_lists(revocations->path, roots, &found, error));
    KF_TRY(check_newer(revocations, &found, error));
    revoked_lists before = revocations->lists;
    revocations->lists = found;
    found = before;
    return KF_OK;
}

static bool is_same_file(const struct stat *left, const struct stat *right)
{
    return left->st_dev == right->st_dev && left->st_ino == right->st_ino &&
           left->st_size == right->st_size && left->st_mtim.tv_sec == right->st_mtim.tv_sec &&
           left->st_mtim.tv_nsec == right->st_mtim.tv_nsec && left->st_ctim.tv_sec == right->st_ctim.tv_sec &&
           left->st_ctim.tv_nsec == right->st_ctim.tv_nsec;
}

void kf_revocations_refresh(kf_revocations *revocations, gnutls_x509_trust_list_t roots)
{
    struct stat now;
    memset(&now, 0, sizeof now);
    (void)stat(revocations->path, &now);
    if (is_same_file(&now, &revocations->seen)) return;
    kf_error error = {KF_OK, ""};
    if (kf_revocations_reload(revocations, roots, &error) == KF_OK)
        kf_log(KF_LOG_INFO, "%s: %zu certificates are revoked", revocations->path, revocations->lists.count);
    else
        kf_log(KF_LOG_ERROR, "what was revoked before stays so, but nothing new is learned: %s",
               kf_error_text(&error));
}

bool kf_revocations_have(const kf_revocations *revocations, const uint8_t entry[KF_FINGERPRINT_SIZE])
{
    const revoked_lists *lists = &revocations->lists;
    return lists->count > 0 &&
           bsearch(entry, lists->entries, lists->count, sizeof(entry_row), compare_entries) != NULL;
}

kf_code kf_revocations_new(const char *path, gnutls_x509_trust_list_t roots, kf_revocations **ret_revocations,
                           kf_error *error)
{
    KF_CLEANUP(kf_revocations_free) kf_revocations *revocations = calloc(1, sizeof *revocations);
    if (revocations != NULL) revocations->path = strdup(path);
    if (revocations == NULL || revocations->path == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_revocations_reload(revocations, roots, error));
    *ret_revocations = revocations;
    revocations = NULL; /* the caller owns it now */
    return KF_OK;
}

void kf_revocations_free(kf_revocations **revocations)
{
    if (*revocations == NULL) return;
    lists_clear(&(*revocations)->lists);
    free((*revocations)->path);
    free(*revocations);
    *revocations = NULL;
}
