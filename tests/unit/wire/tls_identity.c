#include "wire/tls_identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "certificates.h"

static void a_uri_is_made_of_role_and_name_and_taken_apart_again(void **state)
{
    (void)state;
    static const kf_peer_role roles[] = {KF_PEER_BKMU,           KF_PEER_KMU,
                                         KF_PEER_HOST,           KF_PEER_TERMINAL,
                                         KF_PEER_BANK,           KF_PEER_OFFICER,
                                         KF_PEER_AUDITOR,        KF_PEER_ADMINISTRATOR,
                                         KF_PEER_ISSUING_SERVER, KF_PEER_TERMINAL_AUTHORITY};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        char uri[KF_PEER_URI_SIZE];
        char name[KF_PEER_NAME_MAX + 1];
        kf_peer_role role = KF_PEER_NONE;
        kf_error error;
        assert_int_equal(kf_peer_uri_format(roles[i], "a-B_3.z", uri, &error), KF_OK);
        assert_int_equal(kf_peer_uri_parse(uri, &role, name, &error), KF_OK);
        assert_int_equal(role, roles[i]);
        assert_string_equal(name, "a-B_3.z");
    }
}

static void no_uri_is_made_for_roles_that_certificates_cannot_have(void **state)
{
    (void)state;
    char uri[KF_PEER_URI_SIZE];
    kf_error error;
    assert_int_equal(kf_peer_uri_format(KF_PEER_LOCAL, "a", uri, &error), KF_ERR_FIELD);
    assert_int_equal(kf_peer_uri_format(KF_PEER_NONE, "a", uri, &error), KF_ERR_FIELD);
    assert_int_equal(kf_peer_uri_format(KF_PEER_HOST, "a b", uri, &error), KF_ERR_FIELD);
    assert_non_null(strstr(error.message, "name 'a b': 1 to 64 of"));
}

static void malformed_uris_are_refused(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "",
        "urn:keyfill:",
        "urn:keyfill:host",
        "urn:keyfill:host:",
        "urn:keyfill::name",
        "urn:keyfill:local:name",
        "urn:keyfill:none:name",
        "urn:keyfill:hosts:name",
        "URN:keyfill:host:name",
        "urn:keyfill:host:na:me",
        "urn:keyfill:host:näme",
        "xurn:keyfill:host:name",
        "urn:keyfill:a-role-that-is-much-longer-than-any-role-there-is:name",
        "urn:keyfill:host:0123456789012345678901234567890123456789012345678901234567890123x",
    };
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        char name[KF_PEER_NAME_MAX + 1] = "untouched";
        kf_peer_role role = KF_PEER_BANK;
        kf_error error = {KF_OK, ""};
        assert_int_equal(kf_peer_uri_parse(uris[i], &role, name, &error), KF_ERR_FIELD);
        assert_true(error.message[0] != '\0');
        assert_int_equal(role, KF_PEER_BANK);
        assert_string_equal(name, "untouched");
    }
}

static void a_name_of_64_characters_is_the_longest(void **state)
{
    (void)state;
    char name[KF_PEER_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[KF_PEER_NAME_MAX] = '\0';
    assert_true(kf_name_is_valid(name));
    name[KF_PEER_NAME_MAX] = 'n';
    name[KF_PEER_NAME_MAX + 1] = '\0';
    assert_false(kf_name_is_valid(name));
    assert_false(kf_name_is_valid(""));
}

static void days_left_are_whole_days_and_negative_after_the_end(void **state)
{
    (void)state;
    kf_peer peer = {.not_after = 1000000};
    assert_int_equal(kf_peer_days_left(&peer, 1000000), 0);
    assert_int_equal(kf_peer_days_left(&peer, 1000000 - 86400), 1);
    assert_int_equal(kf_peer_days_left(&peer, 1000000 - 86399), 0);
    assert_int_equal(kf_peer_days_left(&peer, 1000001), -1);
    assert_int_equal(kf_peer_days_left(&peer, 1000000 + 86401), -2);
}

static void our_own_certificate_says_who_we_are(void **state)
{
    (void)state;
    test_certificates certificates;
    test_certificates_make(&certificates);
    kf_peer peer;
    kf_error error;
    char path[128];
    test_identity host = test_identity_make(&certificates, &certificates.root, KF_PEER_HOST, "h1");
    assert_int_equal(kf_peer_of_file(host.certificate, &peer, &error), KF_OK);
    assert_int_equal(peer.role, KF_PEER_HOST);
    assert_string_equal(peer.name, "h1");
    assert_in_range(kf_peer_days_left(&peer, time(NULL)), 364, 365);
    test_path(&certificates, "ca.pem", path);
    assert_int_equal(kf_peer_of_file(path, &peer, &error), KF_ERR_CERTIFICATE);
    assert_non_null(strstr(error.message, "ca.pem: it holds 0 URIs"));
    assert_int_equal(kf_peer_of_file(host.key, &peer, &error), KF_ERR_CERTIFICATE);
    assert_int_equal(kf_peer_of_file(certificates.folder, &peer, &error), KF_ERR_FILE);
    test_certificates_remove(&certificates);
}

static void chains_that_are_empty_too_long_or_no_certificates_are_refused(void **state)
{
    (void)state;
    test_certificates certificates;
    test_certificates_make(&certificates);
    kf_tls_trust *trust = NULL;
    kf_peer peer;
    kf_error error;
    char path[128];
    test_path(&certificates, "ca.pem", path);
    assert_int_equal(kf_tls_trust_of_file(path, &trust, &error), KF_OK);
    kf_view shown[5] = {KF_VIEW("none"), KF_VIEW("none"), KF_VIEW("none"), KF_VIEW("none"), KF_VIEW("none")};
    assert_int_equal(kf_tls_verify_peer(trust, shown, 0, 0, &peer, &error), KF_ERR_CERTIFICATE);
    assert_string_equal(error.message, "no certificate was shown");
    assert_int_equal(kf_tls_verify_peer(trust, shown, 5, 0, &peer, &error), KF_ERR_CERTIFICATE);
    assert_non_null(strstr(error.message, "a chain of 5"));
    assert_int_equal(kf_tls_verify_peer(trust, shown, 1, 0, &peer, &error), KF_ERR_CERTIFICATE);
    assert_non_null(strstr(error.message, "certificate 1 that was shown cannot be read"));
    kf_tls_trust_free(&trust);
    assert_null(trust);
    test_certificates_remove(&certificates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uri_is_made_of_role_and_name_and_taken_apart_again),
        cmocka_unit_test(no_uri_is_made_for_roles_that_certificates_cannot_have),
        cmocka_unit_test(malformed_uris_are_refused),
        cmocka_unit_test(a_name_of_64_characters_is_the_longest),
        cmocka_unit_test(days_left_are_whole_days_and_negative_after_the_end),
        cmocka_unit_test(our_own_certificate_says_who_we_are),
        cmocka_unit_test(chains_that_are_empty_too_long_or_no_certificates_are_refused),
    };
    return cmocka_run_group_tests_name("wire/tls_identity", tests, NULL, NULL);
}
