/* Payloads of the requests about cards, as front and vault encode and decode them. Views point into the
 * decoded bytes. */
#ifndef KEYFILL_VAULT_PROCEDURE_MESSAGES_H
#define KEYFILL_VAULT_PROCEDURE_MESSAGES_H

#include <keyfill/cap_file.h>

#include "card/script.h"
#include "vault/procedure.h"

/* KF_VAULT_PROCEDURE_BEGIN. */
typedef struct kf_begin_message {
    kf_procedure_request request;
    kf_view profile; /* YAML text */
    kf_view record;  /* what the reported identifiers lead to, as the vault sealed it; empty: nothing */
    kf_view module;  /* a CAP file; empty where the operation needs none */
} kf_begin_message;

#define KF_BEGIN_MESSAGE_MAX (KF_PROFILE_TEXT_MAX + KF_CARD_RECORD_MAX + KF_CAP_FILE_MAX + 32 * 1024)

void kf_begin_message_put(kf_buffer *bytes, const kf_begin_message *message);
kf_code kf_begin_message_take(kf_cursor *bytes, kf_begin_message *ret_message) KF_MUST_USE;

/* KF_VAULT_PROCEDURE_ADVANCE. The caller clears `answers`. */
typedef struct kf_advance_message {
    kf_vault_actor actor; /* who brings the answers, and for which request */
    uint16_t step;        /* whose answers these are */
    uint16_t attempt;
    kf_view token;
    kf_script_answers answers;
    kf_view profile;
    char looked_up[KF_IDENTITY_SIZE];
    kf_view record; /* of that identity; empty: there is none */
    kf_view module;
} kf_advance_message;

#define KF_ADVANCE_MESSAGE_MAX (KF_VAULT_PAYLOAD_MAX)

void kf_advance_message_put(kf_buffer *bytes, const kf_advance_message *message);
kf_code kf_advance_message_take(kf_cursor *bytes, kf_advance_message *ret_message) KF_MUST_USE;

/* The answer to both. The caller clears `script`. */
typedef struct kf_procedure_message {
    kf_procedure_outcome outcome;
    char identity[KF_IDENTITY_SIZE]; /* NEED_RECORD, DONE */
    uint16_t step;                   /* of the script */
    uint16_t attempt;
    kf_script script;
    kf_view token;
    kf_view record;             /* sealed; empty: unchanged */
    uint64_t replaced_sequence; /* of the record that `record` follows; 0: there was none */
    kf_view applications;       /* app-list */
    char number[KF_NUMBER_SIZE];
    char category[KF_NAME_SIZE];
    uint32_t generation;
    uint32_t base_key_version;
    char kcv[2 * KF_KCV_SIZE + 1];
    char personalised[KF_VALUE_TEXT_SIZE];
    char kept[KF_VALUE_TEXT_SIZE];
    uint16_t round_trips;
    uint16_t apdus;
    char text[KF_ERROR_MESSAGE_SIZE];
} kf_procedure_message;

void kf_procedure_message_put(kf_buffer *bytes, const kf_procedure_message *message);
kf_code kf_procedure_message_take(kf_cursor *bytes, kf_procedure_message *ret_message) KF_MUST_USE;

#endif
