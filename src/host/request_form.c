#include "host/request_form.h"

#include <stdio.h>
#include <string.h>

#include "card/script.h"
#include "wire/request_json.h"
#include "wire/script_json.h"

#define NUMBER_TEXT_MAX 64 /* bytes read of a number, to be named if they are wrong */

static kf_code read_operation(const json_t *json, kf_request_form *form, kf_error *error)
{
    const char *name = NULL;
    KF_TRY(kf_json_text(json, "operation", 64, &name, error));
    KF_TRY(kf_operation_from_name(name, &form->operation, error));
    const bool wanted = kf_operation_names_module(form->operation);
    const char *module = NULL;
    KF_TRY(kf_json_text_optional(json, "module", KF_MODULE_NAME_MAX, &module, error));
    if (wanted && module == NULL)
        return kf_fail(error, KF_ERR_FIELD, "module: %s needs the name of a registered module", name);
    if (!wanted && module != NULL)
        return kf_fail(error, KF_ERR_FIELD, "module '%s': %s takes none", module, name);
    return module == NULL ? KF_OK : kf_name_check("module", module, error);
}

static kf_code find_source(const char *name, const kf_request_form *form, const char *typed,
                           kf_number_source *ret_source, kf_error *error)
{
    kf_number_source source = KF_NUMBER_ALLOCATE;
    if (name == NULL) {
        if (form->card_number != NULL) source = KF_NUMBER_OF_CARD;
        if (typed != NULL) source = KF_NUMBER_TYPED;
    } else if (strcmp(name, "card") == 0) {
        source = KF_NUMBER_OF_CARD;
    } else if (strcmp(name, "typed") == 0) {
        source = KF_NUMBER_TYPED;
    } else if (strcmp(name, "allocate") != 0) {
        return kf_fail(error, KF_ERR_FIELD, "number_source '%s': card, allocate or typed", name);
    }
    *ret_source = source;
    return KF_OK;
}

static kf_code read_number(const json_t *json, kf_request_form *form, kf_error *error)
{
    const char *typed = NULL;
    const char *name = NULL;
    KF_TRY(kf_json_text_optional(json, "number", NUMBER_TEXT_MAX, &typed, error));
    if (typed != NULL) KF_TRY(kf_number_check(typed, error));
    KF_TRY(kf_json_text_optional(json, "number_source", 16, &name, error));
    if (form->operation != KF_OPERATION_FILL) {
        if (typed != NULL || name != NULL)
            return kf_fail(error, KF_ERR_FIELD, "%s: %s takes none; the card's number is on record",
                           typed != NULL ? "number" : "number_source", kf_operation_name(form->operation));
        return KF_OK;
    }
    KF_TRY(find_source(name, form, typed, &form->number_source, error));
    if (form->number_source == KF_NUMBER_TYPED && typed == NULL)
        return kf_fail(error, KF_ERR_FIELD, "number: it is missing; number_source 'typed' needs it");
    if (form->number_source != KF_NUMBER_TYPED && typed != NULL)
        return kf_fail(error, KF_ERR_FIELD, "number '%s': it is for number_source 'typed' only", typed);
    if (form->number_source == KF_NUMBER_OF_CARD && form->card_number == NULL)
        return kf_fail(error, KF_ERR_FIELD,
                       "card: number: the card's was not readable; type it in, or have one allocated");
    form->number = typed;
    if (form->number_source == KF_NUMBER_OF_CARD) form->number = form->card_number;
    return KF_OK;
}

static void set_card_reference(kf_request_form *form)
{
    static const char *const members[][2] = {
        {"iccid", "iccid"}, {"diversification_data", "kdd"}, {"cplc", "cplc"}};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *value = json_string_value(json_object_get(form->card, members[i][0]));
        if (value == NULL) continue;
        (void)snprintf(form->card_reference, sizeof form->card_reference, "%s:%s", members[i][1], value);
        return;
    }
}

static kf_code read_card(const json_t *json, kf_request_form *form, kf_error *error)
{
    json_t *card = NULL;
    KF_TRY(kf_json_object(json, "card", &card, error));
    KF_TRY(kf_card_report_check(card, error));
    form->card = card;
    form->iccid = json_string_value(json_object_get(card, "iccid"));
    form->card_number = json_string_value(json_object_get(card, "number"));
    set_card_reference(form);
    return KF_OK;
}

kf_code kf_request_form_read(const json_t *json, kf_request_form *ret_form, kf_error *error)
{
    static const char *const members[] = {"id",          "operation", "card",  "number_source",
                                          "number",      "category",  "order", "personalisation",
                                          "personalise", "module",    NULL};
    kf_request_form form = {0};
    KF_TRY(kf_json_only(json, members, error));
    KF_TRY(kf_json_text(json, "id", 128, &form.id, error));
    KF_TRY(kf_request_id_check(form.id, error));
    KF_TRY(read_operation(json, &form, error));
    KF_TRY(read_card(json, &form, error));
    KF_TRY(read_number(json, &form, error));
    KF_TRY(kf_json_text_optional(json, "category", KF_CATEGORY_MAX, &form.category, error));
    if (form.category != NULL) KF_TRY(kf_name_check("category", form.category, error));
    KF_TRY(kf_json_text_optional(json, "order", KF_ORDER_NAME_MAX, &form.order, error));
    KF_TRY(kf_personalisation_check(json, error));
    form.personalisation = json_object_get(json, "personalisation");
    form.personalise = json_string_value(json_object_get(json, "personalise"));
    *ret_form = form;
    return KF_OK;
}

kf_code kf_request_message_check(const json_t *json, kf_error *error)
{
    static const char *const members[] = {"step", "attempt", "token", "answers", "stopped", NULL};
    static const kf_json_range counts = {0, 1000000};
    int64_t number = 0;
    const char *text = NULL;
    KF_TRY(kf_json_only(json, members, error));
    KF_TRY(kf_json_integer(json, "step", counts, &number, error));
    KF_TRY(kf_json_integer(json, "attempt", counts, &number, error));
    KF_TRY(kf_json_text(json, "token", KF_TOKEN_TEXT_MAX, &text, error));
    kf_script_answers answers = {0};
    kf_code code = kf_script_answers_from_json(json, &answers, error);
    kf_script_answers_clear(&answers);
    KF_TRY(code);
    return kf_stop_word_read(json, &text, error);
}
