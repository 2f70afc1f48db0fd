/* A vault with several threads, and many who ask at a time. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "recorded_fill.h"
#include "vault/client.h"
#include "vault/serve_threads.h"

#define THREADS 4
#define ASKERS 8
#define ROUNDS 25
#define RECEIPTS_MAX 8192

typedef struct served {
    recorded_fill fill;
    kf_vault_threads *threads;
    kf_vault_client *client;
    int vault_end;
    pthread_t thread;
    bool joined;
    kf_code code; /* of serving */
    kf_error error;
    pthread_mutex_t lock;
    uint64_t first; /* receipt */
    size_t receipts;
    bool seen[RECEIPTS_MAX];
} served;

static void *serve(void *context)
{
    served *made = context;
    made->code = kf_vault_threads_serve(made->threads, made->vault_end, &made->error);
    return NULL;
}

static int make_served(void **state)
{
    int ends[2];
    kf_error error = {KF_OK, ""};
    served *made = calloc(1, sizeof *made);
    assert_non_null(made);
    recorded_fill_make(&made->fill);
    made->first = made->fill.vault.vault->last_receipt + 1;
    assert_int_equal(pthread_mutex_init(&made->lock, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    made->vault_end = ends[0];
    assert_int_equal(kf_vault_client_new(ends[1], &made->client, &error), KF_OK);
    assert_int_equal(kf_vault_threads_new(made->fill.vault.vault, THREADS, &made->threads, &error), KF_OK);
    assert_int_equal(pthread_create(&made->thread, NULL, serve, made), 0);
    *state = made;
    return 0;
}

static void end_serving(served *made)
{
    kf_vault_client_free(&made->client);
    if (!made->joined) pthread_join(made->thread, NULL);
    kf_vault_threads_free(&made->threads);
    close(made->vault_end);
}

static int remove_served(void **state)
{
    served *made = *state;
    if (made->threads != NULL) end_serving(made);
    pthread_mutex_destroy(&made->lock);
    recorded_fill_remove(&made->fill);
    free(made);
    return 0;
}

/* Every number once. */
static void note_receipts(served *made, const kf_buffer *receipts)
{
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(receipts));
    kf_view bytes;
    pthread_mutex_lock(&made->lock);
    while (kf_vault_answer_next_receipt(&cursor, &bytes) == KF_OK) {
        kf_receipt receipt;
        assert_int_equal(kf_receipt_decode(bytes, &receipt), KF_OK);
        uint64_t place = receipt.number - made->first;
        assert_true(place < RECEIPTS_MAX);
        assert_false(made->seen[place]);
        made->seen[place] = true;
        made->receipts++;
    }
    pthread_mutex_unlock(&made->lock);
}

static void *ask_for_fills(void *context)
{
    served *made = context;
    kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < made->fill.count; i++) {
            kf_error error = {KF_OK, ""};
            if (kf_vault_call(made->client, made->fill.kinds[i], kf_buffer_view(&made->fill.requests[i]),
                              &answer, &error) != KF_OK)
                fail_msg("%s", kf_error_text(&error));
            note_receipts(made, &answer.receipts);
        }
    }
    kf_vault_answer_clear(&answer);
    return NULL;
}

static void *ask_for_keys(void *context)
{
    served *made = context;
    kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_key_act_request request = {
        .actor = {"officer:alice", ""}, .act = KF_KEY_GENERATE, .entry = payment_entry("other")};
    for (size_t round = 0; round < ROUNDS; round++) {
        kf_error error = {KF_OK, ""};
        KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer list = KF_BUFFER_INIT;
        kf_key_act_request_put(&bytes, &request);
        if (kf_vault_call(made->client, KF_VAULT_KEY_ACT, kf_buffer_view(&bytes), &answer, &error) != KF_OK)
            fail_msg("%s", kf_error_text(&error));
        note_receipts(made, &answer.receipts);
        kf_key_list_request_put(&list);
        assert_int_equal(
            kf_vault_call(made->client, KF_VAULT_KEY_LIST, kf_buffer_view(&list), &answer, &error), KF_OK);
    }
    kf_vault_answer_clear(&answer);
    return NULL;
}

static void fills_and_acts_on_keys_side_by_side_get_receipts_without_a_gap(void **state)
{
    served *made = *state;
    pthread_t askers[ASKERS + 1];
    for (size_t i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&askers[i], NULL, ask_for_fills, made), 0);
    assert_int_equal(pthread_create(&askers[ASKERS], NULL, ask_for_keys, made), 0);
    for (size_t i = 0; i <= ASKERS; i++)
        pthread_join(askers[i], NULL);
    assert_int_equal(made->receipts, ASKERS * ROUNDS * 2 + ROUNDS);
    for (size_t i = 0; i < made->receipts; i++)
        assert_true(made->seen[i]);
    end_serving(made);
    assert_int_equal(made->code, KF_OK);
    assert_int_equal(made->fill.vault.vault->last_receipt, made->first + made->receipts - 1);
}

static void a_request_that_is_in_no_table_ends_all_threads(void **state)
{
    served *made = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_vault_frame_put(&bytes, 999, 1, kf_view_of(NULL, 0));
    assert_int_equal(kf_descriptor_write(kf_vault_client_descriptor(made->client), kf_buffer_view(&bytes)),
                     KF_OK);
    pthread_join(made->thread, NULL);
    made->joined = true;
    end_serving(made);
    assert_int_equal(made->code, KF_ERR_MALFORMED);
    assert_non_null(strstr(made->error.message, "999"));
}

static void threads_that_never_served_end(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    test_vault vault;
    kf_vault_threads *threads = NULL;
    test_vault_make(&vault, KF_VAULT_KMU);
    for (size_t count = 1; count <= 8; count++) {
        assert_int_equal(kf_vault_threads_new(vault.vault, count, &threads, &error), KF_OK);
        kf_vault_threads_free(&threads);
    }
    assert_int_equal(kf_vault_threads_new(vault.vault, 0, &threads, &error), KF_ERR_ARGUMENT);
    test_vault_remove(&vault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fills_and_acts_on_keys_side_by_side_get_receipts_without_a_gap,
                                        make_served, remove_served),
        cmocka_unit_test_setup_teardown(a_request_that_is_in_no_table_ends_all_threads, make_served,
                                        remove_served),
        cmocka_unit_test(threads_that_never_served_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
