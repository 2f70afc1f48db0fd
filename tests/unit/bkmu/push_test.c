/* Push and pull between two units: real vaults, records, TLS; all in this process. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bkmu/bkmu.h"
#include "certificates.h"
#include "key_fixture.h"
#include "wire/json.h"

#define PAIR "bkmu-north"
#define PATIENCE_SECONDS 30

/* A unit: a vault served by a thread, its front's records, its HTTP server. */
typedef struct test_unit {
    test_vault vault;
    pthread_t server_thread;
    int vault_end;
    kf_front front;
    kf_http_server *server;
    test_identity identity;
    char database[160];
    char url[64];
    pthread_mutex_t lock;
    pthread_cond_t received;
    size_t calls; /* of the key management unit's key-blocks route */
} test_unit;

typedef struct two_units {
    test_certificates certificates;
    char ca[128];
    test_unit base;
    test_unit kmu;
    kf_bkmu bkmu;
    uint16_t kmu_port;
} two_units;

static uint64_t test_clock(void)
{
    return TEST_NOW_SECONDS * 1000;
}

static void *serve_vault(void *context)
{
    test_unit *unit = context;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_vault_serve(unit->vault.vault, unit->vault_end, &error);
    close(unit->vault_end);
    return code == KF_OK ? unit : NULL;
}

static void enter_transport(test_unit *unit)
{
    kf_error error = {KF_OK, ""};
    kf_key_act_answer answer;
    kf_key_entry entry = transport_entry(PAIR);
    assert_int_equal(
        test_import(&unit->vault, &entry, "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
                    "F0E1D2C3B4A5968778695A4B3C2D1E0FF0E1D2C3B4A5968778695A4B3C2D1E00", &answer, &error),
        KF_OK);
}

static void make_unit(two_units *units, test_unit *unit, kf_vault_unit kind, kf_peer_role role,
                      const char *name)
{
    kf_error error = {KF_OK, ""};
    int ends[2];
    test_vault_make(&unit->vault, kind);
    enter_transport(unit);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    unit->vault_end = ends[1];
    assert_int_equal(kf_vault_client_new(ends[0], &unit->front.vault, &error), KF_OK);
    /* The front tells it again, of a log that is empty. */
    unit->vault.vault->resumed = false;
    unit->vault.vault->last_receipt = 0;
    assert_int_equal(pthread_create(&unit->server_thread, NULL, serve_vault, unit), 0);
    unit->identity = test_identity_make(&units->certificates, &units->certificates.root, role, name);
    char path[128];
    test_path(&units->certificates, name, path);
    (void)snprintf(unit->database, sizeof unit->database, "sqlite:%s.db", path);
    unit->front.clock = test_clock;
    assert_int_equal(kf_database_open(unit->database, &unit->front.database, &error), KF_OK);
    assert_int_equal(kf_database_migrate(unit->front.database, &kf_audit_migrations, &error), KF_OK);
    assert_int_equal(kf_database_migrate(unit->front.database, &kf_key_peers_migrations, &error), KF_OK);
    assert_int_equal(kf_database_migrate(unit->front.database, &kf_bkmu_migrations, &error), KF_OK);
    assert_int_equal(kf_front_resume(&unit->front, &error), KF_OK);
    assert_int_equal(pthread_mutex_init(&unit->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&unit->received, NULL), 0);
}

static void remove_unit(test_unit *unit)
{
    void *result = NULL;
    kf_http_server_stop(&unit->server);
    kf_vault_client_free(&unit->front.vault);
    assert_int_equal(pthread_join(unit->server_thread, &result), 0);
    assert_non_null(result);
    kf_database_free(&unit->front.database);
    kf_front_log_free(&unit->front.log);
    test_vault_remove(&unit->vault);
    pthread_cond_destroy(&unit->received);
    pthread_mutex_destroy(&unit->lock);
}

static kf_code receive_blocks(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error)
{
    test_unit *unit = context;
    kf_code code = kf_key_exchange_receive(&unit->front, request, response, error);
    pthread_mutex_lock(&unit->lock);
    unit->calls++;
    pthread_cond_broadcast(&unit->received);
    pthread_mutex_unlock(&unit->lock);
    return code;
}

static const kf_http_route kmu_routes[] = {
    {"POST", "/v1/key-blocks", KF_PEER_BIT(KF_PEER_BKMU), KF_KEY_EXCHANGE_BODY_MAX, receive_blocks},
};

static void start_server(two_units *units, test_unit *unit, const kf_http_route *routes, size_t count,
                         void *context)
{
    kf_error error = {KF_OK, ""};
    kf_http_server_options options = {.port = unit == &units->kmu ? units->kmu_port : 0,
                                      .ca_file = units->ca,
                                      .certificate_file = unit->identity.certificate,
                                      .key_file = unit->identity.key,
                                      .routes = routes,
                                      .route_count = count,
                                      .context = context};
    assert_int_equal(kf_http_server_start(&options, &unit->server, &error), KF_OK);
    (void)snprintf(unit->url, sizeof unit->url, "https://127.0.0.1:%u", kf_http_server_port(unit->server));
}

static int make_units(void **state)
{
    two_units *units = calloc(1, sizeof *units);
    kf_error error = {KF_OK, ""};
    assert_non_null(units);
    test_certificates_make(&units->certificates);
    test_path(&units->certificates, "ca.pem", units->ca);
    char root_key[128];
    test_path(&units->certificates, "ca.key", root_key);
    assert_int_equal(kf_pki_pair_save(&units->certificates.root, units->ca, root_key, &error), KF_OK);
    make_unit(units, &units->base, KF_VAULT_BKMU, KF_PEER_BKMU, "central");
    make_unit(units, &units->kmu, KF_VAULT_KMU, KF_PEER_KMU, "north");
    units->bkmu = (kf_bkmu){
        .front = units->base.front,
        .identity = {units->ca, units->base.identity.certificate, units->base.identity.key},
    };
    start_server(units, &units->kmu, kmu_routes, 1, &units->kmu);
    units->kmu_port = kf_http_server_port(units->kmu.server);
    assert_int_equal(kf_pusher_new(&units->bkmu, &units->bkmu.pusher, &error), KF_OK);
    start_server(units, &units->base, kf_bkmu_routes, kf_bkmu_route_count, &units->bkmu);
    *state = units;
    return 0;
}

static int remove_units(void **state)
{
    two_units *units = *state;
    kf_pusher_free(&units->bkmu.pusher);
    remove_unit(&units->base);
    remove_unit(&units->kmu);
    test_certificates_remove(&units->certificates);
    free(units);
    return 0;
}

static void register_kmu(two_units *units)
{
    kf_error error = {KF_OK, ""};
    kf_kmu_row row = {.enabled = true, .name = "north", .pair = PAIR};
    (void)snprintf(row.url, sizeof row.url, "%s", units->kmu.url);
    assert_int_equal(kf_kmus_put(&units->bkmu.front, "officer:alice", &row, &error), KF_OK);
    assert_int_equal(kf_pusher_wake(units->bkmu.pusher, &error), KF_OK);
}

/* Through the vault's socket, as a front asks. */
static kf_kcv generate(two_units *units, const char *category)
{
    kf_error error = {KF_OK, ""};
    kf_key_act_request request = {
        .actor = {"officer:alice", ""}, .act = KF_KEY_GENERATE, .entry = payment_entry(category)};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_key_act_answer done;
    kf_key_act_request_put(&payload, &request);
    assert_int_equal(
        kf_front_ask(&units->bkmu.front, KF_VAULT_KEY_ACT, kf_buffer_view(&payload), &answer, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    assert_int_equal(kf_key_act_answer_take(&cursor, &done), KF_OK);
    assert_int_equal(kf_pusher_wake(units->bkmu.pusher, &error), KF_OK);
    return done.entry.kcv;
}

static bool kmu_has(two_units *units, const char *category, kf_kcv kcv)
{
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {.entries = NULL};
    assert_int_equal(kf_key_exchange_list(&units->kmu.front, &list, &error), KF_OK);
    for (size_t i = 0; i < list.count; i++)
        if (list.entries[i].purpose == KF_PURPOSE_PAYMENT &&
            strcmp(list.entries[i].category, category) == 0 &&
            memcmp(list.entries[i].kcv.bytes, kcv.bytes, KF_KCV_SIZE) == 0)
            return true;
    return false;
}

/* After each call to the key management unit looks again, until the key is there. */
static void wait_for_key(two_units *units, const char *category, kf_kcv kcv)
{
    struct timespec until;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += PATIENCE_SECONDS;
    pthread_mutex_lock(&units->kmu.lock);
    size_t seen = units->kmu.calls;
    while (!kmu_has(units, category, kcv)) {
        while (units->kmu.calls == seen)
            assert_int_equal(pthread_cond_timedwait(&units->kmu.received, &units->kmu.lock, &until), 0);
        seen = units->kmu.calls;
    }
    pthread_mutex_unlock(&units->kmu.lock);
}

static void a_key_is_at_the_other_unit_as_soon_as_it_is_made(void **state)
{
    two_units *units = *state;
    kf_kcv before = generate(units, "made-before");
    register_kmu(units);
    wait_for_key(units, "made-before", before);
    wait_for_key(units, "made-after", generate(units, "made-after"));
}

static void a_unit_that_was_away_catches_up_when_it_is_back(void **state)
{
    two_units *units = *state;
    kf_http_server_stop(&units->kmu.server);
    register_kmu(units);
    kf_kcv first = generate(units, "first");
    kf_kcv second = generate(units, "second");
    assert_false(kmu_has(units, "first", first));
    start_server(units, &units->kmu, kmu_routes, 1, &units->kmu);
    wait_for_key(units, "first", first);
    wait_for_key(units, "second", second);
}

static kf_http_client *client_of(two_units *units, const test_unit *unit, const char *url)
{
    kf_error error = {KF_OK, ""};
    kf_http_client *client = NULL;
    kf_http_client_options options = {.base_url = url,
                                      .ca_file = units->ca,
                                      .certificate_file = unit->identity.certificate,
                                      .key_file = unit->identity.key};
    assert_int_equal(kf_http_client_new(&options, &client, &error), KF_OK);
    return client;
}

static void a_pull_brings_everything_that_is_missing(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    kf_kcv kcvs[70];
    for (size_t i = 0; i < 70; i++) {
        char category[16];
        (void)snprintf(category, sizeof category, "c%zu", i);
        kcvs[i] = generate(units, category);
    }
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(units, &units->kmu, units->base.url);
    kf_key_source source = {client, "bkmu:central", PAIR, NULL};
    kf_vault_actor actor = {"kmu:start", ""};
    size_t count = 0;
    assert_int_equal(kf_key_exchange_pull(&units->kmu.front, &source, &actor, &count, &error),
                     KF_ERR_NOT_FOUND);
    kf_kmu_row row = {.enabled = true, .name = "north", .pair = PAIR, .url = "https://127.0.0.1:1"};
    assert_int_equal(kf_kmus_put(&units->bkmu.front, "officer:alice", &row, &error), KF_OK);
    assert_int_equal(kf_key_exchange_pull(&units->kmu.front, &source, &actor, &count, &error), KF_OK);
    assert_int_equal(count, 70);
    assert_true(kmu_has(units, "c0", kcvs[0]));
    assert_true(kmu_has(units, "c69", kcvs[69]));
    assert_int_equal(kf_key_exchange_pull(&units->kmu.front, &source, &actor, &count, &error), KF_OK);
    assert_int_equal(count, 0);
    assert_int_equal(kf_kmus_find(units->bkmu.front.database, "north", &row, &error), KF_OK);
    KF_CLEANUP(kf_key_list_clear) kf_key_list list = {.entries = NULL};
    assert_int_equal(kf_key_exchange_list(&units->bkmu.front, &list, &error), KF_OK);
    assert_int_equal(row.acknowledged, kf_bkmu_head(&list, row.pair));
}

static void a_disabled_unit_or_another_pair_gets_nothing(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    generate(units, "secret");
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(units, &units->kmu, units->base.url);
    kf_key_source source = {client, "bkmu:central", PAIR, NULL};
    kf_vault_actor actor = {"kmu:start", ""};
    size_t count = 0;
    kf_kmu_row row = {.enabled = false, .name = "north", .pair = PAIR, .url = "https://127.0.0.1:1"};
    assert_int_equal(kf_kmus_put(&units->bkmu.front, "officer:alice", &row, &error), KF_OK);
    assert_int_equal(kf_key_exchange_pull(&units->kmu.front, &source, &actor, &count, &error),
                     KF_ERR_FORBIDDEN);
    row.enabled = true;
    strcpy(row.pair, "another-pair");
    assert_int_equal(kf_kmus_put(&units->bkmu.front, "officer:alice", &row, &error), KF_OK);
    assert_int_equal(kf_key_exchange_pull(&units->kmu.front, &source, &actor, &count, &error), KF_ERR_FIELD);
}

static void each_side_shows_what_the_other_has(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    register_kmu(units);
    kf_kcv kcv = generate(units, "cn-north");
    wait_for_key(units, "cn-north", kcv);
    KF_CLEANUP(kf_http_client_free) kf_http_client *client = client_of(units, &units->kmu, units->base.url);
    kf_key_source source = {client, "bkmu:central", PAIR, NULL};
    kf_vault_actor actor = {"kmu:start", ""};
    size_t count = 0;
    assert_int_equal(kf_key_exchange_pull(&units->kmu.front, &source, &actor, &count, &error), KF_OK);
    const kf_front *fronts[2] = {&units->bkmu.front, &units->kmu.front};
    const char *const names[2] = {"kmu:north", "bkmu:central"};
    for (size_t i = 0; i < 2; i++) {
        KF_CLEANUP(kf_json_free)
        json_t *keys = json_pack("[{s:s, s:s, s:i, s:s}]", "purpose", "payment", "category", "cn-north",
                                 "version", 1, "kcv", kf_kcv_show(kcv).text);
        assert_int_equal(kf_key_peers_annotate(fronts[i]->database, keys, &error), KF_OK);
        json_t *peer = json_array_get(json_object_get(json_array_get(keys, 0), "peers"), 0);
        assert_non_null(peer);
        assert_string_equal(json_string_value(json_object_get(peer, "name")), names[i]);
        assert_string_equal(json_string_value(json_object_get(peer, "state")), "active");
        assert_true(json_is_true(json_object_get(peer, "same")));
    }
}

int main(void)
{
#define WITH_UNITS(test) cmocka_unit_test_setup_teardown(test, make_units, remove_units)
    const struct CMUnitTest tests[] = {
        WITH_UNITS(a_key_is_at_the_other_unit_as_soon_as_it_is_made),
        WITH_UNITS(a_unit_that_was_away_catches_up_when_it_is_back),
        WITH_UNITS(a_pull_brings_everything_that_is_missing),
        WITH_UNITS(a_disabled_unit_or_another_pair_gets_nothing),
        WITH_UNITS(each_side_shows_what_the_other_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
