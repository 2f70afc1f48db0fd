#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "vault/procedure_plan.h"

typedef struct script_writer {
    kf_session_script *target;
    const kf_procedure_context *context;
    const kf_procedure_state *state;
    kf_card_keys keys;
    size_t alternative_count;
    size_t first_alternative; /* index in the session */
    kf_session_plan plan;
    const kf_session_step *next; /* in `plan`; NULL: none */
    size_t first_command;        /* commands before it went in an earlier script */
} script_writer;

static kf_view session_answer(const kf_procedure_state *state)
{
    return kf_view_of(state->session_answer, state->session_answer_size);
}

static kf_code open_channel(const script_writer *writer, kf_secure_channel **ret_channel,
                            kf_buffer *authenticate, kf_error *error)
{
    kf_key_set set = kf_card_keys_set(&writer->keys);
    kf_secure_channel *channel = NULL;
    KF_TRY(kf_secure_channel_open(&set, kf_view_of(writer->state->session_challenge, KF_HOST_CHALLENGE_SIZE),
                                  session_answer(writer->state), &channel, error));
    kf_code code = kf_secure_channel_external_authenticate(channel, writer->context->profile->security_level,
                                                           authenticate, error);
    if (code != KF_OK) {
        kf_secure_channel_free(&channel);
        return code;
    }
    *ret_channel = channel;
    return KF_OK;
}

/* A script entry with its place in the session. */
static kf_script_entry *put_entry(script_writer *writer, const char *label, kf_view apdu, uint16_t command)
{
    kf_session_script *target = writer->target;
    struct kf_session_entry *entries =
        realloc(target->entries, (target->script.count + 1) * sizeof *target->entries);
    if (entries == NULL) return NULL;
    target->entries = entries;
    entries[target->script.count] = (struct kf_session_entry){.command = command};
    return kf_script_append(&target->script, label, apdu);
}

/* Wraps (or copies) one command into the script, or, for a command that another path sent, only moves the
 * channel on. */
static kf_code put_command(script_writer *writer, kf_secure_channel *channel, size_t index, bool into_script)
{
    kf_session_command *command = &writer->target->session.commands[index];
    KF_CLEANUP(kf_buffer_clear) kf_buffer wrapped = KF_BUFFER_INIT;
    kf_exchange exchange = {0};
    kf_view apdu = kf_buffer_view(&command->apdu);
    if (command->wrapped) {
        KF_TRY(kf_secure_channel_wrap(channel, apdu, &wrapped, &exchange));
        apdu = kf_buffer_view(&wrapped);
    }
    if (!into_script) return KF_OK;
    kf_script_entry *entry = put_entry(writer, command->label, apdu, (uint16_t)index);
    if (entry == NULL) return KF_ERR_TOO_LONG;
    entry->secret = command->secret;
    struct kf_session_entry *mine = &writer->target->entries[writer->target->script.count - 1];
    mine->wrapped = command->wrapped;
    mine->exchange = exchange;
    for (size_t i = 0; i < command->also_count; i++)
        KF_TRY(kf_script_accept_also(entry, command->also[i], 0xFFFF, KF_SCRIPT_NEXT));
    if (command->more_ends) KF_TRY(kf_script_accept_also(entry, 0x6310, 0xFFFF, KF_SCRIPT_END));
    if (command->any_answer) KF_TRY(kf_script_accept_also(entry, 0x0000, 0x0000, KF_SCRIPT_NEXT));
    return KF_OK;
}

/* SELECT and INITIALIZE UPDATE of the next session ride at the end. */
static kf_code put_next(script_writer *writer, size_t path)
{
    const kf_profile *profile = writer->context->profile;
    bool issuer = writer->next->issuer;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(kf_gp_select(kf_aid_view(issuer ? &profile->issuer_domain : &profile->domain), &apdu));
    const char *label = issuer ? "SELECT issuer security domain" : "SELECT security domain";
    if (put_entry(writer, label, kf_buffer_view(&apdu), UINT16_MAX) == NULL) return KF_ERR_TOO_LONG;
    kf_buffer_clear(&apdu);
    const uint8_t *challenge = issuer ? writer->state->issuer_challenge : writer->state->domain_challenge;
    /* Beside the old key version the new one has to be asked for by its number. */
    bool retires = writer->next->kind == KF_SESSION_RETIRE;
    uint8_t key_version = retires ? writer->state->record.pending.key_version : 0x00;
    KF_TRY(kf_gp_initialize_update(key_version, kf_view_of(challenge, KF_HOST_CHALLENGE_SIZE), &apdu));
    if (put_entry(writer, "INITIALIZE UPDATE", kf_buffer_view(&apdu), UINT16_MAX) == NULL)
        return KF_ERR_TOO_LONG;
    writer->target->next_update[path] = (uint16_t)(writer->target->script.count - 1);
    return KF_OK;
}

/* The status words with which a card says that the module to install is not there: the next one is tried. */
static kf_code accept_missing(kf_script_entry *entry, uint16_t go_to)
{
    static const uint16_t missing[] = {0x6A88, 0x6A80, 0x6A82};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        KF_TRY(kf_script_accept_also(entry, missing[i], 0xFFFF, go_to));
    return KF_OK;
}

/* One way through the session: what comes before the alternatives (in the script with path 0 only),
 * alternative `path`, and the rest, wrapped for a card that has seen the alternatives before it fail. */
static kf_code put_path(script_writer *writer, size_t path, uint16_t *ret_alternative, kf_error *error)
{
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer authenticate = KF_BUFFER_INIT;
    KF_TRY(open_channel(writer, &channel, &authenticate, error));
    bool fresh = path == 0 && writer->first_command == 0;
    if (fresh &&
        put_entry(writer, "EXTERNAL AUTHENTICATE", kf_buffer_view(&authenticate), UINT16_MAX) == NULL)
        return KF_ERR_TOO_LONG;
    size_t count = writer->target->session.count;
    size_t behind = writer->first_alternative + writer->alternative_count;
    for (size_t i = 0; i < count; i++) {
        bool alternative = i >= writer->first_alternative && i < behind;
        if (alternative && i > writer->first_alternative + path) continue;
        bool into_script = i >= writer->first_command;
        if (alternative) into_script = i == writer->first_alternative + path;
        if (!alternative && i < writer->first_alternative) into_script = into_script && path == 0;
        if (alternative && into_script) *ret_alternative = (uint16_t)writer->target->script.count;
        KF_TRY(put_command(writer, channel, i, into_script));
    }
    if (writer->next != NULL) KF_TRY(put_next(writer, path));
    writer->target->script.entries[writer->target->script.count - 1].accepts[0].go_to = KF_SCRIPT_END;
    return KF_OK;
}

static kf_code put_paths(script_writer *writer, kf_error *error)
{
    size_t paths = writer->alternative_count > 0 ? writer->alternative_count : 1;
    uint16_t before = 0;
    for (size_t path = 0; path < paths; path++) {
        uint16_t start = (uint16_t)writer->target->script.count;
        if (path > 0) KF_TRY(accept_missing(&writer->target->script.entries[before], start));
        KF_TRY(put_path(writer, path, &before, error));
    }
    return KF_OK;
}

static kf_code build_commands(const kf_session_build *build, kf_session *session, kf_error *error)
{
    switch (build->state->request.operation) {
    case KF_OPERATION_FILL: return kf_fill_session(build, session, error);
    case KF_OPERATION_REFILL: return kf_refill_session(build, session, error);
    case KF_OPERATION_CLEAR: return kf_clear_session(build, session, error);
    case KF_OPERATION_APP_LOAD:
    case KF_OPERATION_APP_LIST:
    case KF_OPERATION_APP_DELETE:
    default: return kf_application_session(build, session, error);
    }
}

static void find_alternatives(script_writer *writer)
{
    const kf_session *session = &writer->target->session;
    writer->first_alternative = session->count;
    for (size_t i = session->count; i > 0; i--) {
        if (!session->commands[i - 1].alternative) continue;
        writer->first_alternative = i - 1;
        writer->alternative_count++;
    }
}

static kf_code write_script(script_writer *writer, kf_error *error)
{
    const kf_procedure_context *context = writer->context;
    const kf_procedure_state *state = writer->state;
    writer->plan = kf_plan_sessions(state, context->profile);
    if (state->session >= writer->plan.count)
        return kf_fail(error, KF_ERR_INTERNAL, "the procedure has no session %u", state->session);
    kf_session_step step = writer->plan.steps[state->session];
    bool last = state->session + 1U == writer->plan.count;
    writer->next = last ? NULL : &writer->plan.steps[state->session + 1];

    kf_initialize_update update;
    KF_TRY(kf_initialize_update_parse(session_answer(state), &update, error));
    kf_hex_text data = kf_hex_show(KF_VIEW(update.diversification_data));
    KF_TRY(kf_procedure_channel_keys(context, state, step.keys, data.text, &writer->keys, error));

    KF_CLEANUP(kf_buffer_clear) kf_buffer authenticate = KF_BUFFER_INIT;
    KF_TRY(open_channel(writer, &writer->target->channel, &authenticate, error));
    kf_session_build build = {
        .context = context,
        .state = state,
        .step = step,
        .first = state->session == 0,
        .last = writer->next == NULL || writer->next->kind == KF_SESSION_PROOF,
        .channel = writer->target->channel,
    };
    KF_TRY(build_commands(&build, &writer->target->session, error));
    writer->first_command = state->first_command;
    find_alternatives(writer);
    KF_TRY(put_paths(writer, error));
    return kf_script_check(&writer->target->script, error);
}

kf_code kf_session_script_build(const kf_procedure_context *context, const kf_procedure_state *state,
                                kf_session_script *ret_script, kf_error *error)
{
    kf_session_script script = {0};
    memset(script.next_update, 0xFF, sizeof script.next_update); /* KF_CONTACT_NONE */
    script_writer writer = {.target = &script, .context = context, .state = state};
    kf_code code = write_script(&writer, error);
    kf_card_keys_clear(&writer.keys);
    if (code != KF_OK) {
        kf_session_script_clear(&script);
        return kf_fail_plain(error, code);
    }
    *ret_script = script;
    return KF_OK;
}

void kf_session_script_clear(kf_session_script *script)
{
    kf_script_clear(&script->script);
    free(script->entries);
    kf_session_clear(&script->session);
    kf_secure_channel_free(&script->channel);
    *script = (kf_session_script){0};
}

kf_code kf_answers_follow(const kf_script *script, const kf_script_answers *answers, kf_error *error)
{
    size_t expected = 0;
    for (size_t i = 0; i < answers->count; i++) {
        const kf_script_answer *answer = &answers->items[i];
        if (expected >= script->count || answer->entry != expected)
            return kf_fail(error, KF_ERR_FIELD,
                           "answers: entry %u does not follow from the answers before it", answer->entry);
        const char *label = script->entries[expected].label;
        uint16_t status_word = kf_script_answer_status_word(answer);
        if (kf_script_follow(script, expected, status_word, &expected) != KF_OK) {
            if (i + 1 < answers->count)
                return kf_fail(error, KF_ERR_FIELD, "answers: there are more after %s, which ends the script",
                               label);
            return kf_fail_status_word(error, label, status_word);
        }
    }
    if (expected < script->count)
        return kf_fail(error, KF_ERR_CARD_REMOVED, "there is no answer to %s; present the card again",
                       script->entries[expected].label);
    return KF_OK;
}

static kf_code apply_effect(const kf_session_command *command, const kf_profile *profile, kf_view data,
                            uint16_t status_word, kf_procedure_state *state)
{
    switch (command->effect) {
    case KF_EFFECT_FIELD_WRITTEN:
        for (size_t i = 0; i < command->field_count; i++) {
            const char *name = profile->fields[command->fields[i]].name;
            KF_TRY(kf_name_list_add(state->record.personalised, sizeof state->record.personalised, name));
            kf_name_list_remove(state->facts.kept, name);
        }
        return KF_OK;
    case KF_EFFECT_NUMBER_WRITTEN: state->record.number_written = true; return KF_OK;
    case KF_EFFECT_NUMBER_ERASED: state->record.number_written = false; return KF_OK;
    case KF_EFFECT_LISTED:
        /* 6A88: nothing of that scope; 6A86: the card does not know it. */
        if (status_word != 0x9000 && status_word != 0x6310) return KF_OK;
        kf_buffer_append_u8(&state->applications, command->list_scope);
        kf_buffer_append_u16(&state->applications, (uint16_t)data.size);
        kf_buffer_append(&state->applications, data);
        return kf_buffer_status(&state->applications);
    case KF_EFFECT_NONE:
    default: return KF_OK;
    }
}

static kf_code check_key_list(const kf_session_command *command, kf_view data, kf_error *error)
{
    kf_key_information list;
    if (kf_key_information_parse(data, &list) != KF_OK || list.count == 0)
        return kf_fail(error, KF_ERR_CARD_DATA, "%s: the card's list of its keys is malformed",
                       command->label);
    for (size_t i = 0; i < list.count; i++)
        if (command->gone_key_version != 0 && list.entries[i].key_version == command->gone_key_version)
            return kf_fail(error, KF_ERR_STATE,
                           "%s: the security domain still lists its key of version 0x%02X, which was to be "
                           "deleted; present the card again",
                           command->label, command->gone_key_version);
    for (size_t i = 0; i < list.count; i++)
        if (command->only_key_version != 0 && list.entries[i].key_version != command->only_key_version)
            return kf_fail(error, KF_ERR_CHANNEL,
                           "%s: the security domain lists a key of version 0x%02X beside 0x%02X: the channel "
                           "was not with the domain that was selected",
                           command->label, list.entries[i].key_version, command->only_key_version);
    return KF_OK;
}

/* One answer: its MAC, its data, its effect. `ret_more`: a list is not at its end. */
static kf_code check_answer(const kf_session_script *script, const kf_profile *profile,
                            const kf_script_answer *answer, kf_procedure_state *state, bool *ret_more,
                            kf_error *error)
{
    const struct kf_session_entry *entry = &script->entries[answer->entry];
    if (entry->command == UINT16_MAX) return KF_OK;
    const kf_session_command *command = &script->session.commands[entry->command];
    kf_view response = kf_view_of(answer->response, answer->response_size);
    uint16_t status_word = kf_script_answer_status_word(answer);
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    if (entry->wrapped) {
        kf_code code =
            kf_secure_channel_unwrap(script->channel, &entry->exchange, response, &data, &status_word);
        if (code != KF_OK)
            return kf_fail(
                error, code,
                "%s: the card's answer is not authentic: its response MAC does not verify; nothing is "
                "believed of it",
                command->label);
    } else {
        kf_buffer_append(&data, kf_view_part(response, 0, response.size - 2));
        KF_TRY(kf_buffer_status(&data));
    }
    if (command->has_expected && status_word == 0x9000 &&
        !kf_view_equal(kf_buffer_view(&data), kf_buffer_view(&command->expected)))
        return kf_fail(error, KF_ERR_CARD_DATA, "%s: the card's answer is not what was written",
                       command->label);
    if (command->only_key_version != 0 || command->gone_key_version != 0)
        KF_TRY(check_key_list(command, kf_buffer_view(&data), error));
    if (command->more_ends && status_word == 0x6310) {
        if (state->list_pages[command->list] == UINT8_MAX)
            return kf_fail(error, KF_ERR_TOO_LONG, "%s: the card's list does not end", command->label);
        state->list_pages[command->list]++;
        state->first_command = (uint16_t)(entry->command + 1);
        *ret_more = true;
    }
    return kf_fail_plain(error, apply_effect(command, profile, kf_buffer_view(&data), status_word, state));
}

static bool follows_refusal(const kf_session_script *script, const kf_script_answer *answer)
{
    uint16_t command = script->entries[answer->entry].command;
    return command != UINT16_MAX && script->session.commands[command].follows_refusal;
}

kf_code kf_session_script_check(const kf_session_script *script, const kf_profile *profile,
                                const kf_script_answers *answers, kf_procedure_state *state,
                                kf_view *ret_update, bool *ret_more, kf_error *error)
{
    bool more = false;
    bool refused = false; /* the command before */
    for (size_t i = 0; i < answers->count; i++) {
        const kf_script_answer *answer = &answers->items[i];
        if (answer->entry >= script->script.count)
            return kf_fail(error, KF_ERR_FIELD, "answers: there is no entry %u", answer->entry);
        uint16_t status_word = kf_script_answer_status_word(answer);
        size_t next;
        /* What stopped the script has no effect; kf_answers_follow explains it below. */
        if (kf_script_follow(&script->script, answer->entry, status_word, &next) != KF_OK) break;
        if (follows_refusal(script, answer) && status_word != 0x9000 && !refused)
            return kf_fail_status_word(error, script->script.entries[answer->entry].label, status_word);
        refused = status_word != 0x9000;
        KF_TRY(check_answer(script, profile, answer, state, &more, error));
    }
    KF_TRY(kf_answers_follow(&script->script, answers, error));
    kf_view update = {NULL, 0};
    for (size_t i = 0; i < sizeof script->next_update / sizeof script->next_update[0]; i++) {
        const kf_script_answer *answer = script->next_update[i] != KF_CONTACT_NONE
                                             ? kf_script_answer_of(answers, script->next_update[i])
                                             : NULL;
        if (answer != NULL) update = kf_view_of(answer->response, answer->response_size);
    }
    *ret_update = update;
    *ret_more = more;
    return KF_OK;
}
