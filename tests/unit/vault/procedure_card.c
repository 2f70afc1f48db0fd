#include "procedure_card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "softcard/blueprint.h"
#include "softcard/registry.h"
#include "vault/procedure_plan.h"
#include "vault/sealed_token.h"

/* -- card -- */

static kf_code save(void *context, kf_view state)
{
    test_bench *bench = context;
    kf_buffer_truncate(&bench->saved, 0);
    kf_buffer_append(&bench->saved, state);
    return kf_buffer_status(&bench->saved);
}

static kf_code take_random(void *context, uint8_t *ret_bytes, size_t size)
{
    test_bench *bench = context;
    memset(ret_bytes, bench->next_random++, size);
    return KF_OK;
}

static void set(char **place, const char *text)
{
    assert_int_equal(softcard_blueprint_set(place, text), KF_OK);
}

static void add_domain(softcard_blueprint *blueprint, const card_choice *choice)
{
    blueprint->domains = calloc(1, sizeof *blueprint->domains);
    assert_non_null(blueprint->domains);
    blueprint->domains_count = 1;
    set(&blueprint->domains->aid, DOMAIN_AID);
    if (choice->factory_keys) {
        set(&blueprint->domains->master_key, FACTORY_KEY);
        set(&blueprint->domains->diversification, MAKER_TEMPLATE);
    }
    if (choice->domain_keys != NULL) {
        set(&blueprint->domains->keys, choice->domain_keys);
        set(&blueprint->domains->key_version, "30");
    }
}

static softcard_blueprint *blueprint_of(const card_choice *choice)
{
    softcard_blueprint *blueprint = NULL;
    assert_int_equal(softcard_blueprint_new(&blueprint), KF_OK);
    set(&blueprint->iccid, ICCID);
    set(&blueprint->imsi, "460001234567890");
    set(&blueprint->kdd, choice->kdd != NULL ? choice->kdd : KDD);
    if (choice->parameter != NULL) set(&blueprint->parameter, choice->parameter);
    if (!choice->no_adm) {
        set(&blueprint->adm1_master_key, ADM_KEY);
        set(&blueprint->adm1_diversification, MAKER_TEMPLATE);
    }
    blueprint->issuer = calloc(1, sizeof *blueprint->issuer);
    assert_non_null(blueprint->issuer);
    blueprint->issuer->published_test_keys = choice->published_keys;
    if (!choice->published_keys) {
        set(&blueprint->issuer->master_key, MASTER_KEY);
        set(&blueprint->issuer->diversification, MAKER_TEMPLATE);
    }
    if (choice->preloaded) add_domain(blueprint, choice);
    return blueprint;
}

static void add_applet(softcard_state *state, unsigned index)
{
    softcard_application *applet = softcard_application_add(state);
    assert_non_null(applet);
    softcard_aid aid = {8, {0}};
    assert_int_equal(kf_hex_decode(APPLET_AID, aid.bytes, aid.size), KF_OK);
    aid.bytes[7] = (uint8_t)(aid.bytes[7] + index);
    applet->aid = aid;
    applet->load_file = softcard_applet_load_file;
    applet->module = softcard_applet_module;
    applet->domain = state->applications[0].aid;
    applet->kind = SOFTCARD_APPLET;
    applet->life_cycle = SOFTCARD_SELECTABLE;
}

static void open_card(test_bench *bench)
{
    kf_error error = {0};
    softcard_environment environment = {save, take_random, bench};
    softcard_free(&bench->card);
    if (softcard_open(kf_buffer_view(&bench->saved), environment, &bench->card, &error) != KF_OK)
        fail_msg("%s", error.message);
}

void bench_set_card(test_bench *bench, const card_choice *choice)
{
    static const card_choice usual;
    if (choice == NULL) choice = &usual;
    kf_error error = {0};
    softcard_blueprint *blueprint = blueprint_of(choice);
    softcard_state *state = NULL;
    if (softcard_provision(blueprint, &state, &error) != KF_OK) fail_msg("%s", error.message);
    for (unsigned i = 0; i < choice->applets; i++)
        add_applet(state, i);
    kf_buffer_truncate(&bench->saved, 0);
    assert_int_equal(softcard_state_write(state, &bench->saved), KF_OK);
    softcard_state_free(&state);
    softcard_blueprint_free(&blueprint);
    open_card(bench);
}

/* -- keys and profile -- */

const kf_key_entry *bench_add_key(test_bench *bench, kf_key_purpose purpose, const char *category,
                                  const char *template, const char *key)
{
    kf_error error = {0};
    kf_key_entry entry = {.purpose = purpose, .algorithm = KF_AES, .state = KF_KEY_ACTIVE};
    (void)snprintf(entry.category, sizeof entry.category, "%s", category);
    (void)snprintf(entry.policy.diversification, sizeof entry.policy.diversification, "%s", template);
    KF_CLEANUP(kf_secret_free) kf_secret *secret = NULL;
    assert_int_equal(kf_hex_decode_secret(key, &secret), KF_OK);
    entry.size = kf_secret_size(secret);
    const kf_key_entry *added = NULL;
    if (kf_key_store_add(bench->keys, &entry, secret, TEST_NOW_SECONDS, &added, &error) != KF_OK)
        fail_msg("%s", error.message);
    return added;
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text != NULL ? text : otherwise;
}

kf_code profile_of_choice(const profile_choice *choice, kf_profile *ret_profile, kf_error *error)
{
    static const profile_choice usual;
    if (choice == NULL) choice = &usual;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_format(&text,
                     "name: test\nissuer_domain: A000000151000000\nsecurity_level: %s\norder: %s\n"
                     "domain:\n  aid: " DOMAIN_AID "\n  privileges: \"80\"\n  parameters: \"%s\"\n"
                     "  key_version: %s\n  key_size: %s\n  key_injection: %s\n  modules: %s\n",
                     or_else(choice->level, "0x33"), or_else(choice->order, "key-first"),
                     or_else(choice->parameters, "81020370"), or_else(choice->key_version, "0x30"),
                     or_else(choice->key_size, "16"), or_else(choice->injection, "put-key"),
                     or_else(choice->modules, "[{load_file: A0000001515350, module: A000000151535041}]"));
    if (choice->preloaded != NULL) kf_buffer_format(&text, "  preloaded_base_key: %s\n", choice->preloaded);
    if (choice->fields != NULL) kf_buffer_format(&text, "personalisation: %s\n", choice->fields);
    return kf_profile_parse(kf_buffer_view(&text), ret_profile, error);
}

void bench_set_profile(test_bench *bench, const profile_choice *profile)
{
    kf_error error = {0};
    if (profile_of_choice(profile, &bench->profile, &error) != KF_OK) fail_msg("%s", error.message);
}

void bench_make(test_bench *bench, const profile_choice *profile, const card_choice *card)
{
    kf_error error = {0};
    memset(bench, 0, sizeof *bench);
    bench->now = TEST_NOW_SECONDS * 1000;
    key_folder_make(&bench->folder);
    if (open_store(&bench->folder, "a passphrase", &bench->keys, &error) != KF_OK)
        fail_msg("%s", error.message);
    (void)bench_add_key(bench, KF_PURPOSE_CARD_MANAGER, KF_CATEGORY_DEFAULT, MAKER_TEMPLATE, MASTER_KEY);
    (void)bench_add_key(bench, KF_PURPOSE_CARD_MANAGER, "factory", MAKER_TEMPLATE, FACTORY_KEY);
    (void)bench_add_key(bench, KF_PURPOSE_ADM, KF_CATEGORY_DEFAULT, MAKER_TEMPLATE, ADM_KEY);
    (void)bench_add_key(bench, KF_PURPOSE_PAYMENT, CATEGORY, PAYMENT_TEMPLATE, PAYMENT_KEY);
    bench_set_profile(bench, profile);
    bench_set_card(bench, card);
}

void bench_remove(test_bench *bench)
{
    softcard_free(&bench->card);
    kf_buffer_clear(&bench->saved);
    kf_buffer_clear(&bench->seen);
    kf_buffer_clear(&bench->labels);
    kf_cap_file_free(&bench->module);
    kf_key_store_free(&bench->keys);
    key_folder_remove(&bench->folder);
}

/* -- requests -- */

kf_procedure_request request_of(kf_operation operation)
{
    kf_procedure_request request = {
        .actor = {"host:counter", "00112233445566778899aabbccddeeff"},
        .attempt = 1,
        .terminal = "till-1",
        .operation = operation,
        .category = CATEGORY,
        .iccid = ICCID,
    };
    if (operation == KF_OPERATION_FILL) (void)snprintf(request.number, sizeof request.number, NUMBER);
    return request;
}

void request_field(kf_procedure_request *request, const char *name, const char *value)
{
    assert_int_equal(kf_named_values_set(&request->personalisation, name, value, NULL), KF_OK);
}

kf_procedure_context bench_context(test_bench *bench)
{
    kf_procedure_context context = {
        .keys = bench->keys,
        .now = bench->now,
        .development = bench->development,
        .profile = &bench->profile,
        .module = bench->module,
    };
    memset(context.fresh[0], bench->next_fresh, KF_HOST_CHALLENGE_SIZE);
    memset(context.fresh[1], bench->next_fresh + 1, KF_HOST_CHALLENGE_SIZE);
    bench->next_fresh = (uint8_t)(bench->next_fresh + 2);
    return context;
}

/* Sends one command; false where there is no response any more. */
static bool exchange(test_bench *bench, const kf_script_entry *entry, kf_buffer *response)
{
    kf_view command = kf_view_of(entry->command, entry->command_size);
    bench->sent++;
    kf_buffer_format(&bench->labels, "%s\n", entry->label);
    kf_buffer_append(&bench->seen, command);
    if (bench->sent == bench->refuse_at) {
        kf_buffer_append_u16(response, bench->refusal);
        return true;
    }
    if (bench->tear_label != NULL && strcmp(bench->tear_label, entry->label) == 0)
        softcard_tear(bench->card, softcard_command_count(bench->card) + 1, true);
    if (softcard_transmit(bench->card, command, response) != KF_OK) return false;
    kf_buffer_append(&bench->seen, kf_buffer_view(response));
    return true;
}

/* As a terminal does, without understanding. */
void bench_follow(test_bench *bench, const kf_script *script, kf_script_answers *answers)
{
    size_t index = 0;
    assert_int_equal(kf_script_check(script, NULL), KF_OK);
    while (index < script->count) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
        if (!exchange(bench, &script->entries[index], &response)) return;
        assert_int_equal(kf_script_answers_append(answers, (uint16_t)index, kf_buffer_view(&response)),
                         KF_OK);
        uint16_t status = kf_script_answer_status_word(&answers->items[answers->count - 1]);
        if (kf_script_follow(script, index, status, &index) != KF_OK) return;
    }
}

static void encode(const kf_procedure_state *state, kf_buffer *bytes)
{
    kf_procedure_state_encode(state, bytes);
    assert_int_equal(kf_buffer_status(bytes), KF_OK);
}

/* The state as another unit of the group gets it. */
static void through_token(test_bench *bench, kf_procedure_state *state)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    kf_error error = {0};
    kf_vault_actor actor = state->request.actor;
    assert_int_equal(kf_token_seal(bench->keys, state, &token), KF_OK);
    kf_procedure_state_clear(state);
    if (kf_token_open(bench->keys, &actor, kf_buffer_view(&token), bench->now, state, &error) != KF_OK)
        fail_msg("%s", error.message);
}

static void make_durable(test_bench *bench, const kf_procedure_state *state)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    const kf_secret *key = kf_key_store_record_key(bench->keys);
    uint64_t before = bench->has_record ? bench->record.sequence : 0;
    assert_int_equal(kf_card_record_seal(&state->record, key, &sealed), KF_OK);
    assert_true(sealed.size <= KF_CARD_RECORD_MAX);
    assert_int_equal(kf_card_record_open(kf_buffer_view(&sealed), key, &bench->record), KF_OK);
    assert_int_equal(bench->record.sequence, before + 1);
    bench->has_record = true;
}

/* One step, twice: the same answers give the same bytes. A failure leaves the state as it was. */
static kf_code step(test_bench *bench, kf_procedure_state *state, const kf_procedure_answers *answers,
                    kf_procedure_result *ret_result, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer before = KF_BUFFER_INIT;
    encode(state, &before);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&before));
    kf_procedure_state twin = {0};
    kf_procedure_result twin_result = {0};
    assert_int_equal(kf_procedure_state_decode(&cursor, &twin), KF_OK);
    kf_procedure_context context = bench_context(bench);
    kf_code code = kf_procedure_advance(&context, state, answers, ret_result, error);
    kf_code twin_code = kf_procedure_advance(&context, &twin, answers, &twin_result, NULL);
    assert_int_equal(code, twin_code);
    KF_CLEANUP(kf_buffer_clear) kf_buffer after = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer twin_after = KF_BUFFER_INIT;
    encode(state, &after);
    encode(&twin, &twin_after);
    assert_true(kf_view_equal(kf_buffer_view(&after), kf_buffer_view(&twin_after)));
    bool moved = code == KF_OK && ret_result->outcome != KF_PROCEDURE_NEED_RECORD;
    if (!moved) assert_true(kf_view_equal(kf_buffer_view(&before), kf_buffer_view(&after)));
    if (code == KF_OK) {
        kf_buffer_truncate(&after, 0);
        kf_buffer_truncate(&twin_after, 0);
        kf_script_encode(&ret_result->script, &after);
        kf_script_encode(&twin_result.script, &twin_after);
        assert_true(kf_view_equal(kf_buffer_view(&after), kf_buffer_view(&twin_after)));
    }
    kf_procedure_result_clear(&twin_result);
    kf_procedure_state_clear(&twin);
    return code;
}

/* Gives the record of the identity that was asked for. */
static kf_code advance(test_bench *bench, kf_procedure_state *state, kf_script_answers *answers,
                       kf_procedure_result *ret_result, kf_error *error)
{
    kf_procedure_answers given = {.answers = answers};
    if (state->record.identity[0] != '\0') {
        memcpy(given.looked_up, state->record.identity, sizeof given.looked_up);
        given.record = bench->has_record ? &bench->record : NULL;
    }
    KF_TRY(step(bench, state, &given, ret_result, error));
    if (ret_result->outcome != KF_PROCEDURE_NEED_RECORD) return KF_OK;
    memcpy(given.looked_up, ret_result->identity, sizeof given.looked_up);
    if (bench->lookup != NULL) {
        bench->record = *bench->lookup;
        bench->has_record = true;
    }
    bool known =
        bench->lookup_lies || (bench->has_record && strcmp(bench->record.identity, given.looked_up) == 0);
    given.record = known ? &bench->record : NULL;
    kf_procedure_result_clear(ret_result);
    return step(bench, state, &given, ret_result, error);
}

static kf_code run_steps(test_bench *bench, const kf_procedure_request *request, test_outcome *outcome)
{
    kf_procedure_context context = bench_context(bench);
    KF_TRY(kf_procedure_begin(&context, request, bench->has_record ? &bench->record : NULL, &outcome->state,
                              &outcome->result, &outcome->error));
    for (bench->messages = 1; outcome->result.outcome == KF_PROCEDURE_CONTINUE; bench->messages++) {
        KF_CLEANUP(kf_script_answers_clear) kf_script_answers answers = {0};
        assert_true(bench->messages < 100);
        through_token(bench, &outcome->state);
        bench_follow(bench, &outcome->result.script, &answers);
        if (bench->messages == 1) bench->in_contact = bench->sent;
        if (bench->alter != NULL)
            bench->alter(bench, (unsigned)bench->messages, &outcome->result.script, &answers);
        kf_procedure_result_clear(&outcome->result);
        KF_TRY(advance(bench, &outcome->state, &answers, &outcome->result, &outcome->error));
        if (outcome->result.record_changed) make_durable(bench, &outcome->state);
    }
    return KF_OK;
}

void bench_power_on(test_bench *bench)
{
    kf_buffer_truncate(&bench->seen, 0);
    kf_buffer_truncate(&bench->labels, 0);
    bench->sent = 0;
    bench->in_contact = 0;
    open_card(bench);
    softcard_power_on(bench->card);
}

test_outcome run(test_bench *bench, const kf_procedure_request *request)
{
    test_outcome outcome = {0};
    bench_power_on(bench);
    if (bench->tear_at != 0) softcard_tear(bench->card, bench->tear_at, bench->tear_after);
    outcome.code = run_steps(bench, request, &outcome);
    if (outcome.code != KF_OK) {
        assert_int_equal(outcome.error.code, outcome.code);
        assert_true(outcome.error.message[0] != '\0');
    }
    softcard_power_off(bench->card);
    bench->tear_at = 0;
    bench->refuse_at = 0;
    bench->alter = NULL;
    bench->tear_label = NULL;
    bench->lookup = NULL;
    bench->lookup_lies = false;
    return outcome;
}

void outcome_clear(test_outcome *outcome)
{
    kf_procedure_result_clear(&outcome->result);
    kf_procedure_state_clear(&outcome->state);
}

void assert_done(test_bench *bench, const kf_procedure_request *request)
{
    test_outcome outcome = run(bench, request);
    if (outcome.code != KF_OK) fail_msg("%s\n%s", outcome.error.message, kf_buffer_text(&bench->labels));
    outcome_clear(&outcome);
}

void assert_done_text(test_bench *bench, const kf_procedure_request *request, const char *text,
                      unsigned messages)
{
    test_outcome outcome = run(bench, request);
    if (outcome.code != KF_OK) fail_msg("%s\n%s", outcome.error.message, kf_buffer_text(&bench->labels));
    if (strstr(outcome.result.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", outcome.result.text, text);
    assert_int_equal(bench->messages, messages);
    assert_int_equal(outcome.state.round_trips, messages);
    assert_int_equal(outcome.state.apdus, bench->sent);
    assert_string_equal(outcome.result.identity, IDENTITY);
    outcome_clear(&outcome);
}

void assert_refused(test_bench *bench, const kf_procedure_request *request, kf_code code, const char *because)
{
    test_outcome outcome = run(bench, request);
    if (outcome.code != code)
        fail_msg("%d instead of %d: %s\n%s", outcome.code, code, outcome.error.message,
                 kf_buffer_text(&bench->labels));
    if (strstr(outcome.error.message, because) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", outcome.error.message, because);
    outcome_clear(&outcome);
}

void fill_card(test_bench *bench)
{
    kf_procedure_request request = request_of(KF_OPERATION_FILL);
    assert_done(bench, &request);
}

/* -- what the card holds -- */

softcard_state *card_state(const test_bench *bench)
{
    softcard_state *state = NULL;
    assert_int_equal(softcard_state_read(kf_buffer_view(&bench->saved), &state, NULL), KF_OK);
    return state;
}

static softcard_application *find(softcard_state *state, const char *digits)
{
    softcard_aid aid = {.size = (uint8_t)(strlen(digits) / 2)};
    assert_int_equal(kf_hex_decode(digits, aid.bytes, aid.size), KF_OK);
    return softcard_application_find(state, &aid);
}

/* The key that a preloaded domain came with. */
static bool holds_factory(const softcard_application *domain)
{
    KF_CLEANUP(kf_diversification_free) kf_diversification *template = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *base = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    const kf_field fields[] = {{"kdd", KDD}};
    assert_int_equal(kf_diversification_parse(MAKER_TEMPLATE, &template, NULL), KF_OK);
    assert_int_equal(kf_hex_decode_secret(FACTORY_KEY, &base), KF_OK);
    assert_int_equal(kf_diversify(template, KF_AES, base, (kf_fields){fields, 1}, KF_ROLE_ENC, &key, NULL),
                     KF_OK);
    return kf_secret_equal(domain->key_sets[0].keys[0].value, key);
}

static kf_secret *derive(const char *number, uint32_t generation, kf_key_role role)
{
    KF_CLEANUP(kf_diversification_free) kf_diversification *template = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *base = NULL;
    kf_secret *key = NULL;
    char counted[16];
    (void)snprintf(counted, sizeof counted, "%u", generation);
    const kf_field fields[] = {{"number", number}, {"generation", counted}};
    assert_int_equal(kf_diversification_parse(PAYMENT_TEMPLATE, &template, NULL), KF_OK);
    assert_int_equal(kf_hex_decode_secret(PAYMENT_KEY, &base), KF_OK);
    assert_int_equal(kf_diversify(template, KF_AES, base, (kf_fields){fields, 2}, role, &key, NULL), KF_OK);
    return key;
}

static bool holds(const softcard_application *domain, const char *number, uint32_t generation)
{
    if (domain->key_set_count != 1 || domain->key_sets[0].key_count != 3) return false;
    for (size_t i = 0; i < 3; i++) {
        KF_CLEANUP(kf_secret_free) kf_secret *key = derive(number, generation, (kf_key_role)(i + 1));
        const softcard_key *held = &domain->key_sets[0].keys[i];
        if (held->identifier != i + 1 || !kf_secret_equal(held->value, key)) return false;
    }
    return true;
}

void assert_card_key(const test_bench *bench, const char *number, uint32_t generation)
{
    softcard_state *state = card_state(bench);
    softcard_application *domain = find(state, DOMAIN_AID);
    assert_non_null(domain);
    assert_int_equal(domain->key_sets[0].version, 0x30);
    assert_true(holds(domain, number, generation));
    softcard_state_free(&state);
    for (kf_key_role role = KF_ROLE_ENC; role <= KF_ROLE_DEK; role++) {
        KF_CLEANUP(kf_secret_free) kf_secret *key = derive(number, generation, role);
        assert_false(seen(bench, kf_secret_expose(key)));
    }
}

void assert_no_card_key(const test_bench *bench, const char *number)
{
    softcard_state *state = card_state(bench);
    const softcard_application *domain = find(state, DOMAIN_AID);
    for (uint32_t generation = 1; domain != NULL && generation < 5; generation++)
        assert_false(holds(domain, number, generation));
    softcard_state_free(&state);
}

void assert_no_domain(const test_bench *bench)
{
    softcard_state *state = card_state(bench);
    assert_null(find(state, DOMAIN_AID));
    softcard_state_free(&state);
}

void assert_key_is_nameable(const test_bench *bench)
{
    softcard_state *state = card_state(bench);
    const softcard_application *domain = find(state, DOMAIN_AID);
    const kf_card_record *record = &bench->record;
    if (domain != NULL && domain->key_set_count > 0 && !holds_factory(domain)) {
        assert_true(bench->has_record);
        const char *number = kf_named_values_get(&record->derivation, "number");
        assert_non_null(number);
        bool present = record->present.generation != 0 && holds(domain, number, record->present.generation);
        bool pending = record->pending.generation != 0 && holds(domain, number, record->pending.generation);
        assert_true(present || pending);
    }
    softcard_state_free(&state);
}

bool seen(const test_bench *bench, kf_view bytes)
{
    for (size_t i = 0; i + bytes.size <= bench->seen.size; i++)
        if (memcmp(bench->seen.data + i, bytes.data, bytes.size) == 0) return true;
    return false;
}

void card_value(const test_bench *bench, const char *application, uint16_t tag, kf_buffer *value)
{
    softcard_state *state = card_state(bench);
    softcard_application *place = find(state, application);
    assert_non_null(place);
    const softcard_datum *datum = softcard_datum_find(place, tag);
    kf_buffer_truncate(value, 0);
    if (datum != NULL) kf_buffer_append(value, kf_buffer_view(&datum->value));
    softcard_state_free(&state);
}

void bench_hide_domain(test_bench *bench, unsigned message, const kf_script *script,
                       kf_script_answers *answers)
{
    if (message != 1) return;
    kf_script_answers changed = {0};
    const uint8_t absent[] = {0x6A, 0x82};
    size_t index = 0;
    while (strcmp(script->entries[index].label, "SELECT security domain") != 0)
        index++;
    assert_int_equal(kf_script_answers_append(&changed, (uint16_t)index, KF_VIEW(absent)), KF_OK);
    assert_int_equal(kf_script_follow(script, index, 0x6A82, &index), KF_OK);
    for (; index < script->count; index++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer response = KF_BUFFER_INIT;
        kf_view command = kf_view_of(script->entries[index].command, script->entries[index].command_size);
        assert_int_equal(softcard_transmit(bench->card, command, &response), KF_OK);
        assert_int_equal(kf_script_answers_append(&changed, (uint16_t)index, kf_buffer_view(&response)),
                         KF_OK);
    }
    kf_script_answers_clear(answers);
    *answers = changed;
}
