#include "cli/key_shares.h"

#include <string.h>

#include <keyfill/hex.h>

#include "crypto/digest.h"
#include "crypto/random.h"

#define CHECK_SIZE 4
#define HEAD_SIZE 2 /* threshold and number */
#define PASSPHRASE_SIZE (2 * KF_SHARE_SECRET_SIZE)

void kf_share_clear(kf_share *share)
{
    kf_secret_free(&share->value);
}

static kf_code check_of(const uint8_t *bytes, uint8_t ret_check[CHECK_SIZE])
{
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(kf_sha256(kf_view_of(bytes + CHECK_SIZE, KF_SHARE_SIZE - CHECK_SIZE), digest));
    memcpy(ret_check, digest, CHECK_SIZE);
    return KF_OK;
}

static void write_digits(const uint8_t bytes[KF_SHARE_SIZE], char *ret_text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t place = 0;
    for (size_t i = 0; i < KF_SHARE_SIZE; i++) {
        if (i > 0 && i % 2 == 0) ret_text[place++] = ' ';
        ret_text[place++] = digits[bytes[i] >> 4];
        ret_text[place++] = digits[bytes[i] & 0x0F];
    }
    ret_text[place] = '\0';
}

kf_code kf_share_write(const kf_share *share, char ret_text[KF_SHARE_TEXT_SIZE])
{
    uint8_t bytes[KF_SHARE_SIZE];
    kf_view value = kf_secret_expose(share->value);
    if (value.size != KF_SHARE_SECRET_SIZE) return KF_ERR_ARGUMENT;
    bytes[CHECK_SIZE] = share->threshold;
    bytes[CHECK_SIZE + 1] = share->number;
    memcpy(bytes + CHECK_SIZE + HEAD_SIZE, value.data, value.size);
    kf_code code = check_of(bytes, bytes);
    if (code == KF_OK) write_digits(bytes, ret_text);
    kf_wipe(bytes, sizeof bytes);
    return code;
}

static int digit_of(uint8_t character)
{
    if (character >= '0' && character <= '9') return character - '0';
    if (character >= 'A' && character <= 'F') return character - 'A' + 10;
    if (character >= 'a' && character <= 'f') return character - 'a' + 10;
    return -1;
}

static kf_code read_digits(kf_view text, uint8_t ret_bytes[KF_SHARE_SIZE], kf_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == ' ' || text.data[i] == '\t' || text.data[i] == '-') continue;
        int digit = digit_of(text.data[i]);
        if (digit < 0) return kf_fail(error, KF_ERR_HEX, "a share is hexadecimal digits");
        if (count == 2 * (size_t)KF_SHARE_SIZE) break;
        uint8_t *place = &ret_bytes[count / 2];
        *place = (uint8_t)(count % 2 == 0 ? digit << 4 : *place | digit);
        count++;
    }
    if (count != 2 * (size_t)KF_SHARE_SIZE)
        return kf_fail(error, KF_ERR_FIELD, "a share has %d digits, this one %zu", 2 * KF_SHARE_SIZE, count);
    return KF_OK;
}

static kf_code make_share(const uint8_t bytes[KF_SHARE_SIZE], kf_share *ret_share, kf_error *error)
{
    uint8_t check[CHECK_SIZE];
    KF_TRY(kf_fail_plain(error, check_of(bytes, check)));
    if (memcmp(check, bytes, CHECK_SIZE) != 0)
        return kf_fail(error, KF_ERR_CHECK_VALUE,
                       "the share has a wrong digit: its first eight are not those "
                       "of the rest");
    kf_share share = {.threshold = bytes[CHECK_SIZE], .number = bytes[CHECK_SIZE + 1]};
    if (share.threshold < 2 || share.threshold > KF_SHAMIR_SHARES_MAX || share.number < 1 ||
        share.number > KF_SHAMIR_SHARES_MAX)
        return kf_fail(error, KF_ERR_FIELD, "share %u of a threshold of %u is none", share.number,
                       share.threshold);
    KF_TRY(
        kf_fail_plain(error, kf_secret_new(kf_view_of(bytes + CHECK_SIZE + HEAD_SIZE, KF_SHARE_SECRET_SIZE),
                                           &share.value)));
    *ret_share = share;
    return KF_OK;
}

kf_code kf_share_read(const kf_secret *text, kf_share *ret_share, kf_error *error)
{
    uint8_t bytes[KF_SHARE_SIZE] = {0};
    kf_code code = read_digits(kf_secret_expose(text), bytes, error);
    if (code == KF_OK) code = make_share(bytes, ret_share, error);
    kf_wipe(bytes, sizeof bytes);
    return code;
}

/* A passphrase is text: the secret's bytes in hexadecimal. */
static kf_code passphrase_of(const kf_secret *secret, kf_secret **ret_passphrase)
{
    char digits[PASSPHRASE_SIZE + 1];
    kf_code code = kf_hex_encode(kf_secret_expose(secret), digits, sizeof digits);
    if (code == KF_OK) code = kf_secret_new(kf_view_of(digits, PASSPHRASE_SIZE), ret_passphrase);
    kf_wipe(digits, sizeof digits);
    return code;
}

kf_code kf_shares_make(kf_shamir_plan plan, kf_secret **ret_passphrase,
                       kf_share ret_shares[KF_SHAMIR_SHARES_MAX], kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *secret = NULL;
    kf_secret *values[KF_SHAMIR_SHARES_MAX] = {NULL};
    KF_TRY(kf_fail_plain(error, kf_random_secret(KF_SHARE_SECRET_SIZE, &secret)));
    kf_code code = kf_shamir_split(secret, plan, values);
    if (code == KF_ERR_ARGUMENT)
        return kf_fail(error, KF_ERR_USAGE,
                       "--shares %zu --threshold %zu: %d to %d shares, of which 2 or more are needed",
                       plan.shares, plan.threshold, KF_SHAMIR_SHARES_MIN, KF_SHAMIR_SHARES_MAX);
    KF_TRY(kf_fail_plain(error, code));
    for (size_t i = 0; i < plan.shares; i++)
        ret_shares[i] = (kf_share){(uint8_t)plan.threshold, (uint8_t)(i + 1), values[i]};
    code = passphrase_of(secret, ret_passphrase);
    if (code != KF_OK)
        for (size_t i = 0; i < plan.shares; i++)
            kf_share_clear(&ret_shares[i]);
    return kf_fail_plain(error, code);
}

kf_code kf_shares_combine(const kf_share *shares, size_t count, kf_secret **ret_passphrase, kf_error *error)
{
    kf_shamir_share points[KF_SHAMIR_SHARES_MAX];
    KF_CLEANUP(kf_secret_free) kf_secret *secret = NULL;
    if (count == 0 || count > KF_SHAMIR_SHARES_MAX || count < shares[0].threshold)
        return kf_fail(error, KF_ERR_FIELD, "%zu shares, %u are needed", count,
                       count == 0 ? 2U : shares[0].threshold);
    for (size_t i = 0; i < count; i++) {
        if (shares[i].threshold != shares[0].threshold)
            return kf_fail(error, KF_ERR_FIELD, "share %u is one of another backup", shares[i].number);
        points[i] = (kf_shamir_share){shares[i].number, shares[i].value};
    }
    kf_code code = kf_shamir_combine(points, count, &secret);
    if (code == KF_ERR_ARGUMENT) return kf_fail(error, KF_ERR_FIELD, "one share was given twice");
    KF_TRY(kf_fail_plain(error, code));
    return kf_fail_plain(error, passphrase_of(secret, ret_passphrase));
}
