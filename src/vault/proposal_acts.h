/* The vault's side of dual control: what officers signed, verified against the sealed roster and done once.
 */
#ifndef KEYFILL_VAULT_PROPOSAL_ACTS_H
#define KEYFILL_VAULT_PROPOSAL_ACTS_H

#include "vault/proposal.h"
#include "vault/vault.h"

kf_code kf_vault_handle_proposal(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);
kf_code kf_vault_handle_roster(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error);

bool kf_vault_has_roster(const kf_key_store *keys);
/* Seals the first roster, from a founding file's text. KF_ERR_CONFLICT where there is one already. */
kf_code kf_vault_found_roster(kf_key_store *keys, kf_view text, kf_error *error) KF_MUST_USE;

/* KF_OK where an act may be done on the word of a certificate alone: in development, without a roster. Else
 * KF_ERR_OFFICERS with what to do. */
kf_code kf_vault_certificate_suffices(const kf_vault *vault, kf_error *error) KF_MUST_USE;

typedef struct kf_permit_wanted {
    kf_permit_kind kind;
    const char *name; /* for the message */
    const uint8_t *digest;
} kf_permit_wanted;

/* With a roster: whether officers approved this profile (else KF_ERR_PROFILE) or module (KF_ERR_MODULE). */
kf_code kf_vault_check_permit(const kf_vault *vault, const kf_permit_wanted *wanted,
                              kf_error *error) KF_MUST_USE;

#endif
