#include <keyfill/kdf.h>

#include <string.h>

#define SHORT_MESSAGE 64 /* bytes */

static bool is_counter_size(unsigned bits)
{
    return bits == 8 || bits == 16 || bits == 24 || bits == 32;
}

static size_t place_of_counter(kf_kdf_counter form, size_t fixed_size)
{
    if (form.location == KF_COUNTER_BEFORE_FIXED) return 0;
    return form.location == KF_COUNTER_AFTER_FIXED ? fixed_size : form.middle_offset;
}

/* A short message is put together first: one piece costs less than three. */
static kf_code mac_with_counter(kf_cipher *prf, kf_view fixed_input, size_t place, kf_view counter,
                                uint8_t *ret_mac)
{
    kf_view before = kf_view_part(fixed_input, 0, place);
    kf_view behind = kf_view_part(fixed_input, place, fixed_input.size);
    size_t size = fixed_input.size + counter.size;
    if (size > SHORT_MESSAGE) {
        const kf_view parts[] = {before, counter, behind};
        return kf_cmac_parts(prf, parts, 3, ret_mac);
    }
    uint8_t message[SHORT_MESSAGE];
    if (before.size > 0) memcpy(message, before.data, before.size);
    memcpy(message + before.size, counter.data, counter.size);
    if (behind.size > 0) memcpy(message + before.size + counter.size, behind.data, behind.size);
    return kf_cmac(prf, kf_view_of(message, size), ret_mac);
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
        kf_view counted = kf_view_of(counter + sizeof counter - counter_size, counter_size);
        KF_TRY(mac_with_counter(prf, fixed_input, place, counted, mac));
        size_t offset = (size_t)(i - 1) * block_size;
        size_t left = output_size - offset;
        memcpy(ret_output + offset, mac, left < block_size ? left : block_size);
    }
    return KF_OK;
}
