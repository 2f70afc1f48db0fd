/* BER-TLV as it stands in commands and answers of the card (ISO/IEC 7816-4 5.2.2): tags of one or two bytes,
 * lengths up to FFFFFF. */
#ifndef KEYFILL_SOFTCARD_TLV_H
#define KEYFILL_SOFTCARD_TLV_H

#include <keyfill/bytes.h>

typedef struct softcard_tlv {
    uint16_t tag;
    kf_view value;
} softcard_tlv;

/* The object at the cursor. KF_ERR_TLV where it is cut short or in a form that the card does not take. */
kf_code softcard_tlv_next(kf_cursor *cursor, softcard_tlv *ret_object) KF_MUST_USE;
/* The first object with `tag` at the top level of `bytes`; KF_ERR_NOT_FOUND, or KF_ERR_TLV. */
kf_code softcard_tlv_find(kf_view bytes, uint16_t tag, kf_view *ret_value) KF_MUST_USE;
/* A length alone: 00 to 7F, 81 xx, 82 xx xx, 83 xx xx xx. */
kf_code softcard_length_next(kf_cursor *cursor, size_t *ret_length) KF_MUST_USE;
/* A value after its length byte, as in INSTALL (GlobalPlatform 11.5.2.3). */
kf_code softcard_counted_next(kf_cursor *cursor, kf_view *ret_value) KF_MUST_USE;

/* A field of INSTALL or PUT KEY after its length (11.5.2.3, 11.8.2.3.1): as BER has it, or, as older hosts do
 * it, a byte alone also from 80 on. */
kf_code softcard_field_next(kf_cursor *cursor, kf_view *ret_value) KF_MUST_USE;

void softcard_tlv_append(kf_buffer *buffer, uint16_t tag, kf_view value);

#endif
