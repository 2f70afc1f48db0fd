/* keyfill-softcard: makes, runs and shows simulated cards. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "softcard/blueprint.h"
#include "softcard/control.h"
#include "softcard/run.h"
#include "softcard/state_file.h"

const char *argp_program_version = "keyfill-softcard 0.1.0";

enum {
    OPTION_STATE = 's',
    OPTION_CONFIG = 'c',
    OPTION_VPCD = 0x100,
    OPTION_SOCKET,
    OPTION_CONTROL,
    OPTION_TEAR,
    OPTION_ICCID,
    OPTION_IMSI,
    OPTION_MSISDN,
    OPTION_PIN1,
    OPTION_ADM1,
    OPTION_KDD,
    OPTION_PERSONALITY,
    OPTION_SCP,
    OPTION_CPLC,
    OPTION_ATR,
    OPTION_PARAMETER,
    OPTION_ISD_KEY,
    OPTION_ISD_KEY_VERSION,
    OPTION_TEST_KEYS,
    OPTION_FORCE,
    OPTION_LOG_LEVEL,
};

static const struct argp_option options[] = {
    {"state", OPTION_STATE, "FILE", 0, "where the card keeps what it holds", 1},
    {"log-level", OPTION_LOG_LEVEL, "LEVEL", 0, "error, warning, info or debug", 1},
    {NULL, 0, NULL, 0, "create:", 2},
    {"config", OPTION_CONFIG, "FILE", 0, "the card to make, in YAML", 2},
    {"iccid", OPTION_ICCID, "DIGITS", 0, "EF.ICCID (8988211000000000015)", 2},
    {"imsi", OPTION_IMSI, "DIGITS", 0, "EF.IMSI (001010000000001)", 2},
    {"msisdn", OPTION_MSISDN, "DIGITS", 0, "EF.MSISDN; empty: a card without a number", 2},
    {"pin1", OPTION_PIN1, "CODE", 0, "PIN1 (1234)", 2},
    {"adm1", OPTION_ADM1, "CODE", 0, "ADM1, text or 16 hexadecimal digits (88888888)", 2},
    {"kdd", OPTION_KDD, "HEX", 0, "key diversification data, 10 bytes (made of the ICCID)", 2},
    {"cplc", OPTION_CPLC, "HEX", 0, "card production life cycle data, 42 bytes", 2},
    {"atr", OPTION_ATR, "HEX", 0, "answer to reset (one of T=1)", 2},
    {"personality", OPTION_PERSONALITY, "NAME", 0,
     "what the file leaves open: usual, jcop, scp02-i15, scp02-i55, scp02-to-scp03, scp03-i00, scp03-s16, "
     "counts-unfinished, sim",
     2},
    {"scp", OPTION_SCP, "02|03|02+03", 0, "secure channel protocols", 2},
    {"scp03-i", OPTION_PARAMETER, "HEX", 0, "parameter i of SCP03 (70), or of SCP02 where it is alone", 2},
    {"isd-key", OPTION_ISD_KEY, "ENC:MAC:DEK", 0, "keys of the issuer security domain", 2},
    {"isd-key-version", OPTION_ISD_KEY_VERSION, "HEX", 0, "their version (01)", 2},
    {"published-test-keys", OPTION_TEST_KEYS, NULL, 0, "404142…4F as those keys: for development", 2},
    {"force", OPTION_FORCE, NULL, 0, "replace a card that is there", 2},
    {NULL, 0, NULL, 0, "run:", 3},
    {"vpcd", OPTION_VPCD, "HOST:PORT", 0, "put the card into vpcd's reader", 3},
    {"socket", OPTION_SOCKET, "PATH", 0, "wait for a reader on a local socket", 3},
    {"control", OPTION_CONTROL, "PATH", 0,
     "take lines there: tear N before|after, remove, insert, show, quit", 3},
    {"tear", OPTION_TEAR, "N:before|after", 0, "lose power at the Nth command", 3},
    {0},
};

typedef struct program_arguments {
    const char *command;
    const char *state;
    const char *config;
    const char *tear;
    const char *values[OPTION_LOG_LEVEL - OPTION_ICCID];
    bool published_test_keys;
    bool force;
    softcard_attachment attachment;
    kf_log_level log_level;
} program_arguments;

static const char *value_of(const program_arguments *arguments, int option)
{
    return arguments->values[option - OPTION_ICCID];
}

static error_t take_option(int key, char *value, struct argp_state *state)
{
    program_arguments *arguments = state->input;
    switch (key) {
    case OPTION_STATE: arguments->state = value; return 0;
    case OPTION_CONFIG: arguments->config = value; return 0;
    case OPTION_VPCD: arguments->attachment.vpcd = value; return 0;
    case OPTION_SOCKET: arguments->attachment.socket = value; return 0;
    case OPTION_CONTROL: arguments->attachment.control = value; return 0;
    case OPTION_TEAR: arguments->tear = value; return 0;
    case OPTION_TEST_KEYS: arguments->published_test_keys = true; return 0;
    case OPTION_FORCE: arguments->force = true; return 0;
    case OPTION_LOG_LEVEL:
        if (kf_log_level_from_name(value, &arguments->log_level) != KF_OK)
            argp_error(state, "\"%s\" is none of error, warning, info, debug", value);
        return 0;
    case ARGP_KEY_ARG:
        if (arguments->command != NULL) argp_error(state, "one command, not also \"%s\"", value);
        arguments->command = value;
        return 0;
    case ARGP_KEY_END:
        if (arguments->command == NULL) argp_error(state, "which command? create, run or show");
        if (arguments->state == NULL) argp_error(state, "--state FILE is missing");
        return 0;
    default:
        if (key < OPTION_ICCID || key >= OPTION_TEST_KEYS) return ARGP_ERR_UNKNOWN;
        arguments->values[key - OPTION_ICCID] = value;
        return 0;
    }
}

/* What flags say goes before what the file says. */
static kf_code apply_flags(const program_arguments *arguments, softcard_blueprint *blueprint)
{
    const struct {
        int option;
        char **place;
    } flags[] = {
        {OPTION_ICCID, &blueprint->iccid},         {OPTION_IMSI, &blueprint->imsi},
        {OPTION_MSISDN, &blueprint->msisdn},       {OPTION_PIN1, &blueprint->pin1},
        {OPTION_ADM1, &blueprint->adm1},           {OPTION_KDD, &blueprint->kdd},
        {OPTION_CPLC, &blueprint->cplc},           {OPTION_ATR, &blueprint->atr},
        {OPTION_PARAMETER, &blueprint->parameter}, {OPTION_PERSONALITY, &blueprint->personality},
        {OPTION_SCP, &blueprint->protocol},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const char *value = value_of(arguments, flags[i].option);
        if (value != NULL) KF_TRY(softcard_blueprint_set(flags[i].place, value));
    }
    const char *keys = value_of(arguments, OPTION_ISD_KEY);
    const char *version = value_of(arguments, OPTION_ISD_KEY_VERSION);
    if (keys == NULL && version == NULL && !arguments->published_test_keys) return KF_OK;
    if (blueprint->issuer == NULL) blueprint->issuer = calloc(1, sizeof *blueprint->issuer);
    if (blueprint->issuer == NULL) return KF_ERR_MEMORY;
    if (version != NULL) KF_TRY(softcard_blueprint_set(&blueprint->issuer->key_version, version));
    if (keys != NULL) KF_TRY(softcard_blueprint_set(&blueprint->issuer->keys, keys));
    if (arguments->published_test_keys) blueprint->issuer->published_test_keys = true;
    return KF_OK;
}

static kf_code create(const program_arguments *arguments, kf_error *error)
{
    KF_CLEANUP(softcard_blueprint_free) softcard_blueprint *blueprint = NULL;
    KF_CLEANUP(softcard_state_free) softcard_state *state = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = kf_buffer_with_limit(SOFTCARD_STATE_MAX);
    softcard_state_file file = {arguments->state, -1};
    if (!arguments->force && access(arguments->state, F_OK) == 0)
        return kf_fail(error, KF_ERR_USAGE, "%s: a card is there; --force replaces it", arguments->state);
    if (arguments->config != NULL)
        KF_TRY(softcard_blueprint_read(arguments->config, &blueprint, error));
    else
        KF_TRY(kf_fail_plain(error, softcard_blueprint_new(&blueprint)));
    KF_TRY(kf_fail_plain(error, apply_flags(arguments, blueprint)));
    KF_TRY(softcard_provision(blueprint, &state, error));
    KF_TRY(kf_fail_plain(error, softcard_state_write(state, &bytes)));
    KF_TRY(softcard_state_file_lock(&file, error));
    kf_code code = softcard_state_file_write(arguments->state, kf_buffer_view(&bytes), error);
    softcard_state_file_unlock(&file);
    return code;
}

static kf_code run(const program_arguments *arguments, kf_error *error)
{
    KF_CLEANUP(softcard_free) softcard *card = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(softcard_state_file_unlock) softcard_state_file file = {arguments->state, -1};
    if ((arguments->attachment.vpcd == NULL) == (arguments->attachment.socket == NULL))
        return kf_fail(error, KF_ERR_USAGE, "run: exactly one of --vpcd HOST:PORT and --socket PATH");
    KF_TRY(softcard_state_file_lock(&file, error));
    KF_TRY(softcard_state_file_read(file.path, &bytes, error));
    KF_TRY(softcard_open(kf_buffer_view(&bytes), softcard_state_file_environment(&file), &card, error));
    if (arguments->tear != NULL) {
        uint64_t number;
        bool after;
        KF_TRY(softcard_tear_parse(arguments->tear, &number, &after, error));
        softcard_tear(card, number, after);
    }
    return softcard_run(card, &arguments->attachment, error);
}

static kf_code show(const program_arguments *arguments, kf_error *error)
{
    KF_CLEANUP(softcard_free) softcard *card = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    softcard_state_file file = {arguments->state, -1};
    KF_TRY(softcard_state_file_read(file.path, &bytes, error));
    KF_TRY(softcard_open(kf_buffer_view(&bytes), softcard_state_file_environment(&file), &card, error));
    KF_TRY(kf_fail_plain(error, softcard_show(card, &text)));
    if (fwrite(text.data, 1, text.size, stdout) != text.size || fflush(stdout) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "the output cannot be written");
    return KF_OK;
}

int main(int argument_count, char **argument_values)
{
    static const struct argp parser = {options,
                                       take_option,
                                       "create|run|show",
                                       "A smart card in software.\v"
                                       "Exit status: 0 done, 2 wrong arguments or files, 70 a fault.",
                                       NULL,
                                       NULL,
                                       NULL};
    program_arguments arguments = {.log_level = KF_LOG_INFO};
    argp_err_exit_status = KF_EXIT_USAGE;
    argp_parse(&parser, argument_count, argument_values, 0, NULL, &arguments);
    kf_log_start("keyfill-softcard", arguments.log_level);
    if (prctl(PR_SET_DUMPABLE, 0) != 0) return KF_EXIT_INTERNAL;
    kf_error error = {0};
    kf_code code;
    if (strcmp(arguments.command, "create") == 0)
        code = create(&arguments, &error);
    else if (strcmp(arguments.command, "run") == 0)
        code = run(&arguments, &error);
    else if (strcmp(arguments.command, "show") == 0)
        code = show(&arguments, &error);
    else
        code = kf_fail(&error, KF_ERR_USAGE, "\"%s\" is none of create, run, show", arguments.command);
    if (code != KF_OK) kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    return kf_code_exit_status(code);
}
