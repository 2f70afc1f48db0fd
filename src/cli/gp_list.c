/* `keyfill gp list`. */
#include <stdio.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "cli/client.h"
#include "cli/gp.h"
#include "wire/json.h"

#define MORE_DATA 0x6310u
#define NOT_FOUND 0x6A88u
#define WRONG_PARAMETERS 0x6A86u
#define ANSWERS_MAX 256 /* of one scope */

typedef struct listed_scope {
    kf_gp_scope scope;
    const char *kind;
} listed_scope;

static const listed_scope scopes[] = {
    {KF_GP_ISSUER_SECURITY_DOMAIN, "issuer domain"},
    {KF_GP_APPLICATIONS, "application"},
    {KF_GP_LOAD_FILES_AND_MODULES, "package"},
};

static kf_code add_entry(const listed_scope *scope, const kf_gp_status_entry *entry, json_t *rows)
{
    json_t *row = json_object();
    KF_TRY(kf_json_append(rows, row));
    bool domain = scope->scope == KF_GP_APPLICATIONS && entry->privileges.size > 0 &&
                  (entry->privileges.data[0] & KF_GP_PRIVILEGE_SECURITY_DOMAIN) != 0;
    KF_TRY(kf_json_set_text(row, "kind", domain ? "security domain" : scope->kind));
    KF_TRY(kf_json_set_hex(row, "aid", entry->aid));
    if (entry->state.size > 0)
        KF_TRY(kf_json_set_text(row, "state", kf_gp_state_text(scope->scope, entry->state.data[0])));
    if (entry->privileges.size > 0) KF_TRY(kf_json_set_hex(row, "privileges", entry->privileges));
    if (entry->security_domain.size > 0) KF_TRY(kf_json_set_hex(row, "domain", entry->security_domain));
    if (entry->load_file.size > 0) KF_TRY(kf_json_set_hex(row, "package", entry->load_file));
    if (entry->version.size > 0) KF_TRY(kf_json_set_hex(row, "version", entry->version));
    for (size_t i = 0; i < entry->module_count; i++) {
        json_t *module = json_object();
        KF_TRY(kf_json_append(rows, module));
        KF_TRY(kf_json_set_text(module, "kind", "  applet"));
        KF_TRY(kf_json_set_hex(module, "aid", entry->modules[i]));
        KF_TRY(kf_json_set_hex(module, "package", entry->aid));
    }
    return KF_OK;
}

static kf_code add_entries(const listed_scope *scope, kf_view data, bool older, json_t *rows)
{
    kf_cursor cursor = kf_cursor_of(data);
    while (!kf_cursor_at_end(&cursor)) {
        kf_gp_status_entry entry;
        KF_TRY(older ? kf_gp_status_next_older(&cursor, scope->scope, &entry)
                     : kf_gp_status_next(&cursor, &entry));
        KF_TRY(add_entry(scope, &entry, rows));
    }
    return KF_OK;
}

static kf_code ask(kf_gp_session *session, const listed_scope *scope, bool older, kf_buffer *data,
                   uint16_t *ret_status_word, kf_error *error)
{
    const kf_view all = {NULL, 0};
    char label[64];
    (void)snprintf(label, sizeof label, "GET STATUS %s", scope->kind);
    *ret_status_word = MORE_DATA;
    for (size_t i = 0; *ret_status_word == MORE_DATA && i < ANSWERS_MAX; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
        kf_code code = older ? kf_gp_get_status_older(scope->scope, all, i > 0, &apdu)
                             : kf_gp_get_status(scope->scope, all, i > 0, &apdu);
        KF_TRY(kf_fail_plain(error, code));
        const kf_gp_message message = {.label = label, .command = kf_buffer_view(&apdu)};
        KF_TRY(kf_gp_send(session, &message, data, ret_status_word, error));
    }
    return KF_OK;
}

static kf_code list_scope(kf_gp_session *session, const listed_scope *scope, json_t *rows, kf_error *error)
{
    uint16_t status_word = 0;
    bool older = false;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    KF_TRY(ask(session, scope, older, &data, &status_word, error));
    if (status_word == WRONG_PARAMETERS) {
        older = true;
        KF_TRY(ask(session, scope, older, &data, &status_word, error));
    }
    if (status_word == NOT_FOUND) return KF_OK;
    if (status_word != 0x9000) return kf_fail_status_word(error, "GET STATUS", status_word);
    return kf_fail_plain(error, add_entries(scope, kf_buffer_view(&data), older, rows));
}

kf_code kf_gp_run_list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const char *const columns[] = {"kind", "aid", "state", "privileges", "domain", "version", NULL};
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS,
                                      .about = "Lists what is on the card."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    json_t *rows = json_array();
    KF_CLEANUP(kf_json_free) json_t *report = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_set(report, "items", rows)));
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        KF_TRY(list_scope(&session, &scopes[i], rows, error));
    if (cli->json) return kf_cli_print_json(report, error);
    kf_cli_print_table(rows, columns);
    return KF_OK;
}
