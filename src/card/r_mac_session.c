/* BEGIN and END R-MAC SESSION (Card Specification 2.3.1 E.5.3 and E.5.4, Amendment D 7.1.3 and 7.1.4):
 * response MACs for a part of a channel that began without them. */
#include <keyfill/secure_channel.h>

#include <string.h>

#include "card/channel_state.h"

#define CLASS_GP 0x80
#define INS_BEGIN 0x7A
#define INS_END 0x78
#define P2_BEGIN 0x01
#define P2_END_AND_ANSWER 0x03
#define EXTRA_DATA_MAX 24

/* Amendment D table 7-8 wants a C-MAC, and encrypted responses to encrypted commands. */
static bool may_begin(const kf_secure_channel *channel, uint8_t level)
{
    const kf_initialize_update *answer = &channel->answer;
    if (channel->r_mac_session || (channel->level & KF_LEVEL_R_MAC) != 0) return false;
    if (!kf_secure_channel_has_response_mac(answer->protocol, answer->options)) return false;
    if (answer->protocol == 0x02) return level == 0x00 || level == KF_LEVEL_R_MAC;
    if ((channel->level & KF_LEVEL_C_MAC) == 0) return false;
    if (level == KF_LEVEL_R_MAC) return true;
    uint8_t best = kf_secure_channel_best_level(answer->protocol, answer->options);
    return level == (KF_LEVEL_R_MAC | KF_LEVEL_R_ENCRYPTION) && (best & KF_LEVEL_R_ENCRYPTION) != 0 &&
           (channel->level & KF_LEVEL_C_DECRYPTION) != 0;
}

kf_code kf_secure_channel_begin_r_mac(kf_secure_channel *channel, uint8_t level, kf_view data,
                                      kf_buffer *wrapped, kf_exchange *ret_exchange)
{
    if (!channel->authenticated || channel->refused || !may_begin(channel, level)) return KF_ERR_CHANNEL;
    if (data.size > EXTRA_DATA_MAX) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    const uint8_t header[] = {CLASS_GP,          INS_BEGIN, level, P2_BEGIN, (uint8_t)(data.size + 1),
                              (uint8_t)data.size};
    kf_buffer_append_bytes(&apdu, header, sizeof(header));
    kf_buffer_append(&apdu, data);
    KF_TRY(kf_buffer_status(&apdu));
    kf_command_list_clear(&channel->sent);
    channel->sent_before = channel->encryption_counter;
    channel->answered = channel->encryption_counter;
    KF_TRY(kf_channel_wrap(channel, kf_buffer_view(&apdu), KF_EXCHANGE_BEGINS, wrapped, ret_exchange));
    memcpy(channel->response_mac_chains[1], channel->mac_chaining_value,
           sizeof(channel->response_mac_chains[1]));
    channel->response_mac_chain_count = 2;
    channel->r_mac_session = true;
    channel->r_mac_level = level;
    channel->level |= level;
    return KF_OK;
}

kf_code kf_secure_channel_end_r_mac(kf_secure_channel *channel, kf_buffer *wrapped, kf_exchange *ret_exchange)
{
    if (!channel->authenticated || channel->refused || !channel->r_mac_session) return KF_ERR_CHANNEL;
    static const uint8_t apdu[] = {CLASS_GP, INS_END, 0x00, P2_END_AND_ANSWER, 0x00};
    uint8_t kind = channel->protocol->remember != NULL ? KF_EXCHANGE_ENDS : 0;
    KF_TRY(kf_channel_wrap(channel, KF_VIEW(apdu), kind, wrapped, ret_exchange));
    channel->r_mac_session = false;
    channel->level &= (uint8_t) ~(unsigned)channel->r_mac_level;
    return KF_OK;
}
