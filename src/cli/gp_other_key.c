/* `keyfill gp put-other-key`: one key that opens no channel: for tokens, receipts, DAP, or over the air. The
 * keys that open one are not touched, so the card keeps what its owner has shown to hold. */
#include <stdio.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/gp.h"

#define KEY_VERSION_MAX 0x7Fu
#define PUBLIC_KEY_FILE_MAX ((size_t)16 * 1024)

typedef struct other_key {
    kf_gp_key_source source;
    kf_public_key *public_key;
    kf_algorithm algorithm;
    uint8_t replaced; /* 00: none */
    uint8_t version;
    uint8_t identifier;
} other_key;

static void other_key_clear(other_key *key)
{
    kf_gp_key_source_clear(&key->source);
    kf_public_key_free(&key->public_key);
}

static kf_code read_public_key(const char *path, kf_public_key **ret_key, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(path, PUBLIC_KEY_FILE_MAX, &text, error));
    kf_code code = kf_public_key_read(kf_buffer_view(&text), ret_key);
    if (code == KF_OK) return KF_OK;
    return kf_fail(error, code, "%.200s: an RSA public key in PEM is wanted: %s", path,
                   kf_code_meaning(code));
}

static kf_code read_key(const kf_gp_options *options, other_key *key, kf_error *error)
{
    const char *type = options->values[KF_GP_NEW_TYPE];
    const char *path = options->values[KF_GP_PUBLIC_KEY_FILE];
    if (type != NULL && strcmp(type, "aes") != 0 && strcmp(type, "3des") != 0)
        return kf_fail(error, KF_ERR_USAGE, "--new-type %.20s: aes or 3des", type);
    if (type != NULL) key->algorithm = strcmp(type, "aes") == 0 ? KF_AES : KF_TDES;
    KF_TRY(kf_gp_option_byte(options, KF_GP_NEW_VERSION, 0, &key->version, error));
    KF_TRY(kf_gp_option_byte(options, KF_GP_IDENTIFIER, 1, &key->identifier, error));
    KF_TRY(kf_gp_option_byte(options, KF_GP_REPLACE, 0, &key->replaced, error));
    if (key->version == 0 || key->version > KEY_VERSION_MAX)
        return kf_fail(error, KF_ERR_USAGE, "--new-version: a key version from 01 to 7F is needed");
    if (key->identifier == 0 || key->identifier > KEY_VERSION_MAX)
        return kf_fail(error, KF_ERR_USAGE, "--identifier %02X: 01 to 7F are possible",
                       (unsigned)key->identifier);
    KF_TRY(kf_gp_key_source_read(options, true, &key->source, error));
    if ((key->source.base.enc != NULL) == (path != NULL))
        return kf_fail(error, KF_ERR_USAGE, "give one key: --new-key, --new-key-file or --public-key-file");
    if (path == NULL && (!kf_secret_equal(key->source.base.enc, key->source.base.mac) ||
                         !kf_secret_equal(key->source.base.enc, key->source.base.dek)))
        return kf_fail(error, KF_ERR_USAGE, "one key is wanted here, not ENC:MAC:DEK; put-key puts three");
    return path == NULL ? KF_OK : read_public_key(path, &key->public_key, error);
}

static kf_code send_public_key(kf_gp_session *session, const other_key *key, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer modulus = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer exponent = KF_BUFFER_INIT;
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    if (kf_public_key_rsa(key->public_key, &modulus, &exponent) != KF_OK)
        return kf_fail(error, KF_ERR_UNSUPPORTED, "--public-key-file: cards take RSA keys here, no others");
    const kf_gp_put_public_key put_key = {.present_version = key->replaced,
                                          .new_version = key->version,
                                          .key_identifier = key->identifier,
                                          .modulus = kf_buffer_view(&modulus),
                                          .exponent = kf_buffer_view(&exponent),
                                          .data_max = kf_gp_session_data_max(session)};
    KF_TRY(kf_fail_plain(error, kf_gp_put_public_key_commands(&put_key, &commands)));
    return kf_gp_send_all(session, "PUT KEY", &commands, error);
}

static kf_code send_secret_key(kf_gp_session *session, const other_key *key, kf_error *error)
{
    const kf_gp_key one = {key->algorithm, key->source.base.enc};
    const kf_gp_put_key put_key = {.present_version = key->replaced,
                                   .new_version = key->version,
                                   .key_identifier = key->identifier,
                                   .keys = &one,
                                   .key_count = 1,
                                   .plain_length = session->options->values[KF_GP_PLAIN_LENGTH] != NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer expected = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_kcv kcv;
    char instead[96];
    KF_TRY(kf_fail_plain(error, kf_kcv_compute(one.algorithm, one.value, KF_KCV_GLOBALPLATFORM, &kcv)));
    (void)snprintf(instead, sizeof instead, "key version %02X, identifier %02X, check value %s",
                   (unsigned)key->version, (unsigned)key->identifier, kf_kcv_show(kcv).text);
    KF_TRY(kf_fail_plain(error, kf_gp_put_key_command(session->channel, &put_key, &apdu)));
    KF_TRY(kf_fail_plain(error, kf_gp_put_key_expected(&put_key, &expected)));
    const kf_gp_message message = {.label = "PUT KEY", .command = kf_buffer_view(&apdu), .instead = instead};
    KF_TRY(kf_gp_send_expecting_success(session, &message, &data, error));
    if (kf_view_equal(kf_buffer_view(&data), kf_buffer_view(&expected))) return KF_OK;
    return kf_fail(error, KF_ERR_CHECK_VALUE, "PUT KEY: the card confirms %s instead of %s",
                   kf_hex_show(kf_buffer_view(&data)).text, kf_hex_show(kf_buffer_view(&expected)).text);
}

/* A version of three keys opens channels; it is put-key's, with its proof. */
static kf_code check_versions(const kf_gp_session *session, const other_key *key, kf_error *error)
{
    uint8_t present = kf_secure_channel_answer(session->channel)->key_version;
    if (key->version != present && key->replaced != present) return KF_OK;
    return kf_fail(
        error, KF_ERR_KEY_POLICY,
        "key version %02X opened this channel: its keys are replaced together and proven, by keyfill gp "
        "put-key",
        (unsigned)present);
}

kf_code kf_gp_run_put_other_key(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_SINGLE_KEY,
        .about =
            "Adds or replaces one key that opens no channel: of tokens, receipts, signed load files, or of "
            "remote management."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(other_key_clear) other_key key = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(read_key(&options, &key, error));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    KF_TRY(check_versions(&session, &key, error));
    bool aes = kf_secure_channel_answer(session.channel)->protocol == 3;
    if (key.algorithm == 0) key.algorithm = aes ? KF_AES : KF_TDES;
    KF_TRY(key.public_key != NULL ? send_public_key(&session, &key, error)
                                  : send_secret_key(&session, &key, error));
    char version[3];
    char text[64];
    (void)snprintf(version, sizeof version, "%02X", (unsigned)key.version);
    (void)snprintf(text, sizeof text, "key version %s, identifier %02X was put", version,
                   (unsigned)key.identifier);
    return kf_gp_print(&options,
                       json_pack("{s:s, s:s, s:i}", "done", "put-other-key", "key_version", version,
                                 "identifier", (int)key.identifier),
                       text, error);
}
