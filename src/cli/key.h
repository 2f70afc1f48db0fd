/* `keyfill key`: what its files share. */
#ifndef KEYFILL_CLI_KEY_H
#define KEYFILL_CLI_KEY_H

#include "cli/proposal.h"
#include "crypto/shamir.h"

#define KF_CLI_PROFILES_MAX KF_KEY_PROFILES_MAX

/* What the options of all key commands said; absent ones are NULL, 0 or false. */
typedef struct kf_cli_key_options {
    const char *word; /* a file, or the name of a pair of units */
    const char *word_name;
    const char *purpose;
    const char *category;
    const char *algorithm;
    const char *state;
    const char *diversification;
    const char *least_channel;
    const char *refill;
    const char *profiles[KF_CLI_PROFILES_MAX];
    size_t profile_count;
    long version;
    long size;
    long least_level;
    long valid_from;
    long valid_until;
    bool clear_at_terminal;
    bool not_exportable;
    bool key_blocks;
    const char *component_files[KF_KEY_COMPONENTS_MAX];
    size_t component_file_count;
    long components;
    long first;
    const char *import_id;
    const char *passphrase_file;
    const char *url;
    const char *pair;
    bool disabled;
    const char *kcv;
    bool guided;
    long shares;
    long threshold;
    bool from_shares;
    const char *share_files[KF_SHAMIR_SHARES_MAX];
    size_t share_file_count;
    kf_cli_officer_options officer;
} kf_cli_key_options;

/* Which groups of options a command takes. */
enum {
    KF_CLI_KEY_TARGET = 1,         /* --purpose --category --version */
    KF_CLI_KEY_NEW = 2,            /* --algorithm, --size, policy, validity */
    KF_CLI_KEY_COMPONENTS = 4,     /* --components --component-file --import --first */
    KF_CLI_KEY_PASSPHRASE = 8,     /* --passphrase-file */
    KF_CLI_KEY_UNIT = 16,          /* --url --pair --disabled */
    KF_CLI_KEY_VALIDITY = 32,      /* --valid-until */
    KF_CLI_KEY_OFFICER = 64,       /* --officer-key --officer-passphrase-file --officer */
    KF_CLI_KEY_KCV = 128,          /* --kcv */
    KF_CLI_KEY_PAIR = 256,         /* --pair */
    KF_CLI_KEY_SHARES = 512,       /* --shares --threshold */
    KF_CLI_KEY_PARTS = 2048,       /* --components --import --first */
    KF_CLI_KEY_SHARE_FILES = 1024, /* --from-shares --share-file */
    KF_CLI_KEY_TRANSPORT = 4096,   /* --key-blocks */
    KF_CLI_KEY_GUIDED = 8192,      /* --guided */
};

typedef struct kf_cli_key_usage {
    unsigned groups;
    const char *word_name; /* "FILE", "PAIR"; NULL: none is taken */
    const char *about;
} kf_cli_key_usage;

kf_code kf_cli_key_parse(kf_cli *cli, const kf_cli_key_usage *usage, int argc, char **argv,
                         kf_cli_key_options *ret_options, kf_error *error) KF_MUST_USE;

/* {"act", "purpose", "category", …}: the body of POST /v1/keys as far as the options say. The caller frees.
 */
kf_code kf_cli_key_body(const kf_cli_key_options *options, const char *act, json_t **ret_body,
                        kf_error *error) KF_MUST_USE;
kf_code kf_cli_key_post(const kf_cli *cli, const json_t *body, json_t **ret_answer,
                        kf_error *error) KF_MUST_USE;
/* GET /v1/keys; the answer has an array "keys". */
kf_code kf_cli_key_fetch(const kf_cli *cli, json_t **ret_answer, kf_error *error) KF_MUST_USE;

/* Does an act of POST /v1/keys, or, where an officer's key is named, proposes it; prints what came of it. */
kf_code kf_cli_key_run_act(kf_cli *cli, const kf_cli_key_options *options, const char *act,
                           kf_error *error) KF_MUST_USE;
/* The act of a body as kf_cli_key_body makes it; `sealed` owns what it views. Where it is about a key that is
 * there, version and KCV are settled by what the unit lists, so that the officers sign for that very key. */
kf_code kf_cli_key_act_of(const kf_cli *cli, const kf_cli_key_options *options, const json_t *body,
                          kf_buffer *sealed, kf_proposal_act *ret_act, kf_error *error) KF_MUST_USE;
kf_code kf_cli_key_backup(kf_cli *cli, int argc, char **argv, kf_error *error);
kf_code kf_cli_key_restore(kf_cli *cli, int argc, char **argv, kf_error *error);
kf_code kf_cli_key_export(kf_cli *cli, int argc, char **argv, kf_error *error);

/* One line for a key. */
void kf_cli_key_print_line(const json_t *key);
/* The key of an answer, or JSON. */
kf_code kf_cli_key_print(const kf_cli *cli, const json_t *answer, kf_error *error) KF_MUST_USE;

/* The vault's public key: as pinned in the configuration, which must be what the unit says; without a pin
 * what the unit says, with a warning. */
kf_code kf_cli_key_box(const kf_cli *cli, uint8_t ret_public[KF_BOX_PUBLIC_SIZE],
                       kf_error *error) KF_MUST_USE;

/* A line of a file ("-": of standard input), or typed at the terminal without being shown. `what` names it in
 * the prompt and in messages. */
kf_code kf_cli_secret_line(const char *path, const char *what, kf_secret **ret_line,
                           kf_error *error) KF_MUST_USE;
/* The same, hexadecimal digits with or without spaces between: exactly `size` bytes. */
kf_code kf_cli_secret_component(const char *path, const char *what, size_t size, kf_secret **ret_component,
                                kf_error *error) KF_MUST_USE;

/* The ceremony at the screen; asks for what the options leave open. */
kf_code kf_cli_key_guided(const kf_cli *cli, kf_cli_key_options *options, kf_error *error) KF_MUST_USE;
kf_code kf_cli_key_import(kf_cli *cli, int argc, char **argv, kf_error *error);
kf_code kf_cli_key_transport(kf_cli *cli, int argc, char **argv, kf_error *error);

#endif
