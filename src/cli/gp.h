/* `keyfill gp`: GlobalPlatform card management for whoever has a card and its keys on the desk. Unlike the
 * other commands it talks to a reader itself, and to no unit. One file a subcommand or a small group; each
 * reads its options by kf_gp_parse and works through a session. */
#ifndef KEYFILL_CLI_GP_H
#define KEYFILL_CLI_GP_H

#include <jansson.h>

#include <keyfill/diversify.h>
#include <keyfill/globalplatform.h>
#include <keyfill/signature.h>

#include "cli/cli.h"
#include "reader/reader.h"

/* -- options -- */

/* Options with a value or, without one, flags. */
typedef enum kf_gp_option {
    KF_GP_READER,
    KF_GP_TIMEOUT,
    KF_GP_TRACE,
    KF_GP_AID,
    KF_GP_KEY_FILE,
    KF_GP_MASTER_FILE,
    KF_GP_DIVERSIFY,
    KF_GP_SCP,
    KF_GP_LEVEL,
    KF_GP_KEY_VERSION,
    KF_GP_INSTALL,
    KF_GP_HASH,
    KF_GP_BLOCK_SIZE,
    KF_GP_LOAD_PARAMETERS,
    KF_GP_DAP_DOMAIN,
    KF_GP_DAP_SIGNATURE,
    KF_GP_DAP_KEY_FILE,
    KF_GP_TOKEN,
    KF_GP_TOKEN_KEY_FILE,
    KF_GP_RECEIPT_KEY_FILE,
    KF_GP_SIGNING_TYPE,
    KF_GP_TO,
    KF_GP_DOMAIN_SCP,
    KF_GP_SYSTEM_PARAMETERS,
    KF_GP_NOT_SELECTABLE,
    KF_GP_STATE,
    KF_GP_FORCE,
    KF_GP_LOGICAL_CHANNEL,
    KF_GP_IDENTIFIER,
    KF_GP_PUBLIC_KEY_FILE,
    KF_GP_APPLICATION,
    KF_GP_RECORD,
    KF_GP_OFFSET,
    KF_GP_AS_TEXT,
    KF_GP_PIN_FILE,
    KF_GP_ADM_FILE,
    KF_GP_PACKAGE,
    KF_GP_APPLET,
    KF_GP_INSTANCE,
    KF_GP_PRIVILEGES,
    KF_GP_NEW_KEY_FILE,
    KF_GP_NEW_MASTER_FILE,
    KF_GP_NEW_DIVERSIFY,
    KF_GP_NEW_VERSION,
    KF_GP_NEW_TYPE,
    KF_GP_REPLACE,
    KF_GP_DELETE_OLD,
    KF_GP_PLAIN_LENGTH,
    KF_GP_RELATED,
    KF_GP_DELETED_VERSION,
    KF_GP_CARD,
    KF_GP_WITH_APPLICATIONS,
    KF_GP_DATA_FILE,
    KF_GP_FORMAT,
    KF_GP_FOR,
    KF_GP_ANSWER,
    KF_GP_HOST_CHALLENGE,
    KF_GP_OPTION_COUNT
} kf_gp_option;

/* Options that hold a secret: copied into locked memory and wiped from the command line. */
typedef enum kf_gp_secret_option {
    KF_GP_KEY,
    KF_GP_MASTER,
    KF_GP_NEW_KEY,
    KF_GP_NEW_MASTER,
    KF_GP_PARAMETERS,
    KF_GP_PIN,
    KF_GP_ADM,
    KF_GP_SECRET_COUNT
} kf_gp_secret_option;

/* Which groups of options a command takes. */
enum {
    KF_GP_OPTIONS_CARD = 1,
    KF_GP_OPTIONS_KEYS = 2,
    KF_GP_OPTIONS_LOAD = 4,
    KF_GP_OPTIONS_PACKAGE = 8,
    KF_GP_OPTIONS_APPLET = 16,
    KF_GP_OPTIONS_NEW_KEYS = 32,
    KF_GP_OPTIONS_DELETE = 64,
    KF_GP_OPTIONS_LOCK = 128,
    KF_GP_OPTIONS_DATA = 256,
    KF_GP_OPTIONS_ANSWER = 512,
    KF_GP_OPTIONS_AUTHORITY = 1024, /* tokens and receipts */
    KF_GP_OPTIONS_MOVE = 2048,
    KF_GP_OPTIONS_REGISTRY = 4096, /* privileges and parameters of what is there already */
    KF_GP_OPTIONS_DOMAIN = 8192,
    KF_GP_OPTIONS_STATE = 16384,
    KF_GP_OPTIONS_SINGLE_KEY = 32768,
    KF_GP_OPTIONS_SIM = 65536,
    KF_GP_OPTIONS_SIM_FILE = 131072,
};

#define KF_GP_FIELDS_MAX 16
#define KF_GP_GROUPINGS_MAX 64
#define KF_GP_WORDS_MAX 64

typedef struct kf_gp_usage {
    unsigned groups;
    const char *arguments; /* for the help; NULL: no words are taken */
    size_t words_min;
    size_t words_max;
    bool secret_words; /* data and commands: they go to `word_secrets` */
    const char *about;
} kf_gp_usage;

/* A data grouping as it was typed: "0070=5F50…". */
typedef struct kf_gp_grouping {
    kf_secret *text;
    bool encrypted;
} kf_gp_grouping;

/* Texts stand in argv. */
typedef struct kf_gp_options {
    kf_cli *cli;
    const kf_gp_usage *usage;
    const char *values[KF_GP_OPTION_COUNT]; /* NULL: not given */
    kf_secret *secrets[KF_GP_SECRET_COUNT];
    char *field_texts[KF_GP_FIELDS_MAX]; /* owned; the names end where the "=" stood */
    kf_field fields[KF_GP_FIELDS_MAX];
    size_t field_count;
    kf_gp_grouping groupings[KF_GP_GROUPINGS_MAX];
    size_t grouping_count;
    const char *words[KF_GP_WORDS_MAX];
    kf_secret *word_secrets[KF_GP_WORDS_MAX]; /* of usage->secret_words; the text in argv is wiped */
    size_t word_count;
} kf_gp_options;

/* `ret_options` comes zeroed; to be cleared after a failure, too. */
kf_code kf_gp_parse(kf_cli *cli, const kf_gp_usage *usage, int argc, char **argv, kf_gp_options *ret_options,
                    kf_error *error) KF_MUST_USE;
/* Wipes and frees. Fits KF_CLEANUP. */
void kf_gp_options_clear(kf_gp_options *options);

/* KF_ERR_USAGE with the option's name. Numbers of one byte in hexadecimal; `fallback` where not given. */
kf_code kf_gp_option_byte(const kf_gp_options *options, kf_gp_option option, uint8_t fallback,
                          uint8_t *ret_value, kf_error *error) KF_MUST_USE;
/* Appends the bytes; nothing where not given. */
kf_code kf_gp_option_bytes(const kf_gp_options *options, kf_gp_option option, kf_buffer *bytes,
                           kf_error *error) KF_MUST_USE;
/* The same of an option that holds a secret. */
kf_code kf_gp_secret_bytes(const kf_gp_options *options, kf_gp_secret_option option, const char *name,
                           kf_buffer *bytes, kf_error *error) KF_MUST_USE;
/* The word at `index`, wherever it is kept. */
kf_view kf_gp_word(const kf_gp_options *options, size_t index);
/* Digits with white space between. KF_ERR_MALFORMED. */
kf_code kf_gp_append_digits(kf_view text, kf_buffer *bytes) KF_MUST_USE;
/* An AID; empty where not given. */
kf_code kf_gp_option_aid(const kf_gp_options *options, kf_gp_option option, kf_aid *ret_aid,
                         kf_error *error) KF_MUST_USE;
/* `what` names it in the message. */
kf_code kf_gp_aid_of_text(const char *text, const char *what, kf_aid *ret_aid, kf_error *error) KF_MUST_USE;
/* A decimal number. */
kf_code kf_gp_option_number(const kf_gp_options *options, kf_gp_option option, unsigned long most,
                            unsigned long *ret_value, kf_error *error) KF_MUST_USE;

/* -- keys -- */

/* ENC, MAC and DEK. */
typedef struct kf_gp_keys {
    kf_secret *enc;
    kf_secret *mac;
    kf_secret *dek;
} kf_gp_keys;

/* Fits KF_CLEANUP. */
void kf_gp_keys_clear(kf_gp_keys *keys);
kf_key_set kf_gp_keys_view(const kf_gp_keys *keys);

/* Keys as the options describe them: the card's own, or a master key and how to diversify it. */
typedef struct kf_gp_key_source {
    kf_gp_keys base;
    kf_diversification *diversification; /* NULL: the card's own */
} kf_gp_key_source;

/* Fits KF_CLEANUP. */
void kf_gp_key_source_clear(kf_gp_key_source *source);
/* `fresh`: of the --new-… options. Leaves `ret_source` empty (no base keys) where none were given. */
kf_code kf_gp_key_source_read(const kf_gp_options *options, bool fresh, kf_gp_key_source *ret_source,
                              kf_error *error) KF_MUST_USE;
/* The keys for the card with that diversification data. */
kf_code kf_gp_key_source_resolve(const kf_gp_options *options, const kf_gp_key_source *source,
                                 kf_algorithm algorithm, kf_view diversification_data, kf_gp_keys *ret_keys,
                                 kf_error *error) KF_MUST_USE;
/* "AES-128, check values A1B2C3 A1B2C3 A1B2C3" */
kf_code kf_gp_keys_describe(const kf_gp_keys *keys, kf_algorithm algorithm, kf_buffer *text) KF_MUST_USE;

/* -- which keys fit an answer to INITIALIZE UPDATE -- */

typedef struct kf_gp_probe {
    kf_view host_challenge;
    kf_view answer;          /* with the status word */
    const kf_gp_keys *given; /* tried first, by every method; NULL: none */
} kf_gp_probe;

/* Tries the keys known to everyone, and those given, by every known method. Nothing is sent. The caller frees
 * `*ret_matches`: an array of {"key", "method", "check_value"}. */
kf_code kf_gp_identify_matches(const kf_gp_probe *probe, json_t **ret_matches, kf_error *error) KF_MUST_USE;
/* Appends "KEY by METHOD, KEY by METHOD", or that none fits. */
void kf_gp_identify_describe(const json_t *matches, kf_buffer *text);

/* -- a card -- */

typedef struct kf_gp_session {
    const kf_gp_options *options;
    kf_reader *reader;
    kf_answer_to_reset atr;
    unsigned timeout; /* milliseconds */
    bool trace;
    kf_aid security_domain; /* empty: the issuer's */
    kf_aid selected;        /* what the card says that is selected; empty where it does not tell */
    bool extended;          /* the card says that it takes extended lengths */
    unsigned logical_channel;
    uint8_t scp02_options; /* i, where told; else 0 */
    size_t challenge_size;
    kf_gp_key_source source;
    kf_secure_channel *channel; /* NULL: none is open */
} kf_gp_session;

typedef enum kf_gp_opening {
    KF_GP_CONNECT,      /* nothing is selected */
    KF_GP_SELECT_ONLY,  /* the security domain is selected, whether or not keys are given */
    KF_GP_SELECT,       /* the security domain is selected; a channel is opened where keys are given */
    KF_GP_AUTHENTICATE, /* a channel must be opened */
} kf_gp_opening;

kf_code kf_gp_session_open(const kf_gp_options *options, kf_gp_opening opening, kf_gp_session *ret_session,
                           kf_error *error) KF_MUST_USE;
/* Fits KF_CLEANUP, also for one that is all zeros. */
void kf_gp_session_close(kf_gp_session *session);

/* Selects the security domain; a channel that was open ends. */
kf_code kf_gp_session_select(kf_gp_session *session, kf_error *error) KF_MUST_USE;
/* INITIALIZE UPDATE; `ret_challenge` has session->challenge_size bytes. Appends the answer. */
kf_code kf_gp_session_begin(kf_gp_session *session, uint8_t key_version,
                            uint8_t ret_challenge[KF_CHALLENGE_MAX], kf_buffer *response,
                            kf_error *error) KF_MUST_USE;

typedef struct kf_gp_authentication {
    const kf_gp_key_source *source;
    kf_algorithm algorithm; /* of diversification; 0: that of the card's protocol */
    uint8_t key_version;    /* 00: the card chooses */
    bool any_protocol;      /* --scp is not looked at */
} kf_gp_authentication;
/* One INITIALIZE UPDATE, and EXTERNAL AUTHENTICATE if and only if the card cryptogram is right; else
 * KF_ERR_CRYPTOGRAM says which known keys would have been. */
kf_code kf_gp_session_authenticate(kf_gp_session *session, const kf_gp_authentication *authentication,
                                   kf_error *error) KF_MUST_USE;

typedef struct kf_gp_message {
    const char *label;   /* for the trace and for errors */
    kf_view command;     /* plain */
    const char *instead; /* what the trace shows in place of the data; NULL: what the instruction allows */
} kf_gp_message;

/* Sends through the channel, if there is one. Appends the plain data. */
kf_code kf_gp_send(kf_gp_session *session, const kf_gp_message *message, kf_buffer *data,
                   uint16_t *ret_status_word, kf_error *error) KF_MUST_USE;
/* The same; KF_ERR_STATUS_WORD for another status word than 9000. `data` may be NULL. */
kf_code kf_gp_send_expecting_success(kf_gp_session *session, const kf_gp_message *message, kf_buffer *data,
                                     kf_error *error) KF_MUST_USE;
/* The same for each command of a list. */
kf_code kf_gp_send_all(kf_gp_session *session, const char *label, const kf_command_list *commands,
                       kf_error *error) KF_MUST_USE;
/* The most data bytes of a plain command. */
size_t kf_gp_session_data_max(const kf_gp_session *session);

/* The same for extended commands; 0 where the card, the transmission or the channel does not take them. */
size_t kf_gp_session_extended_max(const kf_gp_session *session);

/* -- delegated management -- */

/* What signs or checks: a symmetric key, or a private one. */
typedef struct kf_gp_signer {
    kf_secret *key;
    kf_private_key *private_key;
} kf_gp_signer;
/* Fits KF_CLEANUP. */
void kf_gp_signer_clear(kf_gp_signer *signer);
/* PEM, or a key in hexadecimal. Leaves `ret_signer` empty where the option was not given. */
kf_code kf_gp_signer_read(const kf_gp_options *options, kf_gp_option option, kf_gp_signer *ret_signer,
                          kf_error *error) KF_MUST_USE;
/* By the key's kind; for symmetric keys of 16 bytes --signing-type decides, else the channel's protocol. */
kf_code kf_gp_sign(const kf_gp_session *session, const kf_gp_signer *signer, kf_view input,
                   kf_buffer *signature, kf_error *error) KF_MUST_USE;

typedef struct kf_gp_managed {
    const char *label;
    kf_gp_install_form form; /* without token */
    const kf_view *receipt_aids;
    size_t receipt_aid_count; /* 0: no receipt comes with the answer */
} kf_gp_managed;
/* Appends the token that the options give for that command without one; nothing where they give none. */
kf_code kf_gp_token_for(const kf_gp_session *session, kf_view apdu, kf_buffer *token,
                        kf_error *error) KF_MUST_USE;
/* INSTALL with the token that the options give, in as many commands as it takes; its receipt is checked. */
kf_code kf_gp_send_install(kf_gp_session *session, const kf_gp_managed *managed, kf_error *error) KF_MUST_USE;
/* Checks a receipt where --receipt-key-file was given; `aids` as for kf_gp_receipt_verify. */
kf_code kf_gp_check_receipt(const kf_gp_session *session, kf_view answer, const kf_view *aids, size_t count,
                            kf_error *error) KF_MUST_USE;
/* The domain that has the channel: as selected, else as --aid says. */
kf_view kf_gp_present_domain(const kf_gp_session *session);

/* What is to be installed, as the options say. */
typedef struct kf_gp_installation {
    kf_aid package;
    kf_aid applet;
    kf_aid instance;
    const kf_buffer *privileges; /* NULL: as --privileges says */
    const kf_buffer *parameters; /* the value of C9; NULL: as --parameters says */
} kf_gp_installation;
kf_code kf_gp_install_applet(kf_gp_session *session, const kf_gp_installation *what,
                             kf_error *error) KF_MUST_USE;

/* Appends what the trace shows of a command: its header and data, or `***` and their length where the
 * instruction carries secrets, or `instead` where it is not NULL. */
void kf_gp_trace_command(kf_view command, const char *instead, kf_buffer *text);
/* Appends what the trace shows of the answer to that command: its data, or `***` and their length where they
 * hold session keys, and the status word explained. */
void kf_gp_trace_answer(kf_view command, kf_view data, uint16_t status_word, kf_buffer *text);

/* One line of a script, which is altered: appends the command, nothing where the line is empty or a comment;
 * `ret_patterns` (in `line`, or static) are the status words to go on with. KF_ERR_USAGE for what is no
 * command. */
kf_code kf_gp_script_line(char *line, kf_buffer *command, const char **ret_patterns,
                          kf_error *error) KF_MUST_USE;
/* Patterns such as "9000,61xx": x is any digit. */
bool kf_gp_status_word_fits(uint16_t status_word, const char *patterns);

/* -- printing -- */

/* {"text"-less} JSON, or `text` as a line: what a command that only acts has to say. Takes `answer` over. */
kf_code kf_gp_print(const kf_gp_options *options, json_t *answer, const char *text,
                    kf_error *error) KF_MUST_USE;
/* {"done": act, "aid": …}, or "act: AID". */
kf_code kf_gp_print_aid(const kf_gp_options *options, const char *act, kf_view aid,
                        kf_error *error) KF_MUST_USE;

/* -- subcommands -- */

#define KF_GP_COMMANDS(X)                                                                                    \
    X(info, "info", "ATR, life cycle data, recognition data, keys and capabilities")                         \
    X(list, "list", "security domains, applications and load files")                                         \
    X(identify, "identify", "which known keys and methods fit a card")                                       \
    X(cap, "cap", "what a CAP file holds and needs; no card is asked")                                       \
    X(load, "load", "load a CAP file, and install its applet if asked")                                      \
    X(install, "install", "install an applet of a loaded package")                                           \
    X(make_selectable, "make-selectable", "make an installed application selectable")                        \
    X(create_domain, "create-domain", "install a security domain")                                           \
    X(extradite, "extradite", "put an application or package under another security domain")                 \
    X(update, "update", "change privileges, parameters or domain of an application")                         \
    X(delete, "delete", "delete an application, a package or a key version")                                 \
    X(put_key, "put-key", "add or replace a key set, and prove it")                                          \
    X(put_other_key, "put-other-key", "add or replace one key that opens no channel")                        \
    X(store_data, "store-data", "send personalisation data")                                                 \
    X(lock, "lock", "lock an application or the card")                                                       \
    X(unlock, "unlock", "unlock an application or the card")                                                 \
    X(set_state, "set-state", "another life cycle state for an application or the card")                     \
    X(sim, "sim", "read and write the files of a SIM")                                                       \
    X(apdu, "apdu", "send commands, through the channel if keys are given")                                  \
    X(script, "script", "send the commands of a file")

#define KF_GP_DECLARE(name, text, help) kf_code kf_gp_run_##name(kf_cli *, int, char **, kf_error *);
KF_GP_COMMANDS(KF_GP_DECLARE)
#undef KF_GP_DECLARE

#endif
