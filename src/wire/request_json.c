#include "wire/request_json.h"

#include <string.h>

#include "wire/json.h"

/* E.164 allows 15; private plans take more. */
#define NUMBER_DIGITS_MIN 3
#define NUMBER_DIGITS_MAX 20

kf_code kf_request_id_check(const char *id, kf_error *error)
{
    if (strlen(id) != KF_REQUEST_ID_DIGITS || strspn(id, "0123456789abcdef") != KF_REQUEST_ID_DIGITS)
        return kf_fail(error, KF_ERR_FIELD, "id '%.80s': %d lower-case hexadecimal digits are needed", id,
                       KF_REQUEST_ID_DIGITS);
    return KF_OK;
}

typedef struct text_rule {
    const char *member;
    const char *alphabet;
    size_t least;
    size_t most;
} text_rule;

static kf_code check_text(const json_t *object, const text_rule *rule, kf_error *error)
{
    const char *text = NULL;
    KF_TRY(kf_json_text_optional(object, rule->member, rule->most, &text, error));
    if (text == NULL) return KF_OK;
    size_t size = strlen(text);
    if (size < rule->least || strspn(text, rule->alphabet) != size)
        return kf_fail(error, KF_ERR_FIELD, "card: %s '%s': %zu to %zu of %s are needed", rule->member, text,
                       rule->least, rule->most, rule->alphabet);
    return KF_OK;
}

static kf_code check_hex(const json_t *object, const char *member, size_t limit, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    return kf_json_hex_optional(object, member, limit, &bytes, error);
}

kf_code kf_card_report_check(const json_t *card, kf_error *error)
{
    static const char *const members[] = {"atr",
                                          "iccid",
                                          "imsi",
                                          "number",
                                          "cplc",
                                          "recognition_data",
                                          "key_information",
                                          "diversification_data",
                                          NULL};
    /* ICCID: ITU-T E.118, with letters on Chinese cards; IMSI: ITU-T E.212. */
    static const text_rule texts[] = {
        {"iccid", "0123456789ABCDEF", 1, 20},
        {"imsi", "0123456789", 1, 15},
        {"number", "0123456789", NUMBER_DIGITS_MIN, NUMBER_DIGITS_MAX},
    };
    static const struct {
        const char *member;
        size_t limit; /* bytes */
    } hexes[] = {{"atr", 33},
                 {"cplc", 64},
                 {"recognition_data", 512},
                 {"key_information", 512},
                 {"diversification_data", 64}};
    KF_TRY(kf_json_only(card, members, error));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        KF_TRY(check_text(card, &texts[i], error));
    for (size_t i = 0; i < sizeof hexes / sizeof hexes[0]; i++)
        KF_TRY(check_hex(card, hexes[i].member, hexes[i].limit, error));
    return KF_OK;
}

kf_code kf_stop_word_read(const json_t *message, const char **ret_word, kf_error *error)
{
    static const char *const words[] = {"card-removed", "no-card", "reader", "timeout"};
    const char *word = NULL;
    KF_TRY(kf_json_text_optional(message, "stopped", 32, &word, error));
    if (word == NULL) return KF_OK;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret_word = word;
            return KF_OK;
        }
    return kf_fail(error, KF_ERR_FIELD, "stopped '%s': card-removed, no-card, reader or timeout", word);
}
