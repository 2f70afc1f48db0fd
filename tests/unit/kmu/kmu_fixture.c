#include "kmu_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "kmu/profiles.h"
#include "kmu/records.h"
#include "vault/key_peers.h"
#include "vault/proposal_store.h"
#include "vault/receipt.h"
#include "vault/vault.h"
#include "wire/json.h"
#include "wire/script_json.h"

#define PROFILE                                                                                              \
    "name: test\nissuer_domain: A000000151000000\nsecurity_level: 0x33\norder: key-first\n"                  \
    "domain:\n  aid: " DOMAIN_AID "\n  privileges: \"80\"\n  parameters: \"81020370\"\n"                     \
    "  key_version: 0x30\n  key_injection: put-key\n"                                                        \
    "  modules: [{load_file: A0000001515350, module: A000000151535041}]\n"

static atomic_uint_fast64_t now_ms;

static uint64_t test_clock(void)
{
    return atomic_load(&now_ms);
}

void world_wait(uint64_t milliseconds)
{
    atomic_fetch_add(&now_ms, milliseconds);
}

typedef struct serving {
    kf_vault *vault;
    int descriptor;
} serving;

static void *serve(void *context)
{
    serving *served = context;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_vault_serve(served->vault, served->descriptor, &error);
    if (code != KF_OK) (void)fprintf(stderr, "vault: %s\n", kf_error_text(&error));
    kf_descriptor_close(&served->descriptor);
    free(served);
    return NULL;
}

static void start_vault(world *made, int descriptor)
{
    kf_error error = {KF_OK, ""};
    serving *served = calloc(1, sizeof *served);
    assert_non_null(served);
    assert_int_equal(kf_vault_new(KF_VAULT_KMU, made->bench.keys, false, test_clock, &made->vault, &error),
                     KF_OK);
    *served = (serving){made->vault, descriptor};
    assert_int_equal(pthread_create(&made->vault_thread, NULL, serve, served), 0);
}

static void must(kf_code code, const kf_error *error)
{
    if (code != KF_OK) fail_msg("%s: %s", kf_code_name(code), kf_error_text(error));
}

static void put_text(world *made, kf_http_handler handler, const char *name, const char *text)
{
    KF_CLEANUP(kf_json_free) json_t *body = json_pack("{s:s}", "text", text);
    char *dumped = json_dumps(body, 0);
    reply answer = ask_as(made, peer_of(KF_PEER_ADMINISTRATOR, "ada"), handler, name, dumped);
    assert_reply(&answer, KF_OK, "");
    reply_clear(&answer);
    free(dumped);
}

static void open_records(world *made)
{
    kf_error error = {KF_OK, ""};
    char url[96];
    kf_front *front = &made->kmu.front;
    strcpy(made->folder, "/tmp/keyfill-kmu.XXXXXX");
    assert_non_null(mkdtemp(made->folder));
    (void)snprintf(url, sizeof url, "sqlite:%s/records.db", made->folder);
    must(kf_database_open(url, &front->database, &error), &error);
    must(kf_database_migrate(front->database, &kf_audit_migrations, &error), &error);
    must(kf_database_migrate(front->database, &kf_key_peers_migrations, &error), &error);
    must(kf_database_migrate(front->database, &kf_proposals_migrations, &error), &error);
    must(kf_database_migrate(front->database, &kf_kmu_migrations, &error), &error);
    must(kf_front_resume(front, &error), &error);
    must(kf_kmu_mirror_keys(&made->kmu, &error), &error);
    must(kf_categories_load(front->database, &made->kmu.categories, &error), &error);
}

void world_make(world *made)
{
    int ends[2];
    kf_error error = {KF_OK, ""};
    memset(made, 0, sizeof *made);
    atomic_store(&now_ms, TEST_NOW_SECONDS * 1000);
    bench_make(&made->bench, NULL, NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    start_vault(made, ends[1]);
    made->kmu.front.clock = test_clock;
    made->kmu.hosts_open = true;
    must(kf_kmu_init(&made->kmu, &error), &error);
    must(kf_vault_client_new(ends[0], &made->kmu.front.vault, &error), &error);
    open_records(made);
    put_text(made, kf_handle_profile_put, "test", PROFILE);
    put_text(made, kf_handle_category_put, CATEGORY,
             "name: " CATEGORY "\nprofile: test\nnumber: {prefixes: [\"86138\"]}\n");
    card_insert(made);
}

void world_remove(world *made)
{
    static const char *const files[] = {"records.db", "records.db-wal", "records.db-shm"};
    kf_vault_client_free(&made->kmu.front.vault);
    assert_int_equal(pthread_join(made->vault_thread, NULL), 0);
    kf_vault_free(&made->vault);
    made->bench.keys = NULL; /* they were the vault's */
    kf_categories_free(&made->kmu.categories);
    kf_database_free(&made->kmu.front.database);
    kf_kmu_end(&made->kmu);
    bench_remove(&made->bench);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%s", made->folder, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(made->folder), 0);
}

int world_set_up(void **state)
{
    world *made = calloc(1, sizeof *made);
    assert_non_null(made);
    world_make(made);
    *state = made;
    return 0;
}

int world_tear_down(void **state)
{
    world *made = *state;
    assert_audit_whole(made);
    world_remove(made);
    free(made);
    return 0;
}

/* -- calls -- */

kf_peer peer_of(kf_peer_role role, const char *name)
{
    kf_peer peer = {.role = role};
    (void)snprintf(peer.name, sizeof peer.name, "%s", name);
    return peer;
}

void reply_clear(reply *answer)
{
    free(answer->text);
    answer->text = NULL;
}

reply ask_as(world *made, kf_peer caller, kf_http_handler handler, const char *parameter, const char *body)
{
    kf_http_request request = {
        .caller = &caller,
        .method = "POST",
        .path = "/",
        .path_parameters = {{"id", parameter}, {"name", parameter}},
        .path_parameter_count = 2,
        .body = body != NULL ? kf_view_of_text(body) : kf_view_of(NULL, 0),
    };
    kf_http_response response = {0};
    reply answer = {.code = KF_OK};
    if (body != NULL) must(kf_json_parse(request.body, &request.json, &answer.error), &answer.error);
    answer.code = handler(&made->kmu, &request, &response, &answer.error);
    if (answer.code != KF_OK) (void)kf_fail_plain(&answer.error, answer.code);
    if (answer.code == KF_OK && response.json != NULL) answer.text = json_dumps(response.json, JSON_COMPACT);
    if (answer.code == KF_OK && response.json == NULL)
        answer.text = kf_text_of_view(kf_buffer_view(&response.body));
    if (answer.code != KF_OK) assert_int_equal(response.body.size, 0);
    kf_json_free(&response.json);
    kf_json_free(&request.json);
    kf_buffer_clear(&response.body);
    return answer;
}

reply ask(world *made, kf_http_handler handler, const char *parameter, const char *body)
{
    return ask_as(made, peer_of(KF_PEER_HOST, HOST), handler, parameter, body);
}

void assert_reply(const reply *answer, kf_code code, const char *because)
{
    if (answer->code != code)
        fail_msg("%s instead of %s: %s", kf_code_name(answer->code), kf_code_name(code),
                 kf_error_text(&answer->error));
    if (code != KF_OK && strstr(answer->error.message, because) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", answer->error.message, because);
}

/* -- requests -- */

char *request_body(const char *id, const char *operation, const char *more)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_format(&text,
                     "{\"id\":\"%s\",\"operation\":\"%s\",\"terminal\":\"" TERMINAL "\","
                     "\"card\":{\"iccid\":\"" ICCID "\",\"diversification_data\":\"CF0A" KDD "\"}%s}",
                     id, operation, more);
    char *body = kf_text_of_view(kf_buffer_view(&text));
    assert_non_null(body);
    return body;
}

char *fill_body(const char *id)
{
    return request_body(id, "fill", ",\"number\":\"" NUMBER "\"");
}

void card_insert(world *made)
{
    softcard_power_off(made->bench.card);
    softcard_power_on(made->bench.card);
}

static void follow(world *made, const kf_script *script, kf_script_answers *answers)
{
    size_t index = 0;
    while (index < script->count) {
        const kf_script_entry *entry = &script->entries[index];
        KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
        kf_view command = kf_view_of(entry->command, entry->command_size);
        if (softcard_transmit(made->bench.card, command, &response) != KF_OK) return;
        assert_int_equal(kf_script_answers_append(answers, (uint16_t)index, kf_buffer_view(&response)),
                         KF_OK);
        uint16_t status = kf_script_answer_status_word(&answers->items[answers->count - 1]);
        if (kf_script_follow(script, index, status, &index) != KF_OK) return;
    }
}

static json_t *parsed(const char *text)
{
    json_t *json = NULL;
    kf_error error = {KF_OK, ""};
    must(kf_json_parse(kf_view_of_text(text), &json, &error), &error);
    return json;
}

char *message_for(world *made, const char *answer)
{
    KF_CLEANUP(kf_json_free) json_t *given = parsed(answer);
    KF_CLEANUP(kf_json_free) json_t *message = json_object();
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    KF_CLEANUP(kf_script_answers_clear) kf_script_answers answers = {0};
    kf_error error = {KF_OK, ""};
    must(kf_script_from_json(given, &script, &error), &error);
    follow(made, &script, &answers);
    static const char *const members[] = {"step", "attempt", "token"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(json_object_set(message, members[i], json_object_get(given, members[i])), 0);
    assert_int_equal(kf_script_answers_to_json(&answers, message), KF_OK);
    return json_dumps(message, JSON_COMPACT);
}

char *text_of_answer(const char *answer, const char *member)
{
    KF_CLEANUP(kf_json_free) json_t *given = parsed(answer);
    const char *text = json_string_value(json_object_get(given, member));
    return text != NULL ? strdup(text) : NULL;
}

int64_t integer_of_answer(const char *answer, const char *member)
{
    KF_CLEANUP(kf_json_free) json_t *given = parsed(answer);
    return json_integer_value(json_object_get(given, member));
}

reply begin(world *made, const char *body)
{
    return ask(made, kf_handle_request_begin, "", body);
}

reply tell(world *made, const char *id, const char *message)
{
    return ask(made, kf_handle_request_message, id, message);
}

static bool is_over(const reply *answer)
{
    return answer->code != KF_OK || strstr(answer->text, "\"state\":\"done\"") != NULL;
}

reply go_on(world *made, const char *id, reply first)
{
    reply answer = first;
    for (unsigned steps = 0; !is_over(&answer); steps++) {
        assert_true(steps < 20);
        char *message = message_for(made, answer.text);
        reply_clear(&answer);
        answer = tell(made, id, message);
        free(message);
    }
    return answer;
}

void fill(world *made, const char *id)
{
    char *body = fill_body(id);
    reply answer = go_on(made, id, begin(made, body));
    assert_reply(&answer, KF_OK, "");
    assert_card_key(&made->bench, NUMBER, 1);
    reply_clear(&answer);
    free(body);
    card_insert(made);
}

/* -- records -- */

void execute(world *made, const char *sql)
{
    kf_error error = {KF_OK, ""};
    must(kf_database_execute_script(made->kmu.front.database, sql, &error), &error);
}

static kf_rows *only_row(world *made, const char *sql)
{
    kf_error error = {KF_OK, ""};
    kf_rows *rows = NULL;
    must(kf_database_query(made->kmu.front.database, sql, KF_NO_VALUES, &rows, &error), &error);
    must(kf_rows_need(rows, sql, &error), &error);
    return rows;
}

int64_t number_of(world *made, const char *sql)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = only_row(made, sql);
    int64_t number = kf_rows_integer(rows, 0);
    assert_int_equal(kf_rows_status(rows, NULL), KF_OK);
    return number;
}

void text_of(world *made, const char *sql, char *ret_text, size_t size)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = only_row(made, sql);
    (void)snprintf(ret_text, size, "%s", kf_rows_text(rows, 0));
    assert_int_equal(kf_rows_status(rows, NULL), KF_OK);
}

static uint64_t last_receipt(world *made)
{
    static const uint8_t version = KF_MESSAGE_VERSION;
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_error error = {KF_OK, ""};
    kf_vault_status status;
    must(kf_vault_call(made->kmu.front.vault, KF_VAULT_STATUS, kf_view_of(&version, 1), &answer, &error),
         &error);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer.payload));
    assert_int_equal(kf_vault_status_take(&cursor, &status), KF_OK);
    return status.last_receipt;
}

void assert_audit_whole(world *made)
{
    bool there[256] = {false};
    kf_error error = {KF_OK, ""};
    kf_audit_report report;
    must(kf_audit_verify(made->kmu.front.database, &report, &error), &error);
    assert_true(report.intact);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    must(
        kf_database_query(made->kmu.front.database, "SELECT receipt FROM audit", KF_NO_VALUES, &rows, &error),
        &error);
    uint64_t count = 0;
    bool row = false;
    for (must(kf_rows_next(rows, &row, &error), &error); row;
         must(kf_rows_next(rows, &row, &error), &error)) {
        kf_receipt receipt;
        kf_view bytes = kf_rows_blob(rows, 0);
        if (bytes.size == 0) continue;
        assert_int_equal(kf_receipt_decode(bytes, &receipt), KF_OK);
        assert_true(receipt.number < sizeof there);
        assert_false(there[receipt.number]);
        there[receipt.number] = true;
        count++;
    }
    assert_int_equal(count, last_receipt(made));
}
