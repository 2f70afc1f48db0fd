#include <stdlib.h>
#include <string.h>

#include "crypto/diversify_plan.h"

struct kf_diversifier {
    kf_diversification plan;
    kf_algorithm algorithm;
    size_t key_size;
    kf_secret *base_key;
    kf_cipher *base;  /* NULL: method none */
    kf_cipher *level; /* of the levels behind the first: keyed anew for every card */
    kf_buffer inputs; /* of one level, end to end */
    size_t ends[KF_DIVERSIFY_MANY_MAX];
};

static kf_code check_levels(const kf_diversification *plan, kf_algorithm algorithm, size_t key_size,
                            kf_error *error)
{
    for (size_t i = 0; i < plan->level_count; i++)
        KF_TRY(kf_level_plan_check_key(&plan->levels[i], algorithm, key_size, error));
    return KF_OK;
}

static kf_code fill(kf_diversifier *diversifier, const kf_secret *base_key)
{
    diversifier->key_size = kf_secret_size(base_key);
    KF_TRY(kf_secret_copy(base_key, &diversifier->base_key));
    if (diversifier->plan.levels[0].method->derive == NULL) return KF_OK;
    KF_TRY(kf_cipher_new_secret(diversifier->algorithm, base_key, &diversifier->base));
    if (diversifier->plan.level_count == 1) return KF_OK;
    return kf_cipher_new_secret(diversifier->algorithm, base_key, &diversifier->level);
}

kf_code kf_diversifier_new(const kf_diversification *diversification, kf_algorithm algorithm,
                           const kf_secret *base_key, kf_diversifier **ret_diversifier, kf_error *error)
{
    KF_TRY(check_levels(diversification, algorithm, kf_secret_size(base_key), error));
    kf_diversifier *diversifier = calloc(1, sizeof *diversifier);
    if (diversifier == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    diversifier->plan = *diversification;
    diversifier->algorithm = algorithm;
    diversifier->inputs = KF_BUFFER_INIT;
    kf_code code = fill(diversifier, base_key);
    if (code != KF_OK) {
        kf_diversifier_free(&diversifier);
        return kf_fail_plain(error, code);
    }
    *ret_diversifier = diversifier;
    return KF_OK;
}

void kf_diversifier_free(kf_diversifier **diversifier)
{
    if (diversifier == NULL || *diversifier == NULL) return;
    kf_secret_free(&(*diversifier)->base_key);
    kf_cipher_free(&(*diversifier)->base);
    kf_cipher_free(&(*diversifier)->level);
    kf_buffer_clear(&(*diversifier)->inputs);
    free(*diversifier);
    *diversifier = NULL;
}

/* The inputs of one level for all cards. */
static kf_code build_inputs(kf_diversifier *diversifier, const kf_level_plan *level,
                            const kf_card_batch *batch, kf_error *error)
{
    kf_buffer_truncate(&diversifier->inputs, 0);
    for (size_t i = 0; i < batch->count; i++) {
        kf_code code = kf_level_plan_input(level, batch->cards[i], batch->role, &diversifier->inputs, error);
        if (code != KF_OK) {
            kf_buffer_clear(&diversifier->inputs);
            if (error == NULL) return code;
            return kf_error_prefix(error, "card %zu", i);
        }
        diversifier->ends[i] = diversifier->inputs.size;
    }
    return KF_OK;
}

static void split_inputs(const kf_diversifier *diversifier, size_t count, kf_view *ret_inputs)
{
    kf_view all = kf_buffer_view(&diversifier->inputs);
    size_t start = 0;
    for (size_t i = 0; i < count; i++) {
        ret_inputs[i] = kf_view_part(all, start, diversifier->ends[i] - start);
        start = diversifier->ends[i];
    }
}

static kf_code derive_first(kf_diversifier *diversifier, const kf_view *inputs, size_t count, uint8_t *keys)
{
    const kf_diversification_method *method = diversifier->plan.levels[0].method;
    if (method->derive_many != NULL) return method->derive_many(diversifier->base, inputs, count, keys);
    for (size_t i = 0; i < count; i++) {
        uint8_t *key = keys + i * diversifier->key_size;
        if (method->derive == NULL)
            memcpy(key, kf_secret_expose(diversifier->base_key).data, diversifier->key_size);
        else
            KF_TRY(method->derive(diversifier->base, inputs[i], key));
    }
    return KF_OK;
}

/* Each key becomes the base key of its card's next one. */
static kf_code derive_next(kf_diversifier *diversifier, const kf_level_plan *level, const kf_view *inputs,
                           size_t count, uint8_t *keys)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *key = keys + i * diversifier->key_size;
        KF_TRY(kf_cipher_rekey(diversifier->level, kf_view_of(key, diversifier->key_size)));
        KF_TRY(level->method->derive(diversifier->level, inputs[i], key));
    }
    return KF_OK;
}

/* Fails before `keys` is touched: every level's inputs are built once before. */
static kf_code try_inputs(kf_diversifier *diversifier, const kf_card_batch *batch, kf_error *error)
{
    for (size_t i = diversifier->plan.level_count; i > 0; i--)
        KF_TRY(build_inputs(diversifier, &diversifier->plan.levels[i - 1], batch, error));
    return KF_OK;
}

kf_code kf_diversify_many(kf_diversifier *diversifier, const kf_card_batch *batch, kf_secret *keys,
                          kf_error *error)
{
    if (batch->count == 0 || batch->count > KF_DIVERSIFY_MANY_MAX ||
        kf_secret_size(keys) / diversifier->key_size < batch->count)
        return kf_fail(error, KF_ERR_ARGUMENT,
                       "diversification: %zu cards do not go into one call, or their keys not into %zu bytes",
                       batch->count, kf_secret_size(keys));
    kf_view inputs[KF_DIVERSIFY_MANY_MAX];
    uint8_t *bytes = kf_secret_expose_writable(keys);
    KF_TRY(try_inputs(diversifier, batch, error)); /* leaves those of the first level */
    split_inputs(diversifier, batch->count, inputs);
    kf_code code = derive_first(diversifier, inputs, batch->count, bytes);
    for (size_t i = 1; code == KF_OK && i < diversifier->plan.level_count; i++) {
        const kf_level_plan *level = &diversifier->plan.levels[i];
        code = build_inputs(diversifier, level, batch, error);
        split_inputs(diversifier, batch->count, inputs);
        if (code == KF_OK) code = derive_next(diversifier, level, inputs, batch->count, bytes);
    }
    return kf_fail_plain(error, code);
}
