#include "vault/proposal_acts.h"

#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>

#include "vault/audit_head_acts.h"
#include "vault/key_acts.h"
#include "vault/key_transfer.h"
#include "vault/permits.h"
#include "vault/proposal_spent.h"

bool kf_vault_has_roster(const kf_key_store *keys)
{
    return kf_key_store_section(keys, KF_SECTION_ROSTER).size > 0;
}

static kf_code read_roster(const kf_key_store *keys, kf_roster *ret_roster, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(kf_key_store_section(keys, KF_SECTION_ROSTER));
    if (kf_roster_take(&cursor, ret_roster) != KF_OK || !kf_cursor_at_end(&cursor))
        return kf_fail(error, KF_ERR_KEY_STORE, "the roster in the key store cannot be read");
    return KF_OK;
}

static kf_code write_roster(kf_key_store *keys, const kf_roster *roster, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_roster_put(&bytes, roster);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&bytes)));
    return kf_key_store_write_section(keys, KF_SECTION_ROSTER, kf_buffer_view(&bytes), error);
}

kf_code kf_vault_found_roster(kf_key_store *keys, kf_view text, kf_error *error)
{
    kf_roster roster;
    if (kf_vault_has_roster(keys))
        return kf_fail(error, KF_ERR_CONFLICT,
                       "this vault has a roster already: officers change it by a quorum, no file does");
    KF_TRY(kf_roster_parse(text, &roster, error));
    return write_roster(keys, &roster, error);
}

kf_code kf_vault_certificate_suffices(const kf_vault *vault, kf_error *error)
{
    if (kf_vault_has_roster(vault->keys))
        return kf_fail(
            error, KF_ERR_OFFICERS,
            "this vault takes signatures of officers, not a certificate: give the command your key "
            "(--officer-key), and have another officer approve it (keyfill proposal approve)");
    if (vault->development) return KF_OK;
    return kf_fail(
        error, KF_ERR_OFFICERS,
        "this vault has no officers: make their keys (keyfill officer new), write their lines into a "
        "file, name it as vault: roster: in the monitor's configuration and start the unit again");
}

/* ---- verification ---- */

/* A proposal whose signatures have been verified. */
typedef struct signed_proposal {
    const kf_proposal_request *request;
    kf_proposal proposal;
    kf_proposal_act act;
    kf_roster roster;
    char id[KF_PROPOSAL_ID_TEXT_SIZE];
    kf_vault_actor proposer; /* as receipts name it */
} signed_proposal;

static kf_code check_place_and_time(const kf_vault *vault, const kf_proposal *proposal, kf_error *error)
{
    uint8_t identity[KF_VAULT_IDENTITY_SIZE];
    uint64_t now = vault->clock() / 1000;
    KF_TRY(kf_fail_plain(error, kf_vault_identity(kf_key_store_box_public(vault->keys), identity)));
    if (memcmp(identity, proposal->vault, sizeof identity) != 0)
        return kf_fail(error, KF_ERR_OFFICERS, "this proposal was signed for another vault");
    if (proposal->expires <= now)
        return kf_fail(error, KF_ERR_EXPIRED, "this proposal expired %llu s ago; propose it again",
                       (unsigned long long)(now - proposal->expires));
    if (proposal->created > now + KF_PROPOSAL_CLOCK_SKEW)
        return kf_fail(error, KF_ERR_OFFICERS,
                       "this proposal was made %llu s in the future: one of the clocks is wrong",
                       (unsigned long long)(proposal->created - now));
    if (proposal->expires < proposal->created || proposal->expires - proposal->created > KF_PROPOSAL_LIFE_MAX)
        return kf_fail(error, KF_ERR_OFFICERS, "this proposal would live longer than %llu days",
                       (unsigned long long)(KF_PROPOSAL_LIFE_MAX / 86400));
    return KF_OK;
}

static kf_code check_quorum(const signed_proposal *hand, kf_error *error)
{
    unsigned wanted = kf_proposal_quorum(&hand->roster, &hand->act);
    size_t count = hand->request->signatures.count;
    if (count >= wanted) return KF_OK;
    return kf_fail(error, KF_ERR_OFFICERS,
                   "%zu of %u officers have signed this: keyfill proposal approve %s --officer-key FILE",
                   count, wanted, hand->id);
}

static kf_code check_attachment(const signed_proposal *hand, kf_error *error)
{
    uint8_t digest[KF_DIGEST_SIZE];
    kf_view attachment = hand->request->attachment;
    if (hand->act.kind != KF_PROPOSAL_RESTORE)
        return attachment.size == 0 ? KF_OK : kf_fail_plain(error, KF_ERR_MALFORMED);
    KF_TRY(kf_fail_plain(error, kf_sha256(attachment, digest)));
    if (memcmp(digest, hand->act.backup_digest, sizeof digest) == 0) return KF_OK;
    return kf_fail(error, KF_ERR_OFFICERS, "this is not the backup that the officers signed for");
}

static void name_proposer(signed_proposal *hand)
{
    (void)snprintf(hand->proposer.who, sizeof hand->proposer.who, "officer:%s", hand->proposal.proposer);
    (void)snprintf(hand->proposer.request, sizeof hand->proposer.request, "%s", hand->id);
}

static kf_code verify(const kf_vault *vault, const kf_proposal_request *request, signed_proposal *hand,
                      kf_error *error)
{
    hand->request = request;
    if (!kf_vault_has_roster(vault->keys))
        return kf_fail(error, KF_ERR_OFFICERS,
                       "this vault has no roster against which signatures could be "
                       "verified");
    KF_TRY(read_roster(vault->keys, &hand->roster, error));
    if (kf_proposal_take(request->proposal, &hand->proposal) != KF_OK)
        return kf_fail(error, KF_ERR_MALFORMED, "these bytes are no proposal");
    KF_TRY(kf_fail_plain(error, kf_hex_encode(KF_VIEW(hand->proposal.id), hand->id, sizeof hand->id)));
    name_proposer(hand);
    KF_TRY(kf_proposal_check_signatures(&hand->roster, request->proposal, &hand->proposal,
                                        &request->signatures, error));
    KF_TRY(check_place_and_time(vault, &hand->proposal, error));
    if (kf_proposal_act_take(&hand->proposal, &hand->act) != KF_OK)
        return kf_fail(error, KF_ERR_MALFORMED, "the proposal's act cannot be read");
    KF_TRY(check_quorum(hand, error));
    KF_TRY(check_attachment(hand, error));
    return kf_proposal_check_spent(vault->keys, &hand->proposal, error);
}

/* ---- receipts ---- */

/* What was not verified is told as it was said, under the name that the front gives. */
static void receipt_refusal(kf_vault *vault, const signed_proposal *hand, kf_code code)
{
    kf_vault_actor actor = hand->request->actor;
    char subject[KF_RECEIPT_SUBJECT_SIZE] = "what is no proposal";
    if (hand->id[0] != '\0')
        (void)snprintf(subject, sizeof subject, "proposal %s of officer %s", hand->id,
                       hand->proposal.proposer);
    (void)snprintf(actor.request, sizeof actor.request, "%s", hand->id);
    kf_vault_act refused = {&actor, "proposal.refused", subject, NULL, code};
    /* The refusal stands whether or not it can be told. */
    (void)kf_fail_plain(NULL, kf_vault_receipt(vault, &refused, NULL));
}

static kf_code receipt_approvals(kf_vault *vault, const signed_proposal *hand, kf_error *error)
{
    char subject[KF_RECEIPT_SUBJECT_SIZE];
    (void)snprintf(subject, sizeof subject, "%s %s", kf_proposal_act_name(&hand->act),
                   kf_proposal_subject_of(&hand->act).text);
    for (size_t i = 1; i < hand->request->signatures.count; i++) {
        kf_vault_actor approver = hand->proposer;
        (void)snprintf(approver.who, sizeof approver.who, "officer:%s",
                       hand->request->signatures.items[i].officer);
        kf_vault_act approved = {&approver, "proposal.approved", subject, NULL, KF_OK};
        KF_TRY(kf_vault_receipt(vault, &approved, error));
    }
    return KF_OK;
}

/* For acts that write no receipt of their own. */
static kf_code receipt_act(kf_vault *vault, const signed_proposal *hand, const char *kcv, kf_code outcome)
{
    kf_proposal_subject subject = kf_proposal_subject_of(&hand->act);
    kf_vault_act done = {&hand->proposer, kf_proposal_act_name(&hand->act), subject.text,
                         outcome == KF_OK ? kcv : NULL, outcome};
    return kf_vault_receipt(vault, &done, NULL);
}

/* ---- acts ---- */

static kf_code change_roster(kf_vault *vault, signed_proposal *hand, kf_error *error)
{
    KF_TRY(kf_roster_apply(&hand->roster, &hand->act.roster, error));
    return write_roster(vault->keys, &hand->roster, error);
}

static kf_code export_key(kf_vault *vault, const signed_proposal *hand, kf_buffer *block, kf_error *error)
{
    const kf_key_export_act *wanted = &hand->act.export;
    if (vault->unit != KF_VAULT_BKMU)
        return kf_fail(error, KF_ERR_KEY_POLICY, "keys leave a base key management unit only");
    KF_TRY(kf_category_check(wanted->pair, error));
    const kf_key_entry *entry =
        kf_key_store_find(vault->keys, wanted->purpose, wanted->category, wanted->version, 0);
    if (wanted->version == 0 || entry == NULL)
        return kf_fail(error, KF_ERR_NO_KEY, "there is no base key %s",
                       kf_proposal_subject_of(&hand->act).text);
    if (memcmp(entry->kcv.bytes, wanted->kcv.bytes, KF_KCV_SIZE) != 0)
        return kf_fail(error, KF_ERR_CHECK_VALUE, "base key %s has KCV %s, the officers signed for %s",
                       kf_key_label_of(entry).text, kf_kcv_show(entry->kcv).text,
                       kf_kcv_show(wanted->kcv).text);
    if (!entry->policy.exportable || entry->origin[0] != '\0' || entry->state == KF_KEY_DESTROYED)
        return kf_fail(error, KF_ERR_KEY_POLICY, "base key %s is not exportable",
                       kf_key_label_of(entry).text);
    return kf_key_transfer_wrap(vault->keys, entry, wanted->pair, 0, vault->clock() / 1000, block, error);
}

static kf_code do_simple(kf_vault *vault, signed_proposal *hand, kf_buffer *given, kf_error *error)
{
    if (hand->act.kind == KF_PROPOSAL_ROSTER) return change_roster(vault, hand, error);
    if (hand->act.kind == KF_PROPOSAL_PERMIT) return kf_permit_write(vault->keys, &hand->act.permit, error);
    return export_key(vault, hand, given, error);
}

static kf_code act_and_receipt(kf_vault *vault, signed_proposal *hand, kf_buffer *given, kf_error *error)
{
    kf_code code = do_simple(vault, hand, given, error);
    kf_kcv_text kcv = kf_kcv_show(hand->act.export.kcv);
    kf_code written = receipt_act(vault, hand, hand->act.kind == KF_PROPOSAL_EXPORT ? kcv.text : NULL, code);
    return code != KF_OK ? code : kf_fail_plain(error, written);
}

static kf_code perform(kf_vault *vault, signed_proposal *hand, kf_buffer *given, kf_error *error)
{
    kf_key_backup_request backup = {.actor = hand->proposer,
                                    .sealed_passphrase = hand->act.sealed_passphrase,
                                    .backup = hand->request->attachment};
    switch (hand->act.kind) {
    case KF_PROPOSAL_KEY_ACT:
        hand->act.key.actor = hand->proposer;
        hand->act.key.officer_signed = true;
        return kf_vault_act_on_key(vault, &hand->act.key, given, error);
    case KF_PROPOSAL_BACKUP: return kf_vault_back_up(vault, &backup, given, error);
    case KF_PROPOSAL_RESTORE: return kf_vault_restore(vault, &backup, given, error);
    case KF_PROPOSAL_ROSTER:
    case KF_PROPOSAL_PERMIT:
    case KF_PROPOSAL_EXPORT: return act_and_receipt(vault, hand, given, error);
    case KF_PROPOSAL_ACCEPT_LOG:
        hand->act.accept_log.actor = hand->proposer;
        return kf_vault_accept_log(vault, &hand->act.accept_log, error);
    }
    return kf_fail_plain(error, KF_ERR_INTERNAL);
}

kf_code kf_vault_handle_proposal(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_proposal_request wanted;
    signed_proposal hand;
    memset(&hand, 0, sizeof hand);
    KF_TRY(kf_fail_plain(error, kf_proposal_request_take(request, &wanted)));
    KF_TRY(kf_vault_ready_for_key_blocks(vault, error));
    kf_code code = verify(vault, &wanted, &hand, error);
    if (code == KF_OK && hand.act.kind != KF_PROPOSAL_ACCEPT_LOG) code = kf_vault_ready(vault, error);
    /* Before the act: whatever becomes of it, these signatures are used up. */
    if (code == KF_OK) code = kf_proposal_spend(vault->keys, &hand.proposal, vault->clock() / 1000, error);
    if (code != KF_OK) {
        receipt_refusal(vault, &hand, code);
        return code;
    }
    KF_TRY(receipt_approvals(vault, &hand, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer given = kf_buffer_with_limit(KF_VAULT_PAYLOAD_MAX);
    KF_TRY(perform(vault, &hand, &given, error));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&given)));
    kf_buffer_append_u8(answer, KF_MESSAGE_VERSION);
    kf_message_put_blob(answer, kf_buffer_view(&given));
    return kf_buffer_status(answer);
}

kf_code kf_vault_handle_roster(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    KF_TRY(kf_fail_plain(error, kf_message_take_version(request)));
    KF_TRY(kf_fail_plain(error, kf_message_end(request)));
    bool present = kf_vault_has_roster(vault->keys);
    kf_buffer_append_u8(answer, KF_MESSAGE_VERSION);
    kf_message_put_bool(answer, present);
    if (present) kf_buffer_append(answer, kf_key_store_section(vault->keys, KF_SECTION_ROSTER));
    kf_view permits = kf_key_store_section(vault->keys, KF_SECTION_PERMITTED);
    if (permits.size > 0)
        kf_buffer_append(answer, permits);
    else
        kf_permits_put(answer, NULL, 0);
    return kf_buffer_status(answer);
}

kf_code kf_vault_check_permit(const kf_vault *vault, const kf_permit_wanted *wanted, kf_error *error)
{
    bool profile = wanted->kind == KF_PERMIT_PROFILE;
    if (!kf_vault_has_roster(vault->keys)) return KF_OK;
    bool permitted = false;
    KF_TRY(kf_permit_find(vault->keys, wanted->kind, wanted->digest, &permitted, error));
    if (permitted) return KF_OK;
    return kf_fail(error, profile ? KF_ERR_PROFILE : KF_ERR_MODULE,
                   "%s %s is not approved by officers as it is (SHA-256 %.16s…): keyfill %s permit",
                   profile ? "profile" : "module", wanted->name,
                   kf_hex_show(kf_view_of(wanted->digest, KF_DIGEST_SIZE)).text,
                   profile ? "profile" : "module");
}
