#include "softcard/public_keys.h"

#include <keyfill/signature.h>

#include "softcard/tlv.h"

enum {
    MODULUS_MIN = 128, /* bytes */
    MODULUS_MAX = 512,
    EXPONENT_MAX = 8,
    MODULUS_OF_SCHEME_1 = 128, /* B.3.1: up to 1024 bits */
    POINT_SIZE = 65,           /* uncompressed, P-256 */
    PARAMETERS_P256 = 0x00,    /* table B-2 */
    TAG_INTEGER = 0x02,
    TAG_SEQUENCE = 0x30,
    TAG_BIT_STRING = 0x03,
    EXTENDED = 0xFF,
};

bool softcard_key_type_is_public(uint8_t type)
{
    return type == SOFTCARD_KEY_TYPE_RSA_MODULUS || type == SOFTCARD_KEY_TYPE_EC_POINT;
}

static kf_view without_leading_zeros(kf_view number)
{
    while (number.size > 1 && number.data[0] == 0)
        number = kf_view_part(number, 1, number.size);
    return number;
}

/* The modulus's size in two bytes, modulus, exponent. */
softcard_status softcard_public_key_rsa(kf_view modulus, kf_view exponent, softcard_key *ret_key)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
    modulus = without_leading_zeros(modulus);
    if (modulus.size < MODULUS_MIN || modulus.size > MODULUS_MAX || exponent.size == 0 ||
        exponent.size > EXPONENT_MAX)
        return SW_WRONG_DATA;
    kf_buffer_append_u16(&value, (uint16_t)modulus.size);
    kf_buffer_append(&value, modulus);
    kf_buffer_append(&value, without_leading_zeros(exponent));
    if (kf_buffer_status(&value) != KF_OK) return SW_INTERNAL;
    ret_key->type = SOFTCARD_KEY_TYPE_RSA_MODULUS;
    return kf_secret_new(kf_buffer_view(&value), &ret_key->value) == KF_OK ? SW_OK : SW_INTERNAL;
}

softcard_status softcard_public_key_ec(kf_view point, softcard_key *ret_key)
{
    if (point.size != POINT_SIZE || point.data[0] != 0x04) return SW_WRONG_DATA;
    ret_key->type = SOFTCARD_KEY_TYPE_EC_POINT;
    return kf_secret_new(point, &ret_key->value) == KF_OK ? SW_OK : SW_INTERNAL;
}

static bool comes_next(const kf_cursor *cursor, size_t ahead, uint8_t byte)
{
    return cursor->rest.size > ahead && cursor->rest.data[ahead] == byte;
}

/* Modulus and exponent are components of one key: hosts put an empty check value behind both, or only behind
 * the last. */
static softcard_status read_rsa(kf_cursor *cursor, softcard_key *ret_key)
{
    kf_view modulus;
    kf_view exponent;
    if (softcard_field_next(cursor, &modulus) != KF_OK) return SW_WRONG_DATA;
    bool has_empty = comes_next(cursor, 0, 0) && comes_next(cursor, 1, SOFTCARD_KEY_TYPE_RSA_EXPONENT);
    size_t skipped = has_empty ? 2 : 1;
    if (!has_empty && !comes_next(cursor, 0, SOFTCARD_KEY_TYPE_RSA_EXPONENT)) return SW_WRONG_DATA;
    if (kf_cursor_skip(cursor, skipped) != KF_OK || softcard_field_next(cursor, &exponent) != KF_OK)
        return SW_WRONG_DATA;
    return softcard_public_key_rsa(modulus, exponent, ret_key);
}

static softcard_status read_ec(kf_cursor *cursor, softcard_key *ret_key)
{
    kf_view point;
    kf_view parameters;
    if (softcard_field_next(cursor, &point) != KF_OK) return SW_WRONG_DATA;
    if (comes_next(cursor, 0, SOFTCARD_KEY_TYPE_EC_PARAMETERS)) {
        if (kf_cursor_skip(cursor, 1) != KF_OK || softcard_field_next(cursor, &parameters) != KF_OK)
            return SW_WRONG_DATA;
        if (parameters.size != 1 || parameters.data[0] != PARAMETERS_P256) return SW_ALGORITHM;
    }
    return softcard_public_key_ec(point, ret_key);
}

/* A public key has no check value. */
softcard_status softcard_public_key_read(kf_cursor *cursor, uint8_t type, softcard_key *ret_key)
{
    kf_view check_value;
    softcard_status status =
        type == SOFTCARD_KEY_TYPE_RSA_MODULUS ? read_rsa(cursor, ret_key) : read_ec(cursor, ret_key);
    if (status != SW_OK) return status;
    if (softcard_field_next(cursor, &check_value) == KF_OK && check_value.size == 0) return SW_OK;
    kf_secret_free(&ret_key->value);
    return SW_WRONG_DATA;
}

static kf_view modulus_of(const softcard_key *key)
{
    kf_view value = kf_secret_expose(key->value);
    size_t size = (size_t)value.data[0] << 8 | value.data[1];
    return kf_view_part(value, 2, size);
}

static kf_view exponent_of(const softcard_key *key)
{
    kf_view value = kf_secret_expose(key->value);
    return kf_view_part(value, 2 + modulus_of(key).size, value.size);
}

bool softcard_public_key_is_sound(const softcard_key *key)
{
    kf_view value = kf_secret_expose(key->value);
    if (key->type == SOFTCARD_KEY_TYPE_EC_POINT) return value.size == POINT_SIZE;
    if (value.size < 2) return false;
    size_t modulus_size = (size_t)value.data[0] << 8 | value.data[1];
    return modulus_size >= MODULUS_MIN && modulus_size <= MODULUS_MAX && value.size > 2 + modulus_size &&
           value.size <= 2 + modulus_size + EXPONENT_MAX;
}

static void append_component(kf_buffer *structure, bool extended, uint8_t type, size_t size)
{
    if (extended) kf_buffer_append_u8(structure, EXTENDED);
    kf_buffer_append_u8(structure, type);
    if (extended)
        kf_buffer_append_u16(structure, (uint16_t)size);
    else
        kf_buffer_append_u8(structure, (uint8_t)size);
}

void softcard_public_key_information(const softcard_key *key, kf_buffer *structure)
{
    /* Table 11-17 (usage: verification), 11-18 (access: the domain alone). */
    static const uint8_t usage_and_access[] = {0x01, 0x82, 0x01, 0x01};
    if (key->type == SOFTCARD_KEY_TYPE_EC_POINT) {
        append_component(structure, false, key->type, POINT_SIZE);
        append_component(structure, false, SOFTCARD_KEY_TYPE_EC_PARAMETERS, 1);
        return;
    }
    bool extended = modulus_of(key).size > UINT8_MAX;
    append_component(structure, extended, SOFTCARD_KEY_TYPE_RSA_MODULUS, modulus_of(key).size);
    append_component(structure, extended, SOFTCARD_KEY_TYPE_RSA_EXPONENT, exponent_of(key).size);
    if (extended) kf_buffer_append(structure, KF_VIEW(usage_and_access));
}

static void append_integer(kf_buffer *output, kf_view number)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    if ((number.data[0] & 0x80U) != 0) kf_buffer_append_u8(&content, 0);
    kf_buffer_append(&content, number);
    softcard_tlv_append(output, TAG_INTEGER, kf_buffer_view(&content));
}

/* SubjectPublicKeyInfo (RFC 8017 A.1, RFC 5480 2). */
static kf_code encode(const softcard_key *key, kf_buffer *output)
{
    static const uint8_t rsa_algorithm[] = {0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86,
                                            0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00};
    static const uint8_t ec_algorithm[] = {0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
                                           0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
    KF_CLEANUP(kf_buffer_clear) kf_buffer numbers = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bits = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    bool is_ec = key->type == SOFTCARD_KEY_TYPE_EC_POINT;
    kf_buffer_append_u8(&bits, 0);
    if (is_ec) {
        kf_buffer_append(&bits, kf_secret_expose(key->value));
    } else {
        append_integer(&numbers, modulus_of(key));
        append_integer(&numbers, exponent_of(key));
        softcard_tlv_append(&bits, TAG_SEQUENCE, kf_buffer_view(&numbers));
    }
    kf_buffer_append(&content, is_ec ? KF_VIEW(ec_algorithm) : KF_VIEW(rsa_algorithm));
    softcard_tlv_append(&content, TAG_BIT_STRING, kf_buffer_view(&bits));
    softcard_tlv_append(output, TAG_SEQUENCE, kf_buffer_view(&content));
    KF_TRY(kf_buffer_status(&numbers));
    KF_TRY(kf_buffer_status(&bits));
    KF_TRY(kf_buffer_status(&content));
    return kf_buffer_status(output);
}

kf_code softcard_public_key_verify(const softcard_key *key, kf_view message, kf_view signature)
{
    static const kf_signature_scheme scheme_1[] = {KF_SIGNATURE_RSA_PKCS1_SHA1,
                                                   KF_SIGNATURE_RSA_PKCS1_SHA256};
    static const kf_signature_scheme scheme_2[] = {KF_SIGNATURE_RSA_PSS_SHA256};
    static const kf_signature_scheme of_points[] = {KF_SIGNATURE_ECDSA_SHA256};
    KF_CLEANUP(kf_buffer_clear) kf_buffer encoded = KF_BUFFER_INIT;
    KF_CLEANUP(kf_public_key_free) kf_public_key *read = NULL;
    const kf_signature_scheme *schemes = scheme_2;
    size_t count = 1;
    if (key->type == SOFTCARD_KEY_TYPE_EC_POINT) {
        schemes = of_points;
    } else if (modulus_of(key).size <= MODULUS_OF_SCHEME_1) {
        schemes = scheme_1;
        count = 2;
    }
    KF_TRY(encode(key, &encoded));
    KF_TRY(kf_public_key_read(kf_buffer_view(&encoded), &read));
    for (size_t i = 0; i < count; i++)
        if (kf_signature_verify(read, schemes[i], message, signature) == KF_OK) return KF_OK;
    return KF_ERR_AUTHENTICATION;
}
