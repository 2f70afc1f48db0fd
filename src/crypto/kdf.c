#include <keyfill/kdf.h>

#include <string.h>

static bool is_counter_size(unsigned bits)
{
    return bits == 8 || bits == 16 || bits == 24 || bits == 32;
}

static size_t place_of_counter(kf_kdf_counter form, size_t fixed_size)
{
    if (form.location == KF_COUNTER_BEFORE_FIXED) return 0;
    return form.location == KF_COUNTER_AFTER_FIXED ? fixed_size : form.middle_offset;
}

kf_code kf_kdf_counter_mode(kf_cipher *prf, kf_kdf_counter form, kf_view fixed_input, uint8_t *ret_output,
                            size_t output_size)
{
    size_t block_size = kf_cipher_block_size(prf);
    size_t place = place_of_counter(form, fixed_input.size);
    if (!is_counter_size(form.counter_bits) || place > fixed_input.size || output_size == 0)
        return KF_ERR_ARGUMENT;
    uint64_t blocks = (output_size - 1) / block_size + 1;
    if (blocks > (UINT64_C(1) << form.counter_bits) - 1) return KF_ERR_ARGUMENT;

    KF_CLEANUP(kf_wipe_block16) uint8_t mac[KF_BLOCK_MAX];
    for (uint64_t i = 1; i <= blocks; i++) {
        uint8_t counter[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        size_t counter_size = form.counter_bits / 8;
        kf_view parts[] = {kf_view_part(fixed_input, 0, place),
                           kf_view_of(counter + sizeof counter - counter_size, counter_size),
                           kf_view_part(fixed_input, place, fixed_input.size - place)};
        KF_TRY(kf_cmac_parts(prf, parts, 3, mac));
        size_t offset = (size_t)(i - 1) * block_size;
        size_t left = output_size - offset;
        memcpy(ret_output + offset, mac, left < block_size ? left : block_size);
    }
    return KF_OK;
}
