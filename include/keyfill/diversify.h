/* Diversification: a card's key from a base key and what is known of the card. It is data, not code: one line
 * of text, which travels authenticated with the base key.
 *
 *     LINE   = LEVEL *( " > " LEVEL )       chained: the result of one is the base key of the next
 *     LEVEL  = METHOD "(" [FIELD *( "," FIELD )] ")"
 *     FIELD  = NAME *( "/" OPTION )         NAME: a-z, then a-z 0-9 - _ . (up to 31 characters)
 *            | "'" HEX "'"                  a constant of 1 to 64 bytes: '0102'
 *            | "role"                       one byte: 01 ENC, 02 MAC, 03 DEK, 00 for a single key
 *     OPTION = ascii | bcd | hex | binary   encoding; ascii where none is given
 *            | SIZE                         exactly so many bytes (1 to 255) in the end
 *            | left-XX | right-XX           pad on that side with byte XX up to SIZE (ascii, hex)
 *            | left-X | right-X             pad with digit X up to SIZE or a whole byte (bcd, hex)
 *            | last | first                 keep the last (first) SIZE bytes of a longer value
 *
 * Encodings: bcd packs two decimal digits a byte, hex two hexadecimal ones, binary writes a decimal number
 * big-endian, with zeros on the left up to SIZE. A value that does not come to SIZE, or is longer without
 * last or first, is an error. In one level at most one field may be without SIZE, so that the inputs of two
 * cards never run together. Example: sp800-108-aes(role,number/bcd/8/right-F,generation/binary/2)
 *
 * Methods; their input is the fields laid end to end, their result is as long as the base key:
 *
 *     none            the base key itself: none(), alone in its line
 *     sp800-108-aes   SP 800-108 5.1, counter mode with AES-CMAC over
 *                     [i]8 || "keyfill" || 00 || input || [L]16: a counter of one byte in front, label,
 *                     separator, context, the result's length in bits; input 1 to 1024 bytes
 *     sp800-108-sm4   the same with SM4-CMAC
 *     an10922-aes128, an10922-aes192, an10922-aes256, an10922-2tdea, an10922-3tdea
 *                     NXP AN10922 2; input 1 to 31 bytes (AES), 1 to 15 (3DES); parity left alone
 *     emv-option-a    EMV Book 2 A1.4.1: 3DES of 16 bytes, odd parity; the input's last 8 bytes, zeros
 *                     before a shorter one: emv-option-a(pan/bcd/left-0,psn/bcd/1/left-0)
 *     emv-option-b    EMV Book 2 A1.4.2: up to 9 bytes (16 digits and a sequence number) as option A,
 *                     beyond that through SHA-1
 *     emv-option-c    EMV Book 2 A1.4.3: AES, no parity; input 1 to 16 bytes, zeros before a shorter one
 *     pboc-3des       JR/T 0025.7: 3DES of 16 bytes, E(input) || E(~input), parity left alone; input 8 bytes
 *     pboc-sm4        JR/T 0025.17: E(input || ~input); input 8 bytes
 *     visa2           input: 10 bytes of key diversification data, then the role: visa2(kdd/hex/10,role);
 *                     3DES of 16 bytes, E(d || F0 || role || d || 0F || role), d = bytes 1, 2, 5 to 8
 *     emv-cps         the same with d = the last 6 bytes of the data (EMV CPS 1.1, keys from KEYDATA)
 *     kdf3            the same input, AES: counter mode over [i]8 || 000000 || role || 00 || data
 */
#ifndef KEYFILL_DIVERSIFY_H
#define KEYFILL_DIVERSIFY_H

#include <keyfill/cipher.h>

typedef struct kf_diversification kf_diversification;

#define KF_DIVERSIFICATION_TEXT_MAX 512 /* bytes */
#define KF_DIVERSIFICATION_LEVELS_MAX 4
#define KF_DIVERSIFICATION_FIELDS_MAX 16  /* a level */
#define KF_DIVERSIFICATION_NAME_MAX 31    /* characters of a field's name */
#define KF_DIVERSIFICATION_VALUE_MAX 512  /* characters of a field's value */
#define KF_DIVERSIFICATION_INPUT_MAX 1024 /* bytes of a level's input */

/* What is known of a card: names and values as text (kdd and iccid as hex digits, generation as a decimal
 * number). */
typedef struct kf_field {
    const char *name;
    const char *value;
} kf_field;

typedef struct kf_fields {
    const kf_field *items;
    size_t count;
} kf_fields;

typedef enum kf_key_role {
    KF_ROLE_SINGLE = 0,
    KF_ROLE_ENC = 1,
    KF_ROLE_MAC = 2,
    KF_ROLE_DEK = 3
} kf_key_role;

/* KF_ERR_DIVERSIFICATION names the word that is wrong. */
kf_code kf_diversification_parse(const char *line, kf_diversification **ret_diversification,
                                 kf_error *error) KF_MUST_USE;
void kf_diversification_free(kf_diversification **diversification);
/* Whether some level takes the field `name`; so `generation` and `role` can be demanded. */
bool kf_diversification_uses(const kf_diversification *diversification, const char *name);
/* Whether every card gets the same key: method `none`, or no level takes a field other than `role` and
 * `generation`. */
bool kf_diversification_is_none(const kf_diversification *diversification);

/* The card's key. `algorithm` is the base key's and the result's. KF_ERR_DIVERSIFICATION names the field that
 * is missing or too long. */
kf_code kf_diversify(const kf_diversification *diversification, kf_algorithm algorithm,
                     const kf_secret *base_key, kf_fields fields, kf_key_role role, kf_secret **ret_key,
                     kf_error *error) KF_MUST_USE;

/* Many keys from one base key: its key schedule stays at hand, and where the method allows it the cards are
 * worked side by side. Memory does not grow with the number of cards. Not shared between threads. */
typedef struct kf_diversifier kf_diversifier;

#define KF_DIVERSIFY_MANY_MAX 128 /* cards of one call */

/* Copies what it needs of `diversification` and `base_key`. KF_ERR_DIVERSIFICATION where the base key does
 * not fit the method. */
kf_code kf_diversifier_new(const kf_diversification *diversification, kf_algorithm algorithm,
                           const kf_secret *base_key, kf_diversifier **ret_diversifier,
                           kf_error *error) KF_MUST_USE;
/* Wipes, frees, sets NULL. */
void kf_diversifier_free(kf_diversifier **diversifier);

/* Cards of one call: what is known of each, and which key of each is wanted. */
typedef struct kf_card_batch {
    const kf_fields *cards;
    size_t count; /* 1 to KF_DIVERSIFY_MANY_MAX */
    kf_key_role role;
} kf_card_batch;

/* Writes the keys into `keys`, end to end: what kf_diversify gives for each card. `keys` has at least count
 * times the base key's size bytes (else KF_ERR_ARGUMENT) and may be used again and again. The message says
 * which card it was (from 0); `keys` is as before where a field was missing or too long. */
kf_code kf_diversify_many(kf_diversifier *diversifier, const kf_card_batch *batch, kf_secret *keys,
                          kf_error *error) KF_MUST_USE;

/* Appends what the fields of level `level` (from 0) give, laid end to end: for tests and for tokens that
 * derive by themselves. KF_ERR_ARGUMENT where there is no such level. */
kf_code kf_diversification_input(const kf_diversification *diversification, size_t level, kf_fields fields,
                                 kf_key_role role, kf_buffer *input, kf_error *error) KF_MUST_USE;

#endif
