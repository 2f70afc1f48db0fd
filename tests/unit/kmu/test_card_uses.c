/* Which base key each card's key comes from: counts, lists, and rows from before there were columns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmu_fixture.h"

#include "kmu/card_uses.h"
#include "wire/json.h"

static kf_code write_card(kf_database *database, void *context, kf_error *error)
{
    const kf_card_change *change = context;
    return kf_card_write(database, change, error);
}

/* Card `index`: present from version `version` of `base_key`, pending from `pending` (0: none). */
static void put_card(world *made, unsigned index, const char *base_key, uint32_t version, uint32_t pending)
{
    kf_card_record record = {.state = pending != 0 ? KF_CARD_REFILLING : KF_CARD_FILLED, .sequence = 1};
    (void)snprintf(record.identity, sizeof record.identity, "kdd:%020u", index);
    (void)snprintf(record.number, sizeof record.number, "86138%08u", index);
    (void)snprintf(record.iccid, sizeof record.iccid, "8986%016u", index);
    (void)snprintf(record.category, sizeof record.category, index % 2 == 0 ? "even" : "odd");
    record.last_generation = 2;
    if (version != 0) {
        record.present = (kf_card_key){.generation = 1, .base_key_version = version, .key_version = 0x30};
        (void)snprintf(record.present.base_key, sizeof record.present.base_key, "%s", base_key);
    }
    if (pending != 0) {
        record.pending = (kf_card_key){.generation = 2, .base_key_version = pending, .key_version = 0x30};
        (void)snprintf(record.pending.base_key, sizeof record.pending.base_key, "%s", base_key);
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_secret_free) kf_secret *key = test_secret("0123456789ABCDEF0123456789ABCDEF");
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_card_record_seal(&record, key, &sealed), KF_OK);
    kf_card_change change = {kf_buffer_view(&sealed), 0, 1};
    if (kf_database_write(made->kmu.front.database, write_card, &change, &error) != KF_OK)
        fail_msg("%s", error.message);
}

typedef struct query_item {
    const char *name;
    const char *value;
} query_item;

static kf_code ask_list(world *made, const query_item *query, json_t **ret_answer, kf_error *error)
{
    kf_peer caller = peer_of(KF_PEER_OFFICER, "olga");
    kf_http_request request = {.caller = &caller, .method = "GET", .path = "/v1/cards"};
    kf_http_response response = {0};
    for (; query[request.query_count].name != NULL; request.query_count++)
        request.query[request.query_count] =
            (kf_http_parameter){query[request.query_count].name, query[request.query_count].value};
    kf_code code = kf_handle_card_list(&made->kmu, &request, &response, error);
    if (code == KF_OK)
        *ret_answer = response.json;
    else
        kf_json_free(&response.json);
    return code;
}

static void assert_counts(world *made, const char *category, int version, int cards, int pending)
{
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_json_free)
    json_t *keys =
        json_pack("[{s:s, s:s, s:i}]", "purpose", "payment", "category", category, "version", version);
    if (kf_card_uses_annotate(made->kmu.front.database, keys, &error) != KF_OK) fail_msg("%s", error.message);
    const json_t *key = json_array_get(keys, 0);
    assert_int_equal(json_integer_value(json_object_get(key, "cards")), cards);
    assert_int_equal(json_integer_value(json_object_get(key, "cards_pending")), pending);
}

static void every_version_has_its_cards_counted(void **state)
{
    world *made = *state;
    for (unsigned i = 0; i < 10; i++)
        put_card(made, i, i < 4 ? "even" : "default", i % 3 + 1, i == 9 ? 3 : 0);
    put_card(made, 10, "default", 0, 2); /* a fill that broke off */
    put_card(made, 11, "default", 0, 0); /* cleared */
    assert_counts(made, "even", 1, 2, 0);
    assert_counts(made, "even", 2, 1, 0);
    assert_counts(made, "default", 1, 2, 0);
    assert_counts(made, "default", 2, 2, 1);
    assert_counts(made, "default", 3, 2, 1);
    assert_counts(made, "default", 4, 0, 0);
    KF_CLEANUP(kf_json_free) json_t *other = json_pack("[{s:s}]", "purpose", "transport");
    assert_int_equal(kf_card_uses_annotate(made->kmu.front.database, other, NULL), KF_OK);
    assert_null(json_object_get(json_array_get(other, 0), "cards"));
}

static void counting_goes_by_an_index(void **state)
{
    world *made = *state;
    kf_error error = {KF_OK, ""};
    static const char *const plans[] = {
        "EXPLAIN QUERY PLAN SELECT COUNT(*) FROM cards WHERE base_key = 'a' AND base_key_version = 1",
        "EXPLAIN QUERY PLAN SELECT COUNT(*) FROM cards WHERE pending_base_key = 'a' AND pending_version = 1",
    };
    for (size_t i = 0; i < 2; i++) {
        KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
        bool row = false;
        assert_int_equal(kf_database_query(made->kmu.front.database, plans[i], KF_NO_VALUES, &rows, &error),
                         KF_OK);
        assert_int_equal(kf_rows_next(rows, &row, &error), KF_OK);
        assert_true(row);
        assert_non_null(strstr(kf_rows_text(rows, 3), "USING COVERING INDEX"));
    }
}

/* Counts follow a card through fill and refill of the real procedures. */
static void a_filled_card_is_counted_where_it_is(void **state)
{
    world *made = *state;
    assert_counts(made, CATEGORY, 1, 0, 0);
    fill(made, FIRST);
    assert_counts(made, CATEGORY, 1, 1, 0);
    (void)bench_add_key(&made->bench, KF_PURPOSE_PAYMENT, CATEGORY, PAYMENT_TEMPLATE,
                        "D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4D4");
    char *body = request_body(SECOND, "refill", "");
    reply first = begin(made, body);
    assert_reply(&first, KF_OK, "");
    char *message = message_for(made, first.text);
    reply second = tell(made, SECOND, message);
    assert_reply(&second, KF_OK, "");
    assert_counts(made, CATEGORY, 1, 1, 0);
    assert_counts(made, CATEGORY, 2, 0, 1);
    reply last = go_on(made, SECOND, second);
    assert_reply(&last, KF_OK, "");
    assert_counts(made, CATEGORY, 1, 0, 0);
    assert_counts(made, CATEGORY, 2, 1, 0);
    reply_clear(&last);
    reply_clear(&first);
    free(message);
    free(body);
}

static void a_list_comes_in_pages(void **state)
{
    world *made = *state;
    for (unsigned i = 0; i < 25; i++)
        put_card(made, i, "default", i < 22 ? 1 : 2, 0);
    char after[KF_IDENTITY_SIZE] = "";
    unsigned seen = 0;
    unsigned pages = 0;
    for (bool more = true; more; pages++) {
        const query_item query[] = {
            {"base_key", "default"}, {"key_version", "1"}, {"limit", "5"}, {"after", after}, {NULL, NULL}};
        kf_error error = {KF_OK, ""};
        KF_CLEANUP(kf_json_free) json_t *answer = NULL;
        if (ask_list(made, query, &answer, &error) != KF_OK) fail_msg("%s", error.message);
        const json_t *cards = json_object_get(answer, "cards");
        for (size_t i = 0; i < json_array_size(cards); i++, seen++) {
            const json_t *card = json_array_get(cards, i);
            char number[KF_NUMBER_SIZE];
            (void)snprintf(number, sizeof number, "86138%08u", seen);
            assert_string_equal(json_string_value(json_object_get(card, "number")), number);
            assert_int_equal(json_integer_value(json_object_get(card, "key_version")), 1);
        }
        const char *next = json_string_value(json_object_get(answer, "next"));
        more = next != NULL;
        if (more) assert_int_equal(kf_text_copy(after, sizeof after, next), KF_OK);
    }
    assert_int_equal(seen, 22);
    assert_int_equal(pages, 5);
}

static size_t listed(world *made, const char *category, const char *base_key, const char *version)
{
    query_item query[4] = {{"key_version", version}};
    size_t count = 1;
    if (category != NULL) query[count++] = (query_item){"category", category};
    if (base_key != NULL) query[count++] = (query_item){"base_key", base_key};
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    if (ask_list(made, query, &answer, &error) != KF_OK) fail_msg("%s", error.message);
    return json_array_size(json_object_get(answer, "cards"));
}

static void a_list_is_by_category_by_base_key_or_both(void **state)
{
    world *made = *state;
    for (unsigned i = 0; i < 12; i++)
        put_card(made, i, i < 4 ? "even" : "default", 1, 0);
    put_card(made, 12, "default", 0, 1);
    assert_int_equal(listed(made, "even", NULL, "1"), 6);
    assert_int_equal(listed(made, "even", "default", "1"), 4);
    assert_int_equal(listed(made, NULL, "default", "1"), 8);
    assert_int_equal(listed(made, "odd", "even", "1"), 2);
    assert_int_equal(listed(made, "even", NULL, "2"), 0);
    assert_int_equal(listed(made, "' OR 1=1 --", NULL, "1"), 0);
}

static void what_a_list_lacks_is_named(void **state)
{
    world *made = *state;
    static const struct {
        query_item query[3];
        const char *because;
    } wrong[] = {
        {{{"key_version", "1"}}, "category or base_key"},
        {{{"category", "a"}}, "key_version"},
        {{{"category", "a"}, {"key_version", "0"}}, "key_version"},
        {{{"category", "a"}, {"key_version", "4294967296"}}, "key_version"},
        {{{"category", "a"}, {"key_version", "x"}}, "key_version"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kf_error error = {KF_OK, ""};
        json_t *answer = NULL;
        assert_int_equal(ask_list(made, wrong[i].query, &answer, &error), KF_ERR_FIELD);
        assert_non_null(strstr(error.message, wrong[i].because));
    }
    const query_item too_many[] = {{"category", "a"}, {"key_version", "1"}, {"limit", "1001"}, {NULL, NULL}};
    kf_error error = {KF_OK, ""};
    json_t *answer = NULL;
    assert_int_equal(ask_list(made, too_many, &answer, &error), KF_ERR_FIELD);
}

/* More rows than are read at once, and one whose record is damaged. */
static void rows_of_before_are_completed_from_their_records(void **state)
{
    world *made = *state;
    kf_error error = {KF_OK, ""};
    for (unsigned i = 0; i < 1100; i++)
        put_card(made, i, "default", 1, i == 7 ? 2 : 0);
    execute(made, "UPDATE cards SET base_key = NULL, pending_base_key = NULL, pending_version = NULL;"
                  "UPDATE cards SET record = x'00' WHERE identity LIKE '%0009'");
    assert_counts(made, "default", 1, 0, 0);
    if (kf_card_uses_complete(made->kmu.front.database, &error) != KF_OK) fail_msg("%s", error.message);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM cards WHERE base_key IS NULL"), 0);
    assert_counts(made, "default", 1, 1099, 0);
    assert_counts(made, "default", 2, 0, 1);
    assert_int_equal(kf_card_uses_complete(made->kmu.front.database, &error), KF_OK);
    assert_counts(made, "default", 1, 1099, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(every_version_has_its_cards_counted),
        IN_WORLD(counting_goes_by_an_index),
        IN_WORLD(a_filled_card_is_counted_where_it_is),
        IN_WORLD(a_list_comes_in_pages),
        IN_WORLD(a_list_is_by_category_by_base_key_or_both),
        IN_WORLD(what_a_list_lacks_is_named),
        IN_WORLD(rows_of_before_are_completed_from_their_records),
    };
    return cmocka_run_group_tests_name("kmu/card_uses", tests, NULL, NULL);
}
