/* Whatever a card may answer, and what its correspondents send: every parser of the card library gets it. */
#include <string.h>

#include <keyfill/apdu.h>
#include <keyfill/sim.h>

#include "card_parsers.h"

/* What parses and is built again parses equal. */
static void want_command_again(kf_view data)
{
    kf_command command, again;
    FUZZ_BUFFER(bytes);
    if (kf_command_parse(data, &command) != KF_OK) return;
    FUZZ_WANT(kf_command_encode(&command, &bytes) == KF_OK);
    FUZZ_WANT(kf_command_parse(kf_buffer_view(&bytes), &again) == KF_OK);
    FUZZ_WANT(again.cla == command.cla && again.ins == command.ins && again.p1 == command.p1 &&
              again.p2 == command.p2 && again.has_le == command.has_le && again.extended == command.extended);
    FUZZ_WANT(!command.has_le || again.le == command.le);
    FUZZ_WANT(kf_view_equal(again.data, command.data));
}

static void want_names_again(kf_view data)
{
    char text[KF_ICCID_TEXT_SIZE], again[KF_ICCID_TEXT_SIZE];
    uint8_t content[KF_ICCID_SIZE];
    if (kf_iccid_decode(data, text) == KF_OK && kf_iccid_encode(text, content) == KF_OK) {
        FUZZ_WANT(kf_iccid_decode(KF_VIEW(content), again) == KF_OK);
        FUZZ_WANT(strcmp(text, again) == 0);
    }
    if (kf_imsi_decode(data, text) == KF_OK && kf_imsi_encode(text, content) == KF_OK) {
        FUZZ_WANT(kf_imsi_decode(kf_view_of(content, KF_IMSI_SIZE), again) == KF_OK);
        FUZZ_WANT(strcmp(text, again) == 0);
    }
    kf_msisdn number, number_again;
    FUZZ_BUFFER(record);
    if (kf_msisdn_decode(data, &number) != KF_OK || number.number[0] == '\0' ||
        kf_msisdn_encode(&number, data.size, &record) != KF_OK)
        return;
    FUZZ_WANT(kf_msisdn_decode(kf_buffer_view(&record), &number_again) == KF_OK);
    FUZZ_WANT(strcmp(number.number, number_again.number) == 0);
}

static void want_text_again(kf_view data)
{
    FUZZ_BUFFER(text);
    FUZZ_BUFFER(field);
    FUZZ_BUFFER(again);
    if (data.size > 255 || kf_alpha_decode(data, &text) != KF_OK || kf_buffer_text(&text) == NULL) return;
    if (memchr(text.data, 0, text.size + 1) != text.data + text.size) return;
    if (kf_alpha_encode(kf_buffer_text(&text), 2 * data.size + 1, &field) != KF_OK) return;
    FUZZ_WANT(kf_alpha_decode(kf_buffer_view(&field), &again) == KF_OK);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&text), kf_buffer_view(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kf_view view = kf_view_of(data, size);
    for (size_t i = 0; i < card_parser_count; i++)
        (void)fuzz_feed(card_parsers[i].parse, card_parsers[i].output_size, view);
    want_command_again(view);
    want_names_again(view);
    want_text_again(view);
    return 0;
}
