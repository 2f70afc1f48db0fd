#include "softcard/card.h"

#include <stdlib.h>
#include <string.h>

#include "softcard/applet.h"
#include "softcard/channels.h"
#include "softcard/content.h"
#include "softcard/get_status.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/security_domain.h"
#include "softcard/store_data.h"
#include "softcard/transmission.h"

enum {
    INS_EXTERNAL_AUTHENTICATE = 0x82,
    INS_INITIALIZE_UPDATE = 0x50,
    INS_MANAGE_CHANNEL = 0x70,
    INS_SELECT = 0xA4,
    INS_ENVELOPE = 0xC2,
    INS_GET_DATA = 0xCA,
    INS_PUT_KEY = 0xD8,
    INS_END_R_MAC_SESSION = 0x78,
    INS_BEGIN_R_MAC_SESSION = 0x7A,
    INS_STORE_DATA = 0xE2,
    INS_DELETE = 0xE4,
    INS_INSTALL = 0xE6,
    INS_LOAD = 0xE8,
    INS_SET_STATUS = 0xF0,
    INS_GET_STATUS = 0xF2,
    FILE_STATUS_P1_MAX = 0x02,
    SELECT_BY_NAME = 0x04,
};

typedef struct instruction_row {
    uint8_t instruction;
    softcard_status (*of_domain)(softcard_request *request);
    softcard_status (*of_applet)(softcard_request *request); /* NULL: not for applets */
    bool needs_channel;                                      /* authenticated, with C-MAC at least */
    bool while_locked; /* card state CARD_LOCKED: GlobalPlatform 5.1.1.4 */
} instruction_row;

static const instruction_row instructions[] = {
    {INS_GET_DATA, softcard_domain_get_data, softcard_applet_get_data, false, true},
    {INS_PUT_KEY, softcard_put_key, NULL, true, false},
    {INS_STORE_DATA, softcard_store_data, softcard_store_data, true, false},
    {INS_DELETE, softcard_delete, NULL, true, false},
    {INS_INSTALL, softcard_install, NULL, true, false},
    {INS_LOAD, softcard_load, NULL, true, false},
    {INS_SET_STATUS, softcard_set_status, NULL, true, true},
    {INS_GET_STATUS, softcard_get_status, NULL, true, false},
    {INS_BEGIN_R_MAC_SESSION, softcard_begin_response_macs, softcard_begin_response_macs, false, true},
    {INS_END_R_MAC_SESSION, softcard_end_response_macs, softcard_end_response_macs, false, true},
};

static const instruction_row *find_instruction(uint8_t instruction)
{
    for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++)
        if (instructions[i].instruction == instruction) return &instructions[i];
    return NULL;
}

static bool is_error(softcard_status status)
{
    return status != SW_OK && status >> 8 != 0x62 && status >> 8 != 0x63;
}

static kf_code take_back(softcard *card)
{
    softcard_state *before = NULL;
    KF_TRY(softcard_state_read(kf_buffer_view(&card->saved), &before, NULL));
    softcard_state_free(&card->state);
    card->state = before;
    return KF_OK;
}

static softcard_status run_instruction(softcard_request *request)
{
    const instruction_row *row = find_instruction(request->command.instruction);
    if (row == NULL) return SW_INSTRUCTION;
    uint8_t card_state = softcard_issuer(request->card->state)->life_cycle;
    if (card_state == SOFTCARD_CARD_TERMINATED && row->instruction != INS_GET_DATA) return SW_CONDITIONS;
    if (card_state == SOFTCARD_CARD_LOCKED && !row->while_locked) return SW_CONDITIONS;
    if (row->needs_channel && !softcard_is_authorised(&request->channel->secure)) return SW_SECURITY_STATUS;
    if (softcard_is_domain(request->application)) return row->of_domain(request);
    return row->of_applet == NULL ? SW_INSTRUCTION : row->of_applet(request);
}

/* A management command takes effect as a whole or not at all. */
static softcard_status run_secured(softcard_request *request)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    softcard_status status = softcard_unwrap(request, &plain);
    if (status != SW_OK) return status;
    size_t used = softcard_memory_used(request->card->state);
    status = run_instruction(request);
    size_t used_now = softcard_memory_used(request->card->state);
    if (!is_error(status) && used_now > used && used_now > request->card->state->personality.memory)
        status = SW_NO_SPACE;
    if (is_error(status)) {
        kf_buffer_truncate(request->response, 0);
        if (take_back(request->card) != KF_OK) status = SW_INTERNAL;
    }
    return softcard_wrap_answer(request, status);
}

/* What INITIALIZE UPDATE and EXTERNAL AUTHENTICATE count stays. */
static softcard_status run_application_command(softcard_request *request)
{
    softcard_channel *channel = request->channel;
    if (request->command.instruction == INS_INITIALIZE_UPDATE &&
        !softcard_class_is_secured(request->command.class_byte))
        return softcard_initialize_update(request);
    if (request->command.instruction == INS_EXTERNAL_AUTHENTICATE)
        return softcard_external_authenticate(request);
    bool is_whole;
    softcard_status status = softcard_chain_take(&channel->chain, &request->command, &is_whole);
    if (status == SW_OK && is_whole) status = run_secured(request);
    if (status == SW_OK && !is_whole && !softcard_is_authorised(&channel->secure))
        status = SW_SECURITY_STATUS;
    if (is_whole || status != SW_OK) softcard_chain_end(&channel->chain);
    return status;
}

static softcard_status run_command(softcard_request *request)
{
    softcard_channel *channel = request->channel;
    uint8_t class_byte = request->command.class_byte;
    uint8_t instruction = request->command.instruction;
    if (!softcard_class_is_proprietary(class_byte)) {
        if (instruction == INS_MANAGE_CHANNEL || instruction == INS_SELECT ||
            softcard_is_file_instruction(instruction)) {
            if (softcard_class_is_secured(class_byte)) return SW_SECURE_MESSAGING;
            if (instruction == INS_MANAGE_CHANNEL) return softcard_manage_channel(request);
            if (instruction == INS_SELECT) return softcard_select(request);
            return channel->files_selected ? softcard_file_command(request) : SW_INSTRUCTION;
        }
        if (instruction != INS_GET_DATA) return SW_INSTRUCTION;
    } else if (instruction == INS_GET_STATUS && channel->files_selected &&
               request->command.p1 <= FILE_STATUS_P1_MAX && !softcard_class_is_secured(class_byte)) {
        return softcard_file_status(request);
    } else if (instruction == INS_ENVELOPE && !softcard_class_is_secured(class_byte)) {
        return softcard_envelope(request);
    }
    request->application = softcard_application_find(request->card->state, &channel->application);
    if (request->application == NULL) return SW_CONDITIONS;
    return run_application_command(request);
}

static softcard_status run_remote_command(softcard_request *request)
{
    uint8_t class_byte = request->command.class_byte;
    uint8_t instruction = request->command.instruction;
    if (request->channel->files_selected) {
        if (softcard_class_is_proprietary(class_byte)) return SW_CLASS;
        if (instruction == INS_SELECT)
            return request->command.p1 == SELECT_BY_NAME ? softcard_application_file_select(request)
                                                         : softcard_file_select(request);
        return softcard_is_file_instruction(instruction) ? softcard_file_command(request) : SW_INSTRUCTION;
    }
    if (!softcard_class_is_proprietary(class_byte)) return SW_CLASS;
    request->application = softcard_issuer(request->card->state);
    return run_instruction(request);
}

softcard_status softcard_run_remote(softcard_request *request)
{
    softcard *card = request->card;
    softcard_status status = run_remote_command(request);
    if (is_error(status)) {
        kf_buffer_truncate(request->response, 0);
        return take_back(card) == KF_OK ? status : SW_INTERNAL;
    }
    return softcard_keep(card) == KF_OK ? status : SW_MEMORY_FAILURE;
}

static softcard_status answer_command(softcard *card, kf_view bytes, kf_buffer *response)
{
    softcard_request request = {.card = card, .response = response};
    if (softcard_command_parse(bytes, &request.command) != KF_OK) return SW_WRONG_LENGTH;
    if (request.command.extended && !card->state->personality.extended_length) return SW_WRONG_LENGTH;
    if (!softcard_class_is_known(request.command.class_byte)) return SW_CLASS;
    request.channel = &card->channels[softcard_class_channel(request.command.class_byte)];
    if (!request.channel->open) return SW_CHANNEL_NOT_OPEN;
    softcard_status status = run_command(&request);
    if (kf_buffer_status(response) != KF_OK || response->size > SOFTCARD_RESPONSE_MAX - 2) {
        kf_buffer_truncate(response, 0);
        return SW_WRONG_LENGTH;
    }
    return status;
}

kf_code softcard_keep(softcard *card)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = kf_buffer_with_limit(SOFTCARD_STATE_MAX);
    KF_TRY(softcard_state_write(card->state, &bytes));
    if (kf_view_equal(kf_buffer_view(&bytes), kf_buffer_view(&card->saved))) return KF_OK;
    KF_TRY(card->environment.save(card->environment.context, kf_buffer_view(&bytes)));
    kf_buffer_truncate(&card->saved, 0);
    kf_buffer_append(&card->saved, kf_buffer_view(&bytes));
    return kf_buffer_status(&card->saved);
}

static softcard_status execute(softcard *card, kf_view command, kf_buffer *answer)
{
    softcard_status status = answer_command(card, command, answer);
    if (softcard_keep(card) == KF_OK) return status;
    kf_buffer_truncate(answer, 0);
    for (size_t i = 0; i < SOFTCARD_LOGICAL_CHANNELS_MAX; i++)
        softcard_secure_channel_end(&card->channels[i].secure);
    return take_back(card) == KF_OK ? SW_MEMORY_FAILURE : SW_INTERNAL;
}

kf_code softcard_transmit(softcard *card, kf_view command, kf_buffer *response)
{
    if (!card->powered) return KF_ERR_CARD_REMOVED;
    card->commands++;
    bool tears = card->tear_at != 0 && card->commands == card->tear_at;
    if (tears) card->tear_at = 0;
    if (tears && !card->tear_after) {
        softcard_power_off(card);
        return KF_ERR_CARD_REMOVED;
    }
    if (softcard_fetch_waiting(card, command, response)) return kf_buffer_status(response);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    softcard_status status = execute(card, command, &answer);
    if (tears) {
        softcard_power_off(card);
        return KF_ERR_CARD_REMOVED;
    }
    softcard_deliver(card, command, &answer, status, response);
    return kf_buffer_status(response);
}

void softcard_tear(softcard *card, uint64_t number, bool after)
{
    card->tear_at = number;
    card->tear_after = after;
}

uint64_t softcard_command_count(const softcard *card)
{
    return card->commands;
}

void softcard_power_off(softcard *card)
{
    for (size_t i = 0; i < SOFTCARD_LOGICAL_CHANNELS_MAX; i++)
        softcard_channel_close(&card->channels[i]);
    for (size_t i = 0; i < SOFTCARD_PINS; i++)
        card->pin_verified[i] = false;
    softcard_channel_close(&card->remote);
    kf_buffer_clear(&card->remote_parts.bytes);
    memset(&card->remote_parts, 0, sizeof card->remote_parts);
    kf_buffer_truncate(&card->waiting, 0);
    card->commands = 0;
    card->powered = false;
}

void softcard_power_on(softcard *card)
{
    softcard_power_off(card);
    card->powered = true;
    softcard_channel_open(card, &card->channels[0]);
}

bool softcard_is_powered(const softcard *card)
{
    return card->powered;
}

kf_view softcard_atr(const softcard *card)
{
    return kf_view_of(card->state->personality.atr, card->state->personality.atr_size);
}

kf_code softcard_open(kf_view state, softcard_environment environment, softcard **ret_card, kf_error *error)
{
    KF_CLEANUP(softcard_free) softcard *card = calloc(1, sizeof *card);
    if (card == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    card->environment = environment;
    KF_TRY(softcard_state_read(state, &card->state, error));
    kf_buffer_append(&card->saved, state);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&card->saved)));
    card->answers_by_get_response = softcard_offers_t0_first(softcard_atr(card));
    *ret_card = card;
    card = NULL;
    return KF_OK;
}

void softcard_free(softcard **card)
{
    if (*card == NULL) return;
    softcard_power_off(*card);
    kf_buffer_clear(&(*card)->waiting);
    kf_buffer_clear(&(*card)->saved);
    softcard_state_free(&(*card)->state);
    free(*card);
    *card = NULL;
}
