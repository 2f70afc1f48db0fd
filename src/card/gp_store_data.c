/* STORE DATA (Card Specification 11.11; EMV CPS 4.3.4). */
#include <keyfill/globalplatform.h>

#include "card/gp_command.h"

#include <keyfill/tlv.h>

#define INS_STORE_DATA 0xE2

kf_code kf_gp_store_data(uint8_t options, bool last, uint8_t number, kf_view data, kf_buffer *apdu)
{
    if (options & 0x80u) return KF_ERR_ARGUMENT;
    unsigned p1 = options | (last ? 0x80u : 0u);
    return kf_gp_append_command(KF_GP_CLASS, INS_STORE_DATA, (uint16_t)((p1 << 8) | number), data, apdu);
}

static size_t dgi_size(const kf_dgi *dgi)
{
    return 2 + (dgi->value.size < 0xFF ? 1u : 3u) + dgi->value.size;
}

/* How many groupings from `first` on go into one command. */
static size_t groupings_that_fit(const kf_gp_store_data_plan *plan, size_t first)
{
    size_t size = 0;
    size_t count = 0;
    while (first + count < plan->dgi_count) {
        const kf_dgi *dgi = &plan->dgis[first + count];
        size += dgi_size(dgi);
        if (size > plan->data_max || dgi->encrypted != plan->dgis[first].encrypted) break;
        count++;
    }
    return count;
}

static kf_code append_groupings(const kf_gp_store_data_plan *plan, size_t first, size_t count,
                                kf_buffer *data)
{
    for (size_t i = first; i < first + count; i++)
        KF_TRY(kf_dgi_append(data, plan->dgis[i].identifier, plan->dgis[i].value));
    return kf_buffer_status(data);
}

/* One command that is not the last, or is. */
static kf_code append_store_data(const kf_gp_store_data_stream *stream, kf_view part, bool last,
                                 unsigned number, kf_command_list *commands)
{
    if (number > 0xFF) return KF_ERR_TOO_LONG;
    kf_buffer *apdu = kf_command_list_append(commands);
    if (apdu == NULL) return KF_ERR_MEMORY;
    return kf_gp_store_data(stream->options, last, (uint8_t)number, part, apdu);
}

kf_code kf_gp_store_data_cut(const kf_gp_store_data_stream *stream, kf_command_list *commands)
{
    if (stream->data_max == 0 || stream->data_max > KF_COMMAND_DATA_MAX || stream->data.size == 0)
        return KF_ERR_ARGUMENT;
    unsigned number = stream->first_number;
    for (size_t offset = 0; offset < stream->data.size; offset += stream->data_max) {
        kf_view part = kf_view_part(stream->data, offset, stream->data_max);
        bool last = stream->finish && offset + part.size == stream->data.size;
        KF_TRY(append_store_data(stream, part, last, number++, commands));
    }
    return KF_OK;
}

/* `chained`: a grouping that fits no command goes alone, over several. */
static kf_code pack_groupings(const kf_gp_store_data_plan *plan, bool chained, kf_command_list *commands)
{
    if (plan->data_max == 0 || plan->data_max > KF_COMMAND_DATA_MAX) return KF_ERR_ARGUMENT;
    size_t number = plan->first_number;
    size_t first = 0;
    while (first < plan->dgi_count) {
        size_t count = groupings_that_fit(plan, first);
        if (count == 0 && !chained) return KF_ERR_TOO_LONG;
        if (count == 0) count = 1;
        if (number > 0xFF) return KF_ERR_TOO_LONG;
        KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
        KF_TRY(append_groupings(plan, first, count, &data));
        unsigned options = KF_STORE_DATA_DGI | (plan->dgis[first].encrypted ? KF_STORE_DATA_ENCRYPTED : 0u);
        const kf_gp_store_data_stream stream = {.data = kf_buffer_view(&data),
                                                .options = (uint8_t)options,
                                                .data_max = plan->data_max,
                                                .first_number = (uint8_t)number,
                                                .finish = plan->finish && first + count == plan->dgi_count};
        KF_TRY(kf_gp_store_data_cut(&stream, commands));
        number += (data.size + plan->data_max - 1) / plan->data_max;
        first += count;
    }
    return KF_OK;
}

kf_code kf_gp_store_data_dgis(const kf_gp_store_data_plan *plan, kf_command_list *commands)
{
    return pack_groupings(plan, false, commands);
}

kf_code kf_gp_store_data_chained(const kf_gp_store_data_plan *plan, kf_command_list *commands)
{
    return pack_groupings(plan, true, commands);
}

kf_code kf_gp_encrypt_value(kf_secure_channel *channel, kf_view plain, bool padded, kf_buffer *encrypted)
{
    if (!padded) return kf_secure_channel_encrypt_data(channel, plain, encrypted);
    KF_CLEANUP(kf_buffer_clear) kf_buffer whole = KF_BUFFER_INIT;
    kf_buffer_append(&whole, plain);
    KF_TRY(kf_buffer_status(&whole));
    KF_TRY(kf_secure_channel_pad(channel, &whole));
    return kf_secure_channel_encrypt_data(channel, kf_buffer_view(&whole), encrypted);
}
