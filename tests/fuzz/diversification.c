/* Diversification lines over any fields: one key at a time and many at once give the same, and nothing is
 * given where something is missing. Input: the line, then names and values, a line each. */
#include <keyfill/diversify.h>

#include <string.h>

#include "fuzz.h"

#define FIELDS_MAX 24
#define CARDS 3

typedef struct known_fields {
    kf_field items[FIELDS_MAX];
    size_t count;
} known_fields;

static char *next_line(char **rest)
{
    if (*rest == NULL) return NULL;
    char *line = *rest;
    char *end = strchr(line, '\n');
    if (end != NULL) *end = '\0';
    *rest = end == NULL ? NULL : end + 1;
    return line;
}

static void take_fields(char *rest, known_fields *fields)
{
    while (fields->count < FIELDS_MAX) {
        const char *name = next_line(&rest);
        const char *value = next_line(&rest);
        if (name == NULL || value == NULL) return;
        fields->items[fields->count++] = (kf_field){name, value};
    }
}

static void want_many_agree(const kf_diversification *diversification, kf_algorithm algorithm,
                            const kf_secret *base_key, kf_fields fields, const kf_secret *expected)
{
    kf_diversifier *diversifier = NULL;
    kf_secret *keys = NULL;
    size_t size = kf_secret_size(base_key);
    const kf_fields cards[CARDS] = {fields, fields, fields};
    const kf_card_batch batch = {cards, CARDS, KF_ROLE_MAC};
    FUZZ_WANT(kf_secret_new_zero(CARDS * size, &keys) == KF_OK);
    kf_code code = kf_diversifier_new(diversification, algorithm, base_key, &diversifier, NULL);
    if (code == KF_OK) code = kf_diversify_many(diversifier, &batch, keys, NULL);
    FUZZ_WANT((code == KF_OK) == (expected != NULL));
    for (size_t i = 0; expected != NULL && i < CARDS; i++)
        FUZZ_WANT(
            kf_view_equal(kf_view_part(kf_secret_expose(keys), i * size, size), kf_secret_expose(expected)));
    kf_diversifier_free(&diversifier);
    kf_secret_free(&keys);
}

static void derive(const kf_diversification *diversification, kf_fields fields)
{
    static const struct {
        kf_algorithm algorithm;
        size_t size;
    } bases[] = {{KF_AES, 16}, {KF_AES, 24}, {KF_AES, 32}, {KF_TDES, 16}, {KF_TDES, 24}, {KF_SM4, 16}};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        const kf_secret *base_key = fuzz_key(0x11, bases[i].size);
        kf_secret *key = NULL;
        kf_error error = {KF_OK, ""};
        kf_code code =
            kf_diversify(diversification, bases[i].algorithm, base_key, fields, KF_ROLE_MAC, &key, &error);
        FUZZ_WANT((code == KF_OK) == (key != NULL));
        if (code != KF_OK) FUZZ_WANT(error.code == code && error.message[0] != '\0');
        if (key != NULL) FUZZ_WANT(kf_secret_size(key) == bases[i].size);
        want_many_agree(diversification, bases[i].algorithm, base_key, fields, key);
        kf_secret_free(&key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_TEXT(text, kf_view_of(data, size));
    char *rest = (char *)text.bytes;
    known_fields fields = {.count = 0};
    kf_diversification *diversification = NULL;
    kf_error error = {KF_OK, ""};
    const char *line = next_line(&rest);
    take_fields(rest, &fields);
    FUZZ_TEXT(exact, kf_view_of_text(line));
    kf_code code = kf_diversification_parse((const char *)exact.bytes, &diversification, &error);
    if (code != KF_OK) {
        FUZZ_WANT(diversification == NULL && error.code == code && error.message[0] != '\0');
        return 0;
    }
    derive(diversification, (kf_fields){fields.items, fields.count});
    kf_diversification_free(&diversification);
    return 0;
}
