/* Key acts as officers sign them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <keyfill/hex.h>

#include "cli/key.h"
#include "vault/key_act_form.h"
#include "wire/json.h"

static bool makes_new_key(kf_key_act act)
{
    return act == KF_KEY_GENERATE || act == KF_KEY_IMPORT;
}

static json_int_t number_in(const json_t *object, const char *member)
{
    return json_integer_value(json_object_get(object, member));
}

static bool is_in_force(const json_t *key)
{
    json_int_t now = (json_int_t)time(NULL);
    json_int_t until = number_in(key, "valid_until");
    return strcmp(kf_cli_text(key, "state"), "active") == 0 && number_in(key, "valid_from") <= now &&
           (until == 0 || now < until);
}

/* Which of the listed keys is meant: the version that is named; else the newest, of those in force but where
 * it is to be activated. */
static const json_t *find_listed(const json_t *keys, const kf_key_act_request *request)
{
    const json_t *found = NULL;
    const kf_key_entry *entry = &request->entry;
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        if (strcmp(kf_cli_text(key, "purpose"), kf_key_purpose_name(entry->purpose)) != 0 ||
            strcmp(kf_cli_text(key, "category"), entry->category) != 0)
            continue;
        json_int_t version = number_in(key, "version");
        if (entry->version != 0 && version != (json_int_t)entry->version) continue;
        if (entry->version == 0 && request->act != KF_KEY_ACTIVATE && !is_in_force(key)) continue;
        if (found == NULL || version > number_in(found, "version")) found = key;
    }
    return found;
}

static kf_code read_kcv(const char *digits, kf_kcv *ret_kcv, kf_error *error)
{
    if (kf_hex_decode(digits, ret_kcv->bytes, sizeof ret_kcv->bytes) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "the KCV '%.20s' is not %d hexadecimal digits", digits,
                   2 * KF_KCV_SIZE);
}

/* "The one in force" may be another by the day the act is done: the officers sign for the one of today. */
static kf_code settle_target(const kf_cli *cli, const kf_cli_key_options *options,
                             kf_key_act_request *request, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    kf_key_entry *entry = &request->entry;
    KF_TRY(kf_cli_key_fetch(cli, &answer, error));
    const json_t *key = find_listed(json_object_get(answer, "keys"), request);
    if (key == NULL)
        return kf_fail(error, KF_ERR_NO_KEY, "there is no such base key; keyfill key list shows all");
    const char *listed = kf_cli_text(key, "kcv");
    if (options->kcv != NULL && strcmp(options->kcv, listed) != 0)
        return kf_fail(error, KF_ERR_CHECK_VALUE, "the unit lists that key with KCV %s, not %.20s", listed,
                       options->kcv);
    entry->version = (uint32_t)number_in(key, "version");
    return read_kcv(listed, &entry->kcv, error);
}

kf_code kf_cli_key_act_of(const kf_cli *cli, const kf_cli_key_options *options, const json_t *body,
                          kf_buffer *sealed, kf_proposal_act *ret_act, kf_error *error)
{
    kf_proposal_act act;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_KEY_ACT;
    KF_TRY(kf_key_act_form_read(body, sealed, &act.key, error));
    if (!makes_new_key(act.key.act)) KF_TRY(settle_target(cli, options, &act.key, error));
    *ret_act = act;
    return KF_OK;
}

static kf_code propose_act(kf_cli *cli, const kf_cli_key_options *options, const kf_cli_signer *officer,
                           const json_t *body, kf_error *error)
{
    kf_proposal_act act;
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_key_act_of(cli, options, body, &sealed, &act, error));
    KF_TRY(kf_cli_propose(cli, officer, &act, kf_view_of("", 0), &answer, error));
    return kf_cli_print_proposed(cli, answer, error);
}

kf_code kf_cli_key_run_act(kf_cli *cli, const kf_cli_key_options *options, const char *act, kf_error *error)
{
    KF_CLEANUP(kf_cli_signer_clear) kf_cli_signer officer = {.key = NULL};
    KF_CLEANUP(kf_json_free) json_t *body = NULL;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_key_body(options, act, &body, error));
    KF_TRY(kf_cli_signer_find(cli, &options->officer, &officer, error));
    if (officer.key != NULL) return propose_act(cli, options, &officer, body, error);
    KF_TRY(kf_cli_key_post(cli, body, &answer, error));
    return kf_cli_key_print(cli, answer, error);
}

static kf_code read_target(const kf_cli_key_options *options, kf_key_act_request *request, kf_error *error)
{
    const char *category = options->category != NULL ? options->category : KF_CATEGORY_DEFAULT;
    memset(request, 0, sizeof *request);
    request->act = KF_KEY_SUSPEND; /* looked for as for any act on a key that is there */
    if (options->purpose == NULL ||
        kf_key_purpose_from_name(options->purpose, &request->entry.purpose) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "--purpose: payment, card-manager or adm");
    KF_TRY(kf_category_check(category, error));
    memcpy(request->entry.category, category, strlen(category) + 1);
    request->entry.version = (uint32_t)options->version;
    return KF_OK;
}

kf_code kf_cli_key_export(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {
        KF_CLI_KEY_TARGET | KF_CLI_KEY_OFFICER | KF_CLI_KEY_KCV | KF_CLI_KEY_PAIR, NULL,
        "Proposes that an exportable base key leaves as an X9.143 key block under the transport key of "
        "--pair. "
        "Once it is approved, keyfill proposal fetch writes the block to a file."};
    kf_cli_key_options options;
    kf_key_act_request target;
    kf_proposal_act act;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    if (options.pair == NULL) return kf_fail(error, KF_ERR_USAGE, "--pair is missing: whose transport key");
    KF_TRY(kf_category_check(options.pair, error));
    KF_TRY(read_target(&options, &target, error));
    KF_TRY(settle_target(cli, &options, &target, error));
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_EXPORT;
    act.export.purpose = target.entry.purpose;
    memcpy(act.export.category, target.entry.category, sizeof act.export.category);
    act.export.version = target.entry.version;
    act.export.kcv = target.entry.kcv;
    memcpy(act.export.pair, options.pair, strlen(options.pair) + 1);
    return kf_cli_propose_and_print(cli, &options.officer, &act, error);
}
