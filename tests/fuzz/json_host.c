/* JSON that reaches the issuing host. */
#include <string.h>

#include "fuzz.h"
#include "host/request_form.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KF_CLEANUP(kf_json_free) json_t *json = NULL;
    kf_error error = {KF_OK, ""};
    if (kf_json_parse(kf_view_of(data, size), &json, &error) != KF_OK) return 0;
    kf_request_form form, untouched;
    memset(&form, 0xA5, sizeof form);
    memset(&untouched, 0xA5, sizeof untouched);
    kf_code code = kf_request_form_read(json, &form, &error);
    if (code != KF_OK) {
        FUZZ_WANT(error.code == code && error.message[0] != '\0');
        FUZZ_WANT(memcmp(&form, &untouched, sizeof form) == 0);
    } else {
        FUZZ_WANT(form.id != NULL);
        FUZZ_WANT(memchr(form.card_reference, 0, sizeof form.card_reference) != NULL);
    }
    error = (kf_error){KF_OK, ""};
    code = kf_request_message_check(json, &error);
    if (code != KF_OK) FUZZ_WANT(error.code == code && error.message[0] != '\0');
    error = (kf_error){KF_OK, ""};
    code = kf_personalisation_check(json, &error);
    if (code != KF_OK) FUZZ_WANT(error.code == code && error.message[0] != '\0');
    return 0;
}
