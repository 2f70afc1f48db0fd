/* Key blocks out of a base key management unit's vault and into a key management unit's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vault/key_acts.h"
#include "vault/key_envelope.h"

/* A transport key goes to the other side of its pair alone. */
static bool goes_out(const kf_key_entry *entry, const char *pair)
{
    bool others = entry->purpose == KF_PURPOSE_TRANSPORT && strcmp(entry->category, pair) != 0;
    return entry->policy.exportable && entry->origin[0] == '\0' && !others;
}

typedef struct export_plan {
    const kf_key_entry *entries[KF_KEY_BLOCK_BATCH_MAX]; /* oldest revision first */
    size_t count;
    uint64_t head;
} export_plan;

/* Keeps the `limit` oldest of those behind `after`, in order. */
static void plan_entry(export_plan *plan, const kf_key_entry *entry, size_t limit)
{
    size_t position = plan->count;
    while (position > 0 && plan->entries[position - 1]->revision > entry->revision)
        position--;
    if (position == limit) return;
    size_t last = plan->count < limit ? plan->count++ : plan->count - 1;
    for (size_t i = last; i > position; i--)
        plan->entries[i] = plan->entries[i - 1];
    plan->entries[position] = entry;
}

static void make_plan(const kf_key_store *store, const kf_key_export_request *request, export_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    for (size_t i = 0; i < kf_key_store_count(store); i++) {
        const kf_key_entry *entry = kf_key_store_at(store, i);
        if (!goes_out(entry, request->pair)) continue;
        if (entry->revision > plan->head) plan->head = entry->revision;
        if (entry->revision > request->after) plan_entry(plan, entry, request->limit);
    }
}

static kf_code append_message(const kf_vault *vault, const kf_key_export_request *request,
                              const kf_key_entry *entry, uint64_t after, kf_buffer *answer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer block = KF_BUFFER_INIT;
    KF_TRY(
        kf_key_transfer_wrap(vault->keys, entry, request->pair, after, vault->clock() / 1000, &block, error));
    kf_key_message message = {.purpose = entry->purpose,
                              .version = entry->version,
                              .revision = entry->revision,
                              .after = after,
                              .block = kf_buffer_view(&block)};
    memcpy(message.pair, request->pair, sizeof message.pair);
    memcpy(message.category, entry->category, sizeof message.category);
    kf_key_message_put(answer, &message);
    return kf_fail_plain(error, kf_buffer_status(answer));
}

/* With a token a key that travels in a key block is in this process's memory on its way, and the receipt says
 * so. */
static void name_subject(const kf_key_entry *entry, bool translated,
                         char ret_subject[KF_RECEIPT_SUBJECT_SIZE])
{
    (void)snprintf(ret_subject, KF_RECEIPT_SUBJECT_SIZE, "%s%s", kf_key_label_of(entry).text,
                   translated ? " through the vault's memory" : "");
}

static kf_code export_all(kf_vault *vault, const kf_key_export_request *request, const export_plan *plan,
                          kf_buffer *answer, kf_error *error)
{
    kf_buffer_append_u8(answer, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(answer, plan->head);
    kf_buffer_append_u16(answer, (uint16_t)plan->count);
    uint64_t after = request->after;
    bool translated = kf_key_transfer_translates(vault->keys, request->pair, vault->clock() / 1000);
    for (size_t i = 0; i < plan->count; i++) {
        const kf_key_entry *entry = plan->entries[i];
        kf_code code = append_message(vault, request, entry, after, answer, error);
        char subject[KF_RECEIPT_SUBJECT_SIZE];
        name_subject(entry, translated, subject);
        kf_kcv_text kcv = kf_kcv_show(entry->kcv);
        kf_vault_act done = {&request->actor, "key.export", subject, kcv.text, code};
        kf_code written = kf_vault_receipt(vault, &done, NULL);
        KF_TRY(code);
        KF_TRY(kf_fail_plain(error, written));
        after = entry->revision;
    }
    return KF_OK;
}

kf_code kf_vault_handle_export(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_key_export_request wanted;
    KF_TRY(kf_fail_plain(error, kf_key_export_request_take(request, &wanted)));
    KF_TRY(kf_category_check(wanted.pair, error));
    KF_TRY(kf_vault_ready(vault, error));
    export_plan plan;
    make_plan(vault->keys, &wanted, &plan);
    return export_all(vault, &wanted, &plan, answer, error);
}

/* The versions of transport keys are each side's own affair: where components were entered once more here,
 * the number that the other side gives may be taken. */
static void settle_transport_version(const kf_key_store *store, kf_key_entry *entry)
{
    uint32_t latest = kf_key_store_latest(store, entry->purpose, entry->category);
    for (uint32_t version = latest; version > 0; version--) {
        const kf_key_entry *here = kf_key_store_find(store, entry->purpose, entry->category, version, 0);
        bool same = here != NULL && strcmp(here->origin, entry->origin) == 0 &&
                    memcmp(here->kcv.bytes, entry->kcv.bytes, KF_KCV_SIZE) == 0;
        if (!same) continue;
        entry->version = version;
        return;
    }
    if (entry->version <= latest) entry->version = latest + 1;
}

static kf_code accept(kf_vault *vault, const kf_key_message *message, kf_key_entry *ret_entry,
                      kf_error *error)
{
    kf_key_arrival arrival;
    KF_TRY(kf_key_transfer_unwrap(vault->keys, message, &arrival, error));
    uint64_t known = kf_key_store_peer_revision(vault->keys, arrival.entry.origin);
    if (arrival.entry.purpose == KF_PURPOSE_TRANSPORT) settle_transport_version(vault->keys, &arrival.entry);
    const kf_key_entry *accepted = NULL;
    const kf_arriving_key source = {arrival.key, arrival.transport, kf_buffer_view(&arrival.wrapped)};
    kf_code code;
    if (arrival.after > known)
        code =
            kf_fail(error, KF_ERR_REVISION,
                    "revision %llu follows on %llu, but only %llu has arrived over %s: pull what is missing",
                    (unsigned long long)arrival.entry.revision, (unsigned long long)arrival.after,
                    (unsigned long long)known, arrival.entry.origin);
    else
        code = kf_key_store_accept(vault->keys, &arrival.entry, &source, &accepted, error);
    kf_key_arrival_clear(&arrival);
    KF_TRY(code);
    *ret_entry = *accepted;
    return KF_OK;
}

kf_code kf_vault_handle_import(kf_vault *vault, kf_cursor *request, kf_buffer *answer, kf_error *error)
{
    kf_key_import_request wanted;
    kf_key_import_answer done;
    memset(&done, 0, sizeof done);
    KF_TRY(kf_fail_plain(error, kf_key_import_request_take(request, &wanted)));
    KF_TRY(kf_vault_ready_for_key_blocks(vault, error));
    kf_code code = accept(vault, &wanted.message, &done.entry, error);
    kf_key_entry named = {.purpose = wanted.message.purpose, .version = wanted.message.version};
    memcpy(named.category, wanted.message.category, sizeof named.category);
    char subject[KF_RECEIPT_SUBJECT_SIZE];
    name_subject(&named, kf_key_store_has_token(vault->keys) && !kf_key_is_envelope(wanted.message.block),
                 subject);
    kf_kcv_text kcv = kf_kcv_show(done.entry.kcv);
    kf_vault_act act = {&wanted.actor, "key.accept", subject, code == KF_OK ? kcv.text : NULL, code};
    kf_code written = kf_vault_receipt(vault, &act, NULL);
    if (code != KF_OK) return code;
    KF_TRY(kf_fail_plain(error, written));
    done.revision = kf_key_store_peer_revision(vault->keys, wanted.message.pair);
    kf_key_import_answer_put(answer, &done);
    return kf_buffer_status(answer);
}
