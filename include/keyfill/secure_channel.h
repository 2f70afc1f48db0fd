/* The host's side of a secure channel with a security domain: SCP03 (GlobalPlatform Amendment D 1.2: AES-128,
 * -192, -256, S8 and S16 modes) and SCP02 (Card Specification 2.3.1 appendix E, explicit initiation: i = 05,
 * 15, 45, 55, and with response MACs 35, 75). Which one follows from the card's answer to INITIALIZE UPDATE.
 *
 * Wrapping is deterministic: a channel opened again with the same keys, challenges and level gives the same
 * bytes for the same commands. So all commands may be wrapped at once and the responses unwrapped later, with
 * the kf_exchange of each command, by the same channel or by one opened again. The response MACs of SCP02
 * cover the commands and are chained: there the channel that unwraps has wrapped the same commands before,
 * and responses are unwrapped in their order, each once.
 *
 * A channel whose card gave one wrong response MAC is closed: it wraps and unwraps nothing more.
 */
#ifndef KEYFILL_SECURE_CHANNEL_H
#define KEYFILL_SECURE_CHANNEL_H

#include <keyfill/apdu.h>
#include <keyfill/cipher.h>
#include <keyfill/secret.h>

#define KF_DIVERSIFICATION_DATA_SIZE 10 /* bytes, INITIALIZE UPDATE */
#define KF_CHALLENGE_MAX 16             /* bytes; 8 in S8 mode and SCP02 */

/* Security levels: P1 of EXTERNAL AUTHENTICATE (Amendment D table 7-5, Card Specification table E-9). */
#define KF_LEVEL_NONE 0x00u
#define KF_LEVEL_C_MAC 0x01u
#define KF_LEVEL_C_DECRYPTION 0x02u
#define KF_LEVEL_R_MAC 0x10u
#define KF_LEVEL_R_ENCRYPTION 0x20u
#define KF_LEVEL_BEST                                                                                        \
    (KF_LEVEL_C_MAC | KF_LEVEL_C_DECRYPTION | KF_LEVEL_R_MAC | KF_LEVEL_R_ENCRYPTION) /* 33 */

/* The static keys of a key version; not owned. SCP03: AES keys of one size; SCP02: 16 bytes. `dek` may be
 * NULL in a channel that sends no keys. kf_secure_channel_verify needs `mac` alone in SCP03, `enc` alone in
 * SCP02. */
typedef struct kf_key_set {
    const kf_secret *enc;
    const kf_secret *mac;
    const kf_secret *dek;
} kf_key_set;

/* The answer to INITIALIZE UPDATE, decoded (Amendment D table 7-3, Card Specification table E-7). */
typedef struct kf_initialize_update {
    uint8_t diversification_data[KF_DIVERSIFICATION_DATA_SIZE];
    uint8_t key_version;
    uint8_t protocol; /* 02 or 03 */
    uint8_t options;  /* i; SCP02 answers do not tell it: 55 is assumed */
    uint8_t card_challenge[KF_CHALLENGE_MAX];
    uint8_t card_cryptogram[KF_CHALLENGE_MAX];
    size_t challenge_size;  /* SCP03: 8 or 16; SCP02: 6 */
    size_t cryptogram_size; /* 8 or 16 */
    uint8_t sequence_counter[3];
    size_t sequence_counter_size; /* SCP03: 3 or 0; SCP02: 2 */
} kf_initialize_update;

/* `response`: the card's whole answer with the status word. KF_ERR_STATUS_WORD where that is not 9000;
 * KF_ERR_APDU for a length that no protocol has; KF_ERR_UNSUPPORTED for another protocol. */
kf_code kf_initialize_update_parse(kf_view response, kf_initialize_update *ret_answer,
                                   kf_error *error) KF_MUST_USE;

/* The highest security level that `protocol` with the options `options` (i) offers. */
uint8_t kf_secure_channel_best_level(uint8_t protocol, uint8_t options);
/* Whether that level has response MACs. */
bool kf_secure_channel_has_response_mac(uint8_t protocol, uint8_t options);
/* The most data bytes that a short command may have before it is wrapped, under that level. `mac_size`: 8, or
 * 16 in S16 mode. */
size_t kf_secure_channel_plain_max(uint8_t level, size_t mac_size);
/* The same for an extended command of up to `data_max` bytes on the wire (SCP03 only). */
size_t kf_secure_channel_plain_max_extended(uint8_t level, size_t mac_size, size_t data_max);

typedef struct kf_secure_channel kf_secure_channel;

/* Whether the card holds these keys: checks the card cryptogram of the answer and nothing else; sends nothing
 * and keeps nothing. `host_challenge`: what INITIALIZE UPDATE carried, 8 bytes (S16: 16). KF_ERR_CRYPTOGRAM
 * if it does not fit; KF_ERR_KEY_SIZE for keys of a size that the protocol has not. */
kf_code kf_secure_channel_verify(const kf_key_set *keys, kf_view host_challenge, kf_view response,
                                 kf_error *error) KF_MUST_USE;

/* SCP02, i (Card Specification table E-1). */
#define KF_SCP02_THREE_KEYS 0x01u         /* else one base key: give it three times */
#define KF_SCP02_UNMODIFIED_COMMAND 0x02u /* C-MAC over the command before it is changed */
#define KF_SCP02_EXPLICIT 0x04u
#define KF_SCP02_ICV_ENCRYPTION 0x10u
#define KF_SCP02_R_MAC 0x20u
#define KF_SCP02_PSEUDO_RANDOM 0x40u /* card challenge by a known algorithm */

/* Derives the session keys after the same check. The card challenge is taken as it comes, whether or not it
 * is the pseudo-random value that could be computed. Keys are copied. */
kf_code kf_secure_channel_open(const kf_key_set *keys, kf_view host_challenge, kf_view response,
                               kf_secure_channel **ret_channel, kf_error *error) KF_MUST_USE;
/* Wipes, frees, sets NULL. Fits KF_CLEANUP. */
void kf_secure_channel_free(kf_secure_channel **channel);

/* Wipes the session keys; all that needs them gives KF_ERR_CHANNEL from then on. */
void kf_secure_channel_close(kf_secure_channel *channel);

/* i of an SCP02 channel, which the card's answer does not tell (card recognition data or the profile do);
 * without this call it is 55. Before kf_secure_channel_external_authenticate. KF_ERR_CHANNEL later and for
 * another protocol; KF_ERR_UNSUPPORTED for implicit initiation. */
kf_code kf_secure_channel_set_scp02_options(kf_secure_channel *channel, uint8_t options) KF_MUST_USE;

/* Logical channel of the wrapped commands' class bytes, 0 at first. It is not part of the MAC (GP 11.1.4). */
void kf_secure_channel_set_logical_channel(kf_secure_channel *channel, unsigned logical_channel);
/* The card's answer to INITIALIZE UPDATE; valid as long as the channel. */
const kf_initialize_update *kf_secure_channel_answer(const kf_secure_channel *channel);
/* The level given to kf_secure_channel_external_authenticate; 0 before. */
uint8_t kf_secure_channel_level(const kf_secure_channel *channel);
/* 8, or 16 in S16 mode. */
size_t kf_secure_channel_mac_size(const kf_secure_channel *channel);

/* Appends EXTERNAL AUTHENTICATE with the host cryptogram and sets the level for all that follows. To be
 * called once, first. Its answer is a bare status word. KF_ERR_CHANNEL for a level that does not exist or
 * that the card does not offer. */
kf_code kf_secure_channel_external_authenticate(kf_secure_channel *channel, uint8_t level, kf_buffer *apdu,
                                                kf_error *error) KF_MUST_USE;

/* What unwrapping the response to one command needs, besides the session keys. No secret; may be stored. */
typedef struct kf_exchange {
    uint8_t level; /* with bits of the channel's own above 3F */
    uint8_t mac_chaining_value[16];
    uint64_t encryption_counter;
} kf_exchange;

/* Appends the wrapped form of one plain command: counter and MAC chain advance. `plain_apdu` is short, or
 * extended if it is so encoded; Le stays as it is. `ret_exchange` may be NULL. KF_ERR_TOO_LONG where it does
 * not fit (see kf_secure_channel_plain_max); the channel and `wrapped` are unchanged after any failure. */
kf_code kf_secure_channel_wrap(kf_secure_channel *channel, kf_view plain_apdu, kf_buffer *wrapped,
                               kf_exchange *ret_exchange) KF_MUST_USE;

/* Checks the response MAC and appends the plain response data. `response`: the card's bytes with the status
 * word. Error status words carry no MAC and no data: KF_OK with the status word, unauthenticated.
 * Under SCP02 a MAC behind an error is checked too. KF_ERR_RESPONSE_MAC where a MAC is due (9000, 62xx, 63xx)
 * and missing or wrong, or the decrypted data is badly padded; nothing is appended then and the channel is
 * closed. KF_ERR_CHANNEL where it was already, and for a response of SCP02 out of order. */
kf_code kf_secure_channel_unwrap(kf_secure_channel *channel, const kf_exchange *exchange, kf_view response,
                                 kf_buffer *data, uint16_t *ret_status_word) KF_MUST_USE;

/* Appends BEGIN R-MAC SESSION, wrapped (Card Specification E.5.3, Amendment D 7.1.3): until END the responses
 * have a MAC. `level`: 10; SCP03 also 30; SCP02 also 00, where the answer to END alone has one, which covers
 * all between. `data`: up to 24 bytes, such as a challenge. The answer is unwrapped as any other; with
 * another status word than 9000 nothing has begun. Under SCP02 all responses before it are unwrapped first;
 * what the first response MAC is chained to, and whether BEGIN and END are covered, is taken as the card does
 * it (E.4.5 is read in several ways). KF_ERR_CHANNEL where the card's i has no response MACs, the channel has
 * them already, or the level does not go with its own. */
kf_code kf_secure_channel_begin_r_mac(kf_secure_channel *channel, uint8_t level, kf_view data,
                                      kf_buffer *wrapped, kf_exchange *ret_exchange) KF_MUST_USE;
/* Appends END R-MAC SESSION, wrapped: the channel is back at the level from before. Unwrapping its answer
 * checks the session's response MAC; under SCP02 that is the data. KF_ERR_CHANNEL where no session was begun.
 */
kf_code kf_secure_channel_end_r_mac(kf_secure_channel *channel, kf_buffer *wrapped,
                                    kf_exchange *ret_exchange) KF_MUST_USE;

/* Appends `plain` encrypted as a key or other sensitive data for PUT KEY and STORE DATA: SCP03 the static
 * DEK, AES-CBC with zero IV (Amendment D 6.2.8); SCP02 the session DEK, 3DES-ECB (E.4.7). `plain` is a
 * multiple of the block size (16; 8). KF_ERR_CHANNEL without a DEK. */
kf_code kf_secure_channel_encrypt_data(kf_secure_channel *channel, kf_view plain,
                                       kf_buffer *encrypted) KF_MUST_USE;
/* Appends 80 and zeros up to a whole block of the data encryption (EMV CPS 3.3; ISO/IEC 9797-1 method 2). */
kf_code kf_secure_channel_pad(const kf_secure_channel *channel, kf_buffer *plain) KF_MUST_USE;
/* A key, padded with zeros where its size is no multiple of the block (AES-192 under AES: 32 bytes; PUT KEY
 * then tells the length, GP 11.8.2.3.3). */
kf_code kf_secure_channel_encrypt_key(kf_secure_channel *channel, const kf_secret *key,
                                      kf_buffer *encrypted) KF_MUST_USE;

/* The pseudo-random card challenge of SCP03 (Amendment D 6.2.2.1), for tests, simulated cards and diagnosis;
 * never a reason to refuse a card. `size`: 8 or 16. */
kf_code kf_scp03_card_challenge(const kf_secret *enc, kf_view sequence_counter, kf_view aid,
                                uint8_t *ret_challenge, size_t size) KF_MUST_USE;

#endif
