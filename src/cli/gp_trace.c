/* What --trace shows of a command. */
#include <keyfill/apdu.h>
#include <keyfill/hex.h>

#include "cli/gp.h"

/* Instructions whose data are codes, keys or personalisation: VERIFY, MANAGE SECURITY ENVIRONMENT aside, of
 * ISO/IEC 7816-4 §11 and TS 102 221 §11.1; PUT KEY and STORE DATA of GlobalPlatform §11. */
static bool carries_secrets(uint8_t instruction)
{
    switch (instruction & 0xFEu) {
    case 0x20: /* VERIFY */
    case 0x24: /* CHANGE REFERENCE DATA */
    case 0x26: /* DISABLE VERIFICATION REQUIREMENT */
    case 0x28: /* ENABLE VERIFICATION REQUIREMENT */
    case 0x2C: /* RESET RETRY COUNTER */
    case 0xD8: /* PUT KEY */
    case 0xDA: /* PUT DATA */
    case 0xE2: /* STORE DATA, APPEND RECORD */
    case 0xD6: /* UPDATE BINARY */
    case 0xDC: /* UPDATE RECORD */
    case 0xD0: /* WRITE BINARY */
    case 0xD2: /* WRITE RECORD */ return true;
    default: return false;
    }
}

void kf_gp_trace_command(kf_view command, const char *instead, kf_buffer *text)
{
    kf_command parsed;
    if (kf_command_parse(command, &parsed) != KF_OK) {
        kf_buffer_format(text, "*** (%zu bytes that are no command)", command.size);
        return;
    }
    kf_buffer_append_hex(text, kf_view_part(command, 0, KF_COMMAND_HEADER_SIZE));
    if (parsed.data.size > 0) {
        kf_buffer_format(text, " Lc=%02zX ", parsed.data.size);
        if (instead != NULL)
            kf_buffer_append_text(text, instead);
        else if (carries_secrets(parsed.ins))
            kf_buffer_format(text, "*** (%zu bytes)", parsed.data.size);
        else
            kf_buffer_append_hex(text, parsed.data);
    }
    if (parsed.has_le) kf_buffer_format(text, " Le=%02zX", parsed.le & 0xFFu);
}
