#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

typedef struct folder {
    char path[64];
    char file[128];
} folder;

static int make_folder(void **state)
{
    folder *made = calloc(1, sizeof *made);
    if (made == NULL) return -1;
    strcpy(made->path, "/tmp/keyfill-test-XXXXXX");
    if (mkdtemp(made->path) == NULL) return -1;
    snprintf(made->file, sizeof made->file, "%s/file", made->path);
    *state = made;
    return 0;
}

static int remove_folder(void **state)
{
    folder *made = *state;
    unlink(made->file);
    int result = rmdir(made->path); /* fails where a test left something */
    free(made);
    return result;
}

static unsigned files_in(const char *path)
{
    DIR *listing = opendir(path);
    unsigned count = 0;
    assert_non_null(listing);
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
        if (entry->d_name[0] != '.') count++;
    closedir(listing);
    return count;
}

static void what_is_written_is_read(void **state)
{
    const folder *made = *state;
    static uint8_t content[10000];
    memset(content, 0x5A, sizeof content);
    kf_buffer back = KF_BUFFER_INIT;
    assert_int_equal(kf_file_replace(made->file, KF_VIEW(content), 0600, NULL), KF_OK);
    assert_int_equal(kf_file_read(made->file, sizeof content, &back, NULL), KF_OK);
    assert_true(kf_view_equal(kf_buffer_view(&back), KF_VIEW(content)));
    struct stat status;
    assert_int_equal(stat(made->file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    kf_buffer_clear(&back);
}

static void a_file_is_replaced_whole_and_nothing_is_left_beside_it(void **state)
{
    const folder *made = *state;
    kf_buffer back = KF_BUFFER_INIT;
    assert_int_equal(kf_file_replace(made->file, kf_view_of_text("the old content"), 0644, NULL), KF_OK);
    assert_int_equal(kf_file_replace(made->file, kf_view_of_text("new"), 0640, NULL), KF_OK);
    assert_int_equal(kf_file_read(made->file, 100, &back, NULL), KF_OK);
    assert_string_equal(kf_buffer_text(&back), "new");
    assert_int_equal(files_in(made->path), 1);
    kf_buffer_clear(&back);
}

static void a_file_past_the_limit_is_refused(void **state)
{
    const folder *made = *state;
    kf_error error = {0};
    kf_buffer back = KF_BUFFER_INIT;
    assert_int_equal(kf_file_replace(made->file, kf_view_of_text("12345"), 0600, NULL), KF_OK);
    assert_int_equal(kf_file_read(made->file, 4, &back, &error), KF_ERR_TOO_LONG);
    assert_non_null(strstr(error.message, made->file));
    kf_buffer_clear(&back);
    assert_int_equal(kf_file_read(made->file, 5, &back, &error), KF_OK);
    kf_buffer_clear(&back);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    const folder *made = *state;
    kf_error error = {0};
    kf_buffer back = KF_BUFFER_INIT;
    char path[256];
    assert_int_equal(kf_file_read(made->file, 5, &back, &error), KF_ERR_FILE);
    assert_non_null(strstr(error.message, made->file));
    assert_non_null(strstr(error.message, "No such file"));
    snprintf(path, sizeof path, "%s/missing/file", made->path);
    assert_int_equal(kf_file_replace(path, kf_view_of_text("x"), 0600, &error), KF_ERR_FILE);
    assert_non_null(strstr(error.message, "No such file"));
    assert_int_equal(kf_file_read(made->path, 5, &back, &error), KF_ERR_FILE); /* a folder */
    kf_buffer_clear(&back);
}

static void a_replacement_that_fails_leaves_nothing(void **state)
{
    const folder *made = *state;
    kf_error error = {0};
    /* A folder with something in it cannot be replaced by a file. */
    char inner[256];
    snprintf(inner, sizeof inner, "%s/inner", made->file);
    assert_int_equal(mkdir(made->file, 0700), 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    assert_int_equal(kf_file_replace(made->file, kf_view_of_text("x"), 0600, &error), KF_ERR_FILE);
    assert_int_equal(files_in(made->path), 1);
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(made->file), 0);
}

static void descriptors_carry_exactly_what_is_asked(void **state)
{
    (void)state;
    int ends[2];
    uint8_t bytes[6] = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(kf_descriptor_write(ends[0], kf_view_of_text("abcdefgh")), KF_OK);
    kf_descriptor_close(&ends[0]);
    assert_int_equal(ends[0], -1);
    kf_descriptor_close(&ends[0]);
    assert_int_equal(kf_descriptor_read(ends[1], bytes, 6), KF_OK);
    assert_memory_equal(bytes, "abcdef", 6);
    assert_int_equal(kf_descriptor_read(ends[1], bytes, 3), KF_ERR_TRUNCATED);
    assert_int_equal(kf_descriptor_read(-1, bytes, 3), KF_ERR_SYSTEM);
    assert_int_equal(kf_descriptor_write(-1, KF_VIEW(bytes)), KF_ERR_SYSTEM);
    kf_descriptor_close(&ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_is_replaced_whole_and_nothing_is_left_beside_it, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_file_past_the_limit_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_there_is_named, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_replacement_that_fails_leaves_nothing, make_folder, remove_folder),
        cmocka_unit_test(descriptors_carry_exactly_what_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
