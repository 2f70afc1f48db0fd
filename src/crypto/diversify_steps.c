#include "crypto/diversify_steps.h"

#include <string.h>

#include "crypto/diversify_plan.h"
#include "crypto/parity.h"

#define DATA_SIZE 10  /* bytes of key diversification data, before the role */
#define FACTOR_SIZE 8 /* bytes */

typedef kf_code (*step_planner)(kf_view input, kf_derivation_steps *steps);

static kf_derivation_step *add_step(kf_derivation_steps *steps, kf_step_kind kind)
{
    kf_derivation_step *step = &steps->steps[steps->count++];
    step->kind = kind;
    step->size = 0;
    return step;
}

static void put(kf_derivation_step *step, const void *bytes, size_t size)
{
    memcpy(step->input + step->size, bytes, size);
    step->size += size;
}

static void put_u8(kf_derivation_step *step, uint8_t value)
{
    put(step, &value, 1);
}

static size_t blocks_of_key(const kf_derivation_steps *steps)
{
    return (steps->key_size + steps->block_size - 1) / steps->block_size;
}

/* [i]8 || "keyfill" || 00 || input || [L]16 */
static kf_code plan_sp800_108(kf_view input, kf_derivation_steps *steps)
{
    size_t bits = steps->key_size * 8;
    for (size_t i = 1; i <= blocks_of_key(steps); i++) {
        kf_derivation_step *step = add_step(steps, KF_STEP_CMAC);
        put_u8(step, (uint8_t)i);
        put(step, "keyfill", sizeof "keyfill");
        put(step, input.data, input.size);
        put_u8(step, (uint8_t)(bits >> 8));
        put_u8(step, (uint8_t)bits);
    }
    return KF_OK;
}

/* [i]8 || 000000 || role || 00 || data */
static kf_code plan_kdf3(kf_view input, kf_derivation_steps *steps)
{
    const uint8_t label[5] = {0, 0, 0, input.data[DATA_SIZE], 0};
    for (size_t i = 1; i <= blocks_of_key(steps); i++) {
        kf_derivation_step *step = add_step(steps, KF_STEP_CMAC);
        put_u8(step, (uint8_t)i);
        put(step, label, sizeof label);
        put(step, input.data, DATA_SIZE);
    }
    return KF_OK;
}

/* What is longer than a block is a plain CMAC; what is shorter is padded to two blocks, and its last takes
 * the subkey K2 where CMAC gives it K1. */
static void add_an10922(uint8_t constant, kf_view input, kf_derivation_steps *steps)
{
    kf_derivation_step *step = add_step(steps, KF_STEP_CMAC);
    put_u8(step, constant);
    put(step, input.data, input.size);
    if (step->size > steps->block_size) return;
    memset(step->input + step->size, 0, 2 * steps->block_size - step->size);
    step->input[step->size] = 0x80;
    step->size = 2 * steps->block_size;
    steps->needs_zero_block = true;
}

static kf_code plan_an10922(uint8_t first_constant, kf_view input, kf_derivation_steps *steps)
{
    for (size_t i = 0; i < blocks_of_key(steps); i++)
        add_an10922((uint8_t)(first_constant + i), input, steps);
    return KF_OK;
}

static kf_code plan_an10922_aes128(kf_view input, kf_derivation_steps *steps)
{
    return plan_an10922(0x01, input, steps);
}

static kf_code plan_an10922_aes192(kf_view input, kf_derivation_steps *steps)
{
    steps->overlaps = true;
    return plan_an10922(0x11, input, steps);
}

static kf_code plan_an10922_aes256(kf_view input, kf_derivation_steps *steps)
{
    return plan_an10922(0x41, input, steps);
}

static kf_code plan_an10922_2tdea(kf_view input, kf_derivation_steps *steps)
{
    return plan_an10922(0x21, input, steps);
}

static kf_code plan_an10922_3tdea(kf_view input, kf_derivation_steps *steps)
{
    return plan_an10922(0x31, input, steps);
}

/* factor || ~factor */
static kf_code plan_pboc(kf_view input, kf_derivation_steps *steps)
{
    kf_derivation_step *step = add_step(steps, KF_STEP_ENCRYPT);
    put(step, input.data, FACTOR_SIZE);
    for (size_t i = 0; i < FACTOR_SIZE; i++)
        put_u8(step, (uint8_t)~input.data[i]);
    return KF_OK;
}

static kf_code plan_emv_option_a(kf_view input, kf_derivation_steps *steps)
{
    uint8_t factor[FACTOR_SIZE];
    kf_emv_option_a_factor(input, factor);
    steps->odd_parity = true;
    return plan_pboc(KF_VIEW(factor), steps);
}

static kf_code plan_emv_option_b(kf_view input, kf_derivation_steps *steps)
{
    uint8_t factor[FACTOR_SIZE];
    KF_TRY(kf_emv_option_b_factor(input, factor));
    steps->odd_parity = true;
    return plan_pboc(KF_VIEW(factor), steps);
}

/* Y, and ~Y behind it for keys longer than a block. */
static kf_code plan_emv_option_c(kf_view input, kf_derivation_steps *steps)
{
    uint8_t block[KF_BLOCK_MAX] = {0};
    memcpy(block + sizeof block - input.size, input.data, input.size);
    kf_derivation_step *step = add_step(steps, KF_STEP_ENCRYPT);
    put(step, block, sizeof block);
    for (size_t i = 0; steps->key_size > sizeof block && i < sizeof block; i++)
        put_u8(step, (uint8_t)~block[i]);
    return KF_OK;
}

static kf_code plan_key_set(const uint8_t part[6], uint8_t role, kf_derivation_steps *steps)
{
    kf_derivation_step *step = add_step(steps, KF_STEP_ENCRYPT);
    for (unsigned half = 0; half < 2; half++) {
        put(step, part, 6);
        put_u8(step, half == 0 ? 0xF0 : 0x0F);
        put_u8(step, role);
    }
    return KF_OK;
}

static kf_code plan_visa2(kf_view input, kf_derivation_steps *steps)
{
    uint8_t part[6];
    memcpy(part, input.data, 2);
    memcpy(part + 2, input.data + 4, 4);
    return plan_key_set(part, input.data[DATA_SIZE], steps);
}

static kf_code plan_emv_cps(kf_view input, kf_derivation_steps *steps)
{
    return plan_key_set(input.data + 4, input.data[DATA_SIZE], steps);
}

static const struct token_method {
    const char *name;
    step_planner plan;
    bool chains; /* its key is encrypted data and nothing else, but for parity, which DES ignores */
} methods[] = {
    {"sp800-108-aes", plan_sp800_108, false},
    {"sp800-108-sm4", plan_sp800_108, false},
    {"an10922-aes128", plan_an10922_aes128, false},
    {"an10922-aes192", plan_an10922_aes192, false},
    {"an10922-aes256", plan_an10922_aes256, false},
    {"an10922-2tdea", plan_an10922_2tdea, false},
    {"an10922-3tdea", plan_an10922_3tdea, false},
    {"emv-option-a", plan_emv_option_a, true},
    {"emv-option-b", plan_emv_option_b, true},
    {"emv-option-c", plan_emv_option_c, true},
    {"pboc-3des", plan_pboc, true},
    {"pboc-sm4", plan_pboc, true},
    {"visa2", plan_visa2, true},
    {"emv-cps", plan_emv_cps, true},
    {"kdf3", plan_kdf3, false},
};

static const struct token_method *find_method(const kf_level_plan *level)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, level->method->name) == 0) return &methods[i];
    return NULL;
}

kf_code kf_derivation_steps_check(const kf_diversification *diversification, kf_algorithm algorithm,
                                  size_t key_size, kf_error *error)
{
    for (size_t i = 0; i < diversification->level_count; i++) {
        const kf_level_plan *level = &diversification->levels[i];
        const struct token_method *method = find_method(level);
        KF_TRY(kf_level_plan_check_key(level, algorithm, key_size, error));
        if (method == NULL)
            return kf_fail(error, KF_ERR_UNSUPPORTED,
                           "method %s gives out the base key itself, which a token does not do; take another "
                           "method, or keep this key in the key file",
                           level->method->name);
        if (i + 1 < diversification->level_count && !method->chains)
            return kf_fail(error, KF_ERR_UNSUPPORTED,
                           "level %zu of the diversification makes its key by %s, and a token cannot keep "
                           "such a key inside: only levels that encrypt data (pboc-3des, emv-option-a, -b, "
                           "-c, visa2, emv-cps) come before others; keep this key in the key file",
                           i + 1, level->method->name);
    }
    return KF_OK;
}

static void move_to_chain(kf_derivation_steps *steps)
{
    const kf_derivation_step *step = &steps->steps[0];
    steps->chain[steps->chain_count].size = step->size;
    memcpy(steps->chain[steps->chain_count].data, step->input, step->size);
    steps->chain_count++;
    steps->count = 0;
    steps->odd_parity = false;
}

kf_code kf_derivation_steps_make(const kf_diversification *diversification,
                                 const kf_derivation_subject *subject, kf_derivation_steps *ret_steps,
                                 kf_error *error)
{
    KF_TRY(kf_derivation_steps_check(diversification, subject->algorithm, subject->key_size, error));
    kf_derivation_steps *steps = ret_steps;
    memset(steps, 0, sizeof *steps);
    steps->key_size = subject->key_size;
    steps->block_size = subject->algorithm == KF_TDES ? 8 : 16;
    for (size_t i = 0; i < diversification->level_count; i++) {
        const kf_level_plan *level = &diversification->levels[i];
        KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
        KF_TRY(kf_level_plan_input(level, subject->fields, subject->role, &input, error));
        KF_TRY(kf_fail_plain(error, find_method(level)->plan(kf_buffer_view(&input), steps)));
        if (i + 1 < diversification->level_count) move_to_chain(steps);
    }
    return KF_OK;
}

/* SP 800-38B 6.1: shifted left by a bit; what falls out comes back as R_b. */
static void double_block(uint8_t *block, size_t size)
{
    uint8_t carry = 0;
    for (size_t i = size; i > 0; i--) {
        uint8_t byte = block[i - 1];
        block[i - 1] = (uint8_t)(byte << 1 | carry);
        carry = byte >> 7;
    }
    block[size - 1] ^= (uint8_t)((size == 16 ? 0x87 : 0x1B) & -carry);
}

void kf_derivation_steps_complete(kf_derivation_steps *steps, const uint8_t *encrypted_zeros)
{
    size_t size = steps->block_size;
    uint8_t k1[KF_BLOCK_MAX];
    uint8_t k2[KF_BLOCK_MAX];
    memcpy(k1, encrypted_zeros, size);
    double_block(k1, size);
    memcpy(k2, k1, size);
    double_block(k2, size);
    for (size_t i = 0; steps->needs_zero_block && i < steps->count; i++)
        for (size_t j = 0; j < size; j++)
            steps->steps[i].input[size + j] ^= k1[j] ^ k2[j];
    steps->needs_zero_block = false;
    kf_wipe(k1, sizeof k1);
    kf_wipe(k2, sizeof k2);
}

size_t kf_derivation_step_output(const kf_derivation_steps *steps, size_t index)
{
    const kf_derivation_step *step = &steps->steps[index];
    return step->kind == KF_STEP_CMAC ? steps->block_size : step->size;
}

kf_code kf_derivation_steps_finish(const kf_derivation_steps *steps, kf_view outputs, kf_secret **ret_key)
{
    size_t total = 0;
    for (size_t i = 0; i < steps->count; i++)
        total += kf_derivation_step_output(steps, i);
    if (outputs.size != total || steps->needs_zero_block || total < steps->key_size) return KF_ERR_ARGUMENT;
    kf_secret *key = NULL;
    KF_TRY(kf_secret_new_zero(steps->key_size, &key));
    uint8_t *bytes = kf_secret_expose_writable(key);
    if (steps->overlaps) {
        memcpy(bytes, outputs.data, 8);
        for (size_t i = 0; i < 8; i++)
            bytes[8 + i] = (uint8_t)(outputs.data[8 + i] ^ outputs.data[16 + i]);
        memcpy(bytes + 16, outputs.data + 24, 8);
    } else {
        memcpy(bytes, outputs.data, steps->key_size);
    }
    if (steps->odd_parity) kf_set_odd_parity(bytes, steps->key_size);
    *ret_key = key;
    return KF_OK;
}
