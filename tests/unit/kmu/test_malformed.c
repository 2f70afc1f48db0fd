/* JSON bodies and YAML texts cut, with every bit flipped in turn, nested a thousand deep, with members twice
 * or missing: refused with a sentence, or read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../../fuzz/fuzz.h"
#include "kmu/categories.h"
#include "kmu/request_form.h"
#include "vault/key_act_form.h"
#include "vault/profile.h"
#include "wire/json.h"
#include "wire/request_json.h"
#include "wire/script_json.h"

#define DEEP 1000

static const char *const bodies[] = {
    "{\"id\":\"0123456789abcdef0123456789abcdef\",\"operation\":\"fill\",\"number\":\"8613800000001\","
    "\"write_number\":true,\"category\":\"cn-north\",\"terminal\":\"till-1\",\"personalise\":\"always\","
    "\"personalisation\":{\"plan\":\"5G\"},\"card\":{\"atr\":\"3B00\",\"iccid\":\"8986\",\"imsi\":\"460\","
    "\"diversification_data\":\"CF0A00112233445566778899\"}}",
    "{\"step\":1,\"attempt\":1,\"token\":\"AAAA\",\"answers\":[{\"entry\":0,\"response\":\"6F009000\"},"
    "{\"entry\":1,\"response\":\"9000\"}],\"stopped\":\"card-removed\"}",
    "{\"script\":[{\"command\":\"00A4040000\",\"label\":\"SELECT\",\"accept\":[{\"sw\":\"9000\"},{\"sw\":"
    "\"6A82\",\"goto\":1},{\"sw\":\"6100\",\"mask\":\"FF00\",\"goto\":\"end\"}]},{\"command\":\"00200001\","
    "\"label\":\"V\",\"secret\":true,\"accept\":[{\"sw\":\"9000\"}]}]}",
    "{\"act\":\"generate\",\"purpose\":\"payment\",\"category\":\"a\",\"algorithm\":\"aes\",\"size\":16,"
    "\"valid_until\":1800000000,\"policy\":{\"diversification\":\"none()\",\"least_level\":51}}",
};
#define BODIES (sizeof bodies / sizeof bodies[0])

static void want_told(kf_code code, const kf_error *error)
{
    if (code == KF_OK) return;
    assert_true(code > 0);
    assert_int_equal(error->code, code);
    assert_true(error->message[0] != '\0');
}

static unsigned long taken[4];

static void read_forms(const json_t *json)
{
    static kf_request_form form;
    static kf_key_act_request act;
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    KF_CLEANUP(kf_script_answers_clear) kf_script_answers answers = {0};
    FUZZ_BUFFER(sealed);
    kf_error errors[4] = {{KF_OK, ""}, {KF_OK, ""}, {KF_OK, ""}, {KF_OK, ""}};
    const kf_code codes[4] = {kf_request_form_read(json, &form, &errors[0]),
                              kf_script_answers_from_json(json, &answers, &errors[1]),
                              kf_script_from_json(json, &script, &errors[2]),
                              kf_key_act_form_read(json, &sealed, &act, &errors[3])};
    for (size_t i = 0; i < 4; i++) {
        want_told(codes[i], &errors[i]);
        if (codes[i] == KF_OK) taken[i]++;
    }
}

/* Whether it is JSON. */
static bool read_body(kf_view text)
{
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    kf_error error = {KF_OK, ""};
    FUZZ_COPY(exact, text);
    kf_code code = kf_json_parse(exact.view, &json, &error);
    want_told(code, &error);
    if (code != KF_OK) {
        assert_null(json);
        return false;
    }
    read_forms(json);
    return true;
}

static void bodies_cut_and_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < BODIES; i++) {
        FUZZ_BUFFER(text);
        kf_buffer_append_text(&text, bodies[i]);
        for (size_t size = 0; size < text.size; size++)
            assert_false(read_body(kf_view_of(text.data, size)));
        for (size_t bit = 0; bit < 8 * text.size; bit++) {
            text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            (void)read_body(kf_buffer_view(&text));
            text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_true(read_body(kf_buffer_view(&text)));
    }
    for (size_t i = 0; i < 4; i++)
        assert_true(taken[i] > 0);
}

static void bodies_a_thousand_deep(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"[", "]"}, {"{\"card\":", "}"}, {"{\"a\":[", "]}"}};
    for (size_t i = 0; i < 3; i++) {
        FUZZ_BUFFER(text);
        kf_buffer_append_text(&text, "{\"script\":");
        for (unsigned k = 0; k < DEEP; k++)
            kf_buffer_append_text(&text, pairs[i][0]);
        (void)read_body(kf_buffer_view(&text));
        kf_buffer_append_text(&text, "1");
        for (unsigned k = 0; k < DEEP; k++)
            kf_buffer_append_text(&text, pairs[i][1]);
        kf_buffer_append_text(&text, "}");
        (void)read_body(kf_buffer_view(&text));
    }
}

/* Each member of each body left out, and said twice. */
static void members_missing_and_doubled(void **state)
{
    (void)state;
    for (size_t i = 0; i < BODIES; i++) {
        KF_CLEANUP(kf_json_free) json_t *whole = NULL;
        assert_int_equal(kf_json_parse(kf_view_of_text(bodies[i]), &whole, NULL), KF_OK);
        const char *member;
        json_t *value;
        json_object_foreach(whole, member, value)
        {
            KF_CLEANUP(kf_json_free) json_t *less = json_copy(whole);
            FUZZ_BUFFER(doubled);
            assert_int_equal(json_object_del(less, member), 0);
            read_forms(less);
            kf_buffer_format(&doubled, "{\"%s\":null,%s", member, bodies[i] + 1);
            assert_false(read_body(kf_buffer_view(&doubled)));
        }
    }
}

/* -- YAML -- */

static const char profile_text[] =
    "name: test\nissuer_domain: A000000151000000\nsecurity_level: 0x33\norder: key-first\n"
    "domain:\n  aid: A00000015153504B4601\n  privileges: \"80\"\n  parameters: \"81020370\"\n"
    "  key_version: 0x30\n  key_injection: put-key\n"
    "  modules: [{load_file: A0000001515350, module: A000000151535041}]\n"
    "personalisation: [{field: plan, place: domain-tag, tag: 0x5F50}]\n";
static const char category_text[] =
    "name: north\nprofile: test\nnumber: {prefixes: [\"86138\"], length_max: 15}\n"
    "iccid: {hexadecimal: true}\n";

static kf_code read_profile(kf_view text)
{
    kf_profile profile;
    kf_error error = {KF_OK, ""};
    FUZZ_COPY(exact, text);
    kf_code code = kf_profile_parse(exact.view, &profile, &error);
    want_told(code, &error);
    return code;
}

static kf_code read_category(kf_view text)
{
    kf_category category;
    kf_error error = {KF_OK, ""};
    FUZZ_COPY(exact, text);
    kf_code code = kf_category_read("north", exact.view, &category, &error);
    want_told(code, &error);
    return code;
}

static void spoil_text(const char *whole, kf_code (*read)(kf_view))
{
    FUZZ_BUFFER(text);
    kf_buffer_append_text(&text, whole);
    assert_int_equal(read(kf_buffer_view(&text)), KF_OK);
    for (size_t size = 0; size < text.size; size++)
        (void)read(kf_view_of(text.data, size));
    for (size_t bit = 0; bit < 8 * text.size; bit++) {
        text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)read(kf_buffer_view(&text));
        text.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    /* Every line left out, and every line twice. */
    for (const char *line = whole; *line != '\0';) {
        size_t size = strcspn(line, "\n") + 1;
        FUZZ_BUFFER(less);
        FUZZ_BUFFER(more);
        kf_buffer_append_bytes(&less, whole, (size_t)(line - whole));
        kf_buffer_append_bytes(&more, whole, (size_t)(line - whole) + size);
        kf_buffer_append_bytes(&more, line, size);
        line += size;
        kf_buffer_append_text(&less, line);
        kf_buffer_append_text(&more, line);
        (void)read(kf_buffer_view(&less));
        assert_int_not_equal(read(kf_buffer_view(&more)), KF_OK);
    }
}

static void texts_cut_flipped_and_doubled(void **state)
{
    (void)state;
    spoil_text(profile_text, read_profile);
    spoil_text(category_text, read_category);
}

static void texts_a_thousand_deep(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"[", "]"}, {"{a: ", "}"}, {"- ", ""}, {"? ", ""}};
    for (size_t i = 0; i < 4; i++) {
        FUZZ_BUFFER(text);
        kf_buffer_append_text(&text, "name: ");
        for (unsigned k = 0; k < DEEP; k++)
            kf_buffer_append_text(&text, pairs[i][0]);
        assert_int_not_equal(read_category(kf_buffer_view(&text)), KF_OK);
        for (unsigned k = 0; k < DEEP; k++)
            kf_buffer_append_text(&text, pairs[i][1]);
        assert_int_not_equal(read_category(kf_buffer_view(&text)), KF_OK);
        assert_int_not_equal(read_profile(kf_buffer_view(&text)), KF_OK);
        assert_int_not_equal(read_profile(kf_view_part(kf_buffer_view(&text), 6, text.size)), KF_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_cut_and_flipped),      cmocka_unit_test(bodies_a_thousand_deep),
        cmocka_unit_test(members_missing_and_doubled), cmocka_unit_test(texts_cut_flipped_and_doubled),
        cmocka_unit_test(texts_a_thousand_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
