/* What --trace shows of a command. */
#include <keyfill/gp_command.h>
#include <keyfill/hex.h>

#include "cli/gp.h"

#define INS_INSTALL 0xE6

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
    case 0xD2: /* WRITE RECORD */
    case 0xC2: /* ENVELOPE: what goes over the air may go in clear */ return true;
    default: return false;
    }
}

/* INSTALL shows what it is about; parameters may hold codes and keys (§11.5.2.3). */
static void append_install(kf_view whole, const kf_command *parsed, kf_buffer *text)
{
    kf_gp_command install;
    bool read = kf_gp_command_parse(whole, &install) == KF_OK && !install.secured && !install.more;
    if (!read) {
        kf_buffer_format(text, "*** (%zu bytes)", parsed->data.size);
        return;
    }
    size_t last = install.field_count - 1;
    for (size_t i = 0; i < last; i++) {
        kf_buffer_append_hex(text, install.fields[i]);
        kf_buffer_append_text(text, install.fields[i].size > 0 ? " " : "- ");
    }
    /* C9 00 alone tells nothing. */
    if (install.fields[last].size <= 2)
        kf_buffer_append_hex(text, install.fields[last]);
    else
        kf_buffer_format(text, "parameters *** (%zu bytes)", install.fields[last].size);
    if (install.token.size > 0) kf_buffer_format(text, ", token of %zu bytes", install.token.size);
}

/* AUTHENTICATE answers with the keys of the session that follows (TS 31.102 7.1.2.1). */
static bool answers_with_keys(kf_view command)
{
    return command.size > 1 && (command.data[1] & 0xFEu) == 0x88;
}

void kf_gp_trace_answer(kf_view command, kf_view data, uint16_t status_word, kf_buffer *text)
{
    if (answers_with_keys(command) && data.size > 0)
        kf_buffer_format(text, "*** (%zu bytes)", data.size);
    else
        kf_buffer_append_hex(text, data);
    kf_buffer_format(text, "%s%s", data.size > 0 ? " " : "", kf_status_word_show(status_word).text);
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
        else if (parsed.ins == INS_INSTALL)
            append_install(command, &parsed, text);
        else if (carries_secrets(parsed.ins))
            kf_buffer_format(text, "*** (%zu bytes)", parsed.data.size);
        else
            kf_buffer_append_hex(text, parsed.data);
    }
    if (parsed.has_le) kf_buffer_format(text, " Le=%02zX", parsed.le & 0xFFu);
}
