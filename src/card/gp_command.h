/* What the builders of GlobalPlatform commands share. */
#ifndef KEYFILL_CARD_GP_COMMAND_H
#define KEYFILL_CARD_GP_COMMAND_H

#include <keyfill/globalplatform.h>

#define KF_GP_CLASS_ISO 0x00
#define KF_GP_CLASS 0x80

/* A short command with Le = 00; KF_ERR_TOO_LONG past 255 bytes. */
kf_code kf_gp_append_command(uint8_t cla, uint8_t ins, uint16_t p1_p2, kf_view data,
                             kf_buffer *apdu) KF_MUST_USE;
/* The same with class 80 and data that were built; their failure is this one's. */
kf_code kf_gp_append_built(uint8_t ins, uint16_t p1_p2, const kf_buffer *data, kf_buffer *apdu) KF_MUST_USE;
bool kf_gp_is_aid(kf_view aid);
bool kf_gp_is_aid_or_empty(kf_view aid);

/* Several short commands with the data of one: P1 bit 8 stands on all but the last (11.5.2.1, 11.8.2.1). */
typedef struct kf_gp_chain {
    uint8_t ins;
    uint8_t p1;
    uint8_t p2;
    kf_view data;
    size_t data_max; /* 1 to 255 */
} kf_gp_chain;
kf_code kf_gp_append_chain(const kf_gp_chain *chain, kf_command_list *commands) KF_MUST_USE;

#endif
