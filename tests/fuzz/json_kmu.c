/* JSON that reaches the key management unit's front, and scripts as JSON on their way: what parses and is
 * written again parses equal. */
#include <string.h>

#include "fuzz.h"
#include "kmu/request_form.h"
#include "vault/key_act_form.h"
#include "wire/json.h"
#include "wire/request_json.h"
#include "wire/script_json.h"

static void want_told(kf_code code, const kf_error *error)
{
    if (code != KF_OK) FUZZ_WANT(error->code == code && error->message[0] != '\0');
}

static void read_script(const json_t *json)
{
    KF_CLEANUP(kf_script_clear) kf_script script = {0};
    KF_CLEANUP(kf_script_clear) kf_script again = {0};
    KF_CLEANUP(kf_json_free) json_t *written = json_object();
    FUZZ_BUFFER(left);
    FUZZ_BUFFER(right);
    kf_error error = {KF_OK, ""};
    kf_code code = kf_script_from_json(json, &script, &error);
    want_told(code, &error);
    if (code != KF_OK) {
        FUZZ_WANT(script.entries == NULL && script.count == 0);
        return;
    }
    FUZZ_WANT(kf_script_check(&script, NULL) == KF_OK);
    FUZZ_WANT(kf_script_to_json(&script, written) == KF_OK);
    FUZZ_WANT(kf_script_from_json(written, &again, NULL) == KF_OK);
    kf_script_encode(&script, &left);
    kf_script_encode(&again, &right);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&left), kf_buffer_view(&right)));
}

static void read_answers(const json_t *json)
{
    KF_CLEANUP(kf_script_answers_clear) kf_script_answers answers = {0};
    KF_CLEANUP(kf_script_answers_clear) kf_script_answers again = {0};
    KF_CLEANUP(kf_json_free) json_t *written = json_object();
    FUZZ_BUFFER(left);
    FUZZ_BUFFER(right);
    kf_error error = {KF_OK, ""};
    kf_code code = kf_script_answers_from_json(json, &answers, &error);
    want_told(code, &error);
    if (code != KF_OK) {
        FUZZ_WANT(answers.items == NULL && answers.count == 0);
        return;
    }
    FUZZ_WANT(kf_script_answers_to_json(&answers, written) == KF_OK);
    FUZZ_WANT(kf_script_answers_from_json(written, &again, NULL) == KF_OK);
    kf_script_answers_encode(&answers, &left);
    kf_script_answers_encode(&again, &right);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&left), kf_buffer_view(&right)));
}

static void read_forms(const json_t *json)
{
    static kf_request_form form, untouched;
    static kf_key_act_request act, act_untouched;
    FUZZ_BUFFER(sealed);
    kf_error error = {KF_OK, ""};
    memset(&form, 0xA5, sizeof form);
    memset(&untouched, 0xA5, sizeof untouched);
    kf_code code = kf_request_form_read(json, &form, &error);
    want_told(code, &error);
    if (code != KF_OK) FUZZ_WANT(memcmp(&form, &untouched, sizeof form) == 0);
    error = (kf_error){KF_OK, ""};
    memset(&act, 0xA5, sizeof act);
    memset(&act_untouched, 0xA5, sizeof act_untouched);
    code = kf_key_act_form_read(json, &sealed, &act, &error);
    want_told(code, &error);
    if (code != KF_OK) {
        FUZZ_WANT(memcmp(&act, &act_untouched, sizeof act) == 0);
        return;
    }
    KF_CLEANUP(kf_json_free) json_t *shown = NULL;
    FUZZ_WANT(kf_key_entry_to_json(&act.entry, &shown) == KF_OK || act.entry.algorithm == 0);
}

static void read_members(const json_t *json)
{
    static const char *const members[] = {"id", "card", "script", "answers", NULL};
    const char *text = NULL;
    json_t *card = NULL;
    kf_error error = {KF_OK, ""};
    want_told(kf_json_only(json, members, &error), &error);
    error = (kf_error){KF_OK, ""};
    if (kf_json_text(json, "id", 64, &text, &error) == KF_OK)
        FUZZ_WANT(strlen(text) >= 1 && strlen(text) <= 64);
    if (text != NULL && kf_request_id_check(text, NULL) == KF_OK)
        FUZZ_WANT(strlen(text) == KF_REQUEST_ID_DIGITS);
    error = (kf_error){KF_OK, ""};
    if (kf_json_object(json, "card", &card, NULL) == KF_OK)
        want_told(kf_card_report_check(card, &error), &error);
    text = NULL;
    if (kf_stop_word_read(json, &text, NULL) != KF_OK) FUZZ_WANT(text == NULL);
}

static void want_same_again(const json_t *json)
{
    FUZZ_BUFFER(text);
    KF_CLEANUP(kf_json_free) json_t *again = NULL;
    FUZZ_WANT(kf_json_write(json, &text) == KF_OK);
    FUZZ_WANT(kf_json_parse(kf_buffer_view(&text), &again, NULL) == KF_OK);
    FUZZ_WANT(json_equal(json, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_json_parse(kf_view_of(data, size), &json, &error);
    want_told(code, &error);
    if (code != KF_OK) {
        FUZZ_WANT(json == NULL);
        return 0;
    }
    want_same_again(json);
    read_script(json);
    read_answers(json);
    read_forms(json);
    read_members(json);
    return 0;
}
