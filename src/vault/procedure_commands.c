#include <string.h>

#include <keyfill/sim.h>
#include <keyfill/tlv.h>

#include "vault/procedure_plan.h"

#define MAC_SIZE 8 /* bytes: challenges of 8 mean S8 mode */

/* STORE DATA keeps room for MAC and padding of the highest level (kf_secure_channel_plain_max). */
static size_t data_max(const kf_session_build *build)
{
    size_t mac_size = build->channel != NULL ? kf_secure_channel_mac_size(build->channel) : MAC_SIZE;
    return kf_secure_channel_plain_max(build->context->profile->security_level, mac_size);
}

kf_code kf_command_put_key(const kf_session_build *build, const kf_card_keys *keys, uint8_t present_version,
                           uint8_t new_version, kf_session *session)
{
    const kf_gp_key list[] = {{KF_AES, keys->enc}, {KF_AES, keys->mac}, {KF_AES, keys->dek}};
    const kf_gp_put_key put_key = {
        .present_version = present_version,
        .new_version = new_version,
        .key_identifier = 1,
        .keys = list,
        .key_count = sizeof list / sizeof list[0],
    };
    kf_session_command *command = kf_session_append(session, "PUT KEY", true);
    if (command == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_gp_put_key_command(build->channel, &put_key, &command->apdu));
    /* The card repeats version and check values: they must be those that were sent. */
    command->has_expected = true;
    return kf_gp_put_key_expected(&put_key, &command->expected);
}

kf_code kf_command_key_list(uint8_t key_version, kf_session *session)
{
    kf_session_command *command = kf_session_append(session, "GET DATA key information", true);
    if (command == NULL) return KF_ERR_MEMORY;
    command->only_key_version = key_version;
    return kf_gp_get_data(0x00E0, &command->apdu);
}

/* GP 2.3.1 11.2.3.2: 6A88 where there is no such key; cards also say so with 6A80 and 6A82. */
kf_code kf_command_delete_key_if_there(uint8_t key_version, kf_session *session)
{
    static const uint16_t missing[] = {0x6A88, 0x6A80, 0x6A82};
    kf_session_command *command = kf_session_append(session, "DELETE key", true);
    if (command == NULL) return KF_ERR_MEMORY;
    memcpy(command->also, missing, sizeof missing);
    command->also_count = sizeof missing / sizeof missing[0];
    return kf_gp_delete_key(key_version, 0, &command->apdu);
}

kf_code kf_command_key_is_gone(uint8_t key_version, kf_session *session)
{
    kf_session_command *command = kf_session_append(session, "GET DATA key information", true);
    if (command == NULL) return KF_ERR_MEMORY;
    command->gone_key_version = key_version;
    return kf_gp_get_data(0x00E0, &command->apdu);
}

bool kf_field_is_written(const kf_procedure_state *state, const kf_profile *profile, size_t field)
{
    const kf_procedure_request *request = &state->request;
    const kf_profile_field *wanted = &profile->fields[field];
    if (request->personalise == KF_PERSONALISE_NEVER) return false;
    if (request->personalise == KF_PERSONALISE_IF_ABSENT && kf_name_list_has(state->facts.kept, wanted->name))
        return false;
    return wanted->derived_size > 0 || kf_named_values_get(&request->personalisation, wanted->name) != NULL;
}

static kf_code add_store_data(kf_session *session, const char *label, kf_command_list *commands)
{
    for (size_t i = 0; i < commands->count; i++) {
        kf_session_command *command = kf_session_append(session, label, true);
        if (command == NULL) return KF_ERR_MEMORY;
        kf_buffer_append(&command->apdu, kf_buffer_view(&commands->items[i]));
        KF_TRY(kf_buffer_status(&command->apdu));
    }
    return KF_OK;
}

static kf_code add_grouping(const kf_dgi *dgi, kf_gp_store_data_plan plan, const char *label,
                            kf_session *session, kf_error *error)
{
    plan.dgis = dgi;
    plan.dgi_count = 1;
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    if (kf_gp_store_data_dgis(&plan, &commands) != KF_OK)
        return kf_fail(error, KF_ERR_TOO_LONG,
                       "%s: the personalisation data has %zu bytes; %zu fit one command", label,
                       dgi->value.size, plan.data_max);
    return add_store_data(session, label, &commands);
}

/* The data objects of a security domain stand in DGI 0070 (GP 2.3.1 11.11.2.3, table 11-92). */
static kf_code add_domain_objects(const kf_session_build *build, kf_store_series series,
                                  const kf_buffer *objects, kf_session *session, kf_error *error)
{
    KF_TRY(kf_buffer_status(objects));
    const kf_dgi dgi = {.identifier = 0x0070, .value = kf_buffer_view(objects)};
    kf_gp_store_data_plan plan = {
        .data_max = data_max(build), .first_number = series.first_number, .finish = series.finish};
    return add_grouping(&dgi, plan, "STORE DATA to the security domain", session, error);
}

bool kf_domain_tags_are_due(const kf_session_build *build)
{
    const kf_profile *profile = build->context->profile;
    for (size_t i = 0; i < profile->field_count; i++)
        if (profile->fields[i].place == KF_PLACE_DOMAIN_TAG && kf_field_is_written(build->state, profile, i))
            return true;
    return false;
}

kf_code kf_command_domain_tags(const kf_session_build *build, kf_store_series series, kf_session *session,
                               kf_error *error)
{
    const kf_profile *profile = build->context->profile;
    KF_CLEANUP(kf_buffer_clear) kf_buffer objects = KF_BUFFER_INIT;
    size_t written[KF_PROFILE_FIELDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < profile->field_count; i++) {
        if (profile->fields[i].place != KF_PLACE_DOMAIN_TAG || !kf_field_is_written(build->state, profile, i))
            continue;
        KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
        KF_TRY(kf_field_value(build->context, build->state, i, &value, error));
        kf_tlv_append(&objects, profile->fields[i].tag, kf_buffer_view(&value));
        written[count++] = i;
    }
    if (count == 0) return KF_OK;
    KF_TRY(add_domain_objects(build, series, &objects, session, error));
    /* One command carries them all: its answer confirms each. */
    kf_session_command *command = &session->commands[session->count - 1];
    command->effect = KF_EFFECT_FIELD_WRITTEN;
    command->field_count = count;
    memcpy(command->fields, written, count * sizeof written[0]);
    return KF_OK;
}

static bool card_has(const kf_session_build *build, size_t field, kf_place place)
{
    const kf_profile_field *wanted = &build->context->profile->fields[field];
    return wanted->place == place && kf_name_list_has(build->state->record.personalised, wanted->name);
}

kf_code kf_command_erase_domain_tags(const kf_session_build *build, kf_session *session, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer objects = KF_BUFFER_INIT;
    for (size_t i = 0; i < build->context->profile->field_count; i++)
        if (card_has(build, i, KF_PLACE_DOMAIN_TAG))
            kf_tlv_append(&objects, build->context->profile->fields[i].tag, kf_view_of(NULL, 0));
    if (objects.size == 0) return KF_OK;
    return add_domain_objects(build, KF_STORE_WHOLE, &objects, session, error);
}

/* INSTALL [for personalization] and one grouping: the field's value, or nothing. */
static kf_code store_application_field(const kf_session_build *build, size_t field, kf_view value,
                                       kf_session *session, kf_error *error)
{
    const kf_profile_field *wanted = &build->context->profile->fields[field];
    kf_session_command *command = kf_session_append(session, "INSTALL for personalization", true);
    if (command == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_gp_install_for_personalization(kf_aid_view(&wanted->application), &command->apdu));
    const kf_dgi dgi = {.identifier = wanted->tag, .value = value};
    kf_gp_store_data_plan plan = {.data_max = data_max(build), .finish = true};
    return add_grouping(&dgi, plan, "STORE DATA to the application", session, error);
}

kf_code kf_command_application_fields(const kf_session_build *build, kf_session *session, kf_error *error)
{
    const kf_profile *profile = build->context->profile;
    for (size_t i = 0; i < profile->field_count; i++) {
        if (profile->fields[i].place != KF_PLACE_APPLICATION ||
            !kf_field_is_written(build->state, profile, i))
            continue;
        KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
        KF_TRY(kf_field_value(build->context, build->state, i, &value, error));
        KF_TRY(store_application_field(build, i, kf_buffer_view(&value), session, error));
        kf_session_command *last = &session->commands[session->count - 1];
        last->effect = KF_EFFECT_FIELD_WRITTEN;
        last->fields[0] = i;
        last->field_count = 1;
    }
    return KF_OK;
}

/* An application that is no longer there (6A88) has nothing to erase; the STORE DATA that was wrapped behind
 * its INSTALL then reaches the issuer domain, which knows no such grouping. */
static void accept_absent(kf_session_command *install, kf_session_command *store)
{
    install->also[0] = 0x6A88;
    install->also[1] = 0x6A82;
    install->also_count = 2;
    store->also[0] = 0x6A80;
    store->also[1] = 0x6A88;
    store->also[2] = 0x6985;
    store->also_count = 3;
    store->follows_refusal = true;
}

kf_code kf_command_erase_application_fields(const kf_session_build *build, kf_session *session,
                                            kf_error *error)
{
    for (size_t i = 0; i < build->context->profile->field_count; i++) {
        if (!card_has(build, i, KF_PLACE_APPLICATION)) continue;
        KF_TRY(store_application_field(build, i, kf_view_of(NULL, 0), session, error));
        accept_absent(&session->commands[session->count - 2], &session->commands[session->count - 1]);
    }
    return KF_OK;
}

kf_code kf_command_installs(const kf_session_build *build, kf_session *session)
{
    const kf_profile *profile = build->context->profile;
    for (size_t i = 0; i < profile->module_count; i++) {
        kf_gp_install install = {
            .load_file_aid = kf_aid_view(&profile->modules[i].load_file),
            .module_aid = kf_aid_view(&profile->modules[i].module),
            .application_aid = kf_aid_view(&profile->domain),
            .privileges = kf_view_of(profile->privileges, profile->privileges_size),
            .parameters = kf_view_of(profile->parameters, profile->parameters_size),
        };
        kf_session_command *command = kf_session_append(session, "INSTALL security domain", true);
        if (command == NULL) return KF_ERR_MEMORY;
        command->alternative = true;
        KF_TRY(kf_gp_install_for_install(&install, &command->apdu));
    }
    return KF_OK;
}

/* A plain command on the files' logical channel. */
static kf_session_command *append_sim(kf_session *session, const char *label, kf_code built, kf_buffer *apdu)
{
    if (built != KF_OK || apdu->size == 0) return NULL;
    kf_session_command *command = kf_session_append(session, label, false);
    if (command == NULL) return NULL;
    apdu->data[0] = kf_class_with_channel(apdu->data[0], KF_SIM_CHANNEL);
    kf_buffer_append(&command->apdu, kf_buffer_view(apdu));
    return kf_buffer_status(&command->apdu) == KF_OK ? command : NULL;
}

static kf_code add_verify_adm(const kf_session_build *build, kf_session *session, kf_error *error)
{
    const kf_card_facts *facts = &build->state->facts;
    if (facts->adm_known && facts->adm_tries < 2)
        return kf_fail(
            error, KF_ERR_CARD_UNSUITABLE,
            "the card has %u try left for its administrative code ADM1; the last one is not used up",
            facts->adm_tries);
    KF_CLEANUP(kf_secret_free) kf_secret *adm = NULL;
    KF_TRY(kf_procedure_adm(build->context, build->state, &adm, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_code built = kf_sim_verify(KF_SIM_ADM1, kf_secret_expose(adm), &apdu);
    kf_session_command *command = append_sim(session, "VERIFY ADM1", built, &apdu);
    if (command == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    command->secret = true;
    return KF_OK;
}

static kf_code add_select(kf_session *session, const char *label, const uint8_t *path, size_t path_size)
{
    uint16_t identifiers[KF_FILE_PATH_MAX / 2];
    for (size_t i = 0; i < path_size / 2; i++)
        identifiers[i] = (uint16_t)(path[2 * i] << 8 | path[2 * i + 1]);
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_code built = kf_sim_select_path(identifiers, path_size / 2, &apdu);
    return append_sim(session, label, built, &apdu) != NULL ? KF_OK : KF_ERR_MEMORY;
}

/* Written, then read back: the reading has the effect. */
static kf_session_command *add_read_back(kf_session *session, const char *label, kf_code built,
                                         kf_buffer *apdu, kf_view expected)
{
    kf_session_command *command = append_sim(session, label, built, apdu);
    if (command == NULL) return NULL;
    command->has_expected = true;
    kf_buffer_append(&command->expected, expected);
    return kf_buffer_status(&command->expected) == KF_OK ? command : NULL;
}

static kf_code add_number(const kf_session_build *build, bool erase, kf_session *session, kf_error *error)
{
    size_t record_size = build->state->facts.number_record_size;
    if (record_size < KF_MSISDN_TRAILER_SIZE)
        return kf_fail(error, KF_ERR_CARD_UNSUITABLE,
                       "the card has no EF.MSISDN (7F10 6F40) to hold the number %s",
                       build->state->request.number);
    kf_msisdn msisdn = {.type_of_number = 1, .numbering_plan = 1};
    if (!erase) KF_TRY(kf_text_copy(msisdn.number, sizeof msisdn.number, build->state->request.number));
    KF_CLEANUP(kf_buffer_clear) kf_buffer record = KF_BUFFER_INIT;
    KF_TRY(kf_msisdn_encode(&msisdn, record_size, &record));
    const uint8_t path[] = {0x7F, 0x10, 0x6F, 0x40};
    KF_TRY(add_select(session, "SELECT EF.MSISDN", path, sizeof path));
    KF_CLEANUP(kf_buffer_clear) kf_buffer update = KF_BUFFER_INIT;
    kf_code built = kf_sim_update_record(1, kf_buffer_view(&record), &update);
    if (append_sim(session, "UPDATE RECORD EF.MSISDN", built, &update) == NULL) return KF_ERR_MEMORY;
    KF_CLEANUP(kf_buffer_clear) kf_buffer read = KF_BUFFER_INIT;
    built = kf_sim_read_record(1, record_size, &read);
    kf_session_command *command =
        add_read_back(session, "READ RECORD EF.MSISDN", built, &read, kf_buffer_view(&record));
    if (command == NULL) return KF_ERR_MEMORY;
    command->effect = erase ? KF_EFFECT_NUMBER_ERASED : KF_EFFECT_NUMBER_WRITTEN;
    return KF_OK;
}

static kf_code add_file(const kf_session_build *build, size_t field, bool erase, kf_session *session,
                        kf_error *error)
{
    const kf_profile_field *wanted = &build->context->profile->fields[field];
    size_t file_size = build->state->facts.file_sizes[field];
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    if (!erase) KF_TRY(kf_field_value(build->context, build->state, field, &content, error));
    if (file_size == 0)
        return kf_fail(error, KF_ERR_CARD_UNSUITABLE, "the card has no file for personalisation %s",
                       wanted->name);
    if (content.size > file_size || content.size > KF_COMMAND_DATA_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "personalisation %s has %zu bytes; the card's file takes %zu",
                       wanted->name, content.size, file_size);
    size_t size = file_size < KF_COMMAND_DATA_MAX ? file_size : KF_COMMAND_DATA_MAX;
    kf_buffer_append_fill(&content, 0xFF, size - content.size);
    KF_TRY(kf_buffer_status(&content));
    KF_TRY(add_select(session, "SELECT personalisation file", wanted->path, wanted->path_size));
    KF_CLEANUP(kf_buffer_clear) kf_buffer update = KF_BUFFER_INIT;
    kf_code built = kf_sim_update_binary(0, kf_buffer_view(&content), &update);
    if (append_sim(session, "UPDATE personalisation file", built, &update) == NULL) return KF_ERR_MEMORY;
    KF_CLEANUP(kf_buffer_clear) kf_buffer read = KF_BUFFER_INIT;
    built = kf_sim_read_binary(0, size, &read);
    kf_session_command *command =
        add_read_back(session, "READ personalisation file", built, &read, kf_buffer_view(&content));
    if (command == NULL) return KF_ERR_MEMORY;
    command->effect = erase ? KF_EFFECT_NONE : KF_EFFECT_FIELD_WRITTEN;
    command->fields[0] = field;
    command->field_count = 1;
    return KF_OK;
}

static bool file_is_due(const kf_session_build *build, size_t field, bool erase)
{
    const kf_profile_field *wanted = &build->context->profile->fields[field];
    if (wanted->place != KF_PLACE_SIM_FILE) return false;
    return erase ? card_has(build, field, KF_PLACE_SIM_FILE)
                 : kf_field_is_written(build->state, build->context->profile, field);
}

kf_code kf_command_sim_files(const kf_session_build *build, bool erase, kf_session *session, kf_error *error)
{
    const kf_profile *profile = build->context->profile;
    bool number = erase ? build->state->record.number_written : build->state->request.write_number;
    bool files = false;
    for (size_t i = 0; i < profile->field_count; i++)
        files = files || file_is_due(build, i, erase);
    if (!number && !files) return KF_OK;
    if (!build->state->facts.file_channel)
        return kf_fail(error, KF_ERR_CARD_UNSUITABLE,
                       "the card gives no logical channel for its files; take a profile, and an order, that "
                       "write none");
    KF_TRY(add_verify_adm(build, session, error));
    if (number) KF_TRY(add_number(build, erase, session, error));
    for (size_t i = 0; i < profile->field_count; i++)
        if (file_is_due(build, i, erase)) KF_TRY(add_file(build, i, erase, session, error));
    return KF_OK;
}
