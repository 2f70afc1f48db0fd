#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmu_fixture.h"
#include "wire/json.h"

static reply put(world *made, const char *name, const char *text)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_pack("{s:s}", "text", text);
    char *dumped = json_dumps(body, 0);
    reply answer = ask_as(made, peer_of(KF_PEER_ADMINISTRATOR, "ada"), kf_handle_category_put, name, dumped);
    free(dumped);
    return answer;
}

static void must_put(world *made, const char *name, const char *more)
{
    char text[512];
    (void)snprintf(text, sizeof text, "name: %s\nprofile: test\n%s", name, more);
    reply answer = put(made, name, text);
    assert_reply(&answer, KF_OK, "");
    reply_clear(&answer);
}

static void what_is_wrong_in_a_text_is_named(void **state)
{
    world *made = *state;
    static const struct {
        const char *text;
        kf_code code;
        const char *because;
    } cases[] = {
        {"name: a\n", KF_ERR_FIELD, "\"profile\" is missing"},
        {"profile: test\n", KF_ERR_FIELD, "\"name\" is missing"},
        {"name: b\nprofile: test\n", KF_ERR_FIELD, "the text names \"b\", the request \"a\""},
        {"name: \"a b\"\nprofile: test\n", KF_ERR_FIELD, "a b"},
        {"name: a\nprofile: ../test\n", KF_ERR_FIELD, "profile"},
        {"name: a\nprofile: test\ncolour: red\n", KF_ERR_FIELD, "colour"},
        {"name: a\nprofile: test\nnumber: {prefixes: [\"86 138\"]}\n", KF_ERR_CATEGORY, "86 138"},
        {"name: a\nprofile: test\nnumber: {prefixes: [\"8A\"]}\n", KF_ERR_CATEGORY, "8A"},
        {"name: a\nprofile: test\nnumber: {prefixes: [\"861381\"], length_max: 5}\n", KF_ERR_CATEGORY,
         "861381"},
        {"name: a\nprofile: test\nnumber: {prefixes: [\"\"]}\n", KF_ERR_FIELD, "prefixes"},
        {"name: a\nprofile: test\niccid: {prefixes: [\"8986A\"]}\n", KF_ERR_CATEGORY, "8986A"},
        {"name: a\nprofile: test\nnumber: {length_min: 12, length_max: 11}\n", KF_ERR_CATEGORY, "length_min"},
        {"name: a\nprofile: test\niccid: {length_max: 21}\n", KF_ERR_CATEGORY, "length_max"},
        {"name: a\nprofile: test\niccid: {length_max: 256}\n", KF_ERR_FIELD, "length_max"},
        {"name: a\nprofile: test\nnumber: 7\n", KF_ERR_FIELD, "number"},
        {"name: a\nprofile: nowhere\n", KF_ERR_PROFILE, "\"nowhere\"; register it with keyfill profile put"},
        {": : :", KF_ERR_FIELD, "category"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reply refused = put(made, "a", cases[i].text);
        assert_reply(&refused, cases[i].code, cases[i].because);
    }
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM categories"), 1);
    reply wrong = ask(made, kf_handle_category_put, "a", "{\"text\":7}");
    assert_reply(&wrong, KF_ERR_FIELD, "text");
    wrong = ask(made, kf_handle_category_put, "a", "{\"text\":\"name: a\",\"more\":1}");
    assert_reply(&wrong, KF_ERR_FIELD, "more");
}

static void too_long_texts_and_too_many_prefixes_are_refused(void **state)
{
    world *made = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append_text(&text, "name: a\nprofile: test\nnumber:\n  prefixes:\n");
    for (unsigned i = 0; i < KF_CATEGORY_PREFIXES_MAX; i++)
        kf_buffer_format(&text, "    - \"1%03u\"\n", i);
    reply answer = put(made, "a", kf_buffer_text(&text));
    assert_reply(&answer, KF_OK, "");
    reply_clear(&answer);
    kf_buffer_append_text(&text, "    - \"2\"\n");
    answer = put(made, "a", kf_buffer_text(&text));
    assert_reply(&answer, KF_ERR_FIELD, "256");
    kf_buffer_truncate(&text, 0);
    kf_buffer_append_text(&text, "name: a\nprofile: test\n");
    kf_buffer_append_fill(&text, '#', KF_CATEGORY_TEXT_MAX);
    answer = put(made, "a", kf_buffer_text(&text));
    assert_reply(&answer, KF_ERR_TOO_LONG, "at most");
}

static void assert_category(world *made, const char *number, const char *iccid, const char *wanted)
{
    kf_category category;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_categories_by_prefix(made->kmu.categories, number, iccid, &category, &error);
    if (wanted == NULL) {
        assert_int_equal(code, KF_ERR_CATEGORY);
        return;
    }
    assert_int_equal(code, KF_OK);
    assert_string_equal(category.name, wanted);
}

static void the_longest_prefix_of_the_number_decides_then_of_the_iccid(void **state)
{
    world *made = *state;
    must_put(made, "wide", "number: {prefixes: [\"861\"]}\niccid: {prefixes: [\"8986\"]}\n");
    must_put(made, "narrow", "number: {prefixes: [\"99\", \"861380\"]}\niccid: {prefixes: [\"89861\"]}\n");
    assert_category(made, "8613811111111", "", CATEGORY);
    assert_category(made, "8613801111111", "", "narrow");
    assert_category(made, "861", "", "wide");
    assert_category(made, "86", "", NULL);
    assert_category(made, "", "", NULL);
    assert_category(made, "", "8986200000", "wide");
    assert_category(made, "", "8986100000", "narrow");
    assert_category(made, "7", "8986100000", "narrow");
    /* The number goes before the ICCID, however long that one's prefix. */
    assert_category(made, "861", "8986100000", "wide");
}

static void of_two_with_one_prefix_the_first_by_name_is_taken_whatever_came_first(void **state)
{
    world *made = *state;
    kf_error error = {KF_OK, ""};
    must_put(made, "b", "number: {prefixes: [\"44\"]}\n");
    must_put(made, "a", "number: {prefixes: [\"44\"]}\n");
    must_put(made, "c", "number: {prefixes: [\"44\"]}\n");
    assert_category(made, "4412345", "", "a");
    kf_categories_free(&made->kmu.categories);
    assert_int_equal(kf_categories_load(made->kmu.front.database, &made->kmu.categories, &error), KF_OK);
    assert_category(made, "4412345", "", "a");
}

static void a_category_that_is_put_again_replaces_the_first(void **state)
{
    world *made = *state;
    kf_category category;
    kf_error error = {KF_OK, ""};
    must_put(made, "a", "number: {prefixes: [\"44\"], length_min: 6, length_max: 8, check_digit: true}\n");
    assert_int_equal(kf_categories_by_name(made->kmu.categories, "a", &category, &error), KF_OK);
    assert_int_equal(category.number.length_min, 6);
    assert_int_equal(category.number.length_max, 8);
    assert_true(category.number.check_digit);
    assert_true(category.iccid.hexadecimal);
    assert_string_equal(category.profile, "test");
    must_put(made, "a", "number: {prefixes: [\"45\"]}\niccid: {length_min: 19}\n");
    assert_int_equal(kf_categories_by_name(made->kmu.categories, "a", &category, &error), KF_OK);
    assert_int_equal(category.number.length_min, 5);
    assert_false(category.number.check_digit);
    assert_int_equal(category.iccid.length_min, 19);
    assert_false(category.iccid.hexadecimal);
    assert_category(made, "4412345", "", NULL);
    assert_category(made, "4512345", "", "a");
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM categories WHERE name = 'a'"), 1);
    assert_int_equal(number_of(made,
                               "SELECT COUNT(*) FROM audit WHERE action = 'category.put' AND subject = 'a' "
                               "AND actor = 'administrator:ada' AND outcome = 'ok'"),
                     2);
    assert_int_equal(kf_categories_by_name(made->kmu.categories, "none", &category, &error), KF_ERR_CATEGORY);
    reply listed = ask(made, kf_handle_category_list, "", NULL);
    assert_reply(&listed, KF_OK, "");
    assert_non_null(strstr(listed.text, "\"name\":\"a\""));
    reply_clear(&listed);
}

static void what_the_database_refuses_is_not_in_memory_either(void **state)
{
    world *made = *state;
    execute(made, "CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END");
    reply refused = put(made, CATEGORY, "name: " CATEGORY "\nprofile: test\nnumber: {prefixes: [\"1\"]}\n");
    assert_reply(&refused, KF_ERR_STORE, "");
    refused = put(made, "a", "name: a\nprofile: test\nnumber: {prefixes: [\"1\"]}\n");
    assert_reply(&refused, KF_ERR_STORE, "");
    execute(made, "DROP TRIGGER refuse");
    assert_category(made, "1234", "", NULL);
    assert_category(made, "86138", "", CATEGORY);
}

static void a_text_in_the_table_that_cannot_be_read_is_told_at_start(void **state)
{
    world *made = *state;
    kf_categories *categories = NULL;
    kf_error error = {KF_OK, ""};
    execute(made, "INSERT INTO categories (name, text, updated) VALUES ('z', 'name: z', 0)");
    assert_int_equal(kf_categories_load(made->kmu.front.database, &categories, &error), KF_ERR_FIELD);
    assert_null(categories);
    assert_non_null(strstr(error.message, "profile"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(what_is_wrong_in_a_text_is_named),
        IN_WORLD(too_long_texts_and_too_many_prefixes_are_refused),
        IN_WORLD(the_longest_prefix_of_the_number_decides_then_of_the_iccid),
        IN_WORLD(of_two_with_one_prefix_the_first_by_name_is_taken_whatever_came_first),
        IN_WORLD(a_category_that_is_put_again_replaces_the_first),
        IN_WORLD(what_the_database_refuses_is_not_in_memory_either),
        IN_WORLD(a_text_in_the_table_that_cannot_be_read_is_told_at_start),
    };
    return cmocka_run_group_tests_name("kmu/categories", tests, NULL, NULL);
}
