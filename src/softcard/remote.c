#include "softcard/remote.h"

#include <string.h>

#include "softcard/card.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/tlv.h"

/* COMPREHENSION-TLVs of ENVELOPE (TS 102 223 8, TS 31.111 8); b8 of a tag only asks to understand it. */
enum { TAG_SMS_DOWNLOAD = 0xD1, TAG_TPDU = 0x0B, TAG_COMPREHENSION = 0x80, NO_REMOTE = 0xFF };
/* Information elements of user data headers (TS 23.040 9.2.3.24). */
enum { ELEMENT_CONCATENATED = 0x00, ELEMENT_COMMAND_PACKET = 0x70 };

typedef struct sms_header {
    bool has_packet;
    bool concatenated;
    uint8_t reference;
    uint8_t total;
    uint8_t number;
} sms_header;

bool softcard_remote_target_is_known(const uint8_t target[3])
{
    bool is_issuer = target[0] == 0 && target[1] == 0 && target[2] == 0;
    /* TS 101 220 annex D: the UICC's shared files, and those of the SIM and USIM; from B00120 on for scripts
     * in expanded form. */
    bool is_files = target[0] == 0xB0 && ((target[1] == 0x00 && target[2] <= 0x1F) ||
                                          (target[1] == 0x01 && target[2] >= 0x20 && target[2] <= 0x3F));
    return is_issuer || is_files;
}

static kf_code find_tpdu(kf_view data, kf_view *ret_tpdu)
{
    kf_view inner;
    KF_TRY(softcard_tlv_find(data, TAG_SMS_DOWNLOAD, &inner));
    kf_cursor cursor = kf_cursor_of(inner);
    while (!kf_cursor_at_end(&cursor)) {
        softcard_tlv object;
        KF_TRY(softcard_tlv_next(&cursor, &object));
        if ((object.tag & (uint16_t)~TAG_COMPREHENSION) != TAG_TPDU) continue;
        *ret_tpdu = object.value;
        return KF_OK;
    }
    return KF_ERR_NOT_FOUND;
}

/* SMS-DELIVER (TS 23.040 9.2.2.1) with a user data header. Its length of user data is not trusted: some hosts
 * count the header alone. */
static kf_code find_user_data(kf_view tpdu, kf_view *ret_header, kf_view *ret_data)
{
    enum { TYPE_MASK = 0x03, HAS_HEADER = 0x40, IDENTIFIER_CODING_TIME = 9 };
    kf_cursor cursor = kf_cursor_of(tpdu);
    uint8_t type;
    uint8_t digits;
    uint8_t length;
    uint8_t header_length;
    KF_TRY(kf_cursor_u8(&cursor, &type));
    if ((type & TYPE_MASK) != 0 || (type & HAS_HEADER) == 0) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_u8(&cursor, &digits));
    KF_TRY(kf_cursor_skip(&cursor, 1U + (digits + 1U) / 2));
    KF_TRY(kf_cursor_skip(&cursor, IDENTIFIER_CODING_TIME));
    KF_TRY(kf_cursor_u8(&cursor, &length));
    if (length > cursor.rest.size) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_u8(&cursor, &header_length));
    KF_TRY(kf_cursor_take(&cursor, header_length, ret_header));
    *ret_data = cursor.rest;
    return KF_OK;
}

static kf_code read_header(kf_view bytes, sms_header *header)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    while (!kf_cursor_at_end(&cursor)) {
        uint8_t identifier;
        kf_view value;
        KF_TRY(kf_cursor_u8(&cursor, &identifier));
        KF_TRY(softcard_counted_next(&cursor, &value));
        if (identifier == ELEMENT_COMMAND_PACKET) header->has_packet = true;
        if (identifier != ELEMENT_CONCATENATED) continue;
        if (value.size != 3 || value.data[1] == 0 || value.data[2] == 0 || value.data[2] > value.data[1])
            return KF_ERR_MALFORMED;
        header->concatenated = true;
        header->reference = value.data[0];
        header->total = value.data[1];
        header->number = value.data[2];
    }
    return KF_OK;
}

/* KF_ERR_NOT_FOUND while parts are missing. Only the first part names what the whole is. */
static kf_code collect(softcard_remote_parts *parts, const sms_header *header, kf_view data)
{
    if (!header->concatenated || header->number == 1) {
        kf_buffer_clear(&parts->bytes);
        parts->bytes = kf_buffer_with_limit(SOFTCARD_REMOTE_PACKET_MAX);
        if (!header->has_packet) return KF_ERR_MALFORMED;
        parts->reference = header->reference;
        parts->total = header->concatenated ? header->total : 1;
        parts->next = 1;
    } else if (header->reference != parts->reference || header->total != parts->total ||
               header->number != parts->next) {
        return KF_ERR_MALFORMED;
    }
    kf_buffer_append(&parts->bytes, data);
    KF_TRY(kf_buffer_status(&parts->bytes));
    parts->next++;
    return parts->next > parts->total ? KF_OK : KF_ERR_NOT_FOUND;
}

static kf_code receive(softcard *card, kf_view data)
{
    kf_view tpdu;
    kf_view header_bytes;
    kf_view user_data;
    sms_header header = {.has_packet = false};
    KF_TRY(find_tpdu(data, &tpdu));
    KF_TRY(find_user_data(tpdu, &header_bytes, &user_data));
    KF_TRY(read_header(header_bytes, &header));
    return collect(&card->remote_parts, &header, user_data);
}

static softcard_status answer_packet(softcard_request *request)
{
    softcard *card = request->card;
    KF_CLEANUP(softcard_remote_packet_clear) softcard_remote_packet packet = {.commands = KF_BUFFER_INIT};
    KF_CLEANUP(kf_buffer_clear) kf_buffer result = KF_BUFFER_INIT;
    softcard_remote_status status;
    kf_view bytes = kf_buffer_view(&card->remote_parts.bytes);
    if (softcard_remote_open(card->state, bytes, &packet, &status) != KF_OK) return SW_OK;
    if (status == SOFTCARD_REMOTE_OK) {
        /* The counter is durable before anything is done: a packet never runs twice. */
        if (softcard_keep(card) != KF_OK) return SW_MEMORY_FAILURE;
        softcard_status executed = softcard_remote_execute(card, &packet, &result);
        if (executed != SW_OK) return executed;
    }
    kf_code code = softcard_remote_respond(&packet, status, kf_buffer_view(&result), request->response);
    return code == KF_OK ? SW_OK : SW_INTERNAL;
}

/* TS 102 223 7.1.1.2: what is no packet for this card is taken and forgotten. */
softcard_status softcard_envelope(softcard_request *request)
{
    softcard *card = request->card;
    if (request->command.p1 != 0 || request->command.p2 != 0) return SW_WRONG_P1P2;
    if (request->command.data.size == 0) return SW_WRONG_LENGTH;
    if (card->state->personality.remote_minimum_security == NO_REMOTE) return SW_INSTRUCTION;
    if (softcard_issuer(card->state)->life_cycle >= SOFTCARD_CARD_LOCKED) return SW_CONDITIONS;
    kf_view tpdu;
    if (find_tpdu(request->command.data, &tpdu) != KF_OK) return SW_WRONG_DATA;
    kf_code code = receive(card, request->command.data);
    if (code == KF_ERR_NOT_FOUND) return SW_OK; /* more parts will come */
    softcard_status status = SW_OK;
    if (code == KF_OK) status = answer_packet(request);
    kf_buffer_clear(&card->remote_parts.bytes);
    memset(&card->remote_parts, 0, sizeof card->remote_parts);
    return status;
}
