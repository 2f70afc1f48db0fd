#include "vault/requests.h"

#include "vault/audit_head_acts.h"
#include "vault/key_acts.h"
#include "vault/key_messages.h"
#include "vault/procedure_messages.h"
#include "vault/procedure_requests.h"
#include "vault/proposal_acts.h"

#define EITHER (KF_VAULT_KMU | KF_VAULT_BKMU)
#define SMALL 4096      /* bytes: an entry with its policy, a sealed component */
#define KEY_BLOCK 16384 /* bytes: the longest key block and what is around it */

static const kf_vault_request_row rows[] = {
    {KF_VAULT_STATUS, "status", EITHER, 1, kf_vault_handle_status},
    {KF_VAULT_RESUME, "resume", EITHER, SMALL, kf_vault_handle_resume},
    {KF_VAULT_AUDIT_STATE, "audit state", EITHER, 1, kf_vault_handle_audit_state},
    {KF_VAULT_SIGN_HEAD, "sign head", EITHER, 64, kf_vault_handle_sign_head},
    {KF_VAULT_VERIFY_RECEIPTS, "verify receipts", EITHER, KF_VERIFY_RECEIPTS_SIZE + 8,
     kf_vault_handle_verify_receipts},
    {KF_VAULT_ACCEPT_LOG, "accept log", EITHER, SMALL, kf_vault_handle_accept_log},
    {KF_VAULT_KEY_LIST, "key list", EITHER, 1, kf_vault_handle_key_list},
    {KF_VAULT_KEY_ACT, "key act", EITHER, SMALL, kf_vault_handle_key_act},
    {KF_VAULT_KEY_BLOCK_EXPORT, "key block export", KF_VAULT_BKMU, SMALL, kf_vault_handle_export},
    {KF_VAULT_KEY_BLOCK_IMPORT, "key block import", KF_VAULT_KMU, KEY_BLOCK, kf_vault_handle_import},
    {KF_VAULT_BACKUP, "backup", EITHER, SMALL, kf_vault_handle_backup},
    {KF_VAULT_RESTORE, "restore", EITHER, KF_VAULT_PAYLOAD_MAX, kf_vault_handle_restore},
    {KF_VAULT_PROPOSAL, "proposal", EITHER, KF_VAULT_PAYLOAD_MAX, kf_vault_handle_proposal},
    {KF_VAULT_ROSTER, "roster", EITHER, 1, kf_vault_handle_roster},
    {KF_VAULT_PROCEDURE_BEGIN, "procedure begin", KF_VAULT_KMU, KF_BEGIN_MESSAGE_MAX, kf_vault_handle_begin},
    {KF_VAULT_PROCEDURE_ADVANCE, "procedure advance", KF_VAULT_KMU, KF_ADVANCE_MESSAGE_MAX,
     kf_vault_handle_advance},
};

const kf_vault_request_row *kf_vault_request_find(kf_vault_unit unit, uint16_t kind)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((uint16_t)rows[i].kind == kind && (rows[i].units & (unsigned)unit) != 0) return &rows[i];
    return NULL;
}

bool kf_vault_request_runs_beside_others(uint16_t kind)
{
    return kind == KF_VAULT_PROCEDURE_BEGIN || kind == KF_VAULT_PROCEDURE_ADVANCE;
}
