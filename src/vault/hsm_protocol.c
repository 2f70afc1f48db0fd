#include "vault/hsm_protocol.h"

#include <string.h>

void kf_hsm_request_start(kf_buffer *bytes, uint64_t number, kf_hsm_kind kind)
{
    kf_buffer_append_u64(bytes, number);
    kf_buffer_append_u8(bytes, (uint8_t)kind);
}

kf_code kf_hsm_request_take(kf_cursor *bytes, uint64_t *ret_number, kf_hsm_kind *ret_kind)
{
    uint64_t number;
    uint8_t kind;
    KF_TRY(kf_cursor_u64(bytes, &number));
    KF_TRY(kf_cursor_u8(bytes, &kind));
    if (kind < KF_HSM_STATUS || kind > KF_HSM_UNWRAP) return KF_ERR_MALFORMED;
    *ret_number = number;
    *ret_kind = (kf_hsm_kind)kind;
    return KF_OK;
}

void kf_hsm_id_put(kf_buffer *bytes, const kf_hsm_id *id)
{
    kf_buffer_append_bytes(bytes, id->bytes, sizeof id->bytes);
}

kf_code kf_hsm_id_take(kf_cursor *bytes, kf_hsm_id *ret_id)
{
    return kf_cursor_copy(bytes, ret_id->bytes, sizeof ret_id->bytes);
}

static bool is_algorithm(uint8_t algorithm)
{
    return algorithm == KF_AES || algorithm == KF_TDES || algorithm == KF_SM4;
}

static bool key_size_fits(uint8_t algorithm, size_t size)
{
    if (algorithm == KF_AES) return size == 16 || size == 24 || size == 32;
    if (algorithm == KF_TDES) return size == 16 || size == 24;
    return algorithm == KF_SM4 && size == 16;
}

void kf_hsm_description_put(kf_buffer *bytes, const kf_hsm_description *description)
{
    kf_hsm_id_put(bytes, &description->id);
    kf_buffer_append_u8(bytes, (uint8_t)description->use);
    kf_buffer_append_u8(bytes, (uint8_t)description->algorithm);
    kf_buffer_append_u8(bytes, (uint8_t)description->size);
    kf_message_put_bool(bytes, description->extractable);
    kf_message_put_bool(bytes, description->derives);
    kf_message_put_text(bytes, description->label);
}

kf_code kf_hsm_description_take(kf_cursor *bytes, kf_hsm_description *ret_description)
{
    kf_hsm_description description;
    uint8_t use;
    uint8_t algorithm;
    uint8_t size;
    KF_TRY(kf_hsm_id_take(bytes, &description.id));
    KF_TRY(kf_cursor_u8(bytes, &use));
    KF_TRY(kf_cursor_u8(bytes, &algorithm));
    KF_TRY(kf_cursor_u8(bytes, &size));
    KF_TRY(kf_message_take_bool(bytes, &description.extractable));
    KF_TRY(kf_message_take_bool(bytes, &description.derives));
    KF_TRY(kf_message_take_text(bytes, description.label, sizeof description.label));
    if (use < KF_HSM_BASE || use > KF_HSM_WRAPPING || !key_size_fits(algorithm, size))
        return KF_ERR_MALFORMED;
    description.use = (kf_hsm_use)use;
    description.algorithm = (kf_algorithm)algorithm;
    description.size = size;
    *ret_description = description;
    return KF_OK;
}

void kf_hsm_status_put(kf_buffer *bytes, const kf_hsm_status *status)
{
    kf_message_put_text(bytes, status->label);
    kf_buffer_append_u32(bytes, status->abilities);
}

kf_code kf_hsm_status_take(kf_cursor *bytes, kf_hsm_status *ret_status)
{
    kf_hsm_status status;
    KF_TRY(kf_message_take_text(bytes, status.label, sizeof status.label));
    KF_TRY(kf_cursor_u32(bytes, &status.abilities));
    *ret_status = status;
    return kf_message_end(bytes);
}

static void put_group(kf_buffer *bytes, const kf_derivation_steps *group)
{
    kf_buffer_append_u8(bytes, (uint8_t)group->chain_count);
    for (size_t i = 0; i < group->chain_count; i++) {
        kf_buffer_append_u8(bytes, (uint8_t)group->chain[i].size);
        kf_buffer_append_bytes(bytes, group->chain[i].data, group->chain[i].size);
    }
    kf_buffer_append_u8(bytes, (uint8_t)group->count);
    for (size_t i = 0; i < group->count; i++) {
        kf_buffer_append_u8(bytes, (uint8_t)group->steps[i].kind);
        kf_buffer_append_u16(bytes, (uint16_t)group->steps[i].size);
        kf_buffer_append_bytes(bytes, group->steps[i].input, group->steps[i].size);
    }
}

void kf_hsm_computation_put(kf_buffer *bytes, const kf_hsm_computation *computation)
{
    kf_hsm_id_put(bytes, &computation->id);
    kf_buffer_append_u8(bytes, (uint8_t)computation->algorithm);
    kf_buffer_append_u8(bytes, (uint8_t)computation->groups[0].key_size);
    kf_buffer_append_u8(bytes, (uint8_t)computation->count);
    for (size_t i = 0; i < computation->count; i++)
        put_group(bytes, &computation->groups[i]);
}

static kf_code take_step(kf_cursor *bytes, kf_derivation_steps *group)
{
    kf_derivation_step *step = &group->steps[group->count];
    uint8_t kind;
    uint16_t size;
    KF_TRY(kf_cursor_u8(bytes, &kind));
    KF_TRY(kf_cursor_u16(bytes, &size));
    if (size < 1 || size > sizeof step->input) return KF_ERR_MALFORMED;
    if (kind != KF_STEP_CMAC &&
        (kind != KF_STEP_ENCRYPT || size > KF_STEP_OUTPUT_MAX || size % group->block_size != 0))
        return KF_ERR_MALFORMED;
    step->kind = (kf_step_kind)kind;
    step->size = size;
    KF_TRY(kf_cursor_copy(bytes, step->input, size));
    group->count++;
    return KF_OK;
}

static kf_code take_group(kf_cursor *bytes, kf_derivation_steps *group)
{
    uint8_t chain_count;
    uint8_t count;
    KF_TRY(kf_cursor_u8(bytes, &chain_count));
    if (chain_count > KF_DIVERSIFICATION_LEVELS_MAX - 1) return KF_ERR_MALFORMED;
    for (size_t i = 0; i < chain_count; i++) {
        uint8_t size;
        KF_TRY(kf_cursor_u8(bytes, &size));
        if (size > KF_STEP_CHAIN_SIZE || size % group->block_size != 0 || size < group->key_size)
            return KF_ERR_MALFORMED;
        group->chain[i].size = size;
        KF_TRY(kf_cursor_copy(bytes, group->chain[i].data, size));
    }
    group->chain_count = chain_count;
    KF_TRY(kf_cursor_u8(bytes, &count));
    if (count < 1 || count > KF_STEPS_MAX) return KF_ERR_MALFORMED;
    for (size_t i = 0; i < count; i++)
        KF_TRY(take_step(bytes, group));
    return KF_OK;
}

kf_code kf_hsm_computation_take(kf_cursor *bytes, kf_hsm_computation *ret_computation)
{
    uint8_t algorithm;
    uint8_t size;
    uint8_t count;
    KF_TRY(kf_hsm_id_take(bytes, &ret_computation->id));
    KF_TRY(kf_cursor_u8(bytes, &algorithm));
    KF_TRY(kf_cursor_u8(bytes, &size));
    KF_TRY(kf_cursor_u8(bytes, &count));
    if (!is_algorithm(algorithm) || !key_size_fits(algorithm, size) || count < 1 || count > KF_HSM_GROUPS_MAX)
        return KF_ERR_MALFORMED;
    ret_computation->algorithm = (kf_algorithm)algorithm;
    ret_computation->count = count;
    for (size_t i = 0; i < count; i++) {
        kf_derivation_steps *group = &ret_computation->groups[i];
        group->key_size = size;
        group->block_size = algorithm == KF_TDES ? 8 : 16;
        group->count = 0;
        KF_TRY(take_group(bytes, group));
    }
    return kf_message_end(bytes);
}

size_t kf_hsm_computation_output(const kf_hsm_computation *computation)
{
    size_t total = 0;
    for (size_t i = 0; i < computation->count; i++)
        for (size_t j = 0; j < computation->groups[i].count; j++)
            total += kf_derivation_step_output(&computation->groups[i], j);
    return total;
}

void kf_hsm_answer_put(kf_buffer *bytes, const kf_hsm_answer *answer)
{
    kf_buffer_append_u64(bytes, answer->number);
    kf_buffer_append_u32(bytes, (uint32_t)answer->code);
    kf_buffer_append_u16(bytes, (uint16_t)answer->message.size);
    kf_buffer_append(bytes, answer->message);
    kf_buffer_append(bytes, answer->payload);
}

kf_code kf_hsm_answer_take(kf_view bytes, kf_hsm_answer *ret_answer)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    kf_hsm_answer answer;
    uint32_t code;
    uint16_t size;
    KF_TRY(kf_cursor_u64(&cursor, &answer.number));
    KF_TRY(kf_cursor_u32(&cursor, &code));
    KF_TRY(kf_cursor_u16(&cursor, &size));
    if (size >= KF_ERROR_MESSAGE_SIZE) return KF_ERR_MALFORMED;
    KF_TRY(kf_cursor_take(&cursor, size, &answer.message));
    answer.code = (kf_code)(int32_t)code;
    answer.payload = cursor.rest;
    *ret_answer = answer;
    return KF_OK;
}
