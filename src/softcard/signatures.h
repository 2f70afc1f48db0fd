/* Tokens, receipts and load file signatures (GlobalPlatform C.3 to C.5): 3DES keys make the MAC of B.1.2.2,
 * AES keys a CMAC (B.2.2); RSA and elliptic curve keys verify tokens and load file signatures. */
#ifndef KEYFILL_SOFTCARD_SIGNATURES_H
#define KEYFILL_SOFTCARD_SIGNATURES_H

#include "softcard/apdu.h"
#include "softcard/state.h"

struct softcard_request;

/* Key versions (11.1.9), of keys with identifier 01. */
enum {
    SOFTCARD_TOKEN_KEY_VERSION = 0x70,
    SOFTCARD_RECEIPT_KEY_VERSION = 0x71,
    SOFTCARD_DAP_KEY_VERSION = 0x73,
};

/* Whether `signature` is that of the domain's DAP key over the load file data block hash.
 * KF_ERR_NOT_FOUND where the domain has no such key, KF_ERR_AUTHENTICATION where the signature is another. */
kf_code softcard_dap_check(softcard_application *domain, kf_view hash, kf_view signature) KF_MUST_USE;

/* Whether the selected domain may do this. Authorized Management may; Delegated Management may with a token
 * (C.4) over P1, P2 and `fields`, those of the command before the token. SW_OK, SW_CONDITIONS or
 * SW_SECURITY_STATUS. */
softcard_status softcard_authorise(struct softcard_request *request, kf_view fields, kf_view token);
/* A token alone (C.4): P1, P2, the length of the fields as Lc would be written, the fields. SW_OK or
 * SW_SECURITY_STATUS. */
softcard_status softcard_check_token(struct softcard_request *request, kf_view fields, kf_view token);
/* Appends the confirmation (11.1.6) of what was done to `names` (AIDs in the order of C.5): a receipt for a
 * domain with Delegated Management, where the issuer's domain has the key for it; one zero otherwise. */
softcard_status softcard_confirm(struct softcard_request *request, const softcard_aid *names, size_t count);

#endif
