#include "test_module.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zip.h>

#include <cmocka.h>

#include <keyfill/hex.h>

typedef struct part {
    const char *name;
    const char *digits;
} part;

/* Java Card VM Specification 6: a package of one applet, its parts as small as they may be. */
static const part parts[] = {
    {"a/javacard/Header.cap", "010014DECAFFED010204000109" TEST_MODULE_PACKAGE "FF"},
    {"a/javacard/Directory.cap", "02000192"},
    {"a/javacard/Import.cap", "04000100"},
    {"a/javacard/Applet.cap", "03000C0108" TEST_MODULE_APPLET "0010"},
    {"a/javacard/Class.cap", "06000196"},
    {"a/javacard/StaticField.cap", "08000198"},
    {"a/javacard/ConstantPool.cap", "05000195"},
    {"a/javacard/RefLocation.cap", "09000191"},
};
#define PART_COUNT (sizeof parts / sizeof parts[0])
#define METHOD_SIZE 600 /* so that there are several LOAD commands */

static void append_method(kf_buffer *content)
{
    kf_buffer_append_u8(content, 0x07);
    kf_buffer_append_u16(content, METHOD_SIZE);
    kf_buffer_append_fill(content, 0x97, METHOD_SIZE);
}

static void add_part(zip_t *archive, const char *name, const kf_buffer *content)
{
    zip_source_t *source = zip_source_buffer(archive, content->data, content->size, 0);
    assert_non_null(source);
    assert_true(zip_file_add(archive, name, source, 0) >= 0);
}

void test_module_bytes(const char *package, kf_buffer *bytes)
{
    char path[] = "/tmp/keyfill-module-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_TRUNCATE, &code);
    assert_non_null(archive);
    kf_buffer contents[PART_COUNT + 1];
    for (size_t i = 0; i < PART_COUNT; i++) {
        contents[i] = KF_BUFFER_INIT;
        assert_int_equal(kf_hex_decode_append(parts[i].digits, &contents[i]), KF_OK);
        if (i == 0) assert_int_equal(kf_hex_decode(package, contents[i].data + 13, 9), KF_OK);
        add_part(archive, parts[i].name, &contents[i]);
    }
    contents[PART_COUNT] = KF_BUFFER_INIT;
    append_method(&contents[PART_COUNT]);
    add_part(archive, "a/javacard/Method.cap", &contents[PART_COUNT]);
    assert_int_equal(zip_close(archive), 0);
    for (size_t i = 0; i <= PART_COUNT; i++)
        kf_buffer_clear(&contents[i]);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    int byte;
    while ((byte = fgetc(file)) != EOF)
        kf_buffer_append_u8(bytes, (uint8_t)byte);
    (void)fclose(file);
    (void)unlink(path);
    assert_int_equal(kf_buffer_status(bytes), KF_OK);
}
