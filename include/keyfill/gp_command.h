/* Commands of the GlobalPlatform Card Specification 2.3.1, §11 and E.5, read: what the builders of
 * globalplatform.h and others' programs send. For traces, simulated cards and checks. */
#ifndef KEYFILL_GP_COMMAND_H
#define KEYFILL_GP_COMMAND_H

#include <keyfill/globalplatform.h>

typedef enum kf_gp_command_kind {
    KF_GP_COMMAND_SELECT = 1,
    KF_GP_COMMAND_MANAGE_CHANNEL,
    KF_GP_COMMAND_INITIALIZE_UPDATE,
    KF_GP_COMMAND_EXTERNAL_AUTHENTICATE,
    KF_GP_COMMAND_BEGIN_R_MAC_SESSION,
    KF_GP_COMMAND_END_R_MAC_SESSION,
    KF_GP_COMMAND_GET_DATA,
    KF_GP_COMMAND_GET_STATUS,
    KF_GP_COMMAND_SET_STATUS,
    KF_GP_COMMAND_INSTALL,
    KF_GP_COMMAND_LOAD,
    KF_GP_COMMAND_DELETE,
    KF_GP_COMMAND_DELETE_KEY,
    KF_GP_COMMAND_PUT_KEY,
    KF_GP_COMMAND_STORE_DATA,
} kf_gp_command_kind;

/* One key of PUT KEY (§11.8.2.3). */
typedef struct kf_gp_key_field {
    uint8_t type;    /* 80 3DES, 88 AES, A1 RSA modulus, A0 RSA exponent */
    kf_view value;   /* encrypted, where the type is secret; without the length before it */
    size_t key_size; /* bytes of the key itself, where that length is told; else those of the value */
    kf_view kcv;     /* empty: none; an exponent's follows its modulus's value */
} kf_gp_key_field;

/* Views point into the command. What a kind does not have is zero. */
typedef struct kf_gp_command {
    kf_gp_command_kind kind;
    unsigned logical_channel;
    bool secured; /* secure messaging is announced: `data` holds a MAC, and nothing inside is read */
    bool more;    /* INSTALL, LOAD, PUT KEY, STORE DATA, DELETE: commands follow; data is not read inside */
    uint8_t p1;
    uint8_t p2;
    kf_view data;
    uint8_t purpose; /* INSTALL: what for; GET STATUS, SET STATUS: the scope; STORE DATA: the options */
    uint8_t number;  /* LOAD, STORE DATA: of the block; MANAGE CHANNEL: of the channel to be closed */
    uint8_t state;   /* SET STATUS: the new state; EXTERNAL AUTHENTICATE, BEGIN R-MAC SESSION: the level */
    bool next;       /* SELECT: next occurrence; GET STATUS: what follows; MANAGE CHANNEL: close */
    uint16_t tag;    /* GET DATA */
    kf_view aid;     /* SELECT, GET STATUS, SET STATUS, DELETE */
    bool related;    /* DELETE: with what came from it */
    kf_view signature_template; /* DELETE: the value of B6 */
    kf_view token;              /* DELETE, INSTALL */
    size_t field_count;         /* INSTALL: as in kf_gp_install_form */
    kf_view fields[KF_GP_INSTALL_FIELDS_MAX];
    uint8_t key_version;     /* INITIALIZE UPDATE, DELETE [key]; PUT KEY: the one replaced, 00 none */
    uint8_t new_key_version; /* PUT KEY */
    uint8_t key_identifier;  /* PUT KEY, DELETE [key]; 00: all */
    size_t key_count;
    kf_gp_key_field keys[KF_GP_KEYS_MAX];
} kf_gp_command;

/* Reads one command, short or extended, on any logical channel. KF_ERR_APDU where it is no command at all;
 * KF_ERR_UNSUPPORTED for an instruction that is none of these; KF_ERR_CARD_DATA where its data are not what
 * the instruction has. */
kf_code kf_gp_command_parse(kf_view apdu, kf_gp_command *ret_command) KF_MUST_USE;
/* "INSTALL", "DELETE [key]" …; static. */
const char *kf_gp_command_name(kf_gp_command_kind kind);

/* What the data of all LOAD commands together hold (table 11-58): DAP blocks, then the load file data. */
#define KF_GP_DAPS_MAX 8
typedef struct kf_gp_load_file {
    size_t dap_count;
    kf_gp_dap daps[KF_GP_DAPS_MAX];
    kf_view ciphered_vector; /* D3 */
    bool ciphered;           /* D4 in place of C4 */
    kf_view load_file_data;
} kf_gp_load_file;
/* KF_ERR_CARD_DATA for another form, and for more than KF_GP_DAPS_MAX DAP blocks. */
kf_code kf_gp_load_file_parse(kf_view data, kf_gp_load_file *ret_load_file) KF_MUST_USE;

#endif
