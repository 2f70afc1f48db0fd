#include "cli/proposal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/key.h"
#include "cli/screen.h"
#include "cli/words.h"
#include "crypto/random.h"
#include "wire/http_client.h"
#include "wire/json.h"

#define PATH_SIZE 160
#define ACT_TIMEOUT_MS 120000 /* a backup works a passphrase into a key */

/* ---- made ---- */

static kf_code make_proposal(const kf_cli *cli, const kf_cli_signer *officer, const kf_proposal_act *act,
                             kf_buffer *bytes, kf_error *error)
{
    uint8_t box_public[KF_BOX_PUBLIC_SIZE];
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    uint64_t now = (uint64_t)time(NULL);
    kf_proposal proposal = {.created = now, .expires = now + KF_PROPOSAL_LIFE_DEFAULT, .kind = act->kind};
    memcpy(proposal.proposer, officer->name, sizeof proposal.proposer);
    KF_TRY(kf_cli_key_box(cli, box_public, error));
    KF_TRY(kf_fail_plain(error, kf_vault_identity(box_public, proposal.vault)));
    KF_TRY(kf_fail_plain(error, kf_random_bytes(proposal.id, sizeof proposal.id)));
    kf_proposal_act_put(&payload, act);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&payload)));
    proposal.payload = kf_buffer_view(&payload);
    kf_proposal_put(bytes, &proposal);
    return kf_fail_plain(error, kf_buffer_status(bytes));
}

kf_code kf_cli_propose(const kf_cli *cli, const kf_cli_signer *officer, const kf_proposal_act *act,
                       kf_view attachment, json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    kf_officer_signature signature;
    KF_TRY(make_proposal(cli, officer, act, &bytes, error));
    KF_TRY(kf_cli_signer_sign(officer, kf_buffer_view(&bytes), &signature, error));
    KF_TRY(kf_fail_plain(error, kf_json_set_base64url(body, "proposal", kf_buffer_view(&bytes))));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(body, "signature", KF_VIEW(signature.bytes))));
    if (attachment.size > 0)
        KF_TRY(kf_fail_plain(error, kf_json_set_base64url(body, "attachment", attachment)));
    const kf_cli_call call = {
        .method = "POST", .path = "/v1/proposals", .body = body, .timeout_milliseconds = ACT_TIMEOUT_MS};
    KF_TRY(kf_cli_call_unit(cli, &call, ret_answer, error));
    if (*ret_answer == NULL) return kf_fail(error, KF_ERR_PEER, "the unit gave an empty answer");
    return KF_OK;
}

static void print_result(const json_t *result)
{
    const json_t *key = json_object_get(result, "key");
    const char *block = kf_cli_text(result, "block");
    if (key != NULL) kf_cli_key_print_line(key);
    if (block[0] != '\0') printf("%s\n", block);
}

kf_code kf_cli_print_proposed(const kf_cli *cli, const json_t *answer, kf_error *error)
{
    if (cli->json) return kf_cli_print_json(answer, error);
    const char *id = kf_cli_text(answer, "id");
    const char *state = kf_cli_text(answer, "state");
    if (strcmp(state, "done") == 0) {
        printf("done: %s %s\n", kf_cli_text(answer, "act"), kf_cli_text(answer, "subject"));
        print_result(json_object_get(answer, "result"));
        return KF_OK;
    }
    printf("proposed: %s %s\nanother officer approves it: keyfill proposal approve %s\n",
           kf_cli_text(answer, "act"), kf_cli_text(answer, "subject"), id);
    return KF_OK;
}

kf_code kf_cli_propose_and_print(const kf_cli *cli, const kf_cli_officer_options *options,
                                 const kf_proposal_act *act, kf_error *error)
{
    KF_CLEANUP(kf_cli_signer_clear) kf_cli_signer officer = {.key = NULL};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_signer_find(cli, options, &officer, error));
    if (officer.key == NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "this takes an officer's signature: --officer-key FILE, or officer_key in the "
                       "configuration");
    KF_TRY(kf_cli_propose(cli, &officer, act, kf_view_of("", 0), &answer, error));
    return kf_cli_print_proposed(cli, answer, error);
}

/* ---- seen ---- */

typedef struct proposal_words {
    const char *id;
    const char *file; /* fetch */
    bool takes_file;
    bool yes;
    kf_cli_officer_options officer;
} proposal_words;

enum { PROPOSAL_YES = 4100 };

static error_t parse_words(int key, char *argument, struct argp_state *state)
{
    proposal_words *words = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        if (state->child_inputs != NULL) state->child_inputs[0] = &words->officer;
        return 0;
    case PROPOSAL_YES: words->yes = true; return 0;
    case ARGP_KEY_ARG:
        if (words->id == NULL)
            words->id = argument;
        else if (words->takes_file && words->file == NULL)
            words->file = argument;
        else
            kf_cli_usage(state, "'%.40s': that is one argument too many", argument);
        return 0;
    case ARGP_KEY_END:
        if (words->id == NULL) kf_cli_usage(state, "the ID is missing");
        if (words->takes_file && words->file == NULL) kf_cli_usage(state, "the FILE is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code parse_id(kf_cli *cli, const char *about, int argc, char **argv, proposal_words *words,
                        kf_error *error)
{
    const struct argp argp = {NULL, parse_words, words->takes_file ? "ID FILE" : "ID", about, NULL,
                              NULL, NULL};
    return kf_cli_parse(cli, &argp, argc, argv, words, error);
}

/* What the unit has under an id; what counts in it is the signed bytes, decoded here. */
typedef struct fetched {
    json_t *answer;
    kf_buffer bytes;
    kf_proposal proposal;
    kf_proposal_act act;
} fetched;

static void fetched_clear(fetched *found)
{
    kf_json_free(&found->answer);
    kf_buffer_clear(&found->bytes);
}

static kf_code path_of(const char *id, const char *behind, kf_buffer *path, kf_error *error)
{
    kf_buffer_append_text(path, "/v1/proposals/");
    kf_http_escape(path, id);
    kf_buffer_append_text(path, behind);
    return kf_buffer_text(path) != NULL ? KF_OK : kf_fail_plain(error, KF_ERR_MEMORY);
}

static kf_code fetch(const kf_cli *cli, const char *id, fetched *found, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    char own_id[KF_PROPOSAL_ID_TEXT_SIZE];
    KF_TRY(path_of(id, "", &path, error));
    const kf_cli_call call = {.method = "GET", .path = kf_buffer_text(&path)};
    KF_TRY(kf_cli_call_unit(cli, &call, &found->answer, error));
    KF_TRY(kf_json_base64url(found->answer, "proposal", KF_PROPOSAL_SIZE_MAX, &found->bytes, error));
    if (kf_proposal_take(kf_buffer_view(&found->bytes), &found->proposal) != KF_OK ||
        kf_proposal_act_take(&found->proposal, &found->act) != KF_OK)
        return kf_fail(error, KF_ERR_PEER, "what the unit has under %.40s is no proposal", id);
    KF_TRY(kf_fail_plain(error, kf_hex_encode(KF_VIEW(found->proposal.id), own_id, sizeof own_id)));
    if (strcmp(own_id, id) != 0)
        return kf_fail(error, KF_ERR_PEER, "the unit gave proposal %s instead of %.40s", own_id, id);
    return KF_OK;
}

static kf_code describe(const fetched *found, FILE *stream, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_proposal_describe(&found->proposal, &found->act, &text)));
    (void)fputs(kf_buffer_text(&text), stream);
    const json_t *signatures = json_object_get(found->answer, "signatures");
    (void)fputs("  signed by:", stream);
    for (size_t i = 0; i < json_array_size(signatures); i++)
        (void)fprintf(stream, " %s", kf_cli_text(json_array_get(signatures, i), "officer"));
    (void)fprintf(stream, "\n  the unit says: %s", kf_cli_text(found->answer, "state"));
    const char *message = kf_cli_text(found->answer, "message");
    (void)fprintf(stream, "%s%s\n", message[0] != '\0' ? ": " : "", message);
    return KF_OK;
}

static kf_code proposal_show(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    proposal_words words = {.id = NULL};
    KF_CLEANUP(fetched_clear) fetched found = {.answer = NULL};
    KF_TRY(parse_id(cli, "Says in words what the proposal ID would do, from the bytes that are signed.", argc,
                    argv, &words, error));
    KF_TRY(fetch(cli, words.id, &found, error));
    if (cli->json) return kf_cli_print_json(found.answer, error);
    KF_TRY(describe(&found, stdout, error));
    print_result(json_object_get(found.answer, "result"));
    return KF_OK;
}

static kf_code proposal_list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Lists the newest proposals."};
    static const char *const columns[] = {"id", "act", "subject", "proposer", "state", "signatures", NULL};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    const kf_cli_call call = {.method = "GET", .path = "/v1/proposals"};
    KF_TRY(kf_cli_call_unit(cli, &call, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    json_t *list = json_object_get(answer, "proposals");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *row = json_array_get(list, i);
        json_int_t count = (json_int_t)json_array_size(json_object_get(row, "signatures"));
        KF_TRY(kf_fail_plain(error, kf_json_set_integer(row, "signatures", count)));
    }
    kf_cli_print_table(list, columns);
    return KF_OK;
}

/* ---- approved ---- */

static kf_code check_own_vault(const kf_cli *cli, const fetched *found, kf_error *error)
{
    uint8_t box_public[KF_BOX_PUBLIC_SIZE];
    uint8_t identity[KF_VAULT_IDENTITY_SIZE];
    KF_TRY(kf_cli_key_box(cli, box_public, error));
    KF_TRY(kf_fail_plain(error, kf_vault_identity(box_public, identity)));
    if (memcmp(identity, found->proposal.vault, sizeof identity) != 0)
        return kf_fail(error, KF_ERR_OFFICERS, "this proposal is for another vault: it is not signed");
    if (found->proposal.expires <= (uint64_t)time(NULL))
        return kf_fail(error, KF_ERR_EXPIRED, "this proposal has expired");
    return KF_OK;
}

/* Nobody signs what was not shown. */
static kf_code ask_consent(const fetched *found, kf_error *error)
{
    bool yes = false;
    KF_TRY(describe(found, stderr, error));
    if (kf_screen_confirm("sign this? (yes/no)", &yes, error) != KF_OK)
        return kf_fail(
            error, KF_ERR_USAGE,
            "there is no terminal at which to ask you: look at it (keyfill proposal show), then say "
            "--yes");
    return yes ? KF_OK : kf_fail(error, KF_ERR_USAGE, "not signed");
}

static kf_code send_approval(const kf_cli *cli, const char *id, const kf_officer_signature *signature,
                             json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_TRY(path_of(id, "/approvals", &path, error));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "officer", signature->officer)));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(body, "signature", KF_VIEW(signature->bytes))));
    const kf_cli_call call = {.method = "POST",
                              .path = kf_buffer_text(&path),
                              .body = body,
                              .timeout_milliseconds = ACT_TIMEOUT_MS};
    return kf_cli_call_unit(cli, &call, ret_answer, error);
}

static kf_code proposal_approve(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option yes[] = {
        {"yes", PROPOSAL_YES, NULL, 0, "sign without asking: you have looked at it", 1}, {0}};
    static const struct argp_child children[] = {{&kf_cli_officer_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {yes,      parse_words, "ID", "Signs the proposal ID with your own key.",
                              children, NULL,        NULL};
    proposal_words words = {.id = NULL};
    KF_CLEANUP(fetched_clear) fetched found = {.answer = NULL};
    KF_CLEANUP(kf_cli_signer_clear) kf_cli_signer officer = {.key = NULL};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    kf_officer_signature signature;
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &words, error));
    KF_TRY(kf_cli_signer_find(cli, &words.officer, &officer, error));
    if (officer.key == NULL) return kf_fail(error, KF_ERR_USAGE, "--officer-key is missing: your own key");
    KF_TRY(fetch(cli, words.id, &found, error));
    KF_TRY(check_own_vault(cli, &found, error));
    if (!words.yes) KF_TRY(ask_consent(&found, error));
    KF_TRY(kf_cli_signer_sign(&officer, kf_buffer_view(&found.bytes), &signature, error));
    KF_TRY(send_approval(cli, words.id, &signature, &answer, error));
    if (cli->json || strcmp(kf_cli_text(answer, "state"), "done") == 0)
        return kf_cli_print_proposed(cli, answer, error);
    printf("signed; others have to approve it, too\n");
    return KF_OK;
}

static kf_code proposal_withdraw(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    proposal_words words = {.id = NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(parse_id(cli, "Takes your own proposal ID back.", argc, argv, &words, error));
    KF_TRY(path_of(words.id, "", &path, error));
    const kf_cli_call call = {.method = "DELETE", .path = kf_buffer_text(&path)};
    KF_TRY(kf_cli_call_unit(cli, &call, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    printf("withdrawn\n");
    return KF_OK;
}

static kf_code proposal_fetch(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    proposal_words words = {.takes_file = true};
    KF_CLEANUP(fetched_clear) fetched found = {.answer = NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    KF_TRY(parse_id(cli, "Writes what the proposal ID gave, a backup or a key block, to FILE.", argc, argv,
                    &words, error));
    KF_TRY(fetch(cli, words.id, &found, error));
    const json_t *result = json_object_get(found.answer, "result");
    const char *block = kf_cli_text(result, "block");
    if (block[0] != '\0')
        kf_buffer_append_text(&content, block);
    else if (json_object_get(result, "backup") != NULL)
        KF_TRY(kf_json_base64url(result, "backup", KF_VAULT_PAYLOAD_MAX, &content, error));
    else
        return kf_fail(error, KF_ERR_NOT_FOUND, "proposal %s is %s and gave nothing that goes into a file",
                       words.id, kf_cli_text(found.answer, "state"));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&content)));
    KF_TRY(kf_file_replace(words.file, kf_buffer_view(&content), 0600, error));
    if (!cli->json) printf("%zu bytes written to %s\n", content.size, words.file);
    return KF_OK;
}

kf_code kf_cli_proposal(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"list", "list proposals", proposal_list},
        {"show", "say in words what one would do", proposal_show},
        {"approve", "sign one with your own key", proposal_approve},
        {"withdraw", "take your own one back", proposal_withdraw},
        {"fetch", "write the backup or key block that one gave to a file", proposal_fetch},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Acts that one officer proposes and others approve.", argc, argv, error);
}
