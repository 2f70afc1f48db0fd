#include "vault/front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vault/key_messages.h"
#include "vault/key_peers.h"
#include "vault/proposal_store.h"
#include "vault/receipt.h"

enum { OPTION_DESCRIPTOR = 256, OPTION_DEVELOPMENT };

static const struct argp_option option_table[] = {
    {"vault-descriptor", OPTION_DESCRIPTOR, "N", 0, "the socket to the vault", 0},
    {"development", OPTION_DEVELOPMENT, NULL, 0, "take what is for development only", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    kf_front_options *options = state->input;
    char *end;
    long number;
    switch (key) {
    case OPTION_DEVELOPMENT: options->development = true; return 0;
    case OPTION_DESCRIPTOR:
        errno = 0;
        number = strtol(argument, &end, 10);
        if (errno != 0 || *end != '\0' || end == argument || number < 3 || number > 1023)
            argp_error(state, "--vault-descriptor is a number from 3 to 1023, not %s", argument);
        options->vault_descriptor = (int)number;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp kf_front_argp = {.options = option_table, .parser = parse_option};

kf_code kf_front_meet_vault(const kf_front_options *options, kf_front *front, kf_error *error)
{
    if (options->vault_descriptor < 0)
        return kf_fail(error, KF_ERR_USAGE,
                       "--vault-descriptor is needed: a front is started by its monitor");
    return kf_vault_client_new(options->vault_descriptor, &front->vault, error);
}

kf_code kf_front_open_records(kf_front *front, const char *url, const kf_migrations *own, kf_error *error)
{
    KF_TRY(kf_database_open(url, &front->database, error));
    KF_TRY(kf_database_migrate(front->database, &kf_audit_migrations, error));
    KF_TRY(kf_database_migrate(front->database, &kf_key_peers_migrations, error));
    KF_TRY(kf_database_migrate(front->database, &kf_proposals_migrations, error));
    KF_TRY(kf_database_migrate(front->database, own, error));
    return kf_front_resume(front, error);
}

kf_code kf_front_check_ready(const kf_front *front, kf_error *error)
{
    kf_audit_head head;
    KF_TRY(kf_audit_read_head(front->database, &head, error));
    if (kf_vault_client_alive(front->vault)) return KF_OK;
    return kf_fail(error, KF_ERR_VAULT, "the vault is not there");
}

void kf_front_actor(const kf_peer *caller, const char *request, kf_vault_actor *ret_actor)
{
    kf_vault_actor actor;
    memset(&actor, 0, sizeof actor);
    (void)snprintf(actor.who, sizeof actor.who, "%s:%s", kf_peer_role_name(caller->role), caller->name);
    (void)snprintf(actor.request, sizeof actor.request, "%s", request != NULL ? request : "");
    *ret_actor = actor;
}

static void describe(const kf_receipt *receipt, char *ret_text, size_t size)
{
    const char *outcome = receipt->outcome == KF_OK ? "" : kf_code_meaning(receipt->outcome);
    const char *kcv = receipt->kcv[0] != '\0' ? ", KCV " : "";
    (void)snprintf(ret_text, size, "receipt %llu%s%s%s%s", (unsigned long long)receipt->number, kcv,
                   receipt->kcv, outcome[0] != '\0' ? ": " : "", outcome);
}

static kf_code audit_one(kf_database *database, kf_view bytes, const char *detail, kf_error *error)
{
    kf_receipt receipt;
    char text[256];
    if (kf_receipt_decode(bytes, &receipt) != KF_OK)
        return kf_fail(error, KF_ERR_VAULT, "the vault gave a receipt that cannot be read");
    describe(&receipt, text, sizeof text);
    kf_audit_event event = {.time_ms = (int64_t)receipt.time,
                            .actor = receipt.actor.who,
                            .action = receipt.act,
                            .subject = receipt.subject,
                            .outcome = receipt.outcome == KF_OK ? "ok" : kf_code_name(receipt.outcome),
                            .detail = detail != NULL ? detail : text,
                            .receipt = bytes};
    return kf_audit_append(database, &event, NULL, error);
}

kf_code kf_front_audit_receipts(kf_database *database, const kf_buffer *receipts, const char *detail,
                                kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(receipts));
    kf_view bytes;
    while (!kf_cursor_at_end(&cursor)) {
        KF_TRY(kf_fail_plain(error, kf_vault_answer_next_receipt(&cursor, &bytes)));
        KF_TRY(audit_one(database, bytes, detail, error));
    }
    return KF_OK;
}

kf_code kf_front_ask(const kf_front *front, kf_vault_kind kind, kf_view payload, kf_vault_answer *answer,
                     kf_error *error)
{
    KF_TRY(kf_front_settle(front, error));
    kf_code code = kf_vault_call(front->vault, kind, payload, answer, error);
    if (answer->receipts.size == 0) return code;
    kf_error audit_error = {KF_OK, ""};
    kf_code written = kf_front_keep_receipts(front, &answer->receipts, NULL, &audit_error);
    if (code != KF_OK || written == KF_OK) return code;
    return kf_fail(error, written, "it was done, but the audit log could not be written: %.300s",
                   kf_error_text(&audit_error));
}
