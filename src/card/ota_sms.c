/* Short messages that carry secured packets (3GPP TS 23.040, TS 31.115, TS 31.111). */
#include <keyfill/ota.h>

#include <string.h>

#include <keyfill/tlv.h>

#define USER_DATA_MAX 140     /* bytes */
#define HEADER_FIRST_SIZE 8   /* 07, concatenation, 70 00 */
#define HEADER_FURTHER_SIZE 6 /* 05, concatenation */
#define PARTS_MAX 255

#define DELIVER_WITH_HEADER 0x40
#define INTERNATIONAL_UNKNOWN 0x81 /* type of number and numbering plan not told, ISDN */
#define PROTOCOL_SIM_DATA_DOWNLOAD 0x7F
#define CODING_CLASS_2_DATA 0xF6

#define INS_ENVELOPE 0xC2
#define TAG_SMS_DOWNLOAD 0xD1
#define TAG_DEVICES 0x82
#define TAG_ADDRESS 0x86
#define TAG_TPDU 0x8B
#define DEVICE_NETWORK 0x83
#define DEVICE_UICC 0x81

/* Swapped digits, F behind an odd count. */
static kf_code append_digits(const char *digits, kf_buffer *bytes)
{
    size_t size = strlen(digits);
    if (size == 0 || size > KF_OTA_ADDRESS_DIGITS_MAX || strspn(digits, "0123456789") != size)
        return KF_ERR_ARGUMENT;
    for (size_t i = 0; i < size; i += 2) {
        unsigned low = (unsigned)(digits[i] - '0');
        unsigned high = i + 1 < size ? (unsigned)(digits[i + 1] - '0') : 0xFu;
        kf_buffer_append_u8(bytes, (uint8_t)(high << 4 | low));
    }
    return kf_buffer_status(bytes);
}

/* TS 23.040 9.2.2.1. */
static kf_code append_deliver(const kf_ota_message *message, kf_view header, kf_view part, kf_buffer *tpdu)
{
    kf_buffer_append_u8(tpdu, DELIVER_WITH_HEADER);
    kf_buffer_append_u8(tpdu, (uint8_t)strlen(message->originator));
    kf_buffer_append_u8(tpdu, INTERNATIONAL_UNKNOWN);
    KF_TRY(append_digits(message->originator, tpdu));
    kf_buffer_append_u8(tpdu, PROTOCOL_SIM_DATA_DOWNLOAD);
    kf_buffer_append_u8(tpdu, CODING_CLASS_2_DATA);
    kf_buffer_append(tpdu, KF_VIEW(message->timestamp));
    kf_buffer_append_u8(tpdu, (uint8_t)(header.size + part.size));
    kf_buffer_append(tpdu, header);
    kf_buffer_append(tpdu, part);
    return kf_buffer_status(tpdu);
}

static kf_code append_part(const kf_ota_message *message, kf_view header, kf_view part,
                           kf_command_list *tpdus)
{
    kf_buffer *tpdu = kf_command_list_append(tpdus);
    return tpdu == NULL ? KF_ERR_MEMORY : append_deliver(message, header, part, tpdu);
}

static kf_code append_chained(const kf_ota_message *message, kf_view packet, kf_command_list *tpdus)
{
    size_t first_size = USER_DATA_MAX - HEADER_FIRST_SIZE;
    size_t further_size = USER_DATA_MAX - HEADER_FURTHER_SIZE;
    size_t count = 1 + (packet.size - first_size + further_size - 1) / further_size;
    if (count > PARTS_MAX) return KF_ERR_TOO_LONG;
    for (size_t i = 0, offset = 0; i < count; i++) {
        size_t header_size = i == 0 ? HEADER_FIRST_SIZE : HEADER_FURTHER_SIZE;
        /* The element 70 stands in the first part only (TS 31.115 4.1). */
        const uint8_t header[HEADER_FIRST_SIZE] = {
            (uint8_t)(header_size - 1), 0x00, 0x03, message->reference, (uint8_t)count,
            (uint8_t)(i + 1),           0x70, 0x00};
        kf_view part = kf_view_part(packet, offset, USER_DATA_MAX - header_size);
        KF_TRY(append_part(message, kf_view_of(header, header_size), part, tpdus));
        offset += part.size;
    }
    return KF_OK;
}

kf_code kf_ota_messages(const kf_ota_message *message, kf_view packet, kf_command_list *tpdus)
{
    static const uint8_t header[] = {0x02, 0x70, 0x00};
    if (packet.size == 0) return KF_ERR_ARGUMENT;
    if (packet.size <= USER_DATA_MAX - sizeof(header))
        return append_part(message, KF_VIEW(header), packet, tpdus);
    return append_chained(message, packet, tpdus);
}

kf_code kf_ota_envelope(const char *service_centre, kf_view tpdu, kf_buffer *apdu)
{
    static const uint8_t devices[] = {DEVICE_NETWORK, DEVICE_UICC};
    KF_CLEANUP(kf_buffer_clear) kf_buffer address = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    kf_buffer_append_u8(&address, INTERNATIONAL_UNKNOWN);
    KF_TRY(append_digits(service_centre, &address));
    size_t mark = kf_tlv_begin(&data, TAG_SMS_DOWNLOAD);
    kf_tlv_append(&data, TAG_DEVICES, KF_VIEW(devices));
    kf_tlv_append(&data, TAG_ADDRESS, kf_buffer_view(&address));
    kf_tlv_append(&data, TAG_TPDU, tpdu);
    kf_tlv_end(&data, mark);
    KF_TRY(kf_buffer_status(&data));
    if (data.size > KF_COMMAND_DATA_MAX) return KF_ERR_TOO_LONG;
    kf_command command = {0x80, INS_ENVELOPE, 0, 0, kf_buffer_view(&data), true, KF_COMMAND_LE_MAX, false};
    return kf_command_encode(&command, apdu);
}
