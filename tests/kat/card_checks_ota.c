/* Checkers of secured packets over the air. */
#include "card_checks.h"

#include <string.h>

#include <keyfill/ota.h>

typedef struct ota_input {
    kf_ota_command command;
    kf_ota_keys keys;
    kf_secret *kic;
    kf_secret *kid;
    kf_buffer data;
} ota_input;

static void ota_input_clear(ota_input *input)
{
    kf_secret_free(&input->kic);
    kf_secret_free(&input->kid);
    kf_buffer_clear(&input->data);
}

/* AES where the vector says so, else by the size of the key. */
static kf_ota_algorithm algorithm_of(const json_t *entry, const kf_secret *key)
{
    if (strcasestr(kat_text_or(entry, "algorithm", ""), "aes") != NULL) return KF_OTA_AES;
    return kf_secret_size(key) == 24  ? KF_OTA_TDES_THREE
           : kf_secret_size(key) == 8 ? KF_OTA_DES_CBC
                                      : KF_OTA_TDES_TWO;
}

static bool read_byte(const json_t *entry, const char *member, uint8_t *ret_value)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    if (kf_hex_decode_append(kat_text_or(entry, member, "00"), &bytes) != KF_OK || bytes.size != 1)
        return false;
    *ret_value = bytes.data[0];
    return true;
}

static bool read_numbers(kat_report *report, const json_t *entry, kf_ota_header *header)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    if (kf_hex_decode_append(kat_text_or(entry, "tar", "000000"), &bytes) != KF_OK ||
        kf_hex_decode_append(kat_text_or(entry, "counter", "0000000000"), &bytes) != KF_OK ||
        bytes.size != 8) {
        kat_fault(report, "tar or counter has the wrong form");
        return false;
    }
    memcpy(header->tar, bytes.data, 3);
    for (size_t i = 3; i < 8; i++)
        header->counter = header->counter << 8 | bytes.data[i];
    return true;
}

static bool read_ota(kat_report *report, const json_t *entry, ota_input *input)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer spi = KF_BUFFER_INIT;
    kf_ota_header *header = &input->command.header;
    input->kic = kat_need_secret(report, entry, "kic");
    input->kid = kat_need_secret(report, entry, "kid");
    if (input->kic == NULL || input->kid == NULL || !kat_need_hex(report, entry, "spi", &spi)) return false;
    if (spi.size != 2 || !kat_ok(report, kf_ota_security_decode(spi.data, &header->security), "spi"))
        return false;
    if (!read_byte(entry, "kic_byte", &header->kic) || !read_byte(entry, "kid_byte", &header->kid)) {
        kat_fault(report, "kic_byte or kid_byte has the wrong form");
        return false;
    }
    input->keys = (kf_ota_keys){.kic = input->kic,
                                .kid = input->kid,
                                .implicit = algorithm_of(entry, input->kic),
                                .check_size = (size_t)kat_number_or(entry, "cc_length", 0)};
    return read_numbers(report, entry, header);
}

/* The published message, but for its length of user data, which one program writes wrongly. */
static void expect_message(kat_report *report, const json_t *entry, kf_view packet)
{
    const json_t *published = kat_expected(report, entry, "published_tpdu_bad_udl");
    if (published == NULL) return;
    enum { LENGTH_OFFSET = 16 };
    const kf_ota_message message = {"12345678", {0x22, 0x70, 0x52, 0x00, 0x00, 0x00, 0x00}, 0};
    KF_CLEANUP(kf_command_list_clear) kf_command_list tpdus = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer wanted = KF_BUFFER_INIT;
    if (!kat_ok(report, kf_ota_messages(&message, packet, &tpdus), "kf_ota_messages")) return;
    if (!kat_ok(report, kf_hex_decode_append(json_string_value(published), &wanted), "published")) return;
    if (wanted.size <= LENGTH_OFFSET || tpdus.count != 1) {
        kat_fault(report, "the published message is of another form");
        return;
    }
    wanted.data[LENGTH_OFFSET] = (uint8_t)(3 + packet.size);
    kat_compare(report, "published_tpdu_bad_udl", kf_buffer_view(&wanted), kf_buffer_view(&tpdus.items[0]));
}

static void check_command(kat_report *report, const json_t *entry, ota_input *input)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer packet = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer with_length = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer back = KF_BUFFER_INIT;
    if (!kat_need_hex(report, entry, "apdu", &input->data)) return;
    input->command.data = kf_buffer_view(&input->data);
    kf_code code = kf_ota_command_encode(&input->command, &input->keys, &packet);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "kf_ota_command_encode")) return;
    kat_expect_hex(report, entry, "command_packet", kf_buffer_view(&packet));
    kat_expect_hex(report, entry, "command_packet_without_cpl",
                   kf_view_part(kf_buffer_view(&packet), 2, packet.size));
    if (kat_has(entry, "packet_with_cpl") && kat_need_hex(report, entry, "packet_with_cpl", &with_length))
        kat_compare(report, "packet_with_cpl", kf_buffer_view(&with_length), kf_buffer_view(&packet));
    expect_message(report, entry, kf_buffer_view(&packet));
    kf_ota_header header;
    code = kf_ota_command_decode(kf_buffer_view(&packet), &input->keys, &header, &back);
    if (kat_ok(report, code, "kf_ota_command_decode"))
        kat_compare(report, "apdu", kf_buffer_view(&input->data), kf_buffer_view(&back));
}

static void check_compact(kat_report *report, const json_t *entry, kf_view data)
{
    const json_t *expected = json_object_get(entry, "expected");
    if (!kat_has(expected, "number_of_commands") && !kat_has(expected, "last_status_word")) return;
    kf_ota_compact_response response;
    if (!kat_ok(report, kf_ota_compact_response_parse(data, &response), "kf_ota_compact_response_parse"))
        return;
    const uint8_t status_word[] = {(uint8_t)(response.status_word >> 8), (uint8_t)response.status_word};
    kat_expect_number(report, entry, "number_of_commands", response.command_count);
    kat_expect_hex(report, entry, "last_status_word", KF_VIEW(status_word));
    kat_expect_hex(report, entry, "last_response_data", response.data);
}

/* Where the checksum says that it begins behind the user data header, that is left out. */
static kf_view checked_part(const json_t *entry, kf_view packet)
{
    bool with_header = strcmp(kat_text_or(entry, "cc_input_prefix", "udh"), "udh") == 0;
    bool is_there = kat_has(entry, "response_packet_with_udh") && packet.size > 0;
    return with_header || !is_there ? packet : kf_view_part(packet, 1u + packet.data[0], packet.size);
}

static void check_response(kat_report *report, const json_t *entry, ota_input *input)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer packet = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    const char *member =
        kat_has(entry, "response_packet_with_udh") ? "response_packet_with_udh" : "response_packet";
    if (!kat_need_hex(report, entry, member, &packet)) return;
    kf_ota_response response;
    kf_code code = kf_ota_response_decode(checked_part(entry, kf_buffer_view(&packet)),
                                          &input->command.header, &input->keys, &response, &data);
    if (kat_expect_error(report, entry, code)) {
        const char *reason = kat_text_or(json_object_get(entry, "expected"), "error", "");
        if (strncmp(reason, "CC", 2) == 0 && code != KF_ERR_AUTHENTICATION)
            kat_fault(report, "refused for another reason: %s", kf_code_name(code));
        return;
    }
    if (!kat_ok(report, code, "kf_ota_response_decode")) return;
    kat_expect_number(report, entry, "response_status", response.status);
    kat_expect_hex(report, entry, "tar", KF_VIEW(response.tar));
    kat_expect_hex(report, entry, "response_data", kf_buffer_view(&data));
    check_compact(report, entry, kf_buffer_view(&data));
}

void kat_check_ota(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(ota_input_clear) ota_input input = {0};
    if (!read_ota(report, entry, &input)) return;
    if (kat_has(entry, "apdu"))
        check_command(report, entry, &input);
    else
        check_response(report, entry, &input);
}
