/* What goes wrong in the middle of a request: the card, the database, other requests, altered records. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "../vault/test_module.h"
#include "kmu/profiles.h"
#include "kmu_fixture.h"
#include "wire/json.h"
#include "wire/script_json.h"

/* The message that answers the contact of a fill. */
static char *contact_of_fill(world *made, const char *id)
{
    char *body = fill_body(id);
    reply first = begin(made, body);
    assert_reply(&first, KF_OK, "");
    char *message = message_for(made, first.text);
    reply_clear(&first);
    free(body);
    return message;
}

static void assert_failed(world *made, const char *id, const char *message, kf_code code, const char *because)
{
    char sql[160];
    char text[64];
    reply refused = tell(made, id, message);
    assert_reply(&refused, code, because);
    reply again = tell(made, id, message);
    assert_reply(&again, code, because);
    assert_string_equal(again.error.message, refused.error.message);
    reply shown = ask(made, kf_handle_request_show, id, NULL);
    assert_non_null(strstr(shown.text, "\"state\":\"failed\""));
    assert_non_null(strstr(shown.text, kf_code_name(code)));
    reply_clear(&shown);
    (void)snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM audit WHERE outcome = '%s' AND actor = '" ACTOR "'",
                   kf_code_name(code));
    assert_int_equal(number_of(made, sql), 1);
    (void)snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM cards WHERE request = '%s'", id);
    assert_int_equal(number_of(made, sql), 0);
    text_of(made, "SELECT outcome FROM audit ORDER BY seq DESC LIMIT 1", text, sizeof text);
    assert_string_equal(text, kf_code_name(code));
    reply over = tell(made, id, "{\"step\":1,\"attempt\":1,\"token\":\"AAAA\",\"answers\":[]}");
    assert_reply(&over, KF_ERR_CONFLICT, "is over (failed)");
}

static void a_card_removed_in_the_middle_ends_the_request_and_frees_the_card(void **state)
{
    world *made = *state;
    char *message = contact_of_fill(made, FIRST);
    reply second = tell(made, FIRST, message);
    assert_reply(&second, KF_OK, "");
    softcard_tear(made->bench.card, softcard_command_count(made->bench.card) + 2, false);
    char *torn = message_for(made, second.text);
    assert_failed(made, FIRST, torn, KF_ERR_CARD_REMOVED, "present the card again");
    card_insert(made);
    char *body = fill_body(SECOND);
    reply done = go_on(made, SECOND, begin(made, body));
    assert_reply(&done, KF_OK, "");
    assert_card_key(&made->bench, NUMBER, 1);
    reply_clear(&second);
    reply_clear(&done);
    free(message);
    free(torn);
    free(body);
}

/* What stopped the terminal stands in the answer and the audit rows, whichever it was. */
static void the_reason_for_a_missing_answer_is_the_terminals(void **state)
{
    world *made = *state;
    static const struct {
        const char *stopped;
        const char *outcome;
        const char *because;
    } cases[] = {{"card-removed", "KF_ERR_CARD_REMOVED", "the card was removed: there is no answer to "},
                 {"timeout", "KF_ERR_READER_TIMEOUT", "did not answer in time: there is no answer to "},
                 {"no-card", "KF_ERR_NO_CARD", "no card was in the reader any more: there is no answer to "},
                 {"reader", "KF_ERR_READER", "the reader failed: there is no answer to "}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[KF_REQUEST_ID_SIZE];
        char text[256];
        (void)snprintf(id, sizeof id, "%032zu", i + 1);
        card_insert(made);
        char *body = fill_body(id);
        reply first = begin(made, body);
        assert_reply(&first, KF_OK, "");
        KF_CLEANUP(kf_json_free) json_t *answer = NULL;
        assert_int_equal(kf_json_parse(kf_view_of_text(first.text), &answer, NULL), KF_OK);
        KF_CLEANUP(kf_json_free)
        json_t *message = json_pack("{s:i, s:i, s:O, s:[], s:s}", "step", 1, "attempt", 1, "token",
                                    json_object_get(answer, "token"), "answers", "stopped", cases[i].stopped);
        char *told = json_dumps(message, JSON_COMPACT);
        reply refused = tell(made, id, told);
        assert_reply(&refused, KF_ERR_CARD_REMOVED, cases[i].because);
        text_of(made, "SELECT detail FROM audit ORDER BY seq DESC LIMIT 1", text, sizeof text);
        assert_non_null(strstr(text, cases[i].because));
        text_of(made, "SELECT outcome FROM audit ORDER BY seq DESC LIMIT 1", text, sizeof text);
        assert_string_equal(text, cases[i].outcome);
        reply_clear(&first);
        free(body);
        free(told);
    }
}

static void a_foreign_card_is_refused_and_the_vault_says_so(void **state)
{
    world *made = *state;
    bench_set_card(&made->bench, &(card_choice){.published_keys = true});
    card_insert(made);
    char *message = contact_of_fill(made, FIRST);
    assert_failed(made, FIRST, message, KF_ERR_CRYPTOGRAM, "nothing was sent to it");
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM cards"), 0);
    free(message);
}

static void a_number_that_another_card_took_meanwhile_is_refused(void **state)
{
    world *made = *state;
    char *message = contact_of_fill(made, FIRST);
    execute(made, "INSERT INTO numbers (number, identity, last_generation, updated) "
                  "VALUES ('" NUMBER "', 'kdd:FF', 1, 0)");
    assert_failed(made, FIRST, message, KF_ERR_NUMBER_TAKEN, "belongs to card kdd:FF");
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM cards"), 0);
    free(message);
}

static void a_generation_that_the_number_had_on_another_card_meanwhile_is_not_given_again(void **state)
{
    world *made = *state;
    char *message = contact_of_fill(made, FIRST);
    execute(made, "INSERT INTO numbers (number, identity, last_generation, updated) "
                  "VALUES ('" NUMBER "', '', 4, 0)");
    assert_failed(made, FIRST, message, KF_ERR_CONFLICT, "generation 4");
    char *body = fill_body(SECOND);
    card_insert(made);
    reply done = go_on(made, SECOND, begin(made, body));
    assert_reply(&done, KF_OK, "");
    assert_card_key(&made->bench, NUMBER, 5);
    reply_clear(&done);
    free(message);
    free(body);
}

static void a_card_that_was_recorded_meanwhile_is_refused(void **state)
{
    world *made = *state;
    fill(made, FIRST);
    char *refill = request_body(SECOND, "refill", "");
    reply first = begin(made, refill);
    char *message = message_for(made, first.text);
    execute(made, "CREATE TRIGGER moved BEFORE UPDATE OF step ON requests BEGIN "
                  "UPDATE cards SET sequence = sequence + 1; END");
    reply refused = tell(made, SECOND, message);
    assert_reply(&refused, KF_ERR_CONFLICT, "by another request meanwhile");
    execute(made, "DROP TRIGGER moved");
    reply_clear(&first);
    free(message);
    free(refill);
}

/* Every table that a step writes refuses once; the same message goes through afterwards. */
static void a_database_that_refuses_gives_503_and_the_same_message_works_later(void **state)
{
    static const char *const refusals[] = {
        "CREATE TRIGGER refuse BEFORE UPDATE ON requests BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER refuse BEFORE INSERT ON request_answers BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN INSERT INTO nowhere VALUES (1); END",
        "CREATE TRIGGER refuse BEFORE UPDATE ON cards BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER refuse BEFORE INSERT ON cards BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER refuse BEFORE INSERT ON numbers BEGIN SELECT RAISE(ABORT, 'no'); END",
    };
    world *made = *state;
    char *body = fill_body(FIRST);
    reply answer = begin(made, body);
    unsigned refused_steps = 0;
    unsigned steps = 0;
    while (strstr(answer.text, "\"state\":\"continue\"") != NULL) {
        char *message = message_for(made, answer.text);
        for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
            execute(made, refusals[i]);
            reply refused = tell(made, FIRST, message);
            execute(made, "DROP TRIGGER refuse");
            if (refused.code == KF_OK) { /* a step that does not write there */
                assert_true(i >= 2);
                reply_clear(&refused);
                continue;
            }
            assert_reply(&refused, KF_ERR_STORE, "SQLite");
            assert_int_equal(kf_code_http_status(refused.code), 503);
            refused_steps++;
        }
        reply_clear(&answer);
        answer = tell(made, FIRST, message);
        assert_reply(&answer, KF_OK, "");
        free(message);
        assert_audit_whole(made);
        steps++;
    }
    assert_true(refused_steps >= 2 * steps + 4);
    assert_int_equal(number_of(made, "SELECT last_generation FROM numbers"), 1);
    assert_card_key(&made->bench, NUMBER, 1);
    reply_clear(&answer);
    free(body);
}

static void while_the_audit_log_refuses_the_vault_is_not_asked(void **state)
{
    world *made = *state;
    char *message = contact_of_fill(made, FIRST);
    int64_t rows = number_of(made, "SELECT COUNT(*) FROM audit");
    execute(made, "CREATE TRIGGER refuse BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END");
    for (unsigned i = 0; i < 5; i++) {
        reply refused = tell(made, FIRST, message);
        assert_reply(&refused, KF_ERR_STORE, "SQLite");
    }
    char *other = fill_body(SECOND);
    reply refused = begin(made, other);
    assert_reply(&refused, KF_ERR_STORE, "SQLite");
    execute(made, "DROP TRIGGER refuse");
    reply done = tell(made, FIRST, message);
    assert_reply(&done, KF_OK, "");
    /* One receipt of the refused try, one of the step. */
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM audit"), rows + 2);
    reply_clear(&done);
    free(other);
    free(message);
}

static void a_request_whose_beginning_the_database_refuses_begins_later(void **state)
{
    world *made = *state;
    char *body = fill_body(FIRST);
    execute(made, "CREATE TRIGGER refuse BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT, 'no'); END");
    reply refused = begin(made, body);
    assert_reply(&refused, KF_ERR_STORE, "SQLite");
    execute(made, "DROP TRIGGER refuse");
    reply first = begin(made, body);
    assert_reply(&first, KF_OK, "");
    reply_clear(&first);
    free(body);
}

static void a_refused_request_leaves_an_audit_row_and_may_be_tried_again(void **state)
{
    world *made = *state;
    char *refill = request_body(FIRST, "refill", "");
    reply refused = begin(made, refill);
    assert_reply(&refused, KF_ERR_CATEGORY, "no category");
    free(refill);
    refill = request_body(FIRST, "refill", ",\"category\":\"" CATEGORY "\"");
    refused = begin(made, refill);
    assert_reply(&refused, KF_ERR_STATE, "not on record");
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM audit WHERE action = 'request.refused' AND "
                                     "subject = '" FIRST "'"),
                     2);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM requests"), 0);
    free(refill);
    fill(made, FIRST);
}

static void a_record_that_was_altered_is_refused(void **state)
{
    world *made = *state;
    fill(made, FIRST);
    char *refill = request_body(SECOND, "refill", "");
    execute(made, "CREATE TABLE kept AS SELECT record FROM cards");
    execute(made, "UPDATE cards SET record = substr(record, 1, length(record) - 1) || x'00'");
    execute(made, "UPDATE cards SET record = CAST(record AS BLOB)");
    reply refused = begin(made, refill);
    assert_reply(&refused, KF_ERR_RECORD, "");
    execute(made, "UPDATE cards SET record = x'00'");
    refused = begin(made, refill);
    assert_reply(&refused, KF_ERR_RECORD, "damaged");
    execute(made, "UPDATE cards SET record = (SELECT record FROM kept)");
    reply done = go_on(made, SECOND, begin(made, refill));
    assert_reply(&done, KF_OK, "");
    reply_clear(&done);
    free(refill);
}

static void a_record_in_the_place_of_another_cards_is_refused(void **state)
{
    world *made = *state;
    fill(made, FIRST);
    execute(made, "UPDATE cards SET identity = 'kdd:00000000000000000000', iccid = '8986'");
    char *body = request_body(SECOND, "refill", ",\"category\":\"" CATEGORY "\"");
    char *kdd = strstr(body, KDD);
    memset(kdd, '0', strlen(KDD));
    reply refused = begin(made, body);
    assert_reply(&refused, KF_ERR_RECORD, "holds the record of card " IDENTITY);
    free(body);
}

/* What the front would check first, said to the vault by a front that does not. */
static void the_vault_itself_refuses_a_record_in_the_place_of_anothers(void **state)
{
    world *made = *state;
    fill(made, FIRST);
    char *refill = request_body(SECOND, "refill", "");
    reply first = begin(made, refill);
    char *text = message_for(made, first.text);
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer profile = KF_BUFFER_INIT;
    KF_CLEANUP(kf_card_row_clear) kf_card_row row = {0};
    KF_CLEANUP(kf_vault_answer_clear) kf_vault_answer answer = KF_VAULT_ANSWER_INIT;
    kf_error error = {KF_OK, ""};
    kf_advance_message message = {.actor = {ACTOR, SECOND}, .step = 1, .attempt = 1};
    assert_int_equal(kf_json_parse(kf_view_of_text(text), &json, &error), KF_OK);
    assert_int_equal(kf_json_base64url(json, "token", KF_PROCEDURE_STATE_MAX, &token, &error), KF_OK);
    assert_int_equal(kf_script_answers_from_json(json, &message.answers, &error), KF_OK);
    assert_int_equal(kf_profile_text(made->kmu.front.database, "test", &profile, &error), KF_OK);
    assert_int_equal(kf_card_by_identity(made->kmu.front.database, IDENTITY, &row, &error), KF_OK);
    message.token = kf_buffer_view(&token);
    message.profile = kf_buffer_view(&profile);
    message.record = kf_buffer_view(&row.sealed);
    (void)snprintf(message.looked_up, sizeof message.looked_up, "kdd:00000000000000000000");
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_advance_message_put(&payload, &message);
    assert_int_equal(kf_vault_call(made->kmu.front.vault, KF_VAULT_PROCEDURE_ADVANCE,
                                   kf_buffer_view(&payload), &answer, &error),
                     KF_ERR_RECORD);
    assert_non_null(strstr(error.message, "is that of card " IDENTITY));
    kf_script_answers_clear(&message.answers);
    reply_clear(&first);
    free(text);
    free(refill);
}

static void a_profile_replaced_between_messages_stops_the_request_before_the_card(void **state)
{
    world *made = *state;
    char *message = contact_of_fill(made, FIRST);
    execute(made, "UPDATE profiles SET text = text || '# another'");
    uint64_t commands = softcard_command_count(made->bench.card);
    reply refused = tell(made, FIRST, message);
    assert_reply(&refused, KF_ERR_TOKEN, "changed since the request began");
    assert_int_equal(softcard_command_count(made->bench.card), commands);
    execute(made, "DELETE FROM profiles");
    assert_failed(made, FIRST, message, KF_ERR_PROFILE, "there is no profile \"test\"");
    free(message);
}

/* Registers the module "m"; `package` is its AID. */
static void put_module(world *made, const char *package)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer body = KF_BUFFER_INIT;
    test_module_bytes(package, &bytes);
    kf_buffer_append_text(&body, "{\"content\":\"");
    kf_buffer_append_base64url(&body, kf_buffer_view(&bytes));
    kf_buffer_append_text(&body, "\"}");
    reply answer =
        ask_as(made, peer_of(KF_PEER_ADMINISTRATOR, "ada"), kf_handle_module_put, "m", kf_buffer_text(&body));
    assert_reply(&answer, KF_OK, "");
    assert_non_null(strstr(answer.text, package));
    reply_clear(&answer);
}

#define OTHER_PACKAGE "A00000006203010C02"
#define APP_LOAD ",\"module\":\"m\",\"category\":\"" CATEGORY "\""

static void a_module_is_loaded_listed_and_deleted(void **state)
{
    world *made = *state;
    put_module(made, TEST_MODULE_PACKAGE);
    char *load = request_body(FIRST, "app-load", APP_LOAD);
    reply done = go_on(made, FIRST, begin(made, load));
    assert_reply(&done, KF_OK, "");
    reply_clear(&done);
    card_insert(made);
    char *list = request_body(SECOND, "app-list", ",\"category\":\"" CATEGORY "\"");
    done = go_on(made, SECOND, begin(made, list));
    assert_reply(&done, KF_OK, "");
    assert_non_null(strstr(done.text, "\"aid\":\"" TEST_MODULE_PACKAGE "\",\"kind\":\"load-file\""));
    assert_non_null(strstr(done.text, "\"aid\":\"" TEST_MODULE_APPLET "\",\"kind\":\"application\""));
    reply_clear(&done);
    free(load);
    free(list);
}

static void a_module_replaced_or_altered_between_messages_is_refused(void **state)
{
    world *made = *state;
    put_module(made, TEST_MODULE_PACKAGE);
    char *load = request_body(FIRST, "app-load", APP_LOAD);
    reply first = begin(made, load);
    assert_reply(&first, KF_OK, "");
    char *message = message_for(made, first.text);
    put_module(made, OTHER_PACKAGE);
    reply refused = tell(made, FIRST, message);
    assert_reply(&refused, KF_ERR_MODULE, "its hash differs");
    refused = tell(made, FIRST, message);
    assert_reply(&refused, KF_ERR_MODULE, "its hash differs");
    reply_clear(&first);
    free(load);
    free(message);
}

static void a_module_whose_bytes_were_altered_is_refused_before_the_card(void **state)
{
    world *made = *state;
    put_module(made, OTHER_PACKAGE);
    execute(made, "CREATE TABLE kept AS SELECT content FROM modules");
    put_module(made, TEST_MODULE_PACKAGE);
    execute(made, "UPDATE modules SET content = (SELECT content FROM kept)");
    char *load = request_body(FIRST, "app-load", APP_LOAD);
    reply refused = begin(made, load);
    assert_reply(&refused, KF_ERR_MODULE, "its hash differs");
    execute(made, "UPDATE modules SET digest = x'00'");
    refused = begin(made, load);
    assert_reply(&refused, KF_ERR_STORE, "no hash");
    execute(made, "DELETE FROM modules");
    refused = begin(made, load);
    assert_reply(&refused, KF_ERR_MODULE, "there is no module \"m\"");
    free(load);
}

static void a_new_attempt_follows_the_profile_that_its_category_names_now(void **state)
{
    world *made = *state;
    char *body = fill_body(FIRST);
    reply first = begin(made, body);
    char *message = message_for(made, first.text);
    reply refused = tell(made, FIRST, message);
    assert_reply(&refused, KF_OK, "");
    reply_clear(&refused);
    execute(made, "UPDATE requests SET profile = 'gone'");
    card_insert(made);
    char *other = message_for(made, first.text);
    reply again = tell(made, FIRST, other);
    reply done = go_on(made, FIRST, again);
    assert_reply(&done, KF_OK, "");
    reply_clear(&first);
    reply_clear(&done);
    free(message);
    free(other);
    free(body);
}

static void a_request_row_that_was_damaged_is_told_as_such(void **state)
{
    world *made = *state;
    char *message = contact_of_fill(made, FIRST);
    execute(made, "UPDATE requests SET step = 70000");
    reply refused = tell(made, FIRST, message);
    assert_reply(&refused, KF_ERR_STORE, "is damaged in the database");
    execute(made, "UPDATE requests SET step = 1, body_digest = x'00'");
    refused = tell(made, FIRST, message);
    assert_reply(&refused, KF_ERR_STORE, "is damaged in the database");
    execute(made, "UPDATE requests SET step = 'one', body_digest = zeroblob(32)");
    refused = tell(made, FIRST, message);
    assert_reply(&refused, KF_ERR_STORE, "is damaged in the database");
    free(message);
}

static void the_key_list_is_mirrored(void **state)
{
    world *made = *state;
    kf_error error = {KF_OK, ""};
    char text[32];
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM base_keys WHERE purpose = 'payment'"), 1);
    text_of(made, "SELECT state FROM base_keys WHERE purpose = 'payment'", text, sizeof text);
    assert_string_equal(text, "active");
    int64_t count = number_of(made, "SELECT COUNT(*) FROM base_keys");
    execute(made, "DELETE FROM base_keys");
    execute(made, "CREATE TRIGGER refuse BEFORE INSERT ON base_keys WHEN NEW.purpose = 'payment' "
                  "BEGIN SELECT RAISE(ABORT, 'no'); END");
    assert_int_equal(kf_kmu_mirror_keys(&made->kmu, &error), KF_ERR_STORE);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM base_keys"), 0);
    execute(made, "DROP TRIGGER refuse");
    assert_int_equal(kf_kmu_mirror_keys(&made->kmu, &error), KF_OK);
    assert_int_equal(kf_kmu_mirror_keys(&made->kmu, &error), KF_OK);
    assert_int_equal(number_of(made, "SELECT COUNT(*) FROM base_keys"), count);
}

static void a_token_that_is_expired_or_anothers_does_not_end_the_request(void **state)
{
    world *made = *state;
    char *message = contact_of_fill(made, FIRST);
    reply refused = tell(made, FIRST, "{\"step\":1,\"attempt\":1,\"token\":\"AAAAAAAAAAAA\",\"answers\":[]}");
    assert_reply(&refused, KF_ERR_TOKEN, "is not one of this group's");
    reply second = tell(made, FIRST, message);
    assert_reply(&second, KF_OK, "");
    char *next = message_for(made, second.text);
    world_wait(11 * 60 * 1000);
    refused = tell(made, FIRST, next);
    assert_reply(&refused, KF_ERR_TOKEN, "has expired");
    reply_clear(&second);
    free(next);
    free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_card_removed_in_the_middle_ends_the_request_and_frees_the_card),
        IN_WORLD(the_reason_for_a_missing_answer_is_the_terminals),
        IN_WORLD(a_foreign_card_is_refused_and_the_vault_says_so),
        IN_WORLD(a_number_that_another_card_took_meanwhile_is_refused),
        IN_WORLD(a_generation_that_the_number_had_on_another_card_meanwhile_is_not_given_again),
        IN_WORLD(a_card_that_was_recorded_meanwhile_is_refused),
        IN_WORLD(a_database_that_refuses_gives_503_and_the_same_message_works_later),
        IN_WORLD(while_the_audit_log_refuses_the_vault_is_not_asked),
        IN_WORLD(a_request_whose_beginning_the_database_refuses_begins_later),
        IN_WORLD(a_refused_request_leaves_an_audit_row_and_may_be_tried_again),
        IN_WORLD(a_record_that_was_altered_is_refused),
        IN_WORLD(a_record_in_the_place_of_another_cards_is_refused),
        IN_WORLD(the_vault_itself_refuses_a_record_in_the_place_of_anothers),
        IN_WORLD(a_profile_replaced_between_messages_stops_the_request_before_the_card),
        IN_WORLD(a_module_is_loaded_listed_and_deleted),
        IN_WORLD(a_module_replaced_or_altered_between_messages_is_refused),
        IN_WORLD(a_module_whose_bytes_were_altered_is_refused_before_the_card),
        IN_WORLD(a_new_attempt_follows_the_profile_that_its_category_names_now),
        IN_WORLD(a_request_row_that_was_damaged_is_told_as_such),
        IN_WORLD(the_key_list_is_mirrored),
        IN_WORLD(a_token_that_is_expired_or_anothers_does_not_end_the_request),
    };
    return cmocka_run_group_tests_name("kmu/request_faults", tests, NULL, NULL);
}
