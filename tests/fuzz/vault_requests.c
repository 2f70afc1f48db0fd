/* Whole requests from a front to a vault with keys in it, as a front that was broken into can send them:
 * kinds and payloads of any bytes. The vault answers each, or ends itself. */
#include "../unit/vault/key_fixture.h"
#include "fuzz.h"

#define FRAMES_MAX 8

static test_vault vault;
static bool made;

static void remove_vault(void)
{
    if (made) test_vault_remove(&vault);
    made = false;
}

static void add_key(const kf_key_entry *entry)
{
    const kf_key_entry *added = NULL;
    FUZZ_WANT(kf_key_store_add(vault.vault->keys, entry, fuzz_key(1, entry->size), TEST_NOW_SECONDS, &added,
                               NULL) == KF_OK);
}

/* The same vault for every input: a new one where the last input changed its keys. */
static void make_vault(void)
{
    static uint64_t revision;
    if (made && kf_key_store_revision(vault.vault->keys) == revision) return;
    remove_vault();
    test_vault_make(&vault, KF_VAULT_KMU);
    made = true;
    const kf_key_entry payment = payment_entry("cn-north");
    const kf_key_entry transport = transport_entry("north");
    add_key(&payment);
    add_key(&transport);
    revision = kf_key_store_revision(vault.vault->keys);
}

static void want_answer(const kf_buffer *answers, const kf_vault_frame *asked)
{
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(answers));
    kf_vault_frame frame;
    kf_vault_answer_parts parts;
    FUZZ_WANT(kf_vault_frame_take(&cursor, &frame) == KF_OK && kf_cursor_at_end(&cursor));
    FUZZ_WANT(frame.kind == asked->kind && frame.id == asked->id);
    FUZZ_WANT(kf_vault_answer_take(frame.payload, &parts) == KF_OK);
    FUZZ_WANT((parts.code == KF_OK) == (parts.message.size == 0));
    FUZZ_WANT(parts.code == KF_OK || parts.payload.size == 0);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    return atexit(remove_vault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = fuzz_input_of(data, size);
    make_vault();
    for (unsigned i = 0; i < FRAMES_MAX && !fuzz_input_ends(&input); i++) {
        FUZZ_BUFFER(answers);
        kf_error error = {KF_OK, ""};
        uint16_t kind = fuzz_u8(&input);
        FUZZ_COPY(payload, fuzz_part16(&input));
        const kf_vault_frame frame = {kind, 7, payload.view};
        if (kf_vault_answer_frame(vault.vault, &frame, &answers, &error) == KF_OK) {
            want_answer(&answers, &frame);
            continue;
        }
        FUZZ_WANT(error.message[0] != '\0');
        break;
    }
    return 0;
}
