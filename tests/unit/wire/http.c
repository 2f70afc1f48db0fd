/* Who is let in, on both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http_fixture.h"

static void assert_refused(fixture *f, const test_identity *identity, kf_code expected, const char *part)
{
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, identity);
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &json, &error), expected);
    assert_null(json);
    fixture_assert_says(&error, part);
    assert_int_equal(atomic_load(&f->refused), 1);
}

static void a_host_and_a_terminal_are_known_by_their_certificates(void **state)
{
    fixture *f = *state;
    const test_identity *identities[] = {&f->host, &f->terminal};
    const char *roles[] = {"host", "terminal"};
    const char *names[] = {"h1", "t1"};
    for (size_t i = 0; i < 2; i++) {
        kf_error error;
        KF_CLEANUP(kf_json_free) json_t *json = NULL;
        KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, identities[i]);
        if (fixture_call(client, "GET", "/v1/who?colour=light%20blue", &json, &error) != KF_OK)
            fail_msg("%s", error.message);
        assert_string_equal(fixture_text_in(json, "role"), roles[i]);
        assert_string_equal(fixture_text_in(json, "name"), names[i]);
        assert_string_equal(fixture_text_in(json, "colour"), "light blue");
    }
}

static void without_a_certificate_only_routes_for_anyone_answer(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, NULL);
    assert_int_equal(fixture_call(client, "GET", "/healthz", &json, &error), KF_OK);
    assert_string_equal(fixture_text_in(json, "role"), "none");
    assert_refused(f, NULL, KF_ERR_FORBIDDEN, "no client certificate was shown");
}

static void an_expired_certificate_is_refused(void **state)
{
    fixture *f = *state;
    test_identity old = test_identity_make_until(&f->certificates, &f->certificates.root, KF_PEER_HOST, "old",
                                                 time(NULL) - 5 * DAY);
    assert_refused(f, &old, KF_ERR_CERTIFICATE, "certificate urn:keyfill:host:old expired on 20");
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
    fixture *f = *state;
    test_identity other =
        test_identity_make(&f->certificates, &f->certificates.foreign_root, KF_PEER_HOST, "other");
    assert_refused(f, &other, KF_ERR_CERTIFICATE, "urn:keyfill:host:other");
}

static void a_certificate_without_uri_is_refused(void **state)
{
    fixture *f = *state;
    test_identity plain = test_identity_forge(&f->certificates, &f->certificates.root, NULL, "plain");
    assert_refused(f, &plain, KF_ERR_CERTIFICATE, "exactly one urn:keyfill:ROLE:NAME is needed");
}

static void another_role_under_the_terminal_authority_is_refused(void **state)
{
    fixture *f = *state;
    test_identity forged =
        test_identity_forge(&f->certificates, &f->certificates.authority, "urn:keyfill:host:evil", "evil");
    assert_refused(f, &forged, KF_ERR_CERTIFICATE, "under which only the role terminal is accepted");
}

static void a_terminal_under_the_root_is_refused(void **state)
{
    fixture *f = *state;
    test_identity forged =
        test_identity_forge(&f->certificates, &f->certificates.root, "urn:keyfill:terminal:t9", "t9");
    assert_refused(f, &forged, KF_ERR_CERTIFICATE, "was not issued by a terminal authority");
}

static void a_certificate_under_another_peers_certificate_is_refused(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair host = {KF_BUFFER_INIT, NULL};
    assert_int_equal(kf_pki_pair_load(f->host.certificate, f->host.key, &host, &error), KF_OK);
    test_identity forged = test_identity_forge(&f->certificates, &host, "urn:keyfill:officer:o1", "o1");
    assert_refused(f, &forged, KF_ERR_CERTIFICATE, "does not verify");
}

static void a_role_that_the_route_does_not_name_is_refused(void **state)
{
    fixture *f = *state;
    test_identity bank = test_identity_make(&f->certificates, &f->certificates.root, KF_PEER_BANK, "b1");
    assert_refused(f, &bank, KF_ERR_FORBIDDEN, "bank:b1 may not GET /v1/who: the role bank");
}

static void a_disabled_caller_is_refused_on_an_open_connection_too(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &json, &error), KF_OK);
    atomic_store(&f->disabled, true);
    kf_json_free(&json);
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &json, &error), KF_ERR_DISABLED);
    fixture_assert_says(&error, "host:h1 is disabled");
    assert_int_equal(atomic_load(&f->refused), 1);
}

static void a_certificate_that_expires_on_an_open_connection_is_refused(void **state)
{
    fixture *f = *state;
    kf_error error;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &json, &error), KF_OK);
    atomic_store(&f->clock_offset, (long)(400 * DAY));
    kf_json_free(&json);
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &json, &error), KF_ERR_CERTIFICATE);
    fixture_assert_says(&error, "host:h1 expired on");
    assert_int_equal(fixture_call(client, "GET", "/healthz", &json, &error), KF_OK);
    assert_string_equal(fixture_text_in(json, "role"), "none");
}

/* ---- what the client refuses ---- */

static void assert_client_refuses(fixture *f, kf_http_client_options options, kf_code expected,
                                  const char *part)
{
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_with(f, &f->host, options);
    assert_int_equal(fixture_call(client, "GET", "/healthz", &json, &error), expected);
    fixture_assert_says(&error, part);
    assert_int_equal(atomic_load(&f->answered), 0);
}

static void a_server_of_another_role_or_name_is_refused_before_anything_is_sent(void **state)
{
    fixture *f = *state;
    assert_client_refuses(f, (kf_http_client_options){.expected_role = KF_PEER_HOST}, KF_ERR_TLS,
                          "is kmu:k1, and host:* is expected");
    assert_client_refuses(f, (kf_http_client_options){.expected_role = KF_PEER_KMU, .expected_name = "k2"},
                          KF_ERR_TLS, "is kmu:k1, and kmu:k2 is expected");
}

static void a_server_of_another_ca_is_refused(void **state)
{
    fixture *f = *state;
    assert_client_refuses(f, (kf_http_client_options){.ca_file = f->foreign_ca}, KF_ERR_TLS,
                          "/foreign-ca.pem");
}

static void a_server_whose_name_is_not_in_its_certificate_is_refused(void **state)
{
    fixture *f = *state;
    char url[64];
    (void)snprintf(url, sizeof url, "https://127.0.0.2:%u", kf_http_server_port(f->server));
    kf_http_server_stop(&f->server);
    kf_http_server_options options = fixture_options_of(f);
    options.address = "0.0.0.0";
    fixture_start(f, &options);
    (void)snprintf(url, sizeof url, "https://127.0.0.2:%u", kf_http_server_port(f->server));
    assert_client_refuses(f, (kf_http_client_options){.base_url = url}, KF_ERR_TLS, "127.0.0.2");
}

static void an_expired_server_is_refused(void **state)
{
    fixture *f = *state;
    kf_http_server_stop(&f->server);
    test_identity old = test_identity_make_until(&f->certificates, &f->certificates.root, KF_PEER_KMU, "old",
                                                 time(NULL) - 5 * DAY);
    kf_http_server_options options = fixture_options_of(f);
    options.certificate_file = old.certificate;
    options.key_file = old.key;
    fixture_start(f, &options);
    assert_client_refuses(f, (kf_http_client_options){.expected_role = KF_PEER_KMU}, KF_ERR_TLS,
                          "has expired");
}

static void nobody_listening_is_unreachable(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    kf_http_server_stop(&f->server);
    assert_int_equal(fixture_call(client, "GET", "/healthz", &json, &error), KF_ERR_UNREACHABLE);
    fixture_assert_says(&error, "https://127.0.0.1:");
}

static void an_answer_longer_than_the_cap_is_refused(void **state)
{
    fixture *f = *state;
    kf_error error;
    json_t *json = NULL;
    KF_CLEANUP(kf_http_client_free)
    kf_http_client *client =
        fixture_client_with(f, &f->host, (kf_http_client_options){.response_limit = 4096});
    assert_int_equal(fixture_call(client, "GET", "/v1/long", &json, &error), KF_ERR_PEER);
    fixture_assert_says(&error, "longer than the 4096 bytes");
    assert_int_equal(fixture_call(client, "GET", "/v1/nonsense", &json, &error), KF_ERR_PEER);
    fixture_assert_says(&error, "malformed JSON");
    KF_CLEANUP(kf_json_free) json_t *after = NULL;
    assert_int_equal(fixture_call(client, "GET", "/v1/who", &after, &error), KF_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_host_and_a_terminal_are_known_by_their_certificates),
        TEST(without_a_certificate_only_routes_for_anyone_answer),
        TEST(an_expired_certificate_is_refused),
        TEST(a_certificate_of_another_ca_is_refused),
        TEST(a_certificate_without_uri_is_refused),
        TEST(another_role_under_the_terminal_authority_is_refused),
        TEST(a_terminal_under_the_root_is_refused),
        TEST(a_certificate_under_another_peers_certificate_is_refused),
        TEST(a_role_that_the_route_does_not_name_is_refused),
        TEST(a_disabled_caller_is_refused_on_an_open_connection_too),
        TEST(a_certificate_that_expires_on_an_open_connection_is_refused),
        TEST(a_server_of_another_role_or_name_is_refused_before_anything_is_sent),
        TEST(a_server_of_another_ca_is_refused),
        TEST(a_server_whose_name_is_not_in_its_certificate_is_refused),
        TEST(an_expired_server_is_refused),
        TEST(nobody_listening_is_unreachable),
        TEST(an_answer_longer_than_the_cap_is_refused),
    };
    return cmocka_run_group_tests_name("wire/http", tests, fixture_set_up_group, fixture_tear_down_group);
}
