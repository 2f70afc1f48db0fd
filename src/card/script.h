/* A script: commands that a terminal sends to a card one after another, without understanding them. Each has
 * the status words on which it goes on, and where. */
#ifndef KEYFILL_CARD_SCRIPT_H
#define KEYFILL_CARD_SCRIPT_H

#include <keyfill/bytes.h>

#define KF_SCRIPT_ENTRIES_MAX 2048 /* a CAP file of 256 KiB in 200-byte blocks, and its frame */
#define KF_SCRIPT_ACCEPTS_MAX 6    /* an entry */
#define KF_SCRIPT_COMMAND_MAX 262  /* bytes: a short APDU with 255 bytes of data and Le */
#define KF_SCRIPT_RESPONSE_MAX 258 /* bytes with the status word */
#define KF_SCRIPT_LABEL_SIZE 48    /* with its zero */

/* Going on past the last entry ends the script. */
#define KF_SCRIPT_NEXT UINT16_MAX      /* `go_to`: the entry that follows */
#define KF_SCRIPT_END (UINT16_MAX - 1) /* `go_to`: the script is over, successfully */

typedef struct kf_script_accept {
    uint16_t status_word;
    uint16_t mask;  /* bits of the status word that count: FFFF, or FF00 for 61xx */
    uint16_t go_to; /* a later entry's index, KF_SCRIPT_NEXT or KF_SCRIPT_END */
} kf_script_accept;

typedef struct kf_script_entry {
    uint8_t command[KF_SCRIPT_COMMAND_MAX];
    size_t command_size;
    char label[KF_SCRIPT_LABEL_SIZE]; /* what it is, for people: "SELECT issuer security domain" */
    bool secret;                      /* its bytes are not to be shown (ADM1) */
    size_t accept_count;
    kf_script_accept accepts[KF_SCRIPT_ACCEPTS_MAX];
} kf_script_entry;

typedef struct kf_script {
    kf_script_entry *entries;
    size_t count;
    size_t capacity;
} kf_script;

/* What came back for one entry. Entries that were jumped over have none. */
typedef struct kf_script_answer {
    uint16_t entry;
    uint8_t response[KF_SCRIPT_RESPONSE_MAX];
    size_t response_size;
} kf_script_answer;

typedef struct kf_script_answers {
    kf_script_answer *items;
    size_t count;
    size_t capacity;
} kf_script_answers;

/* Appends an entry that accepts 9000 alone, and returns it for more to be set; NULL without memory or past a
 * limit. Valid until the next append. */
kf_script_entry *kf_script_append(kf_script *script, const char *label, kf_view command);
/* KF_ERR_TOO_LONG past KF_SCRIPT_ACCEPTS_MAX. */
kf_code kf_script_accept_also(kf_script_entry *entry, uint16_t status_word, uint16_t mask,
                              uint16_t go_to) KF_MUST_USE;
/* Where an entry's answer leads: an index, KF_SCRIPT_END, or `count` (no more). KF_ERR_STATUS_WORD: not
 * acceptable. */
kf_code kf_script_follow(const kf_script *script, size_t index, uint16_t status_word,
                         size_t *ret_index) KF_MUST_USE;
/* Checks that every go_to points forward and sizes are within the caps; for scripts that came from outside.
 */
kf_code kf_script_check(const kf_script *script, kf_error *error) KF_MUST_USE;
void kf_script_clear(kf_script *script);

kf_code kf_script_answers_append(kf_script_answers *answers, uint16_t entry, kf_view response) KF_MUST_USE;
/* The answer of entry `entry`, or NULL. */
const kf_script_answer *kf_script_answer_of(const kf_script_answers *answers, size_t entry);
/* The last two bytes; 0 if shorter. */
uint16_t kf_script_answer_status_word(const kf_script_answer *answer);
void kf_script_answers_clear(kf_script_answers *answers);

/* Canonical bytes, for digests and for the vault's messages; and back. */
void kf_script_encode(const kf_script *script, kf_buffer *bytes);
kf_code kf_script_decode(kf_cursor *bytes, kf_script *ret_script) KF_MUST_USE;
void kf_script_answers_encode(const kf_script_answers *answers, kf_buffer *bytes);
kf_code kf_script_answers_decode(kf_cursor *bytes, kf_script_answers *ret_answers) KF_MUST_USE;

#endif
