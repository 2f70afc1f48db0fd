/* `keyfill key backup` and `restore`: under a passphrase, or under one that nobody knows and of which several
 * people hold shares. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/key.h"
#include "cli/key_shares.h"
#include "wire/json.h"

#define BACKUP_FILE_MAX ((size_t)16 * 1024 * 1024)
#define PASSPHRASE_MIN 12
#define PASSPHRASE_MAX 256

typedef struct share_list {
    size_t count;
    kf_share items[KF_SHAMIR_SHARES_MAX];
} share_list;

static void share_list_clear(share_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        kf_share_clear(&list->items[i]);
    list->count = 0;
}

static kf_code read_passphrase(const kf_cli_key_options *options, kf_secret **ret_passphrase, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_TRY(kf_cli_secret_line(options->passphrase_file, "passphrase of the backup", &passphrase, error));
    if (kf_secret_size(passphrase) < PASSPHRASE_MIN || kf_secret_size(passphrase) > PASSPHRASE_MAX)
        return kf_fail(error, KF_ERR_USAGE, "the backup's passphrase has %zu bytes: take %d to %d",
                       kf_secret_size(passphrase), PASSPHRASE_MIN, PASSPHRASE_MAX);
    *ret_passphrase = passphrase;
    passphrase = NULL; /* the caller owns it now */
    return KF_OK;
}

static kf_code append_share(json_t *list, const kf_share *share)
{
    char text[KF_SHARE_TEXT_SIZE];
    KF_TRY(kf_share_write(share, text));
    kf_code code = kf_json_append(list, json_string(text));
    kf_wipe(text, sizeof text);
    return code;
}

static kf_code show_share(const kf_share *share, size_t count, kf_error *error)
{
    char text[KF_SHARE_TEXT_SIZE];
    KF_TRY(kf_fail_plain(error, kf_share_write(share, text)));
    printf("share %u of %zu, for its holder alone (any %u open the backup):\n  %s\n", share->number, count,
           share->threshold, text);
    kf_wipe(text, sizeof text);
    return KF_OK;
}

/* The shares exist here and on paper, nowhere else. */
static kf_code give_out_shares(const kf_cli *cli, const share_list *shares, json_t *answer, kf_error *error)
{
    json_t *list = json_array();
    KF_TRY(kf_fail_plain(error, kf_json_set(answer, "shares", list)));
    for (size_t i = 0; i < shares->count; i++) {
        if (cli->json)
            KF_TRY(kf_fail_plain(error, append_share(list, &shares->items[i])));
        else
            KF_TRY(show_share(&shares->items[i], shares->count, error));
    }
    return KF_OK;
}

static kf_code make_passphrase(const kf_cli_key_options *options, share_list *shares,
                               kf_secret **ret_passphrase, kf_error *error)
{
    if (options->shares == 0 && options->threshold == 0)
        return read_passphrase(options, ret_passphrase, error);
    kf_shamir_plan plan = {(size_t)options->shares, (size_t)options->threshold};
    if (options->passphrase_file != NULL)
        return kf_fail(error, KF_ERR_USAGE, "--passphrase-file and --shares: one of them");
    KF_TRY(kf_shares_make(plan, ret_passphrase, shares->items, error));
    shares->count = plan.shares;
    return KF_OK;
}

static kf_code seal(const kf_cli *cli, const kf_secret *passphrase, kf_buffer *sealed, kf_error *error)
{
    uint8_t box_public[KF_BOX_PUBLIC_SIZE];
    KF_TRY(kf_cli_key_box(cli, box_public, error));
    return kf_fail_plain(error, kf_key_passphrase_seal(box_public, passphrase, sealed));
}

static kf_code write_backup(const kf_cli *cli, const kf_cli_key_options *options, const json_t *answer,
                            kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer backup = KF_BUFFER_INIT;
    KF_TRY(kf_json_base64url(answer, "backup", BACKUP_FILE_MAX, &backup, error));
    KF_TRY(kf_file_replace(options->word, kf_buffer_view(&backup), 0600, error));
    if (!cli->json) printf("%zu bytes written to %s\n", backup.size, options->word);
    return KF_OK;
}

static kf_code post_backup(const kf_cli *cli, const kf_cli_key_options *options, const kf_buffer *sealed,
                           json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "act", "backup")));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(body, "passphrase", kf_buffer_view(sealed))));
    KF_TRY(kf_cli_key_post(cli, body, ret_answer, error));
    return write_backup(cli, options, *ret_answer, error);
}

static kf_code propose_backup(const kf_cli *cli, const kf_cli_key_options *options,
                              const kf_cli_signer *officer, const kf_buffer *sealed, json_t **ret_answer,
                              kf_error *error)
{
    kf_proposal_act act;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_BACKUP;
    act.sealed_passphrase = kf_buffer_view(sealed);
    KF_TRY(kf_cli_propose(cli, officer, &act, kf_view_of("", 0), ret_answer, error));
    if (cli->json) return KF_OK;
    KF_TRY(kf_cli_print_proposed(cli, *ret_answer, error));
    printf("then fetch it: keyfill proposal fetch %s %s\n", kf_cli_text(*ret_answer, "id"), options->word);
    return KF_OK;
}

kf_code kf_cli_key_backup(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {KF_CLI_KEY_PASSPHRASE | KF_CLI_KEY_SHARES | KF_CLI_KEY_OFFICER,
                                           "FILE",
                                           "Writes all keys of the vault to a file, sealed under a "
                                           "passphrase of its own, or under one that nobody "
                                           "knows and of which people hold shares. With officers it is "
                                           "proposed, and fetched once it is approved."};
    kf_cli_key_options options;
    KF_CLEANUP(kf_cli_signer_clear) kf_cli_signer officer = {.key = NULL};
    KF_CLEANUP(share_list_clear) share_list shares = {.count = 0};
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_cli_signer_find(cli, &options.officer, &officer, error));
    KF_TRY(make_passphrase(&options, &shares, &passphrase, error));
    KF_TRY(seal(cli, passphrase, &sealed, error));
    if (officer.key != NULL)
        KF_TRY(propose_backup(cli, &options, &officer, &sealed, &answer, error));
    else
        KF_TRY(post_backup(cli, &options, &sealed, &answer, error));
    if (shares.count > 0) KF_TRY(give_out_shares(cli, &shares, answer, error));
    if (!cli->json) return KF_OK;
    (void)json_object_del(answer, "backup"); /* it is in the file */
    return kf_cli_print_json(answer, error);
}

/* ---- restore ---- */

static kf_code read_share(const char *path, size_t number, share_list *list, kf_error *error)
{
    char what[32];
    KF_CLEANUP(kf_secret_free) kf_secret *text = NULL;
    (void)snprintf(what, sizeof what, "share %zu", number);
    KF_TRY(kf_cli_secret_line(path, what, &text, error));
    if (kf_share_read(text, &list->items[list->count], error) != KF_OK)
        return kf_error_prefix(error, "%s", what);
    list->count++;
    return KF_OK;
}

/* From files, or typed until there are as many as the first one says are needed. */
static kf_code read_shares(const kf_cli_key_options *options, kf_secret **ret_passphrase, kf_error *error)
{
    KF_CLEANUP(share_list_clear) share_list list = {.count = 0};
    for (size_t i = 0; i < options->share_file_count; i++)
        KF_TRY(read_share(options->share_files[i], i + 1, &list, error));
    while (options->share_file_count == 0 &&
           (list.count == 0 || (list.count < list.items[0].threshold && list.count < KF_SHAMIR_SHARES_MAX)))
        KF_TRY(read_share(NULL, list.count + 1, &list, error));
    return kf_shares_combine(list.items, list.count, ret_passphrase, error);
}

static kf_code open_passphrase(const kf_cli_key_options *options, kf_secret **ret_passphrase, kf_error *error)
{
    if (options->from_shares || options->share_file_count > 0)
        return read_shares(options, ret_passphrase, error);
    return read_passphrase(options, ret_passphrase, error);
}

static kf_code post_restore(const kf_cli *cli, const kf_buffer *backup, const kf_buffer *sealed,
                            kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "act", "restore")));
    KF_TRY(kf_fail_plain(error, kf_json_set_base64url(body, "backup", kf_buffer_view(backup))));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(body, "passphrase", kf_buffer_view(sealed))));
    KF_TRY(kf_cli_key_post(cli, body, &answer, error));
    if (cli->json) return kf_cli_print_json(answer, error);
    printf("restored: %" JSON_INTEGER_FORMAT " keys, revision %" JSON_INTEGER_FORMAT "\n",
           json_integer_value(json_object_get(answer, "keys")),
           json_integer_value(json_object_get(answer, "revision")));
    return KF_OK;
}

static kf_code propose_restore(const kf_cli *cli, const kf_cli_signer *officer, const kf_buffer *backup,
                               const kf_buffer *sealed, kf_error *error)
{
    kf_proposal_act act;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_RESTORE;
    act.sealed_passphrase = kf_buffer_view(sealed);
    KF_TRY(kf_fail_plain(error, kf_sha256(kf_buffer_view(backup), act.backup_digest)));
    KF_TRY(kf_cli_propose(cli, officer, &act, kf_buffer_view(backup), &answer, error));
    return kf_cli_print_proposed(cli, answer, error);
}

kf_code kf_cli_key_restore(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {KF_CLI_KEY_PASSPHRASE | KF_CLI_KEY_SHARE_FILES |
                                               KF_CLI_KEY_OFFICER,
                                           "FILE", "Puts the keys of a backup into a vault that has none."};
    kf_cli_key_options options;
    KF_CLEANUP(kf_cli_signer_clear) kf_cli_signer officer = {.key = NULL};
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer backup = KF_BUFFER_INIT;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_file_read(options.word, BACKUP_FILE_MAX, &backup, error));
    KF_TRY(kf_cli_signer_find(cli, &options.officer, &officer, error));
    KF_TRY(open_passphrase(&options, &passphrase, error));
    KF_TRY(seal(cli, passphrase, &sealed, error));
    if (officer.key != NULL) return propose_restore(cli, &officer, &backup, &sealed, error);
    return post_restore(cli, &backup, &sealed, error);
}
