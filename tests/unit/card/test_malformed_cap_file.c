/* CAP files cut, with a flipped bit, with components whose sizes lie, missing or twice; as archives and as
 * the components one behind another. */
#include "hex_bytes.h"

#include <stdlib.h>

#include <keyfill/cap_file.h>

#include "../../fuzz/fuzz.h"
#include "../../fuzz/stored_zip.h"

static const struct {
    const char *name;
    const char *digits;
} usual[] = {
    {"a/javacard/Header.cap", "010014DECAFFED010204000109A00000006203010C01FF"},
    {"a/javacard/Directory.cap", "02000192"},
    {"a/javacard/Import.cap", "04000100"},
    {"a/javacard/Applet.cap", "03000C0108A0000000620301AA0010"},
    {"a/javacard/Class.cap", "06000196"},
    {"a/javacard/Method.cap", "07000197"},
    {"a/javacard/StaticField.cap", "08000A00000000000000000000"},
    {"a/javacard/ConstantPool.cap", "05000195"},
    {"a/javacard/RefLocation.cap", "09000191"},
};
#define COMPONENTS (sizeof usual / sizeof usual[0])
#define APPLET 3

typedef struct components {
    kf_buffer contents[COMPONENTS];
} components;

static void components_clear(components *made)
{
    for (size_t i = 0; i < COMPONENTS; i++)
        kf_buffer_clear(&made->contents[i]);
}

static components usual_components(void)
{
    components made;
    for (size_t i = 0; i < COMPONENTS; i++)
        made.contents[i] = bytes_of(usual[i].digits);
    return made;
}

/* `left_out` or `doubled`: an index, COMPONENTS for none. */
static void make_archive(const components *made, size_t left_out, size_t doubled, kf_buffer *archive)
{
    stored_file files[COMPONENTS + 1];
    size_t count = 0;
    for (size_t i = 0; i < COMPONENTS; i++)
        if (i != left_out) files[count++] = (stored_file){usual[i].name, kf_buffer_view(&made->contents[i])};
    /* The same file in another folder. */
    if (doubled < COMPONENTS)
        files[count++] =
            (stored_file){strrchr(usual[doubled].name, '/') + 1, kf_buffer_view(&made->contents[doubled])};
    stored_zip(files, count, archive);
}

static void make_stream(const components *made, size_t left_out, size_t doubled, kf_buffer *stream)
{
    for (size_t i = 0; i < COMPONENTS; i++) {
        if (i != left_out) kf_buffer_append(stream, kf_buffer_view(&made->contents[i]));
        if (i == doubled) kf_buffer_append(stream, kf_buffer_view(&made->contents[i]));
    }
}

/* Refused with a sentence and nothing else, or taken with a name. */
static kf_code parse(kf_view bytes)
{
    kf_cap_file *cap_file = NULL;
    kf_error error = {KF_OK, ""};
    FUZZ_COPY(exact, bytes);
    kf_code code = kf_cap_file_parse(exact.view, &cap_file, &error);
    if (code != KF_OK) {
        assert_int_equal(code, KF_ERR_CAP_FILE);
        assert_int_equal(error.code, KF_ERR_CAP_FILE);
        assert_true(error.message[0] != '\0');
        assert_null(cap_file);
        return code;
    }
    assert_in_range(kf_cap_file_package_aid(cap_file).size, KF_AID_MIN, KF_AID_MAX);
    kf_cap_file_free(&cap_file);
    return KF_OK;
}

typedef void (*form_maker)(const components *, size_t, size_t, kf_buffer *);

/* Whether the library reads this form at all. */
static bool form_is_read(form_maker make)
{
    EMPTY(whole);
    KF_CLEANUP(components_clear) components made = usual_components();
    make(&made, COMPONENTS, COMPONENTS, &whole);
    return parse(kf_buffer_view(&whole)) == KF_OK;
}

static void cut_and_flip(form_maker make)
{
    EMPTY(whole);
    KF_CLEANUP(components_clear) components made = usual_components();
    make(&made, COMPONENTS, COMPONENTS, &whole);
    for (size_t size = 0; size < whole.size; size++)
        assert_int_equal(parse(kf_view_of(whole.data, size)), KF_ERR_CAP_FILE);
    for (size_t bit = 0; bit < 8 * whole.size; bit++) {
        whole.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)parse(kf_buffer_view(&whole));
        whole.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(parse(kf_buffer_view(&whole)), KF_OK);
}

static void archives_cut_and_flipped(void **state)
{
    (void)state;
    assert_true(form_is_read(make_archive));
    cut_and_flip(make_archive);
}

static void streams_cut_and_flipped(void **state)
{
    (void)state;
    assert_true(form_is_read(make_stream));
    cut_and_flip(make_stream);
}

static void lie_about_sizes(form_maker make, bool streams)
{
    static const uint16_t sizes[] = {0x0000, 0x00FF, 0x7FFF, 0x8000, 0xFFFF};
    for (size_t i = 0; i < COMPONENTS; i++)
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0] + 2; k++) {
            EMPTY(whole);
            KF_CLEANUP(components_clear) components made = usual_components();
            uint8_t *field = made.contents[i].data + 1;
            uint16_t is = (uint16_t)(field[0] << 8 | field[1]);
            uint16_t lie = k < 5 ? sizes[k] : (uint16_t)(is + (k == 5 ? 1 : -1));
            field[0] = (uint8_t)(lie >> 8);
            field[1] = (uint8_t)lie;
            make(&made, COMPONENTS, COMPONENTS, &whole);
            kf_code code = parse(kf_buffer_view(&whole));
            /* A stream cannot tell a shorter component from another one behind it, only that one's nonsense.
             */
            if (!streams) assert_int_equal(code, KF_ERR_CAP_FILE);
        }
}

static void sizes_that_lie(void **state)
{
    (void)state;
    lie_about_sizes(make_archive, false);
    lie_about_sizes(make_stream, true);
}

static void applets_that_lie(void **state)
{
    (void)state;
    static const char *const applets[] = {
        "030001FF",
        "0300010",
        "03000C0208A0000000620301AA0010",
        "03000C0110A0000000620301AA0010",
        "03000C0104A0000000620301AA0010",
        "03000B0108A0000000620301AA00",
    };
    static const char *const headers[] = {
        "010014DECAFFEE010204000109A00000006203010C01FF",
        "010014DECAFFED010204000104A00000006203010C01FF",
        "010014DECAFFED010204000111A00000006203010C01FF",
        "0100140000000000000000000000000000000000000000",
        "010007DECAFFED010204",
    };
    const struct {
        size_t component;
        const char *const *texts;
        size_t count;
    } rows[] = {{APPLET, applets, 6}, {0, headers, 5}};
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < rows[i].count; k++) {
            EMPTY(whole);
            EMPTY(changed);
            if (kf_hex_decode_append(rows[i].texts[k], &changed) != KF_OK) continue;
            KF_CLEANUP(components_clear) components made = usual_components();
            kf_buffer_truncate(&made.contents[rows[i].component], 0);
            kf_buffer_append(&made.contents[rows[i].component], kf_buffer_view(&changed));
            make_archive(&made, COMPONENTS, COMPONENTS, &whole);
            assert_int_equal(parse(kf_buffer_view(&whole)), KF_ERR_CAP_FILE);
        }
}

static void missing_and_doubled_components(void **state)
{
    (void)state;
    KF_CLEANUP(components_clear) components made = usual_components();
    const form_maker makers[] = {make_archive, make_stream};
    for (size_t form = 0; form < 2; form++)
        for (size_t i = 0; i < COMPONENTS; i++) {
            EMPTY(missing);
            EMPTY(doubled);
            makers[form](&made, i, COMPONENTS, &missing);
            /* A library has no applets. */
            assert_int_equal(parse(kf_buffer_view(&missing)), i == APPLET ? KF_OK : KF_ERR_CAP_FILE);
            makers[form](&made, COMPONENTS, i, &doubled);
            assert_int_equal(parse(kf_buffer_view(&doubled)), KF_ERR_CAP_FILE);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archives_cut_and_flipped),
        cmocka_unit_test(streams_cut_and_flipped),
        cmocka_unit_test(sizes_that_lie),
        cmocka_unit_test(applets_that_lie),
        cmocka_unit_test(missing_and_doubled_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
