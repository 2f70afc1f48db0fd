#include "vault/hsm_officer.h"

#include <p11-kit/uri.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "vault/hsm_token.h"

#define SIGNATURE_SIZE 64
#define POINT_SIZE 65      /* 04 and two coordinates */
#define POINT_MAX 80       /* with the DER head around it */
#define TEXT_MAX_BYTES 256 /* of a label or an identifier */

/* SubjectPublicKeyInfo of P-256 up to the point (RFC 5480, 2). */
static const uint8_t spki_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48,
                                    0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
                                    0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

typedef struct officer_key {
    P11KitUri *uri;
    char *token_uri;
    kf_hsm_token *token;
    kf_hsm_session session;
} officer_key;

static void close_key(officer_key *key)
{
    kf_hsm_token_free(&key->token);
    if (key->uri != NULL) p11_kit_uri_free(key->uri);
    free(key->token_uri);
}

static kf_code open_key(const char *uri, const kf_secret *pin, officer_key *key, kf_error *error)
{
    key->uri = p11_kit_uri_new();
    if (key->uri == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (p11_kit_uri_parse(uri, P11_KIT_URI_FOR_ANY, key->uri) != P11_KIT_URI_OK ||
        p11_kit_uri_format(key->uri, P11_KIT_URI_FOR_TOKEN | P11_KIT_URI_FOR_MODULE, &key->token_uri) !=
            P11_KIT_URI_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%.200s is no URI of a key: it reads pkcs11:token=NAME;object=NAME", uri);
    const kf_hsm_token_options options = {
        .uri = key->token_uri, .module = p11_kit_uri_get_module_path(key->uri), .pin = pin};
    KF_TRY(kf_hsm_token_new(&options, &key->token, error));
    key->session = (kf_hsm_session){.token = key->token};
    return KF_OK;
}

/* The object of that class which the URI's object and id fit. */
static kf_code find_object(officer_key *key, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret_handle,
                           kf_error *error)
{
    CK_KEY_TYPE type = CKK_EC;
    CK_ATTRIBUTE wanted[4] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}};
    CK_ULONG count = 2;
    static const CK_ATTRIBUTE_TYPE names[] = {CKA_LABEL, CKA_ID};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CK_ATTRIBUTE *named = p11_kit_uri_get_attribute(key->uri, names[i]);
        if (named != NULL && named->ulValueLen <= TEXT_MAX_BYTES) wanted[count++] = *named;
    }
    const CK_FUNCTION_LIST *module = key->session.module;
    CK_OBJECT_HANDLE found[2];
    CK_ULONG found_count = 0;
    CK_RV result = module->C_FindObjectsInit(key->session.handle, wanted, count);
    if (result == CKR_OK) {
        result = module->C_FindObjects(key->session.handle, found, 2, &found_count);
        CK_RV ended = module->C_FindObjectsFinal(key->session.handle);
        if (result == CKR_OK) result = ended;
    }
    KF_TRY(kf_hsm_result(&key->session, result, "searching for the officer's key", error));
    if (found_count != 1)
        return kf_fail(error, KF_ERR_NOT_FOUND,
                       "the token holds %s key of an elliptic curve that the URI fits; name it by object= or "
                       "id=",
                       found_count == 0 ? "no" : "more than one");
    *ret_handle = found[0];
    return KF_OK;
}

static kf_code sign_digest(officer_key *key, const uint8_t digest[KF_DIGEST_SIZE], kf_buffer *signature,
                           kf_error *error)
{
    CK_OBJECT_HANDLE handle;
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    uint8_t hash[KF_DIGEST_SIZE];
    uint8_t made[2 * SIGNATURE_SIZE];
    CK_ULONG size = sizeof made;
    memcpy(hash, digest, sizeof hash);
    KF_TRY(find_object(key, CKO_PRIVATE_KEY, &handle, error));
    const CK_FUNCTION_LIST *module = key->session.module;
    CK_RV result = module->C_SignInit(key->session.handle, &mechanism, handle);
    if (result == CKR_OK) result = module->C_Sign(key->session.handle, hash, sizeof hash, made, &size);
    KF_TRY(kf_hsm_result(&key->session, result, "signing with the officer's key", error));
    if (size != SIGNATURE_SIZE)
        return kf_fail(error, KF_ERR_UNSUPPORTED,
                       "the token signs with %lu bytes: an officer's key is of P-256, which gives %d", size,
                       SIGNATURE_SIZE);
    kf_buffer_append_bytes(signature, made, size);
    return kf_fail_plain(error, kf_buffer_status(signature));
}

kf_code kf_hsm_officer_sign(const char *uri, const kf_secret *pin, kf_view message, kf_buffer *signature,
                            kf_error *error)
{
    KF_CLEANUP(close_key) officer_key key = {.uri = NULL};
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(kf_fail_plain(error, kf_sha256(message, digest)));
    KF_TRY(open_key(uri, pin, &key, error));
    KF_TRY(kf_hsm_enter(&key.session, error));
    kf_code code = sign_digest(&key, digest, signature, error);
    kf_hsm_leave(&key.session);
    return code;
}

/* CKA_EC_POINT is the point inside an octet string (PKCS #11 2.40, 2.3.3); some modules leave the string out.
 */
static kf_code append_spki(const uint8_t *point, size_t size, kf_buffer *spki, kf_error *error)
{
    if (size == POINT_SIZE + 2 && point[0] == 0x04 && point[1] == POINT_SIZE) {
        point += 2;
        size -= 2;
    }
    if (size != POINT_SIZE || point[0] != 0x04)
        return kf_fail(error, KF_ERR_UNSUPPORTED, "the key on the token is not of P-256");
    kf_buffer_append_bytes(spki, spki_head, sizeof spki_head);
    kf_buffer_append_bytes(spki, point, size);
    return kf_fail_plain(error, kf_buffer_status(spki));
}

static kf_code read_public(officer_key *key, kf_buffer *spki, kf_error *error)
{
    CK_OBJECT_HANDLE handle;
    uint8_t point[POINT_MAX];
    CK_ATTRIBUTE wanted = {CKA_EC_POINT, point, sizeof point};
    KF_TRY(find_object(key, CKO_PUBLIC_KEY, &handle, error));
    CK_RV result = key->session.module->C_GetAttributeValue(key->session.handle, handle, &wanted, 1);
    if (result == CKR_BUFFER_TOO_SMALL)
        return kf_fail(error, KF_ERR_UNSUPPORTED, "the key on the token is not of P-256");
    KF_TRY(kf_hsm_result(&key->session, result, "reading the officer's public key", error));
    return append_spki(point, wanted.ulValueLen, spki, error);
}

kf_code kf_hsm_officer_public(const char *uri, const kf_secret *pin, kf_buffer *spki, kf_error *error)
{
    KF_CLEANUP(close_key) officer_key key = {.uri = NULL};
    KF_TRY(open_key(uri, pin, &key, error));
    KF_TRY(kf_hsm_enter(&key.session, error));
    kf_code code = read_public(&key, spki, error);
    kf_hsm_leave(&key.session);
    return code;
}
