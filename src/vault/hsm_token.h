/* A token behind a PKCS#11 module, for the threads of the helper: opened by its URI (RFC 7512), opened again
 * when it was lost. Nothing here knows a particular module. */
#ifndef KEYFILL_VAULT_HSM_TOKEN_H
#define KEYFILL_VAULT_HSM_TOKEN_H

#include <p11-kit/pkcs11.h>

#include "vault/hsm_protocol.h"

typedef struct kf_hsm_token kf_hsm_token;

typedef struct kf_hsm_token_options {
    const char *uri;              /* pkcs11:token=…; must fit one token */
    const char *module;           /* path; NULL: the URI's module-path, else the modules that p11-kit knows */
    const kf_secret *pin;         /* the user's */
    const kf_secret *officer_pin; /* the security officer's, who makes wrapping keys trusted; NULL: none */
} kf_hsm_token_options;

/* Keeps copies. KF_ERR_CONFIGURATION for a URI that is none. The token need not be there yet. */
kf_code kf_hsm_token_new(const kf_hsm_token_options *options, kf_hsm_token **ret_token,
                         kf_error *error) KF_MUST_USE;
/* No session is left. Frees, sets NULL. */
void kf_hsm_token_free(kf_hsm_token **token);

/* PKCS#11 declares what it only reads without const. */
static inline void *kf_hsm_input(const void *bytes)
{
    union {
        const void *given;
        void *taken;
    } input = {.given = bytes};
    return input.taken;
}

/* One thread's session. */
typedef struct kf_hsm_session {
    kf_hsm_token *token;
    const CK_FUNCTION_LIST *module; /* between enter and leave */
    CK_SESSION_HANDLE handle;
    uint64_t life; /* of the token that the handle is of; 0: none */
    bool failed;   /* the last use did, for no reason that says that the token is gone */
} kf_hsm_session;

/* Makes sure that the token is open and this thread has a session with it, logged in; until kf_hsm_leave it
 * stays so. KF_ERR_UNAVAILABLE where it is not there (asked again at most every KF_HSM_REOPEN_MS), and
 * KF_ERR_KEY_STORE where asking again would not help or would lock the token: a wrong or locked PIN. */
#define KF_HSM_REOPEN_MS 250
kf_code kf_hsm_enter(kf_hsm_session *session, kf_error *error) KF_MUST_USE;
void kf_hsm_leave(kf_hsm_session *session);

/* What a result of the module means; between enter and leave. Where it says that session or token are gone,
 * KF_ERR_UNAVAILABLE, and the next enter opens the token anew; else KF_ERR_UNSUPPORTED or
 * KF_ERR_AUTHENTICATION. A general failure counts as loss where two follow one another: try once more. CKR_OK
 * is KF_OK. */
kf_code kf_hsm_result(kf_hsm_session *session, CK_RV result, const char *what, kf_error *error) KF_MUST_USE;

/* The handle of the one key of that identifier, searched once. KF_ERR_UNAVAILABLE where the token holds none.
 */
kf_code kf_hsm_find(kf_hsm_session *session, const kf_hsm_id *id, CK_OBJECT_HANDLE *ret_handle,
                    kf_error *error) KF_MUST_USE;
void kf_hsm_forget(kf_hsm_session *session, const kf_hsm_id *id);

void kf_hsm_describe(const kf_hsm_session *session, kf_hsm_status *ret_status);

/* Runs `work`, which changes what the token holds, while no other thread uses the token. Not between enter
 * and leave; inside it the session is as after enter. */
typedef kf_code (*kf_hsm_work)(kf_hsm_session *session, void *context, kf_error *error);
kf_code kf_hsm_alone(kf_hsm_session *session, kf_hsm_work work, void *context, kf_error *error) KF_MUST_USE;
/* Runs `work` while the security officer is logged in and nobody else uses the token. KF_ERR_UNSUPPORTED
 * without the officer's PIN. Not between enter and leave. */
kf_code kf_hsm_as_officer(kf_hsm_session *session, kf_hsm_work work, void *context,
                          kf_error *error) KF_MUST_USE;

#endif
