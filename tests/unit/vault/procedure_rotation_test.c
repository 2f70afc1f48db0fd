/* Cards that go to a key of another size, or to another key version number: the new one is added, proven, and
 * the old one deleted. Power may go at every command of it. */
#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>

#include "procedure_card.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "vault/procedure_plan.h"

#define LARGE_KEY "D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4"
#define LARGER_KEY "E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5"
#define NEXT_KEY "F6F6F6F6F6F6F6F6F6F6F6F6F6F6F6F6"

static softcard_application *domain_of(softcard_state *card)
{
    softcard_aid aid = {.size = sizeof DOMAIN_AID / 2};
    assert_int_equal(kf_hex_decode(DOMAIN_AID, aid.bytes, aid.size), KF_OK);
    return softcard_application_find(card, &aid);
}

/* Whether this key set is that key of the record's. */
static bool is_key(test_bench *bench, const softcard_key_set *set, const kf_card_key *which)
{
    kf_procedure_context context = bench_context(bench);
    kf_card_keys keys = {0};
    if (which->generation == 0 || set->key_count != 3 || set->version != which->key_version) return false;
    if (kf_procedure_card_key(&context, &bench->record, which, &keys, NULL) != KF_OK) return false;
    bool same = kf_secret_equal(set->keys[0].value, keys.enc) &&
                kf_secret_equal(set->keys[1].value, keys.mac) &&
                kf_secret_equal(set->keys[2].value, keys.dek);
    kf_card_keys_clear(&keys);
    return same;
}

/* No key on the card that its record does not name. */
static void assert_all_nameable(test_bench *bench)
{
    softcard_state *card = card_state(bench);
    softcard_application *domain = domain_of(card);
    const kf_card_record *record = &bench->record;
    for (size_t i = 0; domain != NULL && i < domain->key_set_count; i++) {
        const softcard_key_set *set = &domain->key_sets[i];
        if (!is_key(bench, set, &record->present) && !is_key(bench, set, &record->pending) &&
            !is_key(bench, set, &record->previous))
            fail_msg("the key of version %02X is not on record", set->version);
    }
    softcard_state_free(&card);
}

/* The card holds the record's present key, and nothing else. */
static void assert_present_alone(test_bench *bench, uint8_t version, size_t size)
{
    assert_int_equal(bench->record.state, KF_CARD_FILLED);
    assert_int_equal(bench->record.pending.generation, 0);
    softcard_state *card = card_state(bench);
    softcard_application *domain = domain_of(card);
    assert_non_null(domain);
    assert_int_equal(domain->key_set_count, 1);
    assert_int_equal(domain->key_sets[0].version, version);
    assert_int_equal(kf_secret_size(domain->key_sets[0].keys[0].value), size);
    assert_true(is_key(bench, &domain->key_sets[0], &bench->record.present));
    softcard_state_free(&card);
}

static void add_payment_key(test_bench *bench, const char *key)
{
    (void)bench_add_key(bench, KF_PURPOSE_PAYMENT, CATEGORY, PAYMENT_TEMPLATE, key);
}

static const profile_choice large = {.key_size = "32"};

static void a_larger_key_is_added_proven_and_the_old_one_deleted(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    add_payment_key(&bench, LARGE_KEY);
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    assert_refused(&bench, &request, KF_ERR_PROFILE, "give the profile key_size 32");
    assert_int_equal(bench.record.state, KF_CARD_FILLED);
    bench_set_profile(&bench, &large);
    /* Three round trips until the card is written, the fourth message records it. */
    assert_done_text(&bench, &request, "at key version 0x31 in the place of 0x30, which is deleted", 4);
    assert_string_equal(kf_buffer_text(&bench.labels),
                        "SELECT security domain\nINITIALIZE UPDATE\n"
                        "EXTERNAL AUTHENTICATE\nDELETE key\nPUT KEY\n"
                        "SELECT security domain\nINITIALIZE UPDATE\n"
                        "EXTERNAL AUTHENTICATE\nDELETE key\nGET DATA key information\n");
    assert_int_equal(bench.record.present.base_key_version, 2);
    assert_int_equal(bench.record.previous.key_version, 0x30);
    assert_present_alone(&bench, 0x31, 32);
    bench_remove(&bench);
}

/* The next refill takes the card to the number that the profile names; from then on keys are replaced. */
static void the_profiles_key_version_is_where_a_card_ends_up(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    add_payment_key(&bench, LARGE_KEY);
    bench_set_profile(&bench, &large);
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    assert_done(&bench, &request);
    assert_done_text(&bench, &request, "at key version 0x30 in the place of 0x31", 4);
    assert_present_alone(&bench, 0x30, 32);
    assert_done_text(&bench, &request, "key generation 4", 3);
    assert_present_alone(&bench, 0x30, 32);
    const profile_choice other = {.key_size = "32", .key_version = "0x3F"};
    bench_set_profile(&bench, &other);
    assert_done_text(&bench, &request, "at key version 0x3F in the place of 0x30", 4);
    assert_present_alone(&bench, 0x3F, 32);
    /* Back to a smaller one: beside 3F stands 30. */
    add_payment_key(&bench, NEXT_KEY);
    const profile_choice small = {.key_version = "0x3F"};
    bench_set_profile(&bench, &small);
    assert_done_text(&bench, &request, "at key version 0x30 in the place of 0x3F", 4);
    assert_present_alone(&bench, 0x30, 16);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_done(&bench, &clear);
    assert_no_domain(&bench);
    bench_remove(&bench);
}

/* -- power -- */

typedef struct move_scene {
    profile_choice before;
    profile_choice after;
    card_choice card;
    const char *key;
    uint8_t version; /* at the end */
    size_t size;
} move_scene;

#define PLAIN_LEVEL .level = "0x03", .parameters = "81020310"
#define PRELOADED .injection = "preloaded", .modules = "[]"

static const move_scene scenes[] = {
    {{.level = NULL}, {.key_size = "32"}, {.applets = 0}, LARGE_KEY, 0x31, 32},
    {{.level = NULL}, {.key_version = "0x35"}, {.applets = 0}, NEXT_KEY, 0x35, 16},
    {{PLAIN_LEVEL}, {PLAIN_LEVEL, .key_size = "32"}, {.parameter = "10"}, LARGE_KEY, 0x31, 32},
    {{PRELOADED}, {PRELOADED, .key_size = "32"}, {.preloaded = true}, LARGE_KEY, 0x31, 32},
    {{PRELOADED, .preloaded = "factory"},
     {PRELOADED, .preloaded = "factory", .key_version = "0x36"},
     {.preloaded = true, .factory_keys = true},
     NEXT_KEY,
     0x36,
     16},
};
#define SCENE_COUNT (sizeof scenes / sizeof scenes[0])

static void make_scene(test_bench *bench, const move_scene *scene)
{
    bench_make(bench, &scene->before, &scene->card);
    add_payment_key(bench, scene->key);
}

/* The card as it was filled from version 1, before the profile changed. */
static void reset(test_bench *bench, const move_scene *scene, const kf_buffer *filled,
                  const kf_card_record *record)
{
    kf_buffer_truncate(&bench->saved, 0);
    kf_buffer_append(&bench->saved, kf_buffer_view(filled));
    assert_int_equal(kf_buffer_status(&bench->saved), KF_OK);
    bench->record = *record;
    bench_set_profile(bench, &scene->after);
}

static void fill_from_version_1(test_bench *bench, kf_buffer *filled, kf_card_record *ret_record)
{
    kf_error error = {0};
    const kf_key_entry *entry = kf_key_store_find(bench->keys, KF_PURPOSE_PAYMENT, CATEGORY, 2, 0);
    assert_int_equal(kf_key_store_set_state(bench->keys, entry, KF_KEY_SUSPENDED, &entry, &error), KF_OK);
    fill_card(bench);
    assert_int_equal(bench->record.present.base_key_version, 1);
    assert_int_equal(kf_key_store_set_state(bench->keys, entry, KF_KEY_ACTIVE, &entry, &error), KF_OK);
    kf_buffer_append(filled, kf_buffer_view(&bench->saved));
    *ret_record = bench->record;
}

static void finish(test_bench *bench, const move_scene *scene, kf_operation operation)
{
    kf_procedure_request request = request_of(operation);
    assert_all_nameable(bench);
    assert_done(bench, &request);
    if (operation == KF_OPERATION_REFILL) {
        /* Where the tear came after the end was proven, this is one refill more, to the profile's number. */
        if (bench->record.present.generation == 2) assert_present_alone(bench, scene->version, scene->size);
        assert_int_equal(bench->record.state, KF_CARD_FILLED);
        assert_int_equal(bench->record.present.base_key_version, 2);
        return;
    }
    if (bench->record.state == KF_CARD_BLANK) assert_no_card_key(bench, NUMBER);
    if (!scene->card.preloaded) assert_no_domain(bench);
}

static void power_may_go_at_every_command_of_a_move(void **state)
{
    (void)state;
    static const kf_operation ends[] = {KF_OPERATION_REFILL, KF_OPERATION_CLEAR};
    size_t broken = 0;
    for (size_t i = 0; i < SCENE_COUNT; i++) {
        test_bench bench;
        KF_CLEANUP(kf_buffer_clear) kf_buffer filled = KF_BUFFER_INIT;
        kf_card_record record;
        make_scene(&bench, &scenes[i]);
        fill_from_version_1(&bench, &filled, &record);
        bool reached = true;
        for (uint64_t at = 1; reached; at++) {
            for (int kind = 0; kind < 4 && reached; kind++) {
                reset(&bench, &scenes[i], &filled, &record);
                kf_procedure_request request = request_of(KF_OPERATION_REFILL);
                bench.tear_at = at;
                bench.tear_after = (kind & 1) != 0;
                test_outcome outcome = run(&bench, &request);
                reached = bench.sent >= at;
                assert_int_equal(outcome.code, reached ? KF_ERR_CARD_REMOVED : KF_OK);
                outcome_clear(&outcome);
                if (reached) {
                    finish(&bench, &scenes[i], ends[kind / 2]);
                    broken++;
                }
                if (!reached) assert_present_alone(&bench, scenes[i].version, scenes[i].size);
            }
        }
        bench_remove(&bench);
    }
    assert_true(broken >= SCENE_COUNT * 40);
}

/* Again and again, at each pair of commands. */
static void power_may_go_twice_in_a_move(void **state)
{
    (void)state;
    for (size_t i = 0; i < SCENE_COUNT; i++) {
        test_bench bench;
        KF_CLEANUP(kf_buffer_clear) kf_buffer filled = KF_BUFFER_INIT;
        kf_card_record record;
        make_scene(&bench, &scenes[i]);
        fill_from_version_1(&bench, &filled, &record);
        for (uint64_t first = 3; first <= 10; first++) {
            for (uint64_t second = 1; second <= 11; second++) {
                reset(&bench, &scenes[i], &filled, &record);
                kf_procedure_request request = request_of(KF_OPERATION_REFILL);
                const uint64_t at[] = {first, second};
                for (size_t j = 0; j < 2 && bench.record.present.generation == 1; j++) {
                    bench.tear_at = at[j];
                    bench.tear_after = true;
                    test_outcome outcome = run(&bench, &request);
                    outcome_clear(&outcome);
                    assert_all_nameable(&bench);
                }
                if (bench.record.present.generation == 1) assert_done(&bench, &request);
                assert_present_alone(&bench, scenes[i].version, scenes[i].size);
            }
        }
        bench_remove(&bench);
    }
}

static void a_wrong_status_word_at_any_command_of_a_move_is_survived(void **state)
{
    (void)state;
    static const uint16_t refusals[] = {0x6985, 0x6F00, 0x6A82, 0x6A88, 0x9000, 0x6310};
    size_t refused = 0;
    for (size_t i = 0; i < SCENE_COUNT; i++) {
        test_bench bench;
        KF_CLEANUP(kf_buffer_clear) kf_buffer filled = KF_BUFFER_INIT;
        kf_card_record record;
        make_scene(&bench, &scenes[i]);
        fill_from_version_1(&bench, &filled, &record);
        bool reached = true;
        for (uint64_t at = 1; reached; at++) {
            for (size_t j = 0; j < sizeof refusals / sizeof refusals[0] && reached; j++) {
                reset(&bench, &scenes[i], &filled, &record);
                kf_procedure_request request = request_of(KF_OPERATION_REFILL);
                bench.refuse_at = at;
                bench.refusal = refusals[j];
                test_outcome outcome = run(&bench, &request);
                reached = bench.sent >= at;
                assert_all_nameable(&bench);
                if (outcome.code != KF_OK) {
                    refused++;
                    finish(&bench, &scenes[i], KF_OPERATION_REFILL);
                } else if (scenes[i].before.level == NULL) {
                    assert_present_alone(&bench, scenes[i].version, scenes[i].size);
                }
                outcome_clear(&outcome);
            }
        }
        bench_remove(&bench);
    }
    assert_true(refused > SCENE_COUNT * 20);
}

/* -- whoever stands between -- */

static const char *hidden_label;
static size_t hidden;

/* In the card's place: "there is no such key". */
static void hide_the_new_key(test_bench *bench, unsigned message, const kf_script *script,
                             kf_script_answers *answers)
{
    (void)message;
    const uint8_t none[] = {0x6A, 0x88};
    for (size_t i = 0; i < answers->count; i++) {
        if (strcmp(script->entries[answers->items[i].entry].label, hidden_label) != 0) continue;
        memcpy(answers->items[i].response, none, sizeof none);
        answers->items[i].response_size = sizeof none;
        answers->count = i + 1;
        hidden++;
        if (i + 1 < script->count) {
            KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
            const kf_script_entry *next = &script->entries[i + 1];
            kf_view command = kf_view_of(next->command, next->command_size);
            assert_int_equal(softcard_transmit(bench->card, command, &response), KF_OK);
            bench->sent++;
            assert_int_equal(kf_script_answers_append(answers, (uint16_t)(i + 1), kf_buffer_view(&response)),
                             KF_OK);
        }
        return;
    }
}

static void a_new_key_that_is_hidden_is_written_again(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    add_payment_key(&bench, LARGE_KEY);
    bench_set_profile(&bench, &large);
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    bench.tear_label = "PUT KEY";
    assert_refused(&bench, &request, KF_ERR_CARD_REMOVED, "");
    hidden = 0;
    hidden_label = "INITIALIZE UPDATE of the new key version";
    bench.alter = hide_the_new_key;
    assert_done_text(&bench, &request, "0x31 in the place of 0x30", 4);
    assert_int_equal(hidden, 1);
    assert_present_alone(&bench, 0x31, 32);
    bench_remove(&bench);
}

/* DELETE of the old key is kept from the card: its list under R-MAC says so. */
static void an_old_key_that_is_kept_is_noticed(void **state)
{
    (void)state;
    test_bench bench;
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    add_payment_key(&bench, LARGE_KEY);
    bench_set_profile(&bench, &large);
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    bench.refuse_at = 9; /* DELETE key of the third script */
    bench.refusal = 0x6A88;
    test_outcome outcome = run(&bench, &request);
    assert_int_not_equal(outcome.code, KF_OK);
    outcome_clear(&outcome);
    assert_int_equal(bench.record.state, KF_CARD_REFILLING);
    assert_int_equal(bench.record.present.key_version, 0x30);
    /* The new key is there: one session, two round trips until the card is written. */
    assert_done_text(&bench, &request, "0x31 in the place of 0x30", 3);
    assert_present_alone(&bench, 0x31, 32);
    bench_remove(&bench);
}

/* -- what is refused -- */

static void a_domain_with_its_makers_keys_keeps_their_size(void **state)
{
    (void)state;
    test_bench bench;
    const profile_choice before = {PRELOADED, .preloaded = "factory"};
    const profile_choice after = {PRELOADED, .preloaded = "factory", .key_size = "32"};
    const card_choice card = {.preloaded = true, .factory_keys = true};
    bench_make(&bench, &before, &card);
    fill_card(&bench);
    add_payment_key(&bench, LARGE_KEY);
    bench_set_profile(&bench, &after);
    kf_procedure_request refill = request_of(KF_OPERATION_REFILL);
    assert_refused(&bench, &refill, KF_ERR_PROFILE, "base keys of 16 bytes only");
    assert_int_equal(bench.record.state, KF_CARD_FILLED);
    kf_procedure_request clear = request_of(KF_OPERATION_CLEAR);
    assert_done(&bench, &clear);
    kf_procedure_request fill = request_of(KF_OPERATION_FILL);
    assert_refused(&bench, &fill, KF_ERR_PROFILE, "base keys of 16 bytes only");
    bench_remove(&bench);
}

/* A key that a move left at a number of its own, from a base key that makes nothing new any more. */
static void a_key_that_was_given_up_is_deleted(void **state)
{
    (void)state;
    test_bench bench;
    kf_error error = {0};
    bench_make(&bench, NULL, NULL);
    fill_card(&bench);
    add_payment_key(&bench, LARGE_KEY);
    bench_set_profile(&bench, &large);
    kf_procedure_request request = request_of(KF_OPERATION_REFILL);
    bench.tear_label = "PUT KEY";
    assert_refused(&bench, &request, KF_ERR_CARD_REMOVED, "");
    const kf_key_entry *entry = kf_key_store_find(bench.keys, KF_PURPOSE_PAYMENT, CATEGORY, 2, 0);
    assert_int_equal(kf_key_store_set_state(bench.keys, entry, KF_KEY_SUSPENDED, &entry, &error), KF_OK);
    /* Version 1 is in force again, at its own size: the large key has to go. */
    bench_set_profile(&bench, NULL);
    assert_done_text(&bench, &request, "key generation 3", 3);
    assert_present_alone(&bench, 0x30, 16);
    /* And where the next one is large as well, it takes the number of the one that was given up. */
    assert_int_equal(kf_key_store_set_state(bench.keys, entry, KF_KEY_ACTIVE, &entry, &error), KF_OK);
    bench_set_profile(&bench, &large);
    bench.tear_label = "PUT KEY";
    assert_refused(&bench, &request, KF_ERR_CARD_REMOVED, "");
    assert_int_equal(kf_key_store_set_state(bench.keys, entry, KF_KEY_SUSPENDED, &entry, &error), KF_OK);
    add_payment_key(&bench, LARGER_KEY);
    assert_done_text(&bench, &request, "0x31 in the place of 0x30", 4);
    assert_int_equal(bench.record.present.base_key_version, 3);
    assert_present_alone(&bench, 0x31, 32);
    bench_remove(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_larger_key_is_added_proven_and_the_old_one_deleted),
        cmocka_unit_test(the_profiles_key_version_is_where_a_card_ends_up),
        cmocka_unit_test(power_may_go_at_every_command_of_a_move),
        cmocka_unit_test(power_may_go_twice_in_a_move),
        cmocka_unit_test(a_wrong_status_word_at_any_command_of_a_move_is_survived),
        cmocka_unit_test(a_new_key_that_is_hidden_is_written_again),
        cmocka_unit_test(an_old_key_that_is_kept_is_noticed),
        cmocka_unit_test(a_domain_with_its_makers_keys_keeps_their_size),
        cmocka_unit_test(a_key_that_was_given_up_is_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
