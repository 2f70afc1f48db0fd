#include "vault/key_custody_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/kdf.h>

#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/key_wrap.h"
#include "crypto/random.h"

#define DERIVED_SIZE 32 /* bytes of the keys that are made of a transport key */
#define LABEL_WRAP "keyfill key wrap"
#define LABEL_AUTHENTICATE "keyfill key envelope"

typedef enum material_kind {
    MATERIAL_LOCAL = 1,      /* group keys */
    MATERIAL_BASE = 2,       /* one object */
    MATERIAL_TRANSPORT = 3,  /* two objects */
    MATERIAL_KEY_BLOCKS = 4, /* a transport key for key blocks: its bytes, and the wrapping key made of it */
} material_kind;

typedef struct token_material {
    material_kind kind;
    kf_secret *local;         /* LOCAL, KEY_BLOCKS */
    kf_hsm_id key;            /* BASE; the wrapping key of TRANSPORT and KEY_BLOCKS */
    kf_hsm_id authentication; /* TRANSPORT */
    kf_kcv kcv;               /* of the transport key as it was entered */
} token_material;

static void token_release(void *context, void *material)
{
    (void)context;
    token_material *token = material;
    kf_secret_free(&token->local);
    free(token);
}

static token_material *new_material(material_kind kind)
{
    token_material *material = calloc(1, sizeof *material);
    if (material != NULL) material->kind = kind;
    return material;
}

/* -- requests -- */

static kf_code ask_status(kf_hsm_client *client, kf_hsm_status *ret_status, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_hsm_request_start(&request, 0, KF_HSM_STATUS);
    KF_TRY(kf_hsm_call(client, &request, &payload, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&payload));
    return kf_fail_plain(error, kf_hsm_status_take(&cursor, ret_status));
}

static kf_code ask_generate(kf_hsm_client *client, const kf_hsm_description *description, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_hsm_request_start(&request, 0, KF_HSM_GENERATE);
    kf_hsm_description_put(&request, description);
    return kf_hsm_call(client, &request, &payload, error);
}

static kf_code ask_import(kf_hsm_client *client, const kf_hsm_description *description, const kf_secret *key,
                          kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_hsm_request_start(&request, 0, KF_HSM_IMPORT);
    kf_hsm_description_put(&request, description);
    kf_message_put_blob(&request, kf_secret_expose(key));
    return kf_hsm_call(client, &request, &payload, error);
}

static kf_code ask_compute(kf_hsm_client *client, const kf_hsm_computation *computation, kf_buffer *outputs,
                           kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    kf_hsm_request_start(&request, 0, KF_HSM_COMPUTE);
    kf_hsm_computation_put(&request, computation);
    KF_TRY(kf_hsm_call(client, &request, outputs, error));
    if (outputs->size == kf_hsm_computation_output(computation)) return KF_OK;
    return kf_fail(error, KF_ERR_UNAVAILABLE, "the helper with the token gave an answer of another length");
}

static void ask_destroy(kf_hsm_client *client, const kf_hsm_id *id)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer digits = KF_BUFFER_INIT;
    kf_error error = {KF_OK, ""};
    kf_hsm_request_start(&request, 0, KF_HSM_DESTROY);
    kf_hsm_id_put(&request, id);
    if (kf_hsm_call(client, &request, &payload, &error) == KF_OK) return;
    kf_buffer_append_hex(&digits, kf_view_of(id->bytes, sizeof id->bytes));
    kf_log(KF_LOG_WARNING,
           "the token still holds the key with CKA_ID %s, which nothing uses any more: remove it (%s)",
           kf_buffer_text(&digits), kf_error_text(&error));
}

/* -- what is kept how -- */

static bool is_base(kf_key_purpose purpose)
{
    return purpose == KF_PURPOSE_PAYMENT || purpose == KF_PURPOSE_CARD_MANAGER || purpose == KF_PURPOSE_ADM;
}

static kf_code check_algorithm(const kf_hsm_status *status, const kf_key_entry *entry, bool chained,
                               kf_error *error)
{
    if (entry->algorithm == KF_SM4 && (status->abilities & KF_HSM_CAN_SM4) == 0)
        return kf_fail(error, KF_ERR_UNSUPPORTED,
                       "token \"%s\" has no SM4: PKCS#11 has no mechanism for it; such a key is kept in the "
                       "key file of a unit without a token",
                       status->label);
    bool aes = entry->algorithm == KF_AES;
    if ((status->abilities & (aes ? KF_HSM_CAN_AES : KF_HSM_CAN_TDES)) == 0)
        return kf_fail(error, KF_ERR_UNSUPPORTED, "token \"%s\" has no CMAC or no ECB of %s", status->label,
                       aes ? "AES" : "3DES");
    if (chained && (status->abilities & (aes ? KF_HSM_CAN_AES_CHAIN : KF_HSM_CAN_TDES_CHAIN)) == 0)
        return kf_fail(error, KF_ERR_UNSUPPORTED,
                       "token \"%s\" cannot keep the keys of the levels before the last inside (%s)",
                       status->label, aes ? "CKM_AES_ECB_ENCRYPT_DATA" : "CKM_DES3_ECB_ENCRYPT_DATA");
    return KF_OK;
}

static size_t levels_of(const kf_key_entry *entry)
{
    size_t levels = 1;
    for (const char *c = entry->policy.diversification; *c != '\0'; c++)
        if (*c == '>') levels++;
    return levels;
}

static kf_code token_check(void *context, const kf_key_entry *entry,
                           const kf_diversification *diversification, kf_error *error)
{
    kf_hsm_status status;
    if (entry->purpose == KF_PURPOSE_GROUP) return KF_OK;
    KF_TRY(ask_status(context, &status, error));
    if (entry->purpose == KF_PURPOSE_TRANSPORT) {
        if (entry->policy.key_blocks || (status.abilities & KF_HSM_CAN_WRAP) != 0) return KF_OK;
        return kf_fail(error, KF_ERR_UNSUPPORTED,
                       "token \"%s\" has no CKM_AES_KEY_WRAP_PAD: take a transport key for key blocks "
                       "(--key-blocks)",
                       status.label);
    }
    KF_TRY(check_algorithm(&status, entry, levels_of(entry) > 1, error));
    if (diversification == NULL) return KF_OK;
    return kf_derivation_steps_check(diversification, entry->algorithm, entry->size, error);
}

static kf_code describe(const kf_key_entry *entry, kf_hsm_use use, kf_hsm_description *ret_description)
{
    kf_hsm_description description;
    memset(&description, 0, sizeof description);
    KF_TRY(kf_random_bytes(description.id.bytes, sizeof description.id.bytes));
    description.use = use;
    description.algorithm = entry->algorithm;
    description.size = entry->size;
    description.extractable = use == KF_HSM_BASE && entry->policy.exportable;
    description.derives = use == KF_HSM_BASE && levels_of(entry) > 1;
    (void)snprintf(description.label, sizeof description.label, "keyfill %s", kf_key_label_of(entry).text);
    *ret_description = description;
    return KF_OK;
}

static kf_code make_base(kf_hsm_client *client, const kf_key_entry *entry, const kf_secret *key,
                         void **ret_material, kf_error *error)
{
    kf_hsm_description description;
    KF_TRY(kf_fail_plain(error, describe(entry, KF_HSM_BASE, &description)));
    token_material *material = new_material(MATERIAL_BASE);
    if (material == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    material->key = description.id;
    kf_code code = key == NULL ? ask_generate(client, &description, error)
                               : ask_import(client, &description, key, error);
    if (code != KF_OK) {
        free(material);
        return code;
    }
    *ret_material = material;
    return KF_OK;
}

/* SP 800-108 5.1 over [i]8 || label || 00 || [L]16. */
static kf_code derive_transport(const kf_secret *transport, const char *label, kf_secret **ret_key)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer fixed = KF_BUFFER_INIT;
    kf_secret *key = NULL;
    kf_buffer_append_text(&fixed, label);
    kf_buffer_append_u8(&fixed, 0);
    kf_buffer_append_u16(&fixed, DERIVED_SIZE * 8);
    KF_TRY(kf_buffer_status(&fixed));
    KF_TRY(kf_cipher_new_secret(KF_AES, transport, &cipher));
    KF_TRY(kf_secret_new_zero(DERIVED_SIZE, &key));
    const kf_kdf_counter form = {.location = KF_COUNTER_BEFORE_FIXED, .counter_bits = 8};
    kf_code code = kf_kdf_counter_mode(cipher, form, kf_buffer_view(&fixed), kf_secret_expose_writable(key),
                                       DERIVED_SIZE);
    if (code != KF_OK) {
        kf_secret_free(&key);
        return code;
    }
    *ret_key = key;
    return KF_OK;
}

static kf_code store_derived(kf_hsm_client *client, const kf_key_entry *entry, const kf_secret *transport,
                             kf_hsm_use use, kf_hsm_id *ret_id, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    kf_hsm_description description;
    KF_TRY(kf_fail_plain(error, describe(entry, use, &description)));
    description.algorithm = KF_AES;
    description.size = DERIVED_SIZE;
    KF_TRY(kf_fail_plain(
        error, derive_transport(transport, use == KF_HSM_WRAPPING ? LABEL_WRAP : LABEL_AUTHENTICATE, &key)));
    KF_TRY(ask_import(client, &description, key, error));
    *ret_id = description.id;
    return KF_OK;
}

static kf_code fill_transport(kf_hsm_client *client, const kf_key_entry *entry, const kf_secret *key,
                              token_material *material, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_key_entry_kcv(entry->algorithm, key, &material->kcv)));
    if (material->kind == MATERIAL_KEY_BLOCKS)
        KF_TRY(kf_fail_plain(error, kf_secret_copy(key, &material->local)));
    KF_TRY(store_derived(client, entry, key, KF_HSM_WRAPPING, &material->key, error));
    if (material->kind == MATERIAL_KEY_BLOCKS) return KF_OK;
    kf_code code = store_derived(client, entry, key, KF_HSM_AUTHENTICATE, &material->authentication, error);
    if (code != KF_OK) ask_destroy(client, &material->key);
    return code;
}

static kf_code make_transport(kf_hsm_client *client, const kf_key_entry *entry, const kf_secret *key,
                              void **ret_material, kf_error *error)
{
    token_material *material =
        new_material(entry->policy.key_blocks ? MATERIAL_KEY_BLOCKS : MATERIAL_TRANSPORT);
    if (material == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_code code = fill_transport(client, entry, key, material, error);
    if (code != KF_OK) {
        token_release(NULL, material);
        return code;
    }
    *ret_material = material;
    return KF_OK;
}

static kf_code token_import(void *context, const kf_key_entry *entry, const kf_secret *key,
                            void **ret_material, kf_error *error)
{
    if (is_base(entry->purpose)) return make_base(context, entry, key, ret_material, error);
    if (entry->purpose == KF_PURPOSE_TRANSPORT)
        return make_transport(context, entry, key, ret_material, error);
    token_material *material = new_material(MATERIAL_LOCAL);
    kf_code code = material != NULL ? kf_secret_copy(key, &material->local) : KF_ERR_MEMORY;
    if (code != KF_OK) {
        free(material);
        return kf_fail_plain(error, code);
    }
    *ret_material = material;
    return KF_OK;
}

/* Base keys are made where they stay; the others have to be known here for a moment. */
static kf_code token_generate(void *context, const kf_key_entry *entry, void **ret_material, kf_error *error)
{
    if (is_base(entry->purpose)) return make_base(context, entry, NULL, ret_material, error);
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(kf_fail_plain(error, kf_random_secret(entry->size, &key)));
    return token_import(context, entry, key, ret_material, error);
}

/* -- use -- */

static kf_code not_base(kf_error *error)
{
    return kf_fail(error, KF_ERR_UNSUPPORTED, "this key is none that card keys are derived from");
}

/* One step under one key of the token. */
static kf_code compute_one(kf_hsm_client *client, const kf_hsm_id *id, kf_algorithm algorithm,
                           const kf_derivation_step *step, uint8_t ret_block[KF_BLOCK_MAX], kf_error *error)
{
    KF_CLEANUP(kf_free_pointer) kf_hsm_computation *computation = calloc(1, sizeof *computation);
    KF_CLEANUP(kf_buffer_clear) kf_buffer outputs = KF_BUFFER_INIT;
    if (computation == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    computation->id = *id;
    computation->algorithm = algorithm;
    computation->count = 1;
    computation->groups[0].key_size = algorithm == KF_AES ? DERIVED_SIZE : 16;
    computation->groups[0].block_size = algorithm == KF_TDES ? 8 : 16;
    computation->groups[0].count = 1;
    computation->groups[0].steps[0] = *step;
    KF_TRY(ask_compute(client, computation, &outputs, error));
    memcpy(ret_block, outputs.data, outputs.size);
    return KF_OK;
}

/* The same as kf_key_entry_kcv: CMAC of a block of zeros, with 3DES its encryption. */
static kf_code token_check_value(void *context, const void *material, const kf_key_entry *entry,
                                 kf_kcv *ret_kcv, kf_error *error)
{
    const token_material *token = material;
    if (token->kind == MATERIAL_LOCAL)
        return kf_fail_plain(error, kf_key_entry_kcv(entry->algorithm, token->local, ret_kcv));
    if (token->kind != MATERIAL_BASE) {
        *ret_kcv = token->kcv;
        return KF_OK;
    }
    bool aes = entry->algorithm == KF_AES;
    kf_derivation_step step = {.kind = aes ? KF_STEP_CMAC : KF_STEP_ENCRYPT, .size = aes ? 16 : 8};
    uint8_t block[KF_BLOCK_MAX];
    KF_TRY(compute_one(context, &token->key, entry->algorithm, &step, block, error));
    memcpy(ret_kcv->bytes, block, sizeof ret_kcv->bytes);
    return KF_OK;
}

static kf_code plan(const kf_key_derivation *derivation, kf_hsm_computation *computation, kf_error *error)
{
    for (size_t i = 0; i < derivation->role_count; i++) {
        const kf_derivation_subject subject = {derivation->algorithm, derivation->size, derivation->fields,
                                               derivation->roles[i]};
        KF_TRY(
            kf_derivation_steps_make(derivation->diversification, &subject, &computation->groups[i], error));
    }
    computation->algorithm = derivation->algorithm;
    computation->count = derivation->role_count;
    return KF_OK;
}

/* The encrypted block of zeros that AN10922 of short inputs needs, for each role's last key. */
static kf_code complete(kf_hsm_client *client, kf_hsm_computation *computation, kf_error *error)
{
    KF_CLEANUP(kf_free_pointer) kf_hsm_computation *zeros = calloc(1, sizeof *zeros);
    KF_CLEANUP(kf_buffer_clear) kf_buffer outputs = KF_BUFFER_INIT;
    if (zeros == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    zeros->id = computation->id;
    zeros->algorithm = computation->algorithm;
    zeros->count = computation->count;
    size_t block = computation->groups[0].block_size;
    for (size_t i = 0; i < computation->count; i++) {
        kf_derivation_steps *group = &zeros->groups[i];
        group->key_size = computation->groups[i].key_size;
        group->block_size = block;
        group->chain_count = computation->groups[i].chain_count;
        memcpy(group->chain, computation->groups[i].chain, sizeof group->chain);
        group->count = 1;
        group->steps[0].kind = KF_STEP_ENCRYPT;
        group->steps[0].size = block;
    }
    KF_TRY(ask_compute(client, zeros, &outputs, error));
    for (size_t i = 0; i < computation->count; i++)
        kf_derivation_steps_complete(&computation->groups[i], outputs.data + i * block);
    return KF_OK;
}

static kf_code finish(const kf_hsm_computation *computation, const kf_buffer *outputs,
                      kf_secret *ret_keys[KF_KEY_ROLES_MAX])
{
    size_t offset = 0;
    for (size_t i = 0; i < computation->count; i++) {
        size_t size = 0;
        for (size_t j = 0; j < computation->groups[i].count; j++)
            size += kf_derivation_step_output(&computation->groups[i], j);
        KF_TRY(kf_derivation_steps_finish(&computation->groups[i],
                                          kf_view_part(kf_buffer_view(outputs), offset, size), &ret_keys[i]));
        offset += size;
    }
    return KF_OK;
}

static kf_code derive(kf_hsm_client *client, const token_material *material,
                      const kf_key_derivation *derivation, kf_hsm_computation *computation,
                      kf_secret *keys[KF_KEY_ROLES_MAX], kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer outputs = KF_BUFFER_INIT;
    computation->id = material->key;
    KF_TRY(plan(derivation, computation, error));
    if (computation->groups[0].needs_zero_block) KF_TRY(complete(client, computation, error));
    KF_TRY(ask_compute(client, computation, &outputs, error));
    return kf_fail_plain(error, finish(computation, &outputs, keys));
}

static kf_code token_derive(void *context, const void *material, const kf_key_derivation *derivation,
                            kf_secret *ret_keys[KF_KEY_ROLES_MAX], kf_error *error)
{
    const token_material *token = material;
    if (token->kind != MATERIAL_BASE) return not_base(error);
    kf_secret *keys[KF_KEY_ROLES_MAX] = {NULL};
    kf_hsm_computation computation;
    kf_code code = derive(context, token, derivation, &computation, keys, error);
    /* What goes in may be secret: personalisation, subkeys. */
    kf_wipe(&computation, sizeof computation);
    for (size_t i = 0; i < derivation->role_count; i++) {
        if (code == KF_OK)
            ret_keys[i] = keys[i];
        else
            kf_secret_free(&keys[i]);
    }
    return code;
}

static kf_code token_expose(void *context, const void *material, kf_secret **ret_key, kf_error *error)
{
    (void)context;
    const token_material *token = material;
    if (token->local != NULL) return kf_fail_plain(error, kf_secret_copy(token->local, ret_key));
    if (token->kind == MATERIAL_TRANSPORT)
        return kf_fail(
            error, KF_ERR_UNSUPPORTED,
            "this transport key serves units that both have a token; for key blocks (X9.143) enter "
            "one with --key-blocks");
    return kf_fail(error, KF_ERR_UNSUPPORTED, "a base key does not leave the token");
}

static const kf_secret *token_borrow(void *context, const void *material)
{
    (void)context;
    return ((const token_material *)material)->local;
}

/* -- on the move -- */

static kf_code token_wrap(void *context, const void *transport, const void *material, kf_buffer *wrapped,
                          kf_error *error)
{
    const token_material *under = transport;
    const token_material *token = material;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    if (token->kind != MATERIAL_BASE || under->kind == MATERIAL_BASE || under->kind == MATERIAL_LOCAL)
        return kf_fail_plain(error, KF_ERR_ARGUMENT);
    kf_hsm_request_start(&request, 0, KF_HSM_WRAP);
    kf_hsm_id_put(&request, &under->key);
    kf_hsm_id_put(&request, &token->key);
    kf_code code = kf_hsm_call(context, &request, wrapped, error);
    if (code == KF_ERR_UNSUPPORTED)
        return kf_error_prefix(error, "the base key goes out under a trusted wrapping key alone: hsm: "
                                      "so_pin_file is needed where transport keys are entered");
    return code;
}

static kf_code token_unwrap(void *context, const void *transport, const kf_key_entry *entry, kf_view wrapped,
                            void **ret_material, kf_error *error)
{
    const token_material *under = transport;
    kf_hsm_description description;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    if (under->kind != MATERIAL_TRANSPORT || !is_base(entry->purpose))
        return kf_fail_plain(error, KF_ERR_ARGUMENT);
    KF_TRY(kf_fail_plain(error, describe(entry, KF_HSM_BASE, &description)));
    token_material *material = new_material(MATERIAL_BASE);
    if (material == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    material->key = description.id;
    kf_hsm_request_start(&request, 0, KF_HSM_UNWRAP);
    kf_hsm_id_put(&request, &under->key);
    kf_hsm_description_put(&request, &description);
    kf_message_put_blob(&request, wrapped);
    kf_code code = kf_hsm_call(context, &request, &payload, error);
    if (code != KF_OK) {
        free(material);
        return code;
    }
    *ret_material = material;
    return KF_OK;
}

static kf_code token_authenticate(void *context, const void *transport, kf_view message, uint8_t *ret_mac,
                                  kf_error *error)
{
    const token_material *under = transport;
    kf_derivation_step step = {.kind = KF_STEP_CMAC, .size = KF_DIGEST_SIZE};
    if (under->kind != MATERIAL_TRANSPORT)
        return kf_fail(error, KF_ERR_UNSUPPORTED, "this transport key is for key blocks alone");
    KF_TRY(kf_fail_plain(error, kf_sha256(message, step.input)));
    return compute_one(context, &under->authentication, KF_AES, &step, ret_mac, error);
}

/* The token wraps, the vault unwraps, having the transport key from which the wrapping key is made. */
static kf_code token_translate(void *context, const void *transport, const void *material,
                               kf_secret **ret_key, kf_error *error)
{
    const token_material *under = transport;
    if (under->kind != MATERIAL_KEY_BLOCKS) return token_expose(context, transport, ret_key, error);
    KF_CLEANUP(kf_secret_free) kf_secret *wrapping = NULL;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
    KF_TRY(token_wrap(context, transport, material, &wrapped, error));
    KF_TRY(kf_fail_plain(error, derive_transport(under->local, LABEL_WRAP, &wrapping)));
    KF_TRY(kf_fail_plain(error, kf_cipher_new_secret(KF_AES, wrapping, &cipher)));
    return kf_fail_plain(error, kf_key_unwrap(cipher, kf_buffer_view(&wrapped), ret_key));
}

/* -- the sealed state -- */

static void token_encode(void *context, const void *material, kf_buffer *bytes)
{
    (void)context;
    const token_material *token = material;
    kf_view local = token->local != NULL ? kf_secret_expose(token->local) : kf_view_of(NULL, 0);
    kf_buffer_append_u8(bytes, (uint8_t)token->kind);
    kf_message_put_blob(bytes, local);
    kf_hsm_id_put(bytes, &token->key);
    kf_hsm_id_put(bytes, &token->authentication);
    kf_buffer_append_bytes(bytes, token->kcv.bytes, sizeof token->kcv.bytes);
}

static kf_code take_material(kf_cursor *cursor, token_material *material)
{
    uint8_t kind;
    kf_view local;
    KF_TRY(kf_cursor_u8(cursor, &kind));
    KF_TRY(kf_message_take_blob(cursor, KF_HSM_KEY_MAX, &local));
    bool has_local = kind == MATERIAL_LOCAL || kind == MATERIAL_KEY_BLOCKS;
    if (kind < MATERIAL_LOCAL || kind > MATERIAL_KEY_BLOCKS || has_local != (local.size > 0))
        return KF_ERR_MALFORMED;
    material->kind = (material_kind)kind;
    if (has_local) KF_TRY(kf_secret_new(local, &material->local));
    KF_TRY(kf_hsm_id_take(cursor, &material->key));
    KF_TRY(kf_hsm_id_take(cursor, &material->authentication));
    KF_TRY(kf_cursor_copy(cursor, material->kcv.bytes, sizeof material->kcv.bytes));
    return kf_message_end(cursor);
}

static kf_code token_decode(void *context, kf_view bytes, void **ret_material)
{
    token_material *material = new_material(MATERIAL_LOCAL);
    if (material == NULL) return KF_ERR_MEMORY;
    kf_cursor cursor = kf_cursor_of(bytes);
    kf_code code = take_material(&cursor, material);
    if (code != KF_OK) {
        token_release(context, material);
        return code;
    }
    *ret_material = material;
    return KF_OK;
}

static void token_destroy(void *context, void *material)
{
    const token_material *token = material;
    if (token->kind != MATERIAL_LOCAL) ask_destroy(context, &token->key);
    if (token->kind == MATERIAL_TRANSPORT) ask_destroy(context, &token->authentication);
    token_release(context, material);
}

kf_key_custody kf_key_custody_token(kf_hsm_client *client)
{
    return (kf_key_custody){
        .name = "token",
        .context = client,
        .check = token_check,
        .generate = token_generate,
        .import = token_import,
        .check_value = token_check_value,
        .derive = token_derive,
        .expose = token_expose,
        .borrow = token_borrow,
        .wrap = token_wrap,
        .unwrap = token_unwrap,
        .authenticate = token_authenticate,
        .translate = token_translate,
        .encode = token_encode,
        .decode = token_decode,
        .release = token_release,
        .destroy = token_destroy,
    };
}
