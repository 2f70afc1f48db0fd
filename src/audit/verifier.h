/* Verifies an audit log row by row, as it comes from a unit or out of an export, against signed heads and the
 * public key of the vault that signed them. Needs no database and believes nobody. */
#ifndef KEYFILL_AUDIT_VERIFIER_H
#define KEYFILL_AUDIT_VERIFIER_H

#include "audit/row_json.h"

#define KF_FINDINGS_MAX 100                    /* kept; all are counted */
#define KF_FINDING_SIZE 240                    /* bytes with the zero */
#define KF_EXPORT_LINE_MAX ((size_t)64 * 1024) /* bytes: a row with its longest detail, all escaped */

typedef struct kf_finding {
    int64_t seq; /* of the row concerned; 0: of none */
    char text[KF_FINDING_SIZE];
} kf_finding;

typedef struct kf_audit_verifier kf_audit_verifier;

/* `public_key` NULL: heads are not verified, and are findings. */
kf_code kf_audit_verifier_new(const uint8_t *public_key, kf_audit_verifier **ret_verifier) KF_MUST_USE;
/* NULL and pointers to NULL are fine; sets NULL. Fits KF_CLEANUP. */
void kf_audit_verifier_free(kf_audit_verifier **verifier);

/* A head that was kept elsewhere: the row of its number must be there and the same. Before the first row. */
kf_code kf_audit_verifier_expect(kf_audit_verifier *verifier, const kf_signed_head *head) KF_MUST_USE;
#define KF_EXPECTED_HEADS_MAX 16

/* The next row: number, hash, the hash before. */
kf_code kf_audit_verifier_row(kf_audit_verifier *verifier, const kf_audit_row *row) KF_MUST_USE;
/* A head among the rows: it is signed, and of the row that came last. */
kf_code kf_audit_verifier_head(kf_audit_verifier *verifier, const kf_signed_head *head) KF_MUST_USE;
/* The end. `needs_head`: the last row must have been followed by its head. */
void kf_audit_verifier_end(kf_audit_verifier *verifier, bool needs_head);

/* A line of an export, without its line end: what stands in it must be written as keyfill writes it, byte for
 * byte. `*ret_row`: whether it was a row, which `row` then is, with its receipt in `receipt`; valid until
 * `*ret_json`, which the caller frees, is. What is wrong is a finding, not an error. */
typedef struct kf_export_line {
    json_t *json;
    bool is_row;
    kf_audit_row row;
    kf_buffer receipt;
} kf_export_line;
void kf_export_line_clear(kf_export_line *line);
kf_code kf_audit_verifier_line(kf_audit_verifier *verifier, kf_view text,
                               kf_export_line *ret_line) KF_MUST_USE;
/* The first line of an export. */
kf_code kf_export_header_to_json(const uint8_t vault[KF_DIGEST_SIZE],
                                 const uint8_t public_key[KF_ED25519_PUBLIC_SIZE],
                                 json_t **ret_json) KF_MUST_USE;
kf_code kf_export_head_to_json(const kf_signed_head *head, json_t **ret_json) KF_MUST_USE;

/* For checks of others over the same rows. */
void kf_audit_verifier_find(kf_audit_verifier *verifier, int64_t seq, const char *format, ...)
    KF_PRINTF(3, 4);

typedef struct kf_verifier_result {
    int64_t rows;
    int64_t heads;
    kf_signed_head last_head; /* where heads is not 0 */
    uint64_t finding_count;
    const kf_finding *findings; /* the first KF_FINDINGS_MAX */
} kf_verifier_result;
kf_verifier_result kf_audit_verifier_result(const kf_audit_verifier *verifier);

#endif
