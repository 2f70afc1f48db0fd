#include "vault/proposal_do.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vault/key_act_form.h"
#include "wire/json.h"

kf_code kf_proposal_ask_roster(const kf_front *front, kf_dual_control *ret_control, kf_error *error)
{
    static const uint8_t version = KF_MESSAGE_VERSION;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_TRY(kf_front_ask(front, KF_VAULT_ROSTER, kf_view_of(&version, 1), &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    return kf_fail_plain(error, kf_dual_control_take(&cursor, ret_control));
}

kf_code kf_proposal_check_target(const kf_front *front, const kf_proposal *proposal, kf_error *error)
{
    static const uint8_t version = KF_MESSAGE_VERSION;
    uint8_t identity[KF_VAULT_IDENTITY_SIZE];
    kf_vault_status status;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_TRY(kf_front_ask(front, KF_VAULT_STATUS, kf_view_of(&version, 1), &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    KF_TRY(kf_fail_plain(error, kf_vault_status_take(&cursor, &status)));
    KF_TRY(kf_fail_plain(error, kf_vault_identity(status.box_public, identity)));
    if (memcmp(identity, proposal->vault, sizeof identity) != 0)
        return kf_fail(error, KF_ERR_OFFICERS, "this proposal was signed for another vault than this unit's");
    if (proposal->expires <= front->clock() / 1000)
        return kf_fail(error, KF_ERR_EXPIRED, "this proposal has expired; propose it again");
    return KF_OK;
}

static kf_code status_to_json(kf_view given, json_t *json)
{
    kf_vault_status status;
    kf_cursor cursor = kf_cursor_of(given);
    KF_TRY(kf_vault_status_take(&cursor, &status));
    KF_TRY(kf_json_set_integer(json, "keys", status.key_count));
    return kf_json_set_integer(json, "revision", (int64_t)status.revision);
}

static kf_code key_answer_to_json(const kf_proposal_act *act, kf_view given, json_t *json, bool *ret_changed)
{
    kf_key_act_answer answer;
    kf_cursor cursor = kf_cursor_of(given);
    KF_TRY(kf_key_act_answer_take(&cursor, &answer));
    *ret_changed = answer.complete;
    return kf_key_act_answer_to_json(&act->key, &answer, json);
}

/* What the act gave, for whoever reads the proposal afterwards. */
static kf_code make_result(const kf_proposal_act *act, kf_view given, kf_buffer *text, bool *ret_changed)
{
    KF_CLEANUP(kf_json_free) json_t *json = json_object();
    switch (act->kind) {
    case KF_PROPOSAL_KEY_ACT: KF_TRY(key_answer_to_json(act, given, json, ret_changed)); break;
    case KF_PROPOSAL_BACKUP: KF_TRY(kf_json_set_base64url(json, "backup", given)); break;
    case KF_PROPOSAL_RESTORE:
        *ret_changed = true;
        KF_TRY(status_to_json(given, json));
        break;
    case KF_PROPOSAL_EXPORT: {
        KF_CLEANUP(kf_free_pointer) char *block = kf_text_of_view(given);
        if (block == NULL) return KF_ERR_MEMORY;
        KF_TRY(kf_json_set_text(json, "block", block));
        break;
    }
    case KF_PROPOSAL_ROSTER:
    case KF_PROPOSAL_PERMIT:
    case KF_PROPOSAL_ACCEPT_LOG: break;
    }
    return kf_json_write(json, text);
}

typedef struct end_work {
    const char *id;
    const kf_proposal_outcome *outcome; /* NULL: the proposal stays pending */
    const kf_buffer *receipts;
    const char *detail;
} end_work;

static kf_code write_end(kf_database *database, void *context, kf_error *error)
{
    const end_work *work = context;
    KF_TRY(kf_front_audit_receipts(database, work->receipts, work->detail, error));
    return work->outcome == NULL ? KF_OK : kf_proposals_end(database, work->id, work->outcome, error);
}

/* Whether the vault gave its answer before it took the signatures as used: then the proposal stays as it was.
 */
static bool stays_pending(kf_code code)
{
    return code < 0 || code == KF_ERR_OFFICERS || code == KF_ERR_BUSY || code == KF_ERR_HELD;
}

static const char *state_after(kf_code code)
{
    if (code == KF_OK || code == KF_ERR_SPENT) return "done";
    return code == KF_ERR_EXPIRED ? "expired" : "refused";
}

static void describe_signers(const kf_proposal_row *row, char *ret_text, size_t size)
{
    int used = snprintf(ret_text, size, "proposal %s of %s", row->id, row->proposer);
    for (size_t i = 1; i < row->signatures.count && used > 0 && (size_t)used < size; i++)
        used += snprintf(ret_text + used, size - (size_t)used, "%s %s", i == 1 ? ", approved by" : ",",
                         row->signatures.items[i].officer);
}

/* The act is over, one way or the other; the audit rows are written with what they are about. */
static kf_code note_outcome(const kf_front *front, const kf_proposal_row *row, kf_code code,
                            const kf_buffer *receipts, const kf_proposal_outcome *outcome, kf_error *error)
{
    char detail[1024];
    describe_signers(row, detail, sizeof detail);
    end_work work = {row->id, stays_pending(code) ? NULL : outcome, receipts, detail};
    kf_code written = kf_database_write(front->database, write_end, &work, error);
    if (written == KF_OK || receipts->size == 0) return written;
    /* They are owed then, and the next act pays them. */
    return kf_front_keep_receipts(front, receipts, detail, error);
}

static kf_code ask_vault(const kf_front *front, const kf_vault_actor *caller, const kf_proposal_row *row,
                         kf_vault_answer *answer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    const kf_proposal_request request = {.actor = *caller,
                                         .proposal = kf_buffer_view(&row->bytes),
                                         .signatures = row->signatures,
                                         .attachment = kf_buffer_view(&row->attachment)};
    kf_proposal_request_put(&payload, &request);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&payload)));
    return kf_vault_call(front->vault, KF_VAULT_PROPOSAL, kf_buffer_view(&payload), answer, error);
}

static kf_code read_given(const kf_vault_answer *answer, const kf_proposal_row *row, kf_buffer *result,
                          bool *ret_changed)
{
    kf_proposal proposal;
    kf_proposal_act act;
    kf_view given;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer->payload));
    KF_TRY(kf_proposal_take(kf_buffer_view(&row->bytes), &proposal));
    KF_TRY(kf_proposal_act_take(&proposal, &act));
    KF_TRY(kf_message_take_version(&cursor));
    KF_TRY(kf_message_take_blob(&cursor, KF_VAULT_PAYLOAD_MAX, &given));
    return make_result(&act, given, result, ret_changed);
}

kf_code kf_proposal_do(const kf_front *front, const kf_vault_actor *caller, const kf_proposal_row *row,
                       bool *ret_changed, kf_error *error)
{
    bool changed = false;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer result = KF_BUFFER_INIT;
    kf_error refusal = {KF_OK, ""};
    KF_TRY(kf_front_settle(front, error));
    kf_code code = ask_vault(front, caller, row, &answer, &refusal);
    kf_code readable = code == KF_OK ? read_given(&answer, row, &result, &changed) : KF_OK;
    const kf_proposal_outcome outcome = {.state = state_after(code),
                                         .result = kf_buffer_view(&result),
                                         .message = code == KF_OK ? "" : kf_error_text(&refusal)};
    kf_error store_error = {KF_OK, ""};
    kf_code written = note_outcome(front, row, code, &answer.receipts, &outcome, &store_error);
    *ret_changed = changed;
    if (code == KF_ERR_SPENT && written == KF_OK) return KF_OK;
    if (code != KF_OK) return kf_fail(error, code, "%s", kf_error_text(&refusal));
    KF_TRY(kf_fail_plain(error, readable));
    if (written == KF_OK) return KF_OK;
    return kf_fail(error, written, "it was done, but it could not be recorded: %.300s",
                   kf_error_text(&store_error));
}
