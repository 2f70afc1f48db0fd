#include "softcard/signatures.h"

#include <keyfill/mac.h>

#include "softcard/card.h"
#include "softcard/key_sets.h"
#include "softcard/public_keys.h"
#include "softcard/registry.h"

enum { SIGNATURE_KEY = 0x01, RECEIPT_KEY_BESIDE_TOKEN_KEY = 0x02, SIGNATURE_MAX = 16 };

static kf_code sign(const softcard_key *key, kf_view message, kf_buffer *signature)
{
    uint8_t mac[SIGNATURE_MAX];
    if (softcard_key_type_is_des(key->type)) {
        KF_CLEANUP(kf_mac_pair_free) kf_mac_pair pair = {NULL, NULL};
        if (kf_secret_size(key->value) != 16) return KF_ERR_KEY_SIZE;
        KF_TRY(kf_mac_retail_pair(kf_secret_expose(key->value), &pair));
        KF_TRY(kf_mac_retail(pair, KF_PADDING_2, NULL, message, mac));
        kf_buffer_append_bytes(signature, mac, 8);
        return kf_buffer_status(signature);
    }
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new_secret(KF_AES, key->value, &cipher));
    KF_TRY(kf_cmac(cipher, message, mac));
    kf_buffer_append_bytes(signature, mac, sizeof mac);
    return kf_buffer_status(signature);
}

static const softcard_key *find_key(softcard_application *domain, uint8_t version)
{
    const softcard_key_set *set = softcard_key_set_find(domain, version);
    return set == NULL ? NULL : softcard_key_find(set, SIGNATURE_KEY);
}

/* Before versions were fixed for them (GlobalPlatform 2.1.1), the key of tokens, an RSA key, and that of
 * receipts stood side by side in a set of any version. */
static const softcard_key *find_older_key(softcard_application *issuer, uint8_t identifier)
{
    for (size_t i = 0; i < issuer->key_set_count; i++) {
        const softcard_key_set *set = &issuer->key_sets[i];
        const softcard_key *of_tokens = softcard_key_find(set, SIGNATURE_KEY);
        if (set->version == SOFTCARD_DAP_KEY_VERSION || of_tokens == NULL) continue;
        if (of_tokens->type == SOFTCARD_KEY_TYPE_RSA_MODULUS) return softcard_key_find(set, identifier);
    }
    return NULL;
}

static const softcard_key *find_token_key(softcard_application *issuer)
{
    const softcard_key *key = find_key(issuer, SOFTCARD_TOKEN_KEY_VERSION);
    return key != NULL ? key : find_older_key(issuer, SIGNATURE_KEY);
}

static const softcard_key *find_receipt_key(softcard_application *issuer)
{
    const softcard_key *key = find_key(issuer, SOFTCARD_RECEIPT_KEY_VERSION);
    return key != NULL ? key : find_older_key(issuer, RECEIPT_KEY_BESIDE_TOKEN_KEY);
}

static kf_code check(const softcard_key *key, kf_view message, kf_view signature)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer expected = KF_BUFFER_INIT;
    if (key == NULL) return KF_ERR_NOT_FOUND;
    if (softcard_key_type_is_public(key->type)) return softcard_public_key_verify(key, message, signature);
    KF_TRY(sign(key, message, &expected));
    if (signature.size != expected.size ||
        !kf_equal_constant_time(signature.data, expected.data, expected.size))
        return KF_ERR_AUTHENTICATION;
    return KF_OK;
}

kf_code softcard_dap_check(softcard_application *domain, kf_view hash, kf_view signature)
{
    return check(find_key(domain, SOFTCARD_DAP_KEY_VERSION), hash, signature);
}

softcard_status softcard_check_token(softcard_request *request, kf_view fields, kf_view token)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    kf_buffer_append_u8(&message, request->command.p1);
    kf_buffer_append_u8(&message, request->command.p2);
    if (fields.size > UINT8_MAX) {
        kf_buffer_append_u8(&message, 0);
        kf_buffer_append_u16(&message, (uint16_t)fields.size);
    } else {
        kf_buffer_append_u8(&message, (uint8_t)fields.size);
    }
    kf_buffer_append(&message, fields);
    if (kf_buffer_status(&message) != KF_OK) return SW_INTERNAL;
    const softcard_key *key = find_token_key(softcard_issuer(request->card->state));
    return check(key, kf_buffer_view(&message), token) == KF_OK ? SW_OK : SW_SECURITY_STATUS;
}

softcard_status softcard_authorise(softcard_request *request, kf_view fields, kf_view token)
{
    if (softcard_may_manage(request->application)) return SW_OK;
    if (!softcard_has_privilege(request->application, SOFTCARD_PRIVILEGE_DELEGATED)) return SW_CONDITIONS;
    return softcard_check_token(request, fields, token);
}

static void append_counted(kf_buffer *buffer, kf_view bytes)
{
    kf_buffer_append_u8(buffer, (uint8_t)bytes.size);
    kf_buffer_append(buffer, bytes);
}

softcard_status softcard_confirm(softcard_request *request, const softcard_aid *names, size_t count)
{
    softcard_state *state = request->card->state;
    const softcard_key *key = find_receipt_key(softcard_issuer(state));
    bool makes_receipts = key != NULL && !softcard_key_type_is_public(key->type);
    if (!makes_receipts || !softcard_has_privilege(request->application, SOFTCARD_PRIVILEGE_DELEGATED)) {
        kf_buffer_append_u8(request->response, 0);
        return SW_OK;
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer receipt = KF_BUFFER_INIT;
    state->confirmation_counter++;
    const uint8_t counter[] = {(uint8_t)(state->confirmation_counter >> 8),
                               (uint8_t)state->confirmation_counter};
    append_counted(&message, KF_VIEW(counter));
    append_counted(&message, KF_VIEW(state->kdd));
    size_t confirmation_size = message.size;
    for (size_t i = 0; i < count; i++)
        append_counted(&message, softcard_aid_view(&names[i]));
    if (kf_buffer_status(&message) != KF_OK || sign(key, kf_buffer_view(&message), &receipt) != KF_OK)
        return SW_INTERNAL;
    /* 11.5.3.1, 11.1.6: the length of the confirmation, the receipt, what it covers beside the AIDs. */
    kf_buffer_append_u8(request->response, (uint8_t)(1 + receipt.size + confirmation_size));
    append_counted(request->response, kf_buffer_view(&receipt));
    kf_buffer_append_bytes(request->response, message.data, confirmation_size);
    return SW_OK;
}
