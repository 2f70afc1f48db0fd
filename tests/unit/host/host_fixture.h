/* A host on a database of its own, with a clock that is set and a key management unit that is told what to
 * say. */
#ifndef TEST_HOST_FIXTURE_H
#define TEST_HOST_FIXTURE_H

#include "host/host.h"

#define FAKE_CALLS_MAX 64
#define START_MS 1800000000000 /* the clock's first time */

/* What the fake unit says to the next call whose path ends in `path`. */
typedef struct fake_answer {
    const char *path;
    kf_code code;
    const char *text; /* JSON, or the message of a failure */
} fake_answer;

typedef struct fake_unit {
    fake_answer answers[FAKE_CALLS_MAX];
    size_t answer_count;
    char paths[FAKE_CALLS_MAX][96];
    json_t *bodies[FAKE_CALLS_MAX];
    size_t call_count;
} fake_unit;

typedef struct host_fixture {
    char folder[64];
    kf_database *database;
    kf_host host;
    int64_t now_ms;
    fake_unit kmu;
    fake_unit issuing;
    kf_error error;
} host_fixture;

int host_set_up(void **state);
int host_tear_down(void **state);

/* Answers are used up in order among those of the same path; without one left: KF_ERR_UNREACHABLE. */
void fake_will_answer(fake_unit *unit, const char *path, const char *json);
void fake_will_fail(fake_unit *unit, const char *path, kf_code code, const char *message);
/* The last body that was sent to a path with this ending; asserts that there is one. */
const json_t *fake_last_body(const fake_unit *unit, const char *path);
size_t fake_calls(const fake_unit *unit, const char *path);
/* Lets the issuing server be one, played by host_fixture.issuing. */
void host_has_issuing_server(host_fixture *fixture);

/* A text of one row and column; "" for NULL or nothing. Static until the next call. */
const char *read_text(host_fixture *fixture, const char *sql);
int64_t read_integer(host_fixture *fixture, const char *sql);
void run_sql(host_fixture *fixture, const char *sql);
json_t *json_of(const char *text);
/* Asserts the whole audit chain and gives its length. */
int64_t audit_rows(host_fixture *fixture);

#endif
