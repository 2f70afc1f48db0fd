/* Shares of what opens a backup, as people write them down: 4 bytes SHA-256 of what follows, threshold,
 * number, 32 bytes share; hexadecimal in groups of four digits. The first bytes find a slip of the pen. */
#ifndef KEYFILL_CLI_KEY_SHARES_H
#define KEYFILL_CLI_KEY_SHARES_H

#include <keyfill/secret.h>

#include "crypto/shamir.h"

#define KF_SHARE_SECRET_SIZE 32                                    /* bytes */
#define KF_SHARE_SIZE (4 + 1 + 1 + KF_SHARE_SECRET_SIZE)           /* bytes */
#define KF_SHARE_TEXT_SIZE (KF_SHARE_SIZE * 2 + KF_SHARE_SIZE / 2) /* blanks between, and the zero */

typedef struct kf_share {
    uint8_t threshold;
    uint8_t number; /* from 1 */
    kf_secret *value;
} kf_share;

void kf_share_clear(kf_share *share);
/* `ret_text` is wiped by the caller. */
kf_code kf_share_write(const kf_share *share, char ret_text[KF_SHARE_TEXT_SIZE]) KF_MUST_USE;
/* KF_ERR_CHECK_VALUE for one with a slip; `text` may have blanks anywhere. */
kf_code kf_share_read(const kf_secret *text, kf_share *ret_share, kf_error *error) KF_MUST_USE;

/* A new secret as a passphrase (its bytes in hexadecimal), and its shares; the caller clears each. */
kf_code kf_shares_make(kf_shamir_plan plan, kf_secret **ret_passphrase,
                       kf_share ret_shares[KF_SHAMIR_SHARES_MAX], kf_error *error) KF_MUST_USE;
/* The passphrase again. KF_ERR_FIELD where shares are too few, stand twice or are of different backups. */
kf_code kf_shares_combine(const kf_share *shares, size_t count, kf_secret **ret_passphrase,
                          kf_error *error) KF_MUST_USE;

#endif
