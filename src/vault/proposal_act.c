/* The payloads of proposals, and what they are in words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <keyfill/hex.h>

#include "vault/proposal.h"

void kf_permit_put(kf_buffer *bytes, const kf_permit *permit)
{
    kf_buffer_append_u8(bytes, (uint8_t)permit->kind);
    kf_message_put_bool(bytes, permit->allowed);
    kf_message_put_text(bytes, permit->name);
    kf_buffer_append_bytes(bytes, permit->digest, sizeof permit->digest);
}

kf_code kf_permit_take(kf_cursor *bytes, kf_permit *ret_permit)
{
    kf_permit permit;
    uint8_t kind;
    memset(&permit, 0, sizeof permit);
    KF_TRY(kf_cursor_u8(bytes, &kind));
    if (kind != KF_PERMIT_PROFILE && kind != KF_PERMIT_MODULE) return KF_ERR_MALFORMED;
    permit.kind = (kf_permit_kind)kind;
    KF_TRY(kf_message_take_bool(bytes, &permit.allowed));
    KF_TRY(kf_message_take_text(bytes, permit.name, sizeof permit.name));
    KF_TRY(kf_cursor_copy(bytes, permit.digest, sizeof permit.digest));
    *ret_permit = permit;
    return KF_OK;
}

static void put_export(kf_buffer *payload, const kf_key_export_act *export)
{
    kf_buffer_append_u8(payload, (uint8_t) export->purpose);
    kf_message_put_text(payload, export->category);
    kf_buffer_append_u32(payload, export->version);
    kf_buffer_append_bytes(payload, export->kcv.bytes, KF_KCV_SIZE);
    kf_message_put_text(payload, export->pair);
}

static kf_code take_export(kf_cursor *cursor, kf_key_export_act *export)
{
    uint8_t purpose;
    KF_TRY(kf_cursor_u8(cursor, &purpose));
    if (purpose < KF_PURPOSE_PAYMENT || purpose > KF_PURPOSE_GROUP) return KF_ERR_MALFORMED;
    export->purpose = (kf_key_purpose)purpose;
    KF_TRY(kf_message_take_text(cursor, export->category, sizeof export->category));
    KF_TRY(kf_cursor_u32(cursor, &export->version));
    KF_TRY(kf_cursor_copy(cursor, export->kcv.bytes, KF_KCV_SIZE));
    return kf_message_take_text(cursor, export->pair, sizeof export->pair);
}

void kf_proposal_act_put(kf_buffer *payload, const kf_proposal_act *act)
{
    kf_key_act_request key = act->key;
    /* The key act and the roster change begin with a version byte of their own. */
    if (act->kind != KF_PROPOSAL_KEY_ACT && act->kind != KF_PROPOSAL_ROSTER)
        kf_buffer_append_u8(payload, KF_MESSAGE_VERSION);
    switch (act->kind) {
    case KF_PROPOSAL_KEY_ACT:
        memset(&key.actor, 0, sizeof key.actor); /* the vault names the actor by the signature */
        kf_key_act_request_put(payload, &key);
        return;
    case KF_PROPOSAL_ROSTER: kf_roster_change_put(payload, &act->roster); return;
    case KF_PROPOSAL_PERMIT: kf_permit_put(payload, &act->permit); return;
    case KF_PROPOSAL_BACKUP: kf_message_put_blob(payload, act->sealed_passphrase); return;
    case KF_PROPOSAL_RESTORE:
        kf_message_put_blob(payload, act->sealed_passphrase);
        kf_buffer_append_bytes(payload, act->backup_digest, sizeof act->backup_digest);
        return;
    case KF_PROPOSAL_EXPORT: put_export(payload, &act->export); return;
    case KF_PROPOSAL_ACCEPT_LOG:
        kf_buffer_append_u8(payload, (uint8_t)act->accept_log.holds);
        kf_message_put_text(payload, act->accept_log.reason);
        return;
    }
}

static kf_code take_accept_log(kf_cursor *cursor, kf_accept_log_request *accepted)
{
    uint8_t holds;
    KF_TRY(kf_cursor_u8(cursor, &holds));
    if (holds == 0 || holds > KF_HOLDS_ALL) return KF_ERR_MALFORMED;
    accepted->holds = holds;
    return kf_message_take_text(cursor, accepted->reason, sizeof accepted->reason);
}

static kf_code take_versioned(kf_cursor *cursor, kf_proposal_act *act)
{
    KF_TRY(kf_message_take_version(cursor));
    if (act->kind == KF_PROPOSAL_PERMIT) KF_TRY(kf_permit_take(cursor, &act->permit));
    if (act->kind == KF_PROPOSAL_EXPORT) KF_TRY(take_export(cursor, &act->export));
    if (act->kind == KF_PROPOSAL_ACCEPT_LOG) KF_TRY(take_accept_log(cursor, &act->accept_log));
    if (act->kind == KF_PROPOSAL_BACKUP || act->kind == KF_PROPOSAL_RESTORE)
        KF_TRY(kf_message_take_blob(cursor, KF_SEALED_PASSPHRASE_MAX, &act->sealed_passphrase));
    if (act->kind == KF_PROPOSAL_RESTORE)
        KF_TRY(kf_cursor_copy(cursor, act->backup_digest, sizeof act->backup_digest));
    return kf_message_end(cursor);
}

static kf_code take_key_act(kf_cursor *cursor, kf_key_act_request *key)
{
    KF_TRY(kf_key_act_request_take(cursor, key));
    /* One act has one encoding: no actor of the front's saying. */
    return key->actor.who[0] == '\0' && key->actor.request[0] == '\0' ? KF_OK : KF_ERR_MALFORMED;
}

kf_code kf_proposal_act_take(const kf_proposal *proposal, kf_proposal_act *ret_act)
{
    kf_proposal_act act;
    kf_cursor cursor = kf_cursor_of(proposal->payload);
    memset(&act, 0, sizeof act);
    act.kind = proposal->kind;
    if (act.kind == KF_PROPOSAL_KEY_ACT)
        KF_TRY(take_key_act(&cursor, &act.key));
    else if (act.kind == KF_PROPOSAL_ROSTER)
        KF_TRY(kf_roster_change_take(&cursor, &act.roster));
    else
        KF_TRY(take_versioned(&cursor, &act));
    *ret_act = act;
    return KF_OK;
}

static const char *roster_act_name(kf_roster_act act)
{
    switch (act) {
    case KF_ROSTER_ADD: return "roster.add";
    case KF_ROSTER_REMOVE: return "roster.remove";
    case KF_ROSTER_REPLACE_KEY: return "roster.replace-key";
    case KF_ROSTER_QUORUM: return "roster.quorum";
    }
    return "roster";
}

static const char *key_act_name(kf_key_act act)
{
    switch (act) {
    case KF_KEY_GENERATE: return "key.generate";
    case KF_KEY_ROTATE: return "key.rotate";
    case KF_KEY_IMPORT: return "key.import";
    case KF_KEY_ACTIVATE: return "key.activate";
    case KF_KEY_SUSPEND: return "key.suspend";
    case KF_KEY_DEACTIVATE: return "key.deactivate";
    case KF_KEY_DESTROY: return "key.destroy";
    }
    return "key";
}

static const char *permit_act_name(const kf_permit *permit)
{
    if (permit->kind == KF_PERMIT_PROFILE) return permit->allowed ? "profile.permit" : "profile.forbid";
    return permit->allowed ? "module.permit" : "module.forbid";
}

const char *kf_proposal_act_name(const kf_proposal_act *act)
{
    switch (act->kind) {
    case KF_PROPOSAL_KEY_ACT: return key_act_name(act->key.act);
    case KF_PROPOSAL_ROSTER: return roster_act_name(act->roster.act);
    case KF_PROPOSAL_PERMIT: return permit_act_name(&act->permit);
    case KF_PROPOSAL_BACKUP: return "key.backup";
    case KF_PROPOSAL_RESTORE: return "key.restore";
    case KF_PROPOSAL_EXPORT: return "key.export";
    case KF_PROPOSAL_ACCEPT_LOG: return "audit.accept";
    }
    return "unknown";
}

/* "payment/cn-north/1"; without a version "payment/cn-north". */
static void write_key_subject(kf_key_purpose purpose, const char *category, uint32_t version,
                              kf_proposal_subject *subject)
{
    int size = snprintf(subject->text, sizeof subject->text, "%s/%s", kf_key_purpose_name(purpose), category);
    if (version != 0 && size > 0 && (size_t)size < sizeof subject->text)
        (void)snprintf(subject->text + size, sizeof subject->text - (size_t)size, "/%" PRIu32, version);
}

kf_proposal_subject kf_proposal_subject_of(const kf_proposal_act *act)
{
    kf_proposal_subject subject = {""};
    const kf_key_entry *entry = &act->key.entry;
    switch (act->kind) {
    case KF_PROPOSAL_KEY_ACT:
        write_key_subject(entry->purpose, entry->category, entry->version, &subject);
        break;
    case KF_PROPOSAL_ROSTER:
        if (act->roster.act == KF_ROSTER_QUORUM)
            (void)snprintf(subject.text, sizeof subject.text, "keys %u, roster %u", act->roster.quorum_keys,
                           act->roster.quorum_roster);
        else
            (void)snprintf(subject.text, sizeof subject.text, "%s", act->roster.officer.name);
        break;
    case KF_PROPOSAL_PERMIT: (void)snprintf(subject.text, sizeof subject.text, "%s", act->permit.name); break;
    case KF_PROPOSAL_BACKUP:
    case KF_PROPOSAL_RESTORE: (void)snprintf(subject.text, sizeof subject.text, "key store"); break;
    case KF_PROPOSAL_EXPORT:
        write_key_subject(act->export.purpose, act->export.category, act->export.version, &subject);
        break;
    case KF_PROPOSAL_ACCEPT_LOG:
        (void)snprintf(subject.text, sizeof subject.text, "%s",
                       kf_audit_hold_names(act->accept_log.holds).text);
        break;
    }
    return subject;
}

/* ---- in words ---- */

static void put_time(kf_buffer *text, uint64_t seconds)
{
    char shown[32] = "?";
    struct tm parts;
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &parts) != NULL) (void)strftime(shown, sizeof shown, "%Y-%m-%d %H:%M:%S UTC", &parts);
    kf_buffer_append_text(text, shown);
}

static void describe_policy(kf_buffer *text, const kf_key_entry *entry)
{
    static const char *const channels[] = {"any channel", "", "SCP02 or better", "SCP03"};
    const kf_key_policy *policy = &entry->policy;
    kf_buffer_format(text, "  card keys: %s\n",
                     policy->diversification[0] != '\0' ? policy->diversification : "none are made of it");
    kf_buffer_format(text, "  least channel: %s, level %02X; %s%s%s\n", channels[policy->least_channel % 4],
                     policy->least_level, policy->exportable ? "may leave in key blocks" : "never leaves",
                     policy->clear_at_terminal ? "; CARD KEYS ARE SEEN AT THE TERMINAL" : "",
                     policy->refill_new_version_only ? "; a refill takes a new base key version" : "");
    if (policy->key_blocks)
        kf_buffer_append_text(
            text, "  base keys go under it in key blocks, also from a token: through the vault's memory\n");
    for (size_t i = 0; i < policy->profile_count; i++)
        kf_buffer_format(text, "  serves profile: %s\n", kf_hex_show(KF_VIEW(policy->profiles[i])).text);
    if (policy->profile_count == 0) kf_buffer_append_text(text, "  serves: any profile\n");
}

static void describe_validity(kf_buffer *text, const kf_key_entry *entry)
{
    if (entry->valid_from != 0) {
        kf_buffer_append_text(text, "  valid from: ");
        put_time(text, entry->valid_from);
        kf_buffer_append_u8(text, '\n');
    }
    if (entry->valid_until != 0) {
        kf_buffer_append_text(text, "  valid until: ");
        put_time(text, entry->valid_until);
        kf_buffer_append_u8(text, '\n');
    }
}

static void describe_new_key(kf_buffer *text, const kf_key_act_request *request)
{
    const kf_key_entry *entry = &request->entry;
    kf_buffer_format(text, "%s base key of category %s, version %s", kf_key_purpose_name(entry->purpose),
                     entry->category, entry->version == 0 ? "the next" : "");
    if (entry->version != 0) kf_buffer_format(text, "%" PRIu32, entry->version);
    kf_buffer_format(text, "\n  %s, %zu bytes, %s\n", kf_key_algorithm_name(entry->algorithm), entry->size,
                     kf_key_state_name(entry->state));
    describe_validity(text, entry);
    describe_policy(text, entry);
}

static bool is_stated(const kf_kcv *kcv)
{
    static const kf_kcv none;
    return memcmp(kcv->bytes, none.bytes, KF_KCV_SIZE) != 0;
}

static void describe_target(kf_buffer *text, const kf_key_entry *entry)
{
    kf_buffer_format(text, "%s base key of category %s, version ", kf_key_purpose_name(entry->purpose),
                     entry->category);
    if (entry->version != 0)
        kf_buffer_format(text, "%" PRIu32, entry->version);
    else
        kf_buffer_append_text(text, "as in force when it is done");
    kf_buffer_append_u8(text, '\n');
    if (is_stated(&entry->kcv)) kf_buffer_format(text, "  KCV %s\n", kf_kcv_show(entry->kcv).text);
}

static void describe_key_act(kf_buffer *text, const kf_key_act_request *request)
{
    static const char *const effects[] = {
        [KF_KEY_ROTATE] = "the version in force is deactivated, the next one takes its place",
        [KF_KEY_ACTIVATE] = "it is taken into use",
        [KF_KEY_SUSPEND] = "it makes nothing until it is activated again",
        [KF_KEY_DEACTIVATE] = "it makes nothing new, and proves what it made",
        [KF_KEY_DESTROY] = "IT IS WIPED: cards under it can no longer be refilled or cleared",
    };
    kf_buffer_format(text, "%s a ", kf_key_act_name(request->act));
    if (request->act == KF_KEY_GENERATE || request->act == KF_KEY_IMPORT) {
        describe_new_key(text, request);
        if (request->act == KF_KEY_IMPORT)
            kf_buffer_format(text, "  component %u of %u\n", request->component, request->component_count);
        return;
    }
    describe_target(text, &request->entry);
    describe_validity(text, &request->entry);
    kf_buffer_format(text, "  %s\n", effects[request->act]);
}

static void describe_roster(kf_buffer *text, const kf_roster_change *change)
{
    const char *name = change->officer.name;
    kf_officer_fingerprint key = kf_officer_fingerprint_of(&change->officer);
    switch (change->act) {
    case KF_ROSTER_ADD: kf_buffer_format(text, "make %s an officer\n  key: %s\n", name, key.text); break;
    case KF_ROSTER_REMOVE: kf_buffer_format(text, "%s is no longer an officer\n", name); break;
    case KF_ROSTER_REPLACE_KEY:
        kf_buffer_format(text, "officer %s signs with another key from now on\n  key: %s\n", name, key.text);
        break;
    case KF_ROSTER_QUORUM:
        kf_buffer_format(text,
                         "change the quorums\n  acts on keys, profiles, modules: %u officers\n  changes of "
                         "the roster: %u officers\n",
                         change->quorum_keys, change->quorum_roster);
        break;
    }
    kf_buffer_format(text, "  on revision %" PRIu64 " of the roster\n", change->base);
}

static void describe_permit(kf_buffer *text, const kf_permit *permit)
{
    kf_buffer_format(text, "%s %s %s\n  SHA-256 %s\n", permit->allowed ? "permit" : "no longer permit",
                     permit->kind == KF_PERMIT_PROFILE ? "profile" : "module", permit->name,
                     kf_hex_show(KF_VIEW(permit->digest)).text);
}

static void describe_accept_log(kf_buffer *text, const kf_accept_log_request *accepted)
{
    char found[KF_HOLD_TEXT_SIZE];
    kf_audit_hold_text(accepted->holds, found);
    kf_buffer_format(text, "accept, and work again, although:\n  %s\n  because: %s\n", found,
                     accepted->reason);
}

static void describe_act(kf_buffer *text, const kf_proposal_act *act)
{
    switch (act->kind) {
    case KF_PROPOSAL_KEY_ACT: describe_key_act(text, &act->key); return;
    case KF_PROPOSAL_ROSTER: describe_roster(text, &act->roster); return;
    case KF_PROPOSAL_PERMIT: describe_permit(text, &act->permit); return;
    case KF_PROPOSAL_BACKUP:
        kf_buffer_append_text(text, "back up all keys, sealed under the proposer's passphrase or shares\n");
        return;
    case KF_PROPOSAL_RESTORE:
        kf_buffer_format(text, "restore all keys from a backup\n  SHA-256 %s\n",
                         kf_hex_show(KF_VIEW(act->backup_digest)).text);
        return;
    case KF_PROPOSAL_EXPORT:
        kf_buffer_format(text,
                         "export the %s base key of category %s, version %" PRIu32
                         "\n  KCV %s\n  as a key block under the transport key %s\n",
                         kf_key_purpose_name(act->export.purpose), act->export.category, act->export.version,
                         kf_kcv_show(act->export.kcv).text, act->export.pair);
        return;
    case KF_PROPOSAL_ACCEPT_LOG: describe_accept_log(text, &act->accept_log); return;
    }
}

kf_code kf_proposal_describe(const kf_proposal *proposal, const kf_proposal_act *act, kf_buffer *text)
{
    kf_buffer_append_text(text, "proposal ");
    kf_buffer_append_hex(text, KF_VIEW(proposal->id));
    kf_buffer_format(text, "\n  by officer %s, ", proposal->proposer);
    put_time(text, proposal->created);
    kf_buffer_append_text(text, ", until ");
    put_time(text, proposal->expires);
    kf_buffer_append_text(text, "\n  for the vault ");
    kf_buffer_append_hex(text, kf_view_of(proposal->vault, 8));
    kf_buffer_append_text(text, "\n");
    describe_act(text, act);
    return kf_buffer_status(text);
}
