/* Command APDUs and status words (ISO/IEC 7816-4 5.3 and 5.6). */
#ifndef KEYFILL_SOFTCARD_APDU_H
#define KEYFILL_SOFTCARD_APDU_H

#include <keyfill/bytes.h>

typedef uint16_t softcard_status;

enum {
    SW_OK = 0x9000,
    SW_MORE_DATA = 0x6310, /* GlobalPlatform 11.4.3.2 */
    SW_MEMORY_FAILURE = 0x6581,
    SW_WRONG_LENGTH = 0x6700,
    SW_CHANNEL_NOT_OPEN = 0x6881,
    SW_SECURE_MESSAGING = 0x6882,
    SW_INCOMPATIBLE_FILE = 0x6981,
    SW_SECURITY_STATUS = 0x6982,
    SW_BLOCKED = 0x6983,
    SW_CONDITIONS = 0x6985,
    SW_NO_EF = 0x6986,
    SW_WRONG_DATA = 0x6A80,
    SW_NOT_SUPPORTED = 0x6A81,
    SW_NOT_FOUND = 0x6A82,
    SW_RECORD_NOT_FOUND = 0x6A83,
    SW_NO_SPACE = 0x6A84,
    SW_WRONG_P1P2 = 0x6A86,
    SW_REFERENCE_NOT_FOUND = 0x6A88,
    SW_OFFSET = 0x6B00,
    SW_WRONG_LE = 0x6C00,
    SW_INSTRUCTION = 0x6D00,
    SW_CLASS = 0x6E00,
    SW_INTERNAL = 0x6F00,
    SW_AUTHENTICATION_FAILED = 0x6300, /* GlobalPlatform E.5.2.7 */
    SW_TRIES_LEFT = 0x63C0,
    SW_ALGORITHM = 0x9484, /* GlobalPlatform 11.8.3.2 */
    SW_CHECK_VALUE = 0x9485,
    SW_RESPONSE_WAITS = 0x6100,
};

typedef struct softcard_command {
    uint8_t class_byte;
    uint8_t instruction;
    uint8_t p1;
    uint8_t p2;
    kf_view data;
    bool has_le;
    bool extended; /* lengths in extended form */
    size_t le;     /* 1 to 256; extended: to 65536 */
} softcard_command;

/* Cases 1 to 4 in short and extended form (ISO/IEC 7816-4 5.2). KF_ERR_APDU where lengths do not agree. */
kf_code softcard_command_parse(kf_view bytes, softcard_command *ret_command) KF_MUST_USE;

/* Class bytes (ISO/IEC 7816-4 5.4.1, GlobalPlatform 11.1.4): 00 to 07 and 80 to 87 for channels 0 to 3, 40 to
 * 4F, 60 to 6F, C0 to CF and E0 to EF for channels 4 to 19. */
unsigned softcard_class_channel(uint8_t class_byte);
bool softcard_class_is_secured(uint8_t class_byte);
bool softcard_class_is_proprietary(uint8_t class_byte);
bool softcard_class_is_known(uint8_t class_byte);
/* The class byte that a C-MAC covers: with secure messaging, on channel 0 (GlobalPlatform E.4.4, Amendment D
 * 6.2.4). */
uint8_t softcard_class_for_mac(uint8_t class_byte);
/* The same without secure messaging, as an R-MAC of SCP02 covers it. */
uint8_t softcard_class_without_channel(uint8_t class_byte);

#endif
