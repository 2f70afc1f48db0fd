#include "hex_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zip.h>

#include <keyfill/cap_file.h>

#define HEADER "010014DECAFFED010204000109A00000006203010C01FF"
#define APPLET "03000C0108A0000000620301AA0010"

typedef struct part {
    const char *name;
    const char *digits;
} part;

static const part usual[] = {
    {"META-INF/MANIFEST.MF", "4D"},
    {"a/javacard/RefLocation.cap", "09000191"},
    {"a/javacard/Header.cap", HEADER},
    {"a/javacard/Directory.cap", "02000192"},
    {"a/javacard/Import.cap", "04000100"},
    {"a/javacard/Applet.cap", APPLET},
    {"a/javacard/Class.cap", "06000196"},
    {"a/javacard/Method.cap", "07000197"},
    {"a/javacard/StaticField.cap", "08000198"},
    {"a/javacard/ConstantPool.cap", "05000195"},
    {"a/javacard/Descriptor.cap", "0B00019B"},
};
#define USUAL_COUNT (sizeof(usual) / sizeof(usual[0]))

/* An archive of `parts`; a NULL name leaves a part out. `method`: compression. */
static kf_buffer archive_of(const part *parts, size_t count)
{
    char path[] = "/tmp/keyfill-cap-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_TRUNCATE, &code);
    assert_non_null(archive);
    kf_buffer *contents = calloc(count, sizeof(*contents));
    assert_non_null(contents);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].name == NULL) continue;
        contents[i] = bytes_of(parts[i].digits);
        zip_source_t *source = zip_source_buffer(archive, contents[i].data, contents[i].size, 0);
        assert_non_null(source);
        assert_true(zip_file_add(archive, parts[i].name, source, 0) >= 0);
    }
    assert_int_equal(zip_close(archive), 0);
    for (size_t i = 0; i < count; i++)
        kf_buffer_clear(&contents[i]);
    free(contents);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    kf_buffer bytes = KF_BUFFER_INIT;
    int byte;
    while ((byte = fgetc(file)) != EOF)
        kf_buffer_append_u8(&bytes, (uint8_t)byte);
    fclose(file);
    unlink(path);
    return bytes;
}

#define ARCHIVE(name, parts, count) KF_CLEANUP(kf_buffer_clear) kf_buffer name = archive_of(parts, count)

static void assert_refused(kf_view bytes, const char *because)
{
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap_file = NULL;
    kf_error error = {0};
    assert_int_equal(kf_cap_file_parse(bytes, &cap_file, &error), KF_ERR_CAP_FILE);
    assert_null(cap_file);
    if (strstr(kf_error_text(&error), because) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", kf_error_text(&error), because);
}

/* The usual parts with the one at `index` replaced. */
static void assert_refused_with(size_t index, part replacement, const char *because)
{
    part parts[USUAL_COUNT];
    memcpy(parts, usual, sizeof(parts));
    parts[index] = replacement;
    ARCHIVE(bytes, parts, USUAL_COUNT);
    assert_refused(kf_buffer_view(&bytes), because);
}

static void components_are_put_in_load_order(void **state)
{
    (void)state;
    ARCHIVE(bytes, usual, USUAL_COUNT);
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap_file = NULL;
    assert_int_equal(kf_cap_file_parse(kf_buffer_view(&bytes), &cap_file, NULL), KF_OK);
    assert_bytes(kf_cap_file_package_aid(cap_file), "A00000006203010C01");
    assert_int_equal(kf_cap_file_package_major(cap_file), 1);
    assert_int_equal(kf_cap_file_package_minor(cap_file), 0);
    assert_int_equal(kf_cap_file_format_version(cap_file), 0x0201);
    assert_int_equal(kf_cap_file_applet_count(cap_file), 1);
    assert_bytes(kf_cap_file_applet_aid(cap_file, 0), "A0000000620301AA");
    assert_int_equal(kf_cap_file_applet_aid(cap_file, 1).size, 0);
    assert_bytes(kf_cap_file_load_data(cap_file), HEADER "0200019204000100" APPLET "060001960700019708000198"
                                                         "0500019509000191");
}

static void what_is_no_archive_is_refused(void **state)
{
    (void)state;
    ARCHIVE(bytes, usual, USUAL_COUNT);
    assert_refused(kf_view_of(NULL, 0), "the file is empty");
    assert_refused(kf_view_of_text("this is a letter, not a zip archive"), "not a readable zip archive");
    for (size_t size = 1; size < bytes.size; size += 7)
        assert_refused(kf_view_of(bytes.data, size), "");
    EMPTY(large);
    kf_buffer_append_fill(&large, 0, KF_CAP_FILE_MAX + 1);
    assert_refused(kf_buffer_view(&large), "are the most");
}

static void a_damaged_component_is_noticed(void **state)
{
    (void)state;
    ARCHIVE(bytes, usual, USUAL_COUNT);
    BYTES(magic, "DECAFFED");
    size_t noticed = 0;
    for (size_t i = 0; i + 4 <= bytes.size; i++) {
        if (memcmp(bytes.data + i, magic.data, 4) != 0) continue;
        bytes.data[i + 6] ^= 0x04; /* a byte that nothing but the archive's own check sum covers */
        assert_refused(kf_buffer_view(&bytes), "Header.cap cannot be unpacked");
        bytes.data[i + 6] ^= 0x04;
        noticed++;
    }
    assert_int_equal(noticed, 1);
}

static void malformed_components_are_refused_by_name(void **state)
{
    (void)state;
    assert_refused_with(2, (part){NULL, NULL}, "Header.cap is missing");
    assert_refused_with(2, (part){"Header.cap", "010014DECAFFEE010204000109A00000006203010C01FF"},
                        "DECAFFEE");
    assert_refused_with(2, (part){"Header.cap", "02000401020304"}, "its tag is 2");
    assert_refused_with(2, (part){"Header.cap", "010004DECAFFED"}, "cut off");
    assert_refused_with(2, (part){"Header.cap", "01000EDECAFFED01020400010411223344"}, "AID");
    assert_refused_with(2, (part){"Header.cap", "0100"}, "no component");
    assert_refused_with(6, (part){"Class.cap", "06000296"}, "says that 2 bytes follow");
    assert_refused_with(0, (part){"b/javacard/Class.cap", "06000196"}, "twice");
    assert_refused_with(5, (part){"Applet.cap", "03000C0208A0000000620301AA0010"}, "2 applets");
    assert_refused_with(5, (part){"Applet.cap", "030001FF"}, "are the most");
}

static void archives_of_too_many_or_too_large_files_are_refused(void **state)
{
    (void)state;
    part *many = calloc(KF_CAP_ENTRIES_MAX + 1, sizeof(*many));
    char(*names)[32] = calloc(KF_CAP_ENTRIES_MAX + 1, sizeof(*names));
    assert_true(many != NULL && names != NULL);
    for (size_t i = 0; i <= KF_CAP_ENTRIES_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "file%zu", i);
        many[i] = (part){names[i], "00"};
    }
    ARCHIVE(bytes, many, KF_CAP_ENTRIES_MAX + 1);
    assert_refused(kf_buffer_view(&bytes), "257 files");
    free(many);
    free(names);

    /* Zeros shrink a thousandfold: the archive is small, the component is not. */
    size_t size = KF_CAP_COMPONENT_MAX + 1;
    char *zeros = malloc(2 * size + 1);
    assert_non_null(zeros);
    memset(zeros, '0', 2 * size);
    zeros[2 * size] = 0;
    assert_refused_with(7, (part){"Method.cap", zeros}, "are the most");
    free(zeros);
}

static void components_of_more_than_a_card_can_take_are_refused(void **state)
{
    (void)state;
    part parts[USUAL_COUNT];
    memcpy(parts, usual, sizeof(parts));
    static const size_t large[] = {1, 3, 4, 6, 7, 8, 9};
    char *texts[7];
    for (size_t i = 0; i < 7; i++) {
        size_t digits = 2 * KF_CAP_COMPONENT_MAX;
        texts[i] = malloc(digits + 1);
        assert_non_null(texts[i]);
        memset(texts[i], '0', digits);
        memcpy(texts[i], usual[large[i]].digits, 2);
        memcpy(texts[i] + 2, "FFFF", 4);
        texts[i][digits] = 0;
        /* 65538 bytes: tag, size, 65535 of content */
        parts[large[i]].digits = texts[i];
    }
    ARCHIVE(bytes, parts, USUAL_COUNT);
    assert_refused(kf_buffer_view(&bytes), "together");
    for (size_t i = 0; i < 7; i++)
        free(texts[i]);
}

#define STREAM                                                                                               \
    HEADER "02000192"                                                                                        \
           "04001502030107A0000000620101000107A0000000620001" APPLET "060001960700029798"                    \
           "080004000A0000"                                                                                  \
           "0500019509000191"

static void a_component_stream_is_read_like_an_archive(void **state)
{
    (void)state;
    BYTES(bytes, STREAM "0B00019B"
                        "0C00029C9C");
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap_file = NULL;
    assert_int_equal(kf_cap_file_parse(kf_buffer_view(&bytes), &cap_file, NULL), KF_OK);
    assert_bytes(kf_cap_file_package_aid(cap_file), "A00000006203010C01");
    assert_bytes(kf_cap_file_load_data(cap_file), STREAM);
    assert_int_equal(kf_cap_file_import_count(cap_file), 2);
    const kf_cap_import *import = kf_cap_file_import(cap_file, 0);
    assert_int_equal(import->major, 1);
    assert_int_equal(import->minor, 3);
    assert_bytes(kf_aid_view(&import->package_aid), "A0000000620101");
    assert_null(kf_cap_file_import(cap_file, 2));
    kf_cap_sizes sizes = kf_cap_file_sizes(cap_file);
    assert_int_equal(sizes.load_data, kf_cap_file_load_data(cap_file).size);
    assert_int_equal(sizes.code, 2);
    assert_int_equal(sizes.static_fields, 10);
    assert_int_equal(sizes.on_card, 15 + 4 + 5 + 4 + 10);
    /* A cut between two components leaves one of those that are needed out. */
    for (size_t size = 1; size < strlen(STREAM) / 2; size++)
        assert_refused(kf_view_of(bytes.data, size), "");
    BYTES(twice, STREAM "02000192");
    assert_refused(kf_buffer_view(&twice), "twice");
}

static void imports_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    assert_refused_with(4, (part){"a/Import.cap", "04000194"}, "are the most");
    assert_refused_with(4, (part){"a/Import.cap", "04000101"}, "Import.cap: its length");
    assert_refused_with(4, (part){"a/Import.cap", "0400020000"}, "Import.cap: its length");
    assert_refused_with(4, (part){"a/Import.cap", "040008010001040102030405"}, "Import.cap");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components_are_put_in_load_order),
        cmocka_unit_test(what_is_no_archive_is_refused),
        cmocka_unit_test(a_damaged_component_is_noticed),
        cmocka_unit_test(malformed_components_are_refused_by_name),
        cmocka_unit_test(archives_of_too_many_or_too_large_files_are_refused),
        cmocka_unit_test(components_of_more_than_a_card_can_take_are_refused),
        cmocka_unit_test(a_component_stream_is_read_like_an_archive),
        cmocka_unit_test(imports_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
