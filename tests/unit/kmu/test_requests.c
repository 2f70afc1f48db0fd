/* Requests through the front's handlers: the same again, at once, out of order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmu_fixture.h"

#define MESSAGES_MAX 16

static char *other_terminal(const char *id)
{
    char *body = fill_body(id);
    char *name = strstr(body, TERMINAL);
    assert_non_null(name);
    name[strlen(TERMINAL) - 1] = '2';
    return body;
}

static void a_fill_goes_from_the_request_to_the_key_on_the_card(void **state)
{
    world *made = *state;
    char text[64];
    char *body = fill_body(FIRST);
    reply answer = go_on(made, FIRST, begin(made, body));
    assert_reply(&answer, KF_OK, "");
    assert_non_null(strstr(answer.text, "\"number\":\"" NUMBER "\""));
    assert_non_null(strstr(answer.text, "\"generation\":1"));
    assert_card_key(&made->bench, NUMBER, 1);
    text_of(made, "SELECT state FROM cards WHERE identity = '" IDENTITY "'", text, sizeof text);
    assert_string_equal(text, "filled");
    text_of(made, "SELECT request FROM cards WHERE identity = '" IDENTITY "'", text, sizeof text);
    assert_string_equal(text, "");
    text_of(made, "SELECT identity FROM numbers WHERE number = '" NUMBER "'", text, sizeof text);
    assert_string_equal(text, IDENTITY);
    reply shown = ask(made, kf_handle_request_show, FIRST, NULL);
    assert_reply(&shown, KF_OK, "");
    assert_non_null(strstr(shown.text, "\"state\":\"done\""));
    assert_non_null(strstr(shown.text, "\"card\":\"" IDENTITY "\""));
    reply_clear(&shown);
    reply strange = ask_as(made, peer_of(KF_PEER_HOST, "other"), kf_handle_request_show, FIRST, NULL);
    assert_reply(&strange, KF_ERR_NOT_FOUND, FIRST);
    reply_clear(&answer);
    free(body);
}

static void the_same_request_again_gives_the_same_bytes_and_another_body_conflicts(void **state)
{
    world *made = *state;
    char *body = fill_body(FIRST);
    char *other = other_terminal(FIRST);
    reply first = begin(made, body);
    assert_reply(&first, KF_OK, "");
    reply again = begin(made, body);
    assert_reply(&again, KF_OK, "");
    assert_string_equal(again.text, first.text);
    reply changed = begin(made, other);
    assert_reply(&changed, KF_ERR_CONFLICT, "another body");
    char *kept = strdup(first.text);
    reply done = go_on(made, FIRST, first);
    assert_reply(&done, KF_OK, "");
    reply_clear(&again);
    again = begin(made, body);
    assert_string_equal(again.text, kept);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM requests"), 1);
    reply_clear(&again);
    reply_clear(&done);
    free(kept);
    free(other);
    free(body);
}

static void every_message_again_gives_the_same_bytes_however_late(void **state)
{
    world *made = *state;
    char *messages[MESSAGES_MAX] = {NULL};
    char *answers[MESSAGES_MAX] = {NULL};
    size_t count = 0;
    char *body = fill_body(FIRST);
    reply answer = begin(made, body);
    while (strstr(answer.text, "\"state\":\"continue\"") != NULL) {
        assert_true(count < MESSAGES_MAX);
        messages[count] = message_for(made, answer.text);
        reply_clear(&answer);
        answer = tell(made, FIRST, messages[count]);
        assert_reply(&answer, KF_OK, "");
        answers[count] = strdup(answer.text);
        count++;
        /* All that came so far come again, the oldest too. */
        for (size_t i = 0; i < count; i++) {
            reply again = tell(made, FIRST, messages[i]);
            assert_reply(&again, KF_OK, "");
            assert_string_equal(again.text, answers[i]);
            reply_clear(&again);
        }
    }
    assert_int_equal(number_of(made, "SELECT attempt FROM requests"), 1);
    assert_card_key(&made->bench, NUMBER, 1);
    for (size_t i = 0; i < count; i++) {
        free(messages[i]);
        free(answers[i]);
    }
    reply_clear(&answer);
    free(body);
}

typedef struct sender {
    world *made;
    pthread_barrier_t *barrier;
    kf_http_handler handler;
    const char *text;
    reply answer;
} sender;

static void *send_at_once(void *context)
{
    sender *own = context;
    (void)pthread_barrier_wait(own->barrier);
    own->answer = ask(own->made, own->handler, FIRST, own->text);
    return NULL;
}

/* Both get the same answer, or one is told to send it again, and then gets it. */
static reply send_twice(world *made, kf_http_handler handler, const char *text)
{
    pthread_barrier_t barrier;
    pthread_t threads[2];
    sender senders[2];
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    for (size_t i = 0; i < 2; i++) {
        senders[i] = (sender){made, &barrier, handler, text, {.code = KF_OK}};
        assert_int_equal(pthread_create(&threads[i], NULL, send_at_once, &senders[i]), 0);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&barrier);
    assert_true(senders[0].answer.code == KF_OK || senders[1].answer.code == KF_OK);
    for (size_t i = 0; i < 2; i++) {
        if (senders[i].answer.code == KF_OK) continue;
        assert_reply(&senders[i].answer, KF_ERR_BUSY, "send");
        senders[i].answer = ask(made, handler, FIRST, text);
        assert_reply(&senders[i].answer, KF_OK, "");
    }
    assert_string_equal(senders[0].answer.text, senders[1].answer.text);
    reply_clear(&senders[1].answer);
    return senders[0].answer;
}

static void the_same_at_once_from_two_threads_is_done_once(void **state)
{
    world *made = *state;
    char *body = fill_body(FIRST);
    reply answer = send_twice(made, kf_handle_request_begin, body);
    while (strstr(answer.text, "\"state\":\"continue\"") != NULL) {
        char *message = message_for(made, answer.text);
        reply_clear(&answer);
        answer = send_twice(made, kf_handle_request_message, message);
        free(message);
    }
    assert_int_equal(number_of(made, "SELECT last_generation FROM numbers"), 1);
    assert_int_equal(number_of(made, "SELECT attempt FROM requests"), 1);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM cards"), 1);
    assert_card_key(&made->bench, NUMBER, 1);
    reply_clear(&answer);
    free(body);
}

static void a_message_for_what_is_over_or_not_yet_there_conflicts(void **state)
{
    world *made = *state;
    char *body = fill_body(FIRST);
    reply first = begin(made, body);
    char *message = message_for(made, first.text);
    static const char *const early[] = {
        "{\"step\":2,\"attempt\":1,\"token\":\"AAAA\",\"answers\":[]}",
        "{\"step\":1,\"attempt\":2,\"token\":\"AAAA\",\"answers\":[]}",
    };
    for (size_t i = 0; i < 2; i++) {
        reply refused = tell(made, FIRST, early[i]);
        assert_reply(&refused, KF_ERR_CONFLICT, "is at step 1 of attempt 1");
    }
    reply unknown = tell(made, SECOND, message);
    assert_reply(&unknown, KF_ERR_NOT_FOUND, SECOND);
    reply done = go_on(made, FIRST, tell(made, FIRST, message));
    assert_reply(&done, KF_OK, "");
    reply over = tell(made, FIRST, early[0]);
    assert_reply(&over, KF_ERR_CONFLICT, "is over (done)");
    reply_clear(&first);
    reply_clear(&done);
    free(message);
    free(body);
}

/* Fills with the card begun on again after its step was answered. `body` may hide which card it is. */
static void fill_with_new_attempt(world *made, const char *body)
{
    reply first = begin(made, body);
    assert_reply(&first, KF_OK, "");
    char *message = message_for(made, first.text);
    reply second = tell(made, FIRST, message);
    assert_reply(&second, KF_OK, "");
    card_insert(made);
    char *other = message_for(made, first.text);
    assert_string_not_equal(other, message);
    reply again = tell(made, FIRST, other);
    assert_reply(&again, KF_OK, "");
    assert_int_equal(integer_of_answer(again.text, "attempt"), 2);
    assert_int_equal(integer_of_answer(again.text, "step"), 1);
    reply repeated = tell(made, FIRST, other);
    assert_reply(&repeated, KF_OK, "");
    assert_string_equal(repeated.text, again.text);
    /* The first attempt is over: its next step has come too late. */
    reply late = tell(made, FIRST, "{\"step\":2,\"attempt\":1,\"token\":\"AAAA\",\"answers\":[]}");
    assert_reply(&late, KF_ERR_CONFLICT, "attempt 2");
    reply done = go_on(made, FIRST, again);
    assert_reply(&done, KF_OK, "");
    assert_card_key(&made->bench, NUMBER, 1);
    reply_clear(&first);
    reply_clear(&second);
    reply_clear(&repeated);
    reply_clear(&done);
    free(message);
    free(other);
}

static void other_answers_to_an_answered_step_begin_a_new_attempt(void **state)
{
    char *body = fill_body(FIRST);
    fill_with_new_attempt(*state, body);
    free(body);
}

static void a_new_attempt_knows_the_card_that_nobody_reported(void **state)
{
    fill_with_new_attempt(*state, "{\"id\":\"" FIRST "\",\"operation\":\"fill\",\"terminal\":\"" TERMINAL
                                  "\",\"card\":{\"atr\":\"3B00\"},\"number\":\"" NUMBER "\"}");
}

static void a_card_that_another_request_works_on_is_refused_with_its_id(void **state)
{
    world *made = *state;
    char *body = fill_body(FIRST);
    char *other = other_terminal(SECOND);
    reply first = begin(made, body);
    char *message = message_for(made, first.text);
    reply_clear(&first);
    reply second = tell(made, FIRST, message);
    assert_reply(&second, KF_OK, "");
    reply refused = begin(made, other);
    assert_reply(&refused, KF_ERR_IN_PROGRESS, "request " FIRST " of " ACTOR);
    /* Once the first is idle, the other takes over, and the first finds that out. */
    world_wait(KF_REQUEST_PATIENCE_MS + 1);
    card_insert(made);
    reply taken = begin(made, other);
    assert_reply(&taken, KF_OK, "");
    char *contact = message_for(made, taken.text);
    reply_clear(&taken);
    taken = tell(made, SECOND, contact);
    assert_reply(&taken, KF_OK, "");
    char *stale = message_for(made, second.text);
    reply late = tell(made, FIRST, stale);
    assert_reply(&late, KF_ERR_IN_PROGRESS, SECOND);
    reply_clear(&taken);
    reply_clear(&second);
    free(stale);
    free(contact);
    free(message);
    free(other);
    free(body);
}

static void who_only_reports_a_card_does_not_keep_it_from_others(void **state)
{
    world *made = *state;
    fill(made, FIRST);
    char *report = request_body(SECOND, "refill", "");
    reply claimed = begin(made, report);
    assert_reply(&claimed, KF_OK, "");
    reply shown = ask(made, kf_handle_request_show, SECOND, NULL);
    assert_null(strstr(shown.text, IDENTITY));
    char *clear = request_body("00000000000000000000000000000003", "clear", "");
    clear[strlen(clear) - 1] = '}';
    char *name = strstr(clear, TERMINAL);
    name[strlen(TERMINAL) - 1] = '3';
    reply done = go_on(made, "00000000000000000000000000000003", begin(made, clear));
    assert_reply(&done, KF_OK, "");
    assert_no_domain(&made->bench);
    reply_clear(&claimed);
    reply_clear(&shown);
    reply_clear(&done);
    free(report);
    free(clear);
}

static void the_same_terminal_takes_over_from_its_own_older_request(void **state)
{
    world *made = *state;
    char *body = fill_body(FIRST);
    reply first = begin(made, body);
    char *message = message_for(made, first.text);
    reply second = tell(made, FIRST, message);
    assert_reply(&second, KF_OK, "");
    card_insert(made);
    char *newer = fill_body(SECOND);
    reply done = go_on(made, SECOND, begin(made, newer));
    assert_reply(&done, KF_OK, "");
    assert_card_key(&made->bench, NUMBER, 1);
    reply_clear(&first);
    reply_clear(&second);
    reply_clear(&done);
    free(message);
    free(newer);
    free(body);
}

static void refill_and_clear_count_generations_on(void **state)
{
    world *made = *state;
    fill(made, FIRST);
    char *refill = request_body(SECOND, "refill", "");
    reply done = go_on(made, SECOND, begin(made, refill));
    assert_reply(&done, KF_OK, "");
    assert_card_key(&made->bench, NUMBER, 2);
    reply_clear(&done);
    card_insert(made);
    char *clear = request_body("00000000000000000000000000000003", "clear", "");
    done = go_on(made, "00000000000000000000000000000003", begin(made, clear));
    assert_reply(&done, KF_OK, "");
    reply_clear(&done);
    card_insert(made);
    char *again = fill_body("00000000000000000000000000000004");
    done = go_on(made, "00000000000000000000000000000004", begin(made, again));
    assert_reply(&done, KF_OK, "");
    assert_card_key(&made->bench, NUMBER, 3);
    reply_clear(&done);
    free(refill);
    free(clear);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_fill_goes_from_the_request_to_the_key_on_the_card),
        IN_WORLD(the_same_request_again_gives_the_same_bytes_and_another_body_conflicts),
        IN_WORLD(every_message_again_gives_the_same_bytes_however_late),
        IN_WORLD(the_same_at_once_from_two_threads_is_done_once),
        IN_WORLD(a_message_for_what_is_over_or_not_yet_there_conflicts),
        IN_WORLD(other_answers_to_an_answered_step_begin_a_new_attempt),
        IN_WORLD(a_new_attempt_knows_the_card_that_nobody_reported),
        IN_WORLD(a_card_that_another_request_works_on_is_refused_with_its_id),
        IN_WORLD(who_only_reports_a_card_does_not_keep_it_from_others),
        IN_WORLD(the_same_terminal_takes_over_from_its_own_older_request),
        IN_WORLD(refill_and_clear_count_generations_on),
    };
    return cmocka_run_group_tests_name("kmu/requests", tests, NULL, NULL);
}
