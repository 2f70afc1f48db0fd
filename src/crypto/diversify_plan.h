/* A parsed diversification line, and the steps that carry it out. */
#ifndef KEYFILL_CRYPTO_DIVERSIFY_PLAN_H
#define KEYFILL_CRYPTO_DIVERSIFY_PLAN_H

#include <keyfill/diversify.h>

#define KF_DIVERSIFICATION_CONSTANT_MAX 64 /* bytes */
#define KF_DIVERSIFICATION_SIZE_MAX 255    /* bytes of one field */

typedef enum kf_field_kind { KF_FIELD_NAMED, KF_FIELD_CONSTANT, KF_FIELD_ROLE } kf_field_kind;

typedef enum kf_field_encoding {
    KF_ENCODING_ASCII,
    KF_ENCODING_BCD,
    KF_ENCODING_HEX,
    KF_ENCODING_BINARY
} kf_field_encoding;

typedef enum kf_field_side { KF_SIDE_NONE, KF_SIDE_LEFT, KF_SIDE_RIGHT } kf_field_side;

typedef struct kf_field_plan {
    kf_field_kind kind;
    char name[KF_DIVERSIFICATION_NAME_MAX + 1];
    kf_field_encoding encoding;
    size_t size;       /* bytes; 0: as long as the value is */
    kf_field_side pad; /* where padding goes */
    size_t pad_digits; /* 1: a digit, 2: a byte */
    uint8_t pad_value;
    kf_field_side keep; /* LEFT: the first bytes of a longer value, RIGHT: the last */
    size_t constant_size;
    uint8_t constant[KF_DIVERSIFICATION_CONSTANT_MAX];
} kf_field_plan;

typedef struct kf_diversification_method {
    const char *name;
    kf_algorithm algorithm; /* 0: any (none) */
    size_t key_size;        /* bytes; 0: any of the algorithm */
    size_t input_min;
    size_t input_max;
    /* Writes as many bytes as the cipher's key has. NULL: the key itself (none). */
    kf_code (*derive)(kf_cipher *cipher, kf_view input, uint8_t *ret_key);
    /* The same for up to KF_DIVERSIFY_MANY_MAX inputs, keys end to end. NULL: one after the other. */
    kf_code (*derive_many)(kf_cipher *cipher, const kf_view *inputs, size_t count, uint8_t *ret_keys);
} kf_diversification_method;

typedef struct kf_level_plan {
    const kf_diversification_method *method;
    size_t field_count;
    kf_field_plan fields[KF_DIVERSIFICATION_FIELDS_MAX];
} kf_level_plan;

struct kf_diversification {
    size_t level_count;
    kf_level_plan levels[KF_DIVERSIFICATION_LEVELS_MAX];
};

/* NULL if there is none. */
const kf_diversification_method *kf_diversification_method_find(kf_view name);

/* Appends the level's input. KF_ERR_DIVERSIFICATION where a field or the whole does not fit. */
kf_code kf_level_plan_input(const kf_level_plan *level, kf_fields fields, kf_key_role role, kf_buffer *input,
                            kf_error *error) KF_MUST_USE;
/* KF_ERR_DIVERSIFICATION where the base key is none that the method takes. */
kf_code kf_level_plan_check_key(const kf_level_plan *level, kf_algorithm algorithm, size_t key_size,
                                kf_error *error) KF_MUST_USE;

/* What is encrypted, beside its complement: EMV Book 2 A1.4.1 and A1.4.2. */
#define KF_EMV_FACTOR_SIZE 8 /* bytes */
void kf_emv_option_a_factor(kf_view input, uint8_t ret_factor[KF_EMV_FACTOR_SIZE]);
kf_code kf_emv_option_b_factor(kf_view input, uint8_t ret_factor[KF_EMV_FACTOR_SIZE]) KF_MUST_USE;

/* Appends the field's bytes. */
kf_code kf_field_plan_encode(const kf_field_plan *plan, kf_fields fields, kf_key_role role, kf_buffer *input,
                             kf_error *error) KF_MUST_USE;

#endif
