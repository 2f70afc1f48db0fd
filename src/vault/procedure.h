/* The procedures: fill, refill, clear and application management as steps from the card's answers to the next
 * script and the card's next record. They do no I/O, read no clock and keep nothing: what they need comes in,
 * what they decide goes out.
 *
 * A procedure is a contact, in which the card is read and proven, and then sessions, each a secure channel
 * with one security domain (procedure_plan.h). A session's script ends with SELECT and INITIALIZE UPDATE of
 * the next one.
 */
#ifndef KEYFILL_VAULT_PROCEDURE_H
#define KEYFILL_VAULT_PROCEDURE_H

#include <keyfill/cap_file.h>

#include "card/script.h"
#include "vault/key_store.h"
#include "vault/procedure_state.h"

#define KF_PROCEDURE_LIFETIME_MS ((uint64_t)10 * 60 * 1000) /* of a token */

/* What a step needs from outside. Nothing is owned. */
typedef struct kf_procedure_context {
    kf_key_store *keys;
    uint64_t now;     /* milliseconds since 1970 */
    bool development; /* card-manager keys that every card shares are accepted */
    const kf_profile *profile;
    const kf_cap_file *module; /* app-load, app-delete; else NULL */
    uint8_t fresh[2]
                 [KF_HOST_CHALLENGE_SIZE]; /* random, new at every step: host challenges of the next script */
} kf_procedure_context;

typedef enum kf_procedure_outcome {
    KF_PROCEDURE_CONTINUE = 1, /* `script` goes to the card */
    KF_PROCEDURE_DONE = 2,
    KF_PROCEDURE_NEED_RECORD =
        3, /* call again with the record of `identity`, or with none if there is none */
} kf_procedure_outcome;

typedef struct kf_procedure_result {
    kf_procedure_outcome outcome;
    kf_script script;
    bool record_changed; /* state.record is to be durable before anything leaves */
    char identity[KF_IDENTITY_SIZE];
    char kcv[2 * KF_KCV_SIZE + 1]; /* of the card's ENC key; "" without */
    char personalised[KF_VALUE_TEXT_SIZE];
    char kept[KF_VALUE_TEXT_SIZE];
    char text[KF_ERROR_MESSAGE_SIZE]; /* the plain sentence at the end */
} kf_procedure_result;

void kf_procedure_result_clear(kf_procedure_result *result);

/* Begins a request (S2 to S11). `known`: the record that the reported identifiers lead to, or NULL; a hint,
 * no proof. The state belongs to the caller in success. Refused before the card is touched: KF_ERR_NO_KEY,
 * KF_ERR_STATE, KF_ERR_FIELD, KF_ERR_KEY_POLICY. */
kf_code kf_procedure_begin(const kf_procedure_context *context, const kf_procedure_request *request,
                           const kf_card_record *known, kf_procedure_state *ret_state,
                           kf_procedure_result *ret_result, kf_error *error) KF_MUST_USE;

typedef struct kf_procedure_answers {
    const kf_script_answers *answers;
    char looked_up[KF_IDENTITY_SIZE]; /* which card's record the front looked for; "" none yet */
    const kf_card_record *record;     /* NULL: there is none of that identity */
} kf_procedure_answers;

/* Takes the card's answers to the script that `state` describes, and moves `state` on. In failure the state
 * is as before, the card as far as the answers went, and the record as it was made durable: the next contact
 * settles it. */
kf_code kf_procedure_advance(const kf_procedure_context *context, kf_procedure_state *state,
                             const kf_procedure_answers *answers, kf_procedure_result *ret_result,
                             kf_error *error) KF_MUST_USE;

#endif
