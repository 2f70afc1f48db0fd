/* Diversification: a card's key from a base key and what is known of the card. It is data, not code: one line
 * of text, which travels authenticated with the base key.
 *
 *     LINE   = LEVEL *( " > " LEVEL )          levels are chained: the result of one is the base key of the
 * next LEVEL  = METHOD "(" [FIELD *( "," FIELD )] ")" FIELD  = NAME *( "/" OPTION )   or   HEX in single
 * quotes, a constant:  '0102' OPTION = ascii | bcd | hex | binary       encoding; bcd packs two digits a
 * byte; binary writes a decimal number big-endian | SIZE                             exactly so many bytes
 * after encoding and padding | left-XX | right-XX               pad on that side with byte XX up to SIZE
 * (bcd: with nibble X, one digit: left-X, right-X) | last | first                     keep the last (first)
 * SIZE bytes of a longer value; without it too long is an error
 *
 * The field `role` is one byte given by the library: 01 ENC, 02 MAC, 03 DEK, 00 where one key is wanted.
 * Example: sp800-108-aes(role,number/bcd/8/right-F,generation/binary/2)
 */
#ifndef KEYFILL_DIVERSIFY_H
#define KEYFILL_DIVERSIFY_H

#include <keyfill/cipher.h>

typedef struct kf_diversification kf_diversification;

#define KF_DIVERSIFICATION_TEXT_MAX 512 /* bytes */
#define KF_DIVERSIFICATION_LEVELS_MAX 4
#define KF_DIVERSIFICATION_FIELDS_MAX 16 /* a level */

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
/* Whether every card gets the same key (method `none` alone). */
bool kf_diversification_is_none(const kf_diversification *diversification);

/* The card's key. `algorithm` is the base key's and the result's. KF_ERR_DIVERSIFICATION names the field that
 * is missing or too long. */
kf_code kf_diversify(const kf_diversification *diversification, kf_algorithm algorithm,
                     const kf_secret *base_key, kf_fields fields, kf_key_role role, kf_secret **ret_key,
                     kf_error *error) KF_MUST_USE;
/* The input bytes of level `level` (from 0), for tests and for tokens that derive by themselves. */
kf_code kf_diversification_input(const kf_diversification *diversification, size_t level, kf_fields fields,
                                 kf_key_role role, kf_buffer *input, kf_error *error) KF_MUST_USE;

#endif
