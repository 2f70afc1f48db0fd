/* `keyfill gp put-key`. A card is never left with keys alone that nobody has shown to hold: what is replaced
 * is what opened the channel, the new keys open another at once, and only then is the old version deleted. */
#include <stdio.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "cli/gp.h"

#define KEY_VERSION_MAX 0x7Fu
#define KEY_COUNT 3
#define NOT_FOUND 0x6A88u
#define TAG_RECOGNITION 0x66
#define TAG_CAPABILITIES 0x67
#define TAG_KEY_INFORMATION 0xE0
#define KEY_TYPE_AES 0x88u
/* Keys that a card maker left have a version above 7F, go with the first PUT KEY, and cannot be deleted. */
#define IS_INITIAL(version) ((version) > KEY_VERSION_MAX)

typedef struct key_change {
    kf_gp_key_source source;
    kf_gp_keys keys;
    kf_algorithm algorithm;
    uint8_t present_version; /* what opened the channel */
    uint8_t replaced;        /* 00: none */
    uint8_t new_version;
    bool delete_old;
} key_change;

static void plan_clear(key_change *plan)
{
    kf_gp_key_source_clear(&plan->source);
    kf_gp_keys_clear(&plan->keys);
}

/* What can be said before the card is touched. */
static kf_code read_plan(const kf_gp_options *options, key_change *plan, kf_error *error)
{
    const char *type = options->values[KF_GP_NEW_TYPE];
    if (type != NULL && strcmp(type, "aes") != 0 && strcmp(type, "3des") != 0)
        return kf_fail(error, KF_ERR_USAGE, "--new-type %.20s: aes or 3des", type);
    if (type != NULL) plan->algorithm = strcmp(type, "aes") == 0 ? KF_AES : KF_TDES;
    KF_TRY(kf_gp_option_byte(options, KF_GP_NEW_VERSION, 0, &plan->new_version, error));
    if (plan->new_version == 0 || plan->new_version > KEY_VERSION_MAX)
        return kf_fail(error, KF_ERR_USAGE, "--new-version: a key version from 01 to 7F is needed");
    KF_TRY(kf_gp_option_byte(options, KF_GP_REPLACE, 0, &plan->replaced, error));
    if (options->values[KF_GP_REPLACE] != NULL && plan->replaced == 0)
        return kf_fail(error, KF_ERR_USAGE, "--replace 00: a key version from 01 is wanted");
    plan->delete_old = options->values[KF_GP_DELETE_OLD] != NULL;
    if (plan->delete_old && plan->replaced != 0)
        return kf_fail(error, KF_ERR_USAGE, "--replace and --delete-old: the one excludes the other");
    KF_TRY(kf_gp_key_source_read(options, true, &plan->source, error));
    if (plan->source.base.enc == NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "the new keys are missing: --new-key, --new-key-file, or --new-master with "
                       "--new-diversify");
    return KF_OK;
}

/* What must hold of the card whose keys opened the channel. */
static kf_code check_plan(const kf_gp_session *session, key_change *plan, kf_error *error)
{
    const kf_initialize_update *answer = kf_secure_channel_answer(session->channel);
    plan->present_version = answer->key_version;
    if (plan->replaced != 0 && plan->replaced != plan->present_version)
        return kf_fail(
            error, KF_ERR_KEY_POLICY,
            "key version %02X is to be replaced, but version %02X opened the channel: show that the "
            "keys to be replaced are yours by --key-version %02X and their keys",
            (unsigned)plan->replaced, (unsigned)plan->present_version, (unsigned)plan->replaced);
    if (plan->replaced == 0 && plan->new_version == plan->present_version)
        return kf_fail(
            error, KF_ERR_KEY_POLICY,
            "key version %02X is there already and opened the channel; say --replace %02X to put the "
            "new keys in its place",
            (unsigned)plan->new_version, (unsigned)plan->new_version);
    if (plan->algorithm == 0) plan->algorithm = answer->protocol == 3 ? KF_AES : KF_TDES;
    KF_TRY(kf_gp_key_source_resolve(session->options, &plan->source, plan->algorithm,
                                    KF_VIEW(answer->diversification_data), &plan->keys, error));
    if (plan->algorithm == KF_TDES && kf_secret_size(plan->keys.enc) != 16)
        return kf_fail(error, KF_ERR_KEY_SIZE, "3DES keys of a card have 16 bytes, not %zu",
                       kf_secret_size(plan->keys.enc));
    return KF_OK;
}

/* GET DATA, where the card has the object; empty where it does not. */
static kf_code read_object(kf_gp_session *session, uint16_t tag, kf_buffer *data, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    uint16_t status_word = 0;
    KF_TRY(kf_fail_plain(error, kf_gp_get_data(tag, &apdu)));
    const kf_gp_message message = {.label = "GET DATA", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send(session, &message, data, &status_word, error));
    if (status_word != 0x9000) kf_buffer_truncate(data, 0);
    return KF_OK;
}

/* What is there must not be overwritten by the way, and a replacement must be one (§11.8.2.3.3). */
static kf_code check_versions(const kf_key_information *keys, const key_change *plan, kf_error *error)
{
    if (plan->new_version != plan->replaced && kf_key_information_version(keys, plan->new_version) != NULL)
        return kf_fail(
            error, KF_ERR_KEY_POLICY,
            "key version %02X is there already, and nothing has shown that it is yours: choose another "
            "--new-version, or open the channel with it by --key-version %02X and --replace it",
            (unsigned)plan->new_version, (unsigned)plan->new_version);
    if (plan->replaced == 0) return KF_OK;
    const kf_key_information_entry *entry = kf_key_information_version(keys, plan->replaced);
    if (entry == NULL || entry->component_count == 0) return KF_OK;
    const kf_key_component *present = &entry->components[0];
    bool aes = present->type == KEY_TYPE_AES;
    if (aes == (plan->algorithm == KF_AES) && present->size == kf_secret_size(plan->keys.enc)) return KF_OK;
    return kf_fail(
        error, KF_ERR_KEY_SIZE,
        "key version %02X has %s keys of %u bytes, and a replacement cannot change that: leave out "
        "--replace, choose another --new-version, and --delete-old",
        (unsigned)plan->replaced, aes ? "AES" : "3DES", (unsigned)present->size);
}

/* Whether the card would open a channel with such keys at all. The maker's keys go with the first PUT KEY,
 * and keys of a protocol that the card has not would leave it without any. */
static kf_code check_protocol_of_keys(const kf_gp_session *session, kf_view recognition_data,
                                      const key_change *plan, kf_error *error)
{
    uint8_t wanted = plan->algorithm == KF_AES ? 3 : 2;
    kf_card_recognition recognition;
    if (kf_secure_channel_answer(session->channel)->protocol == wanted) return KF_OK;
    if (kf_card_recognition_parse(recognition_data, &recognition) == KF_OK)
        for (size_t i = 0; i < recognition.protocol_count; i++)
            if (recognition.protocols[i].protocol == wanted) return KF_OK;
    if (!IS_INITIAL(plan->present_version) && !plan->delete_old && plan->replaced == 0) return KF_OK;
    return kf_fail(
        error, KF_ERR_KEY_POLICY,
        "the card does not say that it has SCP%02X, which %s keys open; version %02X would be gone, and no "
        "key left that is known to open a channel",
        (unsigned)wanted, wanted == 3 ? "AES" : "3DES", (unsigned)plan->present_version);
}

/* Amendment D: which sizes of AES keys the card takes (appendix H.4). */
static kf_code check_key_size(kf_view capability_data, const key_change *plan, kf_error *error)
{
    kf_card_capability capability;
    if (plan->algorithm != KF_AES || kf_card_capability_parse(capability_data, &capability) != KF_OK)
        return KF_OK;
    size_t size = kf_secret_size(plan->keys.enc);
    unsigned bit = size == 16 ? 1u : size == 24 ? 2u : 4u;
    for (size_t i = 0; i < capability.protocol_count; i++) {
        const kf_capability_protocol *offered = &capability.protocols[i];
        if (offered->protocol == 3 && offered->key_sizes != 0 && (offered->key_sizes & bit) == 0)
            return kf_fail(error, KF_ERR_KEY_SIZE, "the card says that it takes no AES keys of %zu bytes",
                           size);
    }
    return KF_OK;
}

static kf_code check_card(kf_gp_session *session, const key_change *plan, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer keys = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer recognition = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer capability = KF_BUFFER_INIT;
    kf_key_information information;
    KF_TRY(read_object(session, TAG_KEY_INFORMATION, &keys, error));
    KF_TRY(read_object(session, TAG_RECOGNITION, &recognition, error));
    KF_TRY(read_object(session, TAG_CAPABILITIES, &capability, error));
    if (keys.size > 0 && kf_key_information_parse(kf_buffer_view(&keys), &information) == KF_OK)
        KF_TRY(check_versions(&information, plan, error));
    KF_TRY(check_protocol_of_keys(session, kf_buffer_view(&recognition), plan, error));
    return check_key_size(kf_buffer_view(&capability), plan, error);
}

static kf_code send_keys(kf_gp_session *session, const key_change *plan, const char *shown, kf_error *error)
{
    const kf_gp_key keys[KEY_COUNT] = {{plan->algorithm, plan->keys.enc},
                                       {plan->algorithm, plan->keys.mac},
                                       {plan->algorithm, plan->keys.dek}};
    const kf_gp_put_key put_key = {.present_version = plan->replaced,
                                   .new_version = plan->new_version,
                                   .key_identifier = 1,
                                   .keys = keys,
                                   .key_count = KEY_COUNT,
                                   .plain_length = session->options->values[KF_GP_PLAIN_LENGTH] != NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer expected = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    char instead[160];
    (void)snprintf(instead, sizeof instead, "key version %02X, %.100s", (unsigned)plan->new_version, shown);
    KF_TRY(kf_fail_plain(error, kf_gp_put_key_command(session->channel, &put_key, &apdu)));
    KF_TRY(kf_fail_plain(error, kf_gp_put_key_expected(&put_key, &expected)));
    const kf_gp_message message = {.label = "PUT KEY", .command = kf_buffer_view(&apdu), .instead = instead};
    KF_TRY(kf_gp_send_expecting_success(session, &message, &data, error));
    if (kf_view_equal(kf_buffer_view(&data), kf_buffer_view(&expected))) return KF_OK;
    return kf_fail(
        error, KF_ERR_CHECK_VALUE,
        "PUT KEY: the card confirms %s instead of %s; nothing more was done: look at keyfill gp info",
        kf_hex_show(kf_buffer_view(&data)).text, kf_hex_show(kf_buffer_view(&expected)).text);
}

static kf_code prove_new_keys(kf_gp_session *session, const key_change *plan, kf_error *error)
{
    const kf_gp_authentication authentication = {.source = &plan->source,
                                                 .algorithm = plan->algorithm,
                                                 .key_version = plan->new_version,
                                                 .any_protocol = true};
    kf_code code = kf_gp_session_select(session, error);
    if (code == KF_OK) code = kf_gp_session_authenticate(session, &authentication, error);
    if (code == KF_OK) return KF_OK;
    if (IS_INITIAL(plan->present_version))
        return kf_error_prefix(error,
                               "the new keys open no channel, and version %02X goes with the first PUT KEY",
                               (unsigned)plan->present_version);
    if (plan->replaced != 0)
        return kf_error_prefix(error, "version %02X was replaced, but the new keys open no channel",
                               (unsigned)plan->replaced);
    return kf_error_prefix(error, "the new keys open no channel; version %02X was not deleted",
                           (unsigned)plan->present_version);
}

static kf_code delete_old(kf_gp_session *session, const key_change *plan, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    uint16_t status_word = 0;
    if (IS_INITIAL(plan->present_version)) return KF_OK;
    KF_TRY(kf_fail_plain(error, kf_gp_delete_key(plan->present_version, 0, &apdu)));
    const kf_gp_message message = {.label = "DELETE [key]", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send(session, &message, NULL, &status_word, error));
    if (status_word == 0x9000 || status_word == NOT_FOUND) return KF_OK;
    (void)kf_fail_status_word(error, message.label, status_word);
    return kf_error_prefix(error, "the new keys are in force, version %02X is still there",
                           (unsigned)plan->present_version);
}

kf_code kf_gp_run_put_key(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_NEW_KEYS,
        .about = "Adds a key set to the security domain, or replaces the one that opened the channel, and "
                 "opens a channel with the new keys."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(plan_clear) key_change plan = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer shown = KF_BUFFER_INIT;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(read_plan(&options, &plan, error));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    KF_TRY(check_plan(&session, &plan, error));
    KF_TRY(check_card(&session, &plan, error));
    KF_TRY(kf_fail_plain(error, kf_gp_keys_describe(&plan.keys, plan.algorithm, &shown)));
    const char *keys = kf_buffer_text(&shown);
    KF_TRY(send_keys(&session, &plan, keys, error));
    KF_TRY(prove_new_keys(&session, &plan, error));
    if (plan.delete_old) KF_TRY(delete_old(&session, &plan, error));
    char text[192];
    char version[3];
    (void)snprintf(version, sizeof version, "%02X", (unsigned)plan.new_version);
    (void)snprintf(text, sizeof text, "key version %s is in force and has opened a channel: %.120s", version,
                   keys);
    return kf_gp_print(&options,
                       json_pack("{s:s, s:s, s:s, s:b}", "done", "put-key", "key_version", version, "keys",
                                 keys, "old_deleted", plan.delete_old ? 1 : 0),
                       text, error);
}
