#include <stdlib.h>
#include <string.h>

#include "cli/key.h"
#include "wire/json.h"

enum {
    KEY_PURPOSE = 3000,
    KEY_CATEGORY,
    KEY_VERSION,
    KEY_ALGORITHM,
    KEY_SIZE,
    KEY_STATE,
    KEY_DIVERSIFICATION,
    KEY_LEAST_CHANNEL,
    KEY_LEAST_LEVEL,
    KEY_REFILL,
    KEY_PROFILE,
    KEY_VALID_FROM,
    KEY_VALID_UNTIL,
    KEY_CLEAR,
    KEY_NOT_EXPORTABLE,
    KEY_BLOCKS,
    KEY_COMPONENTS,
    KEY_COMPONENT_FILE,
    KEY_IMPORT,
    KEY_FIRST,
    KEY_PASSPHRASE_FILE,
    KEY_URL,
    KEY_PAIR,
    KEY_DISABLED,
    KEY_KCV,
    KEY_GUIDED,
    KEY_SHARES,
    KEY_THRESHOLD,
    KEY_FROM_SHARES,
    KEY_SHARE_FILE,
};

typedef struct grouped_option {
    unsigned groups;
    struct argp_option option;
} grouped_option;

static const grouped_option all_options[] = {
    {KF_CLI_KEY_TARGET | KF_CLI_KEY_NEW,
     {"purpose", KEY_PURPOSE, "PURPOSE", 0, "payment, card-manager, adm, transport or group", 1}},
    {KF_CLI_KEY_TARGET | KF_CLI_KEY_NEW,
     {"category", KEY_CATEGORY, "NAME", 0, "card category (default: default)", 1}},
    {KF_CLI_KEY_TARGET | KF_CLI_KEY_NEW,
     {"version", KEY_VERSION, "N", 0,
      "default: the one in force; to activate: the newest; of a new key, the next", 1}},
    {KF_CLI_KEY_NEW, {"algorithm", KEY_ALGORITHM, "NAME", 0, "aes (default), tdes or sm4", 2}},
    {KF_CLI_KEY_NEW, {"size", KEY_SIZE, "BYTES", 0, "default: 16; of transport keys 32", 2}},
    {KF_CLI_KEY_NEW, {"state", KEY_STATE, "STATE", 0, "active (default) or pre-active", 2}},
    {KF_CLI_KEY_NEW, {"diversification", KEY_DIVERSIFICATION, "LINE", 0, "how card keys are made of it", 2}},
    {KF_CLI_KEY_NEW, {"least-channel", KEY_LEAST_CHANNEL, "NAME", 0, "any (default), scp02 or scp03", 2}},
    {KF_CLI_KEY_NEW,
     {"least-level", KEY_LEAST_LEVEL, "BITS", 0, "security level that a channel must have, 0 to 51", 2}},
    {KF_CLI_KEY_NEW,
     {"refill", KEY_REFILL, "HOW", 0, "generation (default) or new-base-key-version-only", 2}},
    {KF_CLI_KEY_NEW,
     {"profile", KEY_PROFILE, "DIGEST", 0, "a profile it may serve; several are possible; default: any", 2}},
    {KF_CLI_KEY_NEW, {"clear-at-terminal", KEY_CLEAR, NULL, 0, "card keys are seen at the terminal", 2}},
    {KF_CLI_KEY_NEW, {"not-exportable", KEY_NOT_EXPORTABLE, NULL, 0, "it never leaves this unit", 2}},
    {KF_CLI_KEY_TRANSPORT,
     {"key-blocks", KEY_BLOCKS, NULL, 0,
      "keys go under it as X9.143 blocks, also where this unit has a token; given on both sides", 2}},
    {KF_CLI_KEY_NEW, {"valid-from", KEY_VALID_FROM, "SECONDS", 0, "since 1970; default: at once", 2}},
    {KF_CLI_KEY_NEW | KF_CLI_KEY_VALIDITY,
     {"valid-until", KEY_VALID_UNTIL, "SECONDS", 0, "since 1970; default: without end", 2}},
    {KF_CLI_KEY_COMPONENTS | KF_CLI_KEY_PARTS,
     {"components", KEY_COMPONENTS, "N", 0, "of how many components the key is made (default: 2)", 3}},
    {KF_CLI_KEY_COMPONENTS,
     {"component-file", KEY_COMPONENT_FILE, "FILE", 0,
      "a component in hexadecimal (-: a line of standard input); several are possible; default: typed", 3}},
    {KF_CLI_KEY_COMPONENTS | KF_CLI_KEY_PARTS,
     {"import", KEY_IMPORT, "ID", 0, "go on with an import that was begun", 3}},
    {KF_CLI_KEY_COMPONENTS | KF_CLI_KEY_PARTS,
     {"first", KEY_FIRST, "N", 0, "which component is given first (default: 1)", 3}},
    {KF_CLI_KEY_PASSPHRASE,
     {"passphrase-file", KEY_PASSPHRASE_FILE, "FILE", 0,
      "the backup's passphrase (-: a line of standard input); default: typed", 3}},
    {KF_CLI_KEY_GUIDED, {"guided", KEY_GUIDED, NULL, 0, "the ceremony at this screen, step by step", 3}},
    {KF_CLI_KEY_SHARES,
     {"shares", KEY_SHARES, "N", 0, "no passphrase, but N shares of one, for as many people", 3}},
    {KF_CLI_KEY_SHARES, {"threshold", KEY_THRESHOLD, "M", 0, "how many of the shares open the backup", 3}},
    {KF_CLI_KEY_SHARE_FILES, {"from-shares", KEY_FROM_SHARES, NULL, 0, "ask for shares", 3}},
    {KF_CLI_KEY_SHARE_FILES,
     {"share-file", KEY_SHARE_FILE, "FILE", 0, "a share (-: a line of standard input); several are possible",
      3}},
    {KF_CLI_KEY_UNIT, {"url", KEY_URL, "URL", 0, "https://HOST:PORT of the key management unit", 3}},
    {KF_CLI_KEY_UNIT | KF_CLI_KEY_PAIR,
     {"pair", KEY_PAIR, "NAME", 0, "name of the transport key shared with the other side", 3}},
    {KF_CLI_KEY_KCV,
     {"kcv", KEY_KCV, "DIGITS", 0, "check value of the key that is meant (default: as the unit lists it)",
      1}},
    {KF_CLI_KEY_UNIT, {"disabled", KEY_DISABLED, NULL, 0, "nothing is sent to it", 3}},
};
#define OPTION_COUNT (sizeof all_options / sizeof all_options[0])

static long number_of(const struct argp_state *state, const char *name, const char *text, long most)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || number > (unsigned long)most)
        kf_cli_usage(state, "--%s %.40s: a number up to %ld is wanted", name, text, most);
    return (long)number;
}

static void add_file(kf_cli_key_options *options, const char *path, const struct argp_state *state)
{
    if (options->component_file_count == KF_KEY_COMPONENTS_MAX)
        kf_cli_usage(state, "at most %d components are possible", KF_KEY_COMPONENTS_MAX);
    options->component_files[options->component_file_count++] = path;
}

static void add_share(kf_cli_key_options *options, const char *path, const struct argp_state *state)
{
    if (options->share_file_count == KF_SHAMIR_SHARES_MAX)
        kf_cli_usage(state, "at most %d shares are possible", KF_SHAMIR_SHARES_MAX);
    options->share_files[options->share_file_count++] = path;
}

static void add_profile(kf_cli_key_options *options, const char *digest, const struct argp_state *state)
{
    if (options->profile_count == KF_CLI_PROFILES_MAX)
        kf_cli_usage(state, "a key names at most %d profiles", KF_CLI_PROFILES_MAX);
    options->profiles[options->profile_count++] = digest;
}

static error_t parse_text(int key, const char *argument, kf_cli_key_options *options)
{
    switch (key) {
    case KEY_PURPOSE: options->purpose = argument; return 0;
    case KEY_CATEGORY: options->category = argument; return 0;
    case KEY_ALGORITHM: options->algorithm = argument; return 0;
    case KEY_STATE: options->state = argument; return 0;
    case KEY_DIVERSIFICATION: options->diversification = argument; return 0;
    case KEY_LEAST_CHANNEL: options->least_channel = argument; return 0;
    case KEY_REFILL: options->refill = argument; return 0;
    case KEY_IMPORT: options->import_id = argument; return 0;
    case KEY_PASSPHRASE_FILE: options->passphrase_file = argument; return 0;
    case KEY_URL: options->url = argument; return 0;
    case KEY_PAIR: options->pair = argument; return 0;
    case KEY_KCV: options->kcv = argument; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    kf_cli_key_options *options = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        if (state->child_inputs != NULL) state->child_inputs[0] = &options->officer;
        return 0;
    case KEY_VERSION: options->version = number_of(state, "version", argument, UINT32_MAX); return 0;
    case KEY_SIZE: options->size = number_of(state, "size", argument, 32); return 0;
    case KEY_LEAST_LEVEL: options->least_level = number_of(state, "least-level", argument, 0x33); return 0;
    case KEY_VALID_FROM:
        options->valid_from = number_of(state, "valid-from", argument, 253402300799L);
        return 0;
    case KEY_VALID_UNTIL:
        options->valid_until = number_of(state, "valid-until", argument, 253402300799L);
        return 0;
    case KEY_COMPONENTS:
        options->components = number_of(state, "components", argument, KF_KEY_COMPONENTS_MAX);
        return 0;
    case KEY_FIRST: options->first = number_of(state, "first", argument, KF_KEY_COMPONENTS_MAX); return 0;
    case KEY_SHARES: options->shares = number_of(state, "shares", argument, KF_SHAMIR_SHARES_MAX); return 0;
    case KEY_THRESHOLD:
        options->threshold = number_of(state, "threshold", argument, KF_SHAMIR_SHARES_MAX);
        return 0;
    case KEY_GUIDED: options->guided = true; return 0;
    case KEY_FROM_SHARES: options->from_shares = true; return 0;
    case KEY_SHARE_FILE: add_share(options, argument, state); return 0;
    case KEY_CLEAR: options->clear_at_terminal = true; return 0;
    case KEY_NOT_EXPORTABLE: options->not_exportable = true; return 0;
    case KEY_BLOCKS: options->key_blocks = true; return 0;
    case KEY_DISABLED: options->disabled = true; return 0;
    case KEY_PROFILE: add_profile(options, argument, state); return 0;
    case KEY_COMPONENT_FILE: add_file(options, argument, state); return 0;
    case ARGP_KEY_ARG:
        if (options->word_name == NULL || options->word != NULL)
            kf_cli_usage(state, "'%.80s' is one word too many", argument);
        options->word = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->word_name != NULL && options->word == NULL)
            kf_cli_usage(state, "the %s is missing", options->word_name);
        return 0;
    default: return parse_text(key, argument, options);
    }
}

kf_code kf_cli_key_parse(kf_cli *cli, const kf_cli_key_usage *usage, int argc, char **argv,
                         kf_cli_key_options *ret_options, kf_error *error)
{
    struct argp_option options[OPTION_COUNT + 1];
    size_t count = 0;
    memset(options, 0, sizeof options);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if ((all_options[i].groups & usage->groups) != 0) options[count++] = all_options[i].option;
    kf_cli_key_options parsed;
    memset(&parsed, 0, sizeof parsed);
    parsed.word_name = usage->word_name;
    static const struct argp_child officer[] = {{&kf_cli_officer_argp, 0, NULL, 0}, {0}};
    bool signs = (usage->groups & KF_CLI_KEY_OFFICER) != 0;
    const struct argp argp = {options, parse, usage->word_name, usage->about, signs ? officer : NULL,
                              NULL,    NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &parsed, error));
    *ret_options = parsed;
    return KF_OK;
}

static kf_code set_number(json_t *body, const char *member, long number)
{
    return number != 0 ? kf_json_set_integer(body, member, number) : KF_OK;
}

static kf_code set_policy(const kf_cli_key_options *options, json_t *body)
{
    json_t *policy = json_object();
    KF_TRY(kf_json_set(body, "policy", policy));
    KF_TRY(kf_json_set_text(policy, "diversification", options->diversification));
    KF_TRY(kf_json_set_text(policy, "least_channel", options->least_channel));
    KF_TRY(set_number(policy, "least_level", options->least_level));
    KF_TRY(kf_json_set_text(policy, "refill", options->refill));
    if (options->clear_at_terminal) KF_TRY(kf_json_set_boolean(policy, "clear_at_terminal", true));
    if (options->not_exportable) KF_TRY(kf_json_set_boolean(policy, "exportable", false));
    if (options->key_blocks) KF_TRY(kf_json_set_boolean(policy, "key_blocks", true));
    json_t *profiles = json_array();
    KF_TRY(kf_json_set(policy, "profiles", profiles));
    for (size_t i = 0; i < options->profile_count; i++)
        KF_TRY(kf_json_append(profiles, json_string(options->profiles[i])));
    return KF_OK;
}

static kf_code fill_body(const kf_cli_key_options *options, const char *act, json_t *body)
{
    bool new_key = strcmp(act, "generate") == 0 || strcmp(act, "import") == 0;
    KF_TRY(kf_json_set_text(body, "act", act));
    KF_TRY(kf_json_set_text(body, "purpose", options->purpose));
    KF_TRY(kf_json_set_text(body, "category", options->category));
    KF_TRY(set_number(body, "version", options->version));
    KF_TRY(set_number(body, "valid_until", options->valid_until));
    if (!new_key) return KF_OK;
    KF_TRY(kf_json_set_text(body, "algorithm", options->algorithm));
    KF_TRY(kf_json_set_text(body, "state", options->state));
    KF_TRY(set_number(body, "size", options->size));
    KF_TRY(set_number(body, "valid_from", options->valid_from));
    return set_policy(options, body);
}

kf_code kf_cli_key_body(const kf_cli_key_options *options, const char *act, json_t **ret_body,
                        kf_error *error)
{
    if (options->purpose == NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "--purpose is missing: payment, card-manager, adm, transport or group");
    KF_CLEANUP(kf_json_free) json_t *body = json_object();
    KF_TRY(kf_fail_plain(error, fill_body(options, act, body)));
    *ret_body = body;
    body = NULL; /* the caller owns it now */
    return KF_OK;
}
