#include <keyfill/cipher.h>

#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "crypto/cipher_state.h"

#define CBC_PART 512 /* bytes decrypted at a time, a multiple of every block size */
#define FEW_BLOCKS 4 /* encrypted without an ECB context where there is none */
#define SPARE_MAX 8  /* ciphers of one kind that a thread keeps */

typedef struct cipher_kind {
    kf_algorithm algorithm;
    size_t key_size;
    size_t block_size;
    const char *cbc; /* OpenSSL's names */
    const char *ecb;
} cipher_kind;

/* Single DES is 3DES with one key three times: OpenSSL 3 keeps DES itself in its legacy provider. */
static const cipher_kind cipher_kinds[] = {
    {KF_AES, 16, 16, "AES-128-CBC", "AES-128-ECB"},   {KF_AES, 24, 16, "AES-192-CBC", "AES-192-ECB"},
    {KF_AES, 32, 16, "AES-256-CBC", "AES-256-ECB"},   {KF_TDES, 16, 8, "DES-EDE3-CBC", "DES-EDE3-ECB"},
    {KF_TDES, 24, 8, "DES-EDE3-CBC", "DES-EDE3-ECB"}, {KF_SM4, 16, 16, "SM4-CBC", "SM4-ECB"},
    {KF_DES, 8, 8, "DES-EDE3-CBC", "DES-EDE3-ECB"},
};
#define KIND_COUNT (sizeof cipher_kinds / sizeof cipher_kinds[0])

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_CIPHER *fetched_cbc[KIND_COUNT];
static EVP_CIPHER *fetched_ecb[KIND_COUNT];

/* Ciphers given back, without their keys, for the thread's next ones: to make OpenSSL's contexts costs more
 * than a session's worth of blocks. */
typedef struct spare_cipher {
    kf_cipher *cipher;
    kf_secret *home; /* what the cipher owns stands here too, to be freed where the cipher is lost */
    EVP_CIPHER_CTX *contexts[3];
} spare_cipher;

typedef struct spare_ciphers {
    size_t count[KIND_COUNT];
    spare_cipher items[KIND_COUNT][SPARE_MAX];
} spare_ciphers;

static _Thread_local spare_ciphers spare;
static pthread_key_t spare_end; /* its destructor frees a thread's spare ciphers */
static bool spare_kept;

static void destroy(kf_cipher *cipher)
{
    EVP_CIPHER_CTX_free(cipher->chain);
    EVP_CIPHER_CTX_free(cipher->blocks);
    EVP_CIPHER_CTX_free(cipher->decrypt);
    kf_secret *home = cipher->home;
    kf_secret_free(&home);
}

/* In a child process the memory of secrets is wiped, and with it what its parent kept. */
static bool is_lost(const spare_cipher *item)
{
    return item->cipher->home == NULL;
}

static void destroy_one(spare_cipher *item)
{
    for (size_t i = 0; i < 3; i++)
        EVP_CIPHER_CTX_free(item->contexts[i]);
    kf_secret_free(&item->home);
}

static void destroy_spare(void *ciphers)
{
    spare_ciphers *all = ciphers;
    for (size_t kind = 0; kind < KIND_COUNT; kind++)
        while (all->count[kind] > 0)
            destroy_one(&all->items[kind][--all->count[kind]]);
}

static void fetch_all(void)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        fetched_cbc[i] = EVP_CIPHER_fetch(NULL, cipher_kinds[i].cbc, NULL);
        fetched_ecb[i] = EVP_CIPHER_fetch(NULL, cipher_kinds[i].ecb, NULL);
    }
    spare_kept = pthread_key_create(&spare_end, destroy_spare) == 0;
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

/* OpenSSL's EDE3 wants K1 K2 K3. */
static kf_code set_expanded_key(const kf_cipher *cipher, EVP_CIPHER_CTX *context)
{
    KF_CLEANUP(kf_wipe_block32) uint8_t key[KF_CIPHER_KEY_MAX];
    memcpy(key, cipher->key, cipher->key_size);
    if (cipher->key_size == 8) memcpy(key + 8, cipher->key, 8);
    memcpy(key + 16, cipher->key, 8);
    return EVP_CipherInit_ex2(context, NULL, key, NULL, -1, NULL) == 1 ? KF_OK : KF_ERR_CRYPTO;
}

/* The cipher's key into a context whose cipher and direction are set. Without a vector given, CBC takes the
 * first one again, zeros. */
static kf_code set_key(const kf_cipher *cipher, EVP_CIPHER_CTX *context)
{
    if (cipher->block_size == 8 && cipher->key_size < 24) return set_expanded_key(cipher, context);
    return EVP_CipherInit_ex2(context, NULL, cipher->key, NULL, -1, NULL) == 1 ? KF_OK : KF_ERR_CRYPTO;
}

/* A context without a key. Padding stays on when encrypting: whole blocks come out at once all the same, and
 * a context told not to pad pays for it with every new key. */
static kf_code new_context(const EVP_CIPHER *type, int encrypt, EVP_CIPHER_CTX **ret_context)
{
    static const uint8_t zero_vector[KF_BLOCK_MAX];
    if (type == NULL) return KF_ERR_CRYPTO;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL) return KF_ERR_MEMORY;
    const uint8_t *vector = EVP_CIPHER_get_iv_length(type) > 0 ? zero_vector : NULL;
    if (EVP_CipherInit_ex2(context, type, NULL, vector, encrypt, NULL) != 1 ||
        (!encrypt && EVP_CIPHER_CTX_set_padding(context, 0) != 1)) {
        EVP_CIPHER_CTX_free(context);
        return KF_ERR_CRYPTO;
    }
    *ret_context = context;
    return KF_OK;
}

static kf_code make(size_t kind, kf_cipher **ret_cipher)
{
    kf_secret *home = NULL;
    KF_TRY(kf_secret_new_zero(sizeof(kf_cipher), &home));
    kf_cipher *cipher = (kf_cipher *)(void *)kf_secret_expose_writable(home);
    cipher->home = home;
    cipher->kind = kind;
    cipher->algorithm = cipher_kinds[kind].algorithm;
    cipher->block_size = cipher_kinds[kind].block_size;
    cipher->key_size = cipher_kinds[kind].key_size;
    kf_code code = new_context(fetched_cbc[kind], 1, &cipher->chain);
    if (code != KF_OK) {
        destroy(cipher);
        return code;
    }
    *ret_cipher = cipher;
    return KF_OK;
}

static kf_code take_key(kf_cipher *cipher, const uint8_t *key)
{
    memcpy(cipher->key, key, cipher->key_size);
    memset(cipher->vector, 0, sizeof cipher->vector);
    cipher->subkeys_known = false;
    cipher->blocks_keyed = false;
    cipher->decrypt_keyed = false;
    return set_key(cipher, cipher->chain);
}

static kf_cipher *take_spare(size_t kind)
{
    while (spare.count[kind] > 0) {
        spare_cipher *item = &spare.items[kind][--spare.count[kind]];
        if (!is_lost(item)) return item->cipher;
        destroy_one(item);
    }
    return NULL;
}

/* Overwrites the key everywhere. A context that cannot be overwritten is freed, which wipes it. */
static bool forget_key(kf_cipher *cipher)
{
    static const uint8_t no_key[KF_CIPHER_KEY_MAX];
    bool blocks_keyed = cipher->blocks_keyed;
    bool decrypt_keyed = cipher->decrypt_keyed;
    kf_wipe(cipher->subkeys, sizeof cipher->subkeys);
    if (take_key(cipher, no_key) != KF_OK) return false;
    if (blocks_keyed && set_key(cipher, cipher->blocks) != KF_OK) return false;
    return !decrypt_keyed || set_key(cipher, cipher->decrypt) == KF_OK;
}

static bool keep_spare(kf_cipher *cipher)
{
    if (!spare_kept || cipher->home == NULL || spare.count[cipher->kind] == SPARE_MAX) return false;
    if (pthread_getspecific(spare_end) == NULL && pthread_setspecific(spare_end, &spare) != 0) return false;
    if (!forget_key(cipher)) return false;
    spare.items[cipher->kind][spare.count[cipher->kind]++] =
        (spare_cipher){cipher, cipher->home, {cipher->chain, cipher->blocks, cipher->decrypt}};
    return true;
}

kf_code kf_cipher_new(kf_algorithm algorithm, kf_view key, kf_cipher **ret_cipher)
{
    size_t kind = 0;
    KF_TRY(find_kind(algorithm, key.size, &kind));
    pthread_once(&fetch_once, fetch_all);
    kf_cipher *cipher = take_spare(kind);
    if (cipher == NULL) KF_TRY(make(kind, &cipher));
    kf_code code = take_key(cipher, key.data);
    if (code != KF_OK) {
        destroy(cipher);
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
    return take_key(cipher, key.data);
}

void kf_cipher_free(kf_cipher **cipher)
{
    if (cipher == NULL || *cipher == NULL) return;
    if (!keep_spare(*cipher)) destroy(*cipher);
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

kf_code kf_chain_continue(kf_cipher *cipher, uint8_t *blocks, size_t size)
{
    int written = 0;
    if (size == 0) return KF_OK;
    if (size > INT_MAX) return KF_ERR_ARGUMENT;
    if (EVP_EncryptUpdate(cipher->chain, blocks, &written, blocks, (int)size) != 1) return KF_ERR_CRYPTO;
    kf_copy_block(cipher->vector, blocks + size - cipher->block_size, cipher->block_size);
    return KF_OK;
}

kf_code kf_chain_start(kf_cipher *cipher, uint8_t *blocks, size_t size)
{
    if (size == 0) return KF_OK;
    kf_xor_into(blocks, cipher->vector, cipher->block_size);
    return kf_chain_continue(cipher, blocks, size);
}

/* The context for independent blocks, with the key of now. */
static kf_code need_context(kf_cipher *cipher, int encrypt, EVP_CIPHER_CTX **context, bool *keyed)
{
    if (*keyed) return KF_OK;
    if (*context == NULL) KF_TRY(new_context(fetched_ecb[cipher->kind], encrypt, context));
    KF_TRY(set_key(cipher, *context));
    *keyed = true;
    return KF_OK;
}

/* Few blocks one after the other cost less than another key schedule. */
static kf_code encrypt_few(kf_cipher *cipher, kf_view input, uint8_t *ret_output)
{
    size_t size = cipher->block_size;
    KF_CLEANUP(kf_wipe_block16) uint8_t block[KF_BLOCK_MAX];
    for (size_t offset = 0; offset < input.size; offset += size) {
        kf_copy_block(block, input.data + offset, size);
        KF_TRY(kf_chain_start(cipher, block, size));
        kf_copy_block(ret_output + offset, block, size);
    }
    return KF_OK;
}

kf_code kf_cipher_encrypt_blocks(kf_cipher *cipher, kf_view input, uint8_t *ret_output)
{
    if (input.size % cipher->block_size != 0) return KF_ERR_ARGUMENT;
    bool few = input.size <= FEW_BLOCKS * cipher->block_size && !cipher->blocks_keyed;
    if (few || input.size == cipher->block_size) return encrypt_few(cipher, input, ret_output);
    KF_TRY(need_context(cipher, 1, &cipher->blocks, &cipher->blocks_keyed));
    return run_blocks(cipher->blocks, input, ret_output);
}

kf_code kf_cipher_decrypt_blocks(kf_cipher *cipher, kf_view input, uint8_t *ret_output)
{
    if (input.size % cipher->block_size != 0) return KF_ERR_ARGUMENT;
    KF_TRY(need_context(cipher, 0, &cipher->decrypt, &cipher->decrypt_keyed));
    return run_blocks(cipher->decrypt, input, ret_output);
}

kf_code kf_cipher_cbc_encrypt(kf_cipher *cipher, const uint8_t *initial_vector, kf_view input,
                              uint8_t *ret_output)
{
    if (input.size % cipher->block_size != 0 || input.size > INT_MAX) return KF_ERR_ARGUMENT;
    if (input.size == 0) return KF_OK;
    /* The vector may be part of the output. */
    uint8_t vector[KF_BLOCK_MAX];
    if (initial_vector != NULL) memcpy(vector, initial_vector, cipher->block_size);
    if (ret_output != input.data) memmove(ret_output, input.data, input.size);
    if (initial_vector != NULL) kf_xor_into(ret_output, vector, cipher->block_size);
    return kf_chain_start(cipher, ret_output, input.size);
}

kf_code kf_cipher_cbc_decrypt(kf_cipher *cipher, const uint8_t *initial_vector, kf_view input,
                              uint8_t *ret_output)
{
    size_t size = cipher->block_size;
    if (input.size % size != 0) return KF_ERR_ARGUMENT;
    KF_TRY(need_context(cipher, 0, &cipher->decrypt, &cipher->decrypt_keyed));
    uint8_t part[CBC_PART];
    uint8_t chain[KF_BLOCK_MAX] = {0};
    kf_code code = KF_OK;
    if (initial_vector != NULL) memcpy(chain, initial_vector, size);
    for (size_t offset = 0; code == KF_OK && offset < input.size; offset += sizeof part) {
        kf_view given = kf_view_part(input, offset, sizeof part);
        code = run_blocks(cipher->decrypt, given, part);
        if (code != KF_OK) break;
        kf_xor_into(part, chain, size);
        kf_xor_into(part + size, given.data, given.size - size);
        memcpy(chain, given.data + given.size - size, size);
        memcpy(ret_output + offset, part, given.size);
    }
    kf_wipe(part, input.size < sizeof part ? input.size : sizeof part);
    return code;
}
