/* Commands and responses of smart cards (ISO/IEC 7816-4 §5): encoding, decoding, status words for people. */
#ifndef KEYFILL_APDU_H
#define KEYFILL_APDU_H

#include <keyfill/bytes.h>

#define KF_COMMAND_HEADER_SIZE 4      /* CLA INS P1 P2 */
#define KF_COMMAND_DATA_MAX 255       /* bytes of a short command */
#define KF_COMMAND_LE_MAX 256         /* short */
#define KF_COMMAND_EXTENDED_MAX 65535 /* bytes of data */
#define KF_COMMAND_EXTENDED_LE_MAX 65536

/* One command. `data` is not owned. */
typedef struct kf_command {
    uint8_t cla;
    uint8_t ins;
    uint8_t p1;
    uint8_t p2;
    kf_view data;  /* empty: no Lc */
    bool has_le;   /* a response with data is expected */
    size_t le;     /* 1 to 256, extended 1 to 65536; 256 is written 00 */
    bool extended; /* lengths of two bytes; never chosen by itself */
} kf_command;

/* Appends the command's bytes. KF_ERR_APDU where data or Le are too long for its form. */
kf_code kf_command_encode(const kf_command *command, kf_buffer *bytes) KF_MUST_USE;
/* Any of the seven forms (cases 1, 2, 3, 4, short and extended). `data` points into `bytes`. KF_ERR_APDU for
 * anything else. */
kf_code kf_command_parse(kf_view bytes, kf_command *ret_command) KF_MUST_USE;

/* A card's answer; `data` points into what was parsed. */
typedef struct kf_response {
    kf_view data;
    uint16_t status_word;
} kf_response;

/* KF_ERR_APDU where there is no status word (90xx, 6xxx but not 60xx: §5.6) at the end. */
kf_code kf_response_parse(kf_view bytes, kf_response *ret_response) KF_MUST_USE;

/* 9000, 61xx and the warnings 62xx and 63xx: the command took effect. */
bool kf_status_word_is_normal(uint16_t status_word);
/* What a status word means and what may be done, a static text without the number. Never NULL. */
const char *kf_status_word_explain(uint16_t status_word);

/* "6982: security status not satisfied: …", with the tries left (63Cx) and the lengths (61xx, 6Cxx) filled
 * in. */
typedef struct kf_status_word_text {
    char text[192];
} kf_status_word_text;
kf_status_word_text kf_status_word_show(uint16_t status_word);
/* KF_ERR_STATUS_WORD with "WHAT: the card answers 6982: …". */
kf_code kf_fail_status_word(kf_error *error, const char *what, uint16_t status_word);

/* Logical channels 0 to 19 in a class byte (§5.4.1). `cla` comes without a channel: 00, 80 or, with secure
 * messaging of GlobalPlatform, 04, 84 (further channels: 40, 60, C0, E0). Channels above 19: unchanged. */
uint8_t kf_class_with_channel(uint8_t cla, unsigned channel);
unsigned kf_class_channel(uint8_t cla);
/* Puts an encoded command on a logical channel, 0 to 19. KF_ERR_ARGUMENT for another channel or an empty
 * buffer. */
kf_code kf_command_set_channel(kf_buffer *apdu, unsigned channel) KF_MUST_USE;
/* Appends the same command with lengths of two bytes, for cards that say they take them
 * (kf_transport_capability_of); `le`: 1 to 65536, 0 keeps what the command has (256 becomes 65536). */
kf_code kf_command_extend(kf_view apdu, size_t le, kf_buffer *extended) KF_MUST_USE;
/* Whether the class byte announces secure messaging. */
bool kf_class_is_secure(uint8_t cla);

/* -- transmission: what a reader's driver does for every command -- */

/* Appends the command as T=0 carries it (ISO/IEC 7816-3 §12.2): case 1 gets P3 = 00, case 4 loses its Le,
 * since the card offers its data by 61xx. KF_ERR_APDU for an extended command, which T=0 has not. */
kf_code kf_command_for_t0(kf_view apdu, kf_buffer *tpdu) KF_MUST_USE;
/* Appends what is sent after `sent` was answered with `status_word` (ISO/IEC 7816-4 §5.3.4): GET RESPONSE on
 * the same logical channel for 61xx; for 6Cxx the same command with that Le, where it has no data to be
 * processed twice. Nothing where the answer is whole. Data come piece by piece, the last piece with the
 * status word. */
kf_code kf_command_continue(kf_view sent, uint16_t status_word, kf_buffer *next) KF_MUST_USE;

/* Several commands, one behind another, each owning its bytes. Initialise with {0}. */
#define KF_COMMAND_LIST_MAX 2048
typedef struct kf_command_list {
    kf_buffer *items;
    size_t count;
    size_t capacity;
} kf_command_list;

/* A new empty command at the end; NULL without memory or past KF_COMMAND_LIST_MAX. Valid until the next
 * call. */
kf_buffer *kf_command_list_append(kf_command_list *list);
/* Fits KF_CLEANUP. */
void kf_command_list_clear(kf_command_list *list);

#endif
