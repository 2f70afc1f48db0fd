/* Options of `keyfill gp`. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "cli/gp.h"

enum { KEY_VALUES = 5000, KEY_SECRETS = 6000, KEY_FIELD = 7000, KEY_DGI, KEY_ENCRYPTED_DGI };

#define CARD KF_GP_OPTIONS_CARD
#define KEYS KF_GP_OPTIONS_KEYS
#define LOAD KF_GP_OPTIONS_LOAD
#define PACKAGE KF_GP_OPTIONS_PACKAGE
#define APPLET KF_GP_OPTIONS_APPLET
#define NEW_KEYS KF_GP_OPTIONS_NEW_KEYS
#define DELETE KF_GP_OPTIONS_DELETE
#define LOCK KF_GP_OPTIONS_LOCK
#define DATA KF_GP_OPTIONS_DATA
#define ANSWER KF_GP_OPTIONS_ANSWER
#define AUTHORITY KF_GP_OPTIONS_AUTHORITY
#define MOVE KF_GP_OPTIONS_MOVE
#define REGISTRY KF_GP_OPTIONS_REGISTRY
#define DOMAIN_OPTIONS KF_GP_OPTIONS_DOMAIN
#define STATE KF_GP_OPTIONS_STATE
#define SINGLE_KEY KF_GP_OPTIONS_SINGLE_KEY
#define SIM KF_GP_OPTIONS_SIM
#define SIM_FILE KF_GP_OPTIONS_SIM_FILE

typedef struct grouped_option {
    unsigned groups;
    int key;
    const char *name;
    const char *argument; /* NULL: a flag */
    const char *help;
} grouped_option;

#define VALUE(groups, option, name, argument, help)                                                          \
    {                                                                                                        \
        groups, KEY_VALUES + (option), name, argument, help                                                  \
    }
#define SECRET(groups, option, name, argument, help)                                                         \
    {                                                                                                        \
        groups, KEY_SECRETS + (option), name, argument, help                                                 \
    }

static const grouped_option all_options[] = {
    VALUE(CARD, KF_GP_READER, "reader", "URI",
          "pcsc:, pcsc:NAME or socket:PATH (default: $KEYFILL_READER, else pcsc:)"),
    VALUE(CARD, KF_GP_TIMEOUT, "timeout", "SECONDS", "for a card to appear, and for each command (10)"),
    VALUE(CARD, KF_GP_TRACE, "trace", NULL,
          "show commands and answers; keys as check values, secrets as ***"),
    VALUE(CARD, KF_GP_LOGICAL_CHANNEL, "logical-channel", NULL,
          "work on a logical channel of its own, opened for that and closed afterwards"),
    VALUE(KEYS, KF_GP_AID, "aid", "AID", "the security domain (default: the issuer's)"),
    SECRET(KEYS, KF_GP_KEY, "key", "HEX", "the card's key, or ENC:MAC:DEK"),
    VALUE(KEYS, KF_GP_KEY_FILE, "key-file", "FILE", "the same from a file (-: a line of standard input)"),
    SECRET(KEYS, KF_GP_MASTER, "master", "HEX", "the key that card keys are diversified from"),
    VALUE(KEYS, KF_GP_MASTER_FILE, "master-file", "FILE", "the same from a file"),
    VALUE(KEYS, KF_GP_DIVERSIFY, "diversify", "METHOD",
          "visa2, emv-cps, kdf3, none, or a line such as 'kdf3(kdd/hex/10,role)'"),
    {KEYS | NEW_KEYS, KEY_FIELD, "field", "NAME=VALUE", "a field of the line; several are possible"},
    VALUE(KEYS | ANSWER, KF_GP_SCP, "scp", "02|03[:I]",
          "refuse a card of another protocol; I, in hexadecimal, where the card does not tell it"),
    VALUE(KEYS, KF_GP_LEVEL, "level", "HEX", "security level, 00 to 33 (default: the card's best)"),
    VALUE(KEYS | ANSWER, KF_GP_KEY_VERSION, "key-version", "HEX", "default: the card chooses"),
    VALUE(LOAD, KF_GP_INSTALL, "install", NULL, "install the applet afterwards"),
    VALUE(LOAD, KF_GP_HASH, "hash", "NAME", "send the load file's hash: sha1, sha256, sha384, sha512"),
    VALUE(
        LOAD, KF_GP_BLOCK_SIZE, "block-size", "BYTES",
        "of LOAD (default: as much as fits a short command; more goes by extended ones, where the card says "
        "that it takes them)"),
    VALUE(LOAD, KF_GP_LOAD_PARAMETERS, "load-parameters", "HEX",
          "of INSTALL [for load], such as EF04C6020400"),
    VALUE(LOAD, KF_GP_DAP_DOMAIN, "dap-domain", "AID", "whose signature (DAP) goes with the load file"),
    VALUE(LOAD, KF_GP_DAP_SIGNATURE, "dap-signature", "HEX", "that signature over the hash (--hash), or"),
    VALUE(LOAD, KF_GP_DAP_KEY_FILE, "dap-key-file", "FILE", "the key to make it: PEM, or hexadecimal"),
    VALUE(AUTHORITY, KF_GP_TOKEN, "token", "HEX", "delegated management: the token of the one command, or"),
    VALUE(AUTHORITY, KF_GP_TOKEN_KEY_FILE, "token-key-file", "FILE",
          "the key to make it: PEM, or hexadecimal"),
    VALUE(AUTHORITY, KF_GP_RECEIPT_KEY_FILE, "receipt-key-file", "FILE",
          "check the card's receipt by this key"),
    VALUE(AUTHORITY, KF_GP_SIGNING_TYPE, "signing-type", "aes|3des",
          "of symmetric keys of 16 bytes for tokens, receipts and DAP (default: the channel's)"),
    VALUE(MOVE, KF_GP_TO, "to", "AID", "the new security domain"),
    VALUE(PACKAGE, KF_GP_PACKAGE, "package", "AID", "the loaded package"),
    VALUE(APPLET, KF_GP_APPLET, "applet", "AID",
          "the applet in the package (of a file: where it has several)"),
    VALUE(APPLET, KF_GP_INSTANCE, "instance", "AID", "the new application (default: the applet's)"),
    VALUE(DOMAIN_OPTIONS, KF_GP_PACKAGE, "package", "AID",
          "of the security domain's code (default: what cards usually have)"),
    VALUE(DOMAIN_OPTIONS, KF_GP_APPLET, "applet", "AID", "the module in it"),
    VALUE(DOMAIN_OPTIONS, KF_GP_DOMAIN_SCP, "domain-scp", "02|03:I",
          "the protocol it is to offer, such as 03:70"),
    VALUE(APPLET | DOMAIN_OPTIONS | REGISTRY, KF_GP_PRIVILEGES, "privileges", "HEX",
          "1 or 3 bytes (00; of a domain 80)"),
    SECRET(APPLET | DOMAIN_OPTIONS, KF_GP_PARAMETERS, "parameters", "HEX", "the value of C9"),
    SECRET(REGISTRY, KF_GP_PARAMETERS, "parameters", "HEX", "the whole field, such as EF04C8020400"),
    VALUE(APPLET, KF_GP_SYSTEM_PARAMETERS, "system-parameters", "HEX", "the value of EF"),
    VALUE(APPLET, KF_GP_NOT_SELECTABLE, "not-selectable", NULL, "install only; make-selectable follows"),
    SECRET(NEW_KEYS, KF_GP_NEW_KEY, "new-key", "HEX", "the new key, or ENC:MAC:DEK"),
    VALUE(NEW_KEYS, KF_GP_NEW_KEY_FILE, "new-key-file", "FILE", "the same from a file"),
    SECRET(NEW_KEYS, KF_GP_NEW_MASTER, "new-master", "HEX", "the key that the new keys are diversified from"),
    VALUE(NEW_KEYS, KF_GP_NEW_MASTER_FILE, "new-master-file", "FILE", "the same from a file"),
    VALUE(NEW_KEYS, KF_GP_NEW_DIVERSIFY, "new-diversify", "METHOD", "as --diversify"),
    VALUE(NEW_KEYS, KF_GP_NEW_VERSION, "new-version", "HEX", "01 to 7F"),
    VALUE(NEW_KEYS, KF_GP_NEW_TYPE, "new-type", "aes|3des", "default: the channel's"),
    VALUE(NEW_KEYS, KF_GP_REPLACE, "replace", "HEX",
          "the version to replace, which must be the one that opens the channel (default: add)"),
    VALUE(NEW_KEYS, KF_GP_DELETE_OLD, "delete-old", NULL,
          "when the new keys have opened a channel, delete the version that opened the first"),
    VALUE(NEW_KEYS, KF_GP_PLAIN_LENGTH, "plain-length", NULL, "AES keys as 88 10 ..., not 88 11 10 ..."),
    VALUE(DELETE, KF_GP_RELATED, "related", NULL, "of a package: its applications, too"),
    VALUE(DELETE, KF_GP_DELETED_VERSION, "keys", "HEX", "delete this key version"),
    VALUE(LOCK, KF_GP_CARD, "card", NULL, "the whole card"),
    VALUE(LOCK, KF_GP_WITH_APPLICATIONS, "with-applications", NULL,
          "of a security domain: all applications under it, too"),
    VALUE(STATE, KF_GP_STATE, "state", "STATE",
          "selectable, personalized, locked or two digits; of the card: initialized, secured, locked, "
          "terminated"),
    VALUE(STATE, KF_GP_CARD, "card", NULL, "the card's state"),
    VALUE(STATE, KF_GP_FORCE, "force", NULL, "needed for terminated, which cannot be undone"),
    SECRET(SINGLE_KEY, KF_GP_NEW_KEY, "new-key", "HEX", "the new key"),
    VALUE(SINGLE_KEY, KF_GP_NEW_KEY_FILE, "new-key-file", "FILE", "the same from a file"),
    VALUE(SINGLE_KEY, KF_GP_PUBLIC_KEY_FILE, "public-key-file", "FILE", "an RSA public key instead: PEM"),
    VALUE(SINGLE_KEY, KF_GP_NEW_VERSION, "new-version", "HEX",
          "70 tokens, 71 receipts, 73 DAP, 01 to 0F over the air"),
    VALUE(SINGLE_KEY, KF_GP_IDENTIFIER, "identifier", "HEX", "of the key (01)"),
    VALUE(SINGLE_KEY, KF_GP_NEW_TYPE, "new-type", "aes|3des", "default: the channel's"),
    VALUE(SINGLE_KEY, KF_GP_REPLACE, "replace", "HEX", "the version to replace (default: add)"),
    VALUE(SINGLE_KEY, KF_GP_PLAIN_LENGTH, "plain-length", NULL, "AES keys as 88 10 ..., not 88 11 10 ..."),
    SECRET(SIM, KF_GP_PIN, "pin", "DIGITS", "PIN1, verified first"),
    VALUE(SIM, KF_GP_PIN_FILE, "pin-file", "FILE", "the same from a file"),
    SECRET(SIM, KF_GP_ADM, "adm1", "HEX", "ADM1, 8 bytes in hexadecimal or digits, verified first"),
    VALUE(SIM, KF_GP_ADM_FILE, "adm1-file", "FILE", "the same from a file"),
    VALUE(SIM, KF_GP_FORCE, "force", NULL, "use the last try of a code"),
    VALUE(SIM, KF_GP_APPLICATION, "application", "AID",
          "the USIM whose files 7FFF/... are (default: of EF.DIR)"),
    VALUE(SIM_FILE, KF_GP_RECORD, "record", "NUMBER", "one record (default when reading: all)"),
    VALUE(SIM_FILE, KF_GP_OFFSET, "offset", "BYTES", "where in a file without records"),
    VALUE(SIM_FILE, KF_GP_AS_TEXT, "text", NULL,
          "the new content as a number or name, where its form is known"),
    VALUE(DATA, KF_GP_DATA_FILE, "file", "FILE", "the data in hexadecimal"),
    VALUE(DATA, KF_GP_FORMAT, "format", "none|dgi|tlv", "what the data is announced as (none)"),
    VALUE(DATA, KF_GP_FOR, "for", "AID", "the application that the security domain passes the data to"),
    {
        DATA,
        KEY_DGI,
        "dgi",
        "ID=HEX",
        "a data grouping; several are possible",
    },
    {DATA, KEY_ENCRYPTED_DGI, "encrypted-dgi", "ID=HEX", "the same, padded and encrypted under the DEK"},
    VALUE(ANSWER, KF_GP_ANSWER, "answer", "HEX", "an answer to INITIALIZE UPDATE; no card is asked"),
    VALUE(ANSWER, KF_GP_HOST_CHALLENGE, "host-challenge", "HEX", "what that INITIALIZE UPDATE carried"),
};
#define OPTION_ROWS (sizeof all_options / sizeof all_options[0])

static const char *name_of(kf_gp_option option)
{
    for (size_t i = 0; i < OPTION_ROWS; i++)
        if (all_options[i].key == KEY_VALUES + (int)option) return all_options[i].name;
    return "";
}

/* Takes the secret out of the list of processes. */
static kf_secret *take_secret(char *argument, const struct argp_state *state)
{
    kf_secret *secret = NULL;
    kf_code code = kf_secret_new(kf_view_of_text(argument), &secret);
    kf_wipe(argument, strlen(argument));
    if (code == KF_ERR_ARGUMENT) kf_cli_usage(state, "an option for a secret is empty or too long");
    if (code != KF_OK) kf_cli_usage(state, "a secret cannot be kept: %s", kf_code_meaning(code));
    return secret;
}

static void set_secret(kf_gp_options *options, int index, char *argument, const struct argp_state *state)
{
    kf_secret_free(&options->secrets[index]);
    options->secrets[index] = take_secret(argument, state);
}

static void add_field(kf_gp_options *options, const char *argument, const struct argp_state *state)
{
    const char *sign = strchr(argument, '=');
    if (sign == NULL || sign == argument)
        kf_cli_usage(state, "--field %.40s: NAME=VALUE is wanted", argument);
    if (options->field_count == KF_GP_FIELDS_MAX)
        kf_cli_usage(state, "at most %d fields are possible", KF_GP_FIELDS_MAX);
    char *text = strdup(argument);
    if (text == NULL) kf_cli_usage(state, "out of memory");
    size_t length = (size_t)(sign - argument);
    text[length] = '\0';
    options->field_texts[options->field_count] = text;
    options->fields[options->field_count++] = (kf_field){.name = text, .value = text + length + 1};
}

static void add_grouping(kf_gp_options *options, char *argument, bool encrypted,
                         const struct argp_state *state)
{
    if (options->grouping_count == KF_GP_GROUPINGS_MAX)
        kf_cli_usage(state, "at most %d data groupings are possible", KF_GP_GROUPINGS_MAX);
    options->groupings[options->grouping_count++] =
        (kf_gp_grouping){.text = take_secret(argument, state), .encrypted = encrypted};
}

static void add_word(kf_gp_options *options, char *argument, const struct argp_state *state)
{
    if (options->word_count == options->usage->words_max || options->word_count == KF_GP_WORDS_MAX)
        kf_cli_usage(state, "that is one word too many: %s",
                     options->usage->arguments == NULL ? "none is taken" : options->usage->arguments);
    if (options->usage->secret_words && argument[0] != '\0' && strlen(argument) <= KF_SECRET_MAX_SIZE)
        options->word_secrets[options->word_count] = take_secret(argument, state);
    options->words[options->word_count++] = argument;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    static const char given[] = "";
    kf_gp_options *options = state->input;
    if (key >= KEY_VALUES && key < KEY_VALUES + (int)KF_GP_OPTION_COUNT) {
        options->values[key - KEY_VALUES] = argument == NULL ? given : argument;
        return 0;
    }
    if (key >= KEY_SECRETS && key < KEY_SECRETS + (int)KF_GP_SECRET_COUNT) {
        set_secret(options, key - KEY_SECRETS, argument, state);
        return 0;
    }
    switch (key) {
    case KEY_FIELD: add_field(options, argument, state); return 0;
    case KEY_DGI: add_grouping(options, argument, false, state); return 0;
    case KEY_ENCRYPTED_DGI: add_grouping(options, argument, true, state); return 0;
    case ARGP_KEY_ARG: add_word(options, argument, state); return 0;
    case ARGP_KEY_END:
        if (options->word_count < options->usage->words_min)
            kf_cli_usage(state, "something is missing: %s", options->usage->arguments);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static bool is_byte(int key)
{
    static const int bytes[] = {KF_GP_LEVEL,   KF_GP_KEY_VERSION,     KF_GP_NEW_VERSION,
                                KF_GP_REPLACE, KF_GP_DELETED_VERSION, KF_GP_IDENTIFIER};
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
        if (key == KEY_VALUES + bytes[i]) return true;
    return false;
}

/* So that what was typed wrong is said before a card is asked. */
static kf_code check_values(const kf_gp_options *options, kf_error *error)
{
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const grouped_option *row = &all_options[i];
        int option = row->key - KEY_VALUES;
        bool given = option >= 0 && option < (int)KF_GP_OPTION_COUNT && options->values[option] != NULL;
        if (!given || row->argument == NULL || (row->groups & options->usage->groups) == 0) continue;
        KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
        kf_aid aid;
        uint8_t byte;
        if (strcmp(row->argument, "AID") == 0)
            KF_TRY(kf_gp_option_aid(options, (kf_gp_option)option, &aid, error));
        else if (is_byte(row->key))
            KF_TRY(kf_gp_option_byte(options, (kf_gp_option)option, 0, &byte, error));
        else if (strcmp(row->argument, "HEX") == 0)
            KF_TRY(kf_gp_option_bytes(options, (kf_gp_option)option, &bytes, error));
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    return kf_gp_secret_bytes(options, KF_GP_PARAMETERS, "parameters", &parameters, error);
}

kf_code kf_gp_parse(kf_cli *cli, const kf_gp_usage *usage, int argc, char **argv, kf_gp_options *ret_options,
                    kf_error *error)
{
    struct argp_option options[OPTION_ROWS + 1];
    memset(options, 0, sizeof options);
    size_t count = 0;
    for (size_t i = 0; i < OPTION_ROWS; i++) {
        const grouped_option *row = &all_options[i];
        if ((row->groups & usage->groups) == 0) continue;
        options[count++] = (struct argp_option){row->name, row->key, row->argument, 0, row->help, 1};
    }
    ret_options->cli = cli;
    ret_options->usage = usage;
    const struct argp argp = {options, parse, usage->arguments, usage->about, NULL, NULL, NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, ret_options, error));
    return check_values(ret_options, error);
}

void kf_gp_options_clear(kf_gp_options *options)
{
    for (size_t i = 0; i < KF_GP_SECRET_COUNT; i++)
        kf_secret_free(&options->secrets[i]);
    for (size_t i = 0; i < KF_GP_WORDS_MAX; i++)
        kf_secret_free(&options->word_secrets[i]);
    for (size_t i = 0; i < options->grouping_count; i++)
        kf_secret_free(&options->groupings[i].text);
    for (size_t i = 0; i < options->field_count; i++)
        free(options->field_texts[i]);
    memset(options, 0, sizeof *options);
}

kf_code kf_gp_option_byte(const kf_gp_options *options, kf_gp_option option, uint8_t fallback,
                          uint8_t *ret_value, kf_error *error)
{
    const char *text = options->values[option];
    uint8_t value = fallback;
    if (text != NULL && kf_hex_decode(text, &value, 1) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "--%s %.20s: two hexadecimal digits are wanted", name_of(option),
                       text);
    *ret_value = value;
    return KF_OK;
}

kf_code kf_gp_option_bytes(const kf_gp_options *options, kf_gp_option option, kf_buffer *bytes,
                           kf_error *error)
{
    const char *text = options->values[option];
    if (text == NULL || text[0] == '\0' || kf_hex_decode_append(text, bytes) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "--%s %.40s: hexadecimal digits are wanted, two a byte",
                   name_of(option), text);
}

kf_view kf_gp_word(const kf_gp_options *options, size_t index)
{
    if (index >= options->word_count) return kf_view_of(NULL, 0);
    const kf_secret *secret = options->word_secrets[index];
    return secret != NULL ? kf_secret_expose(secret) : kf_view_of_text(options->words[index]);
}

kf_code kf_gp_append_digits(kf_view text, kf_buffer *bytes)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer digits = KF_BUFFER_INIT;
    for (size_t i = 0; i < text.size; i++)
        if (!isspace(text.data[i])) kf_buffer_append_u8(&digits, text.data[i]);
    const char *shown = kf_buffer_text(&digits);
    if (shown == NULL) return KF_ERR_MEMORY;
    return kf_hex_decode_append(shown, bytes);
}

kf_code kf_gp_secret_bytes(const kf_gp_options *options, kf_gp_secret_option option, const char *name,
                           kf_buffer *bytes, kf_error *error)
{
    const kf_secret *text = options->secrets[option];
    if (text == NULL || kf_gp_append_digits(kf_secret_expose(text), bytes) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE,
                   "--%s: hexadecimal digits are wanted, two a byte; %zu characters came", name,
                   kf_secret_size(text));
}

kf_code kf_gp_aid_of_text(const char *text, const char *what, kf_aid *ret_aid, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = kf_buffer_with_limit(KF_AID_MAX);
    if (kf_hex_decode_append(text, &bytes) == KF_OK &&
        kf_aid_from_view(kf_buffer_view(&bytes), ret_aid) == KF_OK)
        return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "%s %.40s: an AID of 5 to 16 bytes in hexadecimal is wanted", what,
                   text);
}

kf_code kf_gp_option_aid(const kf_gp_options *options, kf_gp_option option, kf_aid *ret_aid, kf_error *error)
{
    if (options->values[option] == NULL) {
        memset(ret_aid, 0, sizeof *ret_aid);
        return KF_OK;
    }
    char what[64];
    (void)snprintf(what, sizeof what, "--%s", name_of(option));
    return kf_gp_aid_of_text(options->values[option], what, ret_aid, error);
}

kf_code kf_gp_option_number(const kf_gp_options *options, kf_gp_option option, unsigned long most,
                            unsigned long *ret_value, kf_error *error)
{
    const char *text = options->values[option];
    if (text == NULL) return KF_OK;
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || number == 0 || number > most)
        return kf_fail(error, KF_ERR_USAGE, "--%s %.20s: a number from 1 to %lu is wanted", name_of(option),
                       text, most);
    *ret_value = number;
    return KF_OK;
}
