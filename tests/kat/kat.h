/* Known-answer tests: vector files read at run time, one checker function a family.
 *
 * A checker computes what an entry's inputs give and compares it with the entry's `expected` members by the
 * kat_expect_ functions. A member that is absent or null is not compared. An entry of which nothing was
 * compared counts as failed, so that no checker passes by doing nothing.
 */
#ifndef KEYFILL_TESTS_KAT_H
#define KEYFILL_TESTS_KAT_H

#include <jansson.h>

#include <keyfill/hex.h>

#define KAT_COMPARED_MAX 64 /* expected members of one entry */
#define KAT_READ_MAX 64     /* members that a checker asks for */

/* What happens with the entry at hand. */
typedef struct kat_report {
    const char *family; /* the file's name without .json */
    const char *name;   /* the entry's */
    unsigned comparisons;
    unsigned faults;
    size_t compared_count;
    const char *compared[KAT_COMPARED_MAX]; /* expected members that were looked at */
    json_t *entry;
    size_t read_count;
    const char *read[KAT_READ_MAX]; /* members of the entry that were asked for */
} kat_report;

typedef void (*kat_checker)(const json_t *entry, kat_report *report);

typedef struct kat_family {
    const char *name; /* file name without .json; NULL ends a table */
    kat_checker check;
} kat_family;

/* Runs the checker on the entry, then holds against it what it left aside: a member of expected that was not
 * compared is a fault; a member of the entry that nobody asked for is named, and is a fault where the entry
 * wants a refusal, because then it may be the reason for it. */
void kat_check(kat_checker check, json_t *entry, kat_report *report);

extern const kat_family kat_crypto_families[];
extern const kat_family kat_card_families[];

/* Says what is wrong and counts a fault. */
void kat_fault(kat_report *report, const char *format, ...) KF_PRINTF(2, 3);
/* Counts a fault that names the call, unless `code` is KF_OK. Returns whether it is. */
bool kat_ok(kat_report *report, kf_code code, const char *call);

/* Inputs. A missing member is a fault in the kat_need_ functions, and the result is empty, 0 or "". */
bool kat_has(const json_t *object, const char *member);             /* present and not null */
const json_t *kat_member(const json_t *object, const char *member); /* NULL where it is absent */
/* Appends the bytes of a member in hex. False after a fault. */
bool kat_need_hex(kat_report *report, const json_t *object, const char *member, kf_buffer *bytes);
kf_secret *kat_need_secret(kat_report *report, const json_t *object, const char *member);
const char *kat_need_text(kat_report *report, const json_t *object, const char *member);
long long kat_need_number(kat_report *report, const json_t *object, const char *member);
/* The member, or `otherwise` where it is absent or null. */
const char *kat_text_or(const json_t *object, const char *member, const char *otherwise);
long long kat_number_or(const json_t *object, const char *member, long long otherwise);
bool kat_flag_or(const json_t *object, const char *member, bool otherwise);

/* Comparisons with members of `entry`.expected. Absent or null: nothing happens. Hex may be shorter than
 * `actual` in kat_expect_hex_prefix (a truncated MAC or KCV). */
void kat_expect_hex(kat_report *report, const json_t *entry, const char *member, kf_view actual);
void kat_expect_hex_prefix(kat_report *report, const json_t *entry, const char *member, kf_view actual);
void kat_expect_text(kat_report *report, const json_t *entry, const char *member, const char *actual);
void kat_expect_number(kat_report *report, const json_t *entry, const char *member, long long actual);
void kat_expect_flag(kat_report *report, const json_t *entry, const char *member, bool actual);
/* Whether expected.error says (true, or in words) that the call whose result is `code` fails; compares that.
 * Without it nothing happens, and a failure is the checker's to report. */
bool kat_expect_error(kat_report *report, const json_t *entry, kf_code code);
/* For a fact that the entry states beside its inputs: absent, nothing is compared. */
void kat_agrees_hex(kat_report *report, const json_t *entry, const char *member, kf_view actual);
/* For values that are not members of `expected`: `what` names them in the message. */
void kat_compare(kat_report *report, const char *what, kf_view wanted, kf_view actual);
/* The member of expected, or NULL, for checkers that compare structures themselves; counts as compared. They
 * call kat_compared once for what they did, or kat_fault. */
const json_t *kat_expected(kat_report *report, const json_t *entry, const char *member);
void kat_compared(kat_report *report);

#endif
