#include "vault/front.h"

#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/file.h"
#include "vault/key_messages.h"
#include "vault/receipt.h"

/* Worker threads write receipts in no certain order: the newest is among the last so many. */
#define RECEIPTS_LOOKED_AT 256

enum { OPTION_CONFIG = 256, OPTION_DESCRIPTOR, OPTION_DEVELOPMENT };

static const struct argp_option option_table[] = {
    {"config", OPTION_CONFIG, "FILE", 0, "the configuration", 0},
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
    case OPTION_CONFIG: options->config = argument; return 0;
    case OPTION_DEVELOPMENT: options->development = true; return 0;
    case OPTION_DESCRIPTOR:
        errno = 0;
        number = strtol(argument, &end, 10);
        if (errno != 0 || *end != '\0' || end == argument || number < 3 || number > 1023)
            argp_error(state, "--vault-descriptor is a number from 3 to 1023, not %s", argument);
        options->vault_descriptor = (int)number;
        return 0;
    case ARGP_KEY_END:
        if (options->config == NULL || options->vault_descriptor < 0)
            argp_error(state,
                       "--config and --vault-descriptor are needed: a front is started by its monitor");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

void kf_front_parse(int argc, char **argv, const char *about, kf_front_options *ret_options)
{
    kf_front_options options = {.config = NULL, .vault_descriptor = -1, .development = false};
    const struct argp argp = {option_table, parse_option, NULL, about, NULL, NULL, NULL};
    argp_err_exit_status = KF_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    *ret_options = options;
}

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

kf_code kf_front_hold_signals(kf_error *error)
{
    sigset_t set;
    stop_signals(&set);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "signals cannot be held back: %s", strerror(errno));
    return KF_OK;
}

kf_code kf_front_wait(kf_vault_client *vault, kf_error *error)
{
    sigset_t set;
    stop_signals(&set);
    KF_CLEANUP(kf_descriptor_close) int signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0) return kf_fail(error, KF_ERR_SYSTEM, "no signalfd: %s", strerror(errno));
    struct pollfd waits[2] = {{.fd = signals, .events = POLLIN},
                              {.fd = kf_vault_client_descriptor(vault), .events = POLLRDHUP}};
    int ready;
    do {
        ready = poll(waits, 2, -1);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) return kf_fail(error, KF_ERR_SYSTEM, "poll: %s", strerror(errno));
    if (waits[0].revents != 0) return KF_OK;
    return kf_fail(error, KF_ERR_VAULT,
                   "the vault has ended; this front ends too, to be started again with it");
}

void kf_front_actor(const kf_peer *caller, const char *request, kf_vault_actor *ret_actor)
{
    kf_vault_actor actor;
    memset(&actor, 0, sizeof actor);
    (void)snprintf(actor.who, sizeof actor.who, "%s:%s", kf_peer_role_name(caller->role), caller->name);
    (void)snprintf(actor.request, sizeof actor.request, "%s", request != NULL ? request : "");
    *ret_actor = actor;
}

/* Appends the newest receipt's bytes; nothing where there is none. */
static kf_code find_newest(kf_database *database, kf_buffer *newest, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(
        database, "SELECT receipt FROM audit WHERE receipt <> $1 ORDER BY seq DESC LIMIT $2",
        KF_VALUES(kf_value_blob(kf_view_of("", 0)), kf_value_integer(RECEIPTS_LOOKED_AT)), &rows, error));
    uint64_t highest = 0;
    bool row = false;
    KF_TRY(kf_rows_next(rows, &row, error));
    while (row) {
        kf_receipt receipt;
        kf_view bytes = kf_rows_blob(rows, 0);
        if (kf_receipt_decode(bytes, &receipt) != KF_OK)
            return kf_fail(error, KF_ERR_AUDIT, "the audit log holds a receipt that is none: it was changed");
        if (receipt.number > highest) {
            highest = receipt.number;
            kf_buffer_truncate(newest, 0);
            kf_buffer_append(newest, bytes);
        }
        KF_TRY(kf_rows_next(rows, &row, error));
    }
    return kf_fail_plain(error, kf_buffer_status(newest));
}

kf_code kf_front_resume(const kf_front *front, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer newest = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_TRY(find_newest(front->database, &newest, error));
    kf_vault_resume_put(&request, kf_buffer_view(&newest));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&request)));
    return kf_vault_call(front->vault, KF_VAULT_RESUME, kf_buffer_view(&request), &answer, error);
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
