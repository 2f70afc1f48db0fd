/* Revoked certificates: refused at the next request, also on a connection that stays open. */
#include "wire/revocation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "http_fixture.h"

#define REVOKED_MOST 4

static char crl[128];

/* The file's text, or none. */
static void read_crl(kf_buffer *text)
{
    if (access(crl, F_OK) == 0) assert_int_equal(kf_file_read(crl, KF_PKI_LIST_MAX, text, NULL), KF_OK);
}

static void put_crl(const kf_buffer *text)
{
    assert_int_equal(kf_file_replace(crl, kf_buffer_view(text), 0644, NULL), KF_OK);
}

static void append_list(const kf_pki_pair *issuer, kf_view before, const test_identity *const *revoked,
                        kf_buffer *lists)
{
    kf_buffer texts[REVOKED_MOST] = {KF_BUFFER_INIT, KF_BUFFER_INIT, KF_BUFFER_INIT, KF_BUFFER_INIT};
    kf_view views[REVOKED_MOST];
    size_t count = 0;
    kf_error error = {KF_OK, ""};
    for (; revoked != NULL && revoked[count] != NULL; count++) {
        assert_true(count < REVOKED_MOST);
        assert_int_equal(kf_file_read(revoked[count]->certificate, KF_TLS_FILE_MAX, &texts[count], &error),
                         KF_OK);
        views[count] = kf_buffer_view(&texts[count]);
    }
    const kf_pki_revocation revocation = {
        .before = before, .revoked = views, .revoked_count = count, .now = time(NULL), .days = 30};
    if (kf_pki_revoke(issuer, &revocation, lists, &error) != KF_OK) fail_msg("%s", error.message);
    for (size_t i = 0; i < REVOKED_MOST; i++)
        kf_buffer_clear(&texts[i]);
}

/* Both issuers' lists, with the second's certificate, as `keyfill pki revoke` writes them. */
static void revoke_in(fixture *f, const test_identity *const *of_root,
                      const test_identity *const *of_authority)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer before = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer lists = KF_BUFFER_INIT;
    read_crl(&before);
    append_list(&f->certificates.root, kf_buffer_view(&before), of_root, &lists);
    append_list(&f->certificates.authority, kf_buffer_view(&before), of_authority, &lists);
    kf_buffer_append(&lists, kf_buffer_view(&f->certificates.authority.certificate));
    put_crl(&lists);
}

static int set_up(void **state)
{
    fixture *f = *state;
    assert_int_equal(fixture_set_up(state), 0);
    kf_http_server_stop(&f->server);
    test_path(&f->certificates, "crl.pem", crl);
    (void)unlink(crl);
    revoke_in(f, NULL, NULL);
    kf_http_server_options options = fixture_options_of(f);
    options.crl_file = crl;
    fixture_start(f, &options);
    return 0;
}

static void assert_call(kf_http_client *client, kf_code expected, const char *part)
{
    kf_error error;
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    kf_code code = fixture_call(client, "GET", "/v1/who", &json, &error);
    if (code != expected) fail_msg("%s: %s", kf_code_name(code), error.message);
    if (expected != KF_OK) fixture_assert_says(&error, part);
}

static void a_revoked_certificate_is_refused_on_an_open_connection_too(void **state)
{
    fixture *f = *state;
    const test_identity *revoked[] = {&f->host, NULL};
    KF_CLEANUP(kf_http_client_free) kf_http_client *open = fixture_client_of(f, &f->host);
    KF_CLEANUP(kf_http_client_free) kf_http_client *fresh = fixture_client_of(f, &f->host);
    KF_CLEANUP(kf_http_client_free) kf_http_client *other = fixture_client_of(f, &f->terminal);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    kf_error error;
    assert_call(open, KF_OK, "");
    revoke_in(f, revoked, NULL);
    assert_call(open, KF_ERR_CERTIFICATE, "urn:keyfill:host:h1 was revoked");
    assert_call(fresh, KF_ERR_CERTIFICATE, "urn:keyfill:host:h1 was revoked");
    assert_call(other, KF_OK, "");
    assert_int_equal(atomic_load(&f->refused), 2);
    /* What anyone may ask is answered, but not as that caller. */
    assert_int_equal(fixture_call(open, "GET", "/healthz", &json, &error), KF_OK);
    assert_string_equal(fixture_text_in(json, "role"), "none");
}

static void a_revoked_terminal_is_refused_and_so_are_all_under_a_revoked_authority(void **state)
{
    fixture *f = *state;
    test_identity second =
        test_identity_make(&f->certificates, &f->certificates.authority, KF_PEER_TERMINAL, "t2");
    const test_identity *revoked[] = {&f->terminal, NULL};
    KF_CLEANUP(kf_http_client_free) kf_http_client *one = fixture_client_of(f, &f->terminal);
    KF_CLEANUP(kf_http_client_free) kf_http_client *two = fixture_client_of(f, &second);
    assert_call(one, KF_OK, "");
    assert_call(two, KF_OK, "");
    revoke_in(f, NULL, revoked);
    assert_call(one, KF_ERR_CERTIFICATE, "terminal:t1 was revoked");
    assert_call(two, KF_OK, "");
    test_identity authority;
    test_path(&f->certificates, "authority.pem", authority.certificate);
    assert_int_equal(kf_file_replace(authority.certificate,
                                     kf_buffer_view(&f->certificates.authority.certificate), 0644, NULL),
                     KF_OK);
    const test_identity *whole[] = {&authority, NULL};
    revoke_in(f, whole, NULL);
    assert_call(two, KF_ERR_CERTIFICATE, "authority whose own was revoked");
}

static void a_revoked_server_is_refused_on_an_open_connection_too(void **state)
{
    fixture *f = *state;
    const test_identity *revoked[] = {&f->kmu, NULL};
    KF_CLEANUP(kf_http_client_free)
    kf_http_client *client = fixture_client_with(
        f, &f->host, (kf_http_client_options){.expected_role = KF_PEER_KMU, .crl_file = crl});
    assert_call(client, KF_OK, "");
    int before = atomic_load(&f->answered);
    revoke_in(f, revoked, NULL);
    assert_call(client, KF_ERR_TLS, "urn:keyfill:kmu:k1 was revoked");
    assert_int_equal(atomic_load(&f->answered), before);
}

/* What is refused leaves what was revoked as it is. */
static void assert_reload_refused(fixture *f, const kf_buffer *text, kf_code expected, const char *part)
{
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    KF_CLEANUP(kf_http_client_free) kf_http_client *other = fixture_client_of(f, &f->terminal);
    kf_error error = {KF_OK, ""};
    put_crl(text);
    kf_code code = kf_http_server_reload(f->server, &error);
    if (code != expected) fail_msg("%s: %s", kf_code_name(code), error.message);
    fixture_assert_says(&error, part);
    assert_call(client, KF_ERR_CERTIFICATE, "was revoked");
    assert_call(other, KF_OK, "");
}

static void a_list_that_cannot_be_used_changes_nothing(void **state)
{
    fixture *f = *state;
    const test_identity *revoked[] = {&f->host, NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer first = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer now = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    read_crl(&first);
    revoke_in(f, revoked, NULL);
    read_crl(&now);
    assert_int_equal(kf_http_server_reload(f->server, NULL), KF_OK);
    assert_reload_refused(f, &first, KF_ERR_REVISION, "older than the one in force");
    assert_reload_refused(f, &text, KF_ERR_CERTIFICATE, "holds no certificate revocation list");
    kf_buffer_append_text(&text, "no list at all\n");
    assert_reload_refused(f, &text, KF_ERR_CERTIFICATE, "holds no certificate revocation list");
    kf_buffer_truncate(&text, 0);
    append_list(&f->certificates.root, kf_buffer_view(&now), NULL, &text);
    assert_reload_refused(f, &text, KF_ERR_REVISION, "is not in it any more");
    append_list(&f->certificates.authority, kf_buffer_view(&now), NULL, &text);
    assert_reload_refused(f, &text, KF_ERR_CERTIFICATE, "not signed by a trusted root");
    kf_buffer_append(&text, kf_buffer_view(&f->certificates.root.certificate));
    assert_reload_refused(f, &text, KF_ERR_CERTIFICATE, "not that of a terminal authority");
    kf_buffer_truncate(&text, 0);
    append_list(&f->certificates.foreign_root, kf_view_of(NULL, 0), NULL, &text);
    assert_reload_refused(f, &text, KF_ERR_CERTIFICATE, "not signed by a trusted root");
    /* Every bit of the signed part, a sample of them. */
    for (size_t at = 200; at < now.size; at += 97) {
        kf_buffer_truncate(&text, 0);
        kf_buffer_append(&text, kf_buffer_view(&now));
        text.data[at] ^= 1;
        put_crl(&text);
        (void)!kf_http_server_reload(f->server, NULL);
        KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
        assert_call(client, KF_ERR_CERTIFICATE, "was revoked");
    }
    assert_int_equal(unlink(crl), 0);
    assert_int_equal(kf_http_server_reload(f->server, NULL), KF_ERR_FILE);
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    assert_call(client, KF_ERR_CERTIFICATE, "was revoked");
}

static void what_a_list_revoked_stays_revoked_in_the_next(void **state)
{
    fixture *f = *state;
    const test_identity *revoked[] = {&f->host, NULL};
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = fixture_client_of(f, &f->host);
    revoke_in(f, revoked, NULL);
    revoke_in(f, revoked, NULL);
    revoke_in(f, NULL, NULL);
    assert_call(client, KF_ERR_CERTIFICATE, "host:h1 was revoked");
}

static void a_certificate_of_another_issuer_is_not_revoked(void **state)
{
    fixture *f = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer list = KF_BUFFER_INIT;
    kf_error error = {KF_OK, ""};
    assert_int_equal(kf_file_read(f->host.certificate, KF_TLS_FILE_MAX, &text, &error), KF_OK);
    kf_view view = kf_buffer_view(&text);
    assert_true(kf_pki_has_issued(&f->certificates.root, view));
    assert_false(kf_pki_has_issued(&f->certificates.authority, view));
    assert_false(kf_pki_has_issued(&f->certificates.foreign_root, view));
    const kf_pki_revocation revocation = {.revoked = &view, .revoked_count = 1, .now = time(NULL), .days = 1};
    assert_int_equal(kf_pki_revoke(&f->certificates.foreign_root, &revocation, &list, &error),
                     KF_ERR_CERTIFICATE);
    fixture_assert_says(&error, "urn:keyfill:host:h1 was not issued by this authority");
    assert_int_equal(list.size, 0);
}

static void a_server_does_not_start_without_the_lists_it_is_to_have(void **state)
{
    fixture *f = *state;
    kf_http_server *server = NULL;
    kf_error error = {KF_OK, ""};
    kf_http_server_options options = fixture_options_of(f);
    options.crl_file = "/nonexistent/crl.pem";
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_FILE);
    fixture_assert_says(&error, "/nonexistent/crl.pem");
    options.crl_file = f->ca;
    assert_int_equal(kf_http_server_start(&options, &server, &error), KF_ERR_CERTIFICATE);
    fixture_assert_says(&error, "holds no certificate revocation list");
}

static void a_file_beyond_the_cap_is_refused(void **state)
{
    fixture *f = *state;
    kf_error error = {KF_OK, ""};
    assert_int_equal(truncate(crl, (off_t)KF_REVOCATION_FILE_MAX + 1), 0);
    assert_int_not_equal(kf_http_server_reload(f->server, &error), KF_OK);
    fixture_assert_says(&error, "crl.pem");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_revoked_certificate_is_refused_on_an_open_connection_too),
        TEST(a_revoked_terminal_is_refused_and_so_are_all_under_a_revoked_authority),
        TEST(a_revoked_server_is_refused_on_an_open_connection_too),
        TEST(a_list_that_cannot_be_used_changes_nothing),
        TEST(what_a_list_revoked_stays_revoked_in_the_next),
        TEST(a_certificate_of_another_issuer_is_not_revoked),
        TEST(a_server_does_not_start_without_the_lists_it_is_to_have),
        TEST(a_file_beyond_the_cap_is_refused),
    };
    return cmocka_run_group_tests_name("wire/revocation", tests, fixture_set_up_group,
                                       fixture_tear_down_group);
}
