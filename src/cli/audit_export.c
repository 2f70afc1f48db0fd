#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verifier.h"
#include "cli/audit.h"
#include "wire/json.h"

#define KEY_OUTPUT 3210
#define PATH_SIZE 96
#define ROWS_AT_ONCE 1000
#define HEADS_AT_ONCE 500

kf_code kf_cli_audit_state(const kf_cli *cli, kf_audit_signer *ret_signer, json_t **ret_state,
                           kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *state = NULL;
    kf_audit_signer signer;
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "GET", .path = "/v1/audit/state"}, &state, error));
    if (state == NULL) return kf_fail(error, KF_ERR_PEER, "the unit gave an empty answer");
    KF_TRY(kf_json_hex_exactly(state, "vault", sizeof signer.vault, signer.vault, error));
    KF_TRY(kf_json_hex_exactly(state, "public_key", sizeof signer.public_key, signer.public_key, error));
    *ret_signer = signer;
    *ret_state = state;
    state = NULL;
    return KF_OK;
}

/* The heads that are still to come, a page at a time. */
typedef struct head_source {
    const kf_cli *cli;
    json_t *page;
    size_t index;
    int64_t after;
    bool ended;
    bool has_next;
    kf_signed_head next;
} head_source;

static void head_source_clear(head_source *source)
{
    kf_json_free(&source->page);
}

static kf_code fetch_heads(head_source *source, kf_error *error)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/v1/audit/heads?after=%" PRId64 "&limit=%d", source->after,
                   HEADS_AT_ONCE);
    kf_json_free(&source->page);
    source->index = 0;
    return kf_cli_call_unit(source->cli, &(kf_cli_call){.method = "GET", .path = path}, &source->page, error);
}

static kf_code find_next_head(head_source *source, kf_error *error)
{
    json_t *items = NULL;
    source->has_next = false;
    if (source->ended) return KF_OK;
    if (source->page == NULL || source->index == json_array_size(json_object_get(source->page, "heads")))
        KF_TRY(fetch_heads(source, error));
    KF_TRY(kf_json_array(source->page, "heads", HEADS_AT_ONCE, &items, error));
    source->ended = json_array_size(items) == 0;
    if (source->ended) return KF_OK;
    const json_t *item = json_array_get(items, source->index++);
    KF_TRY(kf_json_integer(item, "number", (kf_json_range){1, INT64_MAX}, &source->after, error));
    KF_TRY(kf_signed_head_from_json(json_object_get(item, "head"), &source->next, error));
    source->has_next = true;
    return KF_OK;
}

/* Gives the heads of rows up to `seq`. */
static kf_code give_heads(head_source *source, int64_t seq, const kf_audit_walk *walk, kf_error *error)
{
    while (source->has_next && source->next.seq <= seq) {
        KF_TRY(walk->head(walk->context, &source->next, error));
        KF_TRY(find_next_head(source, error));
    }
    return KF_OK;
}

static kf_code walk_page(head_source *source, const kf_audit_walk *walk, int64_t last, int64_t *after,
                         kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    char path[PATH_SIZE];
    json_t *rows = NULL;
    int64_t limit = last - *after < ROWS_AT_ONCE ? last - *after : ROWS_AT_ONCE;
    int64_t began = *after;
    (void)snprintf(path, sizeof path, "/v1/audit?after=%" PRId64 "&limit=%" PRId64, *after, limit);
    KF_TRY(kf_cli_call_unit(source->cli, &(kf_cli_call){.method = "GET", .path = path}, &answer, error));
    KF_TRY(kf_json_array(answer, "rows", ROWS_AT_ONCE, &rows, error));
    size_t count = json_array_size(rows);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(rows, i);
        KF_TRY(kf_json_integer(row, "seq", (kf_json_range){began + 1, INT64_MAX}, after, error));
        KF_TRY(walk->row(walk->context, row, error));
        KF_TRY(give_heads(source, *after, walk, error));
    }
    if (count == 0) *after = last; /* fewer rows than the head says: for the verifier to tell */
    return walk->page != NULL && count > 0 ? walk->page(walk->context, began, count, error) : KF_OK;
}

static kf_code sign_now(const kf_cli *cli, kf_signed_head *ret_head, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "POST", .path = "/v1/audit/heads", .body = body},
                            &answer, error));
    return kf_signed_head_from_json(json_object_get(answer, "head"), ret_head, error);
}

static kf_code walk_all(head_source *source, const kf_audit_walk *walk, const kf_signed_head *newest,
                        kf_error *error)
{
    int64_t after = 0;
    KF_TRY(find_next_head(source, error));
    KF_TRY(give_heads(source, 0, walk, error));
    while (after < newest->seq)
        KF_TRY(walk_page(source, walk, newest->seq, &after, error));
    return KF_OK;
}

kf_code kf_cli_audit_walk(const kf_cli *cli, const kf_audit_walk *walk, kf_error *error)
{
    kf_signed_head newest;
    KF_TRY(sign_now(cli, &newest, error));
    KF_CLEANUP(head_source_clear) head_source source = {.cli = cli};
    return walk_all(&source, walk, &newest, error);
}

static kf_code write_line(FILE *file, const json_t *json, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_json_write(json, &text)));
    kf_buffer_append_u8(&text, '\n');
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&text)));
    if (fwrite(text.data, 1, text.size, file) != text.size)
        return kf_fail(error, KF_ERR_FILE, "the export cannot be written: %s", strerror(errno));
    return KF_OK;
}

static kf_code export_row(void *context, const json_t *row, kf_error *error)
{
    return write_line(context, row, error);
}

static kf_code export_head(void *context, const kf_signed_head *head, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_TRY(kf_fail_plain(error, kf_export_head_to_json(head, &json)));
    return write_line(context, json, error);
}

static kf_code export_to(const kf_cli *cli, FILE *file, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *state = NULL;
    KF_CLEANUP(kf_json_free) json_t *header = NULL;
    kf_audit_signer signer;
    KF_TRY(kf_cli_audit_state(cli, &signer, &state, error));
    KF_TRY(kf_fail_plain(error, kf_export_header_to_json(signer.vault, signer.public_key, &header)));
    KF_TRY(write_line(file, header, error));
    const kf_audit_walk walk = {.context = file, .row = export_row, .head = export_head};
    KF_TRY(kf_cli_audit_walk(cli, &walk, error));
    if (fflush(file) != 0)
        return kf_fail(error, KF_ERR_FILE, "the export cannot be written: %s", strerror(errno));
    return KF_OK;
}

static error_t parse_export(int key, char *argument, struct argp_state *state)
{
    const char **output = state->input;
    switch (key) {
    case KEY_OUTPUT: *output = argument; return 0;
    case ARGP_KEY_ARG: kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
    default: return ARGP_ERR_UNKNOWN;
    }
}

kf_code kf_cli_audit_export(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"output", KEY_OUTPUT, "FILE", 0, "where to (default: standard output)", 1},
        {0},
    };
    static const struct argp argp = {
        options,
        parse_export,
        NULL,
        "Writes the whole audit log of the unit of the configuration as JSON lines with signed heads, which "
        "anyone "
        "can verify with the public key of the unit's vault (keyfill audit verify --export).",
        NULL,
        NULL,
        NULL};
    const char *output = NULL;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &output, error));
    if (output == NULL) return export_to(cli, stdout, error);
    FILE *file = fopen(output, "wxe");
    if (file == NULL) return kf_fail(error, KF_ERR_FILE, "%s: %s", output, strerror(errno));
    kf_code code = export_to(cli, file, error);
    if (fclose(file) != 0 && code == KF_OK)
        code = kf_fail(error, KF_ERR_FILE, "%s: %s", output, strerror(errno));
    if (code != KF_OK) (void)remove(output);
    return code;
}
