#include "vault/proposal.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/signing_key.h"

static const char magic[] = "keyfill-proposal-1";
#define MAGIC_SIZE (sizeof magic - 1)

kf_code kf_vault_identity(const uint8_t box_public[KF_BOX_PUBLIC_SIZE],
                          uint8_t ret_identity[KF_VAULT_IDENTITY_SIZE])
{
    return kf_sha256(kf_view_of(box_public, KF_BOX_PUBLIC_SIZE), ret_identity);
}

void kf_proposal_put(kf_buffer *bytes, const kf_proposal *proposal)
{
    kf_buffer_append_bytes(bytes, magic, MAGIC_SIZE);
    kf_buffer_append_bytes(bytes, proposal->vault, sizeof proposal->vault);
    kf_buffer_append_bytes(bytes, proposal->id, sizeof proposal->id);
    kf_buffer_append_u64(bytes, proposal->created);
    kf_buffer_append_u64(bytes, proposal->expires);
    kf_message_put_text(bytes, proposal->proposer);
    kf_buffer_append_u8(bytes, (uint8_t)proposal->kind);
    kf_message_put_blob(bytes, proposal->payload);
}

kf_code kf_proposal_take(kf_view bytes, kf_proposal *ret_proposal)
{
    kf_proposal proposal;
    kf_view found;
    uint8_t kind;
    if (bytes.size > KF_PROPOSAL_SIZE_MAX) return KF_ERR_TOO_LONG;
    kf_cursor cursor = kf_cursor_of(bytes);
    memset(&proposal, 0, sizeof proposal);
    KF_TRY(kf_cursor_take(&cursor, MAGIC_SIZE, &found));
    if (memcmp(found.data, magic, MAGIC_SIZE) != 0) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_copy(&cursor, proposal.vault, sizeof proposal.vault));
    KF_TRY(kf_cursor_copy(&cursor, proposal.id, sizeof proposal.id));
    KF_TRY(kf_cursor_u64(&cursor, &proposal.created));
    KF_TRY(kf_cursor_u64(&cursor, &proposal.expires));
    KF_TRY(kf_message_take_text(&cursor, proposal.proposer, sizeof proposal.proposer));
    KF_TRY(kf_cursor_u8(&cursor, &kind));
    if (kind < KF_PROPOSAL_KEY_ACT || kind > KF_PROPOSAL_ACCEPT_LOG) return KF_ERR_MALFORMED;
    proposal.kind = (kf_proposal_kind)kind;
    KF_TRY(kf_message_take_blob(&cursor, KF_PROPOSAL_SIZE_MAX, &proposal.payload));
    KF_TRY(kf_message_end(&cursor));
    *ret_proposal = proposal;
    return KF_OK;
}

unsigned kf_proposal_quorum(const kf_roster *roster, const kf_proposal_act *act)
{
    if (act->kind == KF_PROPOSAL_ROSTER) return roster->quorum_roster;
    if (act->kind == KF_PROPOSAL_KEY_ACT && act->key.act == KF_KEY_IMPORT) return 1;
    return roster->quorum_keys;
}

static kf_code check_one(const kf_officer *officer, kf_view bytes, const kf_officer_signature *signature,
                         kf_error *error)
{
    kf_public_key *key = NULL;
    KF_TRY(kf_fail_plain(error, kf_signing_public_read(kf_view_of(officer->key, officer->key_size), &key)));
    kf_code code = kf_signature_verify(key, KF_SIGNATURE_ECDSA_SHA256, bytes,
                                       kf_view_of(signature->bytes, sizeof signature->bytes));
    kf_public_key_free(&key);
    if (code == KF_ERR_AUTHENTICATION)
        return kf_fail(
            error, KF_ERR_OFFICERS,
            "the signature of officer %s does not verify: another key than the roster's (%s), or the "
            "proposal was altered",
            officer->name, kf_officer_fingerprint_of(officer).text);
    return kf_fail_plain(error, code);
}

kf_code kf_proposal_check_signatures(const kf_roster *roster, kf_view bytes, const kf_proposal *proposal,
                                     const kf_proposal_signatures *signatures, kf_error *error)
{
    if (signatures->count == 0 || strcmp(signatures->items[0].officer, proposal->proposer) != 0)
        return kf_fail(error, KF_ERR_OFFICERS, "the signature of the proposer, %s, is missing",
                       proposal->proposer);
    for (size_t i = 0; i < signatures->count; i++) {
        const char *name = signatures->items[i].officer;
        if (i > 0 && strcmp(name, proposal->proposer) == 0)
            return kf_fail(error, KF_ERR_OFFICERS, "officer %s proposed this: another one has to approve it",
                           name);
        for (size_t j = 1; j < i; j++)
            if (strcmp(signatures->items[j].officer, name) == 0)
                return kf_fail(error, KF_ERR_OFFICERS, "officer %s has signed this twice: it counts once",
                               name);
        const kf_officer *officer = kf_roster_find(roster, name);
        if (officer == NULL)
            return kf_fail(error, KF_ERR_OFFICERS,
                           "%s is no officer of this vault's roster; keyfill roster show lists them", name);
        KF_TRY(check_one(officer, bytes, &signatures->items[i], error));
    }
    return KF_OK;
}

void kf_proposal_request_put(kf_buffer *bytes, const kf_proposal_request *request)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_vault_actor_put(bytes, &request->actor);
    kf_message_put_blob(bytes, request->proposal);
    kf_buffer_append_u8(bytes, (uint8_t)request->signatures.count);
    for (size_t i = 0; i < request->signatures.count; i++) {
        const kf_officer_signature *signature = &request->signatures.items[i];
        kf_message_put_text(bytes, signature->officer);
        kf_buffer_append_bytes(bytes, signature->bytes, sizeof signature->bytes);
    }
    kf_message_put_blob(bytes, request->attachment);
}

kf_code kf_proposal_request_take(kf_cursor *bytes, kf_proposal_request *ret_request)
{
    kf_proposal_request request;
    uint8_t count;
    memset(&request, 0, sizeof request);
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_vault_actor_take(bytes, &request.actor));
    KF_TRY(kf_message_take_blob(bytes, KF_PROPOSAL_SIZE_MAX, &request.proposal));
    KF_TRY(kf_cursor_u8(bytes, &count));
    if (count > KF_PROPOSAL_SIGNATURES_MAX) return KF_ERR_MALFORMED;
    for (; request.signatures.count < count; request.signatures.count++) {
        kf_officer_signature *signature = &request.signatures.items[request.signatures.count];
        KF_TRY(kf_message_take_text(bytes, signature->officer, sizeof signature->officer));
        KF_TRY(kf_cursor_copy(bytes, signature->bytes, sizeof signature->bytes));
    }
    KF_TRY(kf_message_take_blob(bytes, KF_VAULT_PAYLOAD_MAX, &request.attachment));
    KF_TRY(kf_message_end(bytes));
    *ret_request = request;
    return KF_OK;
}

void kf_permits_put(kf_buffer *bytes, const kf_permit *permits, size_t count)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u16(bytes, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        kf_permit_put(bytes, &permits[i]);
}

kf_code kf_permits_take(kf_cursor *bytes, kf_permit **ret_permits, size_t *ret_count)
{
    uint16_t count;
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u16(bytes, &count));
    if (count > KF_PERMITS_MAX) return KF_ERR_MALFORMED;
    KF_CLEANUP(kf_free_pointer) kf_permit *permits = calloc((size_t)count + 1, sizeof *permits);
    if (permits == NULL) return KF_ERR_MEMORY;
    for (uint16_t i = 0; i < count; i++)
        KF_TRY(kf_permit_take(bytes, &permits[i]));
    *ret_permits = permits;
    permits = NULL; /* the caller owns it now */
    *ret_count = count;
    return KF_OK;
}

kf_code kf_dual_control_take(kf_cursor *bytes, kf_dual_control *ret_control)
{
    kf_dual_control control;
    memset(&control, 0, sizeof control);
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_message_take_bool(bytes, &control.present));
    if (control.present) KF_TRY(kf_roster_take(bytes, &control.roster));
    KF_TRY(kf_permits_take(bytes, &control.permits, &control.permit_count));
    kf_code code = kf_message_end(bytes);
    if (code != KF_OK) {
        kf_dual_control_clear(&control);
        return code;
    }
    *ret_control = control;
    return KF_OK;
}

void kf_dual_control_clear(kf_dual_control *control)
{
    free(control->permits);
    control->permits = NULL;
    control->permit_count = 0;
}
