/* Data groupings: what is read, packed into STORE DATA commands and put together again is the same, whether
 * they are packed whole or cut. */
#include <keyfill/globalplatform.h>
#include <keyfill/tlv.h>

#include "fuzz.h"

#define GROUPINGS_MAX 64

static void collect(const kf_command_list *commands, size_t data_max, kf_buffer *stream)
{
    for (size_t i = 0; i < commands->count; i++) {
        kf_command command;
        FUZZ_WANT(kf_command_parse(kf_buffer_view(&commands->items[i]), &command) == KF_OK);
        FUZZ_WANT(command.data.size <= data_max);
        FUZZ_WANT(command.p2 == (uint8_t)i);
        FUZZ_WANT(((command.p1 & 0x80) != 0) == (i + 1 == commands->count));
        kf_buffer_append(stream, command.data);
    }
}

static void want_packed_whole(const kf_gp_store_data_plan *plan, kf_view expected, bool chained)
{
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    FUZZ_BUFFER(stream);
    kf_code code =
        chained ? kf_gp_store_data_chained(plan, &commands) : kf_gp_store_data_dgis(plan, &commands);
    if (code != KF_OK) {
        FUZZ_WANT(code == KF_ERR_TOO_LONG || code == KF_ERR_ARGUMENT);
        return;
    }
    collect(&commands, plan->data_max, &stream);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&stream), expected));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    kf_dgi groupings[GROUPINGS_MAX];
    size_t count = 0;
    kf_cursor cursor = kf_cursor_of(kf_view_of(data + 1, size - 1));
    FUZZ_BUFFER(written);
    while (count < GROUPINGS_MAX) {
        kf_view before = cursor.rest;
        kf_dgi *grouping = &groupings[count];
        *grouping = (kf_dgi){.encrypted = count % 2 == 1 && (data[0] & 1) != 0};
        if (kf_dgi_read(&cursor, &grouping->identifier, &grouping->value) != KF_OK) {
            FUZZ_WANT(cursor.rest.data == before.data && cursor.rest.size == before.size);
            FUZZ_WANT(grouping->identifier == 0 && grouping->value.size == 0);
            break;
        }
        FUZZ_WANT(kf_dgi_append(&written, grouping->identifier, grouping->value) == KF_OK);
        count++;
    }
    if (count == 0) return 0;
    const kf_gp_store_data_plan plan = {
        .dgis = groupings, .dgi_count = count, .data_max = data[0], .finish = true};
    want_packed_whole(&plan, kf_buffer_view(&written), false);
    want_packed_whole(&plan, kf_buffer_view(&written), true);
    return 0;
}
