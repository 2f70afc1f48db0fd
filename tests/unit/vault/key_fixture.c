#include "key_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <keyfill/hex.h>

#include "token_fixture.h"

/* One token for the whole program. */
static test_token shared_token;
static bool has_token;

bool test_uses_token(void)
{
    const char *custody = getenv("KEYFILL_TEST_CUSTODY");
    return custody != NULL && strcmp(custody, "token") == 0;
}

test_token *test_shared_token(void)
{
    return has_token ? &shared_token : NULL;
}

const kf_key_custody *test_custody(void)
{
    if (!test_uses_token()) return NULL;
    if (!has_token) {
        test_token_make(&shared_token, true);
        has_token = true;
    }
    return &shared_token.custody;
}

/* Not at exit: the module's own statics may be gone by then. */
int test_custody_stop(void **state)
{
    (void)state;
    if (has_token) test_token_remove(&shared_token);
    has_token = false;
    return 0;
}

void key_folder_make(key_folder *folder)
{
    strcpy(folder->path, "/tmp/keyfill-keys.XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    assert_int_equal(chmod(folder->path, 0700), 0);
}

void key_folder_slot(const key_folder *folder, size_t slot, char ret_path[96])
{
    (void)snprintf(ret_path, 96, "%s/keys.%c", folder->path, slot == 0 ? 'a' : 'b');
}

void key_folder_remove(key_folder *folder)
{
    char path[96];
    for (size_t i = 0; i < 2; i++) {
        key_folder_slot(folder, i, path);
        unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/receipts", folder->path);
    unlink(path);
    assert_int_equal(rmdir(folder->path), 0);
}

kf_secret *test_secret(const char *text)
{
    kf_secret *secret = NULL;
    assert_int_equal(kf_secret_new(kf_view_of_text(text), &secret), KF_OK);
    return secret;
}

kf_code open_store(const key_folder *folder, const char *passphrase, kf_key_store **ret_store,
                   kf_error *error)
{
    KF_CLEANUP(kf_key_slots_close) kf_key_slots slots = {{-1, -1}};
    KF_CLEANUP(kf_secret_free) kf_secret *secret = test_secret(passphrase);
    KF_TRY(kf_key_slots_open(folder->path, &slots, error));
    const kf_key_store_terms terms = {secret, {1, 8192}, test_custody()};
    return kf_key_store_open_with(&slots, &terms, ret_store, error);
}

kf_key_entry payment_entry(const char *category)
{
    kf_key_entry entry = {
        .purpose = KF_PURPOSE_PAYMENT, .algorithm = KF_AES, .size = 16, .state = KF_KEY_ACTIVE};
    strcpy(entry.category, category);
    strcpy(entry.policy.diversification, TEST_TEMPLATE);
    entry.policy.exportable = true;
    return entry;
}

kf_key_entry transport_entry(const char *pair)
{
    kf_key_entry entry = {
        .purpose = KF_PURPOSE_TRANSPORT, .algorithm = KF_AES, .size = 32, .state = KF_KEY_ACTIVE};
    strcpy(entry.category, pair);
    return entry;
}

static uint64_t test_clock(void)
{
    return TEST_NOW_SECONDS * 1000;
}

void test_vault_make(test_vault *vault, kf_vault_unit unit)
{
    kf_error error = {KF_OK, ""};
    kf_key_store *store = NULL;
    key_folder_make(&vault->folder);
    assert_int_equal(open_store(&vault->folder, "a passphrase", &store, &error), KF_OK);
    assert_int_equal(kf_vault_new(unit, store, true, test_clock, &vault->vault, &error), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    kf_vault_resume_put(&request, &(kf_vault_resume){.written = 0});
    assert_int_equal(test_ask(vault, KF_VAULT_RESUME, &request, NULL, &error), KF_OK);
}

void test_vault_restart(test_vault *vault, kf_vault_unit unit)
{
    kf_error error = {KF_OK, ""};
    kf_key_store *store = NULL;
    bool development = vault->vault->development;
    kf_vault_free(&vault->vault);
    assert_int_equal(open_store(&vault->folder, "a passphrase", &store, &error), KF_OK);
    assert_int_equal(kf_vault_new(unit, store, development, test_clock, &vault->vault, &error), KF_OK);
    vault->vault->resumed = true;
}

void test_vault_remove(test_vault *vault)
{
    kf_vault_free(&vault->vault);
    key_folder_remove(&vault->folder);
}

kf_code test_ask(test_vault *vault, kf_vault_kind kind, const kf_buffer *request, kf_buffer *payload,
                 kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer answers = KF_BUFFER_INIT;
    kf_vault_frame frame = {(uint16_t)kind, 7, kf_buffer_view(request)};
    KF_TRY(kf_vault_answer_frame(vault->vault, &frame, &answers, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answers));
    kf_vault_answer_parts parts;
    assert_int_equal(kf_vault_frame_take(&cursor, &frame), KF_OK);
    assert_int_equal(frame.kind, kind);
    assert_int_equal(frame.id, 7);
    assert_int_equal(kf_vault_answer_take(frame.payload, &parts), KF_OK);
    if (parts.code != KF_OK)
        return kf_fail(error, parts.code, "%.*s", (int)parts.message.size, (const char *)parts.message.data);
    if (payload != NULL) {
        kf_buffer_truncate(payload, 0);
        kf_buffer_append(payload, parts.payload);
    }
    return KF_OK;
}

kf_code test_import(test_vault *vault, const kf_key_entry *entry, const char *first, const char *second,
                    kf_key_act_answer *ret_answer, kf_error *error)
{
    const char *const components[2] = {first, second};
    for (size_t i = 0; i < 2; i++) {
        KF_CLEANUP(kf_secret_free) kf_secret *component = NULL;
        KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
        kf_key_act_request request = {.actor = {"officer:alice", ""},
                                      .act = KF_KEY_IMPORT,
                                      .entry = *entry,
                                      .import_id = {1, 2, 3},
                                      .component_count = 2,
                                      .component = (uint8_t)(i + 1)};
        assert_int_equal(kf_hex_decode_secret(components[i], &component), KF_OK);
        assert_int_equal(kf_key_component_seal(kf_key_store_box_public(vault->vault->keys), request.import_id,
                                               request.component, component, &sealed),
                         KF_OK);
        request.sealed = kf_buffer_view(&sealed);
        kf_key_act_request_put(&bytes, &request);
        KF_TRY(test_ask(vault, KF_VAULT_KEY_ACT, &bytes, &answer, error));
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
        assert_int_equal(kf_key_act_answer_take(&cursor, ret_answer), KF_OK);
    }
    return KF_OK;
}
