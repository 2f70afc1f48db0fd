#include "wire/pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "certificates.h"

static test_certificates shared;

static int set_up(void **state)
{
    (void)state;
    test_certificates_make(&shared);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_certificates_remove(&shared);
    return 0;
}

static kf_pki_subject subject_of(kf_peer_role role, const char *name)
{
    return (kf_pki_subject){.role = role, .name = name, .validity = kf_pki_validity_of_days(time(NULL), 30)};
}

static void assert_not_issued(const kf_pki_pair *issuer, const kf_pki_subject *subject, kf_code expected,
                              const char *part)
{
    kf_error error = {KF_OK, ""};
    kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    assert_int_equal(kf_pki_issue(issuer, subject, &pair, &error), expected);
    if (strstr(error.message, part) == NULL) fail_msg("\"%s\" does not say \"%s\"", error.message, part);
    assert_null(pair.key);
}

static void keys_are_readable_by_their_owner_only(void **state)
{
    (void)state;
    struct stat file;
    test_identity host = test_identity_make(&shared, &shared.root, KF_PEER_HOST, "h1");
    assert_int_equal(stat(host.key, &file), 0);
    assert_int_equal(file.st_mode & 07777U, 0600);
    assert_int_equal(stat(host.certificate, &file), 0);
    assert_int_equal(file.st_mode & 07777U, 0644);
}

static void each_role_has_its_one_issuer(void **state)
{
    (void)state;
    kf_pki_subject terminal = subject_of(KF_PEER_TERMINAL, "t1");
    kf_pki_subject host = subject_of(KF_PEER_HOST, "h1");
    kf_pki_subject second = subject_of(KF_PEER_TERMINAL_AUTHORITY, "second");
    assert_not_issued(&shared.root, &terminal, KF_ERR_CERTIFICATE,
                      "terminals are accepted only under a terminal authority");
    assert_not_issued(&shared.authority, &host, KF_ERR_CERTIFICATE,
                      "for terminals only, not for the role host");
    assert_not_issued(&shared.authority, &second, KF_ERR_CERTIFICATE, "for terminals only");
    kf_error error;
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    assert_int_equal(kf_pki_issue(&shared.root, &host, &pair, &error), KF_OK);
    assert_not_issued(&pair, &host, KF_ERR_CERTIFICATE, "no certificate authority's");
}

static void names_addresses_and_validity_are_checked(void **state)
{
    (void)state;
    const char *bad_ip[] = {"300.0.0.1"};
    const char *bad_dns[] = {"a b"};
    const char *many[KF_PKI_NAMES_MAX + 1];
    for (size_t i = 0; i < KF_PKI_NAMES_MAX + 1; i++)
        many[i] = "localhost";
    kf_pki_subject subject = subject_of(KF_PEER_HOST, "");
    assert_not_issued(&shared.root, &subject, KF_ERR_FIELD, "name '': 1 to 64 of");
    subject = subject_of(KF_PEER_LOCAL, "x");
    assert_not_issued(&shared.root, &subject, KF_ERR_FIELD, "is no role");
    subject = subject_of(KF_PEER_HOST, "h1");
    subject.ip = bad_ip;
    subject.ip_count = 1;
    assert_not_issued(&shared.root, &subject, KF_ERR_FIELD, "\"300.0.0.1\" is no IP address");
    subject = subject_of(KF_PEER_HOST, "h1");
    subject.dns = bad_dns;
    subject.dns_count = 1;
    assert_not_issued(&shared.root, &subject, KF_ERR_FIELD, "\"a b\" is no host name");
    subject.dns = many;
    subject.dns_count = KF_PKI_NAMES_MAX + 1;
    assert_not_issued(&shared.root, &subject, KF_ERR_FIELD, "at most 16 host names");
    subject = subject_of(KF_PEER_HOST, "h1");
    subject.validity.not_after = subject.validity.not_before;
    assert_not_issued(&shared.root, &subject, KF_ERR_FIELD, "cannot be valid from");
}

static void a_request_is_signed_with_the_role_that_the_signer_gives(void **state)
{
    (void)state;
    kf_error error;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    assert_int_equal(kf_pki_request_new("whatever", &request, &key, &error), KF_OK);
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    kf_pki_subject subject = subject_of(KF_PEER_TERMINAL, "counter-3");
    assert_int_equal(
        kf_pki_sign_request(&shared.authority, kf_buffer_view(&request), &subject, &pair.certificate, &error),
        KF_OK);
    pair.key = key;
    key = NULL; /* the pair's */
    char certificate[128];
    char key_path[128];
    test_path(&shared, "counter-3.pem", certificate);
    test_path(&shared, "counter-3.key", key_path);
    assert_int_equal(kf_pki_pair_save(&pair, certificate, key_path, &error), KF_OK);
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair loaded = {KF_BUFFER_INIT, NULL};
    assert_int_equal(kf_pki_pair_load(certificate, key_path, &loaded, &error), KF_OK);
    kf_peer peer;
    assert_int_equal(kf_peer_of_file(certificate, &peer, &error), KF_OK);
    assert_int_equal(peer.role, KF_PEER_TERMINAL);
    assert_string_equal(peer.name, "counter-3");
}

static void altered_requests_are_refused(void **state)
{
    (void)state;
    kf_error error;
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    assert_int_equal(kf_pki_request_new("t", &request, &key, &error), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer certificate = KF_BUFFER_INIT;
    kf_pki_subject subject = subject_of(KF_PEER_TERMINAL, "t");
    /* A digit in the middle of the base64 text: in the key or the name. */
    size_t middle = request.size / 2;
    request.data[middle] = request.data[middle] == 'A' ? 'B' : 'A';
    assert_int_equal(
        kf_pki_sign_request(&shared.authority, kf_buffer_view(&request), &subject, &certificate, &error),
        KF_ERR_CERTIFICATE);
    assert_int_equal(
        kf_pki_sign_request(&shared.authority, kf_view_of_text("nonsense"), &subject, &certificate, &error),
        KF_ERR_CERTIFICATE);
    kf_buffer_append_fill(&request, ' ', KF_PKI_REQUEST_MAX);
    assert_int_equal(
        kf_pki_sign_request(&shared.authority, kf_buffer_view(&request), &subject, &certificate, &error),
        KF_ERR_CERTIFICATE);
    assert_non_null(strstr(error.message, "longer than"));
    assert_int_equal(certificate.size, 0);
}

static void a_description_names_role_host_names_and_expiry(void **state)
{
    (void)state;
    static const char *const dns[] = {"kmu.example"};
    static const char *const ip[] = {"192.0.2.7", "2001:db8::7"};
    kf_error error;
    kf_pki_subject subject = {.role = KF_PEER_TERMINAL,
                              .name = "t1",
                              .dns = dns,
                              .dns_count = 1,
                              .ip = ip,
                              .ip_count = 2,
                              .validity = {1000000000, 1100000000}};
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    assert_int_equal(kf_pki_issue(&shared.authority, &subject, &pair, &error), KF_OK);
    assert_int_equal(kf_pki_describe(kf_buffer_view(&pair.certificate), 1200000000, &text, &error), KF_OK);
    const char *described = kf_buffer_text(&text);
    static const char *const parts[] = {
        "role:        terminal\n",          "name:        t1\n",
        "host name:   kmu.example\n",       "IP address:  192.0.2.7\n",
        "IP address:  2001:db8::7\n",       "2001-09-09T01:46:40Z to 2004-11-09T11:33:20Z (expired)",
        "role:        terminal-authority\n"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(described, parts[i]) == NULL) fail_msg("%s\nlacks %s", described, parts[i]);
    assert_int_equal(kf_pki_describe(kf_view_of_text("x"), 0, &text, &error), KF_ERR_CERTIFICATE);
}

static void a_pair_that_does_not_fit_is_not_loaded(void **state)
{
    (void)state;
    kf_error error;
    test_identity one = test_identity_make(&shared, &shared.root, KF_PEER_HOST, "one");
    test_identity two = test_identity_make(&shared, &shared.root, KF_PEER_HOST, "two");
    kf_pki_pair pair = {KF_BUFFER_INIT, NULL};
    assert_int_equal(kf_pki_pair_load(one.certificate, two.key, &pair, &error), KF_ERR_CERTIFICATE);
    assert_non_null(strstr(error.message, "cannot be used together"));
    assert_null(pair.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_readable_by_their_owner_only),
        cmocka_unit_test(each_role_has_its_one_issuer),
        cmocka_unit_test(names_addresses_and_validity_are_checked),
        cmocka_unit_test(a_request_is_signed_with_the_role_that_the_signer_gives),
        cmocka_unit_test(altered_requests_are_refused),
        cmocka_unit_test(a_description_names_role_host_names_and_expiry),
        cmocka_unit_test(a_pair_that_does_not_fit_is_not_loaded),
    };
    return cmocka_run_group_tests_name("wire/pki", tests, set_up, tear_down);
}
