/* The socket driver against a card in a thread of this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <keyfill/hex.h>

#include "base/file.h"
#include "reader/reader.h"

#define PATIENCE 5000 /* milliseconds: a call that should succeed has plenty */

/* The card sees `expected` (hex of payloads, one after another) and sends `answers` (hex of whole frames, ""
 * for none); then it hangs up, or stays silent until the reader does. */
typedef struct card_step {
    const char *expected;
    const char *answer;
} card_step;

typedef struct test_card {
    char folder[64];
    char uri[128];
    struct sockaddr_un address;
    int listener;
    const card_step *steps;
    size_t step_count;
    size_t done;
    bool hang_up;
    pthread_t thread;
} test_card;

static bool take_frame(int descriptor, char *ret_digits, size_t size)
{
    uint8_t length[2];
    uint8_t payload[512];
    if (kf_descriptor_read(descriptor, length, 2) != KF_OK) return false;
    size_t count = (size_t)length[0] << 8 | length[1];
    if (count > sizeof payload || kf_descriptor_read(descriptor, payload, count) != KF_OK) return false;
    return kf_hex_encode(kf_view_of(payload, count), ret_digits, size) == KF_OK;
}

static void *be_a_card(void *argument)
{
    test_card *self = argument;
    KF_CLEANUP(kf_descriptor_close) int descriptor = accept(self->listener, NULL, NULL);
    for (size_t i = 0; i < self->step_count; i++) {
        char digits[1100];
        if (!take_frame(descriptor, digits, sizeof digits) || strcmp(digits, self->steps[i].expected) != 0)
            return NULL;
        KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
        if (kf_hex_decode_append(self->steps[i].answer, &answer) != KF_OK) return NULL;
        if (kf_descriptor_write(descriptor, kf_buffer_view(&answer)) != KF_OK) return NULL;
        self->done++;
    }
    char rest[1100];
    while (!self->hang_up && take_frame(descriptor, rest, sizeof rest)) {
    }
    return NULL;
}

static void make_folder(test_card *card)
{
    memset(card, 0, sizeof *card);
    (void)snprintf(card->folder, sizeof card->folder, "/tmp/keyfill-unit-reader-XXXXXX");
    assert_non_null(mkdtemp(card->folder));
    (void)snprintf(card->uri, sizeof card->uri, "socket:%s/card", card->folder);
    card->address.sun_family = AF_UNIX;
    (void)snprintf(card->address.sun_path, sizeof card->address.sun_path, "%s/card", card->folder);
}

static void start_card(test_card *card, const card_step *steps, size_t count, bool hang_up)
{
    make_folder(card);
    card->steps = steps;
    card->step_count = count;
    card->hang_up = hang_up;
    card->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(card->listener, (const struct sockaddr *)&card->address, sizeof card->address), 0);
    assert_int_equal(listen(card->listener, 1), 0);
    assert_int_equal(pthread_create(&card->thread, NULL, be_a_card, card), 0);
}

static void end_card(test_card *card, kf_reader **reader)
{
    kf_reader_close(reader);
    pthread_join(card->thread, NULL);
    assert_int_equal(card->done, card->step_count);
    close(card->listener);
    unlink(card->address.sun_path);
    rmdir(card->folder);
}

#define POWER_UP                                                                                             \
    {"00", ""}, {"01", ""},                                                                                  \
    {                                                                                                        \
        "04", "0003"                                                                                         \
              "3B8001"                                                                                       \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static kf_reader *open_and_connect(const test_card *card, kf_code expected)
{
    kf_reader *reader = NULL;
    kf_answer_to_reset atr;
    assert_int_equal(kf_reader_open(card->uri, &reader, NULL), KF_OK);
    assert_int_equal(kf_reader_wait_present(reader, PATIENCE, NULL), KF_OK);
    assert_int_equal(kf_reader_connect(reader, PATIENCE, &atr, NULL), expected);
    return reader;
}

static kf_code send_verify(kf_reader *reader, unsigned timeout, kf_card_response *ret_response,
                           kf_error *error)
{
    static const uint8_t command[] = {0x00, 0x20, 0x00, 0x01, 0x00};
    return kf_reader_transmit(reader, KF_VIEW(command), timeout, ret_response, error);
}

static void frames_are_vpcds(void **unused)
{
    (void)unused;
    static const card_step steps[] = {POWER_UP,
                                      {"0020000100", "0002"
                                                     "63C3"},
                                      {"02", ""}};
    test_card card;
    start_card(&card, steps, COUNT(steps), false);
    kf_reader *reader = open_and_connect(&card, KF_OK);
    kf_card_response response;
    assert_string_equal(kf_reader_name(reader), card.uri);
    assert_int_equal(send_verify(reader, PATIENCE, &response, NULL), KF_OK);
    assert_int_equal(kf_card_response_status_word(&response), 0x63C3);
    kf_reader_disconnect(reader, KF_CARD_RESET);
    assert_int_equal(send_verify(reader, PATIENCE, &response, NULL), KF_ERR_NO_CARD);
    end_card(&card, &reader);
}

static void a_card_that_hangs_up_is_removed(void **unused)
{
    (void)unused;
    static const card_step steps[] = {POWER_UP, {"0020000100", ""}};
    test_card card;
    start_card(&card, steps, COUNT(steps), true);
    kf_reader *reader = open_and_connect(&card, KF_OK);
    kf_card_response response;
    assert_int_equal(send_verify(reader, PATIENCE, &response, NULL), KF_ERR_CARD_REMOVED);
    assert_int_equal(kf_reader_wait_absent(reader, PATIENCE, NULL), KF_OK);
    end_card(&card, &reader);
}

static void removal_between_commands_is_noticed(void **unused)
{
    (void)unused;
    static const card_step steps[] = {POWER_UP};
    test_card card;
    start_card(&card, steps, COUNT(steps), true);
    kf_reader *reader = open_and_connect(&card, KF_OK);
    assert_int_equal(kf_reader_wait_absent(reader, PATIENCE, NULL), KF_OK);
    assert_false(kf_reader_is_connected(reader));
    kf_card_response response;
    assert_int_equal(send_verify(reader, PATIENCE, &response, NULL), KF_ERR_CARD_REMOVED);
    end_card(&card, &reader);
}

static void a_silent_card_is_given_up_at_the_deadline(void **unused)
{
    (void)unused;
    static const card_step steps[] = {POWER_UP, {"0020000100", ""}};
    test_card card;
    start_card(&card, steps, COUNT(steps), false);
    kf_reader *reader = open_and_connect(&card, KF_OK);
    kf_card_response response;
    assert_int_equal(kf_reader_wait_absent(reader, 0, NULL), KF_ERR_READER_TIMEOUT);
    assert_int_equal(send_verify(reader, 50, &response, NULL), KF_ERR_READER_TIMEOUT);
    assert_int_equal(send_verify(reader, 50, &response, NULL), KF_ERR_READER);
    end_card(&card, &reader);
}

static void too_long_a_response_is_refused(void **unused)
{
    (void)unused;
    static const card_step steps[] = {POWER_UP,
                                      {"0020000100", "0103"
                                                     "0000"}};
    test_card card;
    start_card(&card, steps, COUNT(steps), true);
    kf_reader *reader = open_and_connect(&card, KF_OK);
    kf_card_response response;
    kf_error error = {KF_OK, ""};
    assert_int_equal(send_verify(reader, PATIENCE, &response, &error), KF_ERR_APDU);
    assert_non_null(strstr(error.message, "259 bytes"));
    end_card(&card, &reader);
}

static void an_atr_out_of_bounds_is_refused(void **unused)
{
    (void)unused;
    static const card_step too_long[] = {{"00", ""}, {"01", ""}, {"04", "0022"}};
    static const card_step too_short[] = {{"00", ""}, {"01", ""}, {"04", "00013B"}};
    test_card card;
    start_card(&card, too_long, COUNT(too_long), true);
    kf_reader *reader = open_and_connect(&card, KF_ERR_APDU);
    end_card(&card, &reader);
    start_card(&card, too_short, COUNT(too_short), true);
    reader = open_and_connect(&card, KF_ERR_READER);
    end_card(&card, &reader);
}

static void without_a_listener_there_is_no_card(void **unused)
{
    (void)unused;
    test_card card;
    make_folder(&card);
    KF_CLEANUP(kf_reader_close) kf_reader *reader = NULL;
    kf_answer_to_reset atr;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_reader_open(card.uri, &reader, NULL), KF_OK);
    assert_int_equal(kf_reader_wait_present(reader, 0, &error), KF_ERR_NO_CARD);
    assert_non_null(strstr(error.message, card.uri));
    assert_int_equal(kf_reader_wait_absent(reader, 0, NULL), KF_OK);
    assert_int_equal(kf_reader_connect(reader, 10, &atr, NULL), KF_ERR_NO_CARD);
    rmdir(card.folder);
}

static void paths_too_long_for_a_socket_are_refused(void **unused)
{
    (void)unused;
    char uri[200] = "socket:/";
    memset(uri + 8, 'a', 120);
    kf_reader *reader = NULL;
    assert_int_equal(kf_reader_open(uri, &reader, NULL), KF_ERR_CONFIGURATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_vpcds),
        cmocka_unit_test(a_card_that_hangs_up_is_removed),
        cmocka_unit_test(removal_between_commands_is_noticed),
        cmocka_unit_test(a_silent_card_is_given_up_at_the_deadline),
        cmocka_unit_test(too_long_a_response_is_refused),
        cmocka_unit_test(an_atr_out_of_bounds_is_refused),
        cmocka_unit_test(without_a_listener_there_is_no_card),
        cmocka_unit_test(paths_too_long_for_a_socket_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
