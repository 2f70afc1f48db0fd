#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <keyfill/hex.h>

#include "crypto/ed25519.h"

/* RFC 8032, 7.1. */
typedef struct published {
    const char *seed;
    const char *public_key;
    const char *message;
    const char *signature;
} published;

static const published vectors[] = {
    {"9D61B19DEFFD5A60BA844AF492EC2CC44449C5697B326919703BAC031CAE7F60",
     "D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A", "",
     "E5564300C360AC729086E2CC806E828A84877F1EB8E5D974D873E065224901555FB8821590A33BACC61E39701CF9B46BD25BF5F"
     "0595B"
     "BE24655141438E7A100B"},
    {"4CCD089B28FF96DA9DB6C346EC114E0F5B8A319F35ABA624DA8CF6ED4FB8A6FB",
     "3D4017C3E843895A92B70AA74D1B7EBC9C982CCF2EC4968CC0CD55F12AF4660C", "72",
     "92A009A9F0D4CAB8720E820B5F642540A2B27B5416503F8FB3762223EBDB69DA085AC1E43E15996E458F3613D0F11D8C387B2EA"
     "EB430"
     "2AEEB00D291612BB0C00"},
    {"C5AA8DF43F9F837BEDB7442F31DCB7B166D38535076F094B85CE3A2E0B4458F7",
     "FC51CD8E6218A1A38DA47ED00230F0580816ED13BA3303AC5DEB911548908025", "AF82",
     "6291D657DEEC24024827E69C3ABE01A30CE548A284743A445E3680D7DB5AC3AC18FF9B538D16F290AE67F760984DC6594A7C15E"
     "9716E"
     "D28DC027BECEEA1EC40A"},
};

static void the_published_signatures_are_made_and_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        KF_CLEANUP(kf_secret_free) kf_secret *seed = NULL;
        KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
        uint8_t expected[KF_ED25519_SIGNATURE_SIZE];
        uint8_t expected_key[KF_ED25519_PUBLIC_SIZE];
        uint8_t signature[KF_ED25519_SIGNATURE_SIZE];
        uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
        assert_int_equal(kf_hex_decode_secret(vectors[i].seed, &seed), KF_OK);
        assert_int_equal(kf_hex_decode(vectors[i].signature, expected, sizeof expected), KF_OK);
        assert_int_equal(kf_hex_decode(vectors[i].public_key, expected_key, sizeof expected_key), KF_OK);
        if (vectors[i].message[0] != '\0')
            assert_int_equal(kf_hex_decode_append(vectors[i].message, &message), KF_OK);
        assert_int_equal(kf_ed25519_public(seed, public_key), KF_OK);
        assert_memory_equal(public_key, expected_key, sizeof public_key);
        assert_int_equal(kf_ed25519_sign(seed, kf_buffer_view(&message), signature), KF_OK);
        assert_memory_equal(signature, expected, sizeof signature);
        assert_int_equal(kf_ed25519_verify(public_key, kf_buffer_view(&message), signature), KF_OK);
    }
}

static void any_changed_bit_of_signature_message_or_key_is_refused(void **state)
{
    (void)state;
    KF_CLEANUP(kf_secret_free) kf_secret *seed = NULL;
    uint8_t message[] = "a head of the log";
    uint8_t signature[KF_ED25519_SIGNATURE_SIZE];
    uint8_t public_key[KF_ED25519_PUBLIC_SIZE];
    assert_int_equal(kf_hex_decode_secret(vectors[0].seed, &seed), KF_OK);
    assert_int_equal(kf_ed25519_public(seed, public_key), KF_OK);
    assert_int_equal(kf_ed25519_sign(seed, KF_VIEW(message), signature), KF_OK);
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(kf_ed25519_verify(public_key, KF_VIEW(message), signature), KF_ERR_AUTHENTICATION);
        signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t i = 0; i < sizeof message; i++) {
        message[i] ^= 0x20;
        assert_int_equal(kf_ed25519_verify(public_key, KF_VIEW(message), signature), KF_ERR_AUTHENTICATION);
        message[i] ^= 0x20;
    }
    for (size_t i = 0; i < sizeof public_key; i++) {
        public_key[i] ^= 1;
        assert_int_equal(kf_ed25519_verify(public_key, KF_VIEW(message), signature), KF_ERR_AUTHENTICATION);
        public_key[i] ^= 1;
    }
    assert_int_equal(kf_ed25519_verify(public_key, KF_VIEW(message), signature), KF_OK);
}

static void a_seed_of_another_size_is_refused(void **state)
{
    (void)state;
    KF_CLEANUP(kf_secret_free) kf_secret *seed = NULL;
    uint8_t out[KF_ED25519_SIGNATURE_SIZE];
    assert_int_equal(kf_secret_new(kf_view_of(vectors[0].seed, 31), &seed), KF_OK);
    assert_int_equal(kf_ed25519_public(seed, out), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_ed25519_sign(seed, kf_view_of("", 0), out), KF_ERR_KEY_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_signatures_are_made_and_verify),
        cmocka_unit_test(any_changed_bit_of_signature_message_or_key_is_refused),
        cmocka_unit_test(a_seed_of_another_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
