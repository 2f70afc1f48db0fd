/* The two files of the key store. Both hold the same state; a change is written to one, synced, then to the
 * other: torn at any point one of them is whole, and a bit that rots in one later loses nothing. Files are
 * reached through descriptors alone, as the vault has no paths after its start. */
#ifndef KEYFILL_VAULT_KEY_SLOTS_H
#define KEYFILL_VAULT_KEY_SLOTS_H

#include "vault/key_seal.h"
#include "vault/key_store.h"

#define KF_KEY_SLOT_MAGIC "KFKEYS01"

/* The slots as they were found, and are written. */
typedef struct kf_key_journal {
    kf_key_slots slots;
    kf_key_seal seal;
    uint64_t sequence;
    bool sound[2]; /* holds the state of `sequence` */
} kf_key_journal;

/* Reads the newest whole state into `plain` and makes the other slot equal where it is not. With both slots
 * empty: KF_OK, `plain` stays empty, the journal is ready for a first write. Takes the descriptors over in
 * success. */
kf_code kf_key_journal_open(kf_key_slots *slots, const kf_secret *passphrase, kf_passphrase_cost cost_of_new,
                            kf_key_journal *ret_journal, kf_buffer *plain, kf_error *error) KF_MUST_USE;
/* Durable in one slot at least when it returns KF_OK; the older state is untouched otherwise. */
kf_code kf_key_journal_write(kf_key_journal *journal, kf_view plain, kf_error *error) KF_MUST_USE;
void kf_key_journal_close(kf_key_journal *journal);

#endif
