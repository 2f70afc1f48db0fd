/* Rows of cards and numbers, below the handlers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmu_fixture.h"

#include "kmu/records.h"

#define CARD "kdd:00000000000000000001"
#define OTHER_CARD "kdd:00000000000000000002"

static kf_card_record record_of(const char *identity, const char *number, uint32_t generation,
                                uint64_t sequence)
{
    kf_card_record record = {.state = KF_CARD_FILLING, .sequence = sequence, .last_generation = generation};
    (void)snprintf(record.identity, sizeof record.identity, "%s", identity);
    (void)snprintf(record.number, sizeof record.number, "%s", number);
    (void)snprintf(record.category, sizeof record.category, "c");
    (void)snprintf(record.iccid, sizeof record.iccid, "89860%s", identity + 19);
    record.pending.generation = generation;
    return record;
}

static kf_code write_card(kf_database *database, void *context, kf_error *error)
{
    const kf_card_change *change = context;
    return kf_card_write(database, change, error);
}

static kf_code put(world *made, const kf_card_record *record, uint64_t replaced)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_secret_free) kf_secret *key = test_secret("0123456789ABCDEF0123456789ABCDEF");
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_card_record_seal(record, key, &sealed), KF_OK);
    kf_card_change change = {kf_buffer_view(&sealed), replaced, 1};
    return kf_database_write(made->kmu.front.database, write_card, &change, &error);
}

static void a_row_follows_the_sequence_that_it_replaces(void **state)
{
    world *made = *state;
    kf_card_record record = record_of(CARD, "86138", 1, 1);
    assert_int_equal(put(made, &record, 0), KF_OK);
    assert_int_equal(put(made, &record, 0), KF_ERR_CONFLICT);
    record.sequence = 2;
    assert_int_equal(put(made, &record, 7), KF_ERR_CONFLICT);
    assert_int_equal(number_of(made, "SELECT sequence FROM cards"), 1);
    assert_int_equal(put(made, &record, 1), KF_OK);
    assert_int_equal(put(made, &record, 1), KF_ERR_CONFLICT);
    assert_int_equal(number_of(made, "SELECT sequence FROM cards"), 2);
}

static void bytes_that_are_no_record_are_refused(void **state)
{
    world *made = *state;
    kf_error error = {KF_OK, ""};
    kf_card_change change = {kf_view_of_text("no record"), 0, 1};
    assert_int_equal(kf_database_write(made->kmu.front.database, write_card, &change, &error), KF_ERR_RECORD);
}

static void a_number_is_on_one_card_at_a_time_and_never_repeats_a_generation(void **state)
{
    world *made = *state;
    kf_error error = {KF_OK, ""};
    kf_database *database = made->kmu.front.database;
    uint32_t floor = 99;
    kf_card_record first = record_of(CARD, "86138", 3, 1);
    assert_int_equal(kf_number_check_free(database, "86138", NULL, &floor, &error), KF_OK);
    assert_int_equal(floor, 0);
    assert_int_equal(put(made, &first, 0), KF_OK);
    assert_int_equal(kf_number_check_free(database, "86138", NULL, &floor, &error), KF_ERR_NUMBER_TAKEN);
    assert_non_null(strstr(error.message, CARD));
    assert_int_equal(kf_number_check_free(database, "86138", OTHER_CARD, &floor, &error),
                     KF_ERR_NUMBER_TAKEN);
    assert_int_equal(kf_number_check_free(database, "86138", CARD, &floor, &error), KF_OK);
    assert_int_equal(floor, 3);
    kf_card_record second = record_of(OTHER_CARD, "86138", 4, 1);
    assert_int_equal(put(made, &second, 0), KF_ERR_NUMBER_TAKEN);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM cards"), 1);
    /* Cleared: the number is free, its generations are not. */
    first.number[0] = '\0';
    first.sequence = 2;
    assert_int_equal(put(made, &first, 1), KF_OK);
    assert_int_equal(kf_number_check_free(database, "86138", NULL, &floor, &error), KF_OK);
    assert_int_equal(floor, 3);
    second = record_of(OTHER_CARD, "86138", 3, 1);
    assert_int_equal(put(made, &second, 0), KF_ERR_CONFLICT);
    second = record_of(OTHER_CARD, "86138", 4, 1);
    assert_int_equal(put(made, &second, 0), KF_OK);
    assert_int_equal(number_of(made, "SELECT last_generation FROM numbers"), 4);
}

static void a_card_that_takes_another_number_gives_the_first_free(void **state)
{
    world *made = *state;
    kf_card_record record = record_of(CARD, "86138", 1, 1);
    assert_int_equal(put(made, &record, 0), KF_OK);
    record = record_of(CARD, "86139", 2, 2);
    assert_int_equal(put(made, &record, 1), KF_OK);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM numbers WHERE identity = '" CARD "'"), 1);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM numbers WHERE number = '86138' AND identity = ''"),
                     1);
}

typedef struct claim_work {
    kf_card_claim claim;
    bool release;
} claim_work;

static kf_code work_claim(kf_database *database, void *context, kf_error *error)
{
    const claim_work *work = context;
    return work->release ? kf_card_release(database, &work->claim, error)
                         : kf_card_take(database, &work->claim, error);
}

static kf_code claim(world *made, bool release, kf_card_claim wanted)
{
    kf_error error = {KF_OK, ""};
    claim_work work = {wanted, release};
    return kf_database_write(made->kmu.front.database, work_claim, &work, &error);
}

static void a_claim_stands_until_it_is_released_idle_or_taken_over_by_its_terminal(void **state)
{
    world *made = *state;
    kf_card_record record = record_of(CARD, "86138", 1, 1);
    assert_int_equal(put(made, &record, 0), KF_OK);
    const kf_card_claim first = {CARD, "1", "host:a", "till-1", 1000};
    kf_card_claim other = {CARD, "2", "host:a", "till-2", 2000};
    const kf_card_claim same_terminal = {CARD, "3", "host:a", "till-1", 3000};
    kf_card_claim other_host = {CARD, "1", "host:b", "till-1", 4000};
    assert_int_equal(claim(made, false, first), KF_OK);
    assert_int_equal(claim(made, false, first), KF_OK);
    assert_int_equal(claim(made, false, other), KF_ERR_IN_PROGRESS);
    assert_int_equal(claim(made, false, other_host), KF_ERR_IN_PROGRESS);
    assert_int_equal(claim(made, false, same_terminal), KF_OK);
    /* Not theirs to release. */
    assert_int_equal(claim(made, true, other), KF_OK);
    assert_int_equal(claim(made, true, (kf_card_claim){CARD, "3", "host:b", "till-1", 0}), KF_OK);
    assert_int_equal(claim(made, false, other), KF_ERR_IN_PROGRESS);
    other.now = 3000 + KF_REQUEST_PATIENCE_MS;
    assert_int_equal(claim(made, false, other), KF_ERR_IN_PROGRESS);
    other.now++;
    assert_int_equal(claim(made, false, other), KF_OK);
    assert_int_equal(claim(made, true, other), KF_OK);
    other_host.now = other.now;
    assert_int_equal(claim(made, false, other_host), KF_OK);
    assert_int_equal(claim(made, false, (kf_card_claim){OTHER_CARD, "1", "host:a", "t", 0}), KF_OK);
}

static void a_lookup_says_what_is_recorded(void **state)
{
    world *made = *state;
    reply unknown = ask(made, kf_handle_card_lookup, "", "{\"card\":{\"iccid\":\"89861\"}}");
    assert_reply(&unknown, KF_OK, "");
    assert_string_equal(unknown.text, "{\"known\":false}");
    fill(made, "00000000000000000000000000000001");
    static const char *const reports[] = {
        "{\"card\":{\"iccid\":\"" ICCID "\"}}",
        "{\"card\":{\"diversification_data\":\"CF0A" KDD "\",\"iccid\":\"89861\"}}",
    };
    for (size_t i = 0; i < 2; i++) {
        reply known = ask(made, kf_handle_card_lookup, "", reports[i]);
        assert_reply(&known, KF_OK, "");
        assert_string_equal(known.text, "{\"known\":true,\"card\":\"" IDENTITY
                                        "\",\"state\":\"filled\",\"iccid\":\"" ICCID "\",\"number\":\"" NUMBER
                                        "\",\"category\":\"" CATEGORY
                                        "\",\"generation\":1,\"base_key_version\":1,\"personalised\":false}");
        reply_clear(&known);
    }
    reply wrong = ask(made, kf_handle_card_lookup, "", "{\"card\":{},\"more\":1}");
    assert_reply(&wrong, KF_ERR_FIELD, "more");
    reply_clear(&unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_row_follows_the_sequence_that_it_replaces),
        IN_WORLD(bytes_that_are_no_record_are_refused),
        IN_WORLD(a_number_is_on_one_card_at_a_time_and_never_repeats_a_generation),
        IN_WORLD(a_card_that_takes_another_number_gives_the_first_free),
        IN_WORLD(a_claim_stands_until_it_is_released_idle_or_taken_over_by_its_terminal),
        IN_WORLD(a_lookup_says_what_is_recorded),
    };
    return cmocka_run_group_tests_name("kmu/cards", tests, NULL, NULL);
}
