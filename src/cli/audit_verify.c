#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/audit.h"
#include "cli/proposal.h"
#include "vault/audit_head.h"
#include "vault/receipt.h"
#include "vault/receipt_check.h"
#include "wire/json.h"

#define KEY_EXPORT 3220
#define KEY_PUBLIC_KEY 3221
#define KEY_HEAD 3222
#define KEY_REASON 3223
#define KEY_UNIT 3224
#define PATH_SIZE 96
#define HEAD_FILE_MAX ((size_t)64 * 1024 * 1024) /* bytes: a file of heads that grew for years */

typedef struct verify_options {
    const char *export_file;
    const char *public_key;
    const char *head_files[KF_EXPECTED_HEADS_MAX];
    size_t head_count;
} verify_options;

/* One verification. */
typedef struct verification {
    const kf_cli *cli;
    kf_audit_verifier *verifier;
    kf_receipt_check receipts;
    kf_buffer page; /* the receipts of the rows since the last verdict */
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
} verification;

static void verification_clear(verification *made)
{
    kf_audit_verifier_free(&made->verifier);
    kf_buffer_clear(&made->page);
}

static kf_code take_row(void *context, const json_t *json, kf_error *error)
{
    verification *made = context;
    KF_CLEANUP(kf_buffer_clear) kf_buffer receipt = KF_BUFFER_INIT;
    kf_audit_row row;
    KF_TRY(kf_audit_row_from_json(json, &row, &receipt, error));
    KF_TRY(kf_fail_plain(error, kf_audit_verifier_row(made->verifier, &row)));
    kf_receipt_check_row(&made->receipts, &row, made->verifier);
    if (receipt.size > 0) {
        kf_buffer_append_u16(&made->page, (uint16_t)receipt.size);
        kf_buffer_append(&made->page, kf_buffer_view(&receipt));
    }
    return kf_fail_plain(error, kf_buffer_status(&made->page));
}

static kf_code take_head(void *context, const kf_signed_head *head, kf_error *error)
{
    verification *made = context;
    return kf_fail_plain(error, kf_audit_verifier_head(made->verifier, head));
}

static kf_code read_verdict(const json_t *json, kf_receipt_verdict *ret_verdict, kf_error *error)
{
    static const kf_json_range numbers = {0, INT64_MAX};
    kf_receipt_verdict verdict;
    int64_t count = 0;
    int64_t bad = 0;
    int64_t first_bad = 0;
    KF_TRY(kf_json_hex_exactly(json, "digest", sizeof verdict.digest, verdict.digest, error));
    KF_TRY(kf_json_integer(json, "count", (kf_json_range){0, UINT32_MAX}, &count, error));
    KF_TRY(kf_json_integer(json, "bad", (kf_json_range){0, UINT32_MAX}, &bad, error));
    KF_TRY(kf_json_integer(json, "first_bad", numbers, &first_bad, error));
    KF_TRY(kf_json_hex_exactly(json, "signature", sizeof verdict.signature, verdict.signature, error));
    verdict.count = (uint32_t)count;
    verdict.bad = (uint32_t)bad;
    verdict.first_bad = (uint64_t)first_bad;
    *ret_verdict = verdict;
    return KF_OK;
}

static kf_code ask_verdict(const verification *made, int64_t after, size_t rows,
                           kf_receipt_verdict *ret_verdict, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/v1/audit/receipts?after=%" PRId64 "&limit=%zu", after, rows);
    KF_TRY(kf_cli_call_unit(made->cli, &(kf_cli_call){.method = "GET", .path = path}, &answer, error));
    KF_TRY(read_verdict(answer, ret_verdict, error));
    if (kf_receipt_verdict_verify(ret_verdict, made->public_key) == KF_OK) return KF_OK;
    kf_audit_verifier_find(made->verifier, after + 1,
                           "what the vault is said to say of the receipts is not signed by it");
    return KF_OK;
}

/* Which rows' receipts the vault disowns. Those of before the key store was restored bear another key's MAC.
 */
static kf_code find_bad(const verification *made, int64_t after, size_t rows, kf_error *error)
{
    for (int64_t seq = after + 1; seq <= after + (int64_t)rows; seq++) {
        kf_receipt_verdict verdict;
        KF_TRY(ask_verdict(made, seq - 1, 1, &verdict, error));
        if (verdict.bad == 0 || verdict.first_bad < made->receipts.restored) continue;
        kf_audit_verifier_find(made->verifier, seq, "its receipt is not the vault's, or was changed");
    }
    return KF_OK;
}

static kf_code judge_page(void *context, int64_t after, size_t count, kf_error *error)
{
    verification *made = context;
    kf_receipt_verdict verdict;
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(kf_fail_plain(error, kf_sha256(kf_buffer_view(&made->page), digest)));
    kf_buffer_truncate(&made->page, 0);
    KF_TRY(ask_verdict(made, after, count, &verdict, error));
    if (memcmp(digest, verdict.digest, sizeof digest) != 0)
        kf_audit_verifier_find(made->verifier, after + 1,
                               "the vault was asked about other receipts than the rows behind row %lld have",
                               (long long)after);
    return verdict.bad == 0 ? KF_OK : find_bad(made, after, count, error);
}

/* The last head in a file of JSON lines: one that was kept, a file of outside copies, or an export. */
static kf_code read_head_file(const char *path, kf_signed_head *ret_head, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(path, HEAD_FILE_MAX, &content, error));
    kf_view rest = kf_buffer_view(&content);
    bool found = false;
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t size = end != NULL ? (size_t)(end - rest.data) : rest.size;
        KF_CLEANUP(kf_json_free) json_t *json = NULL;
        if (size > 0 && kf_json_parse(kf_view_part(rest, 0, size), &json, error) != KF_OK)
            return kf_error_prefix(error, "%s", path);
        rest = kf_view_part(rest, end != NULL ? size + 1 : size, rest.size);
        const json_t *head = json_object_get(json, "head");
        if (head == NULL && json_object_get(json, "signature") != NULL) head = json;
        if (head == NULL) continue;
        if (kf_signed_head_from_json(head, ret_head, error) != KF_OK)
            return kf_error_prefix(error, "%s", path);
        found = true;
    }
    return found ? KF_OK : kf_fail(error, KF_ERR_USAGE, "%s holds no signed head", path);
}

static kf_code start(const kf_cli *cli, const verify_options *options, const uint8_t *public_key,
                     verification *made, kf_error *error)
{
    made->cli = cli;
    memcpy(made->public_key, public_key, sizeof made->public_key);
    KF_TRY(kf_fail_plain(error, kf_audit_verifier_new(public_key, &made->verifier)));
    for (size_t i = 0; i < options->head_count; i++) {
        kf_signed_head head;
        KF_TRY(read_head_file(options->head_files[i], &head, error));
        KF_TRY(kf_fail_plain(error, kf_audit_verifier_expect(made->verifier, &head)));
    }
    return KF_OK;
}

/* What the unit itself found wrong is no news to it, but to whoever asks. */
static void take_state(const json_t *state, kf_audit_verifier *verifier)
{
    const char *text = kf_cli_text(state, "text");
    if (text[0] != '\0') kf_audit_verifier_find(verifier, 0, "the unit is held: %.200s", text);
    size_t index;
    const json_t *peer;
    json_array_foreach(json_object_get(state, "peers"), index, peer)
    {
        const char *finding = kf_cli_text(peer, "finding");
        if (finding[0] != '\0')
            kf_audit_verifier_find(verifier, 0, "%.60s: %.160s", kf_cli_text(peer, "unit"), finding);
    }
}

static kf_code verify_online(const kf_cli *cli, const verify_options *options, verification *made,
                             kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *state = NULL;
    kf_audit_signer signer;
    KF_TRY(kf_cli_audit_state(cli, &signer, &state, error));
    if (options->public_key != NULL &&
        kf_hex_decode(options->public_key, signer.public_key, sizeof signer.public_key) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "--public-key: 64 hexadecimal digits are wanted");
    KF_TRY(start(cli, options, signer.public_key, made, error));
    take_state(state, made->verifier);
    const kf_audit_walk walk = {made, take_row, take_head, judge_page};
    KF_TRY(kf_cli_audit_walk(cli, &walk, error));
    kf_receipt_check_end(&made->receipts, made->verifier);
    kf_audit_verifier_end(made->verifier, true);
    return KF_OK;
}

static kf_code verify_line(verification *made, kf_view text, kf_error *error)
{
    KF_CLEANUP(kf_export_line_clear) kf_export_line line = {.json = NULL, .receipt = KF_BUFFER_INIT};
    KF_TRY(kf_fail_plain(error, kf_audit_verifier_line(made->verifier, text, &line)));
    if (line.is_row) kf_receipt_check_row(&made->receipts, &line.row, made->verifier);
    return KF_OK;
}

static kf_code verify_lines(FILE *file, verification *made, kf_error *error)
{
    char *text = NULL;
    size_t room = 0;
    kf_code code = KF_OK;
    ssize_t size = 0;
    bool whole = true;
    while (code == KF_OK && (size = getline(&text, &room, file)) > 0) {
        whole = text[size - 1] == '\n';
        code = verify_line(made, kf_view_of(text, (size_t)size - (whole ? 1 : 0)), error);
    }
    free(text);
    if (code == KF_OK && ferror(file) != 0)
        code = kf_fail(error, KF_ERR_FILE, "the export cannot be read: %s", strerror(errno));
    if (code == KF_OK && !whole)
        kf_audit_verifier_find(made->verifier, 0, "the last line has no end: the export was cut");
    return code;
}

static kf_code verify_export(const kf_cli *cli, const verify_options *options, verification *made,
                             kf_error *error)
{
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
    if (options->public_key == NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "an export is verified with the vault's public key: --public-key HEX, as the file "
                       "vault.audit.pub in the vault's folder and GET /v1/vault have it");
    if (kf_hex_decode(options->public_key, public_key, sizeof public_key) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "--public-key: 64 hexadecimal digits are wanted");
    KF_TRY(start(cli, options, public_key, made, error));
    FILE *file = fopen(options->export_file, "re");
    if (file == NULL) return kf_fail(error, KF_ERR_FILE, "%s: %s", options->export_file, strerror(errno));
    kf_code code = verify_lines(file, made, error);
    (void)fclose(file);
    KF_TRY(code);
    kf_receipt_check_end(&made->receipts, made->verifier);
    kf_audit_verifier_end(made->verifier, true);
    return KF_OK;
}

static kf_code findings_to_json(const kf_verifier_result *result, json_t **ret_json)
{
    KF_CLEANUP(kf_json_free) json_t *items = json_array();
    for (uint64_t i = 0; i < result->finding_count && i < KF_FINDINGS_MAX; i++) {
        json_t *item = json_object();
        KF_TRY(kf_json_append(items, item));
        KF_TRY(kf_json_set_integer(item, "row", result->findings[i].seq));
        KF_TRY(kf_json_set_text(item, "finding", result->findings[i].text));
    }
    *ret_json = items;
    items = NULL;
    return KF_OK;
}

static kf_code report_json(const verification *made, const kf_verifier_result *result, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    json_t *findings = NULL;
    KF_TRY(kf_fail_plain(error, findings_to_json(result, &findings)));
    KF_TRY(kf_fail_plain(error, kf_json_set(json, "findings", findings)));
    KF_TRY(kf_fail_plain(error, kf_json_set_boolean(json, "intact", result->finding_count == 0)));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(json, "rows", result->rows)));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(json, "heads", result->heads)));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(json, "receipts", (int64_t)made->receipts.count)));
    return kf_cli_print_json(json, error);
}

static kf_code report(const kf_cli *cli, const verification *made, kf_error *error)
{
    static const char *const columns[] = {"row", "finding", NULL};
    kf_verifier_result result = kf_audit_verifier_result(made->verifier);
    if (cli->json) {
        KF_TRY(report_json(made, &result, error));
    } else if (result.finding_count > 0) {
        KF_CLEANUP(kf_json_free) json_t *findings = NULL;
        KF_TRY(kf_fail_plain(error, findings_to_json(&result, &findings)));
        kf_cli_print_table(findings, columns);
    } else {
        (void)printf("intact: %" PRId64 " rows, %" PRIu64 " receipts, %" PRId64 " signed heads\n",
                     result.rows, made->receipts.count, result.heads);
    }
    if (result.finding_count == 0) return KF_OK;
    return kf_fail(error, KF_ERR_AUDIT, "%" PRIu64 " findings in %" PRId64 " rows", result.finding_count,
                   result.rows);
}

static error_t parse_verify(int key, char *argument, struct argp_state *state)
{
    verify_options *options = state->input;
    switch (key) {
    case KEY_EXPORT: options->export_file = argument; return 0;
    case KEY_PUBLIC_KEY: options->public_key = argument; return 0;
    case KEY_HEAD:
        if (options->head_count == KF_EXPECTED_HEADS_MAX)
            kf_cli_usage(state, "--head: at most %d times", KF_EXPECTED_HEADS_MAX);
        options->head_files[options->head_count++] = argument;
        return 0;
    case ARGP_KEY_ARG: kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
    default: return ARGP_ERR_UNKNOWN;
    }
}

kf_code kf_cli_audit_verify(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option option_table[] = {
        {"export", KEY_EXPORT, "FILE", 0, "verify this export, without the unit", 1},
        {"public-key", KEY_PUBLIC_KEY, "HEX", 0,
         "the vault's, that verifies heads (default: what the unit says)", 1},
        {"head", KEY_HEAD, "FILE", 0,
         "a head that was kept: what it says must still be there; can be repeated", 1},
        {0},
    };
    static const struct argp argp = {option_table,
                                     parse_verify,
                                     NULL,
                                     "Verifies the audit log of the unit of the configuration, or an export: "
                                     "rows that were changed, inserted, "
                                     "removed or moved, receipts that are missing or not the vault's, and "
                                     "against a head that was kept rows that "
                                     "were cut off.",
                                     NULL,
                                     NULL,
                                     NULL};
    verify_options options = {.head_count = 0};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &options, error));
    KF_CLEANUP(verification_clear) verification made = {.page = KF_BUFFER_INIT};
    KF_TRY(options.export_file != NULL ? verify_export(cli, &options, &made, error)
                                       : verify_online(cli, &options, &made, error));
    return report(cli, &made, error);
}

typedef struct accept_options {
    kf_cli_officer_options officer;
    const char *reason;
    const char *unit;
} accept_options;

static error_t parse_accept(int key, char *argument, struct argp_state *state)
{
    accept_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &options->officer; return 0;
    case KEY_REASON: options->reason = argument; return 0;
    case KEY_UNIT: options->unit = argument; return 0;
    case ARGP_KEY_ARG: kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
    case ARGP_KEY_END:
        if (options->reason == NULL) kf_cli_usage(state, "--reason is needed: it goes into the audit log");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code accept_unit(const kf_cli *cli, const accept_options *options, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "unit", options->unit)));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "reason", options->reason)));
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "POST", .path = "/v1/audit/accept", .body = body},
                            &answer, error));
    return cli->json ? kf_cli_print_json(answer, error) : KF_OK;
}

static kf_code propose_own(const kf_cli *cli, const accept_options *options, const char *found,
                           kf_error *error)
{
    kf_proposal_act act;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_ACCEPT_LOG;
    if (kf_audit_holds_from_names(found, &act.accept_log.holds) != KF_OK)
        return kf_fail(error, KF_ERR_PEER, "the unit found \"%.60s\", which is not known here", found);
    if (strlen(options->reason) >= sizeof act.accept_log.reason)
        return kf_fail(error, KF_ERR_USAGE, "--reason: at most %zu bytes", sizeof act.accept_log.reason - 1);
    memcpy(act.accept_log.reason, options->reason, strlen(options->reason));
    return kf_cli_propose_and_print(cli, &options->officer, &act, error);
}

static kf_code accept_own(const kf_cli *cli, const accept_options *options, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *state = NULL;
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_CLEANUP(kf_cli_signer_clear) kf_cli_signer signer_key = {.key = NULL};
    kf_audit_signer signer;
    KF_TRY(kf_cli_audit_state(cli, &signer, &state, error));
    const char *found = kf_cli_text(state, "found");
    if (found[0] == '\0')
        return kf_fail(error, KF_ERR_STATE, "nothing was put back: there is nothing to accept");
    KF_TRY(kf_cli_signer_find(cli, &options->officer, &signer_key, error));
    if (signer_key.key != NULL) return propose_own(cli, options, found, error);
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "found", found)));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "reason", options->reason)));
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "POST", .path = "/v1/audit/accept", .body = body},
                            &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    (void)printf("accepted: %s\n", kf_cli_text(state, "text"));
    return KF_OK;
}

kf_code kf_cli_audit_accept(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option option_table[] = {
        {"reason", KEY_REASON, "TEXT", 0, "why; goes into the audit log (needed)", 1},
        {"unit", KEY_UNIT, "NAME", 0, "whatever this other unit (kmu:NAME, bkmu:NAME) shows next is believed",
         1},
        {0},
    };
    static const struct argp_child children[] = {{&kf_cli_officer_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {option_table,
                                     parse_accept,
                                     NULL,
                                     "Accepts that an older key store or audit log was put back, after which "
                                     "the unit works again. Read keyfill "
                                     "audit verify first.",
                                     children,
                                     NULL,
                                     NULL};
    accept_options options = {.reason = NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &options, error));
    return options.unit != NULL ? accept_unit(cli, &options, error) : accept_own(cli, &options, error);
}
