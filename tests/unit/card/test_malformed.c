/* Every parser of this folder meets every truncation and every flipped bit of every published value, whatever
 * it was published for, in memory of exactly its size; and values made to lie. A parser takes it or refuses
 * it, and what it refuses leaves its output as it was (fuzz_feed). The parsers are those of the fuzz target
 * card_answer. */
#include "hex_bytes.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <keyfill/card_data.h>
#include <keyfill/sim.h>
#include <keyfill/tlv.h>

#include "../../fuzz/card_parsers.h"
#include "card/script.h"

#define VALUE_MAX 300 /* bytes of a published value; longer ones repeat what shorter ones hold */
#define DEEP 1000
#define PARSERS_MAX 64

static const char *vectors;

static unsigned long taken[PARSERS_MAX];

static void feed(kf_view data)
{
    for (size_t i = 0; i < card_parser_count; i++)
        if (fuzz_feed(card_parsers[i].parse, card_parsers[i].output_size, data) == KF_OK) taken[i]++;
}

/* Sessions say the same thing many times over: once is enough. */
static bool is_new(kf_view value)
{
    static kf_buffer seen;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&seen));
    while (!kf_cursor_at_end(&cursor)) {
        uint16_t size;
        kf_view other;
        assert_int_equal(kf_cursor_u16(&cursor, &size), KF_OK);
        assert_int_equal(kf_cursor_take(&cursor, size, &other), KF_OK);
        if (kf_view_equal(other, value)) return false;
    }
    kf_buffer_append_u16(&seen, (uint16_t)value.size);
    kf_buffer_append(&seen, value);
    return true;
}

typedef struct rewriting {
    size_t number;
    unsigned times;
    size_t seen; /* objects so far */
} rewriting;

/* Appends the series of objects in `data`, in which object `number` (counted from 0 through the whole tree,
 * as it is read) stands `times` times; lengths are those of what was written. */
static bool rewrite(kf_view data, rewriting *change, unsigned depth, kf_buffer *written)
{
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv object;
    while (!kf_cursor_at_end(&cursor)) {
        EMPTY(inner);
        if (kf_tlv_read(&cursor, &object) != KF_OK) return false;
        unsigned times = change->seen++ == change->number ? change->times : 1;
        if (!kf_tlv_is_constructed(object.tag) || depth == 0 ||
            !rewrite(object.value, change, depth - 1, &inner)) {
            kf_buffer_truncate(&inner, 0);
            kf_buffer_append(&inner, object.value);
        }
        for (unsigned i = 0; i < times; i++)
            kf_tlv_append(written, object.tag, kf_buffer_view(&inner));
    }
    return true;
}

/* Every object of a value missing, and every one doubled. */
static void feed_missing_and_doubled(kf_view value)
{
    for (size_t number = 0;; number++) {
        rewriting missing = {.number = number, .times = 0};
        rewriting doubled = {.number = number, .times = 2};
        EMPTY(less);
        EMPTY(more);
        if (!rewrite(value, &missing, KF_TLV_DEPTH_MAX, &less) || missing.seen <= number) return;
        assert_true(rewrite(value, &doubled, KF_TLV_DEPTH_MAX, &more));
        feed(kf_buffer_view(&less));
        feed(kf_buffer_view(&more));
    }
}

static void feed_variants(kf_buffer *value)
{
    for (size_t size = 0; size <= value->size; size++)
        feed(kf_view_of(value->data, size));
    for (size_t bit = 0; bit < 8 * value->size; bit++) {
        value->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        feed(kf_buffer_view(value));
        value->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    feed_missing_and_doubled(kf_buffer_view(value));
}

static size_t feed_json(const json_t *value)
{
    size_t count = 0, index;
    const char *member;
    json_t *inner;
    if (json_is_string(value)) {
        EMPTY(bytes);
        const char *text = json_string_value(value);
        if (strlen(text) > 2 * VALUE_MAX || kf_hex_decode_append(text, &bytes) != KF_OK || bytes.size < 2)
            return 0;
        if (!is_new(kf_buffer_view(&bytes))) return 0;
        feed_variants(&bytes);
        return 1;
    }
    if (json_is_array(value)) json_array_foreach(value, index, inner) count += feed_json(inner);
    if (json_is_object(value))
        json_object_foreach((json_t *)(uintptr_t)value, member, inner) count += feed_json(inner);
    return count;
}

/* The families whose values a card says, or a host says to one. */
static const char *const families[] = {"apdu_parse",
                                       "atr",
                                       "ber_tlv",
                                       "card_capability",
                                       "card_recognition_data",
                                       "cplc",
                                       "ef_acc",
                                       "ef_iccid",
                                       "ef_imsi",
                                       "ef_msisdn",
                                       "ef_spn",
                                       "get_status",
                                       "key_information_template",
                                       "plmn",
                                       "put_key",
                                       "scp02",
                                       "scp03",
                                       "scp80"};

static void published_values_cut_and_flipped(void **state)
{
    (void)state;
    if (vectors == NULL) skip();
    size_t count = 0;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        EMPTY(path);
        kf_buffer_format(&path, "%s/%s.json", vectors, families[i]);
        json_t *entries = json_load_file(kf_buffer_text(&path), 0, NULL);
        if (entries == NULL) continue;
        size_t found = 0, index;
        json_t *entry;
        json_array_foreach(entries, index, entry) found += feed_json(entry);
        json_decref(entries);
        count += found;
    }
    assert_true(count > 100);
}

static void feed_scripts(void)
{
    EMPTY(encoded);
    kf_script script = {0};
    kf_script_answers answers = {0};
    const uint8_t command[] = {0x00, 0xA4, 0x04, 0x00, 0x00};
    for (size_t i = 0; i < 3; i++) {
        kf_script_entry *entry = kf_script_append(&script, "SELECT", KF_VIEW(command));
        assert_non_null(entry);
        entry->secret = i == 1;
        assert_int_equal(kf_script_accept_also(entry, 0x6A82, 0xFFFF, KF_SCRIPT_END), KF_OK);
        assert_int_equal(kf_script_answers_append(&answers, (uint16_t)i, KF_VIEW("\x6F\x90")), KF_OK);
    }
    kf_script_encode(&script, &encoded);
    feed_variants(&encoded);
    kf_buffer_truncate(&encoded, 0);
    kf_script_answers_encode(&answers, &encoded);
    feed_variants(&encoded);
    kf_script_clear(&script);
    kf_script_answers_clear(&answers);
}

static void own_values_cut_and_flipped(void **state)
{
    (void)state;
    static const char *const values[] = {
        "62398202782183027FF0840CA0000000871002FF86FF03898A01058B032F0601A50C80017183040001BC6887010CC6099001"
        "40830101"
        "83010A",
        "62168205422100220283026F408A01058002004488008B00",
        "08112233445566778802000706420102030405",
        "61094F07A000000151535061094F07A0000001515350",
        "2F000B61094F07A0000001515350",
        "07A00000015153500F9E0208A00000015100000007A0000001515350",
        "AB0D80010223046F21900023026A82",
        "AF802302900023029000230C9888120100004086081490000000",
        "027100000E0AB0001100000000000000016132",
        "000E0AB0001100000000000000016132",
        "00150D00193535B0000000000000000000A40000023F00",
        "804E2D56FDFFFF",
        "81051341D3A5A92E",
        "820505302D82D32D31",
        "80"
        "7300400180"
        "5F0481900082",
        "00B930B71080018881011083010196010197020000B9088201018403504A77",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        BYTES(value, values[i]);
        feed_variants(&value);
    }
    feed_scripts();
}

/* No key of ours made what a channel's answer claims; all else stands in some value. */
static void every_parser_took_something(void **state)
{
    (void)state;
    if (vectors == NULL) skip();
    for (size_t i = 0; i < card_parser_count; i++)
        if (taken[i] == 0 && strcmp(card_parsers[i].name, "channel") != 0)
            fail_msg("%s takes none of the values", card_parsers[i].name);
}

static void lengths_that_lie(void **state)
{
    (void)state;
    static const uint8_t tags[] = {0x61, 0x62, 0x66, 0x67, 0x73, 0xE0, 0xE3, 0xAB, 0xC0, 0x4F};
    static const char *const lengths[] = {"7F",       "80",         "81FF",         "82FFFF",
                                          "83FFFFFF", "84FFFFFFFF", "85FFFFFFFFFF", "88FFFFFFFFFFFFFFFF",
                                          "FF",       "8400000000", "8400000001"};
    for (size_t i = 0; i < sizeof(tags); i++)
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            EMPTY(value);
            kf_buffer_append_u8(&value, tags[i]);
            assert_int_equal(kf_hex_decode_append(lengths[k], &value), KF_OK);
            kf_buffer_append_bytes(&value, "\x4F\x05\x01\x02\x03\x04\x05", 7);
            feed(kf_buffer_view(&value));
            kf_tlv tlv;
            kf_cursor cursor = kf_cursor_of(kf_buffer_view(&value));
            /* Only the two of four bytes are true. */
            assert_int_equal(kf_tlv_read(&cursor, &tlv), k < 9 ? KF_ERR_TLV : KF_OK);
        }
}

static void a_thousand_levels_of_nesting(void **state)
{
    (void)state;
    static const uint8_t tags[] = {0x61, 0x62, 0x66, 0x67, 0x73, 0xE0, 0xE3, 0xAB};
    for (size_t i = 0; i < sizeof(tags); i++) {
        EMPTY(value);
        for (size_t depth = 0; depth < DEEP; depth++) {
            EMPTY(outer);
            kf_tlv_append(&outer, tags[i], kf_buffer_view(&value));
            kf_buffer_truncate(&value, 0);
            kf_buffer_append(&value, kf_buffer_view(&outer));
        }
        feed(kf_buffer_view(&value));
        assert_int_equal(kf_tlv_check(kf_buffer_view(&value)), KF_ERR_TLV);
        EMPTY(open);
        kf_buffer_append_fill(&open, tags[i], DEEP);
        feed(kf_buffer_view(&open));
    }
}

static void missing_and_doubled_objects(void **state)
{
    (void)state;
    kf_gp_status_entry entry;
    BYTES(nameless, "E3039F7001"
                    "07");
    nameless.data[1] = 4;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&nameless));
    assert_int_equal(kf_gp_status_next(&cursor, &entry), KF_ERR_CARD_DATA);
    kf_sim_file file;
    BYTES(no_descriptor, "620483026F07");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&no_descriptor), &file), KF_ERR_CARD_DATA);
    kf_card_recognition recognition;
    BYTES(no_list, "66020600");
    assert_int_equal(kf_card_recognition_parse(kf_buffer_view(&no_list), &recognition), KF_ERR_CARD_DATA);
    BYTES(doubled, "620C8202412183026F0783026F08");
    assert_int_equal(kf_sim_file_parse(kf_buffer_view(&doubled), &file), KF_ERR_CARD_DATA);
    BYTES(doubled_name, "E3124F07A00000015153504F07A0000001515351");
    cursor = kf_cursor_of(kf_buffer_view(&doubled_name));
    assert_int_equal(kf_gp_status_next(&cursor, &entry), KF_ERR_CARD_DATA);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 1) vectors = arguments[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values_cut_and_flipped), cmocka_unit_test(own_values_cut_and_flipped),
        cmocka_unit_test(every_parser_took_something),      cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(a_thousand_levels_of_nesting),     cmocka_unit_test(missing_and_doubled_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
