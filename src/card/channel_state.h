/* What the secure channel protocols share: the state of a channel, and what each protocol does with it. */
#ifndef KEYFILL_CARD_CHANNEL_STATE_H
#define KEYFILL_CARD_CHANNEL_STATE_H

#include <keyfill/secure_channel.h>

/* Functions of one protocol. `start` derives the session keys from `keys` and computes both cryptograms;
 * `keys->enc` or `keys->dek` may be missing, and so is their session key then. `mac` advances the chain. */
typedef struct kf_channel_protocol {
    kf_code (*start)(kf_secure_channel *channel, const kf_key_set *keys, kf_view host_challenge);
    /* Wraps `command`, whose class is set for secure messaging on the basic channel, into `wrapped_data`: the
     * data field of the wrapped command with its MAC. Advances the channel. */
    kf_code (*protect)(kf_secure_channel *channel, const kf_command *command, kf_buffer *wrapped_data);
    /* The same for a short command, but appends the whole of it with `sent_class` and Le; what is appended
     * when it fails, the caller takes away. NULL where `protect` does all. */
    kf_code (*wrap_short)(kf_secure_channel *channel, const kf_command *command, uint8_t sent_class,
                          kf_buffer *wrapped);
    /* Checks and decrypts; appends the plain data. */
    kf_code (*unprotect)(kf_secure_channel *channel, const kf_exchange *exchange, const kf_response *response,
                         kf_buffer *data);
    kf_code (*encrypt_data)(kf_secure_channel *channel, kf_view plain, uint8_t *ret_encrypted);
    /* Keeps what a response MAC will cover of the plain command; NULL where it covers none of it. */
    kf_code (*remember)(kf_secure_channel *channel, const kf_command *plain);
    size_t data_block_size;
} kf_channel_protocol;

extern const kf_channel_protocol kf_protocol_scp02;
extern const kf_channel_protocol kf_protocol_scp03;

#define KF_RESPONSE_CHAINS_MAX 4

struct kf_secure_channel {
    const kf_channel_protocol *protocol;
    kf_initialize_update answer;
    uint8_t level;
    bool authenticated; /* EXTERNAL AUTHENTICATE was made */
    unsigned logical_channel;
    kf_cipher *session_enc;
    kf_cipher *session_mac;
    kf_cipher *session_mac_left; /* SCP02: single DES */
    kf_cipher *session_rmac;     /* SCP03: made of a later key when first needed */
    kf_secret *later_keys;       /* SCP03: S-RMAC, then the static DEK, each with room for 32 bytes */
    size_t response_key_size;
    size_t data_key_size;         /* 0: there is no DEK */
    kf_cipher *session_rmac_left; /* SCP02: single DES */
    kf_cipher *data_encryption;   /* SCP03: the static DEK, when first needed; SCP02: the session DEK */
    uint8_t card_cryptogram[KF_CHALLENGE_MAX];
    uint8_t host_cryptogram[KF_CHALLENGE_MAX];
    uint8_t mac_chaining_value[16];
    uint64_t encryption_counter;
    bool refused;         /* a response MAC was wrong, or the channel was closed */
    kf_command_list sent; /* SCP02 with R-MAC: what the response MACs cover, by counter */
    uint64_t sent_before; /* SCP02 with R-MAC: the counter of the command before the first of them */
    uint64_t answered;    /* SCP02 with R-MAC: the counter of the last response */
    bool r_mac_session;   /* begun by BEGIN R-MAC SESSION */
    uint8_t r_mac_level;  /* what that asked for: 00, 10 or 30 */
    /* SCP02: the response MAC before. E.4.5 is read in several ways where a session is begun in the middle:
     * the first vector is the C-MAC of EXTERNAL AUTHENTICATE or the last one, and BEGIN is covered or not.
     * All go on until a response MAC tells which. */
    uint8_t response_mac_chains[KF_RESPONSE_CHAINS_MAX][8];
    size_t response_mac_chain_count;
};

/* Bits of kf_exchange.level above those of the protocol: what BEGIN and END R-MAC SESSION change. */
#define KF_EXCHANGE_BEGINS 0x40u  /* the answer to BEGIN: bare; another status than 9000 begins nothing */
#define KF_EXCHANGE_COUNTED 0x80u /* SCP02: bare, but the next response MAC covers it */
#define KF_EXCHANGE_ENDS 0xC0u    /* SCP02: the answer to END, whose data are the response MAC */
#define KF_EXCHANGE_KIND 0xC0u

/* SCP02: keeps the command for the response MACs, checks what the answer to it must hold, and advances the
 * chain. */
kf_code kf_scp02_count_response(kf_secure_channel *channel, const kf_exchange *exchange,
                                const kf_response *response) KF_MUST_USE;

/* The parts of kf_secure_channel_wrap that BEGIN and END share with it: `kind` goes into the exchange's
 * level. */
kf_code kf_channel_wrap(kf_secure_channel *channel, kf_view plain_apdu, uint8_t kind, kf_buffer *wrapped,
                        kf_exchange *ret_exchange) KF_MUST_USE;

/* SCP03: makes session_rmac, unless it is there. */
kf_code kf_scp03_need_response_cipher(kf_secure_channel *channel) KF_MUST_USE;
/* SCP03: makes data_encryption, unless it is there. KF_ERR_CHANNEL where the session has no DEK. */
kf_code kf_scp03_need_data_cipher(kf_secure_channel *channel) KF_MUST_USE;

/* Appends 80 and zeros up to a whole block (ISO/IEC 9797-1 padding method 2). */
void kf_channel_append_padding(kf_buffer *buffer, size_t block_size);
/* The size without that padding. False where there is none. */
bool kf_channel_padding_strip(kf_view padded, size_t *ret_size);

#endif
