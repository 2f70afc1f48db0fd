#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <keyfill/secret.h>

/* AddressSanitizer replaces mlock by a function that does nothing. */
#if defined(__SANITIZE_ADDRESS__)
#define MLOCK_WORKS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MLOCK_WORKS false
#endif
#endif
#ifndef MLOCK_WORKS
#define MLOCK_WORKS true
#endif

static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static void a_secret_is_a_copy_of_its_bytes(void **state)
{
    (void)state;
    kf_secret *secret = NULL;
    kf_secret *copy = NULL;
    assert_int_equal(kf_secret_new(KF_VIEW(key), &secret), KF_OK);
    assert_int_equal(kf_secret_copy(secret, &copy), KF_OK);
    assert_int_equal(kf_secret_size(copy), sizeof key);
    assert_ptr_not_equal(kf_secret_expose(secret).data, kf_secret_expose(copy).data);
    assert_memory_equal(kf_secret_expose(copy).data, key, sizeof key);
    assert_true(kf_secret_equal(secret, copy));
    kf_secret_expose_writable(copy)[15] ^= 1;
    assert_false(kf_secret_equal(secret, copy));
    kf_secret_free(&secret);
    kf_secret_free(&copy);
    assert_null(secret);
    kf_secret_free(&secret);
    kf_secret_free(NULL);
}

static void secrets_of_other_sizes_are_not_equal(void **state)
{
    (void)state;
    kf_secret *left = NULL;
    kf_secret *right = NULL;
    assert_int_equal(kf_secret_new(KF_VIEW(key), &left), KF_OK);
    assert_int_equal(kf_secret_new(kf_view_of(key, 15), &right), KF_OK);
    assert_false(kf_secret_equal(left, right));
    kf_secret_free(&left);
    kf_secret_free(&right);
}

static void sizes_out_of_range_are_refused(void **state)
{
    (void)state;
    kf_secret *secret = NULL;
    assert_int_equal(kf_secret_new_zero(0, &secret), KF_ERR_ARGUMENT);
    assert_int_equal(kf_secret_new_zero(KF_SECRET_MAX_SIZE + 1, &secret), KF_ERR_ARGUMENT);
    assert_int_equal(kf_secret_new(kf_view_of(NULL, 0), &secret), KF_ERR_ARGUMENT);
    assert_null(secret);
}

static void a_slot_given_back_is_zero_when_taken_again(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 16, 64, 65, 512, 513, KF_SECRET_MAX_SIZE};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        kf_secret *secret = NULL;
        assert_int_equal(kf_secret_new_zero(sizes[i], &secret), KF_OK);
        const uint8_t *place = kf_secret_expose(secret).data;
        memset(kf_secret_expose_writable(secret), 0xA5, sizes[i]);
        kf_secret_free(&secret);
        assert_int_equal(kf_secret_new_zero(sizes[i], &secret), KF_OK);
        assert_ptr_equal(kf_secret_expose(secret).data, place);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(kf_secret_expose(secret).data[j], 0);
        kf_secret_free(&secret);
    }
}

static void many_secrets_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static kf_secret *secrets[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(kf_secret_new_zero(64, &secrets[i]), KF_OK);
        memset(kf_secret_expose_writable(secrets[i]), (int)(i % 251), 64);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < 64; j++)
            assert_int_equal(kf_secret_expose(secrets[i]).data[j], i % 251);
        kf_secret_free(&secrets[i]);
    }
}

/* The mapping's line in /proc/self/smaps whose range holds the address, and its VmFlags. */
static bool flags_of(const void *address, char *ret_flags, size_t size)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false;
    bool found = false;
    assert_non_null(maps);
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start = 0;
        unsigned long end = 0;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = (uintptr_t)address >= start && (uintptr_t)address < end;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = snprintf(ret_flags, size, "%s", line) > 0;
    }
    fclose(maps);
    return found;
}

static void the_memory_is_locked_not_dumped_and_fenced(void **state)
{
    (void)state;
    kf_secret *secret = NULL;
    char flags[512];
    assert_int_equal(kf_secret_new(KF_VIEW(key), &secret), KF_OK);
    assert_true(flags_of(kf_secret_expose(secret).data, flags, sizeof flags));
    if (MLOCK_WORKS) assert_non_null(strstr(flags, " lo")); /* locked */
    assert_non_null(strstr(flags, " dd"));                  /* not in core dumps */
    assert_non_null(strstr(flags, " wf"));                  /* wiped in children */
    kf_secret_free(&secret);
}

static void a_child_finds_zeros(void **state)
{
    (void)state;
    kf_secret *secret = NULL;
    assert_int_equal(kf_secret_new(KF_VIEW(key), &secret), KF_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        unsigned sum = 0;
        for (size_t i = 0; i < sizeof key; i++)
            sum += kf_secret_expose(secret).data[i];
        _exit(sum == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_memory_equal(kf_secret_expose(secret).data, key, sizeof key);
    kf_secret_free(&secret);
}

/* In a child without capabilities and without permission to lock memory. */
static void memory_that_cannot_be_locked_is_refused(void **state)
{
    (void)state;
    if (!MLOCK_WORKS) skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        kf_secret *secret = NULL;
        kf_code code = KF_OK;
        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0)) _exit(2);
        /* Slots that are there already may still be taken: more than one slab of the largest holds. */
        for (unsigned i = 0; i < 64 && code == KF_OK; i++)
            code = kf_secret_new_zero(KF_SECRET_MAX_SIZE, &secret);
        _exit(code == KF_ERR_SECRET_MEMORY ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void *take_and_give(void *argument)
{
    uint8_t mark = *(const uint8_t *)argument;
    for (unsigned i = 0; i < 2000; i++) {
        kf_secret *secret = NULL;
        if (kf_secret_new_zero(32, &secret) != KF_OK) return argument;
        memset(kf_secret_expose_writable(secret), mark, 32);
        for (size_t j = 0; j < 32; j++)
            if (kf_secret_expose(secret).data[j] != mark) return argument;
        kf_secret_free(&secret);
    }
    return NULL;
}

static void threads_do_not_share_a_slot(void **state)
{
    (void)state;
    pthread_t threads[4];
    static const uint8_t marks[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(uintptr_t)&marks[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

static void comparison_and_wiping_reach_every_byte(void **state)
{
    (void)state;
    uint8_t left[64] = {0};
    uint8_t right[64] = {0};
    for (size_t i = 0; i < sizeof left; i++) {
        left[i] = 0x80;
        assert_false(kf_equal_constant_time(left, right, sizeof left));
        assert_true(kf_equal_constant_time(left, right, i));
        right[i] = 0x80;
        assert_true(kf_equal_constant_time(left, right, sizeof left));
    }
    kf_wipe_block64(&left);
    for (size_t i = 0; i < sizeof left; i++)
        assert_int_equal(left[i], 0);
    kf_wipe(NULL, 0);
    uint8_t block16[16];
    uint8_t block32[32];
    memset(block16, 1, sizeof block16);
    memset(block32, 1, sizeof block32);
    kf_wipe_block16(&block16);
    kf_wipe_block32(&block32);
    assert_memory_equal(block16, left, sizeof block16);
    assert_memory_equal(block32, left, sizeof block32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_a_copy_of_its_bytes),
        cmocka_unit_test(secrets_of_other_sizes_are_not_equal),
        cmocka_unit_test(sizes_out_of_range_are_refused),
        cmocka_unit_test(a_slot_given_back_is_zero_when_taken_again),
        cmocka_unit_test(many_secrets_do_not_overlap),
        cmocka_unit_test(the_memory_is_locked_not_dumped_and_fenced),
        cmocka_unit_test(a_child_finds_zeros),
        cmocka_unit_test(memory_that_cannot_be_locked_is_refused),
        cmocka_unit_test(threads_do_not_share_a_slot),
        cmocka_unit_test(comparison_and_wiping_reach_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
