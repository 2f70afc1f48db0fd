/* Base and transport keys in a token, behind the helper keyfill-hsm. Group keys, which the vault uses in
 * place, stay in its memory; so do transport keys for key blocks (X9.143), since what travels under them
 * passes through that memory anyway.
 *
 * A transport key that was entered becomes two keys of the token, derived from it by SP 800-108 (counter
 * mode, CMAC): one wraps, one authenticates the envelope's header. */
#ifndef KEYFILL_VAULT_KEY_CUSTODY_TOKEN_H
#define KEYFILL_VAULT_KEY_CUSTODY_TOKEN_H

#include "vault/hsm_client.h"
#include "vault/key_custody.h"

/* The custody uses `client`, which outlives it. */
kf_key_custody kf_key_custody_token(kf_hsm_client *client);

#endif
