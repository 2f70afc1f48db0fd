#include "softcard/channels.h"

#include <string.h>

#include "softcard/applet.h"
#include "softcard/card.h"
#include "softcard/registry.h"
#include "softcard/security_domain.h"

enum { SELECT_BY_NAME = 0x04, OCCURRENCE_MASK = 0x03, NEXT_OCCURRENCE = 0x02, NO_ANSWER = 0x0C };
enum { CHANNEL_OPEN = 0x00, CHANNEL_CLOSE = 0x80 };

static void end_load(softcard_load_series *series)
{
    kf_buffer_clear(&series->bytes);
    *series = (softcard_load_series){.active = false};
}

void softcard_channel_forget(softcard_channel *channel)
{
    softcard_secure_channel_end(&channel->secure);
    softcard_store_series_end(&channel->store);
    end_load(&channel->load);
    channel->personalised = (softcard_aid){0};
    channel->listing = (softcard_status_listing){0, 0};
    softcard_chain_end(&channel->chain);
}

static bool is_selectable(const softcard_state *state, const softcard_application *application)
{
    if (application->kind == SOFTCARD_ISSUER_DOMAIN) return true;
    if (state->applications[0].life_cycle == SOFTCARD_CARD_LOCKED) return false;
    return application->life_cycle >= SOFTCARD_SELECTABLE && (application->life_cycle & SOFTCARD_LOCKED) == 0;
}

/* TS 102 221 8.6: a channel starts at the MF; the basic one, after a reset, with the application that has
 * Card Reset, where one has it. The issuer security domain answers what is not for files. */
void softcard_channel_open(softcard *card, softcard_channel *channel)
{
    softcard_channel_forget(channel);
    channel->open = true;
    channel->files_selected = true;
    channel->application = softcard_issuer(card->state)->aid;
    channel->position = softcard_position_start();
    if (channel != &card->channels[0]) return;
    const softcard_application *application = softcard_default_application(card->state);
    if (application->kind == SOFTCARD_ISSUER_DOMAIN || !is_selectable(card->state, application)) return;
    channel->files_selected = false;
    channel->application = application->aid;
}

void softcard_channel_close(softcard_channel *channel)
{
    softcard_channel_forget(channel);
    memset(channel, 0, sizeof *channel);
}

static softcard_status open_channel(softcard_request *request)
{
    softcard *card = request->card;
    size_t number = request->command.p2;
    size_t count = card->state->personality.logical_channels;
    if (number >= count) return SW_WRONG_P1P2;
    if (number == 0) {
        number = 1;
        while (number < count && card->channels[number].open)
            number++;
        if (number >= count) return SW_NOT_SUPPORTED;
        kf_buffer_append_u8(request->response, (uint8_t)number);
    } else if (card->channels[number].open) {
        return SW_CHANNEL_NOT_OPEN;
    }
    softcard_channel_open(card, &card->channels[number]);
    return SW_OK;
}

softcard_status softcard_manage_channel(softcard_request *request)
{
    const softcard_command *command = &request->command;
    if (command->data.size != 0) return SW_WRONG_LENGTH;
    if (command->p1 == CHANNEL_OPEN) return open_channel(request);
    if (command->p1 != CHANNEL_CLOSE || command->p2 == 0 || command->p2 >= SOFTCARD_LOGICAL_CHANNELS_MAX)
        return SW_WRONG_P1P2;
    softcard_channel *channel = &request->card->channels[command->p2];
    if (!channel->open) return SW_CHANNEL_NOT_OPEN;
    softcard_channel_close(channel);
    return SW_OK;
}

/* 6.4.2.1: the first whose AID begins with `name`; behind the selected one where the next is asked for. */
static softcard_application *find_by_name(softcard_request *request, kf_view name, bool next)
{
    softcard_state *state = request->card->state;
    bool passed = !next;
    for (size_t i = 0; i < state->application_count; i++) {
        softcard_application *application = &state->applications[i];
        bool matches = kf_view_starts_with(softcard_aid_view(&application->aid), name);
        if (passed && matches && is_selectable(state, application)) return application;
        if (softcard_aid_equal(&application->aid, &request->channel->application)) passed = true;
    }
    return NULL;
}

static softcard_application *find_exact(softcard_request *request, kf_view name)
{
    softcard_state *state = request->card->state;
    for (size_t i = 0; i < state->application_count; i++) {
        softcard_application *application = &state->applications[i];
        if (kf_view_equal(softcard_aid_view(&application->aid), name) && is_selectable(state, application))
            return application;
    }
    return NULL;
}

static softcard_status select_by_name(softcard_request *request)
{
    kf_view name = request->command.data;
    bool next = (request->command.p2 & OCCURRENCE_MASK) == NEXT_OCCURRENCE;
    if (name.size > SOFTCARD_AID_MAX) return SW_WRONG_DATA;
    if ((request->command.p2 & OCCURRENCE_MASK & (uint8_t)~NEXT_OCCURRENCE) != 0) return SW_WRONG_P1P2;
    softcard_application *found = next ? NULL : find_exact(request, name);
    if (found == NULL) found = find_by_name(request, name, next);
    if (found == NULL) return next ? SW_NOT_FOUND : softcard_application_file_select(request);
    softcard_channel *channel = request->channel;
    softcard_channel_forget(channel);
    channel->files_selected = false;
    channel->application = found->aid;
    channel->position = softcard_position_start();
    request->application = found;
    softcard_status status =
        softcard_is_domain(found) ? softcard_domain_select(request) : softcard_applet_select(request);
    if ((request->command.p2 & NO_ANSWER) == NO_ANSWER) kf_buffer_truncate(request->response, 0);
    return status;
}

softcard_status softcard_select(softcard_request *request)
{
    if (request->command.p1 == SELECT_BY_NAME) return select_by_name(request);
    return softcard_file_select(request);
}
