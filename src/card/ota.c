/* Command and response packets of ETSI TS 102 225. */
#include <keyfill/ota.h>

#include <string.h>

#include <keyfill/mac.h>

#include "card/ota_crc.h"

#define HEADER_SIZE 13             /* SPI to PCNTR; CHL without RC/CC */
#define COUNTER_SIZE 5             /* bytes */
#define CIPHERED_OFFSET 10         /* of CNTR in a command packet: behind CPL, CHL, SPI, KIc, KID, TAR */
#define RESPONSE_HEADER_SIZE 10    /* TAR, CNTR, PCNTR, status; RHL without RC/CC */
#define RESPONSE_CIPHERED_OFFSET 6 /* of CNTR in a response packet: behind RPL, RHL, TAR */
#define CHECK_MAX 8
#define PADDING_MAX 15

#define ELEMENT_COMMAND_PACKET 0x70
#define ELEMENT_RESPONSE_PACKET 0x71

kf_code kf_ota_security_decode(const uint8_t spi[2], kf_ota_security *ret_security)
{
    unsigned first = spi[0], second = spi[1];
    if ((first & 0xE0u) != 0 || (second & 0xC0u) != 0 || (second & 0x03u) == 3) return KF_ERR_CARD_DATA;
    *ret_security = (kf_ota_security){.counter = (kf_ota_counter_mode)(first >> 3 & 3u),
                                      .ciphered = (first & 0x04u) != 0,
                                      .check = (kf_ota_check)(first & 3u),
                                      .receipt = (kf_ota_receipt_mode)(second & 3u),
                                      .receipt_check = (kf_ota_check)(second >> 2 & 3u),
                                      .receipt_ciphered = (second & 0x10u) != 0,
                                      .receipt_by_submit = (second & 0x20u) != 0};
    return KF_OK;
}

void kf_ota_security_encode(const kf_ota_security *security, uint8_t ret_spi[2])
{
    ret_spi[0] = (uint8_t)((unsigned)security->counter << 3 | (security->ciphered ? 0x04u : 0u) |
                           (unsigned)security->check);
    ret_spi[1] =
        (uint8_t)((security->receipt_by_submit ? 0x20u : 0u) | (security->receipt_ciphered ? 0x10u : 0u) |
                  (unsigned)security->receipt_check << 2 | (unsigned)security->receipt);
}

bool kf_ota_counter_accepts(kf_ota_counter_mode mode, uint64_t last, uint64_t received)
{
    if (received > KF_OTA_COUNTER_MAX) return false;
    switch (mode) {
    case KF_OTA_NO_COUNTER:
    case KF_OTA_COUNTER_UNCHECKED: return true;
    case KF_OTA_COUNTER_HIGHER: return last != KF_OTA_COUNTER_MAX && received > last;
    case KF_OTA_COUNTER_NEXT: return last != KF_OTA_COUNTER_MAX && received == last + 1;
    }
    return false;
}

const char *kf_ota_status_text(unsigned status)
{
    static const char *const texts[] = {
        "done",
        "the redundancy check, cryptographic checksum or signature failed",
        "the counter is too low: the packet was sent before, or another counter is in use",
        "the counter is too high",
        "the counter is blocked: it has reached its end",
        "deciphering failed",
        "a security error of another kind",
        "the card's memory does not suffice",
        "the card needs more time",
        "no application with this TAR",
        "the security level is below what the application asks for",
        "the response follows in an SMS-SUBMIT",
        "the response follows by USSD",
    };
    return status < sizeof(texts) / sizeof(texts[0]) ? texts[status] : "a status of no standard known here";
}

static kf_ota_algorithm algorithm_of(uint8_t key_byte, const kf_ota_keys *keys)
{
    unsigned algorithm = key_byte & 0x0Fu;
    return algorithm == KF_OTA_IMPLICIT ? keys->implicit : (kf_ota_algorithm)algorithm;
}

static kf_code open_cipher(kf_ota_algorithm algorithm, const kf_secret *key, kf_cipher **ret_cipher)
{
    if (key == NULL) return KF_ERR_ARGUMENT;
    size_t size = kf_secret_size(key);
    switch (algorithm) {
    case KF_OTA_AES: return kf_cipher_new_secret(KF_AES, key, ret_cipher);
    case KF_OTA_DES_CBC: return kf_cipher_new_secret(KF_DES, key, ret_cipher);
    case KF_OTA_TDES_TWO:
        return size == 16 ? kf_cipher_new_secret(KF_TDES, key, ret_cipher) : KF_ERR_KEY_SIZE;
    case KF_OTA_TDES_THREE:
        return size == 24 ? kf_cipher_new_secret(KF_TDES, key, ret_cipher) : KF_ERR_KEY_SIZE;
    case KF_OTA_IMPLICIT: break;
    }
    return KF_ERR_UNSUPPORTED;
}

/* What is checked or ciphered, and how: the command's part of SPI, or the receipt's. */
typedef struct protection {
    kf_ota_check check;
    bool ciphered;
    uint8_t kic;
    uint8_t kid;
    const kf_ota_keys *keys;
} protection;

static protection command_protection(const kf_ota_header *header, const kf_ota_keys *keys)
{
    return (protection){header->security.check, header->security.ciphered, header->kic, header->kid, keys};
}

/* 5.1.3.1, 5.1.3.2. */
static kf_code check_size(const protection *with, size_t *ret_size)
{
    unsigned algorithm = with->kid & 0x0Fu;
    switch (with->check) {
    case KF_OTA_UNCHECKED: *ret_size = 0; return KF_OK;
    case KF_OTA_REDUNDANCY:
        if (algorithm != KF_OTA_CRC16 && algorithm != KF_OTA_CRC32 && algorithm != KF_OTA_IMPLICIT)
            return KF_ERR_UNSUPPORTED;
        *ret_size = algorithm == KF_OTA_CRC16 ? 2 : 4;
        return KF_OK;
    case KF_OTA_CRYPTOGRAPHIC: break;
    case KF_OTA_SIGNED: return KF_ERR_UNSUPPORTED;
    }
    size_t wanted = with->keys->check_size;
    bool aes = algorithm_of(with->kid, with->keys) == KF_OTA_AES;
    if (wanted != 0 && wanted != 8 && (!aes || wanted != 4)) return KF_ERR_ARGUMENT;
    *ret_size = wanted == 0 ? 8 : wanted;
    return KF_OK;
}

/* 5.1.3.1: AES by CMAC, DES by CBC-MAC with zeros behind; leftmost bytes. */
static kf_code compute_checksum(const protection *with, kf_view input, uint8_t ret_check[CHECK_MAX])
{
    kf_ota_algorithm algorithm = algorithm_of(with->kid, with->keys);
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(open_cipher(algorithm, with->keys->kid, &cipher));
    uint8_t mac[KF_BLOCK_MAX];
    if (algorithm == KF_OTA_AES)
        KF_TRY(kf_cmac(cipher, input, mac));
    else
        KF_TRY(kf_mac_cbc(cipher, KF_PADDING_1, NULL, input, mac));
    memcpy(ret_check, mac, CHECK_MAX);
    return KF_OK;
}

static kf_code compute_check(const protection *with, kf_view input, size_t size, uint8_t ret_check[CHECK_MAX])
{
    if (with->check == KF_OTA_CRYPTOGRAPHIC) return compute_checksum(with, input, ret_check);
    if (size == 2) {
        unsigned crc = kf_crc16(input);
        ret_check[0] = (uint8_t)(crc >> 8);
        ret_check[1] = (uint8_t)crc;
    } else if (size == 4) {
        uint32_t crc = kf_crc32(input);
        for (size_t i = 0; i < 4; i++)
            ret_check[i] = (uint8_t)(crc >> (24 - 8 * i));
    }
    return KF_OK;
}

/* Bytes of padding so that counter, padding counter, check and data are whole blocks. */
static kf_code padding_size(const protection *with, size_t ciphered_size, size_t *ret_size)
{
    *ret_size = 0;
    if (!with->ciphered) return KF_OK;
    size_t block = algorithm_of(with->kic, with->keys) == KF_OTA_AES ? 16 : 8;
    *ret_size = (block - ciphered_size % block) % block;
    return KF_OK;
}

static void append_counter(kf_buffer *buffer, uint64_t counter)
{
    for (size_t i = 0; i < COUNTER_SIZE; i++)
        kf_buffer_append_u8(buffer, (uint8_t)(counter >> (8 * (COUNTER_SIZE - 1 - i))));
}

static void append_command_header(const kf_ota_header *header, size_t check_bytes, size_t body_size,
                                  kf_buffer *packet)
{
    uint8_t spi[2];
    kf_ota_security_encode(&header->security, spi);
    kf_buffer_append_u16(packet, (uint16_t)(1 + HEADER_SIZE + check_bytes + body_size));
    kf_buffer_append_u8(packet, (uint8_t)(HEADER_SIZE + check_bytes));
    kf_buffer_append(packet, KF_VIEW(spi));
    kf_buffer_append_u8(packet, header->kic);
    kf_buffer_append_u8(packet, header->kid);
    kf_buffer_append(packet, KF_VIEW(header->tar));
    append_counter(packet, header->counter);
}

/* Ciphers or deciphers from `offset` on, in place. */
static kf_code cipher_tail(const protection *with, bool encrypt, size_t offset, kf_buffer *packet)
{
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(open_cipher(algorithm_of(with->kic, with->keys), with->keys->kic, &cipher));
    kf_view tail = kf_view_part(kf_buffer_view(packet), offset, packet->size);
    if (tail.size == 0 || tail.size % kf_cipher_block_size(cipher) != 0) return KF_ERR_CARD_DATA;
    uint8_t *output = packet->data + offset;
    return encrypt ? kf_cipher_cbc_encrypt(cipher, NULL, tail, output)
                   : kf_cipher_cbc_decrypt(cipher, NULL, tail, output);
}

/* `packet` up to and with PCNTR is there; puts the check and the data behind it. */
static kf_code append_checked(const protection *with, kf_view prefix, kf_view body, size_t size,
                              kf_buffer *packet)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    kf_buffer_append(&input, prefix);
    kf_buffer_append(&input, kf_buffer_view(packet));
    kf_buffer_append(&input, body);
    KF_TRY(kf_buffer_status(&input));
    uint8_t check[CHECK_MAX];
    KF_TRY(compute_check(with, kf_buffer_view(&input), size, check));
    kf_buffer_append_bytes(packet, check, size);
    kf_buffer_append(packet, body);
    return kf_buffer_status(packet);
}

kf_code kf_ota_command_encode(const kf_ota_command *command, const kf_ota_keys *keys, kf_buffer *packet)
{
    const kf_ota_header *header = &command->header;
    if (header->counter > KF_OTA_COUNTER_MAX) return KF_ERR_ARGUMENT;
    const protection with = command_protection(header, keys);
    size_t check_bytes, padding;
    KF_TRY(check_size(&with, &check_bytes));
    KF_TRY(padding_size(&with, COUNTER_SIZE + 1 + check_bytes + command->data.size, &padding));
    KF_CLEANUP(kf_buffer_clear) kf_buffer body = KF_BUFFER_INIT;
    kf_buffer_append(&body, command->data);
    kf_buffer_append_fill(&body, 0, padding);
    KF_TRY(kf_buffer_status(&body));
    if (body.size > KF_OTA_PACKET_MAX - 1 - HEADER_SIZE - CHECK_MAX) return KF_ERR_TOO_LONG;
    KF_CLEANUP(kf_buffer_clear) kf_buffer whole = KF_BUFFER_INIT;
    append_command_header(header, check_bytes, body.size, &whole);
    kf_buffer_append_u8(&whole, (uint8_t)padding);
    KF_TRY(kf_buffer_status(&whole));
    KF_TRY(append_checked(&with, command->prefix, kf_buffer_view(&body), check_bytes, &whole));
    if (with.ciphered) KF_TRY(cipher_tail(&with, true, CIPHERED_OFFSET, &whole));
    kf_buffer_append(packet, kf_buffer_view(&whole));
    return kf_buffer_status(packet);
}

static uint64_t read_counter(kf_view bytes)
{
    uint64_t counter = 0;
    for (size_t i = 0; i < bytes.size; i++)
        counter = (counter << 8) | bytes.data[i];
    return counter;
}

/* Checks the packet whose check stands at `offset`, over everything else, and gives the data behind it. */
static kf_code verify_check(const protection *with, kf_view prefix, kf_view packet, size_t offset,
                            size_t size)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    kf_buffer_append(&input, prefix);
    kf_buffer_append(&input, kf_view_part(packet, 0, offset));
    kf_buffer_append(&input, kf_view_part(packet, offset + size, packet.size));
    KF_TRY(kf_buffer_status(&input));
    uint8_t check[CHECK_MAX];
    KF_TRY(compute_check(with, kf_buffer_view(&input), size, check));
    kf_view given = kf_view_part(packet, offset, size);
    if (given.size != size) return KF_ERR_CARD_DATA;
    return size == 0 || kf_equal_constant_time(check, given.data, size) ? KF_OK : KF_ERR_AUTHENTICATION;
}

static kf_code append_data(kf_view body, size_t padding, bool ciphered, kf_buffer *data)
{
    if (padding > body.size || padding > PADDING_MAX || (padding > 0 && !ciphered)) return KF_ERR_CARD_DATA;
    kf_buffer_append(data, kf_view_part(body, 0, body.size - padding));
    return kf_buffer_status(data);
}

static kf_code parse_command_header(kf_view packet, kf_ota_header *header, size_t *ret_header_size)
{
    kf_cursor cursor = kf_cursor_of(packet);
    uint16_t packet_size;
    uint8_t header_size, spi[2];
    if (kf_cursor_u16(&cursor, &packet_size) != KF_OK || packet_size != cursor.rest.size ||
        kf_cursor_u8(&cursor, &header_size) != KF_OK || kf_cursor_copy(&cursor, spi, 2) != KF_OK ||
        kf_cursor_u8(&cursor, &header->kic) != KF_OK || kf_cursor_u8(&cursor, &header->kid) != KF_OK ||
        kf_cursor_copy(&cursor, header->tar, sizeof(header->tar)) != KF_OK)
        return KF_ERR_CARD_DATA;
    if (header_size < HEADER_SIZE || packet.size < 3u + header_size) return KF_ERR_CARD_DATA;
    *ret_header_size = header_size;
    return kf_ota_security_decode(spi, &header->security);
}

kf_code kf_ota_command_decode(kf_view packet, const kf_ota_keys *keys, kf_ota_header *ret_header,
                              kf_buffer *data)
{
    kf_ota_header header = {0};
    size_t header_size, check_bytes;
    KF_TRY(parse_command_header(packet, &header, &header_size));
    const protection with = command_protection(&header, keys);
    KF_TRY(check_size(&with, &check_bytes));
    if (header_size != HEADER_SIZE + check_bytes) return KF_ERR_CARD_DATA;
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    kf_buffer_append(&plain, packet);
    KF_TRY(kf_buffer_status(&plain));
    if (with.ciphered) KF_TRY(cipher_tail(&with, false, CIPHERED_OFFSET, &plain));
    kf_view whole = kf_buffer_view(&plain);
    size_t check_offset = CIPHERED_OFFSET + COUNTER_SIZE + 1;
    KF_TRY(verify_check(&with, kf_view_of(NULL, 0), whole, check_offset, check_bytes));
    header.counter = read_counter(kf_view_part(whole, CIPHERED_OFFSET, COUNTER_SIZE));
    KF_TRY(append_data(kf_view_part(whole, check_offset + check_bytes, whole.size),
                       whole.data[check_offset - 1], with.ciphered, data));
    *ret_header = header;
    return KF_OK;
}

/* A user data header that announces a response packet (TS 31.115 4.3); nothing where the packet begins with
 * its length. RPL is below 0x0200 in a short message, which tells the two apart. */
static kf_code split_user_data_header(kf_view packet, kf_view *ret_prefix, kf_view *ret_packet)
{
    kf_cursor cursor = kf_cursor_of(packet);
    kf_view elements;
    uint8_t size;
    *ret_prefix = kf_view_of(NULL, 0);
    *ret_packet = packet;
    if (packet.size < 3 || packet.data[0] < 2) return KF_OK;
    size_t told = (size_t)packet.data[0] << 8 | packet.data[1];
    if (told + 2 == packet.size) return KF_OK;
    if (kf_cursor_u8(&cursor, &size) != KF_OK || kf_cursor_take(&cursor, size, &elements) != KF_OK)
        return KF_ERR_CARD_DATA;
    kf_cursor reader = kf_cursor_of(elements);
    bool announced = false;
    while (!kf_cursor_at_end(&reader)) {
        uint8_t identifier, element_size;
        if (kf_cursor_u8(&reader, &identifier) != KF_OK || kf_cursor_u8(&reader, &element_size) != KF_OK ||
            kf_cursor_skip(&reader, element_size) != KF_OK)
            return KF_ERR_CARD_DATA;
        announced = announced || identifier == ELEMENT_RESPONSE_PACKET;
    }
    if (!announced) return KF_ERR_CARD_DATA;
    *ret_prefix = kf_view_part(packet, 0, 1u + size);
    *ret_packet = cursor.rest;
    return KF_OK;
}

/* RPL, RHL; gives RHL. */
static kf_code parse_response_lengths(kf_view packet, size_t *ret_header_size)
{
    kf_cursor cursor = kf_cursor_of(packet);
    uint16_t packet_size;
    uint8_t header_size;
    if (kf_cursor_u16(&cursor, &packet_size) != KF_OK || packet_size != cursor.rest.size ||
        kf_cursor_u8(&cursor, &header_size) != KF_OK)
        return KF_ERR_CARD_DATA;
    if (header_size < RESPONSE_HEADER_SIZE || header_size > RESPONSE_HEADER_SIZE + CHECK_MAX ||
        cursor.rest.size < header_size)
        return KF_ERR_CARD_DATA;
    *ret_header_size = header_size;
    return KF_OK;
}

static bool is_security_error(uint8_t status)
{
    return status >= KF_OTA_CHECK_FAILED && status <= KF_OTA_SECURITY_ERROR;
}

/* The check of a response that is in clear now. */
static kf_code check_response(const protection *with, kf_view prefix, kf_view packet, size_t header_size,
                              kf_ota_response *response)
{
    size_t size = header_size - RESPONSE_HEADER_SIZE;
    size_t due;
    KF_TRY(check_size(with, &due));
    if (size == 0 && due > 0) return is_security_error(response->status) ? KF_OK : KF_ERR_AUTHENTICATION;
    if (size != due) return KF_ERR_CARD_DATA;
    KF_TRY(verify_check(with, prefix, packet, 3 + RESPONSE_HEADER_SIZE, size));
    response->authenticated = with->check == KF_OTA_CRYPTOGRAPHIC;
    return KF_OK;
}

kf_code kf_ota_response_decode(kf_view packet, const kf_ota_header *header, const kf_ota_keys *keys,
                               kf_ota_response *ret_response, kf_buffer *data)
{
    const protection with = {header->security.receipt_check, header->security.receipt_ciphered, header->kic,
                             header->kid, keys};
    kf_view prefix, bare;
    size_t header_size;
    KF_TRY(split_user_data_header(packet, &prefix, &bare));
    KF_TRY(parse_response_lengths(bare, &header_size));
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    kf_buffer_append(&plain, bare);
    KF_TRY(kf_buffer_status(&plain));
    if (with.ciphered) KF_TRY(cipher_tail(&with, false, RESPONSE_CIPHERED_OFFSET, &plain));
    kf_view whole = kf_buffer_view(&plain);
    kf_ota_response response = {.counter =
                                    read_counter(kf_view_part(whole, RESPONSE_CIPHERED_OFFSET, COUNTER_SIZE)),
                                .status = whole.data[3 + RESPONSE_HEADER_SIZE - 1]};
    memcpy(response.tar, whole.data + 3, sizeof(response.tar));
    KF_TRY(check_response(&with, prefix, whole, header_size, &response));
    size_t padding = whole.data[3 + RESPONSE_HEADER_SIZE - 2];
    KF_TRY(append_data(kf_view_part(whole, 3 + header_size, whole.size), padding, with.ciphered, data));
    *ret_response = response;
    return KF_OK;
}
