/* Key blocks and diversification lines, cut, with every bit flipped in turn, with lengths and numbers that
 * lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <keyfill/diversify.h>
#include <keyfill/hex.h>
#include <keyfill/key_block.h>

#include "../../fuzz/fuzz.h"

static const char *vectors;

static kf_code unwrap(const kf_secret *protection_key, kf_view text, kf_secret **ret_key)
{
    kf_key_block_header header, untouched;
    kf_error error = {KF_OK, ""};
    memset(&header, 0xA5, sizeof header);
    memset(&untouched, 0xA5, sizeof untouched);
    FUZZ_COPY(exact, text);
    kf_code code = kf_key_block_unwrap(protection_key, exact.view, &header, ret_key, &error);
    if (code == KF_OK) {
        kf_key_block_header_clear(&header);
        return code;
    }
    assert_true(code == KF_ERR_KEY_BLOCK || code == KF_ERR_AUTHENTICATION || code == KF_ERR_KEY_SIZE ||
                code == KF_ERR_TOO_LONG || code == KF_ERR_UNSUPPORTED);
    assert_int_equal(error.code, code);
    assert_true(error.message[0] != '\0');
    assert_memory_equal(&header, &untouched, sizeof header);
    assert_null(*ret_key);
    return code;
}

static void want_refused(const kf_secret *protection_key, kf_view text)
{
    kf_secret *key = NULL;
    assert_int_not_equal(unwrap(protection_key, text, &key), KF_OK);
}

/* Every other length, number of blocks and size of a block in place of the true one. */
static void lie(const kf_secret *protection_key, kf_buffer *text)
{
    static const struct {
        size_t place;
        size_t digits;
        unsigned most;
        bool hexadecimal;
    } fields[] = {{1, 4, 9999, false}, {12, 2, 99, false}, {18, 2, 255, true}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        char kept[5] = "";
        if (fields[i].place + fields[i].digits > text->size) continue;
        memcpy(kept, text->data + fields[i].place, fields[i].digits);
        for (unsigned value = 0; value <= fields[i].most; value++) {
            char lie_text[16];
            (void)snprintf(lie_text, sizeof lie_text, fields[i].hexadecimal ? "%0*X" : "%0*u",
                           (int)fields[i].digits, value);
            if (strcmp(lie_text, kept) == 0) continue;
            memcpy(text->data + fields[i].place, lie_text, fields[i].digits);
            want_refused(protection_key, kf_buffer_view(text));
        }
        memcpy(text->data + fields[i].place, kept, fields[i].digits);
    }
}

static void spoil(const kf_secret *protection_key, kf_buffer *text)
{
    for (size_t size = 0; size < text->size; size++)
        want_refused(protection_key, kf_view_of(text->data, size));
    for (size_t bit = 0; bit < 8 * text->size; bit++) {
        text->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        want_refused(protection_key, kf_buffer_view(text));
        text->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    lie(protection_key, text);
    kf_buffer_append_text(text, "00");
    want_refused(protection_key, kf_buffer_view(text));
}

static void published_key_blocks_are_not_mistaken(void **state)
{
    (void)state;
    if (vectors == NULL) skip();
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/tr31.json", vectors);
    json_t *entries = json_load_file(path, 0, NULL);
    size_t index, count = 0;
    json_t *entry;
    json_array_foreach(entries, index, entry)
    {
        const char *block = json_string_value(json_object_get(entry, "key_block"));
        const char *digits = json_string_value(json_object_get(entry, "kbpk"));
        KF_CLEANUP(kf_secret_free) kf_secret *protection_key = NULL;
        KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
        FUZZ_BUFFER(text);
        if (block == NULL || digits == NULL) continue;
        assert_int_equal(kf_hex_decode_secret(digits, &protection_key), KF_OK);
        kf_buffer_append_text(&text, block);
        if (unwrap(protection_key, kf_buffer_view(&text), &key) != KF_OK) continue;
        spoil(protection_key, &text);
        count++;
    }
    json_decref(entries);
    assert_true(count > 5);
}

static void own_key_blocks_of_every_version_are_not_mistaken(void **state)
{
    (void)state;
    static const struct {
        char version;
        size_t size;
    } kinds[] = {{'B', 16}, {'B', 24}, {'C', 16}, {'D', 16}, {'D', 32}, {'E', 24}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        KF_CLEANUP(kf_key_block_header_clear)
        kf_key_block_header header = {.version = kinds[i].version,
                                      .usage = "E0",
                                      .algorithm = 'A',
                                      .mode = 'X',
                                      .key_version = "01",
                                      .exportability = 'E',
                                      .reserved = "00"};
        FUZZ_BUFFER(text);
        const kf_secret *protection_key = fuzz_key(1, kinds[i].size);
        assert_int_equal(kf_key_block_add_optional(&header, "KC", "00112233"), KF_OK);
        assert_int_equal(kf_key_block_add_optional(&header, "10", "cn-north"), KF_OK);
        kf_code code = kf_key_block_wrap(protection_key, &header, fuzz_key(9, 16), 0, &text, NULL);
        assert_int_equal(code, KF_OK);
        spoil(protection_key, &text);
    }
}

/* -- diversification lines -- */

static const char *const lines[] = {
    "none()",
    "sp800-108-aes(role,number/bcd/10/right-F,generation/binary/2)",
    "sp800-108-sm4(role,kdd/hex)",
    "an10922-aes128(kdd/hex,'0102')",
    "an10922-2tdea(kdd/hex/10)",
    "emv-option-a(pan/bcd/left-0,psn/bcd/1/left-0)",
    "pboc-sm4(iccid/ascii/8/last)",
    "visa2(kdd/hex/10,role)",
    "sp800-108-aes(iccid/ascii/20/right-00) > sp800-108-aes(role,number/bcd/10/right-F)",
};

static kf_code read_line(kf_view line)
{
    kf_diversification *diversification = NULL;
    kf_error error = {KF_OK, ""};
    FUZZ_TEXT(text, line);
    kf_code code = kf_diversification_parse((const char *)text.bytes, &diversification, &error);
    if (code == KF_OK) {
        assert_non_null(diversification);
        kf_diversification_free(&diversification);
        return code;
    }
    assert_int_equal(code, KF_ERR_DIVERSIFICATION);
    assert_int_equal(error.code, code);
    assert_true(error.message[0] != '\0');
    assert_null(diversification);
    return code;
}

static void lines_cut_and_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        FUZZ_BUFFER(line);
        kf_buffer_append_text(&line, lines[i]);
        assert_int_equal(read_line(kf_buffer_view(&line)), KF_OK);
        for (size_t size = 0; size < line.size; size++) {
            kf_code code = read_line(kf_view_of(line.data, size));
            /* A level of a chain stands alone, too. */
            if (strchr(lines[i], '>') == NULL) assert_int_equal(code, KF_ERR_DIVERSIFICATION);
        }
        for (size_t bit = 0; bit < 8 * line.size; bit++) {
            line.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            (void)read_line(kf_buffer_view(&line));
            line.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void lines_a_thousand_times_too_long(void **state)
{
    (void)state;
    static const char *const parts[] = {"none(", "(",   ")", " > ", "a,", "'", "sp800-108-aes(role) > ",
                                        "/",     "/bcd"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        FUZZ_BUFFER(line);
        kf_buffer_append_text(&line, "sp800-108-aes(role,");
        for (unsigned k = 0; k < 1000; k++)
            kf_buffer_append_text(&line, parts[i]);
        assert_int_equal(read_line(kf_buffer_view(&line)), KF_ERR_DIVERSIFICATION);
        assert_int_equal(read_line(kf_view_part(kf_buffer_view(&line), 19, 400)), KF_ERR_DIVERSIFICATION);
    }
    assert_int_equal(read_line(kf_view_of_text("sp800-108-aes(role,role)")), KF_OK);
    assert_int_equal(read_line(kf_view_of_text("sp800-108-aes(number/bcd/10/10)")), KF_ERR_DIVERSIFICATION);
    assert_int_equal(read_line(kf_view_of_text("sp800-108-aes()")), KF_ERR_DIVERSIFICATION);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1) vectors = arguments[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_key_blocks_are_not_mistaken),
        cmocka_unit_test(own_key_blocks_of_every_version_are_not_mistaken),
        cmocka_unit_test(lines_cut_and_flipped),
        cmocka_unit_test(lines_a_thousand_times_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
