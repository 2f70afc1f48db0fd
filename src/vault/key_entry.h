/* What is known of a base key: everything but its bytes. */
#ifndef KEYFILL_VAULT_KEY_ENTRY_H
#define KEYFILL_VAULT_KEY_ENTRY_H

#include <keyfill/diversify.h>
#include <keyfill/kcv.h>

#define KF_CATEGORY_SIZE 65 /* 1 to 64 of a-z A-Z 0-9 - _ . and a zero */
#define KF_CATEGORY_DEFAULT "default"
#define KF_KEY_PROFILES_MAX 8 /* permitted profiles of one key */
#define KF_PROFILE_DIGEST_SIZE 32

typedef enum kf_key_purpose {
    KF_PURPOSE_PAYMENT = 1,
    KF_PURPOSE_CARD_MANAGER = 2,
    KF_PURPOSE_ADM = 3,
    KF_PURPOSE_TRANSPORT = 4, /* the category is the name of the pair of units */
    KF_PURPOSE_GROUP = 5,     /* seals the state between messages */
} kf_key_purpose;

/* NIST SP 800-57 Part 1, 7. */
typedef enum kf_key_state {
    KF_KEY_PRE_ACTIVE = 1,
    KF_KEY_ACTIVE = 2,
    KF_KEY_SUSPENDED = 3,
    KF_KEY_DEACTIVATED = 4, /* proves what it made before, makes nothing new */
    KF_KEY_DESTROYED = 5,   /* the bytes are gone, the entry stays */
} kf_key_state;

typedef enum kf_key_channel { KF_CHANNEL_ANY = 0, KF_CHANNEL_SCP02 = 2, KF_CHANNEL_SCP03 = 3 } kf_key_channel;

/* Travels authenticated with the key. */
typedef struct kf_key_policy {
    uint8_t profiles[KF_KEY_PROFILES_MAX][KF_PROFILE_DIGEST_SIZE]; /* SHA-256 of permitted profiles */
    size_t profile_count;                                          /* 0: any */
    kf_key_channel least_channel;
    uint8_t least_level;    /* bits of EXTERNAL AUTHENTICATE's P1 that must all be set: 01 C-MAC, 02
                               C-DECRYPTION, 10 R-MAC, 20 R-ENC */
    bool clear_at_terminal; /* keys made from it are seen at the terminal (ADM1, sim-file): serves nothing
                               else */
    bool refill_new_version_only; /* `refill: new-base-key-version-only`: the template holds no generation */
    bool exportable; /* may leave in a key block; only base key management units hold such keys */
    bool key_blocks; /* of a transport key: base keys go under it in X9.143 blocks also where this unit has a
                        token, and so through the vault's memory */
    char diversification[KF_DIVERSIFICATION_TEXT_MAX + 1]; /* empty for transport and group keys */
} kf_key_policy;

typedef struct kf_key_entry {
    char category[KF_CATEGORY_SIZE];
    kf_key_purpose purpose;
    uint32_t version; /* from 1 */
    kf_algorithm algorithm;
    size_t size; /* bytes */
    kf_kcv kcv;  /* AES and SM4: CMAC of zeros; 3DES: encrypted zeros */
    kf_key_state state;
    uint64_t created;              /* seconds since 1970 */
    uint64_t valid_from;           /* seconds; 0: at once */
    uint64_t valid_until;          /* seconds; 0: without end */
    uint64_t revision;             /* of the last change, counted by the unit that made the key */
    char origin[KF_CATEGORY_SIZE]; /* the pair of units it came over; empty: made here */
    kf_key_policy policy;
} kf_key_entry;

/* A category's or pair's name. KF_ERR_FIELD with the rule. */
kf_code kf_category_check(const char *name, kf_error *error) KF_MUST_USE;

const char *
kf_key_purpose_name(kf_key_purpose purpose); /* "payment", "card-manager", "adm", "transport", "group" */
kf_code kf_key_purpose_from_name(const char *name,
                                 kf_key_purpose *ret_purpose) KF_MUST_USE; /* KF_ERR_FIELD */
const char *kf_key_state_name(kf_key_state state);                         /* "pre-active", "active", … */
kf_code kf_key_state_from_name(const char *name, kf_key_state *ret_state) KF_MUST_USE;
const char *kf_key_algorithm_name(kf_algorithm algorithm); /* "aes", "tdes", "sm4" */
kf_code kf_key_algorithm_from_name(const char *name, kf_algorithm *ret_algorithm) KF_MUST_USE;
/* Sizes that a base key may have: AES 16, 24, 32; 3DES 16, 24; SM4 16. */
bool kf_key_size_fits(kf_algorithm algorithm, size_t size);
/* The check value shown for a base key. */
kf_code kf_key_entry_kcv(kf_algorithm algorithm, const kf_secret *key, kf_kcv *ret_kcv) KF_MUST_USE;

/* How far another unit's revisions have arrived over a pair of units. */
typedef struct kf_key_peer {
    char name[KF_CATEGORY_SIZE];
    uint64_t revision;
} kf_key_peer;
#define KF_KEY_PEERS_MAX 64

/* "payment/cn-north/1", for messages and receipts. */
typedef struct kf_key_label {
    char text[KF_CATEGORY_SIZE + 32];
} kf_key_label;
kf_key_label kf_key_label_of(const kf_key_entry *entry);

/* Canonical bytes of entry and policy, for messages and the key file; and back, every cap checked. */
void kf_key_entry_put(kf_buffer *bytes, const kf_key_entry *entry);
kf_code kf_key_entry_take(kf_cursor *bytes, kf_key_entry *ret_entry) KF_MUST_USE;
void kf_key_policy_put(kf_buffer *bytes, const kf_key_policy *policy);
kf_code kf_key_policy_take(kf_cursor *bytes, kf_key_policy *ret_policy) KF_MUST_USE;

#endif
