#include "kmu/request_form.h"

#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/tlv.h>

#include "vault/key_entry.h"
#include "wire/json.h"
#include "wire/request_json.h"

#define REPORT_MAX 512 /* bytes of one of the card's data objects */

static kf_code copy_text(const json_t *object, const char *member, char *ret_text, size_t size,
                         kf_error *error)
{
    const char *text = "";
    KF_TRY(kf_json_text_optional(object, member, size - 1, &text, error));
    return kf_text_copy(ret_text, size, text);
}

static kf_code copy_name(const json_t *object, const char *member, char ret_name[KF_NAME_SIZE],
                         kf_error *error)
{
    KF_TRY(copy_text(object, member, ret_name, KF_NAME_SIZE, error));
    if (ret_name[0] == '\0' || kf_category_check(ret_name, error) == KF_OK) return KF_OK;
    return kf_error_prefix(error, "%s", member);
}

/* GET DATA CF: 10 bytes of key diversification data in a TLV. */
static kf_code read_identity(const json_t *card, kf_request_form *form, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_TRY(kf_json_hex_optional(card, "diversification_data", REPORT_MAX, &bytes, error));
    kf_view data;
    if (bytes.size == 0 || !kf_tlv_find(kf_buffer_view(&bytes), 0xCF, &data) ||
        data.size != KF_DIVERSIFICATION_DATA_SIZE)
        return KF_OK;
    KF_TRY(kf_text_copy(form->identity, sizeof form->identity, "kdd:"));
    return kf_hex_encode(data, form->identity + 4, sizeof form->identity - 4);
}

kf_code kf_request_form_read_card(const json_t *body, kf_request_form *form, kf_error *error)
{
    json_t *card;
    KF_TRY(kf_json_object(body, "card", &card, error));
    KF_TRY(kf_card_report_check(card, error));
    KF_TRY(copy_text(card, "iccid", form->request.iccid, sizeof form->request.iccid, error));
    KF_TRY(copy_text(card, "imsi", form->request.imsi, sizeof form->request.imsi, error));
    return read_identity(card, form, error);
}

static kf_code read_personalisation(const json_t *body, kf_procedure_request *request, kf_error *error)
{
    json_t *object = NULL;
    KF_TRY(kf_json_object_optional(body, "personalisation", &object, error));
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        const char *text;
        KF_TRY(kf_json_text(object, name, KF_VALUE_TEXT_SIZE - 1, &text, error));
        KF_TRY(kf_named_values_set(&request->personalisation, name, text, error));
    }
    const char *personalise = "if-absent";
    KF_TRY(kf_json_text_optional(body, "personalise", 16, &personalise, error));
    if (strcmp(personalise, "if-absent") == 0)
        request->personalise = KF_PERSONALISE_IF_ABSENT;
    else if (strcmp(personalise, "always") == 0)
        request->personalise = KF_PERSONALISE_ALWAYS;
    else if (strcmp(personalise, "never") == 0)
        request->personalise = KF_PERSONALISE_NEVER;
    else
        return kf_fail(error, KF_ERR_FIELD, "personalise: \"%s\" is none of if-absent, always, never",
                       personalise);
    return KF_OK;
}

/* Which way the host found the number is for its records; here it is only read. */
static kf_code read_number(const json_t *body, kf_procedure_request *request, kf_error *error)
{
    static const char *const sources[] = {"card", "allocate", "typed"};
    const char *source = "";
    KF_TRY(kf_json_text_optional(body, "number_source", 16, &source, error));
    bool known = source[0] == '\0';
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        known = known || strcmp(source, sources[i]) == 0;
    if (!known)
        return kf_fail(error, KF_ERR_FIELD, "number_source: \"%s\" is none of card, allocate, typed", source);
    KF_TRY(copy_text(body, "number", request->number, sizeof request->number, error));
    if (strspn(request->number, "0123456789") != strlen(request->number))
        return kf_fail(error, KF_ERR_NUMBER, "number: \"%s\" is not of decimal digits", request->number);
    KF_TRY(kf_json_boolean_optional(body, "write_number", &request->write_number, error));
    bool fill = request->operation == KF_OPERATION_FILL;
    if (fill && request->number[0] == '\0')
        return kf_fail(error, KF_ERR_FIELD, "number: a fill needs the card's number");
    if (!fill && (request->number[0] != '\0' || request->write_number || source[0] != '\0'))
        return kf_fail(error, KF_ERR_FIELD, "number: %s takes none; the card's number is on record",
                       kf_operation_name(request->operation));
    return KF_OK;
}

static kf_code read_module(const json_t *body, kf_procedure_request *request, kf_error *error)
{
    bool needed = kf_operation_names_module(request->operation);
    KF_TRY(copy_name(body, "module", request->module, error));
    if (needed && request->module[0] == '\0')
        return kf_fail(error, KF_ERR_MODULE, "module: %s needs the name of a registered module",
                       kf_operation_name(request->operation));
    if (!needed && request->module[0] != '\0')
        return kf_fail(error, KF_ERR_FIELD, "module: %s takes none", kf_operation_name(request->operation));
    return KF_OK;
}

kf_code kf_request_form_read(const json_t *body, kf_request_form *ret_form, kf_error *error)
{
    static const char *const members[] = {"id",       "operation",       "card",        "number_source",
                                          "number",   "write_number",    "category",    "order",
                                          "terminal", "personalisation", "personalise", "module",
                                          NULL};
    kf_request_form form = {0};
    const char *operation;
    const char *order = "";
    KF_TRY(kf_json_only(body, members, error));
    KF_TRY(kf_json_text(body, "operation", 64, &operation, error));
    KF_TRY(kf_operation_from_name(operation, &form.request.operation, error));
    KF_TRY(kf_request_form_read_card(body, &form, error));
    KF_TRY(kf_json_text_optional(body, "order", KF_NAME_SIZE - 1, &order, error));
    KF_TRY(copy_name(body, "category", form.request.category, error));
    KF_TRY(copy_name(body, "terminal", form.request.terminal, error));
    KF_TRY(read_number(body, &form.request, error));
    KF_TRY(read_module(body, &form.request, error));
    KF_TRY(read_personalisation(body, &form.request, error));
    *ret_form = form;
    return KF_OK;
}
