#include "wire/names.h"

#include <string.h>

bool kf_name_is_valid(const char *name)
{
    size_t length = strnlen(name, KF_NAME_MAX + 1);
    if (length == 0 || length > KF_NAME_MAX) return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == length;
}

kf_code kf_name_check(const char *what, const char *name, kf_error *error)
{
    if (kf_name_is_valid(name)) return KF_OK;
    return kf_fail(error, KF_ERR_FIELD, "%s '%.80s': 1 to %d of a-z A-Z 0-9 - _ . are needed", what, name,
                   KF_NAME_MAX);
}
