#include "card/ota_crc.h"

/* Least significant bit first, all ones before and inverted behind. */
static uint32_t reflected(kf_view bytes, uint32_t polynomial, uint32_t start)
{
    uint32_t crc = start;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 1u) != 0 ? (crc >> 1) ^ polynomial : crc >> 1;
    }
    return crc;
}

uint16_t kf_crc16(kf_view bytes)
{
    return (uint16_t)(reflected(bytes, 0x8408u, 0xFFFFu) ^ 0xFFFFu);
}

uint32_t kf_crc32(kf_view bytes)
{
    return reflected(bytes, 0xEDB88320u, 0xFFFFFFFFu) ^ 0xFFFFFFFFu;
}
