/* The record of one card, as the vault made it: what state the card is in, which key it holds, and which one
 * it may hold instead after something broke. The front keeps it and cannot alter it: it carries a MAC of the
 * vault's. */
#ifndef KEYFILL_VAULT_CARD_RECORD_H
#define KEYFILL_VAULT_CARD_RECORD_H

#include <keyfill/globalplatform.h>
#include <keyfill/secret.h>

#include "vault/named_values.h"

#define KF_IDENTITY_SIZE 72 /* with its zero: "kdd:" and 20 digits, or "iccid:" and up to 20 */
#define KF_NAME_SIZE 65     /* of a category, profile, module, caller; with its zero */
#define KF_NUMBER_SIZE 21   /* of a card number, ICCID, IMSI; with its zero */
#define KF_CARD_RECORD_MAC_SIZE 16
#define KF_CARD_RECORD_MAX 8192 /* bytes encoded */

typedef enum kf_card_state {
    KF_CARD_BLANK = 0, /* no key of ours */
    KF_CARD_FILLING = 1,
    KF_CARD_FILLED = 2,
    KF_CARD_REFILLING = 3,
    KF_CARD_CLEARING = 4,
    KF_CARD_UNKNOWN = 5, /* something broke; the next contact settles it */
} kf_card_state;

/* Which key: all that its derivation needs beside the record's `derivation`. Generation 0: none. */
typedef struct kf_card_key {
    uint32_t generation;
    uint32_t base_key_version;
    char base_key[KF_NAME_SIZE]; /* the base key's category: the card's, or "default" */
    uint8_t key_version;         /* on the card: 30 to 3F */
} kf_card_key;

typedef struct kf_card_record {
    char identity[KF_IDENTITY_SIZE];
    kf_card_state state;
    char category[KF_NAME_SIZE];
    char profile[KF_NAME_SIZE];
    uint8_t profile_digest[32];
    kf_aid domain; /* the security domain that the fill put the key in */
    char number[KF_NUMBER_SIZE];
    char iccid[KF_NUMBER_SIZE];
    kf_card_key present;
    kf_card_key pending;
    kf_card_key previous;
    uint32_t last_generation;   /* the highest ever begun; never repeated */
    bool number_written;        /* EF.MSISDN was, or may have been, written by us: clear erases it */
    kf_named_values derivation; /* what enters the derivation of the card's key, as it was at the fill */
    char personalised[KF_VALUE_TEXT_SIZE]; /* names of the fields that are on the card:
                                              "plan,application_data" */
    uint64_t sequence;                     /* counts the record's changes */
} kf_card_record;

const char *kf_card_state_name(kf_card_state state);

/* Appends the record and its MAC (AES-CMAC under `record_key`, 32 bytes). */
kf_code kf_card_record_seal(const kf_card_record *record, const kf_secret *record_key,
                            kf_buffer *bytes) KF_MUST_USE;
/* KF_ERR_RECORD where the MAC does not verify or the bytes are malformed. */
kf_code kf_card_record_open(kf_view bytes, const kf_secret *record_key,
                            kf_card_record *ret_record) KF_MUST_USE;
/* The record's own bytes, without a MAC: inside a sealed token. */
void kf_card_record_encode(const kf_card_record *record, kf_buffer *bytes);
kf_code kf_card_record_decode(kf_cursor *bytes, kf_card_record *ret_record) KF_MUST_USE;
/* Reads without the MAC: for the front, which shows records and keeps columns of them. */
kf_code kf_card_record_read_unverified(kf_view bytes, kf_card_record *ret_record) KF_MUST_USE;

/* Names in a list "a,b,c". KF_ERR_TOO_LONG where the list is full. */
bool kf_name_list_has(const char *list, const char *name);
kf_code kf_name_list_add(char *list, size_t list_size, const char *name) KF_MUST_USE;
void kf_name_list_remove(char *list, const char *name);

#endif
