/* key-oracle: what a card, a channel or a personalisation value must be, from keys that a test knows,
 * computed with libkeyfill's public headers alone. For tests: it takes keys as arguments and prints keys.
 *
 *     key-oracle card MASTER LINE [NAME=VALUE …]              ENC, MAC, DEK, role 00 (SINGLE), KCV of ENC
 *     key-oracle session ENC MAC HOST-CHALLENGE CARD-CHALLENGE   S-ENC, S-MAC, S-RMAC, CRYPTOGRAM of the card
 *     key-oracle personalisation KEY NAME IDENTITY SIZE          VALUE
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/diversify.h>
#include <keyfill/hex.h>
#include <keyfill/kcv.h>
#include <keyfill/kdf.h>

#define CHALLENGE_SIZE 8
#define OUTPUT_MAX 64

static kf_code print_bytes(const char *name, kf_view bytes)
{
    char text[2 * OUTPUT_MAX + 1];
    KF_TRY(kf_hex_encode(bytes, text, sizeof text));
    printf("%s %s\n", name, text);
    return KF_OK;
}

/* NAME=VALUE in place: the argument is cut at the sign. */
static kf_code read_fields(char **arguments, size_t count, kf_field *ret_items, kf_error *error)
{
    for (size_t i = 0; i < count; i++) {
        char *sign = strchr(arguments[i], '=');
        if (sign == NULL) return kf_fail(error, KF_ERR_USAGE, "%s: NAME=VALUE is wanted", arguments[i]);
        *sign = '\0';
        ret_items[i] = (kf_field){arguments[i], sign + 1};
    }
    return KF_OK;
}

static kf_code print_card(char **arguments, size_t count, kf_error *error)
{
    static const struct {
        kf_key_role role;
        const char *name;
    } roles[] = {
        {KF_ROLE_ENC, "ENC"}, {KF_ROLE_MAC, "MAC"}, {KF_ROLE_DEK, "DEK"}, {KF_ROLE_SINGLE, "SINGLE"}};
    KF_CLEANUP(kf_secret_free) kf_secret *master = NULL;
    KF_CLEANUP(kf_diversification_free) kf_diversification *line = NULL;
    kf_field items[KF_DIVERSIFICATION_FIELDS_MAX];
    if (count < 2 || count - 2 > KF_DIVERSIFICATION_FIELDS_MAX)
        return kf_fail(error, KF_ERR_USAGE, "card MASTER LINE [NAME=VALUE ...]");
    KF_TRY(kf_fail_plain(error, kf_hex_decode_secret(arguments[0], &master)));
    KF_TRY(kf_diversification_parse(arguments[1], &line, error));
    KF_TRY(read_fields(arguments + 2, count - 2, items, error));
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
        KF_TRY(kf_diversify(line, KF_AES, master, (kf_fields){items, count - 2}, roles[i].role, &key, error));
        KF_TRY(kf_fail_plain(error, print_bytes(roles[i].name, kf_secret_expose(key))));
        if (roles[i].role != KF_ROLE_ENC) continue;
        kf_kcv kcv;
        KF_TRY(kf_fail_plain(error, kf_kcv_compute(KF_AES, key, KF_KCV_GLOBALPLATFORM, &kcv)));
        KF_TRY(kf_fail_plain(error, print_bytes("KCV", KF_VIEW(kcv.bytes))));
    }
    return KF_OK;
}

/* Amendment D 1.2, 4.1.5: label of 11 zeros and the constant, a zero, L in bits, [counter], context. */
static kf_code derive_session(const char *key_text, uint8_t constant, const uint8_t *context,
                              uint8_t *ret_bytes, size_t size)
{
    uint8_t fixed[15 + 2 * CHALLENGE_SIZE] = {0};
    fixed[11] = constant;
    fixed[13] = (uint8_t)(8 * size >> 8);
    fixed[14] = (uint8_t)(8 * size);
    memcpy(fixed + 15, context, 2 * CHALLENGE_SIZE);
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_TRY(kf_hex_decode_secret(key_text, &key));
    KF_TRY(kf_cipher_new_secret(KF_AES, key, &cipher));
    const kf_kdf_counter form = {KF_COUNTER_MIDDLE_FIXED, 8, 15};
    return kf_kdf_counter_mode(cipher, form, KF_VIEW(fixed), ret_bytes, size);
}

static kf_code print_session(char **arguments, size_t count, kf_error *error)
{
    uint8_t context[2 * CHALLENGE_SIZE];
    if (count != 4) return kf_fail(error, KF_ERR_USAGE, "session ENC MAC HOST-CHALLENGE CARD-CHALLENGE");
    KF_TRY(kf_fail_plain(error, kf_hex_decode(arguments[2], context, CHALLENGE_SIZE)));
    KF_TRY(kf_fail_plain(error, kf_hex_decode(arguments[3], context + CHALLENGE_SIZE, CHALLENGE_SIZE)));
    const struct {
        const char *name;
        const char *key;
        uint8_t constant; /* table 4-1 */
    } keys[] = {{"S-ENC", arguments[0], 0x04}, {"S-MAC", arguments[1], 0x06}, {"S-RMAC", arguments[1], 0x07}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        uint8_t key[16];
        KF_TRY(kf_fail_plain(error, derive_session(keys[i].key, keys[i].constant, context, key, sizeof key)));
        KF_TRY(kf_fail_plain(error, print_bytes(keys[i].name, KF_VIEW(key))));
        if (keys[i].constant != 0x06) continue;
        char session_mac[2 * sizeof key + 1];
        uint8_t cryptogram[CHALLENGE_SIZE];
        KF_TRY(kf_fail_plain(error, kf_hex_encode(KF_VIEW(key), session_mac, sizeof session_mac)));
        KF_TRY(
            kf_fail_plain(error, derive_session(session_mac, 0x00, context, cryptogram, sizeof cryptogram)));
        KF_TRY(kf_fail_plain(error, print_bytes("CRYPTOGRAM", KF_VIEW(cryptogram))));
    }
    return KF_OK;
}

/* docs/profiles.md, "Where secrets come from": SP 800-108 counter mode, fixed input "keyfill personalisation"
 * 00 name 00 identity length. */
static kf_code print_personalisation(char **arguments, size_t count, kf_error *error)
{
    if (count != 4) return kf_fail(error, KF_ERR_USAGE, "personalisation KEY NAME IDENTITY SIZE");
    unsigned long size = strtoul(arguments[3], NULL, 10);
    if (size == 0 || size > OUTPUT_MAX) return kf_fail(error, KF_ERR_USAGE, "SIZE: 1 to %d", OUTPUT_MAX);
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_CLEANUP(kf_cipher_free) kf_cipher *cipher = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_hex_decode_secret(arguments[0], &key)));
    KF_TRY(kf_fail_plain(error, kf_cipher_new_secret(KF_AES, key, &cipher)));
    kf_buffer_append_text(&input, "keyfill personalisation");
    kf_buffer_append_u8(&input, 0);
    kf_buffer_append_text(&input, arguments[1]);
    kf_buffer_append_u8(&input, 0);
    kf_buffer_append_text(&input, arguments[2]);
    kf_buffer_append_u16(&input, (uint16_t)(8 * size));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&input)));
    uint8_t value[OUTPUT_MAX];
    const kf_kdf_counter form = {.location = KF_COUNTER_BEFORE_FIXED, .counter_bits = 8};
    KF_TRY(kf_fail_plain(error, kf_kdf_counter_mode(cipher, form, kf_buffer_view(&input), value, size)));
    return kf_fail_plain(error, print_bytes("VALUE", kf_view_of(value, size)));
}

static kf_code run(int count, char **arguments, kf_error *error)
{
    const char *what = count > 1 ? arguments[1] : "";
    size_t rest = count > 2 ? (size_t)count - 2 : 0;
    if (strcmp(what, "card") == 0) return print_card(arguments + 2, rest, error);
    if (strcmp(what, "session") == 0) return print_session(arguments + 2, rest, error);
    if (strcmp(what, "personalisation") == 0) return print_personalisation(arguments + 2, rest, error);
    return kf_fail(error, KF_ERR_USAGE, "card, session or personalisation");
}

int main(int count, char **arguments)
{
    kf_error error = {KF_OK, ""};
    kf_code code = run(count, arguments, &error);
    if (code == KF_OK) return 0;
    fprintf(stderr, "key-oracle: %s\n", kf_error_text(&error));
    return 2;
}
