/* A unit on loopback with real certificates, for the tests of both edges. */
#ifndef TEST_WIRE_HTTP_FIXTURE_H
#define TEST_WIRE_HTTP_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>

#include "certificates.h"
#include "wire/http_client.h"
#include "wire/http_server.h"
#include "wire/json.h"

#define DAY ((time_t)86400)
#define BODY_LIMIT 64

typedef struct fixture {
    test_certificates certificates;
    char ca[128];
    char foreign_ca[128];
    test_identity kmu;
    test_identity host;
    test_identity terminal;
    kf_http_server *server;
    atomic_bool disabled; /* host:h1 */
    atomic_int refused;
    atomic_int answered;
    atomic_long clock_offset;
    /* The slow route waits until it is let go. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting;
    int returned; /* slow calls that have their answer */
    bool let_go;
} fixture;

int fixture_set_up_group(void **state);
int fixture_tear_down_group(void **state);
int fixture_set_up(void **state);
int fixture_tear_down(void **state);
void fixture_start(fixture *state, const kf_http_server_options *options);
kf_http_server_options fixture_options_of(fixture *state);
kf_http_client *fixture_client_with(fixture *f, const test_identity *identity,
                                    kf_http_client_options options);
kf_http_client *fixture_client_of(fixture *f, const test_identity *identity);
kf_code fixture_call(kf_http_client *client, const char *method, const char *path, json_t **ret_json,
                     kf_error *error);
kf_code fixture_post(kf_http_client *client, const char *path, json_t *body, json_t **ret_json,
                     kf_error *error);
void fixture_assert_says(const kf_error *error, const char *part);
const char *fixture_text_in(const json_t *json, const char *member);
kf_code fixture_echo(void *context, const kf_http_request *request, kf_http_response *response,
                     kf_error *error);

#endif
