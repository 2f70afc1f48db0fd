#include <string.h>

#include <keyfill/mac.h>

#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/remote.h"

/* First byte of SPI (TS 102 225 5.1.1). */
enum {
    INTEGRITY_MASK = 0x03,
    INTEGRITY_NONE = 0x00,
    INTEGRITY_REDUNDANCY = 0x01,
    INTEGRITY_MAC = 0x02,
    CIPHERED = 0x04,
    COUNTER_MASK = 0x18,
    COUNTER_HIGHER = 0x10,
    COUNTER_NEXT = 0x18,
};

/* Second byte. */
enum { RESPONSE_MASK = 0x03, RESPONSE_ALWAYS = 0x01, RESPONSE_ON_ERROR = 0x02, RESPONSE_INTEGRITY = 0x0C };
enum { RESPONSE_MAC = 0x08, RESPONSE_CIPHERED = 0x10 };

enum { KEY_KIC = 1, KEY_KID = 2, KEY_KIK = 3, KEY_VERSION_MAX = 0x0F };
enum { CLEAR_HEADER = 8, COUNTED_HEADER = 6, HEADER_MIN = 13, BLOCK_MAX = 16 };

void softcard_remote_packet_clear(softcard_remote_packet *packet)
{
    kf_cipher_free(&packet->encryption);
    kf_cipher_free(&packet->mac);
    kf_cipher_free(&packet->key_encryption);
    kf_buffer_clear(&packet->commands);
}

/* The algorithm that the low half of KIc or KID names (5.1.2, 5.1.3); 0 is for the key itself to say. */
static bool algorithm_fits(uint8_t reference, const softcard_key *key)
{
    size_t size = kf_secret_size(key->value);
    bool is_des = softcard_key_type_is_des(key->type);
    switch (reference & 0x0FU) {
    case 0x00: return true;
    case 0x02: return !is_des;
    case 0x05: return is_des && size == 16;
    case 0x09: return is_des && size == 24;
    default: return false;
    }
}

/* Versions 01 to 0F of the issuer security domain (TS 102 226 8.2.1.5). */
static kf_code key_cipher(softcard_state *state, uint8_t reference, uint8_t identifier,
                          kf_cipher **ret_cipher)
{
    const softcard_key_set *set = softcard_key_set_find(softcard_issuer(state), reference >> 4);
    const softcard_key *key = set == NULL ? NULL : softcard_key_find(set, identifier);
    if (key == NULL) return KF_ERR_NOT_FOUND;
    if (identifier != KEY_KIK && !algorithm_fits(reference, key)) return KF_ERR_NOT_FOUND;
    return kf_cipher_new_secret(softcard_key_algorithm(key->type), key->value, ret_cipher);
}

static kf_code compute_mac(kf_cipher *cipher, kf_view message, uint8_t ret_mac[SOFTCARD_REMOTE_MAC])
{
    uint8_t mac[BLOCK_MAX];
    if (kf_cipher_algorithm(cipher) == KF_TDES)
        KF_TRY(kf_mac_cbc(cipher, KF_PADDING_1, NULL, message, mac));
    else
        KF_TRY(kf_cmac(cipher, message, mac));
    memcpy(ret_mac, mac, SOFTCARD_REMOTE_MAC);
    return KF_OK;
}

/* Redundancy checks, by the low half of KID (5.1.3): ISO/IEC 13239, least significant bit first. */
static void compute_redundancy(uint8_t reference, kf_view message, softcard_remote_check *ret_check)
{
    enum { CRC_32 = 0x05 };
    bool is_long = (reference & 0x0FU) == CRC_32;
    const uint32_t polynomial = is_long ? 0xEDB88320U : 0x8408U;
    uint32_t value = is_long ? 0xFFFFFFFFU : 0xFFFFU;
    for (size_t i = 0; i < 8 * message.size; i++) {
        uint32_t bit = (uint32_t)message.data[i / 8] >> i % 8 & 1U;
        value = ((value ^ bit) & 1U) != 0 ? value >> 1 ^ polynomial : value >> 1;
    }
    ret_check->size = is_long ? 4 : 2;
    for (size_t i = 0; i < ret_check->size; i++)
        ret_check->bytes[i] = (uint8_t)(~value >> 8 * (ret_check->size - 1 - i));
}

/* CC or RC over `message`; nothing for INTEGRITY_NONE. `kind` as the first byte of SPI codes it. */
static kf_code compute_check(const softcard_remote_packet *packet, uint8_t kind, kf_view message,
                             softcard_remote_check *ret_check)
{
    ret_check->size = 0;
    if (kind == INTEGRITY_REDUNDANCY) compute_redundancy(packet->integrity_reference, message, ret_check);
    if (kind != INTEGRITY_MAC) return KF_OK;
    ret_check->size = SOFTCARD_REMOTE_MAC;
    return compute_mac(packet->mac, message, ret_check->bytes);
}

typedef struct packet_parts {
    uint8_t length[2]; /* CPL */
    kf_view header;    /* CHL, SPI, KIc, KID, TAR */
    kf_view secured;   /* CNTR and what follows */
    size_t mac_size;
} packet_parts;

/* Some hosts leave the length out where nothing is encrypted; the MAC covers it all the same. */
static kf_code split(kf_view bytes, packet_parts *parts)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    uint16_t length;
    KF_TRY(kf_cursor_u16(&cursor, &length));
    if (length != cursor.rest.size) {
        cursor = kf_cursor_of(bytes);
        length = (uint16_t)bytes.size;
    }
    parts->length[0] = (uint8_t)(length >> 8);
    parts->length[1] = (uint8_t)length;
    KF_TRY(kf_cursor_take(&cursor, CLEAR_HEADER, &parts->header));
    size_t header_size = parts->header.data[0];
    if (header_size < HEADER_MIN) return KF_ERR_MALFORMED;
    parts->mac_size = header_size - HEADER_MIN;
    parts->secured = cursor.rest;
    return parts->secured.size < COUNTED_HEADER + parts->mac_size ? KF_ERR_MALFORMED : KF_OK;
}

static kf_code decrypt(softcard_remote_packet *packet, kf_view secured, kf_buffer *plain)
{
    if ((packet->security[0] & CIPHERED) == 0) {
        kf_buffer_append(plain, secured);
        return kf_buffer_status(plain);
    }
    if (secured.size % kf_cipher_block_size(packet->encryption) != 0) return KF_ERR_AUTHENTICATION;
    uint8_t *output = kf_buffer_extend(plain, secured.size);
    if (output == NULL) return KF_ERR_MEMORY;
    return kf_cipher_cbc_decrypt(packet->encryption, NULL, secured, output);
}

/* 5.1.4: over everything but the check itself, with the padding. */
static kf_code verify_check(const softcard_remote_packet *packet, const packet_parts *parts, kf_view plain)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    softcard_remote_check check;
    uint8_t kind = packet->security[0] & INTEGRITY_MASK;
    kf_buffer_append(&message, KF_VIEW(parts->length));
    kf_buffer_append(&message, parts->header);
    kf_buffer_append(&message, kf_view_part(plain, 0, COUNTED_HEADER));
    kf_buffer_append(&message, kf_view_part(plain, COUNTED_HEADER + parts->mac_size, plain.size));
    KF_TRY(kf_buffer_status(&message));
    KF_TRY(compute_check(packet, kind, kf_buffer_view(&message), &check));
    if (parts->mac_size != check.size ||
        !kf_equal_constant_time(check.bytes, plain.data + COUNTED_HEADER, check.size))
        return KF_ERR_AUTHENTICATION;
    return KF_OK;
}

static kf_code find_keys(softcard_state *state, softcard_remote_packet *packet, uint8_t kic, uint8_t kid)
{
    bool ciphers = (packet->security[0] & CIPHERED) != 0 || (packet->security[1] & RESPONSE_CIPHERED) != 0;
    bool macs = (packet->security[0] & INTEGRITY_MASK) == INTEGRITY_MAC ||
                (packet->security[1] & RESPONSE_INTEGRITY) == RESPONSE_MAC;
    packet->key_version = macs ? kid >> 4 : kic >> 4;
    packet->integrity_reference = kid;
    if (ciphers) KF_TRY(key_cipher(state, kic, KEY_KIC, &packet->encryption));
    if (macs) KF_TRY(key_cipher(state, kid, KEY_KID, &packet->mac));
    kf_code code = key_cipher(state, (uint8_t)(packet->key_version << 4), KEY_KIK, &packet->key_encryption);
    return code == KF_ERR_NOT_FOUND ? KF_OK : code; /* only PUT KEY needs it */
}

/* At least what the card asks for, in each of the three respects. */
static bool meets_minimum(uint8_t given, uint8_t minimum)
{
    /* None, RC, CC are coded in the order of their strength. */
    bool integrity = (given & INTEGRITY_MASK) >= (minimum & INTEGRITY_MASK);
    return integrity && (given & CIPHERED) >= (minimum & CIPHERED) &&
           (given & COUNTER_MASK) >= (minimum & COUNTER_MASK);
}

static uint64_t number_of(const uint8_t counter[SOFTCARD_REMOTE_COUNTER_SIZE])
{
    uint64_t number = 0;
    for (size_t i = 0; i < SOFTCARD_REMOTE_COUNTER_SIZE; i++)
        number = number << 8 | counter[i];
    return number;
}

/* 5.1.4: compared and kept with the keys of the packet. */
static softcard_remote_status take_counter(softcard_state *state, const softcard_remote_packet *packet)
{
    uint8_t mode = packet->security[0] & COUNTER_MASK;
    softcard_key_set *set = softcard_key_set_find(softcard_issuer(state), packet->key_version);
    if (mode != COUNTER_HIGHER && mode != COUNTER_NEXT) return SOFTCARD_REMOTE_OK;
    if (set == NULL) return SOFTCARD_REMOTE_SECURITY;
    uint64_t last = number_of(set->remote_counter);
    uint64_t given = number_of(packet->counter);
    if (given <= last) return SOFTCARD_REMOTE_COUNTER_LOW;
    if (mode == COUNTER_NEXT && given != last + 1) return SOFTCARD_REMOTE_COUNTER_HIGH;
    memcpy(set->remote_counter, packet->counter, sizeof set->remote_counter);
    return SOFTCARD_REMOTE_OK;
}

static softcard_remote_status check_packet(softcard_state *state, softcard_remote_packet *packet,
                                           const packet_parts *parts)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    uint8_t integrity = packet->security[0] & INTEGRITY_MASK;
    if (find_keys(state, packet, parts->header.data[3], parts->header.data[4]) != KF_OK)
        return SOFTCARD_REMOTE_SECURITY;
    if (!softcard_remote_target_is_known(packet->target)) return SOFTCARD_REMOTE_UNKNOWN_TARGET;
    if (integrity > INTEGRITY_MAC) return SOFTCARD_REMOTE_SECURITY;
    if (decrypt(packet, parts->secured, &plain) != KF_OK) return SOFTCARD_REMOTE_CIPHERING;
    memcpy(packet->counter, plain.data, sizeof packet->counter);
    kf_view bytes = kf_buffer_view(&plain);
    if (integrity != INTEGRITY_NONE && verify_check(packet, parts, bytes) != KF_OK)
        return SOFTCARD_REMOTE_MAC_FAILED;
    if (!meets_minimum(packet->security[0], state->personality.remote_minimum_security))
        return SOFTCARD_REMOTE_LEVEL;
    size_t start = COUNTED_HEADER + parts->mac_size;
    size_t padding = plain.data[COUNTED_HEADER - 1];
    if (padding > plain.size - start) return SOFTCARD_REMOTE_CIPHERING;
    kf_buffer_append(&packet->commands, kf_view_part(bytes, start, plain.size - start - padding));
    if (kf_buffer_status(&packet->commands) != KF_OK) return SOFTCARD_REMOTE_SECURITY;
    return take_counter(state, packet);
}

kf_code softcard_remote_open(softcard_state *state, kf_view bytes, softcard_remote_packet *packet,
                             softcard_remote_status *ret_status)
{
    packet_parts parts;
    if (split(bytes, &parts) != KF_OK) return KF_ERR_MALFORMED;
    memcpy(packet->security, parts.header.data + 1, sizeof packet->security);
    memcpy(packet->target, parts.header.data + 5, sizeof packet->target);
    *ret_status = check_packet(state, packet, &parts);
    return KF_OK;
}

/* 5.2: with the user data header that names it (23.048 and TS 31.115 4.2), which the MAC covers. */
kf_code softcard_remote_respond(softcard_remote_packet *packet, softcard_remote_status status, kf_view data,
                                kf_buffer *response)
{
    enum { HEADER = 10, IDENTIFIER_AND_LENGTH = 5, CLEAR = 9 };
    static const uint8_t identifier[] = {0x02, 0x71, 0x00};
    uint8_t wish = packet->security[1] & RESPONSE_MASK;
    bool failed = status != SOFTCARD_REMOTE_OK;
    if (wish != RESPONSE_ALWAYS && !(wish == RESPONSE_ON_ERROR && failed)) return KF_OK;
    uint8_t kind = (packet->security[1] & RESPONSE_INTEGRITY) >> 2;
    /* Where no key was found for it, the answer says so without. */
    if (kind > INTEGRITY_MAC || (kind == INTEGRITY_MAC && packet->mac == NULL)) kind = INTEGRITY_NONE;
    bool ciphers = (packet->security[1] & RESPONSE_CIPHERED) != 0 && packet->encryption != NULL;
    softcard_remote_check check;
    KF_TRY(compute_check(packet, kind, kf_view_of(NULL, 0), &check));
    size_t mac_size = check.size;
    size_t secured = SOFTCARD_REMOTE_COUNTER_SIZE + 2 + mac_size + data.size;
    size_t block = ciphers ? kf_cipher_block_size(packet->encryption) : 1;
    size_t padding = (block - secured % block) % block;
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    kf_buffer_append(&message, KF_VIEW(identifier));
    kf_buffer_append_u16(&message, (uint16_t)(1 + sizeof packet->target + secured + padding));
    kf_buffer_append_u8(&message, (uint8_t)(HEADER + mac_size));
    kf_buffer_append(&message, KF_VIEW(packet->target));
    kf_buffer_append(&message, KF_VIEW(packet->counter));
    kf_buffer_append_u8(&message, (uint8_t)padding);
    kf_buffer_append_u8(&message, (uint8_t)status);
    size_t head = message.size;
    kf_buffer_append(&message, data);
    kf_buffer_append_fill(&message, 0, padding);
    KF_TRY(kf_buffer_status(&message));
    KF_TRY(compute_check(packet, kind, kf_buffer_view(&message), &check));
    size_t start = response->size;
    kf_buffer_append_bytes(response, message.data, head);
    kf_buffer_append_bytes(response, check.bytes, check.size);
    kf_buffer_append_bytes(response, message.data + head, message.size - head);
    KF_TRY(kf_buffer_status(response));
    if (!ciphers) return KF_OK;
    uint8_t *place = response->data + start + CLEAR;
    return kf_cipher_cbc_encrypt(packet->encryption, NULL, kf_view_of(place, response->size - start - CLEAR),
                                 place);
}
