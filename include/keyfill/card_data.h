/* What a card tells of itself, decoded: CPLC, card recognition data, capabilities, key information, GET
 * STATUS entries, the answer to reset. Views point into the data that was parsed. All give KF_ERR_CARD_DATA
 * or KF_ERR_TLV for malformed data, with the outputs untouched. */
#ifndef KEYFILL_CARD_DATA_H
#define KEYFILL_CARD_DATA_H

#include <keyfill/globalplatform.h>

/* Card production life cycle data (GP 2.1.1 appendix; GET DATA 9F7F): 42 bytes in 18 fields. */
#define KF_CPLC_SIZE 42
#define KF_CPLC_FIELDS 18
typedef struct kf_cplc {
    uint8_t bytes[KF_CPLC_SIZE];
} kf_cplc;
/* With or without the tag 9F7F and length before it. */
kf_code kf_cplc_parse(kf_view data, kf_cplc *ret_cplc) KF_MUST_USE;
/* Field `index` (0 to 17) and its name: "ic_fabricator", "ic_serial", … */
kf_view kf_cplc_field(const kf_cplc *cplc, size_t index, const char **ret_name);
/* The field of that name; an empty view if there is none. */
kf_view kf_cplc_named(const kf_cplc *cplc, const char *name);
/* What tells one chip from another: fabricator, type, batch and serial number, 10 bytes. */
#define KF_CPLC_IDENTITY_SIZE 10
void kf_cplc_identity(const kf_cplc *cplc, uint8_t ret_identity[KF_CPLC_IDENTITY_SIZE]);

/* An object identifier in dots. */
#define KF_OID_TEXT_SIZE 128
typedef struct kf_oid_text {
    char text[KF_OID_TEXT_SIZE];
} kf_oid_text;
/* The content bytes of an OBJECT IDENTIFIER. KF_ERR_CARD_DATA for a cut-off or too large one. */
kf_code kf_oid_show(kf_view oid, kf_oid_text *ret_text) KF_MUST_USE;

/* Card recognition data (GP appendix H.2; GET DATA 66). Texts are empty where the card says nothing. */
#define KF_RECOGNITION_PROTOCOLS_MAX 8
#define KF_PROTOCOL_OPTIONS_MAX 4
typedef struct kf_card_protocol {
    uint8_t protocol;                         /* 01, 02, 03, 10, 11, 80, 81 … */
    uint8_t options[KF_PROTOCOL_OPTIONS_MAX]; /* i as it stands in the identifier */
    size_t options_size;
} kf_card_protocol;
typedef struct kf_card_recognition {
    kf_oid_text globalplatform; /* 1.2.840.114283.1 */
    char version[32];           /* "2.3.1" */
    kf_oid_text identification; /* tag 63 */
    kf_oid_text configuration;  /* tag 65 */
    kf_oid_text chip;           /* tag 66 */
    size_t protocol_count;
    kf_card_protocol protocols[KF_RECOGNITION_PROTOCOLS_MAX];
} kf_card_recognition;
/* With or without the tag 66 around it. */
kf_code kf_card_recognition_parse(kf_view data, kf_card_recognition *ret_recognition) KF_MUST_USE;

/* Card capability information (GP appendix H.4; GET DATA 67). */
#define KF_CAPABILITY_PROTOCOLS_MAX 8
typedef struct kf_capability_protocol {
    uint8_t protocol;
    kf_view options;   /* one i per byte */
    uint8_t key_sizes; /* SCP03: bit 1 AES-128, bit 2 AES-192, bit 3 AES-256; 0: not told */
} kf_capability_protocol;
typedef struct kf_card_capability {
    size_t protocol_count;
    kf_capability_protocol protocols[KF_CAPABILITY_PROTOCOLS_MAX];
    kf_view security_domain_privileges; /* tag 81 */
    kf_view application_privileges;     /* tag 82 */
    kf_view hash_algorithms;            /* tag 83 */
    kf_view cipher_suites;              /* tag 84 */
} kf_card_capability;
/* The tag 67 may be missing or stand twice, as on some cards. */
kf_code kf_card_capability_parse(kf_view data, kf_card_capability *ret_capability) KF_MUST_USE;

/* Key information template (§11.3.3.1; GET DATA E0), also several E0 one behind another. */
#define KF_KEY_INFORMATION_MAX 64
#define KF_KEY_INFORMATION_COMPONENTS_MAX 8
typedef struct kf_key_component {
    uint16_t type; /* 80 DES, 88 AES, A1 RSA …; FFxx in the extended form */
    uint16_t size; /* bytes */
} kf_key_component;
typedef struct kf_key_information_entry {
    uint8_t key_identifier;
    uint8_t key_version;
    bool extended;
    size_t component_count;
    kf_key_component components[KF_KEY_INFORMATION_COMPONENTS_MAX];
    kf_view tail; /* extended: usage and access, with their lengths */
} kf_key_information_entry;
typedef struct kf_key_information {
    size_t count;
    kf_key_information_entry entries[KF_KEY_INFORMATION_MAX];
} kf_key_information;
/* With or without the tag E0 around it. */
kf_code kf_key_information_parse(kf_view data, kf_key_information *ret_information) KF_MUST_USE;
/* The first entry with that version; NULL if there is none. */
const kf_key_information_entry *kf_key_information_version(const kf_key_information *information,
                                                           uint8_t key_version);

/* One entry of GET STATUS (table 11-36: E3). */
#define KF_STATUS_MODULES_MAX 16
typedef struct kf_gp_status_entry {
    kf_view aid;
    kf_view state;           /* first byte: the life cycle state; empty if not told */
    kf_view privileges;      /* 0, 1 or 3 bytes; further ones of the card are cut off */
    kf_view load_file;       /* C4: where it came from */
    kf_view version;         /* CE */
    kf_view security_domain; /* CC */
    size_t module_count;
    kf_view modules[KF_STATUS_MODULES_MAX]; /* 84 */
    kf_view whole;                          /* the value of E3 */
} kf_gp_status_entry;
/* Reads the next entry: from the TLV form, data beginning with E3. KF_ERR_CARD_DATA where it is none. Call
 * until kf_cursor_at_end. Answers that were split (6310) are put together first. */
kf_code kf_gp_status_next(kf_cursor *answer, kf_gp_status_entry *ret_entry) KF_MUST_USE;
/* Reads the next entry of the older form (table 11-35 before version 2.2): AID behind its length, state, one
 * byte of privileges; with KF_GP_LOAD_FILES_AND_MODULES the modules behind their number. */
kf_code kf_gp_status_next_older(kf_cursor *answer, kf_gp_scope scope,
                                kf_gp_status_entry *ret_entry) KF_MUST_USE;
/* "SELECTABLE", "PERSONALIZED", "LOCKED" … (tables 11-3 to 11-6); static. */
const char *kf_gp_state_text(kf_gp_scope scope, uint8_t state);

/* Counters by GET DATA: C1 the sequence counter of the default key version, C2 the confirmation counter; 1 to
 * 4 bytes, with or without the tag. */
#define KF_GP_SEQUENCE_COUNTER 0xC1u
#define KF_GP_CONFIRMATION_COUNTER 0xC2u
kf_code kf_gp_counter_parse(kf_view data, uint16_t tag, uint32_t *ret_counter) KF_MUST_USE;

/* What a security domain answers to SELECT (table 11-79: file control information, 6F). Views are empty where
 * it is not told. */
typedef struct kf_gp_select_answer {
    kf_view aid;             /* 84 */
    kf_view management_data; /* 73: as card recognition data has it */
    kf_view life_cycle_data; /* 9F6E: application production life cycle data */
    size_t command_data_max; /* 9F65: the most data bytes of a command; 0: not told */
    kf_view proprietary;     /* A5 */
} kf_gp_select_answer;
/* KF_ERR_CARD_DATA where it is no 6F with an A5 or 84 in it. */
kf_code kf_gp_select_answer_parse(kf_view data, kf_gp_select_answer *ret_answer) KF_MUST_USE;

/* One application of GET DATA 2F00, or of EF.DIR (ISO/IEC 7816-4 §8.2.1.1, TS 102 221 §13.1): template 61. */
typedef struct kf_application_template {
    kf_view aid;   /* 4F */
    kf_view label; /* 50; empty where not told */
    kf_view whole; /* the value of 61 */
} kf_application_template;
/* Reads the next entry; FF and 00 between the templates are skipped. Call until `answer` is at its end: then
 * KF_OK with an empty AID where nothing but padding was left. */
kf_code kf_application_next(kf_cursor *answer, kf_application_template *ret_application) KF_MUST_USE;
/* The templates of a GET DATA 2F00 answer without the tag 2F00 around them, where it has one. */
kf_code kf_applications_of_answer(kf_view data, kf_view *ret_templates) KF_MUST_USE;

/* What the historical bytes say of the card's transport (ISO/IEC 7816-4 §8.1.1.2.7): compact-TLV 71 to 73. */
typedef struct kf_transport_capability {
    bool told;             /* the third byte is there */
    bool command_chaining; /* class bit 5 */
    bool extended_length;  /* Lc and Le of two bytes */
    unsigned channels_max; /* logical channels with the basic one: 1 to 8; 8 or more count as 8 */
} kf_transport_capability;
/* `historical`: as in kf_atr. Never fails: what is not told is false, and 1 channel. */
kf_transport_capability kf_transport_capability_of(kf_view historical);

/* The answer to reset (ISO/IEC 7816-3 §8). */
#define KF_ATR_MAX 33 /* bytes */
#define KF_ATR_INTERFACES_MAX 28
#define KF_ATR_PROTOCOLS_MAX 7
typedef struct kf_atr_interface {
    char name[4]; /* "TA1" … "TD4" */
    uint8_t value;
} kf_atr_interface;
typedef struct kf_atr {
    bool inverse; /* 3F */
    size_t interface_count;
    kf_atr_interface interfaces[KF_ATR_INTERFACES_MAX];
    size_t protocol_count; /* T of each TD in order; T = 0 alone where there is none */
    uint8_t protocols[KF_ATR_PROTOCOLS_MAX];
    kf_view historical;
    bool check_required; /* some protocol other than T = 0 */
    bool check_ok;
} kf_atr;
kf_code kf_atr_parse(kf_view bytes, kf_atr *ret_atr) KF_MUST_USE;

#endif
