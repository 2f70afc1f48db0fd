#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "key_fixture.h"
#include "vault/client.h"

static void frames_are_taken_whole_or_not_at_all(void **state)
{
    (void)state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_vault_frame_put(&bytes, 3, 0x1122334455667788U, kf_view_of_text("payload"));
    kf_vault_frame frame;
    for (size_t size = 0; size < bytes.size; size++) {
        kf_cursor cursor = kf_cursor_of(kf_view_of(bytes.data, size));
        assert_int_equal(kf_vault_frame_take(&cursor, &frame), KF_ERR_TRUNCATED);
        assert_int_equal(cursor.rest.size, size);
    }
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_vault_frame_take(&cursor, &frame), KF_OK);
    assert_int_equal(frame.kind, 3);
    assert_true(frame.id == 0x1122334455667788U);
    assert_true(kf_view_equal(frame.payload, kf_view_of_text("payload")));
    assert_true(kf_cursor_at_end(&cursor));
}

static void frame_lengths_out_of_range_are_refused(void **state)
{
    (void)state;
    static const uint8_t too_short[14] = {0, 0, 0, 9};
    static const uint8_t too_long[14] = {0x7F, 0xFF, 0xFF, 0xFF};
    kf_vault_frame frame;
    kf_cursor cursor = kf_cursor_of(KF_VIEW(too_short));
    assert_int_equal(kf_vault_frame_take(&cursor, &frame), KF_ERR_MALFORMED);
    cursor = kf_cursor_of(KF_VIEW(too_long));
    assert_int_equal(kf_vault_frame_take(&cursor, &frame), KF_ERR_TOO_LONG);
}

static void texts_with_control_characters_or_too_long_are_refused(void **state)
{
    (void)state;
    char text[8];
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_message_put_text(&bytes, "1234567");
    kf_message_put_text(&bytes, "12345678");
    kf_message_put_text(&bytes, "a\nb");
    kf_buffer_append_u16(&bytes, 3);
    kf_buffer_append_bytes(&bytes, "a\0b", 3);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_message_take_text(&cursor, text, sizeof text), KF_OK);
    assert_string_equal(text, "1234567");
    assert_int_equal(kf_message_take_text(&cursor, text, sizeof text), KF_ERR_TOO_LONG);
    assert_int_equal(kf_cursor_skip(&cursor, 10), KF_OK);
    assert_int_equal(kf_message_take_text(&cursor, text, sizeof text), KF_ERR_MALFORMED);
    assert_int_equal(kf_cursor_skip(&cursor, 5), KF_OK);
    assert_int_equal(kf_message_take_text(&cursor, text, sizeof text), KF_ERR_MALFORMED);
}

/* A vault serving in a process of its own, as in life: what it does on garbage is end. */
typedef struct served_vault {
    test_vault vault;
    int front;
    pid_t process;
} served_vault;

static void serve(served_vault *served, kf_vault_unit unit)
{
    int ends[2];
    test_vault_make(&served->vault, unit);
    /* One process at a time has the key files. */
    kf_vault_free(&served->vault.vault);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    served->front = ends[0];
    served->process = fork();
    assert_true(served->process >= 0);
    if (served->process > 0) {
        close(ends[1]);
        return;
    }
    close(ends[0]);
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_key_store_free) kf_key_store *store = NULL;
    kf_vault *vault = NULL;
    kf_code code = open_store(&served->vault.folder, "a passphrase", &store, &error);
    if (code == KF_OK) code = kf_vault_new(unit, store, false, NULL, &vault, &error);
    if (code == KF_OK) store = NULL;
    if (code == KF_OK) code = kf_vault_serve(vault, ends[1], &error);
    kf_vault_free(&vault);
    _exit(code == KF_OK ? 0 : code == KF_ERR_MALFORMED || code == KF_ERR_TOO_LONG ? 70 : 71);
}

static int end_of(served_vault *served)
{
    int status = 0;
    kf_descriptor_close(&served->front);
    assert_int_equal(waitpid(served->process, &status, 0), served->process);
    test_vault_remove(&served->vault);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The vault's end is seen as the end of the socket, before ours is closed. */
static int send_and_wait(served_vault *served, kf_view bytes)
{
    uint8_t byte;
    assert_int_equal(kf_descriptor_write(served->front, bytes), KF_OK);
    ssize_t got;
    do {
        got = read(served->front, &byte, 1);
    } while (got > 0);
    return end_of(served);
}

static void a_vault_ends_quietly_when_its_front_does(void **state)
{
    (void)state;
    served_vault served;
    serve(&served, KF_VAULT_KMU);
    assert_int_equal(end_of(&served), 0);
}

static void a_kind_that_is_not_in_the_table_ends_the_vault(void **state)
{
    (void)state;
    static const uint16_t kinds[] = {0, 29, 99, 0xFFFF};
    for (size_t i = 0; i < 4; i++) {
        served_vault served;
        KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
        serve(&served, KF_VAULT_KMU);
        kf_vault_frame_put(&bytes, kinds[i], 1, kf_view_of("", 0));
        assert_int_equal(send_and_wait(&served, kf_buffer_view(&bytes)), 70);
    }
}

static void a_kind_of_the_other_unit_ends_the_vault(void **state)
{
    (void)state;
    served_vault served;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    serve(&served, KF_VAULT_KMU);
    kf_vault_frame_put(&bytes, KF_VAULT_KEY_BLOCK_EXPORT, 1, kf_view_of("\1", 1));
    assert_int_equal(send_and_wait(&served, kf_buffer_view(&bytes)), 70);
    serve(&served, KF_VAULT_BKMU);
    kf_buffer_truncate(&bytes, 0);
    kf_vault_frame_put(&bytes, KF_VAULT_KEY_BLOCK_IMPORT, 1, kf_view_of("\1", 1));
    assert_int_equal(send_and_wait(&served, kf_buffer_view(&bytes)), 70);
}

static void a_payload_above_the_kinds_limit_ends_the_vault_by_its_head_alone(void **state)
{
    (void)state;
    served_vault served;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    serve(&served, KF_VAULT_KMU);
    kf_buffer_append_u32(&bytes, 10 + 5000);
    kf_buffer_append_u16(&bytes, KF_VAULT_KEY_ACT);
    assert_int_equal(send_and_wait(&served, kf_buffer_view(&bytes)), 70);
}

static void a_malformed_frame_and_half_a_frame_end_the_vault(void **state)
{
    (void)state;
    served_vault served;
    serve(&served, KF_VAULT_KMU);
    assert_int_equal(send_and_wait(&served, kf_view_of("\0\0\0\3abc", 7)), 70);
    serve(&served, KF_VAULT_KMU);
    assert_int_equal(kf_descriptor_write(served.front, kf_view_of("\0\0\0\20", 4)), KF_OK);
    assert_int_equal(end_of(&served), 70);
}

static void a_refused_request_does_not_end_the_vault(void **state)
{
    (void)state;
    served_vault served;
    kf_vault_client *client = NULL;
    kf_error error = {KF_OK, ""};
    serve(&served, KF_VAULT_KMU);
    int front = served.front;
    served.front = -1;
    assert_int_equal(kf_vault_client_new(front, &client, &error), KF_OK);
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    assert_int_equal(kf_vault_call(client, KF_VAULT_KEY_ACT, kf_view_of("\1", 1), &answer, &error),
                     KF_ERR_TRUNCATED);
    assert_int_equal(answer.payload.size, 0);
    assert_int_equal(kf_vault_call(client, KF_VAULT_STATUS, kf_view_of("\2", 1), &answer, &error),
                     KF_ERR_MALFORMED);
    assert_int_equal(kf_vault_call(client, KF_VAULT_STATUS, kf_view_of("\1", 1), &answer, &error), KF_OK);
    kf_vault_client_free(&client);
    assert_int_equal(end_of(&served), 0);
}

static void after_the_vaults_end_every_call_says_so(void **state)
{
    (void)state;
    served_vault served;
    kf_vault_client *client = NULL;
    kf_error error = {KF_OK, ""};
    serve(&served, KF_VAULT_KMU);
    int front = served.front;
    served.front = -1;
    assert_int_equal(kf_vault_client_new(front, &client, &error), KF_OK);
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    assert_int_equal(kf_vault_call(client, KF_VAULT_KEY_BLOCK_EXPORT, kf_view_of("\1", 1), &answer, &error),
                     KF_ERR_VAULT);
    assert_false(kf_vault_client_alive(client));
    assert_int_equal(kf_vault_call(client, KF_VAULT_STATUS, kf_view_of("\1", 1), &answer, &error),
                     KF_ERR_VAULT);
    kf_vault_client_free(&client);
    assert_int_equal(end_of(&served), 70);
}

#define THREADS 8
#define CALLS_EACH 500

static void *call_often(void *context)
{
    kf_vault_client *client = context;
    size_t good = 0;
    for (size_t i = 0; i < CALLS_EACH; i++) {
        kf_error error = {KF_OK, ""};
        KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
        kf_vault_status status;
        kf_key_list list;
        bool ask_list = i % 2 == 0;
        kf_vault_kind kind = ask_list ? KF_VAULT_KEY_LIST : KF_VAULT_STATUS;
        if (kf_vault_call(client, kind, kf_view_of("\1", 1), &answer, &error) != KF_OK) continue;
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
        if (!ask_list && kf_vault_status_take(&cursor, &status) == KF_OK && status.unit == KF_VAULT_KMU)
            good++;
        if (ask_list && kf_key_list_take(&cursor, &list) == KF_OK) {
            if (list.count == 1) good++;
            kf_key_list_clear(&list);
        }
    }
    return good == CALLS_EACH ? client : NULL;
}

static void many_threads_each_get_their_own_answers(void **state)
{
    (void)state;
    served_vault served;
    kf_vault_client *client = NULL;
    kf_error error = {KF_OK, ""};
    serve(&served, KF_VAULT_KMU);
    int front = served.front;
    served.front = -1;
    assert_int_equal(kf_vault_client_new(front, &client, &error), KF_OK);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, client), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, client);
    }
    kf_vault_client_free(&client);
    assert_int_equal(end_of(&served), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_taken_whole_or_not_at_all),
        cmocka_unit_test(frame_lengths_out_of_range_are_refused),
        cmocka_unit_test(texts_with_control_characters_or_too_long_are_refused),
        cmocka_unit_test(a_vault_ends_quietly_when_its_front_does),
        cmocka_unit_test(a_kind_that_is_not_in_the_table_ends_the_vault),
        cmocka_unit_test(a_kind_of_the_other_unit_ends_the_vault),
        cmocka_unit_test(a_payload_above_the_kinds_limit_ends_the_vault_by_its_head_alone),
        cmocka_unit_test(a_malformed_frame_and_half_a_frame_end_the_vault),
        cmocka_unit_test(a_refused_request_does_not_end_the_vault),
        cmocka_unit_test(after_the_vaults_end_every_call_says_so),
        cmocka_unit_test(many_threads_each_get_their_own_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
