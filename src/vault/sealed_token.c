#include "vault/sealed_token.h"

#include <string.h>

#include "crypto/seal.h"

static void put_context(const kf_vault_actor *actor, kf_buffer *context)
{
    kf_buffer_append_text(context, "keyfill token 1");
    kf_vault_actor_put(context, actor);
}

kf_code kf_token_seal(const kf_key_store *keys, const kf_procedure_state *state, kf_buffer *token)
{
    uint32_t version = 0;
    const kf_secret *group_key = kf_key_store_group_key(keys, 0, &version);
    if (group_key == NULL) return KF_ERR_NO_KEY;
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = kf_buffer_with_limit(KF_PROCEDURE_STATE_MAX);
    KF_CLEANUP(kf_buffer_clear) kf_buffer context = KF_BUFFER_INIT;
    kf_procedure_state_encode(state, &plain);
    put_context(&state->request.actor, &context);
    KF_TRY(kf_buffer_status(&plain));
    KF_TRY(kf_buffer_status(&context));
    kf_buffer_append_u32(token, version);
    return kf_seal(group_key, kf_buffer_view(&context), kf_buffer_view(&plain), token);
}

static kf_code open_sealed(const kf_key_store *keys, const kf_vault_actor *actor, kf_view token,
                           kf_procedure_state *ret_state)
{
    kf_cursor cursor = kf_cursor_of(token);
    uint32_t version;
    KF_TRY(kf_cursor_u32(&cursor, &version));
    if (version == 0) return KF_ERR_TOKEN;
    const kf_secret *group_key = kf_key_store_group_key(keys, version, &version);
    if (group_key == NULL) return KF_ERR_TOKEN;
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = kf_buffer_with_limit(KF_PROCEDURE_STATE_MAX);
    KF_CLEANUP(kf_buffer_clear) kf_buffer context = KF_BUFFER_INIT;
    put_context(actor, &context);
    KF_TRY(kf_buffer_status(&context));
    KF_TRY(kf_unseal(group_key, kf_buffer_view(&context), cursor.rest, &plain));
    kf_cursor bytes = kf_cursor_of(kf_buffer_view(&plain));
    KF_TRY(kf_procedure_state_decode(&bytes, ret_state));
    if (kf_cursor_at_end(&bytes)) return KF_OK;
    kf_procedure_state_clear(ret_state);
    return KF_ERR_TOKEN;
}

kf_code kf_token_open(const kf_key_store *keys, const kf_vault_actor *actor, kf_view token, uint64_t now,
                      kf_procedure_state *ret_state, kf_error *error)
{
    kf_procedure_state state = {0};
    if (open_sealed(keys, actor, token, &state) != KF_OK)
        return kf_fail(error, KF_ERR_TOKEN,
                       "the token is not one of this group's for request %s of %s; begin the request again",
                       actor->request, actor->who);
    if (state.expires <= now) {
        kf_procedure_state_clear(&state);
        return kf_fail(error, KF_ERR_TOKEN, "the token of request %s has expired; present the card again",
                       actor->request);
    }
    *ret_state = state;
    return KF_OK;
}
