#include <keyfill/cipher.h>

#include <endian.h>
#include <string.h>

#include "crypto/cipher_state.h"
#include "crypto/cmac.h"

#define CMAC_PART 512        /* bytes of a message encrypted at a time, a multiple of every block size */
#define CMAC_SIDE_BY_SIDE 64 /* messages */

static uint64_t load_number(const uint8_t *bytes)
{
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return be64toh(number);
}

/* Doubling in GF(2^n), SP 800-38B 6.1 steps 2 and 3, without a branch on the secret. */
static void double_block(const uint8_t *block, size_t size, uint8_t *ret_doubled)
{
    uint64_t high = load_number(block);
    uint64_t carry = 0 - (high >> 63);
    if (size == 8) {
        uint64_t doubled = htobe64((high << 1) ^ (carry & 0x1B));
        memcpy(ret_doubled, &doubled, sizeof doubled);
        return;
    }
    uint64_t low = load_number(block + 8);
    const uint64_t doubled[2] = {htobe64(high << 1 | low >> 63), htobe64((low << 1) ^ (carry & 0x87))};
    memcpy(ret_doubled, doubled, sizeof doubled);
}

static kf_code make_subkeys(kf_cipher *cipher)
{
    size_t size = cipher->block_size;
    KF_CLEANUP(kf_wipe_block16) uint8_t block[KF_BLOCK_MAX] = {0};
    KF_TRY(kf_chain_start(cipher, block, size));
    double_block(block, size, cipher->subkeys[0]);
    double_block(cipher->subkeys[0], size, cipher->subkeys[1]);
    cipher->subkeys_known = true;
    return KF_OK;
}

static kf_code need_subkeys(kf_cipher *cipher)
{
    return cipher->subkeys_known ? KF_OK : make_subkeys(cipher);
}

kf_code kf_cmac_subkeys(kf_cipher *cipher, uint8_t *ret_k1, uint8_t *ret_k2)
{
    KF_TRY(need_subkeys(cipher));
    memcpy(ret_k1, cipher->subkeys[0], cipher->block_size);
    memcpy(ret_k2, cipher->subkeys[1], cipher->block_size);
    return KF_OK;
}

/* What of a message is not yet encrypted; at least its last block, which is treated differently. */
typedef struct cmac_stream {
    bool started; /* something of the message is in the chain */
    size_t size;
    uint8_t part[CMAC_PART];
} cmac_stream;

static kf_code cmac_flush(kf_cipher *cipher, cmac_stream *stream)
{
    kf_code code = stream->started ? kf_chain_continue(cipher, stream->part, stream->size)
                                   : kf_chain_start(cipher, stream->part, stream->size);
    stream->started = true;
    return code;
}

static kf_code cmac_update(kf_cipher *cipher, cmac_stream *stream, kf_view message)
{
    while (message.size > 0) {
        if (stream->size == CMAC_PART) {
            KF_TRY(cmac_flush(cipher, stream));
            stream->size = 0;
        }
        size_t room = CMAC_PART - stream->size;
        size_t taken = message.size < room ? message.size : room;
        memcpy(stream->part + stream->size, message.data, taken);
        stream->size += taken;
        message = kf_view_of(message.data + taken, message.size - taken);
    }
    return KF_OK;
}

/* 6.2 steps 4 to 6; the MAC is the last block of the part. */
static kf_code cmac_finish(kf_cipher *cipher, cmac_stream *stream)
{
    size_t size = cipher->block_size;
    size_t rest = stream->size % size;
    bool whole = stream->size > 0 && rest == 0;
    if (!whole) {
        stream->part[stream->size] = 0x80;
        memset(stream->part + stream->size + 1, 0, size - rest - 1);
        stream->size += size - rest;
    }
    kf_xor_into(stream->part + stream->size - size, cipher->subkeys[whole ? 0 : 1], size);
    return cmac_flush(cipher, stream);
}

kf_code kf_cmac_parts(kf_cipher *cipher, const kf_view *parts, size_t part_count, uint8_t *ret_mac)
{
    KF_TRY(need_subkeys(cipher));
    cmac_stream stream;
    stream.started = false;
    stream.size = 0;
    size_t touched = 0;
    kf_code code = KF_OK;
    for (size_t i = 0; code == KF_OK && i < part_count; i++) {
        code = cmac_update(cipher, &stream, parts[i]);
        touched += parts[i].size;
    }
    if (code == KF_OK) code = cmac_finish(cipher, &stream);
    if (code == KF_OK) kf_copy_block(ret_mac, cipher->vector, cipher->block_size);
    touched += cipher->block_size;
    kf_wipe(stream.part, touched < CMAC_PART ? touched : CMAC_PART);
    return code;
}

kf_code kf_cmac_overwriting(kf_cipher *cipher, uint8_t *message, size_t size, uint8_t *ret_mac)
{
    KF_TRY(need_subkeys(cipher));
    size_t block_size = cipher->block_size;
    size_t rest = size % block_size;
    bool whole = size > 0 && rest == 0;
    if (!whole) {
        message[size] = 0x80;
        memset(message + size + 1, 0, block_size - rest - 1);
        size += block_size - rest;
    }
    kf_xor_into(message + size - block_size, cipher->subkeys[whole ? 0 : 1], block_size);
    KF_TRY(kf_chain_start(cipher, message, size));
    kf_copy_block(ret_mac, cipher->vector, block_size);
    return KF_OK;
}

/* A message of two or more whole blocks of 16 bytes: each byte is touched once on its way. */
static kf_code cmac_whole(kf_cipher *cipher, kf_view message, uint8_t *ret_mac)
{
    uint8_t part[CMAC_PART];
    size_t last = message.size - 16;
    kf_xor_16(part, message.data, cipher->vector);
    if (last > 16) memcpy(part + 16, message.data + 16, last - 16);
    kf_xor_16(part + last, message.data + last, cipher->subkeys[0]);
    kf_code code = kf_chain_continue(cipher, part, message.size);
    if (code == KF_OK) memcpy(ret_mac, part + last, 16);
    kf_wipe(part, message.size);
    return code;
}

kf_code kf_cmac(kf_cipher *cipher, kf_view message, uint8_t *ret_mac)
{
    KF_TRY(need_subkeys(cipher));
    if (cipher->block_size == 16 && message.size >= 32 && message.size <= CMAC_PART && message.size % 16 == 0)
        return cmac_whole(cipher, message, ret_mac);
    return kf_cmac_parts(cipher, &message, 1, ret_mac);
}

kf_code kf_chain_many(kf_cipher *cipher, const uint8_t *messages, size_t message_size, size_t count,
                      uint8_t *ret_blocks)
{
    size_t size = cipher->block_size;
    uint8_t chains[CMAC_SIDE_BY_SIDE * KF_BLOCK_MAX];
    if (message_size == 0 || message_size % size != 0) return KF_ERR_ARGUMENT;
    kf_code code = KF_OK;
    size_t group = 0;
    for (size_t done = 0; code == KF_OK && done < count; done += group) {
        group = count - done < CMAC_SIDE_BY_SIDE ? count - done : CMAC_SIDE_BY_SIDE;
        const uint8_t *first = messages + done * message_size;
        memset(chains, 0, group * size);
        for (size_t offset = 0; code == KF_OK && offset < message_size; offset += size) {
            for (size_t i = 0; i < group; i++)
                kf_xor_into(chains + i * size, first + i * message_size + offset, size);
            code = kf_cipher_encrypt_blocks(cipher, kf_view_of(chains, group * size), chains);
        }
        if (code == KF_OK) memcpy(ret_blocks + done * size, chains, group * size);
    }
    kf_wipe(chains, sizeof chains);
    return code;
}

/* Up to CMAC_SIDE_BY_SIDE messages of one length, whose chains advance together. */
typedef struct cmac_group {
    const uint8_t *messages;
    size_t message_size;
    size_t count;
    uint8_t chains[CMAC_SIDE_BY_SIDE * KF_BLOCK_MAX];
} cmac_group;

/* Block `offset` of every message into its chain. */
static void cmac_add_column(cmac_group *group, size_t offset, size_t block_size)
{
    size_t left = group->message_size - offset;
    size_t part = left < block_size ? left : block_size;
    for (size_t i = 0; i < group->count; i++)
        kf_xor_into(group->chains + i * block_size, group->messages + i * group->message_size + offset, part);
}

static void cmac_add_subkey(const kf_cipher *cipher, cmac_group *group)
{
    size_t size = cipher->block_size;
    size_t rest = group->message_size % size;
    bool whole = group->message_size > 0 && rest == 0;
    for (size_t i = 0; i < group->count; i++) {
        if (!whole) group->chains[i * size + rest] ^= 0x80;
        kf_xor_into(group->chains + i * size, cipher->subkeys[whole ? 0 : 1], size);
    }
}

static kf_code cmac_run_group(kf_cipher *cipher, cmac_group *group, uint8_t *ret_macs)
{
    size_t size = cipher->block_size;
    kf_view states = kf_view_of(group->chains, group->count * size);
    size_t offset = 0;
    memset(group->chains, 0, states.size);
    for (; offset + size < group->message_size; offset += size) {
        cmac_add_column(group, offset, size);
        KF_TRY(kf_cipher_encrypt_blocks(cipher, states, group->chains));
    }
    cmac_add_column(group, offset, size);
    cmac_add_subkey(cipher, group);
    KF_TRY(kf_cipher_encrypt_blocks(cipher, states, group->chains));
    memcpy(ret_macs, group->chains, states.size);
    return KF_OK;
}

kf_code kf_cmac_many(kf_cipher *cipher, const uint8_t *messages, size_t message_size, size_t count,
                     uint8_t *ret_macs)
{
    KF_TRY(need_subkeys(cipher));
    cmac_group group = {.message_size = message_size};
    kf_code code = KF_OK;
    for (size_t done = 0; code == KF_OK && done < count; done += group.count) {
        group.messages = messages + done * message_size;
        group.count = count - done < CMAC_SIDE_BY_SIDE ? count - done : CMAC_SIDE_BY_SIDE;
        code = cmac_run_group(cipher, &group, ret_macs + done * cipher->block_size);
    }
    kf_wipe(&group, sizeof group);
    return code;
}

kf_code kf_cmac_verify(kf_cipher *cipher, kf_view message, kf_view given)
{
    if (given.size < 4 || given.size > cipher->block_size) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_wipe_block16) uint8_t mac[KF_BLOCK_MAX];
    KF_TRY(kf_cmac(cipher, message, mac));
    return kf_equal_constant_time(mac, given.data, given.size) ? KF_OK : KF_ERR_AUTHENTICATION;
}
