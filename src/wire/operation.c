#include "wire/operation.h"

#include <string.h>

static const struct {
    kf_operation operation;
    const char *name;
    bool names_module;
} operations[] = {
    {KF_OPERATION_FILL, "fill", false},         {KF_OPERATION_REFILL, "refill", false},
    {KF_OPERATION_CLEAR, "clear", false},       {KF_OPERATION_APP_LOAD, "app-load", true},
    {KF_OPERATION_APP_LIST, "app-list", false}, {KF_OPERATION_APP_DELETE, "app-delete", true},
};
#define OPERATION_COUNT (sizeof operations / sizeof operations[0])

const char *kf_operation_name(kf_operation operation)
{
    for (size_t i = 0; i < OPERATION_COUNT; i++)
        if (operations[i].operation == operation) return operations[i].name;
    return "unknown";
}

kf_code kf_operation_from_name(const char *name, kf_operation *ret_operation, kf_error *error)
{
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        if (strcmp(operations[i].name, name) != 0) continue;
        *ret_operation = operations[i].operation;
        return KF_OK;
    }
    return kf_fail(
        error, KF_ERR_OPERATION,
        "\"%.40s\" is no operation; there are fill, refill, clear, app-load, app-list and app-delete", name);
}

bool kf_operation_names_module(kf_operation operation)
{
    for (size_t i = 0; i < OPERATION_COUNT; i++)
        if (operations[i].operation == operation) return operations[i].names_module;
    return false;
}
