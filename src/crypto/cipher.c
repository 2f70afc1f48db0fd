#include <keyfill/cipher.h>

#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#define KEY_MAX 32           /* bytes */
#define CBC_PART 512         /* bytes decrypted at a time, a multiple of every block size */
#define CMAC_SIDE_BY_SIDE 64 /* messages */

/* The whole of it stands in locked memory, because it holds the key and the CMAC subkeys. */
struct kf_cipher {
    kf_secret *home;
    EVP_CIPHER_CTX *encrypt;
    EVP_CIPHER_CTX *decrypt; /* made when first needed */
    kf_algorithm algorithm;
    size_t block_size;
    size_t key_size;
    bool subkeys_known;
    uint8_t key[KEY_MAX];
    uint8_t subkeys[2][KF_BLOCK_MAX]; /* K1, K2 of SP 800-38B 6.1 */
};

typedef struct cipher_kind {
    kf_algorithm algorithm;
    size_t key_size;
    size_t block_size;
    const char *name; /* OpenSSL's */
} cipher_kind;

/* Single DES is 3DES with one key three times: OpenSSL 3 keeps DES itself in its legacy provider. */
static const cipher_kind cipher_kinds[] = {
    {KF_AES, 16, 16, "AES-128-ECB"},  {KF_AES, 24, 16, "AES-192-ECB"},  {KF_AES, 32, 16, "AES-256-ECB"},
    {KF_TDES, 16, 8, "DES-EDE3-ECB"}, {KF_TDES, 24, 8, "DES-EDE3-ECB"}, {KF_SM4, 16, 16, "SM4-ECB"},
    {KF_DES, 8, 8, "DES-EDE3-ECB"},
};
#define KIND_COUNT (sizeof cipher_kinds / sizeof cipher_kinds[0])

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *fetched[KIND_COUNT];

static void fetch_all(void)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        fetched[i] = EVP_CIPHER_fetch(NULL, cipher_kinds[i].name, NULL);
}

static kf_code find_kind(kf_algorithm algorithm, size_t key_size, size_t *ret_index)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (cipher_kinds[i].algorithm != algorithm || cipher_kinds[i].key_size != key_size) continue;
        *ret_index = i;
        return KF_OK;
    }
    return KF_ERR_KEY_SIZE;
}

/* The key as OpenSSL takes it: EDE3 wants K1 K2 K3. */
static void expand_key(const kf_cipher *cipher, uint8_t ret_key[KEY_MAX])
{
    memcpy(ret_key, cipher->key, cipher->key_size);
    if (cipher->algorithm == KF_DES) {
        memcpy(ret_key + 8, cipher->key, 8);
        memcpy(ret_key + 16, cipher->key, 8);
    }
    if (cipher->algorithm == KF_TDES && cipher->key_size == 16) memcpy(ret_key + 16, cipher->key, 8);
}

/* `type` is NULL to set another key in a context of the same cipher. */
static kf_code set_key(const kf_cipher *cipher, EVP_CIPHER_CTX *context, const EVP_CIPHER *type, int encrypt)
{
    KF_CLEANUP(kf_wipe_block32) uint8_t key[KEY_MAX];
    expand_key(cipher, key);
    if (EVP_CipherInit_ex2(context, type, key, NULL, encrypt, NULL) != 1) return KF_ERR_CRYPTO;
    return EVP_CIPHER_CTX_set_padding(context, 0) == 1 ? KF_OK : KF_ERR_CRYPTO;
}

kf_code kf_cipher_new(kf_algorithm algorithm, kf_view key, kf_cipher **ret_cipher)
{
    size_t kind = 0;
    KF_TRY(find_kind(algorithm, key.size, &kind));
    pthread_once(&fetch_once, fetch_all);
    if (fetched[kind] == NULL) return KF_ERR_CRYPTO;
    kf_secret *home = NULL;
    KF_TRY(kf_secret_new_zero(sizeof(kf_cipher), &home));
    kf_cipher *cipher = (kf_cipher *)(void *)kf_secret_expose_writable(home);
    cipher->home = home;
    cipher->algorithm = algorithm;
    cipher->block_size = cipher_kinds[kind].block_size;
    cipher->key_size = key.size;
    memcpy(cipher->key, key.data, key.size);
    cipher->encrypt = EVP_CIPHER_CTX_new();
    kf_code code =
        cipher->encrypt == NULL ? KF_ERR_MEMORY : set_key(cipher, cipher->encrypt, fetched[kind], 1);
    if (code != KF_OK) {
        kf_cipher_free(&cipher);
        return code;
    }
    *ret_cipher = cipher;
    return KF_OK;
}

kf_code kf_cipher_new_secret(kf_algorithm algorithm, const kf_secret *key, kf_cipher **ret_cipher)
{
    return kf_cipher_new(algorithm, kf_secret_expose(key), ret_cipher);
}

kf_code kf_cipher_rekey(kf_cipher *cipher, kf_view key)
{
    if (key.size != cipher->key_size) return KF_ERR_KEY_SIZE;
    memcpy(cipher->key, key.data, key.size);
    cipher->subkeys_known = false;
    KF_TRY(set_key(cipher, cipher->encrypt, NULL, 1));
    return cipher->decrypt != NULL ? set_key(cipher, cipher->decrypt, NULL, 0) : KF_OK;
}

void kf_cipher_free(kf_cipher **cipher)
{
    if (cipher == NULL || *cipher == NULL) return;
    EVP_CIPHER_CTX_free((*cipher)->encrypt);
    EVP_CIPHER_CTX_free((*cipher)->decrypt);
    kf_secret *home = (*cipher)->home;
    kf_secret_free(&home);
    *cipher = NULL;
}

kf_algorithm kf_cipher_algorithm(const kf_cipher *cipher)
{
    return cipher->algorithm;
}

size_t kf_cipher_block_size(const kf_cipher *cipher)
{
    return cipher->block_size;
}

size_t kf_cipher_key_size(const kf_cipher *cipher)
{
    return cipher->key_size;
}

static kf_code run_blocks(EVP_CIPHER_CTX *context, kf_view input, uint8_t *output)
{
    if (input.size == 0) return KF_OK;
    if (input.size > INT_MAX) return KF_ERR_ARGUMENT;
    int written = 0;
    if (EVP_CipherUpdate(context, output, &written, input.data, (int)input.size) != 1) return KF_ERR_CRYPTO;
    return (size_t)written == input.size ? KF_OK : KF_ERR_CRYPTO;
}

kf_code kf_cipher_encrypt_blocks(kf_cipher *cipher, kf_view input, uint8_t *ret_output)
{
    if (input.size % cipher->block_size != 0) return KF_ERR_ARGUMENT;
    return run_blocks(cipher->encrypt, input, ret_output);
}

static kf_code need_decryption(kf_cipher *cipher)
{
    if (cipher->decrypt != NULL) return KF_OK;
    size_t kind = 0;
    KF_TRY(find_kind(cipher->algorithm, cipher->key_size, &kind));
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL) return KF_ERR_MEMORY;
    kf_code code = set_key(cipher, context, fetched[kind], 0);
    if (code != KF_OK) {
        EVP_CIPHER_CTX_free(context);
        return code;
    }
    cipher->decrypt = context;
    return KF_OK;
}

kf_code kf_cipher_decrypt_blocks(kf_cipher *cipher, kf_view input, uint8_t *ret_output)
{
    if (input.size % cipher->block_size != 0) return KF_ERR_ARGUMENT;
    KF_TRY(need_decryption(cipher));
    return run_blocks(cipher->decrypt, input, ret_output);
}

/* Eight bytes at a time: this stands between all block operations. */
static void xor_into(uint8_t *target, const uint8_t *other, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t left;
        uint64_t right;
        memcpy(&left, target + i, 8);
        memcpy(&right, other + i, 8);
        left ^= right;
        memcpy(target + i, &left, 8);
    }
    for (; i < size; i++)
        target[i] = (uint8_t)(target[i] ^ other[i]);
}

static void start_chain(const kf_cipher *cipher, const uint8_t *initial_vector, uint8_t *ret_chain)
{
    if (initial_vector != NULL)
        memcpy(ret_chain, initial_vector, cipher->block_size);
    else
        memset(ret_chain, 0, cipher->block_size);
}

kf_code kf_cipher_cbc_encrypt(kf_cipher *cipher, const uint8_t *initial_vector, kf_view input,
                              uint8_t *ret_output)
{
    size_t size = cipher->block_size;
    if (input.size % size != 0) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_wipe_block16) uint8_t chain[KF_BLOCK_MAX];
    start_chain(cipher, initial_vector, chain);
    for (size_t offset = 0; offset < input.size; offset += size) {
        xor_into(chain, input.data + offset, size);
        KF_TRY(run_blocks(cipher->encrypt, kf_view_of(chain, size), chain));
        memcpy(ret_output + offset, chain, size);
    }
    return KF_OK;
}

kf_code kf_cipher_cbc_decrypt(kf_cipher *cipher, const uint8_t *initial_vector, kf_view input,
                              uint8_t *ret_output)
{
    size_t size = cipher->block_size;
    if (input.size % size != 0) return KF_ERR_ARGUMENT;
    KF_TRY(need_decryption(cipher));
    uint8_t part[CBC_PART];
    uint8_t chain[KF_BLOCK_MAX];
    kf_code code = KF_OK;
    start_chain(cipher, initial_vector, chain);
    for (size_t offset = 0; code == KF_OK && offset < input.size; offset += sizeof part) {
        kf_view given = kf_view_part(input, offset, sizeof part);
        code = run_blocks(cipher->decrypt, given, part);
        if (code != KF_OK) break;
        xor_into(part, chain, size);
        xor_into(part + size, given.data, given.size - size);
        memcpy(chain, given.data + given.size - size, size);
        memcpy(ret_output + offset, part, given.size);
    }
    kf_wipe(part, sizeof part);
    return code;
}

/* Doubling in GF(2^n), SP 800-38B 6.1 steps 2 and 3, without a branch on the secret. */
static void double_block(const uint8_t *block, size_t size, uint8_t *ret_doubled)
{
    unsigned reduction = size == 16 ? 0x87U : 0x1BU;
    unsigned carry = block[0] >> 7;
    for (size_t i = 0; i + 1 < size; i++)
        ret_doubled[i] = (uint8_t)((unsigned)block[i] << 1 | block[i + 1] >> 7);
    ret_doubled[size - 1] = (uint8_t)((unsigned)block[size - 1] << 1 ^ (reduction & (0U - carry)));
}

static kf_code need_subkeys(kf_cipher *cipher)
{
    if (cipher->subkeys_known) return KF_OK;
    size_t size = cipher->block_size;
    KF_CLEANUP(kf_wipe_block16) uint8_t block[KF_BLOCK_MAX] = {0};
    KF_TRY(run_blocks(cipher->encrypt, kf_view_of(block, size), block));
    double_block(block, size, cipher->subkeys[0]);
    double_block(cipher->subkeys[0], size, cipher->subkeys[1]);
    cipher->subkeys_known = true;
    return KF_OK;
}

kf_code kf_cmac_subkeys(kf_cipher *cipher, uint8_t *ret_k1, uint8_t *ret_k2)
{
    KF_TRY(need_subkeys(cipher));
    memcpy(ret_k1, cipher->subkeys[0], cipher->block_size);
    memcpy(ret_k2, cipher->subkeys[1], cipher->block_size);
    return KF_OK;
}

/* SP 800-38B 6.2 as a stream: a block is encrypted only when a byte behind it is known, because the last one
 * is treated differently. */
typedef struct cmac_stream {
    uint8_t chain[KF_BLOCK_MAX];
    size_t filled; /* bytes of the current block already added to the chain */
} cmac_stream;

static kf_code cmac_update(kf_cipher *cipher, cmac_stream *stream, kf_view message)
{
    size_t size = cipher->block_size;
    for (size_t offset = 0; offset < message.size;) {
        if (stream->filled == size) {
            KF_TRY(run_blocks(cipher->encrypt, kf_view_of(stream->chain, size), stream->chain));
            stream->filled = 0;
        }
        size_t room = size - stream->filled;
        kf_view part = kf_view_part(message, offset, room);
        xor_into(stream->chain + stream->filled, part.data, part.size);
        stream->filled += part.size;
        offset += part.size;
    }
    return KF_OK;
}

static kf_code cmac_finish(kf_cipher *cipher, cmac_stream *stream)
{
    size_t size = cipher->block_size;
    bool whole = stream->filled == size;
    if (!whole) stream->chain[stream->filled] ^= 0x80;
    xor_into(stream->chain, cipher->subkeys[whole ? 0 : 1], size);
    return run_blocks(cipher->encrypt, kf_view_of(stream->chain, size), stream->chain);
}

kf_code kf_cmac_parts(kf_cipher *cipher, const kf_view *parts, size_t part_count, uint8_t *ret_mac)
{
    KF_TRY(need_subkeys(cipher));
    cmac_stream stream = {{0}, 0};
    kf_code code = KF_OK;
    for (size_t i = 0; code == KF_OK && i < part_count; i++)
        code = cmac_update(cipher, &stream, parts[i]);
    if (code == KF_OK) code = cmac_finish(cipher, &stream);
    if (code == KF_OK) memcpy(ret_mac, stream.chain, cipher->block_size);
    kf_wipe(&stream, sizeof stream);
    return code;
}

kf_code kf_cmac(kf_cipher *cipher, kf_view message, uint8_t *ret_mac)
{
    return kf_cmac_parts(cipher, &message, 1, ret_mac);
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
        xor_into(group->chains + i * block_size, group->messages + i * group->message_size + offset, part);
}

static void cmac_add_subkey(const kf_cipher *cipher, cmac_group *group)
{
    size_t size = cipher->block_size;
    size_t rest = group->message_size % size;
    bool whole = group->message_size > 0 && rest == 0;
    for (size_t i = 0; i < group->count; i++) {
        if (!whole) group->chains[i * size + rest] ^= 0x80;
        xor_into(group->chains + i * size, cipher->subkeys[whole ? 0 : 1], size);
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
        KF_TRY(run_blocks(cipher->encrypt, states, group->chains));
    }
    cmac_add_column(group, offset, size);
    cmac_add_subkey(cipher, group);
    KF_TRY(run_blocks(cipher->encrypt, states, group->chains));
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
