/* What breaks on the way: power, status words, answers. After each fault the key that the card holds is on
 * record, and a new request ends well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "procedure_card.h"

typedef struct test_scene {
    profile_choice profile;
    card_choice card;
    kf_operation operation;
    bool filled; /* before */
} test_scene;

#define ALL_FIELDS                                                                                           \
    "[{field: plan, place: domain-tag, tag: 0x5F50}, {field: note, place: sim-file, path: 7F106FE1},"        \
    " {field: data, place: application, application: " APPLET_AID ", dgi: 0x0101}]"

static const test_scene scenes[] = {
    {{.fields = ALL_FIELDS}, {.applets = 1}, KF_OPERATION_FILL, false},
    {{.fields = ALL_FIELDS, .order = "personalisation-first"}, {.applets = 1}, KF_OPERATION_FILL, false},
    {{.fields = ALL_FIELDS, .injection = "store-data"}, {.applets = 1}, KF_OPERATION_FILL, false},
    {{.fields = ALL_FIELDS, .injection = "preloaded", .preloaded = "factory", .modules = "[]"},
     {.applets = 1, .preloaded = true, .factory_keys = true},
     KF_OPERATION_FILL,
     false},
    {{.level = "0x03", .parameters = "81020310"}, {.parameter = "10"}, KF_OPERATION_FILL, false},
    {{.fields = NULL}, {.applets = 0}, KF_OPERATION_FILL, false},
    {{.fields = NULL}, {.applets = 0}, KF_OPERATION_REFILL, true},
    {{.level = "0x03", .parameters = "81020310"}, {.parameter = "10"}, KF_OPERATION_REFILL, true},
    {{.fields = ALL_FIELDS}, {.applets = 1}, KF_OPERATION_CLEAR, true},
    {{.fields = NULL}, {.applets = 0}, KF_OPERATION_CLEAR, true},
    {{.fields = ALL_FIELDS, .injection = "preloaded", .preloaded = "factory", .modules = "[]"},
     {.applets = 1, .preloaded = true, .factory_keys = true},
     KF_OPERATION_CLEAR,
     true},
    {{.fields = ALL_FIELDS, .injection = "preloaded", .modules = "[]"},
     {.applets = 1, .preloaded = true},
     KF_OPERATION_FILL,
     false},
    {{.fields = ALL_FIELDS, .injection = "preloaded", .modules = "[]"},
     {.applets = 1, .preloaded = true},
     KF_OPERATION_CLEAR,
     true},
};
#define SCENE_COUNT (sizeof scenes / sizeof scenes[0])

static kf_procedure_request fill_of(const test_scene *scene)
{
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    if (scene->profile.fields == NULL) return request;
    request.write_number = true;
    request_field(&request, "plan", "5G-59");
    request_field(&request, "note", "hello");
    request_field(&request, "data", "4711");
    return request;
}

static kf_procedure_request request_in(const test_scene *scene)
{
    return scene->operation == KF_OPERATION_FILL ? fill_of(scene) : request_of(scene->operation);
}

static void reset(test_bench *bench, const test_scene *scene)
{
    bench->has_record = false;
    bench->record = (kf_card_record){0};
    bench_set_card(bench, &scene->card);
    if (!scene->filled) return;
    kf_procedure_request fill = fill_of(scene);
    assert_done(bench, &fill);
}

/* The wished-for end, by the same request again and whatever it needs before. */
static void settle(test_bench *bench, const test_scene *scene)
{
    kf_procedure_request request = request_in(scene);
    assert_key_is_nameable(bench);
    bool over =
        bench->has_record && scene->operation == KF_OPERATION_FILL && bench->record.state == KF_CARD_FILLED;
    if (!over) assert_done(bench, &request);
    assert_key_is_nameable(bench);
    uint32_t generation = bench->record.present.generation;
    switch (scene->operation) {
    case KF_OPERATION_FILL:
        assert_int_equal(bench->record.state, KF_CARD_FILLED);
        assert_int_equal(generation, 1);
        assert_card_key(bench, NUMBER, 1);
        break;
    case KF_OPERATION_REFILL:
        assert_int_equal(bench->record.state, KF_CARD_FILLED);
        assert_in_range(generation, 2, 3);
        assert_card_key(bench, NUMBER, generation);
        break;
    case KF_OPERATION_CLEAR:
    case KF_OPERATION_APP_LOAD:
    case KF_OPERATION_APP_LIST:
    case KF_OPERATION_APP_DELETE:
    default:
        assert_int_equal(bench->record.state, KF_CARD_BLANK);
        if (!scene->card.preloaded) assert_no_domain(bench);
        break;
    }
}

static void power_may_go_at_every_command(void **state)
{
    (void)state;
    size_t broken = 0;
    for (size_t i = 0; i < SCENE_COUNT; i++) {
        test_bench bench;
        bench_make(&bench, &scenes[i].profile, &scenes[i].card);
        bool reached = true;
        for (uint64_t at = 1; reached; at++) {
            for (int after = 0; after < 2 && reached; after++) {
                reset(&bench, &scenes[i]);
                kf_procedure_request request = request_in(&scenes[i]);
                bench.tear_at = at;
                bench.tear_after = after != 0;
                test_outcome outcome = run(&bench, &request);
                reached = bench.sent >= at;
                if (reached) {
                    assert_int_equal(outcome.code, KF_ERR_CARD_REMOVED);
                    broken++;
                    settle(&bench, &scenes[i]);
                } else {
                    assert_int_equal(outcome.code, KF_OK);
                }
                outcome_clear(&outcome);
            }
        }
        bench_remove(&bench);
    }
    assert_true(broken > 200);
}

/* Twice in a row, at the same command: generations and records do not wear out. */
static void power_may_go_again_and_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCENE_COUNT; i++) {
        test_bench bench;
        bench_make(&bench, &scenes[i].profile, &scenes[i].card);
        for (uint64_t at = 3; at < 24; at += 4) {
            reset(&bench, &scenes[i]);
            kf_procedure_request request = request_in(&scenes[i]);
            for (int times = 0; times < 3; times++) {
                bench.tear_at = at + (uint64_t)times;
                bench.tear_after = true;
                test_outcome outcome = run(&bench, &request);
                bool done = outcome.code == KF_OK;
                outcome_clear(&outcome);
                assert_key_is_nameable(&bench);
                if (done) break;
            }
            if (bench.record.state != KF_CARD_BLANK) settle(&bench, &scenes[i]);
        }
        bench_remove(&bench);
    }
}

/* A status word that nothing expects, instead of the command. Some are accepted in places: 6A82 says that
 * there is no domain, 6A88 that there is nothing to list. The end is never a success that is none. */
static void a_wrong_status_word_at_any_command_is_survived(void **state)
{
    (void)state;
    static const uint16_t refusals[] = {0x6985, 0x6F00, 0x6A82, 0x6A88, 0x9000, 0x6310, 0x9100};
    size_t refused = 0;
    for (size_t i = 0; i < SCENE_COUNT; i++) {
        test_bench bench;
        bench_make(&bench, &scenes[i].profile, &scenes[i].card);
        bool reached = true;
        for (uint64_t at = 1; reached; at++) {
            for (size_t j = 0; j < sizeof refusals / sizeof refusals[0] && reached; j++) {
                reset(&bench, &scenes[i]);
                kf_procedure_request request = request_in(&scenes[i]);
                bench.refuse_at = at;
                bench.refusal = refusals[j];
                test_outcome outcome = run(&bench, &request);
                reached = bench.sent >= at;
                if (outcome.code != KF_OK) refused++;
                assert_key_is_nameable(&bench);
                bool has_mac = scenes[i].profile.level == NULL;
                if (outcome.code == KF_OK && scenes[i].operation == KF_OPERATION_CLEAR && has_mac)
                    assert_no_card_key(&bench, NUMBER);
                if (outcome.code == KF_OK && scenes[i].operation != KF_OPERATION_CLEAR)
                    assert_card_key(&bench, NUMBER, bench.record.present.generation);
                if (reached && outcome.code != KF_OK) settle(&bench, &scenes[i]);
                outcome_clear(&outcome);
            }
        }
        bench_remove(&bench);
    }
    assert_true(refused > 500);
}

/* -- answers -- */

typedef enum damage_kind {
    DAMAGE_SHORTER,
    DAMAGE_FLIP,
    DAMAGE_EMPTY,
    DAMAGE_DROP,
    DAMAGE_CUT_OFF,
    DAMAGE_EXTRA,
    DAMAGE_SWAP,
    DAMAGE_COUNT,
} damage_kind;

static struct damage_plan {
    unsigned message;
    size_t answer;
    damage_kind damage;
    size_t byte;
    bool done;
} plan;

static void damage_answers(test_bench *bench, unsigned message, const kf_script *script,
                           kf_script_answers *answers)
{
    (void)bench;
    (void)script;
    if (message != plan.message || plan.answer >= answers->count) return;
    kf_script_answer *answer = &answers->items[plan.answer];
    plan.done = true;
    switch (plan.damage) {
    case DAMAGE_SHORTER:
        /* The status word stays, a byte of the data goes. */
        if (answer->response_size < 3) plan.done = false;
        if (plan.done) {
            memmove(answer->response, answer->response + 1, answer->response_size - 1);
            answer->response_size--;
        }
        break;
    case DAMAGE_FLIP:
        if (answer->response_size < 3) plan.done = false;
        if (plan.done) answer->response[plan.byte % (answer->response_size - 2)] ^= 0x10;
        break;
    case DAMAGE_EMPTY: answer->response_size = 0; break;
    case DAMAGE_DROP:
        memmove(answer, answer + 1, (answers->count - plan.answer - 1) * sizeof *answer);
        answers->count--;
        break;
    case DAMAGE_CUT_OFF: answers->count = plan.answer; break;
    case DAMAGE_EXTRA: {
        const uint8_t good[] = {0x90, 0x00};
        uint16_t last = answers->items[answers->count - 1].entry;
        assert_int_equal(kf_script_answers_append(answers, (uint16_t)(last + 1 + plan.byte), KF_VIEW(good)),
                         KF_OK);
        break;
    }
    case DAMAGE_SWAP:
        if (plan.answer + 1 >= answers->count) plan.done = false;
        if (plan.done) {
            kf_script_answer other = answer[1];
            answer[1] = answer[0];
            answer[0] = other;
        }
        break;
    case DAMAGE_COUNT:
    default: fail();
    }
}

/* Which damage a card's word without a MAC may pass with: the key that is written is the right one all the
 * same, or the act is refused. */
static void a_damaged_answer_never_makes_a_wrong_record(void **state)
{
    (void)state;
    size_t refused = 0;
    size_t damaged = 0;
    for (size_t i = 0; i < SCENE_COUNT; i++) {
        test_bench bench;
        bench_make(&bench, &scenes[i].profile, &scenes[i].card);
        for (unsigned message = 1; message <= 4; message++) {
            for (size_t answer = 0; answer < 20; answer++) {
                for (int kind = 0; kind < DAMAGE_COUNT; kind++) {
                    plan = (struct damage_plan){message, answer, (damage_kind)kind, answer * 7, false};
                    reset(&bench, &scenes[i]);
                    kf_procedure_request request = request_in(&scenes[i]);
                    bench.alter = damage_answers;
                    test_outcome outcome = run(&bench, &request);
                    assert_key_is_nameable(&bench);
                    if (plan.done) damaged++;
                    if (plan.done && outcome.code != KF_OK) refused++;
                    bool structural =
                        plan.done && kind != DAMAGE_SHORTER && kind != DAMAGE_FLIP && kind != DAMAGE_EMPTY;
                    if (structural) assert_int_not_equal(outcome.code, KF_OK);
                    if (outcome.code == KF_OK && scenes[i].operation != KF_OPERATION_CLEAR)
                        assert_card_key(&bench, NUMBER, bench.record.present.generation);
                    if (outcome.code == KF_OK && bench.record.state == KF_CARD_BLANK)
                        assert_no_card_key(&bench, NUMBER);
                    bool tried = outcome.code != KF_OK;
                    outcome_clear(&outcome);
                    if (tried && kind == DAMAGE_FLIP) settle(&bench, &scenes[i]);
                }
            }
        }
        bench_remove(&bench);
    }
    assert_true(damaged > 1000);
    assert_true(refused > 900);
}

/* Every bit of the answers under R-MAC counts. */
static void every_byte_of_an_authentic_answer_is_checked(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    const test_scene put_key = {.operation = KF_OPERATION_REFILL, .filled = true};
    for (size_t byte = 0; byte < 24; byte++) {
        reset(&bench, &put_key);
        /* Message 2: EXTERNAL AUTHENTICATE, PUT KEY; its answer is 16 bytes and an R-MAC. */
        plan = (struct damage_plan){2, 1, DAMAGE_FLIP, byte, false};
        kf_procedure_request request = request_of(KF_OPERATION_REFILL);
        bench.alter = damage_answers;
        assert_refused(&bench, &request, KF_ERR_RESPONSE_MAC, "not authentic");
        assert_true(plan.done);
        assert_int_equal(bench.record.state, KF_CARD_REFILLING);
        /* The card took the key: its cryptogram is the receipt. */
        assert_done_text(&bench, &request, "refilled", 2);
        assert_card_key(&bench, NUMBER, 2);
    }
    bench_remove(&bench);
}

/* -- order of events -- */

static void a_broken_fill_is_finished_for_its_own_number_only(void **state)
{
    (void)state;
    for (int key_written = 0; key_written < 2; key_written++) {
        test_bench bench;
        bench_make(&bench, NULL, NULL);
        kf_procedure_request request = request_of(KF_OPERATION_FILL);
        bench.tear_label = key_written ? "PUT KEY" : "EXTERNAL AUTHENTICATE";
        assert_refused(&bench, &request, KF_ERR_CARD_REMOVED, "");
        assert_int_equal(bench.record.state, KF_CARD_FILLING);
        kf_procedure_request other = request;
        strcpy(other.number, OTHER_NUMBER);
        assert_refused(&bench, &other, KF_ERR_STATE, "finish that fill, or clear");
        assert_int_equal(bench.record.pending.generation, 1);
        kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
        if (key_written) assert_refused(&bench, &refill, KF_ERR_STATE, "ask for fill");
        kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
        assert_done(&bench, &clear);
        assert_int_equal(bench.record.state, KF_CARD_BLANK);
        assert_done_text(&bench, &other, "key generation 2", 4);
        assert_card_key(&bench, OTHER_NUMBER, 2);
        bench_remove(&bench);
    }
}

static void a_broken_refill_asks_for_refill_or_clear(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
    bench.tear_label = "PUT KEY";
    assert_refused(&bench, &refill, KF_ERR_CARD_REMOVED, "");
    assert_int_equal(bench.record.state, KF_CARD_REFILLING);
    assert_int_equal(bench.record.present.generation, 1);
    assert_int_equal(bench.record.pending.generation, 2);
    assert_card_key(&bench, NUMBER, 2);
    kf_procedure_request fill = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &fill, KF_ERR_STATE, "ask for refill");
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_done(&bench, &clear);
    assert_no_domain(&bench);
    bench_remove(&bench);
}

static void a_broken_clear_asks_for_clear(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    bench.tear_label = "DELETE security domain";
    assert_refused(&bench, &clear, KF_ERR_CARD_REMOVED, "");
    kf_procedure_request fill = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &fill, KF_ERR_STATE, "ask for clear");
    kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
    assert_refused(&bench, &refill, KF_ERR_STATE, "");
    bench_remove(&bench);
}

/* A second, equally genuine card steps in once the domain is made on the first. */
static test_bench other;

static void change_cards(test_bench *bench, unsigned message, const kf_script *script,
                         kf_script_answers *answers)
{
    (void)bench;
    if (message != 2) return;
    size_t last = answers->count - 1;
    for (size_t i = last - 1; i <= last; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
        const kf_script_entry *entry = &script->entries[answers->items[i].entry];
        assert_int_equal(
            softcard_transmit(other.card, kf_view_of(entry->command, entry->command_size), &response), KF_OK);
        memcpy(answers->items[i].response, response.data, response.size);
        answers->items[i].response_size = response.size;
    }
}

static void no_second_card_steps_in(void **state)
{
    (void)state;
    test_bench bench;
    card_choice second = {.preloaded = true, .kdd = "FFEEDDCCBBAA99887766"};
    bench_make(&bench, NULL, NULL);
    bench_make(&other, NULL, &second);
    softcard_power_on(other.card);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    bench.alter = change_cards;
    assert_refused(&bench, &request, KF_ERR_CRYPTOGRAM, "another key");
    assert_key_is_nameable(&bench);
    assert_done(&bench, &request);
    assert_card_key(&bench, NUMBER, 1);
    bench_remove(&bench);
    bench_remove(&other);
}

/* A domain without keys is opened with its parent's; without SELECT the channel is the parent's. */
static void a_channel_with_the_parent_is_noticed(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_done(&bench, &request);
    uint64_t select = bench.in_contact + 3; /* behind EXTERNAL AUTHENTICATE and INSTALL */
    const test_scene scene = {.operation = KF_OPERATION_FILL};
    reset(&bench, &scene);
    bench.refuse_at = select;
    bench.refusal = 0x9000;
    assert_refused(&bench, &request, KF_ERR_CHANNEL, "not with the domain that was selected");
    assert_int_equal(bench.record.state, KF_CARD_FILLING);
    assert_done(&bench, &request);
    assert_card_key(&bench, NUMBER, 1);
    bench_remove(&bench);
}

static void a_profile_that_changes_half_way_is_noticed(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    kf_procedure_context context = {.keys = bench.keys, .now = bench.now, .profile = &bench.profile};
    kf_procedure_state state_now = {0};
    kf_procedure_result result = {0};
    kf_error error = {0};
    assert_int_equal(kf_procedure_begin(&context, &request, NULL, &state_now, &result, &error), KF_OK);
    kf_procedure_result_clear(&result);
    kf_script_answers none = {0};
    kf_procedure_answers answers = {.answers = &none};
    assert_int_equal(kf_procedure_advance(&context, &state_now, &answers, &result, &error),
                     KF_ERR_CARD_REMOVED);
    profile_choice choice = {.level = "0x13"};
    bench_set_profile(&bench, &choice);
    assert_int_equal(kf_procedure_advance(&context, &state_now, &answers, &result, &error), KF_ERR_TOKEN);
    assert_non_null(strstr(error.message, "profile test changed"));
    kf_procedure_state_clear(&state_now);
    bench_remove(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_may_go_at_every_command),
        cmocka_unit_test(power_may_go_again_and_again),
        cmocka_unit_test(a_wrong_status_word_at_any_command_is_survived),
        cmocka_unit_test(a_damaged_answer_never_makes_a_wrong_record),
        cmocka_unit_test(every_byte_of_an_authentic_answer_is_checked),
        cmocka_unit_test(a_broken_fill_is_finished_for_its_own_number_only),
        cmocka_unit_test(a_broken_refill_asks_for_refill_or_clear),
        cmocka_unit_test(a_broken_clear_asks_for_clear),
        cmocka_unit_test(no_second_card_steps_in),
        cmocka_unit_test(a_channel_with_the_parent_is_noticed),
        cmocka_unit_test(a_profile_that_changes_half_way_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
