#include "audit/verifier.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

struct kf_audit_verifier {
    bool has_key;
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
    bool has_vault;
    uint8_t vault[KF_DIGEST_SIZE];
    int64_t seq; /* of the row that came last */
    uint8_t hash[KF_DIGEST_SIZE];
    bool head_is_last; /* nothing came behind it */
    size_t expected_count;
    kf_signed_head expected[KF_EXPECTED_HEADS_MAX];
    uint64_t lines;
    kf_verifier_result result;
    kf_finding findings[KF_FINDINGS_MAX];
};

kf_code kf_audit_verifier_new(const uint8_t *public_key, kf_audit_verifier **ret_verifier)
{
    kf_audit_verifier *verifier = calloc(1, sizeof *verifier);
    if (verifier == NULL) return KF_ERR_MEMORY;
    if (public_key != NULL) {
        verifier->has_key = true;
        memcpy(verifier->public_key, public_key, sizeof verifier->public_key);
    }
    *ret_verifier = verifier;
    return KF_OK;
}

void kf_audit_verifier_free(kf_audit_verifier **verifier)
{
    if (verifier == NULL) return;
    free(*verifier);
    *verifier = NULL;
}

void kf_audit_verifier_find(kf_audit_verifier *verifier, int64_t seq, const char *format, ...)
{
    uint64_t index = verifier->result.finding_count++;
    if (index >= KF_FINDINGS_MAX) return;
    kf_finding *finding = &verifier->findings[index];
    finding->seq = seq;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
}

kf_verifier_result kf_audit_verifier_result(const kf_audit_verifier *verifier)
{
    kf_verifier_result result = verifier->result;
    result.findings = verifier->findings;
    return result;
}

static void check_signature(kf_audit_verifier *verifier, const kf_signed_head *head, const char *which)
{
    if (!verifier->has_key)
        kf_audit_verifier_find(verifier, head->seq, "%s cannot be verified: no public key is given", which);
    else if (kf_signed_head_verify(head, verifier->public_key) != KF_OK)
        kf_audit_verifier_find(verifier, head->seq, "%s is not signed by the vault's key", which);
    if (!verifier->has_vault) {
        verifier->has_vault = true;
        memcpy(verifier->vault, head->vault, sizeof verifier->vault);
    } else if (memcmp(verifier->vault, head->vault, sizeof verifier->vault) != 0) {
        kf_audit_verifier_find(verifier, head->seq, "%s is of another vault", which);
    }
}

kf_code kf_audit_verifier_expect(kf_audit_verifier *verifier, const kf_signed_head *head)
{
    if (verifier->expected_count == KF_EXPECTED_HEADS_MAX) return KF_ERR_TOO_LONG;
    check_signature(verifier, head, "the head that was kept");
    verifier->expected[verifier->expected_count++] = *head;
    return KF_OK;
}

static void check_expected(kf_audit_verifier *verifier, const kf_audit_row *row)
{
    for (size_t i = 0; i < verifier->expected_count; i++) {
        const kf_signed_head *head = &verifier->expected[i];
        if (head->seq == row->seq && memcmp(head->hash, row->hash, sizeof row->hash) != 0)
            kf_audit_verifier_find(verifier, row->seq, "it is another row than the head that was kept says");
    }
}

kf_code kf_audit_verifier_row(kf_audit_verifier *verifier, const kf_audit_row *row)
{
    uint8_t hash[KF_DIGEST_SIZE];
    int64_t expected = verifier->seq + 1;
    KF_TRY(kf_audit_row_hash(row, hash));
    if (row->seq > expected)
        kf_audit_verifier_find(verifier, expected, "rows %lld to %lld are missing", (long long)expected,
                               (long long)row->seq - 1);
    else if (row->seq < expected)
        kf_audit_verifier_find(verifier, row->seq,
                               "it stands where row %lld belongs: rows were repeated, moved or inserted",
                               (long long)expected);
    if (memcmp(hash, row->hash, sizeof hash) != 0)
        kf_audit_verifier_find(verifier, row->seq, "its content does not match its hash: it was changed");
    if (memcmp(row->previous, verifier->hash, sizeof hash) != 0)
        kf_audit_verifier_find(
            verifier, row->seq,
            "it does not follow the row before it: one was removed, exchanged, inserted or moved");
    check_expected(verifier, row);
    verifier->seq = row->seq;
    memcpy(verifier->hash, row->hash, sizeof verifier->hash);
    verifier->head_is_last = false;
    verifier->result.rows++;
    return KF_OK;
}

static void check_order(kf_audit_verifier *verifier, const kf_signed_head *head)
{
    const kf_signed_head *before = &verifier->result.last_head;
    if (verifier->result.heads == 0) return;
    if (head->revision < before->revision || head->receipts < before->receipts ||
        head->written < before->written)
        kf_audit_verifier_find(
            verifier, head->seq,
            "its head has a lower revision or receipt than the head before it: something was "
            "put back");
}

kf_code kf_audit_verifier_head(kf_audit_verifier *verifier, const kf_signed_head *head)
{
    check_signature(verifier, head, "its head");
    if (head->seq != verifier->seq)
        kf_audit_verifier_find(verifier, head->seq, "its head stands behind row %lld",
                               (long long)verifier->seq);
    else if (memcmp(head->hash, verifier->hash, sizeof verifier->hash) != 0)
        kf_audit_verifier_find(verifier, head->seq, "it is another row than its head says");
    check_order(verifier, head);
    verifier->result.last_head = *head;
    verifier->result.heads++;
    verifier->head_is_last = true;
    return KF_OK;
}

void kf_audit_verifier_end(kf_audit_verifier *verifier, bool needs_head)
{
    for (size_t i = 0; i < verifier->expected_count; i++) {
        const kf_signed_head *head = &verifier->expected[i];
        if (head->seq > verifier->seq)
            kf_audit_verifier_find(
                verifier, verifier->seq + 1,
                "rows %lld to %lld are missing: they were cut off at the end, the head that was "
                "kept has them",
                (long long)verifier->seq + 1, (long long)head->seq);
    }
    if (needs_head && !verifier->head_is_last)
        kf_audit_verifier_find(verifier, verifier->seq, "no signed head follows the last row");
}

void kf_export_line_clear(kf_export_line *line)
{
    kf_json_free(&line->json);
    kf_buffer_clear(&line->receipt);
}

kf_code kf_export_header_to_json(const uint8_t vault[KF_DIGEST_SIZE],
                                 const uint8_t public_key[KF_ED25519_PUBLIC_SIZE], json_t **ret_json)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    KF_TRY(kf_json_set_integer(json, "keyfill_audit", 1));
    KF_TRY(kf_json_set_hex(json, "vault", kf_view_of(vault, KF_DIGEST_SIZE)));
    KF_TRY(kf_json_set_hex(json, "public_key", kf_view_of(public_key, KF_ED25519_PUBLIC_SIZE)));
    *ret_json = json;
    json = NULL;
    return KF_OK;
}

kf_code kf_export_head_to_json(const kf_signed_head *head, json_t **ret_json)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    json_t *inner = NULL;
    KF_TRY(kf_signed_head_to_json(head, &inner));
    KF_TRY(kf_json_set(json, "head", inner));
    *ret_json = json;
    json = NULL;
    return KF_OK;
}

/* What is hashed and signed is what the line says; so that nothing beside it can differ unseen, the line must
 * be what is written for it. */
static void check_form(kf_audit_verifier *verifier, const json_t *written, kf_view text)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer expected = KF_BUFFER_INIT;
    if (kf_json_write(written, &expected) != KF_OK || !kf_view_equal(kf_buffer_view(&expected), text))
        kf_audit_verifier_find(verifier, verifier->seq,
                               "line %llu is not written as an export is: it was changed",
                               (unsigned long long)verifier->lines);
}

static kf_code take_header(kf_audit_verifier *verifier, const json_t *json, kf_view text, kf_error *error)
{
    static const char *const members[] = {"keyfill_audit", "vault", "public_key", NULL};
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
    int64_t version = 0;
    KF_TRY(kf_json_only(json, members, error));
    KF_TRY(kf_json_integer(json, "keyfill_audit", (kf_json_range){1, 1}, &version, error));
    KF_TRY(kf_json_hex_exactly(json, "vault", sizeof verifier->vault, verifier->vault, error));
    KF_TRY(kf_json_hex_exactly(json, "public_key", sizeof public_key, public_key, error));
    verifier->has_vault = true;
    if (verifier->has_key && memcmp(public_key, verifier->public_key, sizeof public_key) != 0)
        kf_audit_verifier_find(verifier, 0, "the export names another public key than the one that is given");
    KF_CLEANUP(kf_json_free) json_t *written = NULL;
    KF_TRY(kf_fail_plain(error, kf_export_header_to_json(verifier->vault, public_key, &written)));
    check_form(verifier, written, text);
    return KF_OK;
}

static kf_code take_head(kf_audit_verifier *verifier, const json_t *json, kf_view text, kf_error *error)
{
    static const char *const members[] = {"head", NULL};
    kf_signed_head head;
    KF_CLEANUP(kf_json_free) json_t *written = NULL;
    KF_TRY(kf_json_only(json, members, error));
    KF_TRY(kf_signed_head_from_json(json_object_get(json, "head"), &head, error));
    KF_TRY(kf_fail_plain(error, kf_export_head_to_json(&head, &written)));
    check_form(verifier, written, text);
    return kf_fail_plain(error, kf_audit_verifier_head(verifier, &head));
}

static kf_code take_row(kf_audit_verifier *verifier, kf_export_line *line, kf_view text, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *written = NULL;
    KF_TRY(kf_audit_row_from_json(line->json, &line->row, &line->receipt, error));
    KF_TRY(kf_fail_plain(error, kf_audit_row_to_json(&line->row, &written)));
    check_form(verifier, written, text);
    KF_TRY(kf_fail_plain(error, kf_audit_verifier_row(verifier, &line->row)));
    line->is_row = true;
    return KF_OK;
}

static kf_code take_line(kf_audit_verifier *verifier, kf_view text, kf_export_line *line, kf_error *error)
{
    if (text.size > KF_EXPORT_LINE_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "it has more than %zu bytes", KF_EXPORT_LINE_MAX);
    KF_TRY(kf_json_parse(text, &line->json, error));
    if (verifier->lines == 1) return take_header(verifier, line->json, text, error);
    if (json_object_get(line->json, "head") != NULL) return take_head(verifier, line->json, text, error);
    return take_row(verifier, line, text, error);
}

kf_code kf_audit_verifier_line(kf_audit_verifier *verifier, kf_view text, kf_export_line *ret_line)
{
    kf_export_line line = {.json = NULL, .receipt = KF_BUFFER_INIT};
    kf_error error = {KF_OK, ""};
    verifier->lines++;
    kf_code code = take_line(verifier, text, &line, &error);
    if ((int)code < 0) {
        kf_export_line_clear(&line);
        return code;
    }
    if (code != KF_OK)
        kf_audit_verifier_find(verifier, verifier->seq + 1, "line %llu: %s",
                               (unsigned long long)verifier->lines, kf_error_text(&error));
    *ret_line = line;
    return KF_OK;
}
