#include "vault/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vault/key_ceremony.h"
#include "vault/procedure_requests.h"

static uint64_t machine_clock(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

kf_code kf_vault_new(kf_vault_unit unit, kf_key_store *keys, bool development, uint64_t (*clock)(void),
                     kf_vault **ret_vault, kf_error *error)
{
    kf_vault *vault = calloc(1, sizeof *vault);
    if (vault == NULL || pthread_mutex_init(&vault->receipt_lock, NULL) != 0) {
        free(vault);
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    vault->unit = unit;
    vault->development = development;
    vault->clock = clock != NULL ? clock : machine_clock;
    kf_code code = kf_key_ceremony_new(&vault->ceremony);
    if (code == KF_OK)
        code = kf_cipher_new_secret(KF_AES, kf_key_store_receipt_key(keys), &vault->receipt_key);
    if (code != KF_OK) {
        kf_vault_free(&vault);
        return kf_fail_plain(error, code);
    }
    vault->keys = keys;
    *ret_vault = vault;
    return KF_OK;
}

void kf_vault_free(kf_vault **vault)
{
    if (*vault == NULL) return;
    kf_key_ceremony_free(&(*vault)->ceremony);
    kf_cipher_free(&(*vault)->receipt_key);
    kf_key_store_free(&(*vault)->keys);
    kf_receipt_journal_free(&(*vault)->journal);
    kf_buffer_clear(&(*vault)->receipts);
    kf_vault_procedures_free(&(*vault)->procedures);
    pthread_mutex_destroy(&(*vault)->receipt_lock);
    free(*vault);
    *vault = NULL;
}

void kf_vault_keep_receipts(kf_vault *vault, kf_receipt_journal *journal)
{
    vault->journal = journal;
}

kf_code kf_vault_ready_for_key_blocks(const kf_vault *vault, kf_error *error)
{
    if (!vault->resumed)
        return kf_fail(error, KF_ERR_STATE, "the vault has not been told of the last receipt yet");
    if (vault->receipt_count >= KF_VAULT_RECEIPTS_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "one request may have at most %d receipts",
                       KF_VAULT_RECEIPTS_MAX);
    return KF_OK;
}

kf_code kf_vault_ready(const kf_vault *vault, kf_error *error)
{
    KF_TRY(kf_vault_ready_for_key_blocks(vault, error));
    if (vault->note.holds == 0) return KF_OK;
    char found[KF_HOLD_TEXT_SIZE];
    kf_audit_hold_text(vault->note.holds, found);
    return kf_fail(
        error, KF_ERR_HELD,
        "%s; only keys are pulled and the audit log read until officers accept it: keyfill audit accept",
        found);
}

/* A receipt that front and vault may both forget is none: the vault's own copy outlives them. One that goes
 * with a change of the key store is as durable as that. */
static kf_code keep(kf_vault *vault, uint64_t number, kf_view bytes, kf_error *error)
{
    if (vault->journal == NULL) return KF_OK;
    kf_receipt_journal_keep(vault->journal, number, bytes);
    uint64_t revision = kf_key_store_revision(vault->keys);
    if (vault->note.holds != 0 || vault->note.revision >= revision) return KF_OK;
    vault->note.revision = revision;
    return kf_receipt_journal_note(vault->journal, vault->receipt_key, &vault->note, error);
}

/* With the lock held: the next number, in the vault's own words. */
static kf_code make_receipt(kf_vault *shared, const kf_vault_act *act, kf_buffer *bytes, kf_error *error)
{
    kf_receipt receipt;
    memset(&receipt, 0, sizeof receipt);
    receipt.number = shared->last_receipt + 1;
    receipt.time = shared->clock();
    receipt.actor = *act->actor;
    receipt.outcome = act->outcome;
    (void)snprintf(receipt.act, sizeof receipt.act, "%s", act->act);
    (void)snprintf(receipt.subject, sizeof receipt.subject, "%s", act->subject);
    (void)snprintf(receipt.kcv, sizeof receipt.kcv, "%s", act->kcv != NULL ? act->kcv : "");
    KF_TRY(kf_fail_plain(error, kf_receipt_encode(shared->receipt_key, &receipt, bytes)));
    shared->last_receipt = receipt.number;
    return keep(shared, receipt.number, kf_buffer_view(bytes), error);
}

kf_code kf_vault_receipt(kf_vault *vault, const kf_vault_act *act, kf_error *error)
{
    kf_vault *shared = vault->shared != NULL ? vault->shared : vault;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_TRY(kf_vault_ready_for_key_blocks(vault, error));
    pthread_mutex_lock(&shared->receipt_lock);
    uint64_t before = shared->last_receipt;
    kf_code code = make_receipt(shared, act, &bytes, error);
    bool numbered = shared->last_receipt != before;
    pthread_mutex_unlock(&shared->receipt_lock);
    if (!numbered) return code;
    kf_buffer_append_u16(&vault->receipts, (uint16_t)bytes.size);
    kf_buffer_append(&vault->receipts, kf_buffer_view(&bytes));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&vault->receipts)));
    vault->receipt_count++;
    return code;
}

void kf_vault_face_make(kf_vault *vault, kf_vault *ret_face)
{
    memset(ret_face, 0, sizeof *ret_face);
    ret_face->unit = vault->unit;
    ret_face->development = vault->development;
    ret_face->keys = vault->keys;
    ret_face->clock = vault->clock;
    ret_face->shared = vault;
}

void kf_vault_face_refresh(kf_vault *face)
{
    kf_vault *shared = face->shared;
    pthread_mutex_lock(&shared->receipt_lock);
    face->resumed = shared->resumed;
    face->note = shared->note;
    pthread_mutex_unlock(&shared->receipt_lock);
}

void kf_vault_face_clear(kf_vault *face)
{
    kf_buffer_clear(&face->receipts);
    kf_vault_procedures_free(&face->procedures);
}
