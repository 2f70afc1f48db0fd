#include <keyfill/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct error_row {
    kf_code code;
    int exit_status;
    int http_status;
    const char *name;
    const char *meaning;
} error_row;

static const error_row error_rows[] = {
#define KF_ERROR_ROW(name, number, exit_status, http_status, meaning)                                        \
    {name, exit_status, http_status, #name, meaning},
    KF_ERROR_TABLE(KF_ERROR_ROW)
#undef KF_ERROR_ROW
};

static const size_t error_row_count = sizeof error_rows / sizeof error_rows[0];

static const error_row *row_of(kf_code code)
{
    for (size_t i = 0; i < error_row_count; i++)
        if (error_rows[i].code == code) return &error_rows[i];
    return row_of(KF_ERR_INTERNAL);
}

kf_code kf_fail(kf_error *error, kf_code code, const char *format, ...)
{
    if (error == NULL) return code;
    char message[KF_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0) message[0] = '\0';
    va_end(arguments);
    error->code = code;
    memcpy(error->message, message, sizeof message);
    return code;
}

kf_code kf_fail_plain(kf_error *error, kf_code code)
{
    if (code != KF_OK && error != NULL && (error->code != code || error->message[0] == '\0'))
        return kf_fail(error, code, "%s", kf_code_meaning(code));
    return code;
}

kf_code kf_error_prefix(kf_error *error, const char *format, ...)
{
    if (error == NULL) return KF_ERR_INTERNAL;
    char context[KF_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(context, sizeof context, format, arguments) < 0) context[0] = '\0';
    va_end(arguments);
    kf_error inner = *error;
    /* Who found the fault may have named the same thing already. */
    const char *text = kf_error_text(&inner);
    size_t length = strlen(context);
    if (length > 0 && strncmp(text, context, length) == 0 && text[length] == ':') return inner.code;
    return kf_fail(error, inner.code, "%.200s: %.300s", context, text);
}

const char *kf_error_text(const kf_error *error)
{
    return error->message[0] != '\0' ? error->message : kf_code_meaning(error->code);
}

const char *kf_code_name(kf_code code)
{
    return row_of(code)->name;
}

const char *kf_code_meaning(kf_code code)
{
    return row_of(code)->meaning;
}

int kf_code_exit_status(kf_code code)
{
    return row_of(code)->exit_status;
}

int kf_code_http_status(kf_code code)
{
    return row_of(code)->http_status;
}

kf_code kf_code_from_name(const char *name)
{
    for (size_t i = 0; i < error_row_count; i++)
        if (strcmp(error_rows[i].name, name) == 0) return error_rows[i].code;
    return KF_ERR_INTERNAL;
}
