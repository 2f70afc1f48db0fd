/* Writes samples of what only our own code writes into FOLDER/TARGET/: inputs to begin with. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../unit/vault/procedure_samples.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "fuzz.h"
#include "memory_card.h"
#include "vault/key_messages.h"
#include "vault/procedure_messages.h"
#include "vault/receipt.h"

static const char *folder;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 0;
}

static void write_sample(const char *target, const char *name, const kf_buffer *bytes)
{
    char path[512];
    int size = snprintf(path, sizeof path, "%s/%s", folder, target);
    FUZZ_WANT(size > 0 && (size_t)size < sizeof path);
    (void)mkdir(path, 0777);
    size = snprintf(path, sizeof path, "%s/%s/sample-%s", folder, target, name);
    FUZZ_WANT(size > 0 && (size_t)size < sizeof path);
    FILE *file = fopen(path, "wb");
    FUZZ_WANT(file != NULL && fwrite(bytes->data, 1, bytes->size, file) == bytes->size);
    FUZZ_WANT(fclose(file) == 0);
}

/* Of vault_messages: the message behind the number of its row. */
#define SAMPLE(row, call)                                                                                    \
    do {                                                                                                     \
        FUZZ_BUFFER(bytes);                                                                                  \
        kf_buffer_append_u8(&bytes, row);                                                                    \
        call;                                                                                                \
        FUZZ_WANT(kf_buffer_status(&bytes) == KF_OK);                                                        \
        write_sample("vault_messages", #row, &bytes);                                                        \
    } while (0)

static kf_key_entry sample_entry(void)
{
    kf_key_entry entry = {.category = "cn-north",
                          .purpose = KF_PURPOSE_PAYMENT,
                          .version = 1,
                          .algorithm = KF_AES,
                          .size = 16,
                          .state = KF_KEY_ACTIVE,
                          .created = 1,
                          .revision = 2,
                          .origin = "north"};
    strcpy(entry.policy.diversification, "sp800-108-aes(role,number/bcd/8/right-F)");
    entry.policy.profile_count = 1;
    return entry;
}

static void write_receipt(kf_buffer *bytes)
{
    kf_cipher *key = NULL;
    const kf_receipt receipt = {
        .number = 1, .time = 2, .actor = {"officer:a", "x"}, .act = "key.generate", .subject = "payment/a/1"};
    FUZZ_WANT(kf_cipher_new_secret(KF_AES, fuzz_key(1, 32), &key) == KF_OK);
    FUZZ_WANT(kf_receipt_encode(key, &receipt, bytes) == KF_OK);
    kf_cipher_free(&key);
}

static void write_list(kf_buffer *bytes, const kf_key_entry *entry)
{
    const kf_key_peer peer = {.name = "north", .revision = 2};
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(bytes, 1);
    kf_key_peers_put(bytes, &peer, 1);
    kf_buffer_append_u32(bytes, 2);
    kf_key_entry_put(bytes, entry);
    kf_key_entry_put(bytes, entry);
}

static void write_messages(void)
{
    const kf_key_entry entry = sample_entry();
    kf_procedure_state state = sample_state();
    const kf_vault_actor actor = {"officer:alice", "1"};
    const kf_view block = kf_view_of_text("D0016K1AB00E0000");
    static kf_begin_message begin;
    begin.request = state.request;
    begin.profile = block;
    const kf_key_act_request act = {.actor = actor, .act = KF_KEY_GENERATE, .entry = entry};
    const kf_key_act_answer answer = {.complete = true, .entry = entry};
    const kf_key_message message = {
        .pair = "north", .category = "a", .purpose = 1, .version = 1, .block = block};
    const kf_key_import_request import = {actor, message};
    const kf_key_import_answer imported = {.revision = 3, .entry = entry};
    const kf_key_backup_request backup = {actor, block, block};
    const kf_key_export_request export = {.actor = actor, .pair = "north", .limit = 4};
    static kf_key_export_answer exported;
    exported.head = 7;
    exported.count = 2;
    exported.messages[0] = exported.messages[1] = message;
    const kf_vault_status status = {.unit = KF_VAULT_KMU, .resumed = true, .revision = 3, .key_count = 1};
    const kf_vault_answer_parts parts = {.code = KF_OK, .payload = block};
    static kf_procedure_message procedure;
    procedure.outcome = KF_PROCEDURE_CONTINUE;
    FUZZ_WANT(kf_script_append(&procedure.script, "SELECT", kf_view_of_text("\x01\xA4\x04\x01")) != NULL);
    kf_advance_message advance = {.actor = actor, .step = 1, .attempt = 1, .token = block};
    FUZZ_WANT(kf_script_answers_append(&advance.answers, 0, kf_view_of_text("\x90\x01")) == KF_OK);
    SAMPLE(0, kf_vault_answer_put(&bytes, KF_VAULT_STATUS, 1, &parts));
    SAMPLE(1, write_receipt(&bytes));
    SAMPLE(2, kf_procedure_state_encode(&state, &bytes));
    SAMPLE(3, kf_key_entry_put(&bytes, &entry));
    SAMPLE(4, kf_key_policy_put(&bytes, &entry.policy));
    SAMPLE(5, kf_vault_status_put(&bytes, &status));
    SAMPLE(6, kf_key_act_request_put(&bytes, &act));
    SAMPLE(7, kf_key_act_answer_put(&bytes, &answer));
    SAMPLE(8, kf_key_backup_request_put(&bytes, &backup));
    SAMPLE(9, kf_key_message_put(&bytes, &message));
    SAMPLE(10, kf_key_export_request_put(&bytes, &export));
    SAMPLE(11, kf_key_export_answer_put(&bytes, &exported));
    SAMPLE(12, kf_key_import_answer_put(&bytes, &imported));
    SAMPLE(13, kf_key_import_request_put(&bytes, &import));
    SAMPLE(14, kf_begin_message_put(&bytes, &begin));
    SAMPLE(15, kf_advance_message_put(&bytes, &advance));
    SAMPLE(16, kf_procedure_message_put(&bytes, &procedure));
    SAMPLE(17, kf_card_record_encode(&state.record, &bytes));
    SAMPLE(18, write_list(&bytes, &entry));
    SAMPLE(19, kf_vault_actor_put(&bytes, &actor));
    SAMPLE(20, kf_procedure_request_encode(&state.request, &bytes));
    kf_script_clear(&procedure.script);
    kf_script_answers_clear(&advance.answers);
    kf_procedure_state_clear(&state);
}

/* Frames of vault_requests: kind, size, payload. */
static void append_frame(kf_buffer *frames, kf_vault_kind kind, const kf_buffer *payload)
{
    kf_buffer_append_u8(frames, (uint8_t)kind);
    kf_buffer_append_u16(frames, (uint16_t)payload->size);
    kf_buffer_append(frames, kf_buffer_view(payload));
}

static void write_requests(void)
{
    FUZZ_BUFFER(frames);
    FUZZ_BUFFER(payload);
    kf_key_entry entry = sample_entry();
    entry.version = 0;
    const kf_key_act_request act = {.actor = {"officer:alice", "1"}, .act = KF_KEY_SUSPEND, .entry = entry};
    const kf_key_export_request export = {.actor = act.actor, .pair = "north", .limit = 4};
    static kf_begin_message begin;
    begin.request = sample_request();
    begin.profile = kf_view_of_text("name: a\n");
    kf_key_act_request_put(&payload, &act);
    append_frame(&frames, KF_VAULT_KEY_ACT, &payload);
    kf_buffer_truncate(&payload, 0);
    kf_key_export_request_put(&payload, &export);
    append_frame(&frames, KF_VAULT_KEY_BLOCK_EXPORT, &payload);
    kf_buffer_truncate(&payload, 0);
    kf_begin_message_put(&payload, &begin);
    append_frame(&frames, KF_VAULT_PROCEDURE_BEGIN, &payload);
    write_sample("vault_requests", "frames", &frames);
}

static void write_states(void)
{
    for (size_t i = 0; i < memory_card_kind_count; i++) {
        char name[24];
        memory_card card;
        memory_card_open(&card, i);
        (void)snprintf(name, sizeof name, "%zu", i);
        kf_buffer bytes = {.data = card.saved.data, .size = card.saved.size - KF_DIGEST_SIZE};
        write_sample("card_state", name, &bytes);
        memory_card_close(&card);
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 2) return 2;
    folder = arguments[1];
    write_messages();
    write_requests();
    write_states();
    return 0;
}
