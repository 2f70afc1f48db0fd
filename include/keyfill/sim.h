/* SIM and USIM cards as files: commands of ETSI TS 102 221 §11, and the elementary files that name a card and
 * its number (3GPP TS 31.102 §4). Builders append plain APDUs with class 00. */
#ifndef KEYFILL_SIM_H
#define KEYFILL_SIM_H

#include <keyfill/apdu.h>

/* File identifiers. */
#define KF_FILE_MF 0x3F00
#define KF_FILE_ICCID 0x2FE2      /* MF */
#define KF_FILE_DIR 0x2F00        /* MF */
#define KF_FILE_DF_TELECOM 0x7F10 /* MF */
#define KF_FILE_DF_GSM 0x7F20     /* MF */
#define KF_FILE_ADF 0x7FFF        /* the selected application's directory */
#define KF_FILE_IMSI 0x6F07       /* DF GSM, ADF USIM */
#define KF_FILE_MSISDN 0x6F40     /* DF TELECOM, ADF USIM */
#define KF_FILE_SPN 0x6F46
#define KF_FILE_ACC 0x6F78
#define KF_FILE_PLMN_SELECTOR 0x6F30        /* DF GSM: EF.PLMNsel */
#define KF_FILE_PLMN_SELECTOR_ACCESS 0x6F60 /* EF.PLMNwAcT */
#define KF_FILE_OPERATOR_PLMN_ACCESS 0x6F61 /* EF.OPLMNwAcT */
#define KF_FILE_HOME_PLMN_ACCESS 0x6F62     /* EF.HPLMNwAcT */
#define KF_FILE_FORBIDDEN_PLMN 0x6F7B       /* EF.FPLMN */
#define KF_FILE_EQUIVALENT_HOME_PLMN 0x6FD9 /* EF.EHPLMN */

#define KF_SIM_PATH_MAX 8 /* file identifiers */

/* SELECT by path from the MF (P1 = 08; TS 102 221 §11.1.1), FCP asked for. `path`: identifiers without the
 * MF; empty: the MF itself. */
kf_code kf_sim_select_path(const uint16_t *path, size_t path_size, kf_buffer *apdu) KF_MUST_USE;
/* SELECT one file by identifier (P1 = 00). */
kf_code kf_sim_select_file(uint16_t identifier, kf_buffer *apdu) KF_MUST_USE;
/* SELECT an application, its FCP asked for (P1 = 04, P2 = 04). */
kf_code kf_sim_select_application(kf_view aid, kf_buffer *apdu) KF_MUST_USE;
/* `size` 1 to 256, `offset` up to 32767. */
kf_code kf_sim_read_binary(uint16_t offset, size_t size, kf_buffer *apdu) KF_MUST_USE;
kf_code kf_sim_update_binary(uint16_t offset, kf_view data, kf_buffer *apdu) KF_MUST_USE;
/* Records count from 1. */
kf_code kf_sim_read_record(uint8_t record, size_t size, kf_buffer *apdu) KF_MUST_USE;
kf_code kf_sim_update_record(uint8_t record, kf_view data, kf_buffer *apdu) KF_MUST_USE;

/* Key references (TS 102 221 table 9.3). */
#define KF_SIM_PIN1 0x01
#define KF_SIM_ADM1 0x0A
#define KF_SIM_SECRET_SIZE 8
/* VERIFY (§11.1.9): `secret` of 1 to 8 bytes is padded with FF. The command holds the secret in clear. */
kf_code kf_sim_verify(uint8_t reference, kf_view secret, kf_buffer *apdu) KF_MUST_USE;
/* VERIFY without data: the answer 63Cx tells the tries left, 9000 that none is needed. */
kf_code kf_sim_verify_tries(uint8_t reference, kf_buffer *apdu) KF_MUST_USE;
/* What the answer to VERIFY, with or without data, tells. */
typedef struct kf_sim_tries {
    bool verified; /* 9000: verified already, or not asked for */
    bool blocked;  /* 6983, 63C0 */
    bool told;     /* 63Cx */
    unsigned left; /* where told */
} kf_sim_tries;
kf_sim_tries kf_sim_tries_of(uint16_t status_word);
/* Whether a code may be sent after kf_sim_verify_tries was answered with `status_word`: KF_OK with tries to
 * spare. KF_ERR_STATE with the tries left where only one is left, or the card does not tell how many, unless
 * `forced`; and where it is blocked, forced or not. `what` names the code: "ADM1". */
kf_code kf_sim_verify_permitted(const char *what, uint16_t status_word, bool forced,
                                kf_error *error) KF_MUST_USE;
/* MANAGE CHANNEL (§11.1.17): the answer's one byte is the channel's number. */
kf_code kf_sim_open_channel(kf_buffer *apdu) KF_MUST_USE;
kf_code kf_sim_close_channel(unsigned channel, kf_buffer *apdu) KF_MUST_USE;

/* File control parameters (§11.1.1.3), answered to SELECT. */
typedef enum kf_sim_structure {
    KF_SIM_DIRECTORY, /* MF, DF, ADF */
    KF_SIM_TRANSPARENT,
    KF_SIM_LINEAR_FIXED,
    KF_SIM_CYCLIC,
    KF_SIM_OTHER,
} kf_sim_structure;
#define KF_SIM_PINS_MAX 8
typedef struct kf_sim_pin_status {
    uint8_t reference; /* 01 to 08, 0A to 0E, 81 to 88 … */
    bool enabled;
    uint8_t usage; /* tag 95, of the universal PIN; 0 where not told */
} kf_sim_pin_status;
typedef struct kf_sim_file {
    kf_sim_structure structure;
    bool has_identifier;
    uint16_t identifier;
    size_t size;         /* bytes; 0 where not told */
    size_t record_size;  /* linear fixed and cyclic */
    size_t record_count; /* linear fixed and cyclic */
    kf_view aid;         /* tag 84: an ADF's name */
    uint8_t life_cycle;  /* tag 8A; 05: operational, activated; 0 where not told */
    bool shareable;      /* descriptor, bit 7 */
    bool internal;       /* an internal file instead of a working one */
    bool has_short_identifier;
    uint8_t short_identifier;   /* tag 88: 1 to 30; without the tag the identifier's last five bits */
    size_t total_size;          /* tag 81: with structural information; 0 where not told */
    kf_view security_compact;   /* tag 8C */
    kf_view security_expanded;  /* tag AB */
    kf_view security_reference; /* tag 8B: the rule in EF.ARR */
    kf_view proprietary;        /* tag A5 */
    bool has_power_consumption; /* A5 81: application class 0A, 05 or 03 with mA, in `proprietary` */
    size_t free_memory;         /* A5 83: bytes left; 0 where not told */
    size_t pin_count;           /* tag C6, or A5's; directories */
    kf_sim_pin_status pins[KF_SIM_PINS_MAX];
} kf_sim_file;
/* KF_ERR_CARD_DATA where it is no FCP or makes no sense. */
kf_code kf_sim_file_parse(kf_view fcp, kf_sim_file *ret_file) KF_MUST_USE;

/* -- EF.ICCID (TS 102 221 §13.2): 10 bytes, digits swapped, F behind an odd count -- */
#define KF_ICCID_SIZE 10
#define KF_ICCID_TEXT_SIZE 21
/* Up to 20 digits 0-9 A-F. KF_ERR_ARGUMENT otherwise. */
kf_code kf_iccid_encode(const char *iccid, uint8_t ret_content[KF_ICCID_SIZE]) KF_MUST_USE;
/* F at the end is padding. KF_ERR_CARD_DATA for another size or nothing but padding. */
kf_code kf_iccid_decode(kf_view content, char ret_iccid[KF_ICCID_TEXT_SIZE]) KF_MUST_USE;

/* -- EF.IMSI (TS 31.102 §4.2.2): 9 bytes, 6 to 15 digits -- */
#define KF_IMSI_SIZE 9
#define KF_IMSI_TEXT_SIZE 16
kf_code kf_imsi_encode(const char *imsi, uint8_t ret_content[KF_IMSI_SIZE]) KF_MUST_USE;
kf_code kf_imsi_decode(kf_view content, char ret_imsi[KF_IMSI_TEXT_SIZE]) KF_MUST_USE;

/* -- EF.MSISDN and EF.ADN records (TS 31.102 §4.2.26, TS 51.011 §10.5.1): alpha identifier, then 14 bytes --
 */
#define KF_MSISDN_TRAILER_SIZE 14
#define KF_MSISDN_DIGITS_MAX 20
#define KF_MSISDN_TEXT_SIZE 22 /* with the + and the zero */
#define KF_MSISDN_ALPHA_MAX 241
typedef struct kf_msisdn {
    char number[KF_MSISDN_TEXT_SIZE]; /* digits, * # allowed; a leading + means international; may be empty */
    uint8_t type_of_number; /* 0 unknown, 1 international, 2 national, 3 network specific; + sets 1 */
    uint8_t numbering_plan; /* 1: ISDN (E.164) */
    char alpha[KF_MSISDN_ALPHA_MAX + 1]; /* alpha identifier; printable ASCII of the GSM alphabet */
} kf_msisdn;
/* The last 14 bytes of the record. An empty number: all FF. KF_ERR_ARGUMENT for characters that cannot be
 * dialled or too many. */
kf_code kf_msisdn_encode_trailer(const kf_msisdn *msisdn,
                                 uint8_t ret_trailer[KF_MSISDN_TRAILER_SIZE]) KF_MUST_USE;
/* Appends a whole record of `record_size` bytes (14 to 255), the alpha identifier padded with FF. */
kf_code kf_msisdn_encode(const kf_msisdn *msisdn, size_t record_size, kf_buffer *record) KF_MUST_USE;
/* KF_ERR_CARD_DATA for a record too short or with an impossible length. An empty record gives an empty
 * number; the number of type 1 gets a +. */
kf_code kf_msisdn_decode(kf_view record, kf_msisdn *ret_msisdn) KF_MUST_USE;

/* -- EF.SPN (TS 31.102 §4.2.12): display condition and name in 17 bytes -- */
#define KF_SPN_SIZE 17
kf_code kf_spn_encode(uint8_t display, const char *name, uint8_t ret_content[KF_SPN_SIZE]) KF_MUST_USE;
kf_code kf_spn_decode(kf_view content, uint8_t *ret_display, char ret_name[KF_SPN_SIZE]) KF_MUST_USE;

/* Display condition (bits of `display`). */
#define KF_SPN_SHOW_PLMN 0x01u      /* in the home network its name is shown too */
#define KF_SPN_HIDE_ELSEWHERE 0x02u /* in networks of EF.SPDI the name need not be shown */
/* EF.SPN with any name: UTF-8 text, at most 16 bytes as it is coded. */
kf_code kf_spn_encode_text(uint8_t display, const char *name, uint8_t ret_content[KF_SPN_SIZE]) KF_MUST_USE;
kf_code kf_spn_decode_text(kf_view content, uint8_t *ret_display, kf_buffer *name) KF_MUST_USE;

/* -- texts of alpha identifiers (TS 23.038 §6.2.1 unpacked, TS 102 221 annex A) -- */

/* Appends the text as UTF-8: the default alphabet with its extension, or UCS2 in the codings 80, 81, 82. FF
 * ends it. KF_ERR_CARD_DATA for a coding that is cut off. */
kf_code kf_alpha_decode(kf_view field, kf_buffer *text) KF_MUST_USE;
/* Appends `size` bytes: the text in the default alphabet where it can be said so, else in UCS2 (80), with FF
 * behind it. KF_ERR_ARGUMENT where it does not fit, is not UTF-8, or holds what UCS2 has not. */
kf_code kf_alpha_encode(const char *text, size_t size, kf_buffer *field) KF_MUST_USE;

/* -- EF.ACC (TS 31.102 §4.2.15): bit n is access class n -- */
#define KF_ACC_SIZE 2
void kf_acc_encode(uint16_t classes, uint8_t ret_content[KF_ACC_SIZE]);
kf_code kf_acc_decode(kf_view content, uint16_t *ret_classes) KF_MUST_USE;

/* -- PLMN codes (TS 24.008 §10.5.1.3): mobile country code, 2 or 3 digits of network code -- */
#define KF_PLMN_SIZE 3
/* `mnc` of 2 digits, or 3 where the last may be F (none). */
kf_code kf_plmn_encode(const char *mcc, const char *mnc, uint8_t ret_plmn[KF_PLMN_SIZE]) KF_MUST_USE;
kf_code kf_plmn_decode(kf_view plmn, char ret_mcc[4], char ret_mnc[4]) KF_MUST_USE;

/* Lists of PLMN codes (TS 31.102 §4.2.5, 4.2.16, 4.2.53, 4.2.54, 4.2.84): codes of three bytes, or with two
 * bytes of access technologies behind each. FFFFFF is an unused place. */
#define KF_PLMN_WITH_ACCESS_SIZE 5
#define KF_PLMN_LIST_MAX 128
#define KF_ACCESS_UTRAN 0x8000u
#define KF_ACCESS_E_UTRAN 0x4000u
#define KF_ACCESS_NG_RAN 0x0800u
#define KF_ACCESS_GSM 0x0080u
typedef struct kf_plmn_entry {
    char mcc[4];
    char mnc[4];
    uint16_t access; /* 0 in lists without it */
} kf_plmn_entry;
typedef struct kf_plmn_list {
    size_t count;
    kf_plmn_entry entries[KF_PLMN_LIST_MAX];
} kf_plmn_list;
/* `entry_size`: KF_PLMN_SIZE or KF_PLMN_WITH_ACCESS_SIZE. KF_ERR_CARD_DATA for content that is no whole
 * number of entries, too many, or a code that is none. */
kf_code kf_plmn_list_decode(kf_view content, size_t entry_size, kf_plmn_list *ret_list) KF_MUST_USE;
/* Appends `content_size` bytes, unused places FF. KF_ERR_ARGUMENT where the list does not fit. */
kf_code kf_plmn_list_encode(const kf_plmn_list *list, size_t entry_size, size_t content_size,
                            kf_buffer *content) KF_MUST_USE;

#endif
