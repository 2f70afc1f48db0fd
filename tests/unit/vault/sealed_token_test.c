#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "key_fixture.h"
#include "procedure_samples.h"
#include "vault/sealed_token.h"

typedef struct test_place {
    key_folder folder;
    kf_key_store *keys;
} test_place;

static void make(test_place *made)
{
    kf_error error = {0};
    key_folder_make(&made->folder);
    if (open_store(&made->folder, "a passphrase", &made->keys, &error) != KF_OK)
        fail_msg("%s", error.message);
}

static void remove_place(test_place *made)
{
    kf_key_store_free(&made->keys);
    key_folder_remove(&made->folder);
}

static void assert_refused(const test_place *made, const kf_vault_actor *actor, const kf_buffer *token,
                           uint64_t now, const char *because)
{
    kf_procedure_state state = {.step = 77};
    kf_error error = {0};
    assert_int_equal(kf_token_open(made->keys, actor, kf_buffer_view(token), now, &state, &error),
                     KF_ERR_TOKEN);
    if (strstr(error.message, because) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.message, because);
    assert_int_equal(state.step, 77);
}

static void a_token_comes_back_until_it_expires(void **unused)
{
    (void)unused;
    test_place here;
    make(&here);
    kf_procedure_state state = sample_state();
    kf_procedure_state opened = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer one = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer other = KF_BUFFER_INIT;
    assert_int_equal(kf_token_seal(here.keys, &state, &token), KF_OK);
    assert_int_equal(kf_token_open(here.keys, &state.request.actor, kf_buffer_view(&token), state.expires - 1,
                                   &opened, NULL),
                     KF_OK);
    kf_procedure_state_encode(&state, &one);
    kf_procedure_state_encode(&opened, &other);
    assert_true(kf_view_equal(kf_buffer_view(&one), kf_buffer_view(&other)));
    kf_procedure_state_clear(&opened);
    assert_refused(&here, &state.request.actor, &token, state.expires, "expired");
    assert_refused(&here, &state.request.actor, &token, state.expires + 1, "expired");
    kf_procedure_state_clear(&state);
    remove_place(&here);
}

static void every_flipped_bit_is_noticed(void **unused)
{
    (void)unused;
    test_place here;
    make(&here);
    kf_procedure_state state = sample_state();
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    assert_int_equal(kf_token_seal(here.keys, &state, &token), KF_OK);
    for (size_t i = 0; i < token.size; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            token.data[i] = (uint8_t)(token.data[i] ^ 1U << bit);
            assert_refused(&here, &state.request.actor, &token, 0, "not one of this group's");
            token.data[i] = (uint8_t)(token.data[i] ^ 1U << bit);
        }
    for (size_t size = token.size; size > 0; size--) {
        kf_buffer_truncate(&token, size - 1);
        assert_refused(&here, &state.request.actor, &token, 0, "");
    }
    kf_procedure_state_clear(&state);
    remove_place(&here);
}

static void a_token_is_for_its_caller_and_request(void **unused)
{
    (void)unused;
    test_place here;
    make(&here);
    kf_procedure_state state = sample_state();
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    assert_int_equal(kf_token_seal(here.keys, &state, &token), KF_OK);
    kf_vault_actor actor = state.request.actor;
    actor.request[0] ^= 1;
    assert_refused(&here, &actor, &token, 0, "request 10112233");
    actor = state.request.actor;
    strcpy(actor.who, "host:other");
    assert_refused(&here, &actor, &token, 0, "host:other");
    /* Caller and request do not run together. */
    actor = state.request.actor;
    strcpy(actor.who, "host:counter0");
    memmove(actor.request, actor.request + 1, strlen(actor.request));
    assert_refused(&here, &actor, &token, 0, "");
    kf_procedure_state_clear(&state);
    remove_place(&here);
}

static void group_keys_are_rotated(void **unused)
{
    (void)unused;
    test_place here;
    test_place elsewhere;
    make(&here);
    make(&elsewhere);
    kf_error error = {0};
    kf_procedure_state state = sample_state();
    kf_procedure_state opened = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer old = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer young = KF_BUFFER_INIT;
    assert_int_equal(kf_token_seal(here.keys, &state, &old), KF_OK);
    assert_refused(&elsewhere, &state.request.actor, &old, 0, "not one of this group's");
    kf_key_entry group = {
        .purpose = KF_PURPOSE_GROUP, .algorithm = KF_AES, .size = 32, .state = KF_KEY_ACTIVE};
    strcpy(group.category, KF_CATEGORY_DEFAULT);
    const kf_key_entry *added = NULL;
    if (kf_key_store_add(here.keys, &group, NULL, TEST_NOW_SECONDS, &added, &error) != KF_OK)
        fail_msg("%s", error.message);
    assert_int_equal(added->version, 2);
    assert_int_equal(kf_token_seal(here.keys, &state, &young), KF_OK);
    /* One that waits for its KCV to be confirmed seals nothing, and opens what others of the group seal. */
    KF_CLEANUP(kf_buffer_clear) kf_buffer waiting = KF_BUFFER_INIT;
    group.state = KF_KEY_PRE_ACTIVE;
    assert_int_equal(kf_key_store_add(here.keys, &group, NULL, TEST_NOW_SECONDS, &added, &error), KF_OK);
    assert_int_equal(kf_token_seal(here.keys, &state, &waiting), KF_OK);
    assert_int_equal(waiting.data[3], 2);
    uint32_t version = 0;
    assert_non_null(kf_key_store_group_key(here.keys, 3, &version));
    assert_int_equal(version, 3);
    /* A suspended one does neither. */
    assert_int_equal(kf_key_store_set_state(here.keys, added, KF_KEY_ACTIVE, &added, &error), KF_OK);
    assert_int_equal(kf_key_store_set_state(here.keys, added, KF_KEY_SUSPENDED, &added, &error), KF_OK);
    assert_null(kf_key_store_group_key(here.keys, 3, &version));
    kf_buffer_truncate(&waiting, 0);
    assert_int_equal(kf_token_seal(here.keys, &state, &waiting), KF_OK);
    assert_int_equal(waiting.data[3], 2);
    assert_int_equal(old.data[3], 1);
    assert_int_equal(young.data[3], 2);
    assert_int_equal(kf_token_open(here.keys, &state.request.actor, kf_buffer_view(&old), 0, &opened, &error),
                     KF_OK);
    kf_procedure_state_clear(&opened);
    young.data[3] = 1;
    assert_refused(&here, &state.request.actor, &young, 0, "");
    young.data[3] = 3;
    assert_refused(&here, &state.request.actor, &young, 0, "");
    young.data[3] = 0;
    assert_refused(&here, &state.request.actor, &young, 0, "");
    kf_procedure_state_clear(&state);
    remove_place(&here);
    remove_place(&elsewhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_comes_back_until_it_expires),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(a_token_is_for_its_caller_and_request),
        cmocka_unit_test(group_keys_are_rotated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
