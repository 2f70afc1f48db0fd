#include <string.h>

#include <keyfill/sim.h>
#include <keyfill/tlv.h>

#include "vault/procedure_plan.h"

/* Appends a command and returns its index through `ret_index`. */
static kf_script_entry *put(kf_script *script, const char *label, const kf_buffer *apdu, uint16_t *ret_index)
{
    if (kf_buffer_status(apdu) != KF_OK) return NULL;
    kf_script_entry *entry = kf_script_append(script, label, kf_buffer_view(apdu));
    if (entry != NULL && ret_index != NULL) *ret_index = (uint16_t)(script->count - 1);
    return entry;
}

static kf_code put_any(kf_script *script, const char *label, const kf_buffer *apdu, uint16_t *ret_index)
{
    kf_script_entry *entry = put(script, label, apdu, ret_index);
    if (entry == NULL) return KF_ERR_TOO_LONG;
    return kf_script_accept_also(entry, 0x0000, 0x0000, KF_SCRIPT_NEXT);
}

static kf_code put_plain(kf_script *script, const char *label, const kf_buffer *apdu, uint16_t *ret_index)
{
    return put(script, label, apdu, ret_index) != NULL ? KF_OK : KF_ERR_TOO_LONG;
}

static void on_sim_channel(kf_buffer *apdu)
{
    if (apdu->size > 0) apdu->data[0] = kf_class_with_channel(apdu->data[0], KF_SIM_CHANNEL);
}

static kf_code put_channel(kf_script *script, kf_contact_layout *layout)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    /* A channel left open by an earlier contact is closed first, so that the card gives number 1 again. */
    KF_TRY(kf_sim_close_channel(KF_SIM_CHANNEL, &apdu));
    KF_TRY(put_any(script, "MANAGE CHANNEL close", &apdu, NULL));
    kf_buffer_clear(&apdu);
    KF_TRY(kf_sim_open_channel(&apdu));
    return put_any(script, "MANAGE CHANNEL open", &apdu, &layout->open_channel);
}

static kf_code put_number_file(kf_script *script, kf_contact_layout *layout)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    const uint16_t path[] = {KF_FILE_DF_TELECOM, KF_FILE_MSISDN};
    KF_TRY(kf_sim_select_path(path, 2, &apdu));
    on_sim_channel(&apdu);
    return put_any(script, "SELECT EF.MSISDN", &apdu, &layout->number_select);
}

static kf_code put_adm_tries(kf_script *script, kf_contact_layout *layout)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(kf_sim_verify_tries(KF_SIM_ADM1, &apdu));
    on_sim_channel(&apdu);
    return put_any(script, "VERIFY ADM1: tries left", &apdu, &layout->adm_tries);
}

static kf_code put_file(kf_script *script, const kf_profile *profile, size_t field, kf_contact_layout *layout)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    uint16_t path[KF_FILE_PATH_MAX / 2];
    size_t depth = profile->fields[field].path_size / 2;
    for (size_t i = 0; i < depth; i++)
        path[i] =
            (uint16_t)(profile->fields[field].path[2 * i] << 8 | profile->fields[field].path[2 * i + 1]);
    KF_TRY(kf_sim_select_path(path, depth, &apdu));
    on_sim_channel(&apdu);
    KF_TRY(put_any(script, "SELECT personalisation file", &apdu, &layout->file_select[field]));
    kf_buffer_clear(&apdu);
    KF_TRY(kf_sim_read_binary(0, 1, &apdu));
    on_sim_channel(&apdu);
    return put_any(script, "READ personalisation file", &apdu, &layout->file_read[field]);
}

/* SIM files are looked at before the first SELECT of a security domain, on a channel of their own. */
static kf_code put_sim_part(const kf_procedure_state *state, const kf_profile *profile, kf_script *script,
                            kf_contact_layout *layout)
{
    kf_operation operation = state->request.operation;
    /* Without a record at hand a clear cannot know yet whether the number is to be erased. */
    bool may_erase = state->record.number_written || state->record.identity[0] == '\0';
    bool number = (operation == KF_OPERATION_FILL && state->request.write_number) ||
                  (operation == KF_OPERATION_CLEAR && may_erase);
    bool files = kf_profile_has_place(profile, KF_PLACE_SIM_FILE) &&
                 ((operation == KF_OPERATION_FILL && state->request.personalise != KF_PERSONALISE_NEVER) ||
                  operation == KF_OPERATION_CLEAR);
    if (!number && !files) return KF_OK;
    KF_TRY(put_channel(script, layout));
    if (number) KF_TRY(put_number_file(script, layout));
    for (size_t i = 0; files && i < profile->field_count; i++)
        if (profile->fields[i].place == KF_PLACE_SIM_FILE) KF_TRY(put_file(script, profile, i, layout));
    return put_adm_tries(script, layout);
}

static kf_code put_update(kf_script *script, const kf_procedure_state *state, const kf_profile *profile,
                          bool issuer, uint16_t *ret_index)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(kf_gp_select(kf_aid_view(issuer ? &profile->issuer_domain : &profile->domain), &apdu));
    KF_TRY(
        put_plain(script, issuer ? "SELECT issuer security domain" : "SELECT security domain", &apdu, NULL));
    kf_buffer_clear(&apdu);
    /* P1 = 00: a domain whose key never arrived answers 6A88 to its own key version. */
    const uint8_t *challenge = issuer ? state->issuer_challenge : state->domain_challenge;
    KF_TRY(kf_gp_initialize_update(0x00, kf_view_of(challenge, KF_HOST_CHALLENGE_SIZE), &apdu));
    return put_plain(script, "INITIALIZE UPDATE", &apdu, ret_index);
}

static kf_code put_tags(kf_script *script, const kf_profile *profile, kf_contact_layout *layout)
{
    for (size_t i = 0; i < profile->field_count; i++) {
        if (profile->fields[i].place != KF_PLACE_DOMAIN_TAG) continue;
        KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
        KF_TRY(kf_gp_get_data(profile->fields[i].tag, &apdu));
        KF_TRY(put_any(script, "GET DATA of the security domain", &apdu, &layout->tag_read[i]));
    }
    return KF_OK;
}

/* SELECT of the domain decides: there, then both domains are asked; not there, then the issuer domain alone.
 */
static kf_code put_both_domains(const kf_procedure_state *state, const kf_profile *profile, kf_script *script,
                                kf_contact_layout *layout)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(kf_gp_select(kf_aid_view(&profile->domain), &apdu));
    KF_TRY(put_plain(script, "SELECT security domain", &apdu, &layout->domain_select));
    if (state->request.operation == KF_OPERATION_FILL) KF_TRY(put_tags(script, profile, layout));
    bool issuer_last = kf_plan_issuer_last(state->request.operation, profile);
    uint16_t *first = issuer_last ? &layout->domain_update[0] : &layout->issuer_update[0];
    uint16_t *second = issuer_last ? &layout->issuer_update[0] : &layout->domain_update[0];
    KF_TRY(put_update(script, state, profile, !issuer_last, first));
    KF_TRY(put_update(script, state, profile, issuer_last, second));
    script->entries[script->count - 1].accepts[0].go_to = KF_SCRIPT_END;
    uint16_t absent = (uint16_t)script->count;
    KF_TRY(kf_script_accept_also(&script->entries[layout->domain_select], 0x6A82, 0xFFFF, absent));
    return put_update(script, state, profile, true, &layout->issuer_update[1]);
}

/* The key version that a broken-off refill may have added is asked for first: were the present one asked, it
 * would answer whether or not the other is there. Where nobody could tell its cryptogram, the present one is
 * asked alone. */
static kf_code put_moved_domain(const kf_procedure_state *state, const kf_profile *profile,
                                bool pending_usable, kf_script *script, kf_contact_layout *layout)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(kf_gp_select(kf_aid_view(&profile->domain), &apdu));
    KF_TRY(put_plain(script, "SELECT security domain", &apdu, NULL));
    kf_view challenge = kf_view_of(state->domain_challenge, KF_HOST_CHALLENGE_SIZE);
    uint8_t key_version = state->record.present.key_version;
    if (pending_usable) {
        kf_buffer_clear(&apdu);
        KF_TRY(kf_gp_initialize_update(state->record.pending.key_version, challenge, &apdu));
        KF_TRY(put_any(script, "INITIALIZE UPDATE of the new key version", &apdu, &layout->domain_update[0]));
        script->entries[layout->domain_update[0]].accepts[0].go_to = KF_SCRIPT_END;
    }
    kf_buffer_clear(&apdu);
    KF_TRY(kf_gp_initialize_update(key_version, challenge, &apdu));
    return put_plain(script, "INITIALIZE UPDATE", &apdu, &layout->domain_update[1]);
}

/* A refill has nothing to ask a card that says it has no such domain; advance_contact puts it into words. */
static kf_code put_own_domain(const kf_procedure_state *state, const kf_profile *profile, bool pending_usable,
                              kf_script *script, kf_contact_layout *layout)
{
    if (kf_moves_key_version(&state->record))
        KF_TRY(put_moved_domain(state, profile, pending_usable, script, layout));
    else
        KF_TRY(put_update(script, state, profile, false, &layout->domain_update[0]));
    return kf_script_accept_also(&script->entries[0], 0x6A82, 0xFFFF, KF_SCRIPT_END);
}

static void layout_clear(kf_contact_layout *layout)
{
    memset(layout, 0xFF, sizeof *layout); /* every member is KF_CONTACT_NONE */
}

kf_code kf_contact_script(const kf_procedure_state *state, const kf_profile *profile, bool pending_usable,
                          kf_script *script, kf_contact_layout *ret_layout)
{
    layout_clear(ret_layout);
    switch (state->request.operation) {
    case KF_OPERATION_FILL:
    case KF_OPERATION_CLEAR:
        KF_TRY(put_sim_part(state, profile, script, ret_layout));
        return put_both_domains(state, profile, script, ret_layout);
    case KF_OPERATION_REFILL: return put_own_domain(state, profile, pending_usable, script, ret_layout);
    case KF_OPERATION_APP_LOAD:
    case KF_OPERATION_APP_LIST:
    case KF_OPERATION_APP_DELETE:
    default: return put_update(script, state, profile, true, &ret_layout->issuer_update[0]);
    }
}

static kf_view answer_of(const kf_script_answers *answers, uint16_t entry)
{
    const kf_script_answer *answer = entry != KF_CONTACT_NONE ? kf_script_answer_of(answers, entry) : NULL;
    return answer != NULL ? kf_view_of(answer->response, answer->response_size) : kf_view_of(NULL, 0);
}

static uint16_t status_of(const kf_script_answers *answers, uint16_t entry)
{
    const kf_script_answer *answer = entry != KF_CONTACT_NONE ? kf_script_answer_of(answers, entry) : NULL;
    return answer != NULL ? kf_script_answer_status_word(answer) : 0;
}

/* The data of a 9000 answer; empty otherwise. */
static kf_view data_of(const kf_script_answers *answers, uint16_t entry)
{
    if (status_of(answers, entry) != 0x9000) return kf_view_of(NULL, 0);
    kf_view whole = answer_of(answers, entry);
    return kf_view_part(whole, 0, whole.size - 2);
}

static void read_sim_part(const kf_contact_layout *layout, const kf_script_answers *answers,
                          kf_card_facts *facts)
{
    kf_view channel = data_of(answers, layout->open_channel);
    facts->file_channel = channel.size == 1 && channel.data[0] == KF_SIM_CHANNEL;
    if (!facts->file_channel) return;
    kf_sim_file file;
    if (kf_sim_file_parse(data_of(answers, layout->number_select), &file) == KF_OK && file.record_size <= 255)
        facts->number_record_size = (uint8_t)file.record_size;
    uint16_t tries = status_of(answers, layout->adm_tries);
    if ((tries & 0xFFF0) == 0x63C0) {
        facts->adm_known = true;
        facts->adm_tries = (uint8_t)(tries & 0x0F);
    } else if (tries == 0x6983) {
        facts->adm_known = true;
        facts->adm_tries = 0;
    }
}

static bool is_filled(kf_view data)
{
    for (size_t i = 0; i < data.size; i++)
        if (data.data[i] != 0xFF) return true;
    return false;
}

/* A tag of a domain comes as TLV: the field is there when its value is. */
static bool tag_is_filled(kf_view data)
{
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv tlv;
    return kf_tlv_read(&cursor, &tlv) == KF_OK && tlv.value.size > 0;
}

static kf_code read_fields(const kf_profile *profile, const kf_contact_layout *layout,
                           const kf_script_answers *answers, kf_card_facts *facts)
{
    for (size_t i = 0; i < profile->field_count; i++) {
        kf_sim_file file;
        if (kf_sim_file_parse(data_of(answers, layout->file_select[i]), &file) == KF_OK &&
            file.size <= UINT16_MAX)
            facts->file_sizes[i] = (uint16_t)file.size;
        bool filled = is_filled(data_of(answers, layout->file_read[i])) ||
                      tag_is_filled(data_of(answers, layout->tag_read[i]));
        if (filled) KF_TRY(kf_name_list_add(facts->kept, sizeof facts->kept, profile->fields[i].name));
    }
    return KF_OK;
}

kf_code kf_contact_read(const kf_profile *profile, const kf_contact_layout *layout,
                        const kf_script_answers *answers, kf_contact *ret_contact)
{
    kf_contact contact = {0};
    read_sim_part(layout, answers, &contact.facts);
    KF_TRY(read_fields(profile, layout, answers, &contact.facts));
    contact.domain_answer = answer_of(answers, layout->domain_update[0]);
    if (layout->domain_update[1] != KF_CONTACT_NONE && status_of(answers, layout->domain_update[0]) != 0x9000)
        contact.domain_answer = answer_of(answers, layout->domain_update[1]);
    contact.issuer_answer = answer_of(answers, layout->issuer_update[0]);
    if (contact.issuer_answer.size == 0) contact.issuer_answer = answer_of(answers, layout->issuer_update[1]);
    contact.facts.domain_present = contact.domain_answer.size > 0;
    *ret_contact = contact;
    return KF_OK;
}
