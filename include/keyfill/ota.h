/* Secured packets over the air: ETSI TS 102 225 (SCP80) command and response packets, their way in short
 * messages (3GPP TS 31.115), and the scripts of remote file and application management in them (ETSI TS 102
 * 226). */
#ifndef KEYFILL_OTA_H
#define KEYFILL_OTA_H

#include <keyfill/apdu.h>
#include <keyfill/cipher.h>
#include <keyfill/secret.h>

#define KF_OTA_TAR_SIZE 3
#define KF_OTA_COUNTER_MAX 0xFFFFFFFFFFull /* five bytes; a card at this value is blocked */
#define KF_OTA_PACKET_MAX 65535            /* bytes of secured data with their header */

/* Well-known toolkit application references (ETSI TS 101 220 annex D). */
#define KF_OTA_TAR_ISSUER_DOMAIN "\x00\x00\x00"
#define KF_OTA_TAR_SIM_FILES "\xB0\x00\x00"
#define KF_OTA_TAR_UICC_FILES "\xB0\x00\x01"

typedef enum kf_ota_check {
    KF_OTA_UNCHECKED = 0,
    KF_OTA_REDUNDANCY = 1,    /* RC: CRC-16 or CRC-32 */
    KF_OTA_CRYPTOGRAPHIC = 2, /* CC */
    KF_OTA_SIGNED = 3,        /* DS: not supported */
} kf_ota_check;

typedef enum kf_ota_counter_mode {
    KF_OTA_NO_COUNTER = 0,
    KF_OTA_COUNTER_UNCHECKED = 1, /* there, but any value is taken */
    KF_OTA_COUNTER_HIGHER = 2,
    KF_OTA_COUNTER_NEXT = 3, /* one more than the last */
} kf_ota_counter_mode;

typedef enum kf_ota_receipt_mode {
    KF_OTA_NO_RECEIPT = 0,
    KF_OTA_RECEIPT = 1,
    KF_OTA_RECEIPT_ON_ERROR = 2,
} kf_ota_receipt_mode;

/* SPI (TS 102 225 §5.1.1). */
typedef struct kf_ota_security {
    kf_ota_counter_mode counter;
    bool ciphered;
    kf_ota_check check;
    kf_ota_receipt_mode receipt; /* proof of receipt */
    kf_ota_check receipt_check;
    bool receipt_ciphered;
    bool receipt_by_submit; /* by SMS-SUBMIT instead of the delivery report */
} kf_ota_security;
/* KF_ERR_CARD_DATA for a reserved value. */
kf_code kf_ota_security_decode(const uint8_t spi[2], kf_ota_security *ret_security) KF_MUST_USE;
void kf_ota_security_encode(const kf_ota_security *security, uint8_t ret_spi[2]);

/* KIc and KID (§5.1.2, 5.1.3): the key set's number in the upper nibble, the algorithm in the lower one. */
typedef enum kf_ota_algorithm {
    KF_OTA_IMPLICIT = 0x0,
    KF_OTA_DES_CBC = 0x1,
    KF_OTA_AES = 0x2,        /* CBC; CMAC */
    KF_OTA_TDES_TWO = 0x5,   /* outer CBC, 16 bytes */
    KF_OTA_TDES_THREE = 0x9, /* outer CBC, 24 bytes */
} kf_ota_algorithm;
#define KF_OTA_CRC16 0x1 /* of KID, where the check is a redundancy check */
#define KF_OTA_CRC32 0x5

typedef struct kf_ota_header {
    kf_ota_security security;
    uint8_t kic;
    uint8_t kid;
    uint8_t tar[KF_OTA_TAR_SIZE];
    uint64_t counter; /* up to KF_OTA_COUNTER_MAX */
} kf_ota_header;

/* The keys that KIc and KID name; not owned. `kic` may be NULL where nothing is ciphered, `kid` where nothing
 * has a CC. */
typedef struct kf_ota_keys {
    const kf_secret *kic;
    const kf_secret *kid;
    kf_ota_algorithm implicit; /* what KF_OTA_IMPLICIT means with these keys */
    size_t check_size;         /* AES: bytes of the CC, 4 or 8; 0: 8 */
} kf_ota_keys;

/* Appends a command packet: CPL, CHL, SPI, KIc, KID, TAR, CNTR, PCNTR, RC/CC, secured data; from CNTR on
 * ciphered where asked, the padding counted in PCNTR. `prefix`: bytes before the packet that the check covers
 * too; empty over SMS. KF_ERR_KEY_SIZE where a key does not fit its algorithm, KF_ERR_ARGUMENT where one is
 * missing, KF_ERR_UNSUPPORTED for other algorithms, KF_ERR_TOO_LONG. */
typedef struct kf_ota_command {
    kf_ota_header header;
    kf_view prefix;
    kf_view data;
} kf_ota_command;
kf_code kf_ota_command_encode(const kf_ota_command *command, const kf_ota_keys *keys,
                              kf_buffer *packet) KF_MUST_USE;
/* Reads and checks one, as a card does; appends the secured data without padding. KF_ERR_CARD_DATA for a
 * malformed packet, KF_ERR_AUTHENTICATION where the check fails. Without a check nothing is authentic. */
kf_code kf_ota_command_decode(kf_view packet, const kf_ota_keys *keys, kf_ota_header *ret_header,
                              kf_buffer *data) KF_MUST_USE;
/* Whether a card that saw `last` takes `received`, by the mode. */
bool kf_ota_counter_accepts(kf_ota_counter_mode mode, uint64_t last, uint64_t received);

/* Response status codes (§5.2 table 5, TS 31.115 §7). */
typedef enum kf_ota_status {
    KF_OTA_DONE = 0x00,
    KF_OTA_CHECK_FAILED = 0x01,
    KF_OTA_COUNTER_LOW = 0x02,
    KF_OTA_COUNTER_HIGH = 0x03,
    KF_OTA_COUNTER_BLOCKED = 0x04,
    KF_OTA_CIPHERING_ERROR = 0x05,
    KF_OTA_SECURITY_ERROR = 0x06,
    KF_OTA_NO_MEMORY = 0x07,
    KF_OTA_MORE_TIME = 0x08,
    KF_OTA_UNKNOWN_TAR = 0x09,
    KF_OTA_SECURITY_TOO_LOW = 0x0A,
    KF_OTA_RESPONSE_BY_SUBMIT = 0x0B,
    KF_OTA_RESPONSE_BY_USSD = 0x0C,
} kf_ota_status;
/* Static; never NULL. */
const char *kf_ota_status_text(unsigned status);

typedef struct kf_ota_response {
    uint8_t tar[KF_OTA_TAR_SIZE];
    uint64_t counter;
    uint8_t status;     /* kf_ota_status, or what later versions add */
    bool authenticated; /* its CC verified */
} kf_ota_response;
/* Reads the proof of receipt for a command with `header`; appends its secured data without padding. `packet`
 * begins with RPL, or with the user data header 02 71 00 of a short message, which the check covers then.
 * KF_ERR_CARD_DATA for a malformed packet; KF_ERR_AUTHENTICATION where the check that was asked for fails or
 * is missing, except that a card may report a security error without one: then `authenticated` is false. */
kf_code kf_ota_response_decode(kf_view packet, const kf_ota_header *header, const kf_ota_keys *keys,
                               kf_ota_response *ret_response, kf_buffer *data) KF_MUST_USE;

/* -- scripts (TS 102 226) -- */

/* Appends one command to a script in compact form (§5.1.1): class, instruction, P1, P2, P3 and data. Short
 * commands without both data and Le; those with both only as the last one, which is the caller's care. */
kf_code kf_ota_compact_append(kf_view apdu, kf_buffer *script) KF_MUST_USE;
typedef struct kf_ota_compact_response {
    unsigned command_count; /* that were executed */
    uint16_t status_word;   /* of the last */
    kf_view data;           /* of the last */
} kf_ota_compact_response;
/* §5.1.2. KF_ERR_CARD_DATA where it is too short. */
kf_code kf_ota_compact_response_parse(kf_view data, kf_ota_compact_response *ret_response) KF_MUST_USE;

/* The expanded form (§5.2.1): command scripting template AA with a C-APDU 22 for each command. */
size_t kf_ota_expanded_begin(kf_buffer *script);
kf_code kf_ota_expanded_append(kf_view apdu, kf_buffer *script) KF_MUST_USE;
void kf_ota_expanded_end(kf_buffer *script, size_t mark);
/* The same with indefinite length, AE 80 … 00 00. */
void kf_ota_expanded_begin_indefinite(kf_buffer *script);
void kf_ota_expanded_end_indefinite(kf_buffer *script);

#define KF_OTA_RESPONSES_MAX 64
typedef struct kf_ota_expanded_response {
    unsigned command_count; /* tag 80: that were executed; not told: as many as responded */
    size_t response_count;
    kf_view responses[KF_OTA_RESPONSES_MAX]; /* tag 23: each with its status word */
    bool truncated;            /* a response ends with 62F1: it was cut, and the script stopped there */
    bool bad_format;           /* tag 90 */
    uint8_t bad_format_reason; /* 01 unknown tag, 02 wrong length, 03 length not found */
    kf_view immediate_action;  /* tag 81; empty where there is none */
    kf_view script_chaining;   /* tag 83; empty where there is none */
} kf_ota_expanded_response;
/* §5.2.2: response scripting template AB, or AF with indefinite length. KF_ERR_CARD_DATA. */
kf_code kf_ota_expanded_response_parse(kf_view data, kf_ota_expanded_response *ret_response) KF_MUST_USE;

/* -- short messages (TS 31.115 §4, TS 23.040 §9.2) -- */

#define KF_OTA_ADDRESS_DIGITS_MAX 20
#define KF_OTA_TIMESTAMP_SIZE 7
typedef struct kf_ota_message {
    const char *originator;                   /* digits */
    uint8_t timestamp[KF_OTA_TIMESTAMP_SIZE]; /* service centre time stamp, as it is coded */
    uint8_t reference;                        /* of a message in several parts */
} kf_ota_message;
/* SMS-DELIVER messages that carry the packet: one where it fits 140 bytes with its header (02 70 00), else
 * several, chained by information element 00. Each buffer of the list holds one TPDU. KF_ERR_TOO_LONG for
 * more than 255 parts, KF_ERR_ARGUMENT for an originator that is not digits. */
kf_code kf_ota_messages(const kf_ota_message *message, kf_view packet, kf_command_list *tpdus) KF_MUST_USE;
/* Appends the command ENVELOPE (SMS-PP download, TS 31.111 §7.1.1): D1 with device identities, the service
 * centre's address and the TPDU. */
kf_code kf_ota_envelope(const char *service_centre, kf_view tpdu, kf_buffer *apdu) KF_MUST_USE;

#endif
