/* BER-TLV data objects (ISO/IEC 7816-4 §5.2.2, X.690): strict reading, writing. A tag is its bytes as a
 * big-endian number: 0x4F, 0x9F70, 0x5F50. */
#ifndef KEYFILL_TLV_H
#define KEYFILL_TLV_H

#include <keyfill/bytes.h>

#define KF_TLV_TAG_BYTES_MAX 4
#define KF_TLV_LENGTH_BYTES_MAX 4 /* behind 8x */
#define KF_TLV_DEPTH_MAX 16       /* levels of nesting that kf_tlv_check follows */

typedef struct kf_tlv {
    uint32_t tag;
    kf_view value; /* points into what is read */
    kf_view whole; /* tag, length and value */
} kf_tlv;

/* Reads one object. KF_ERR_TLV for a tag or length that is cut off or too long, the indefinite length, a
 * value that is cut off, and at the end of the data; the cursor does not move then. Lengths need not be
 * minimal. */
kf_code kf_tlv_read(kf_cursor *cursor, kf_tlv *ret_tlv) KF_MUST_USE;
/* Bit 6 of the tag's first byte. */
bool kf_tlv_is_constructed(uint32_t tag);
/* Whether `data` is a whole series of objects, and every constructed one holds such a series in turn.
 * KF_ERR_TLV. */
kf_code kf_tlv_check(kf_view data) KF_MUST_USE;
/* The first object with that tag on this level. False where there is none before the end or before the first
 * malformed one. */
bool kf_tlv_find(kf_view data, uint32_t tag, kf_view *ret_value);
/* How many objects with that tag stand on this level, before the end or the first malformed one. */
size_t kf_tlv_count(kf_view data, uint32_t tag);
/* Goes down through `count` tags. */
bool kf_tlv_find_path(kf_view data, const uint32_t *tags, size_t count, kf_view *ret_value);

/* Tag, minimal length, value. */
void kf_tlv_append(kf_buffer *buffer, uint32_t tag, kf_view value);
void kf_tlv_append_u8(kf_buffer *buffer, uint32_t tag, uint8_t value);
void kf_tlv_append_tag(kf_buffer *buffer, uint32_t tag);
void kf_tlv_append_length(kf_buffer *buffer, size_t length);
/* An object whose value is what is appended between the two calls; they may be nested. */
size_t kf_tlv_begin(kf_buffer *buffer, uint32_t tag);
void kf_tlv_end(kf_buffer *buffer, size_t mark);

/* Data groupings of STORE DATA (EMV CPS 3.2.7; GP 11.11.2.3): identifier of two bytes, length of one byte, or
 * FF and two bytes from 255 on. */
#define KF_DGI_SIZE_MAX 65535
/* KF_ERR_ARGUMENT past KF_DGI_SIZE_MAX. */
kf_code kf_dgi_append_length(kf_buffer *buffer, size_t length) KF_MUST_USE;
kf_code kf_dgi_append(kf_buffer *buffer, uint16_t identifier, kf_view value) KF_MUST_USE;
/* KF_ERR_TLV where it is cut off. */
kf_code kf_dgi_read(kf_cursor *cursor, uint16_t *ret_identifier, kf_view *ret_value) KF_MUST_USE;

#endif
