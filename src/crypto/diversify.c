#include <stdlib.h>
#include <string.h>

#include "crypto/diversify_plan.h"

void kf_diversification_free(kf_diversification **diversification)
{
    if (diversification == NULL) return;
    free(*diversification);
    *diversification = NULL;
}

bool kf_diversification_uses(const kf_diversification *diversification, const char *name)
{
    for (size_t i = 0; i < diversification->level_count; i++) {
        const kf_level_plan *level = &diversification->levels[i];
        for (size_t j = 0; j < level->field_count; j++)
            if (level->fields[j].kind != KF_FIELD_CONSTANT && strcmp(level->fields[j].name, name) == 0)
                return true;
    }
    return false;
}

bool kf_diversification_is_none(const kf_diversification *diversification)
{
    for (size_t i = 0; i < diversification->level_count; i++) {
        const kf_level_plan *level = &diversification->levels[i];
        for (size_t j = 0; j < level->field_count; j++)
            if (level->fields[j].kind == KF_FIELD_NAMED && strcmp(level->fields[j].name, "generation") != 0)
                return false;
    }
    return true;
}

/* Its field without SIZE is the one that makes the whole too long or too short; a line in which all have one
 * is wrong itself. */
static kf_code refuse_size(const kf_level_plan *level, size_t size, kf_error *error)
{
    const kf_diversification_method *method = level->method;
    for (size_t i = 0; i < level->field_count; i++) {
        const kf_field_plan *field = &level->fields[i];
        if (field->kind != KF_FIELD_NAMED || field->size != 0) continue;
        return kf_fail(
            error, KF_ERR_DIVERSIFICATION,
            "diversification: field \"%s\" is too %s: method %s takes %zu to %zu bytes, the fields "
            "give %zu; give the field a size, and padding or last",
            field->name, size > method->input_max ? "long" : "short", method->name, method->input_min,
            method->input_max, size);
    }
    return kf_fail(error, KF_ERR_DIVERSIFICATION,
                   "diversification: method %s takes %zu to %zu bytes, its fields give %zu", method->name,
                   method->input_min, method->input_max, size);
}

kf_code kf_level_plan_input(const kf_level_plan *level, kf_fields fields, kf_key_role role, kf_buffer *input,
                            kf_error *error)
{
    size_t before = input->size;
    for (size_t i = 0; i < level->field_count; i++)
        KF_TRY(kf_field_plan_encode(&level->fields[i], fields, role, input, error));
    const kf_diversification_method *method = level->method;
    size_t size = input->size - before;
    if (size < method->input_min || size > method->input_max) return refuse_size(level, size, error);
    return KF_OK;
}

kf_code kf_diversification_input(const kf_diversification *diversification, size_t level, kf_fields fields,
                                 kf_key_role role, kf_buffer *input, kf_error *error)
{
    if (level >= diversification->level_count)
        return kf_fail(error, KF_ERR_ARGUMENT, "diversification: there is no level %zu", level);
    KF_CLEANUP(kf_buffer_clear) kf_buffer built = KF_BUFFER_INIT;
    KF_TRY(kf_level_plan_input(&diversification->levels[level], fields, role, &built, error));
    kf_buffer_append(input, kf_buffer_view(&built));
    return kf_fail_plain(error, kf_buffer_status(input));
}

kf_code kf_level_plan_check_key(const kf_level_plan *level, kf_algorithm algorithm, size_t key_size,
                                kf_error *error)
{
    const kf_diversification_method *method = level->method;
    static const char *const names[] = {"?", "AES", "3DES", "SM4", "DES"};
    if (method->derive == NULL) return KF_OK;
    if (method->algorithm != algorithm)
        return kf_fail(error, KF_ERR_DIVERSIFICATION,
                       "diversification: method %s takes %s keys; the base key is of algorithm %s",
                       method->name, names[method->algorithm],
                       (size_t)algorithm < 5 ? names[algorithm] : names[0]);
    if (method->key_size != 0 && method->key_size != key_size)
        return kf_fail(error, KF_ERR_DIVERSIFICATION,
                       "diversification: method %s takes keys of %zu bytes; the base key has %zu",
                       method->name, method->key_size, key_size);
    return KF_OK;
}

static kf_code derive_level(const kf_level_plan *level, kf_algorithm algorithm, const kf_secret *base_key,
                            kf_view input, kf_secret **ret_key)
{
    if (level->method->derive == NULL) return kf_secret_copy(base_key, ret_key);
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new_secret(algorithm, base_key, &cipher));
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(kf_secret_new_zero(kf_secret_size(base_key), &key));
    KF_TRY(level->method->derive(cipher, input, kf_secret_expose_writable(key)));
    *ret_key = key; /* goes over to the caller */
    key = NULL;
    return KF_OK;
}

kf_code kf_diversify(const kf_diversification *diversification, kf_algorithm algorithm,
                     const kf_secret *base_key, kf_fields fields, kf_key_role role, kf_secret **ret_key,
                     kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *present = NULL;
    for (size_t i = 0; i < diversification->level_count; i++) {
        const kf_level_plan *level = &diversification->levels[i];
        KF_TRY(kf_level_plan_check_key(level, algorithm, kf_secret_size(base_key), error));
        KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
        KF_TRY(kf_level_plan_input(level, fields, role, &input, error));
        kf_secret *next = NULL;
        kf_code code = derive_level(level, algorithm, present != NULL ? present : base_key,
                                    kf_buffer_view(&input), &next);
        if (code != KF_OK) return kf_fail_plain(error, code);
        kf_secret_free(&present);
        present = next;
    }
    *ret_key = present; /* goes over to the caller */
    present = NULL;
    return KF_OK;
}
