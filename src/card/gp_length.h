/* Fields behind their length, as INSTALL and confirmations have them (Card Specification 11.1.5): one byte up
 * to 127, else 81 or 82 and the length's bytes. */
#ifndef KEYFILL_CARD_GP_LENGTH_H
#define KEYFILL_CARD_GP_LENGTH_H

#include <keyfill/bytes.h>

/* KF_ERR_TOO_LONG past 65535 bytes. */
kf_code kf_gp_field_append(kf_buffer *data, kf_view value) KF_MUST_USE;
/* KF_ERR_CARD_DATA where it is cut off or its length of another form. */
kf_code kf_gp_field_next(kf_cursor *cursor, kf_view *ret_value) KF_MUST_USE;

#endif
