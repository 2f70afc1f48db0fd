/* Which of the keys that everybody knows opens a card, and by which method: one answer to INITIALIZE UPDATE
 * tells, and nothing is sent. */
#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>

#include "cli/client.h"
#include "cli/gp.h"
#include "wire/json.h"

typedef struct known_key {
    const char *name;
    const char *digits; /* ENC, MAC and DEK alike, or three with colons between */
} known_key;

/* Keys that card makers and the samples of GlobalPlatformPro and GPShell publish, and patterns that people
 * type. */
static const known_key known_keys[] = {
    {"published test key 40..4F", "404142434445464748494A4B4C4D4E4F"},
    {"published test key 40..57", "404142434445464748494A4B4C4D4E4F5051525354555657"},
    {"published test key 40..5F", "404142434445464748494A4B4C4D4E4F505152535455565758595A5B5C5D5E5F"},
    {"Gemalto GEMXPRESSOSAMPLE", "47454D5850524553534F53414D504C45"},
    {"zeros", "00000000000000000000000000000000"},
    {"zeros, 24 bytes", "000000000000000000000000000000000000000000000000"},
    {"zeros, 32 bytes", "0000000000000000000000000000000000000000000000000000000000000000"},
    {"FF..FF", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"},
    {"00..0F", "000102030405060708090A0B0C0D0E0F"},
    {"10..1F", "101112131415161718191A1B1C1D1E1F"},
    {"0123456789ABCDEF twice", "0123456789ABCDEF0123456789ABCDEF"},
    {"11..11, 22..22, 33..33",
     "11111111111111111111111111111111:22222222222222222222222222222222:33333333333333333333333333333333"},
};

typedef struct known_method {
    const char *name;
    const char *line; /* NULL: the key itself */
    kf_algorithm algorithm;
} known_method;

static const known_method known_methods[] = {
    {"none", NULL, KF_AES},
    {"visa2", "visa2(kdd/hex/10,role)", KF_TDES},
    {"emv-cps", "emv-cps(kdd/hex/10,role)", KF_TDES},
    {"kdf3", "kdf3(kdd/hex/10,role)", KF_AES},
};

/* Failures that say "not this one". */
static bool is_mismatch(kf_code code)
{
    return code == KF_ERR_CRYPTOGRAM || code == KF_ERR_KEY_SIZE || code == KF_ERR_DIVERSIFICATION ||
           code == KF_ERR_UNSUPPORTED;
}

static kf_code derive(const known_method *method, const kf_gp_keys *base, kf_view diversification_data,
                      kf_gp_keys *ret_keys, kf_error *error)
{
    const kf_gp_options no_fields = {0};
    KF_CLEANUP(kf_gp_key_source_clear) kf_gp_key_source source = {0};
    KF_TRY(kf_secret_copy(base->enc, &source.base.enc));
    KF_TRY(kf_secret_copy(base->mac, &source.base.mac));
    KF_TRY(kf_secret_copy(base->dek, &source.base.dek));
    if (method->line != NULL) KF_TRY(kf_diversification_parse(method->line, &source.diversification, error));
    return kf_gp_key_source_resolve(&no_fields, &source, method->algorithm, diversification_data, ret_keys,
                                    error);
}

static kf_code add_match(json_t *matches, const char *key, const char *method, const kf_gp_keys *keys,
                         kf_algorithm algorithm)
{
    kf_kcv kcv;
    KF_TRY(kf_kcv_compute(algorithm, keys->enc, KF_KCV_GLOBALPLATFORM, &kcv));
    json_t *match = json_object();
    KF_TRY(kf_json_append(matches, match));
    KF_TRY(kf_json_set_text(match, "key", key));
    KF_TRY(kf_json_set_text(match, "method", method));
    return kf_json_set_text(match, "check_value", kf_kcv_show(kcv).text);
}

static kf_code try_key(const kf_gp_probe *probe, const kf_initialize_update *answer, const char *name,
                       const kf_gp_keys *base, json_t *matches)
{
    for (size_t i = 0; i < sizeof known_methods / sizeof known_methods[0]; i++) {
        kf_error error = {KF_OK, ""};
        KF_CLEANUP(kf_gp_keys_clear) kf_gp_keys keys = {0};
        kf_code code = derive(&known_methods[i], base, KF_VIEW(answer->diversification_data), &keys, &error);
        if (code == KF_OK) {
            const kf_key_set set = kf_gp_keys_view(&keys);
            code = kf_secure_channel_verify(&set, probe->host_challenge, probe->answer, &error);
        }
        if (is_mismatch(code)) continue;
        KF_TRY(code);
        KF_TRY(
            add_match(matches, name, known_methods[i].name, &keys, answer->protocol == 3 ? KF_AES : KF_TDES));
    }
    return KF_OK;
}

static kf_code try_known(const kf_gp_probe *probe, const kf_initialize_update *answer, const known_key *key,
                         json_t *matches)
{
    kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_key_source_clear) kf_gp_key_source source = {0};
    KF_TRY(kf_secret_new(kf_view_of_text(key->digits), &options.secrets[KF_GP_KEY]));
    kf_code code = kf_gp_key_source_read(&options, false, &source, NULL);
    kf_gp_options_clear(&options);
    KF_TRY(code);
    return try_key(probe, answer, key->name, &source.base, matches);
}

static kf_code try_all(const kf_gp_probe *probe, const kf_initialize_update *answer, json_t *matches)
{
    if (probe->given != NULL && probe->given->enc != NULL)
        KF_TRY(try_key(probe, answer, "the given key", probe->given, matches));
    for (size_t i = 0; i < sizeof known_keys / sizeof known_keys[0]; i++)
        KF_TRY(try_known(probe, answer, &known_keys[i], matches));
    return KF_OK;
}

kf_code kf_gp_identify_matches(const kf_gp_probe *probe, json_t **ret_matches, kf_error *error)
{
    kf_initialize_update answer;
    KF_TRY(kf_initialize_update_parse(probe->answer, &answer, error));
    KF_CLEANUP(kf_json_free) json_t *matches = json_array();
    KF_TRY(kf_fail_plain(error, try_all(probe, &answer, matches)));
    *ret_matches = matches;
    matches = NULL; /* the caller's from here on */
    return KF_OK;
}

void kf_gp_identify_describe(const json_t *matches, kf_buffer *text)
{
    size_t index;
    const json_t *match;
    if (json_array_size(matches) == 0) {
        kf_buffer_append_text(text, "no known key would have matched by visa2, emv-cps, kdf3 or none");
        return;
    }
    json_array_foreach(matches, index, match)
    {
        kf_buffer_format(text, "%s%s by method %s", index > 0 ? ", " : "", kf_cli_text(match, "key"),
                         kf_cli_text(match, "method"));
    }
    kf_buffer_append_text(text, " would have matched");
}

static kf_code offline_answer(const kf_gp_options *options, kf_buffer *challenge, kf_buffer *answer,
                              kf_error *error)
{
    if (options->values[KF_GP_HOST_CHALLENGE] == NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "--answer needs --host-challenge, what INITIALIZE UPDATE carried");
    KF_TRY(kf_gp_option_bytes(options, KF_GP_ANSWER, answer, error));
    KF_TRY(kf_gp_option_bytes(options, KF_GP_HOST_CHALLENGE, challenge, error));
    /* With or without the status word: 28, 29, 32, 45 or 48 bytes stand before it. */
    size_t size = answer->size;
    if (size == 28 || size == 29 || size == 32 || size == 45 || size == 48)
        kf_buffer_append_u16(answer, 0x9000);
    return kf_fail_plain(error, kf_buffer_status(answer));
}

static kf_code answer_of_card(const kf_gp_options *options, kf_buffer *challenge, kf_buffer *answer,
                              kf_error *error)
{
    uint8_t key_version = 0;
    uint8_t host_challenge[KF_CHALLENGE_MAX];
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_TRY(kf_gp_option_byte(options, KF_GP_KEY_VERSION, 0, &key_version, error));
    KF_TRY(kf_gp_session_open(options, KF_GP_SELECT_ONLY, &session, error));
    KF_TRY(kf_gp_session_begin(&session, key_version, host_challenge, answer, error));
    kf_buffer_append_bytes(challenge, host_challenge, session.challenge_size);
    return kf_fail_plain(error, kf_buffer_status(challenge));
}

static kf_code identity(const kf_gp_probe *probe, bool offline, json_t *matches, json_t *report)
{
    kf_initialize_update answer;
    KF_TRY(kf_initialize_update_parse(probe->answer, &answer, NULL));
    KF_TRY(kf_json_set_integer(report, "protocol", answer.protocol));
    KF_TRY(kf_json_set_hex(report, "key_version", kf_view_of(&answer.key_version, 1)));
    KF_TRY(kf_json_set_hex(report, "diversification_data", KF_VIEW(answer.diversification_data)));
    KF_TRY(kf_json_set_hex(report, "host_challenge", probe->host_challenge));
    KF_TRY(kf_json_set_hex(report, "answer", probe->answer));
    KF_TRY(kf_json_set_text(report, "cost",
                            offline
                                ? "none: no card was asked"
                                : "one INITIALIZE UPDATE, no EXTERNAL AUTHENTICATE: nothing on most cards; "
                                  "one try on a card that counts unfinished channels, given back by the "
                                  "next channel that is opened"));
    return kf_json_set(report, "matches", json_incref(matches));
}

static kf_code print_identity(const kf_gp_options *options, json_t *report, kf_error *error)
{
    static const char *const columns[] = {"key", "method", "check_value", NULL};
    if (options->cli->json) return kf_cli_print_json(report, error);
    const json_t *matches = json_object_get(report, "matches");
    printf("SCP%02d, key version %s, diversification data %s\n",
           (int)json_integer_value(json_object_get(report, "protocol")), kf_cli_text(report, "key_version"),
           kf_cli_text(report, "diversification_data"));
    if (json_array_size(matches) > 0)
        kf_cli_print_table(matches, columns);
    else
        printf("no known key fits by visa2, emv-cps, kdf3 or none\n");
    printf("cost: %s\n", kf_cli_text(report, "cost"));
    return KF_OK;
}

kf_code kf_gp_run_identify(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups =
                                          KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_ANSWER,
                                      .about = "Tries the keys that everybody knows, and a given one, by "
                                               "every known method, against one answer to INITIALIZE "
                                               "UPDATE: the card's, or one given in hexadecimal."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer challenge = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_gp_key_source_clear) kf_gp_key_source given = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_key_source_read(&options, false, &given, error));
    bool offline = options.values[KF_GP_ANSWER] != NULL;
    KF_TRY(offline ? offline_answer(&options, &challenge, &answer, error)
                   : answer_of_card(&options, &challenge, &answer, error));
    const kf_gp_probe probe = {.host_challenge = kf_buffer_view(&challenge),
                               .answer = kf_buffer_view(&answer),
                               .given = &given.base};
    KF_CLEANUP(kf_json_free) json_t *matches = NULL;
    KF_CLEANUP(kf_json_free) json_t *report = json_object();
    KF_TRY(kf_gp_identify_matches(&probe, &matches, error));
    KF_TRY(kf_fail_plain(error, identity(&probe, offline, matches, report)));
    return print_identity(&options, report, error);
}
