#include "host_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/json.h"

static bool ends_with(const char *text, const char *ending)
{
    size_t size = strlen(text);
    size_t ending_size = strlen(ending);
    return size >= ending_size && strcmp(text + size - ending_size, ending) == 0;
}

static kf_code fake_call(void *context, const kf_http_call *call, json_t **ret_json, kf_error *error)
{
    fake_unit *unit = context;
    assert_true(unit->call_count < FAKE_CALLS_MAX);
    (void)snprintf(unit->paths[unit->call_count], sizeof unit->paths[0], "%s", call->path);
    unit->bodies[unit->call_count++] = call->body != NULL ? json_deep_copy(call->body) : NULL;
    for (size_t i = 0; i < unit->answer_count; i++) {
        fake_answer *answer = &unit->answers[i];
        if (answer->path == NULL || !ends_with(call->path, answer->path)) continue;
        answer->path = NULL; /* used up */
        if (answer->code != KF_OK) return kf_fail(error, answer->code, "%s", answer->text);
        *ret_json = json_of(answer->text);
        return KF_OK;
    }
    return kf_fail(error, KF_ERR_UNREACHABLE, "the fake unit has no answer for %s", call->path);
}

static int64_t fixture_now(void *context)
{
    return ((host_fixture *)context)->now_ms;
}

int host_set_up(void **state)
{
    host_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->folder, "/tmp/keyfill-host-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    char url[128];
    (void)snprintf(url, sizeof url, "sqlite:%s/host.db", fixture->folder);
    assert_int_equal(kf_database_open(url, &fixture->database, &fixture->error), KF_OK);
    fixture->now_ms = START_MS;
    fixture->host = (kf_host){
        .database = fixture->database,
        .kmu = {fake_call, &fixture->kmu, NULL},
        .settings = {.reservation_ms = 900000, .enrolment_ms = 3600000, .certificate_days = 30},
        .now_ms = fixture_now,
        .clock_context = fixture,
    };
    assert_int_equal(kf_host_start(&fixture->host, &fixture->error), KF_OK);
    *state = fixture;
    return 0;
}

static void fake_clear(fake_unit *unit)
{
    for (size_t i = 0; i < unit->call_count; i++)
        kf_json_free(&unit->bodies[i]);
}

int host_tear_down(void **state)
{
    host_fixture *fixture = *state;
    kf_host_end(&fixture->host);
    kf_database_free(&fixture->database);
    fake_clear(&fixture->kmu);
    fake_clear(&fixture->issuing);
    static const char *const files[] = {"host.db", "host.db-wal", "host.db-shm"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", fixture->folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

void fake_will_answer(fake_unit *unit, const char *path, const char *json)
{
    assert_true(unit->answer_count < FAKE_CALLS_MAX);
    unit->answers[unit->answer_count++] = (fake_answer){path, KF_OK, json};
}

void fake_will_fail(fake_unit *unit, const char *path, kf_code code, const char *message)
{
    assert_true(unit->answer_count < FAKE_CALLS_MAX);
    unit->answers[unit->answer_count++] = (fake_answer){path, code, message};
}

const json_t *fake_last_body(const fake_unit *unit, const char *path)
{
    for (size_t i = unit->call_count; i > 0; i--)
        if (ends_with(unit->paths[i - 1], path)) return unit->bodies[i - 1];
    fail_msg("%s was never called", path);
    return NULL;
}

size_t fake_calls(const fake_unit *unit, const char *path)
{
    size_t count = 0;
    for (size_t i = 0; i < unit->call_count; i++)
        if (ends_with(unit->paths[i], path)) count++;
    return count;
}

void host_has_issuing_server(host_fixture *fixture)
{
    fixture->host.issuing_server = (kf_link){fake_call, &fixture->issuing, NULL};
    fixture->host.settings.numbers_from_issuing_server = true;
}

const char *read_text(host_fixture *fixture, const char *sql)
{
    static char text[1024];
    text[0] = '\0';
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(kf_database_query(fixture->database, sql, KF_NO_VALUES, &rows, &fixture->error), KF_OK);
    bool found = false;
    assert_int_equal(kf_rows_next(rows, &found, &fixture->error), KF_OK);
    if (found) (void)snprintf(text, sizeof text, "%s", kf_rows_text(rows, 0));
    return text;
}

int64_t read_integer(host_fixture *fixture, const char *sql)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    assert_int_equal(kf_database_query(fixture->database, sql, KF_NO_VALUES, &rows, &fixture->error), KF_OK);
    assert_int_equal(kf_rows_need(rows, sql, &fixture->error), KF_OK);
    return kf_rows_integer(rows, 0);
}

void run_sql(host_fixture *fixture, const char *sql)
{
    assert_int_equal(kf_database_execute_script(fixture->database, sql, &fixture->error), KF_OK);
}

json_t *json_of(const char *text)
{
    json_t *json = NULL;
    kf_error error = {KF_OK, ""};
    if (kf_json_parse(kf_view_of_text(text), &json, &error) != KF_OK)
        fail_msg("%s: %s", text, kf_error_text(&error));
    return json;
}

int64_t audit_rows(host_fixture *fixture)
{
    kf_audit_report report;
    assert_int_equal(kf_audit_verify(fixture->database, &report, &fixture->error), KF_OK);
    assert_true(report.intact);
    return report.rows;
}
