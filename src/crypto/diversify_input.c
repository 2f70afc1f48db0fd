#include <string.h>

#include "crypto/diversify_plan.h"

#define BINARY_MAX 32 /* bytes of a decimal number: 77 digits */

typedef struct digits {
    size_t count;
    size_t most; /* of them that were ever written */
    uint8_t nibbles[KF_DIVERSIFICATION_VALUE_MAX + 2 * KF_DIVERSIFICATION_SIZE_MAX];
} digits;

/* Personalisation data among the fields may be secret. */
static void wipe_digits(digits *value)
{
    kf_wipe(value->nibbles, value->most);
}

static kf_code refuse(kf_error *error, const kf_field_plan *plan, const char *problem)
{
    return kf_fail(error, KF_ERR_DIVERSIFICATION, "diversification: field \"%s\" %s", plan->name, problem);
}

static kf_code refuse_long(kf_error *error, const kf_field_plan *plan)
{
    return kf_fail(error, KF_ERR_DIVERSIFICATION,
                   "diversification: field \"%s\" is longer than the %zu bytes that its line gives it",
                   plan->name, plan->size);
}

static kf_code refuse_short(kf_error *error, const kf_field_plan *plan)
{
    return kf_fail(
        error, KF_ERR_DIVERSIFICATION,
        "diversification: field \"%s\" is shorter than the %zu bytes that its line gives it, and the line "
        "says no padding",
        plan->name, plan->size);
}

static int nibble_of(char c, bool decimal)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (decimal) return -1;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static void keep_part(uint8_t *items, size_t *count, size_t wanted, kf_field_side side)
{
    if (side == KF_SIDE_RIGHT) memmove(items, items + *count - wanted, wanted);
    *count = wanted;
}

static void pad_digits(digits *value, size_t wanted, const kf_field_plan *plan)
{
    size_t missing = wanted - value->count;
    size_t start = plan->pad == KF_SIDE_LEFT ? 0 : value->count;
    if (plan->pad == KF_SIDE_LEFT) memmove(value->nibbles + missing, value->nibbles, value->count);
    for (size_t i = 0; i < missing; i++) {
        bool high = plan->pad_digits == 2 && i % 2 == 0;
        value->nibbles[start + i] = high ? plan->pad_value >> 4 : plan->pad_value & 15U;
    }
    value->count = wanted;
}

static kf_code encode_digits(const kf_field_plan *plan, const char *text, kf_buffer *input, kf_error *error)
{
    KF_CLEANUP(wipe_digits) digits value;
    value.count = strlen(text);
    value.most = value.count;
    bool decimal = plan->encoding == KF_ENCODING_BCD;
    for (size_t i = 0; i < value.count; i++) {
        int nibble = nibble_of(text[i], decimal);
        if (nibble < 0)
            return refuse(error, plan,
                          decimal ? "has other characters than 0-9" : "has other characters than 0-9 A-F");
        value.nibbles[i] = (uint8_t)nibble;
    }
    size_t wanted = plan->size != 0 ? 2 * plan->size : value.count + value.count % 2;
    if (value.count > wanted) {
        if (plan->keep == KF_SIDE_NONE) return refuse_long(error, plan);
        keep_part(value.nibbles, &value.count, wanted, plan->keep);
    }
    if (value.count % 2 != 0 && (plan->pad == KF_SIDE_NONE || plan->pad_digits == 2))
        return refuse(error, plan, "has an odd number of digits, and its line says no padding digit");
    if (value.count < wanted && plan->pad == KF_SIDE_NONE) return refuse_short(error, plan);
    if (wanted > value.most) value.most = wanted;
    pad_digits(&value, wanted, plan);
    uint8_t *place = kf_buffer_extend(input, value.count / 2);
    for (size_t i = 0; place != NULL && i < value.count / 2; i++)
        place[i] = (uint8_t)(value.nibbles[2 * i] << 4 | value.nibbles[2 * i + 1]);
    return KF_OK;
}

static kf_code encode_ascii(const kf_field_plan *plan, const char *text, kf_buffer *input, kf_error *error)
{
    kf_view value = kf_view_of_text(text);
    if (plan->size == 0 || value.size == plan->size) {
        kf_buffer_append(input, value);
        return KF_OK;
    }
    if (value.size > plan->size) {
        if (plan->keep == KF_SIDE_NONE) return refuse_long(error, plan);
        size_t offset = plan->keep == KF_SIDE_RIGHT ? value.size - plan->size : 0;
        kf_buffer_append(input, kf_view_part(value, offset, plan->size));
        return KF_OK;
    }
    if (plan->pad == KF_SIDE_NONE) return refuse_short(error, plan);
    size_t missing = plan->size - value.size;
    if (plan->pad == KF_SIDE_LEFT) kf_buffer_append_fill(input, plan->pad_value, missing);
    kf_buffer_append(input, value);
    if (plan->pad == KF_SIDE_RIGHT) kf_buffer_append_fill(input, plan->pad_value, missing);
    return KF_OK;
}

/* number = number * 10 + digit; false where it overflows. */
static bool add_digit(uint8_t number[BINARY_MAX], unsigned digit)
{
    unsigned carry = digit;
    for (size_t i = BINARY_MAX; i > 0; i--) {
        carry += number[i - 1] * 10U;
        number[i - 1] = (uint8_t)carry;
        carry >>= 8;
    }
    return carry == 0;
}

static kf_code encode_binary(const kf_field_plan *plan, const char *text, kf_buffer *input, kf_error *error)
{
    uint8_t number[BINARY_MAX] = {0};
    for (const char *c = text; *c != '\0'; c++) {
        int digit = nibble_of(*c, true);
        if (digit < 0) return refuse(error, plan, "is no decimal number");
        if (!add_digit(number, (unsigned)digit))
            return refuse(error, plan, "is a number of more than 32 bytes");
    }
    size_t start = 0;
    while (start + 1 < sizeof number && number[start] == 0)
        start++;
    size_t size = sizeof number - start;
    size_t wanted = plan->size != 0 ? plan->size : size;
    if (size > wanted) {
        if (plan->keep == KF_SIDE_NONE) return refuse_long(error, plan);
        if (plan->keep == KF_SIDE_RIGHT) start = sizeof number - wanted;
        size = wanted;
    }
    kf_buffer_append_fill(input, 0, wanted - size);
    kf_buffer_append_bytes(input, number + start, size);
    return KF_OK;
}

static const char *find_value(kf_fields fields, const char *name)
{
    for (size_t i = 0; i < fields.count; i++)
        if (strcmp(fields.items[i].name, name) == 0) return fields.items[i].value;
    return NULL;
}

static kf_code encode_named(const kf_field_plan *plan, kf_fields fields, kf_buffer *input, kf_error *error)
{
    const char *text = find_value(fields, plan->name);
    if (text == NULL || text[0] == '\0') return refuse(error, plan, "is not known of this card");
    if (strlen(text) > KF_DIVERSIFICATION_VALUE_MAX)
        return refuse(error, plan, "is longer than 512 characters");
    if (plan->encoding == KF_ENCODING_ASCII) return encode_ascii(plan, text, input, error);
    if (plan->encoding == KF_ENCODING_BINARY) return encode_binary(plan, text, input, error);
    return encode_digits(plan, text, input, error);
}

kf_code kf_field_plan_encode(const kf_field_plan *plan, kf_fields fields, kf_key_role role, kf_buffer *input,
                             kf_error *error)
{
    if (plan->kind == KF_FIELD_NAMED)
        KF_TRY(encode_named(plan, fields, input, error));
    else if (plan->kind == KF_FIELD_CONSTANT)
        kf_buffer_append_bytes(input, plan->constant, plan->constant_size);
    else
        kf_buffer_append_u8(input, (uint8_t)role);
    return kf_fail_plain(error, kf_buffer_status(input));
}
