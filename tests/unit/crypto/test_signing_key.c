#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <keyfill/hex.h>

#include "crypto/signing_key.h"

/* Of P-384: no officer's key. */
static const char other_curve[] =
    "3076301006072A8648CE3D020106052B8104002203620004AA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B98"
    "59F741E082542A385502F25DBF55296C3A545E3872760AB73617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A14"
    "7CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F";

static kf_secret *secret_of(const char *text)
{
    kf_secret *secret = NULL;
    assert_int_equal(kf_secret_new(kf_view_of_text(text), &secret), KF_OK);
    return secret;
}

static void a_key_file_opens_under_its_passphrase_alone_and_signs_the_same(void **state)
{
    (void)state;
    KF_CLEANUP(kf_private_key_free) kf_private_key *key = NULL;
    KF_CLEANUP(kf_private_key_free) kf_private_key *again = NULL;
    KF_CLEANUP(kf_public_key_free) kf_public_key *public_key = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = secret_of("a passphrase of alice");
    KF_CLEANUP(kf_secret_free) kf_secret *other = secret_of("a passphrase of bob");
    KF_CLEANUP(kf_buffer_clear) kf_buffer pem = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer signature = KF_BUFFER_INIT;
    kf_view message = kf_view_of_text("what is signed");
    assert_int_equal(kf_signing_key_new(&key), KF_OK);
    assert_int_equal(kf_signing_key_write(key, passphrase, &pem), KF_OK);
    assert_true(kf_signing_key_is_encrypted(kf_buffer_view(&pem)));
    assert_int_equal(kf_signing_key_read(kf_buffer_view(&pem), other, &again), KF_ERR_AUTHENTICATION);
    assert_int_equal(kf_signing_key_read(kf_buffer_view(&pem), NULL, &again), KF_ERR_AUTHENTICATION);
    assert_int_equal(kf_signing_key_read(kf_buffer_view(&pem), passphrase, &again), KF_OK);
    assert_int_equal(kf_sign(again, KF_SIGNATURE_ECDSA_SHA256, message, &signature), KF_OK);
    assert_int_equal(signature.size, 64);
    assert_int_equal(kf_public_key_of(key, &public_key), KF_OK);
    assert_int_equal(
        kf_signature_verify(public_key, KF_SIGNATURE_ECDSA_SHA256, message, kf_buffer_view(&signature)),
        KF_OK);
}

static void what_is_no_key_file_is_refused(void **state)
{
    (void)state;
    kf_private_key *key = NULL;
    static const char *const wrong[] = {"", "no key",
                                        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                                        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(kf_signing_key_read(kf_view_of_text(wrong[i]), NULL, &key), KF_ERR_MALFORMED);
    KF_CLEANUP(kf_buffer_clear) kf_buffer longer = KF_BUFFER_INIT;
    kf_buffer_append_fill(&longer, '-', KF_SIGNING_KEY_PEM_MAX + 1);
    assert_int_equal(kf_signing_key_read(kf_buffer_view(&longer), NULL, &key), KF_ERR_MALFORMED);
    assert_null(key);
    assert_false(kf_signing_key_is_encrypted(kf_view_of_text("-----BEGIN ENCRYPTED PRIVATE KEY----")));
}

static void a_public_key_has_one_encoding_and_one_curve(void **state)
{
    (void)state;
    KF_CLEANUP(kf_private_key_free) kf_private_key *key = NULL;
    KF_CLEANUP(kf_public_key_free) kf_public_key *public_key = NULL;
    KF_CLEANUP(kf_public_key_free) kf_public_key *read = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer spki = KF_BUFFER_INIT;
    assert_int_equal(kf_signing_key_new(&key), KF_OK);
    assert_int_equal(kf_public_key_of(key, &public_key), KF_OK);
    assert_int_equal(kf_signing_public_write(public_key, &spki), KF_OK);
    assert_int_equal(spki.size, 91);
    assert_int_equal(kf_signing_public_read(kf_buffer_view(&spki), &read), KF_OK);
    for (size_t size = 0; size < spki.size; size++) {
        KF_CLEANUP(kf_public_key_free) kf_public_key *part = NULL;
        assert_int_equal(kf_signing_public_read(kf_view_part(kf_buffer_view(&spki), 0, size), &part),
                         KF_ERR_MALFORMED);
    }
    kf_public_key *none = NULL;
    kf_buffer_append_u8(&spki, 0);
    assert_int_equal(kf_signing_public_read(kf_buffer_view(&spki), &none), KF_ERR_MALFORMED);
    KF_CLEANUP(kf_buffer_clear) kf_buffer other = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(other_curve, &other), KF_OK);
    assert_int_equal(kf_signing_public_read(kf_buffer_view(&other), &none), KF_ERR_MALFORMED);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_file_opens_under_its_passphrase_alone_and_signs_the_same),
        cmocka_unit_test(what_is_no_key_file_is_refused),
        cmocka_unit_test(a_public_key_has_one_encoding_and_one_curve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
