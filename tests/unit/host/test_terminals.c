#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/terminals.h"
#include "host_fixture.h"
#include "wire/json.h"

static int set_up(void **state)
{
    if (host_set_up(state) != 0) return -1;
    host_fixture *fixture = *state;
    const time_t now = (time_t)(fixture->now_ms / 1000);
    kf_pki_pair root = {KF_BUFFER_INIT, NULL};
    assert_int_equal(kf_pki_make_root("test", kf_pki_validity_of_days(now, 365), &root, &fixture->error),
                     KF_OK);
    const kf_pki_subject authority = {
        .role = KF_PEER_TERMINAL_AUTHORITY, .name = "h1", .validity = kf_pki_validity_of_days(now, 300)};
    assert_int_equal(kf_pki_issue(&root, &authority, &fixture->host.terminal_authority, &fixture->error),
                     KF_OK);
    kf_pki_pair_clear(&root);
    return 0;
}

static kf_enrolment_code invite(host_fixture *fixture, const char *name)
{
    kf_enrolment_code code;
    assert_int_equal(kf_terminals_invite(&fixture->host, name, "administrator:anna", &code, &fixture->error),
                     KF_OK);
    return code;
}

static kf_code enrol(host_fixture *fixture, const char *code, kf_buffer *certificate,
                     char name[KF_PEER_NAME_MAX + 1])
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer request = KF_BUFFER_INIT;
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    assert_int_equal(kf_pki_request_new("anything", &request, &key, &fixture->error), KF_OK);
    const kf_enrolment enrolment = {code, kf_buffer_view(&request), "127.0.0.1"};
    return kf_terminals_enrol(&fixture->host, &enrolment, certificate, name, &fixture->error);
}

static void a_code_gives_one_certificate_of_the_name_it_was_made_for(void **state)
{
    host_fixture *fixture = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer certificate = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer described = KF_BUFFER_INIT;
    char name[KF_PEER_NAME_MAX + 1];
    kf_enrolment_code code = invite(fixture, "counter-7");
    assert_int_equal(strlen(code.text), KF_ENROLMENT_CODE_SIZE - 1);
    assert_int_equal(code.expires_ms, fixture->now_ms + fixture->host.settings.enrolment_ms);
    assert_int_equal(enrol(fixture, code.text, &certificate, name), KF_OK);
    assert_string_equal(name, "counter-7");
    assert_int_equal(kf_pki_describe(kf_buffer_view(&certificate), (time_t)(fixture->now_ms / 1000),
                                     &described, &fixture->error),
                     KF_OK);
    assert_non_null(strstr(kf_buffer_text(&described), "counter-7"));
    assert_null(strstr(kf_buffer_text(&described), "anything"));
    kf_buffer_clear(&certificate);
    assert_int_equal(enrol(fixture, code.text, &certificate, name), KF_ERR_CODE);
    assert_int_equal(kf_buffer_view(&certificate).size, 0);
    assert_int_equal(audit_rows(fixture), 3);
    assert_string_equal(read_text(fixture, "SELECT outcome FROM audit WHERE seq = 3"), "KF_ERR_CODE");
}

static void the_code_itself_is_stored_nowhere(void **state)
{
    host_fixture *fixture = *state;
    kf_enrolment_code code = invite(fixture, "counter-7");
    char sql[256];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM terminal WHERE code_hash = '%s' OR name = '%s'",
                   code.text, code.text);
    assert_int_equal(read_integer(fixture, sql), 0);
    assert_int_equal(read_integer(fixture, "SELECT length(code_hash) FROM terminal"), KF_DIGEST_SIZE);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM audit WHERE detail LIKE '%%%s%%'", code.text);
    assert_int_equal(read_integer(fixture, sql), 0);
}

static void wrong_and_expired_codes_are_refused(void **state)
{
    host_fixture *fixture = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer certificate = KF_BUFFER_INIT;
    char name[KF_PEER_NAME_MAX + 1];
    kf_enrolment_code code = invite(fixture, "counter-7");
    char wrong[KF_ENROLMENT_CODE_SIZE];
    memcpy(wrong, code.text, sizeof wrong);
    wrong[0] = wrong[0] == 'A' ? 'B' : 'A';
    assert_int_equal(enrol(fixture, wrong, &certificate, name), KF_ERR_CODE);
    assert_int_equal(enrol(fixture, "", &certificate, name), KF_ERR_CODE);
    fixture->now_ms = code.expires_ms;
    assert_int_equal(enrol(fixture, code.text, &certificate, name), KF_ERR_CODE);
    assert_non_null(strstr(fixture->error.message, "expired"));
    fixture->now_ms = code.expires_ms - 1;
    assert_int_equal(enrol(fixture, code.text, &certificate, name), KF_OK);
}

static void a_newer_code_voids_the_earlier_one(void **state)
{
    host_fixture *fixture = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer certificate = KF_BUFFER_INIT;
    char name[KF_PEER_NAME_MAX + 1];
    kf_enrolment_code first = invite(fixture, "counter-7");
    kf_enrolment_code second = invite(fixture, "counter-7");
    assert_string_not_equal(first.text, second.text);
    assert_int_equal(enrol(fixture, first.text, &certificate, name), KF_ERR_CODE);
    assert_int_equal(enrol(fixture, second.text, &certificate, name), KF_OK);
}

static void a_request_that_is_none_leaves_the_code_good(void **state)
{
    host_fixture *fixture = *state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer certificate = KF_BUFFER_INIT;
    char name[KF_PEER_NAME_MAX + 1];
    kf_enrolment_code code = invite(fixture, "counter-7");
    const kf_enrolment nonsense = {code.text, kf_view_of_text("-----BEGIN NOTHING-----"), "127.0.0.1"};
    assert_int_equal(kf_terminals_enrol(&fixture->host, &nonsense, &certificate, name, &fixture->error),
                     KF_ERR_CERTIFICATE);
    assert_int_equal(enrol(fixture, code.text, &certificate, name), KF_OK);
}

/* The terminal as the server would show it. */
static kf_peer enrolled(host_fixture *fixture, const char *terminal)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer certificate = KF_BUFFER_INIT;
    char name[KF_PEER_NAME_MAX + 1];
    kf_enrolment_code code = invite(fixture, terminal);
    assert_int_equal(enrol(fixture, code.text, &certificate, name), KF_OK);
    kf_peer peer = {.role = KF_PEER_TERMINAL};
    strcpy(peer.name, terminal);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(kf_database_query(fixture->database, "SELECT fingerprint FROM terminal WHERE name = $1",
                                       KF_VALUES(kf_value_text(terminal)), &rows, &fixture->error),
                     KF_OK);
    assert_int_equal(kf_rows_need(rows, terminal, &fixture->error), KF_OK);
    kf_view fingerprint = kf_rows_blob(rows, 0);
    assert_int_equal(fingerprint.size, KF_FINGERPRINT_SIZE);
    memcpy(peer.fingerprint, fingerprint.data, fingerprint.size);
    return peer;
}

static kf_code admit(host_fixture *fixture, const kf_peer *peer)
{
    return kf_terminals_admit(&fixture->host, peer, "10.0.0.7", &fixture->error);
}

static void an_enrolled_terminal_is_admitted_and_its_contact_noted(void **state)
{
    host_fixture *fixture = *state;
    kf_peer peer = enrolled(fixture, "counter-7");
    assert_int_equal(admit(fixture, &peer), KF_OK);
    assert_int_equal(read_integer(fixture, "SELECT last_contact_ms FROM terminal"), START_MS);
    fixture->now_ms += KF_TERMINAL_CONTACT_STEP_MS;
    assert_int_equal(admit(fixture, &peer), KF_OK);
    assert_int_equal(read_integer(fixture, "SELECT last_contact_ms FROM terminal"), fixture->now_ms);
    assert_string_equal(read_text(fixture, "SELECT address FROM terminal"), "10.0.0.7");
}

static void a_disabled_terminal_is_refused_at_once_and_heard_again_when_enabled(void **state)
{
    host_fixture *fixture = *state;
    kf_peer peer = enrolled(fixture, "counter-7");
    assert_int_equal(
        kf_terminals_set_enabled(&fixture->host, "counter-7", false, "administrator:anna", &fixture->error),
        KF_OK);
    int64_t before = audit_rows(fixture);
    assert_int_equal(admit(fixture, &peer), KF_ERR_DISABLED);
    assert_int_equal(audit_rows(fixture), before + 1);
    assert_int_equal(
        kf_terminals_set_enabled(&fixture->host, "counter-7", true, "administrator:anna", &fixture->error),
        KF_OK);
    assert_int_equal(admit(fixture, &peer), KF_OK);
    assert_int_equal(
        kf_terminals_set_enabled(&fixture->host, "nobody", true, "administrator:anna", &fixture->error),
        KF_ERR_NOT_FOUND);
}

static void unlisted_terminals_and_superseded_certificates_are_refused(void **state)
{
    host_fixture *fixture = *state;
    kf_peer stranger = {.role = KF_PEER_TERMINAL, .name = "stranger"};
    assert_int_equal(admit(fixture, &stranger), KF_ERR_FORBIDDEN);
    kf_peer old = enrolled(fixture, "counter-7");
    kf_peer renewed = enrolled(fixture, "counter-7");
    assert_int_equal(admit(fixture, &old), KF_ERR_FORBIDDEN);
    assert_int_equal(admit(fixture, &renewed), KF_OK);
    kf_enrolment_code unused = invite(fixture, "invited-only");
    assert_true(unused.expires_ms > fixture->now_ms);
    kf_peer invited = {.role = KF_PEER_TERMINAL, .name = "invited-only"};
    assert_int_equal(admit(fixture, &invited), KF_ERR_FORBIDDEN);
}

static void names_that_no_certificate_can_hold_are_refused(void **state)
{
    host_fixture *fixture = *state;
    static const char *const wrong[] = {
        "", "a b", "a/b", "ä", "0123456789012345678901234567890123456789012345678901234567890123456"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kf_enrolment_code code;
        assert_int_equal(
            kf_terminals_invite(&fixture->host, wrong[i], "administrator:anna", &code, &fixture->error),
            KF_ERR_FIELD);
    }
}

static void the_list_shows_state_and_last_contact(void **state)
{
    host_fixture *fixture = *state;
    kf_peer peer = enrolled(fixture, "b-enrolled");
    assert_int_equal(admit(fixture, &peer), KF_OK);
    (void)invite(fixture, "a-invited");
    (void)enrolled(fixture, "c-disabled");
    assert_int_equal(kf_terminals_set_enabled(&fixture->host, "c-disabled", false, "x", &fixture->error),
                     KF_OK);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    assert_int_equal(kf_terminals_list(&fixture->host, &json, &fixture->error), KF_OK);
    static const char *const states[] = {"invited", "enrolled", "disabled"};
    for (size_t i = 0; i < 3; i++) {
        const json_t *item = json_array_get(json_object_get(json, "terminals"), i);
        assert_string_equal(json_string_value(json_object_get(item, "state")), states[i]);
        assert_int_equal(json_object_get(item, "last_contact_ms") != NULL, i == 1);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, host_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_code_gives_one_certificate_of_the_name_it_was_made_for),
        TEST(the_code_itself_is_stored_nowhere),
        TEST(wrong_and_expired_codes_are_refused),
        TEST(a_newer_code_voids_the_earlier_one),
        TEST(a_request_that_is_none_leaves_the_code_good),
        TEST(an_enrolled_terminal_is_admitted_and_its_contact_noted),
        TEST(a_disabled_terminal_is_refused_at_once_and_heard_again_when_enabled),
        TEST(unlisted_terminals_and_superseded_certificates_are_refused),
        TEST(names_that_no_certificate_can_hold_are_refused),
        TEST(the_list_shows_state_and_last_contact),
    };
    return cmocka_run_group_tests_name("host/terminals", tests, NULL, NULL);
}
