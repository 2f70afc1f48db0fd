/* Commands of the GlobalPlatform Card Specification 2.3.1, §11, as plain APDUs to be wrapped
 * (secure_channel.h), and what cards answer to them.
 *
 * Every builder appends one short command to `apdu`, with Le = 00 where an answer may come. KF_ERR_ARGUMENT
 * for a value that the field cannot hold, KF_ERR_TOO_LONG where the data exceeds 255 bytes; nothing is
 * appended then. What fits once it is wrapped: kf_secure_channel_plain_max.
 */
#ifndef KEYFILL_GLOBALPLATFORM_H
#define KEYFILL_GLOBALPLATFORM_H

#include <keyfill/kcv.h>
#include <keyfill/secure_channel.h>

#define KF_AID_MIN 5  /* bytes (ISO/IEC 7816-5) */
#define KF_AID_MAX 16 /* bytes */

/* An AID kept by value. */
typedef struct kf_aid {
    uint8_t bytes[KF_AID_MAX];
    size_t size;
} kf_aid;

/* KF_ERR_CARD_DATA unless 5 to 16 bytes. */
kf_code kf_aid_from_view(kf_view bytes, kf_aid *ret_aid) KF_MUST_USE;
/* The AID's bytes, valid as long as `aid`. */
kf_view kf_aid_view(const kf_aid *aid);

/* -- selecting, opening, reading -- */

/* SELECT by name, first occurrence (§11.9); an empty AID selects the issuer security domain. */
kf_code kf_gp_select(kf_view aid, kf_buffer *apdu) KF_MUST_USE;
/* SELECT by name, next occurrence (P2 = 02): the next application whose AID begins with `aid`. */
kf_code kf_gp_select_next(kf_view aid, kf_buffer *apdu) KF_MUST_USE;
/* `host_challenge`: 8 bytes (SCP03 S16: 16). `key_version` 00: the card chooses (Amendment D 7.1.1). */
kf_code kf_gp_initialize_update(uint8_t key_version, kf_view host_challenge, kf_buffer *apdu) KF_MUST_USE;
/* GET DATA (§11.3) for a tag of one or two bytes: 9F7F CPLC, 66, 67, E0, 42, 45, CF, C1. */
kf_code kf_gp_get_data(uint16_t tag, kf_buffer *apdu) KF_MUST_USE;

/* P1 of GET STATUS and SET STATUS (tables 11-33, 11-87). */
typedef enum kf_gp_scope {
    KF_GP_ISSUER_SECURITY_DOMAIN = 0x80,
    KF_GP_APPLICATIONS = 0x40, /* and supplementary security domains */
    KF_GP_LOAD_FILES = 0x20,
    KF_GP_LOAD_FILES_AND_MODULES = 0x10,
} kf_gp_scope;

/* GET STATUS (§11.4), answers in TLV. `aid`: empty for all, or the beginning of an AID. `next`: what follows
 * an answer that ended with 6310. */
kf_code kf_gp_get_status(kf_gp_scope scope, kf_view aid, bool next, kf_buffer *apdu) KF_MUST_USE;
/* SET STATUS (§11.10). `scope`: KF_GP_ISSUER_SECURITY_DOMAIN for the card's life cycle, KF_GP_APPLICATIONS
 * for an application or security domain. */
kf_code kf_gp_set_status(kf_gp_scope scope, uint8_t state, kf_view aid, kf_buffer *apdu) KF_MUST_USE;

/* SET STATUS (table 11-87, P1 = 60): a security domain and all applications under it, locked or unlocked. */
kf_code kf_gp_set_status_with_applications(kf_view security_domain_aid, bool locked,
                                           kf_buffer *apdu) KF_MUST_USE;
/* SET STATUS that locks an application or security domain, or gives it back the state from before. */
kf_code kf_gp_set_locked(kf_view aid, bool locked, kf_buffer *apdu) KF_MUST_USE;
/* GET STATUS with answers in the older form without tags (P2 = 00, GP 2.1.1; 01: what follows). */
kf_code kf_gp_get_status_older(kf_gp_scope scope, kf_view aid, bool next, kf_buffer *apdu) KF_MUST_USE;
/* GET DATA 2F00 (§11.3.3): the applications under the selected security domain. */
kf_code kf_gp_get_applications(kf_buffer *apdu) KF_MUST_USE;

/* -- content: INSTALL, LOAD, DELETE (§11.5, 11.6, 11.2) -- */

/* P1 of INSTALL (table 11-42); they may be combined where the table allows it. */
#define KF_GP_INSTALL_LOAD 0x02u
#define KF_GP_INSTALL_INSTALL 0x04u
#define KF_GP_INSTALL_MAKE_SELECTABLE 0x08u
#define KF_GP_INSTALL_EXTRADITION 0x10u
#define KF_GP_INSTALL_PERSONALIZATION 0x20u
#define KF_GP_INSTALL_REGISTRY_UPDATE 0x40u

/* P2 of INSTALL: one process for load, install and make selectable (table 11-43). */
typedef enum kf_gp_install_process {
    KF_GP_PROCESS_NONE = 0x00,
    KF_GP_PROCESS_BEGIN = 0x01, /* the INSTALL before LOAD */
    KF_GP_PROCESS_END = 0x03,   /* the INSTALL after it */
} kf_gp_install_process;

/* Any INSTALL as its fields: load file AID, security domain AID, hash, parameters (load, five with the
 * token); or load file AID, module AID, application AID, privileges, parameters (the others, six with the
 * token; extradition and registry update have the domain in the first and nothing in the second). */
#define KF_GP_INSTALL_FIELDS_MAX 5
typedef struct kf_gp_install_form {
    uint8_t purpose; /* P1 */
    kf_gp_install_process process;
    kf_view fields[KF_GP_INSTALL_FIELDS_MAX];
    size_t field_count; /* 4 or 5, the token not counted */
    kf_view token;      /* empty: none */
} kf_gp_install_form;
/* One command; extended where `extended`, else KF_ERR_TOO_LONG past 255 bytes. */
kf_code kf_gp_install_command(const kf_gp_install_form *form, bool extended, kf_buffer *apdu) KF_MUST_USE;
/* As many short commands of up to `data_max` bytes as it takes, P1 bit 8 on all but the last (§11.5.2.1). */
kf_code kf_gp_install_commands(const kf_gp_install_form *form, size_t data_max,
                               kf_command_list *commands) KF_MUST_USE;

/* INSTALL [for load] (§11.5.2.3.1). */
typedef struct kf_gp_install_load {
    kf_view load_file_aid;
    kf_view security_domain_aid; /* empty: the one that receives the command */
    kf_view hash;                /* of the load file data block; empty: none */
    kf_view parameters;          /* the content of the load parameters field, TLV; may be empty */
    kf_view token;               /* empty: none */
} kf_gp_install_load;
kf_code kf_gp_install_for_load(const kf_gp_install_load *install, kf_buffer *apdu) KF_MUST_USE;

/* Privileges, first byte (table 11-7). */
#define KF_GP_PRIVILEGE_SECURITY_DOMAIN 0x80u
#define KF_GP_PRIVILEGE_DAP_VERIFICATION 0xC0u
#define KF_GP_PRIVILEGE_DELEGATED_MANAGEMENT 0xA0u
#define KF_GP_PRIVILEGE_CARD_LOCK 0x10u
#define KF_GP_PRIVILEGE_CARD_TERMINATE 0x08u
#define KF_GP_PRIVILEGE_CARD_RESET 0x04u
#define KF_GP_PRIVILEGE_CVM_MANAGEMENT 0x02u
#define KF_GP_PRIVILEGE_MANDATED_DAP_VERIFICATION 0xC1u

typedef struct kf_gp_install {
    kf_view load_file_aid;
    kf_view module_aid;
    kf_view application_aid;
    kf_view privileges;        /* 1 or 3 bytes */
    kf_view parameters;        /* the value of tag C9; may be empty: C9 00 */
    kf_view system_parameters; /* the value of tag EF; empty: left out */
    kf_view token;
    bool install_only; /* P1 = 04 instead of 0C: not yet selectable */
} kf_gp_install;
/* INSTALL [for install and make selectable]. */
kf_code kf_gp_install_for_install(const kf_gp_install *install, kf_buffer *apdu) KF_MUST_USE;
/* INSTALL [for make selectable] (P1 = 08). */
kf_code kf_gp_install_for_make_selectable(kf_view application_aid, kf_view privileges,
                                          kf_buffer *apdu) KF_MUST_USE;
/* INSTALL [for personalization] (P1 = 20): STORE DATA to the domain that has the channel is passed on to this
 * application. */
kf_code kf_gp_install_for_personalization(kf_view application_aid, kf_buffer *apdu) KF_MUST_USE;
/* INSTALL [for extradition] (P1 = 10). */
kf_code kf_gp_install_for_extradition(kf_view security_domain_aid, kf_view application_aid,
                                      kf_buffer *apdu) KF_MUST_USE;

typedef struct kf_gp_registry_update {
    kf_view security_domain_aid; /* the new domain; empty: unchanged */
    kf_view application_aid;     /* empty: none */
    kf_view privileges;          /* 1 or 3 bytes; empty: unchanged */
    kf_view parameters;          /* TLV, EF or CF inside; may be empty */
    kf_view token;
} kf_gp_registry_update;
/* INSTALL [for registry update] (P1 = 40, §11.5.2.3.5). */
kf_code kf_gp_install_for_registry_update(const kf_gp_registry_update *update, kf_buffer *apdu) KF_MUST_USE;
typedef struct kf_gp_extradition {
    kf_view security_domain_aid; /* the new domain */
    kf_view application_aid;     /* or load file */
    kf_view parameters;
    kf_view token;
} kf_gp_extradition;
/* INSTALL [for extradition] with parameters and a token. */
kf_code kf_gp_install_for_extradition_with(const kf_gp_extradition *extradition, kf_buffer *apdu) KF_MUST_USE;

/* The value of C9 that makes a security domain offer protocol `protocol` with options i: 81 02 PP ii. */
void kf_gp_security_domain_parameters(uint8_t protocol, uint8_t options, kf_buffer *parameters);

/* LOAD: block `number` counts from 0. */
kf_code kf_gp_load_block(kf_view block, uint8_t number, bool last, kf_buffer *apdu) KF_MUST_USE;
/* All LOAD commands for a load file data block: C4 and its length before it, cut into blocks of up to
 * `block_size` bytes. KF_ERR_TOO_LONG for more than 256 blocks. */
kf_code kf_gp_load(kf_view load_file_data, size_t block_size, kf_command_list *ret_commands) KF_MUST_USE;
/* A signature over the load file data block hash by a security domain with DAP verification (C.3). */
typedef struct kf_gp_dap {
    kf_view security_domain_aid;
    kf_view signature;
} kf_gp_dap;
typedef struct kf_gp_load_plan {
    const kf_gp_dap *daps; /* E2 blocks, before the data */
    size_t dap_count;
    kf_view load_file_data;
    kf_view ciphered_vector; /* D3: the ICV of load file data that are ciphered and go as D4 */
    bool ciphered;
    size_t block_size; /* up to 255; extended: up to 65535 */
    bool extended;
} kf_gp_load_plan;
/* All LOAD commands of table 11-58. KF_ERR_TOO_LONG for more than 256 blocks. */
kf_code kf_gp_load_commands(const kf_gp_load_plan *plan, kf_command_list *ret_commands) KF_MUST_USE;
/* DELETE an application or load file; `related`: with everything that came from it. */
kf_code kf_gp_delete(kf_view aid, bool related, kf_buffer *apdu) KF_MUST_USE;
typedef struct kf_gp_delete_request {
    kf_view aid;
    bool related;
    kf_view signature_template; /* the value of B6: who verifies the token; empty: left out */
    kf_view token;              /* the value of 9E; empty: left out */
} kf_gp_delete_request;
/* DELETE with a token (table 11-22). */
kf_code kf_gp_delete_with(const kf_gp_delete_request *request, kf_buffer *apdu) KF_MUST_USE;
/* DELETE [key]. `key_identifier` 0: all keys of the version. */
kf_code kf_gp_delete_key(uint8_t key_version, uint8_t key_identifier, kf_buffer *apdu) KF_MUST_USE;

/* -- keys (§11.8, §11.11.4) -- */

#define KF_GP_KEYS_MAX 8 /* in one command */

typedef struct kf_gp_key {
    kf_algorithm algorithm; /* KF_AES: type 88; KF_TDES: type 80 */
    const kf_secret *value;
} kf_gp_key;

typedef struct kf_gp_put_key {
    uint8_t present_version; /* 00: a new key version; else the one that is replaced */
    uint8_t new_version;     /* 01 to 7F */
    uint8_t key_identifier;  /* of the first key; the others follow */
    const kf_gp_key *keys;
    size_t key_count;
    bool plain_length; /* AES keys as `88 10 …`; without: `88 11 10 …`, the length before the value */
} kf_gp_put_key;
/* PUT KEY: the keys are encrypted by `channel`, each with its check value (GP B.5, B.6). All are replaced
 * together or none. */
kf_code kf_gp_put_key_command(kf_secure_channel *channel, const kf_gp_put_key *put_key,
                              kf_buffer *apdu) KF_MUST_USE;
/* The answer's data that a card must give to that command: the version number and the check values. */
kf_code kf_gp_put_key_expected(const kf_gp_put_key *put_key, kf_buffer *data) KF_MUST_USE;

typedef struct kf_gp_put_key_answer {
    uint8_t key_version;
    size_t kcv_count;
    kf_kcv kcvs[KF_GP_KEYS_MAX];
} kf_gp_put_key_answer;
/* KF_ERR_CARD_DATA for another form. */
kf_code kf_gp_put_key_answer_parse(kf_view data, kf_gp_put_key_answer *ret_answer) KF_MUST_USE;

/* PUT KEY of an RSA public key (token verification, DAP), in clear: A1 modulus, A0 exponent, no check value.
 * As many short commands of up to `data_max` bytes as it takes, P1 bit 8 on all but the last. */
typedef struct kf_gp_put_public_key {
    uint8_t present_version; /* 00: new */
    uint8_t new_version;     /* 01 to 7F; 70: token verification, 73: DAP */
    uint8_t key_identifier;
    kf_view modulus;
    kf_view exponent;
    size_t data_max;
} kf_gp_put_public_key;
kf_code kf_gp_put_public_key_commands(const kf_gp_put_public_key *put_key,
                                      kf_command_list *commands) KF_MUST_USE;

typedef struct kf_gp_store_keys {
    uint8_t key_version;
    uint8_t key_identifier;
    const kf_gp_key *keys; /* of one algorithm and size */
    size_t key_count;
    uint8_t access; /* 00: domain and its applications; 01: the domain only; 02: applications only */
} kf_gp_store_keys;
/* Appends the data groupings that give a security domain its keys by STORE DATA (§11.11.4): one 00B9, which
 * holds B7 with what all keys share (80 type, 81 size, 83 version, 96 access, 97 purpose) and for each key a
 * B9 (82 identifier, 84 check value); then for each key one 8113 with its encrypted value. As GPShell writes
 * it. */
kf_code kf_gp_store_keys_dgis(kf_secure_channel *channel, const kf_gp_store_keys *store_keys,
                              kf_buffer *dgis) KF_MUST_USE;

/* -- STORE DATA (§11.11) -- */

/* P1 (table 11-89), besides "last block". */
#define KF_STORE_DATA_ENCRYPTED 0x60u
#define KF_STORE_DATA_DGI 0x08u
#define KF_STORE_DATA_BER_TLV 0x10u
#define KF_STORE_DATA_ANSWER 0x01u /* an answer is expected */

/* `options`: bits above; `last` adds 80. */
kf_code kf_gp_store_data(uint8_t options, bool last, uint8_t number, kf_view data,
                         kf_buffer *apdu) KF_MUST_USE;

typedef struct kf_dgi {
    uint16_t identifier;
    kf_view value;  /* encrypted already, where `encrypted` */
    bool encrypted; /* announced in P1 */
} kf_dgi;
/* Packs the groupings, in order, into as few STORE DATA commands as fit `data_max` bytes of data each; a
 * change of `encrypted` starts a new one; the last carries "last block" if `finish`. Block numbers count on
 * from `first_number`. KF_ERR_TOO_LONG for a grouping that does not fit one command. */
typedef struct kf_gp_store_data_plan {
    const kf_dgi *dgis;
    size_t dgi_count;
    size_t data_max;
    uint8_t first_number;
    bool finish;
} kf_gp_store_data_plan;
kf_code kf_gp_store_data_dgis(const kf_gp_store_data_plan *plan, kf_command_list *commands) KF_MUST_USE;

/* The same; a grouping larger than `data_max` is cut over several commands, with which nothing else travels
 * (§11.11.2.3, EMV CPS 4.3.4.2). KF_ERR_TOO_LONG for more commands than block numbers. */
kf_code kf_gp_store_data_chained(const kf_gp_store_data_plan *plan, kf_command_list *commands) KF_MUST_USE;
/* Any data cut into STORE DATA commands: for BER-TLV and for formats of an application's own. */
typedef struct kf_gp_store_data_stream {
    kf_view data;
    uint8_t options; /* P1, without "last block" */
    size_t data_max;
    uint8_t first_number;
    bool finish;
} kf_gp_store_data_stream;
kf_code kf_gp_store_data_cut(const kf_gp_store_data_stream *stream, kf_command_list *commands) KF_MUST_USE;
/* Appends a grouping's value as it is encrypted for STORE DATA by the channel's data encryption key.
 * `padded`: 80 and zeros behind it up to a whole block; without: KF_ERR_ARGUMENT unless it is whole blocks
 * already. */
kf_code kf_gp_encrypt_value(kf_secure_channel *channel, kf_view plain, bool padded,
                            kf_buffer *encrypted) KF_MUST_USE;

/* -- what cards answer: see card_data.h -- */

#endif
