#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/digest.h"

static void the_digest_of_parts_is_that_of_the_whole(void **state)
{
    (void)state;
    kf_view parts[] = {kf_view_of_text("ab"), kf_view_of(NULL, 0), kf_view_of_text("c")};
    uint8_t whole[KF_DIGEST_SIZE];
    uint8_t joined[KF_DIGEST_SIZE];
    assert_int_equal(kf_sha256(kf_view_of_text("abc"), whole), KF_OK);
    assert_int_equal(kf_sha256_parts(parts, 3, joined), KF_OK);
    assert_memory_equal(whole, joined, sizeof whole);
}

static void the_three_hashes_are_those_of_their_standards(void **state)
{
    (void)state;
    /* FIPS 180-4 and GM/T 0004-2012 annex A: "abc", the first four bytes. */
    const uint8_t sha256[] = {0xBA, 0x78, 0x16, 0xBF};
    const uint8_t sha1[] = {0xA9, 0x99, 0x3E, 0x36};
    const uint8_t sm3[] = {0x66, 0xC7, 0xF0, 0xF4};
    uint8_t digest[KF_DIGEST_SIZE];
    assert_int_equal(kf_sha256(kf_view_of_text("abc"), digest), KF_OK);
    assert_memory_equal(digest, sha256, sizeof sha256);
    assert_int_equal(kf_sha1_of_emv_option_b(kf_view_of_text("abc"), digest), KF_OK);
    assert_memory_equal(digest, sha1, sizeof sha1);
    assert_int_equal(kf_sm3(kf_view_of_text("abc"), digest), KF_OK);
    assert_memory_equal(digest, sm3, sizeof sm3);
}

static void an_empty_message_has_a_digest(void **state)
{
    (void)state;
    const uint8_t sha256[] = {0xE3, 0xB0, 0xC4, 0x42};
    uint8_t digest[KF_DIGEST_SIZE];
    assert_int_equal(kf_sha256(kf_view_of(NULL, 0), digest), KF_OK);
    assert_memory_equal(digest, sha256, sizeof sha256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digest_of_parts_is_that_of_the_whole),
        cmocka_unit_test(the_three_hashes_are_those_of_their_standards),
        cmocka_unit_test(an_empty_message_has_a_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
