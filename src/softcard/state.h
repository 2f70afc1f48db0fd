/* What a card keeps without power, and its form as bytes. */
#ifndef KEYFILL_SOFTCARD_STATE_H
#define KEYFILL_SOFTCARD_STATE_H

#include <keyfill/secret.h>

#include "softcard/softcard.h"

enum {
    SOFTCARD_AID_MAX = 16,
    SOFTCARD_KEYS_MAX = 6,          /* a set */
    SOFTCARD_KEY_SIZE_MAX = 528,    /* bytes that one is kept in: RSA-4096 */
    SOFTCARD_KEY_SETS_MAX = 6,      /* a security domain */
    SOFTCARD_DATA_MAX = 64,         /* data objects of an application */
    SOFTCARD_DATUM_MAX = 2048,      /* bytes of one */
    SOFTCARD_APPLICATIONS_MAX = 24, /* with the security domains */
    SOFTCARD_LOAD_FILES_MAX = 12,
    SOFTCARD_MODULES_MAX = 16,             /* a load file */
    SOFTCARD_LOAD_FILE_MAX = 512 * 1024,   /* bytes of one */
    SOFTCARD_MEMORY_MAX = 3 * 1024 * 1024, /* bytes for load files, applications and their data */
    SOFTCARD_LOGICAL_CHANNELS_MAX = 20,    /* with the basic one (ISO/IEC 7816-4 5.4.1) */
    SOFTCARD_REMOTE_COUNTER_SIZE = 5,      /* TS 102 225 5.1.4 */
    SOFTCARD_FILES = 38,                   /* elementary files with content of their own: file_table.h */
    SOFTCARD_FILE_SIZE_MAX = 128,
    SOFTCARD_PINS = 3,
    SOFTCARD_PIN_SIZE = 8,
    SOFTCARD_KDD_SIZE = 10, /* key diversification data */
    SOFTCARD_CPLC_SIZE = 42,
};

typedef struct softcard_aid {
    uint8_t size;
    uint8_t bytes[SOFTCARD_AID_MAX];
} softcard_aid;

typedef struct softcard_key {
    uint8_t identifier;
    uint8_t type; /* GlobalPlatform table 11-16: 80 to 84 DES, 85 PSK, 88 AES; A1, B0: public_keys.h */
    kf_secret *value;
} softcard_key;

typedef struct softcard_key_set {
    uint8_t version;
    uint8_t failures; /* authentications that failed since one that did not */
    uint32_t sequence_counter;
    uint8_t remote_counter[SOFTCARD_REMOTE_COUNTER_SIZE]; /* of the last command packet under these keys */
    size_t key_count;
    softcard_key keys[SOFTCARD_KEYS_MAX];
} softcard_key_set;

/* A data object of a security domain (42, 45, 5F50) or a data grouping of an applet, by its DGI. */
typedef struct softcard_datum {
    uint16_t tag;
    kf_buffer value;
} softcard_datum;

/* Secure channel protocols, and the bits of a domain's set of them. */
enum {
    SOFTCARD_SCP02 = 0x02,
    SOFTCARD_SCP03 = 0x03,
    SOFTCARD_HAS_SCP02 = 0x01,
    SOFTCARD_HAS_SCP03 = 0x02,
};

typedef enum softcard_kind {
    SOFTCARD_ISSUER_DOMAIN = 1,
    SOFTCARD_DOMAIN = 2,
    SOFTCARD_APPLET = 3,
} softcard_kind;

/* Life cycle states (GlobalPlatform tables 11-4 to 11-6). */
enum {
    SOFTCARD_LOADED = 0x01,
    SOFTCARD_INSTALLED = 0x03,
    SOFTCARD_SELECTABLE = 0x07,
    SOFTCARD_PERSONALIZED = 0x0F,
    SOFTCARD_LOCKED = 0x80, /* a bit of the others */
    SOFTCARD_CARD_OP_READY = 0x01,
    SOFTCARD_CARD_INITIALIZED = 0x07,
    SOFTCARD_CARD_SECURED = 0x0F,
    SOFTCARD_CARD_LOCKED = 0x7F,
    SOFTCARD_CARD_TERMINATED = 0xFF,
};

typedef struct softcard_application {
    softcard_aid aid;
    softcard_aid load_file; /* empty: the issuer security domain's */
    softcard_aid module;
    softcard_aid domain; /* the security domain it belongs to; its own AID: the issuer's */
    softcard_kind kind;
    uint8_t life_cycle;
    uint8_t privileges[3];
    uint8_t protocols;         /* SOFTCARD_HAS_SCP02, SOFTCARD_HAS_SCP03; the type of the keys chooses */
    uint8_t channel_parameter; /* i of SCP03 (Amendment D 5.1) */
    uint8_t scp02_parameter;   /* i of SCP02 (GlobalPlatform E.1.1) */
    size_t key_set_count;
    softcard_key_set key_sets[SOFTCARD_KEY_SETS_MAX];
    size_t datum_count;
    softcard_datum data[SOFTCARD_DATA_MAX];
} softcard_application;

typedef struct softcard_load_file {
    softcard_aid aid;
    softcard_aid domain;
    bool fixed; /* part of the card: cannot be deleted */
    uint8_t version[2];
    uint32_t size;
    uint8_t hash[32]; /* SHA-256 of the load file data block; zeros where fixed */
    kf_buffer code;   /* the load file data block; empty where fixed */
    size_t module_count;
    softcard_aid modules[SOFTCARD_MODULES_MAX];
} softcard_load_file;

typedef enum softcard_pin_name { SOFTCARD_PIN1, SOFTCARD_ADM1, SOFTCARD_PUK1 } softcard_pin_name;

typedef struct softcard_pin {
    kf_secret *value; /* SOFTCARD_PIN_SIZE bytes, padded with FF */
    uint8_t tries_left;
    uint8_t try_limit;
} softcard_pin;

/* How this card behaves where cards differ. */
typedef struct softcard_personality {
    uint8_t atr[SOFTCARD_ATR_MAX];
    uint8_t atr_size;
    uint8_t failure_limit;  /* of a key set */
    bool counts_unfinished; /* INITIALIZE UPDATE alone costs a try */
    bool imsi_needs_pin;
    bool msisdn_needs_pin;
    uint8_t protocols;         /* of domains that are installed without naming one */
    uint8_t channel_parameter; /* i of such domains */
    uint8_t scp02_parameter;
    uint8_t logical_channels; /* with the basic one */
    bool extended_length;
    uint8_t platform_version[3];     /* of GlobalPlatform, as recognition data tell it */
    bool tells_management_data;      /* in the answer to SELECT */
    uint32_t memory;                 /* bytes for load files, applications and their data */
    uint8_t remote_minimum_security; /* first byte of SPI (TS 102 225 5.1.1); FF: no remote management */
} softcard_personality;

typedef struct softcard_state {
    uint8_t kdd[SOFTCARD_KDD_SIZE];
    uint8_t cplc[SOFTCARD_CPLC_SIZE];
    uint16_t confirmation_counter; /* of receipts (GlobalPlatform 11.1.6) */
    softcard_personality personality;
    softcard_pin pins[SOFTCARD_PINS];
    bool pin1_disabled; /* what asks for PIN1 is granted (TS 102 221 9.4.1) */
    uint8_t files[SOFTCARD_FILES][SOFTCARD_FILE_SIZE_MAX];
    size_t application_count; /* the first is the issuer security domain */
    softcard_application applications[SOFTCARD_APPLICATIONS_MAX];
    size_t load_file_count;
    softcard_load_file load_files[SOFTCARD_LOAD_FILES_MAX];
} softcard_state;

/* Empty; KF_ERR_MEMORY. */
kf_code softcard_state_new(softcard_state **ret_state) KF_MUST_USE;
/* Wipes, frees, sets NULL. */
void softcard_state_free(softcard_state **state);
/* KF_ERR_CARD_DATA where the bytes are not a state of this version. */
kf_code softcard_state_read(kf_view bytes, softcard_state **ret_state, kf_error *error) KF_MUST_USE;
kf_code softcard_state_write(softcard_state *state, kf_buffer *bytes) KF_MUST_USE;

#endif
