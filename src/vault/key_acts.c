#include "vault/key_acts.h"

#include <stdio.h>
#include <string.h>

#include "vault/key_ceremony.h"
#include "vault/proposal_acts.h"

static void append_status(const kf_vault *vault, kf_buffer *answer)
{
    kf_vault_status status = {.unit = vault->unit,
                              .development = vault->development,
                              .resumed = vault->resumed,
                              .revision = kf_key_store_revision(vault->keys),
                              .last_receipt = vault->last_receipt,
                              .key_count = (uint32_t)kf_key_store_count(vault->keys)};
    memcpy(status.box_public, kf_key_store_box_public(vault->keys), sizeof status.box_public);
    kf_vault_status_put(answer, &status);
}

kf_code kf_vault_handle_status(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_message_take_version(request)));
    KF_TRY(kf_fail_plain(error, kf_message_end(request)));
    append_status(vault, answer);
    return kf_buffer_status(answer);
}

kf_code kf_vault_handle_key_list(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_message_take_version(request)));
    KF_TRY(kf_fail_plain(error, kf_message_end(request)));
    size_t count = kf_key_store_count(vault->keys);
    kf_buffer_append_u8(answer, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(answer, kf_key_store_revision(vault->keys));
    size_t peer_count;
    const kf_key_peer *peers = kf_key_store_peers(vault->keys, &peer_count);
    kf_key_peers_put(answer, peers, peer_count);
    kf_buffer_append_u32(answer, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        kf_key_entry_put(answer, kf_key_store_at(vault->keys, i));
    return kf_buffer_status(answer);
}

static uint64_t now_seconds(const kf_vault *vault)
{
    return vault->clock() / 1000;
}

/* What a new key may be on this unit, beyond what the store checks. */
static kf_code settle_new_key(const kf_vault *vault, kf_key_entry *entry, kf_error *error)
{
    if (entry->purpose == KF_PURPOSE_TRANSPORT || entry->purpose == KF_PURPOSE_GROUP ||
        vault->unit == KF_VAULT_KMU)
        entry->policy.exportable = false;
    if (entry->purpose != KF_PURPOSE_PAYMENT || vault->development) return KF_OK;
    kf_diversification *parsed = NULL;
    KF_TRY(kf_diversification_parse(entry->policy.diversification, &parsed, error));
    bool same_for_all = kf_diversification_is_none(parsed);
    kf_diversification_free(&parsed);
    if (same_for_all)
        return kf_fail(error, KF_ERR_KEY_POLICY,
                       "the method none gives every card the same payment key: that is for development only");
    return KF_OK;
}

static kf_code generate(kf_vault *vault, const kf_key_act_request *request, kf_key_act_answer *answer,
                        kf_error *error)
{
    kf_key_entry entry = request->entry;
    const kf_key_entry *made;
    KF_TRY(settle_new_key(vault, &entry, error));
    KF_TRY(kf_key_store_add(vault->keys, &entry, NULL, now_seconds(vault), &made, error));
    answer->entry = *made;
    return KF_OK;
}

static bool is_stated(const kf_kcv *kcv)
{
    static const kf_kcv none;
    return memcmp(kcv->bytes, none.bytes, KF_KCV_SIZE) != 0;
}

/* A request may say by its check value which key it means. */
static kf_code check_value_stated(const kf_key_entry *wanted, const kf_key_entry *found, kf_error *error)
{
    if (!is_stated(&wanted->kcv) || memcmp(wanted->kcv.bytes, found->kcv.bytes, KF_KCV_SIZE) == 0)
        return KF_OK;
    return kf_fail(error, KF_ERR_CHECK_VALUE, "base key %s has KCV %s, the request means one with KCV %s",
                   kf_key_label_of(found).text, kf_kcv_show(found->kcv).text, kf_kcv_show(wanted->kcv).text);
}

static const kf_key_entry *target_of(kf_vault *vault, const kf_key_entry *wanted, kf_error *error)
{
    const kf_key_entry *found = kf_key_store_find(vault->keys, wanted->purpose, wanted->category,
                                                  wanted->version, now_seconds(vault));
    if (found == NULL && wanted->version == 0)
        kf_fail(error, KF_ERR_NO_KEY,
                "there is no %s key of category %s in force; keyfill key list shows those there are",
                kf_key_purpose_name(wanted->purpose), wanted->category);
    else if (found == NULL)
        kf_fail(error, KF_ERR_NO_KEY, "there is no base key %s; keyfill key list shows those there are",
                kf_key_label_of(wanted).text);
    return found;
}

/* The next transport key goes to the other side under the one in force, which stays in force until all that
 * was sent before has arrived; then officers deactivate it. */
static kf_code rotate_transport(kf_vault *vault, kf_key_entry *next, kf_key_act_answer *answer,
                                kf_error *error)
{
    if (vault->unit == KF_VAULT_KMU)
        return kf_fail(error, KF_ERR_STATE,
                       "transport key %s: rotate it at the base key management unit, which sends it here",
                       next->category);
    if (kf_key_store_has_token(vault->keys) && !next->policy.key_blocks)
        return kf_fail(error, KF_ERR_UNSUPPORTED,
                       "transport key %s serves units with tokens, out of which it does not come: make the "
                       "next one with keyfill key transport create and enter it on the other side",
                       next->category);
    next->policy.exportable = true;
    const kf_key_entry *made;
    KF_TRY(kf_key_store_add(vault->keys, next, NULL, now_seconds(vault), &made, error));
    answer->entry = *made;
    return KF_OK;
}

static kf_code rotate(kf_vault *vault, const kf_key_act_request *request, kf_key_act_answer *answer,
                      kf_error *error)
{
    kf_key_entry present = request->entry;
    present.version = 0;
    const kf_key_entry *found = target_of(vault, &present, error);
    if (found == NULL) return KF_ERR_NO_KEY;
    KF_TRY(check_value_stated(&present, found, error));
    if (found->origin[0] != '\0')
        return kf_fail(error, KF_ERR_STATE, "%s came over %s: rotate it at the base key management unit",
                       kf_key_label_of(found).text, found->origin);
    present = *found;
    kf_key_entry next = present;
    next.version = 0;
    next.state = KF_KEY_ACTIVE;
    next.valid_from = 0;
    next.valid_until = request->entry.valid_until;
    if (present.purpose == KF_PURPOSE_TRANSPORT) return rotate_transport(vault, &next, answer, error);
    const kf_key_entry *made;
    KF_TRY(kf_key_store_add(vault->keys, &next, NULL, now_seconds(vault), &made, error));
    answer->entry = *made;
    /* Group keys before the newest still open tokens that are under way; transport keys, blocks. */
    found = kf_key_store_find(vault->keys, present.purpose, present.category, present.version, 0);
    if (found == NULL) return kf_fail_plain(error, KF_ERR_INTERNAL);
    return kf_key_store_set_state(vault->keys, found, KF_KEY_DEACTIVATED, &made, error);
}

static kf_code import(kf_vault *vault, const kf_key_act_request *request, kf_key_act_answer *answer,
                      kf_error *error)
{
    kf_key_entry entry = request->entry;
    if (request->officer_signed && entry.state != KF_KEY_PRE_ACTIVE)
        return kf_fail(error, KF_ERR_STATE,
                       "a key of components is pre-active until officers have confirmed its KCV, not %s",
                       kf_key_state_name(entry.state));
    KF_TRY(settle_new_key(vault, &entry, error));
    KF_TRY(kf_key_policy_check(&entry, error));
    KF_CLEANUP(kf_secret_free) kf_secret *component = NULL;
    if (kf_key_component_open(kf_key_store_box_private(vault->keys), request, &component) != KF_OK)
        return kf_fail(error, KF_ERR_AUTHENTICATION,
                       "component %u is not sealed to this vault's public key, or not for this import",
                       request->component);
    kf_key_ceremony_progress progress;
    KF_TRY(kf_key_ceremony_take(vault->ceremony, request, component, &progress, error));
    KF_CLEANUP(kf_secret_free) kf_secret *whole = progress.whole;
    answer->component_kcv = progress.component_kcv;
    answer->present = progress.present;
    answer->complete = whole != NULL;
    if (whole == NULL) return KF_OK;
    const kf_key_entry *made;
    KF_TRY(kf_key_store_add(vault->keys, &entry, whole, now_seconds(vault), &made, error));
    answer->entry = *made;
    return KF_OK;
}

static kf_code change_state(kf_vault *vault, const kf_key_act_request *request, kf_key_state state,
                            kf_key_act_answer *answer, kf_error *error)
{
    kf_key_entry wanted = request->entry;
    /* What is to be activated is not in force yet. */
    if (state == KF_KEY_ACTIVE && wanted.version == 0)
        wanted.version = kf_key_store_latest(vault->keys, wanted.purpose, wanted.category);
    const kf_key_entry *found = target_of(vault, &wanted, error);
    if (found == NULL) return KF_ERR_NO_KEY;
    KF_TRY(check_value_stated(&wanted, found, error));
    if (request->officer_signed && found->state == KF_KEY_PRE_ACTIVE && state == KF_KEY_ACTIVE &&
        !is_stated(&wanted.kcv))
        return kf_fail(error, KF_ERR_CHECK_VALUE,
                       "whoever activates %s for the first time confirms its KCV: it is missing",
                       kf_key_label_of(found).text);
    const kf_key_entry *changed;
    KF_TRY(kf_key_store_set_state(vault->keys, found, state, &changed, error));
    answer->entry = *changed;
    return KF_OK;
}

static kf_code perform(kf_vault *vault, const kf_key_act_request *request, kf_key_act_answer *answer,
                       kf_error *error)
{
    answer->complete = true;
    switch (request->act) {
    case KF_KEY_GENERATE: return generate(vault, request, answer, error);
    case KF_KEY_ROTATE: return rotate(vault, request, answer, error);
    case KF_KEY_IMPORT: return import(vault, request, answer, error);
    case KF_KEY_ACTIVATE: return change_state(vault, request, KF_KEY_ACTIVE, answer, error);
    case KF_KEY_SUSPEND: return change_state(vault, request, KF_KEY_SUSPENDED, answer, error);
    case KF_KEY_DEACTIVATE: return change_state(vault, request, KF_KEY_DEACTIVATED, answer, error);
    case KF_KEY_DESTROY: return change_state(vault, request, KF_KEY_DESTROYED, answer, error);
    }
    return kf_fail_plain(error, KF_ERR_MALFORMED);
}

static kf_code write_receipt(kf_vault *vault, const kf_key_act_request *request,
                             const kf_key_act_answer *answer, kf_code outcome)
{
    char act[KF_RECEIPT_ACT_SIZE];
    char subject[KF_RECEIPT_SUBJECT_SIZE];
    const kf_key_entry *entry = outcome == KF_OK && answer->complete ? &answer->entry : &request->entry;
    const char *kcv = "";
    kf_kcv_text shown = kf_kcv_show(answer->complete ? entry->kcv : answer->component_kcv);
    if (outcome == KF_OK) kcv = shown.text;
    (void)snprintf(act, sizeof act, "key.%s", kf_key_act_name(request->act));
    if (request->act == KF_KEY_IMPORT)
        (void)snprintf(subject, sizeof subject, "%s component %u of %u", kf_key_label_of(entry).text,
                       request->component, request->component_count);
    else
        (void)snprintf(subject, sizeof subject, "%s", kf_key_label_of(entry).text);
    kf_vault_act done = {&request->actor, act, subject, kcv, outcome};
    return kf_vault_receipt(vault, &done, NULL);
}

/* The refusal is what is told, also where its receipt could not be made. */
static kf_code refuse(kf_error *error, kf_code receipt)
{
    (void)receipt;
    return kf_fail_plain(error, KF_ERR_OFFICERS);
}

kf_code kf_vault_act_on_key(kf_vault *vault, const kf_key_act_request *request, kf_buffer *answer,
                            kf_error *error)
{
    kf_key_act_answer done;
    memset(&done, 0, sizeof done);
    kf_code code = perform(vault, request, &done, error);
    kf_code written = write_receipt(vault, request, &done, code);
    if (code != KF_OK) return code;
    KF_TRY(kf_fail_plain(error, written));
    kf_key_act_answer_put(answer, &done);
    return kf_fail_plain(error, kf_buffer_status(answer));
}

kf_code kf_vault_handle_key_act(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_key_act_request act;
    KF_TRY(kf_fail_plain(error, kf_key_act_request_take(request, &act)));
    KF_TRY(kf_vault_ready(vault, error));
    if (kf_vault_certificate_suffices(vault, error) != KF_OK) {
        kf_key_act_answer nothing;
        memset(&nothing, 0, sizeof nothing);
        return refuse(error, write_receipt(vault, &act, &nothing, KF_ERR_OFFICERS));
    }
    return kf_vault_act_on_key(vault, &act, answer, error);
}

static kf_code open_passphrase(const kf_vault *vault, kf_view sealed, kf_secret **ret_passphrase,
                               kf_error *error)
{
    if (kf_key_passphrase_open(kf_key_store_box_private(vault->keys), sealed, ret_passphrase) != KF_OK)
        return kf_fail(error, KF_ERR_AUTHENTICATION,
                       "the passphrase is not sealed to this vault's public key");
    return KF_OK;
}

static kf_code back_up(kf_vault *vault, const kf_key_backup_request *request, kf_buffer *backup,
                       kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_TRY(open_passphrase(vault, request->sealed_passphrase, &passphrase, error));
    return kf_key_store_backup(vault->keys, passphrase, KF_PASSPHRASE_COST_DEFAULT, backup, error);
}

kf_code kf_vault_back_up(kf_vault *vault, const kf_key_backup_request *request, kf_buffer *backup,
                         kf_error *error)
{
    kf_code code = back_up(vault, request, backup, error);
    kf_vault_act done = {&request->actor, "key.backup", "key store", NULL, code};
    kf_code written = kf_vault_receipt(vault, &done, NULL);
    return code != KF_OK ? code : kf_fail_plain(error, written);
}

kf_code kf_vault_handle_backup(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_key_backup_request wanted;
    KF_TRY(kf_fail_plain(error, kf_key_backup_request_take(request, &wanted)));
    KF_TRY(kf_vault_ready(vault, error));
    if (kf_vault_certificate_suffices(vault, error) != KF_OK) {
        kf_vault_act refused = {&wanted.actor, "key.backup", "key store", NULL, KF_ERR_OFFICERS};
        return refuse(error, kf_vault_receipt(vault, &refused, NULL));
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer backup = KF_BUFFER_INIT;
    KF_TRY(kf_vault_back_up(vault, &wanted, &backup, error));
    kf_buffer_append_u8(answer, KF_MESSAGE_VERSION);
    kf_message_put_blob(answer, kf_buffer_view(&backup));
    return kf_buffer_status(answer);
}

static kf_code restore(kf_vault *vault, const kf_key_backup_request *request, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = NULL;
    KF_TRY(open_passphrase(vault, request->sealed_passphrase, &passphrase, error));
    KF_TRY(kf_key_store_restore(vault->keys, passphrase, request->backup, error));
    /* The receipt key came with the backup. */
    kf_cipher *receipt_key = NULL;
    KF_TRY(kf_fail_plain(error,
                         kf_cipher_new_secret(KF_AES, kf_key_store_receipt_key(vault->keys), &receipt_key)));
    kf_cipher_free(&vault->receipt_key);
    vault->receipt_key = receipt_key;
    vault->note.revision = 0; /* the note is written anew, under the key that came */
    return KF_OK;
}

kf_code kf_vault_restore(kf_vault *vault, const kf_key_backup_request *request, kf_buffer *answer,
                         kf_error *error)
{
    kf_code code = restore(vault, request, error);
    kf_vault_act done = {&request->actor, "key.restore", "key store", NULL, code};
    kf_code written = kf_vault_receipt(vault, &done, NULL);
    if (code != KF_OK) return code;
    KF_TRY(kf_fail_plain(error, written));
    append_status(vault, answer);
    return kf_fail_plain(error, kf_buffer_status(answer));
}

kf_code kf_vault_handle_restore(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_key_backup_request wanted;
    KF_TRY(kf_fail_plain(error, kf_key_backup_request_take(request, &wanted)));
    KF_TRY(kf_vault_ready(vault, error));
    if (kf_vault_certificate_suffices(vault, error) != KF_OK) {
        kf_vault_act refused = {&wanted.actor, "key.restore", "key store", NULL, KF_ERR_OFFICERS};
        return refuse(error, kf_vault_receipt(vault, &refused, NULL));
    }
    return kf_vault_restore(vault, &wanted, answer, error);
}
