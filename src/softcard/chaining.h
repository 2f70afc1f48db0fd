/* Commands in several parts (GlobalPlatform 11.1.5.1): PUT KEY, INSTALL and DELETE with b8 of P1 go on in the
 * next command. Secure messaging covers the whole, whose length may take two bytes then. */
#ifndef KEYFILL_SOFTCARD_CHAINING_H
#define KEYFILL_SOFTCARD_CHAINING_H

#include <keyfill/bytes.h>

#include "softcard/apdu.h"

enum { SOFTCARD_CHAIN_MAX = 2048 };

typedef struct softcard_command_chain {
    bool active;
    uint8_t class_byte;
    uint8_t instruction;
    uint8_t p1; /* without b8 */
    uint8_t p2;
    kf_buffer bytes;
} softcard_command_chain;

void softcard_chain_end(softcard_command_chain *chain);
/* Takes a part. `*ret_is_whole`: `command` is to be carried out, with all the data there were (they stay in
 * the chain). A command that does not go on with what was begun ends it. SW_OK or SW_NO_SPACE. */
softcard_status softcard_chain_take(softcard_command_chain *chain, softcard_command *command,
                                    bool *ret_is_whole);

#endif
