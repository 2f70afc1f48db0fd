/* Redundancy checks of ETSI TS 102 225 annex B: CRC-16 and CRC-32 of ISO/IEC 13239. */
#ifndef KEYFILL_CARD_OTA_CRC_H
#define KEYFILL_CARD_OTA_CRC_H

#include <keyfill/bytes.h>

uint16_t kf_crc16(kf_view bytes);
uint32_t kf_crc32(kf_view bytes);

#endif
