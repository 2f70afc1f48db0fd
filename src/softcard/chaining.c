#include "softcard/chaining.h"

enum { INS_PUT_KEY = 0xD8, INS_DELETE = 0xE4, INS_INSTALL = 0xE6, MORE = 0x80 };
/* A part is full: what is shorter would have fitted, and its b8 is not one of chaining. */
enum { PART_MIN = 128 };

void softcard_chain_end(softcard_command_chain *chain)
{
    kf_buffer_clear(&chain->bytes);
    *chain = (softcard_command_chain){.active = false};
}

static bool can_be_chained(const softcard_command *command)
{
    return softcard_class_is_proprietary(command->class_byte) &&
           (command->instruction == INS_PUT_KEY || command->instruction == INS_INSTALL ||
            command->instruction == INS_DELETE);
}

static bool goes_on(const softcard_command_chain *chain, const softcard_command *command)
{
    return chain->active && chain->class_byte == command->class_byte &&
           chain->instruction == command->instruction && chain->p1 == (command->p1 & (uint8_t)~MORE) &&
           chain->p2 == command->p2;
}

softcard_status softcard_chain_take(softcard_command_chain *chain, softcard_command *command,
                                    bool *ret_is_whole)
{
    bool more = can_be_chained(command) && (command->p1 & MORE) != 0 && command->data.size >= PART_MIN;
    if (!goes_on(chain, command)) softcard_chain_end(chain);
    *ret_is_whole = !more;
    if (!more && !chain->active) return SW_OK;
    if (!chain->active)
        *chain = (softcard_command_chain){true,
                                          command->class_byte,
                                          command->instruction,
                                          command->p1 & (uint8_t)~MORE,
                                          command->p2,
                                          kf_buffer_with_limit(SOFTCARD_CHAIN_MAX)};
    kf_buffer_append(&chain->bytes, command->data);
    if (kf_buffer_status(&chain->bytes) != KF_OK) {
        softcard_chain_end(chain);
        return SW_NO_SPACE;
    }
    if (more) return SW_OK;
    command->data = kf_buffer_view(&chain->bytes);
    command->extended = command->data.size > UINT8_MAX;
    return SW_OK;
}
