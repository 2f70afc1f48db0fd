/* What a request is and how far it has come: all that the vault needs to take the next message, whichever
 * unit of the group gets it. It travels in a sealed token (sealed_token.h) and holds no key. */
#ifndef KEYFILL_VAULT_PROCEDURE_STATE_H
#define KEYFILL_VAULT_PROCEDURE_STATE_H

#include "vault/profile.h"
#include "vault/protocol.h"
#include "wire/operation.h"

#define KF_HOST_CHALLENGE_SIZE 8           /* bytes: SCP03 in S8 mode, SCP02 */
#define KF_INITIALIZE_UPDATE_MAX 64        /* bytes of an answer with its status word */
#define KF_LISTS_MAX 3                     /* GET STATUS scopes of a session */
#define KF_APPLICATION_LIST_MAX 16384      /* bytes of collected GET STATUS answers */
#define KF_PROCEDURE_STATE_MAX (64 * 1024) /* bytes encoded */

typedef enum kf_personalise {
    KF_PERSONALISE_IF_ABSENT = 0,
    KF_PERSONALISE_ALWAYS = 1,
    KF_PERSONALISE_NEVER = 2,
} kf_personalise;

typedef struct kf_procedure_request {
    kf_vault_actor actor; /* the host, and the request's id */
    uint16_t attempt;     /* from 1 */
    char terminal[KF_NAME_SIZE];
    kf_operation operation;
    char category[KF_NAME_SIZE];
    char number[KF_NUMBER_SIZE]; /* "" where the operation needs none */
    char iccid[KF_NUMBER_SIZE];
    char imsi[KF_NUMBER_SIZE];
    bool write_number; /* to EF.MSISDN */
    kf_personalise personalise;
    kf_named_values personalisation;
    uint32_t generation_floor; /* the highest generation that this number ever had, on any card */
    uint8_t module_digest[32]; /* of the CAP file; zeros without */
    char module[KF_NAME_SIZE]; /* registered name */
} kf_procedure_request;

/* Which keys open a channel, and so what its cryptogram proves. */
typedef enum kf_channel_keys {
    KF_KEYS_NONE = 0,
    KF_KEYS_ISSUER = 1,   /* the card manager's, diversified; also a domain's that has none of its own */
    KF_KEYS_PENDING = 2,  /* the card key that a broken-off act may have written */
    KF_KEYS_PRESENT = 3,  /* the card key of record */
    KF_KEYS_FACTORY = 4,  /* what a preloaded domain came with */
    KF_KEYS_PREVIOUS = 5, /* the card key before the one of record */
} kf_channel_keys;

/* Which script is with the terminal. */
typedef enum kf_script_kind {
    KF_SCRIPT_CONTACT = 1, /* reads and INITIALIZE UPDATE only: changes nothing */
    KF_SCRIPT_SESSION = 2, /* a session's wrapped commands, and the next session's INITIALIZE UPDATE */
} kf_script_kind;

/* What the contact showed; the keys are proven, the rest is the card's word. */
typedef struct kf_card_facts {
    bool domain_present;
    kf_channel_keys domain_keys; /* which fit the domain */
    bool file_channel;           /* the card gave the logical channel for its files */
    uint8_t number_record_size;  /* of EF.MSISDN; 0: not there */
    bool adm_known;
    uint8_t adm_tries;                          /* left, where known */
    uint16_t file_sizes[KF_PROFILE_FIELDS_MAX]; /* of sim-file fields, in the profile's order; 0: not there */
    char kept[KF_VALUE_TEXT_SIZE];              /* names of fields that the card has from before */
} kf_card_facts;

typedef struct kf_procedure_state {
    kf_procedure_request request;
    uint8_t profile_digest[32];
    uint16_t step;    /* of the script that is with the terminal, from 1 */
    uint16_t attempt; /* from 1: a card that gives another answer is a new attempt */
    uint64_t expires; /* milliseconds since 1970 */
    kf_script_kind script;
    uint8_t session;                  /* index of the session whose commands the script holds */
    uint16_t first_command;           /* those before it went in an earlier script of the same session */
    uint8_t list_pages[KF_LISTS_MAX]; /* GET STATUS [next] commands so far, of each list */
    uint8_t issuer_challenge[KF_HOST_CHALLENGE_SIZE]; /* of the INITIALIZE UPDATEs in the script */
    uint8_t domain_challenge[KF_HOST_CHALLENGE_SIZE];
    uint8_t session_challenge[KF_HOST_CHALLENGE_SIZE]; /* of the running session */
    uint8_t session_answer[KF_INITIALIZE_UPDATE_MAX];
    uint8_t session_answer_size;
    uint8_t script_digest[32];
    kf_card_facts facts;
    kf_card_record record; /* as it will be, or is, recorded */
    bool recorded;         /* the intent is durable */
    uint16_t round_trips;
    uint16_t apdus;
    kf_buffer applications; /* plain GET STATUS answers: scope byte, u16 length, data, one after another */
} kf_procedure_state;

/* A card key's set: three keys, or one three times. */
typedef struct kf_card_keys {
    kf_secret *enc;
    kf_secret *mac;
    kf_secret *dek;
} kf_card_keys;
void kf_card_keys_clear(kf_card_keys *keys);

void kf_procedure_request_encode(const kf_procedure_request *request, kf_buffer *bytes);
kf_code kf_procedure_request_decode(kf_cursor *bytes, kf_procedure_request *ret_request) KF_MUST_USE;
void kf_procedure_state_encode(const kf_procedure_state *state, kf_buffer *bytes);
/* The caller clears the state, in success only. */
kf_code kf_procedure_state_decode(kf_cursor *bytes, kf_procedure_state *ret_state) KF_MUST_USE;
void kf_procedure_state_clear(kf_procedure_state *state);

#endif
