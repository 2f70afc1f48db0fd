#include "vault/profile.h"

#include <string.h>

#include <keyfill/hex.h>

#include "crypto/digest.h"
#include "wire/config.h"

/* The text as libcyaml reads it; converted and checked below. */
typedef struct module_text {
    char *load_file;
    char *module;
} module_text;

typedef struct field_text {
    char *field;
    int place;
    uint16_t tag;
    uint16_t dgi;
    char *application;
    char *path;
    uint8_t derived_size;
    bool secret;
} field_text;

typedef struct domain_text {
    char *aid;
    module_text *modules;
    unsigned modules_count;
    char *privileges;
    char *parameters;
    uint8_t key_version;
    uint8_t key_size;
    int key_injection;
    char *preloaded_base_key;
} domain_text;

typedef struct profile_text {
    char *name;
    char *description;
    char *issuer_domain;
    uint8_t security_level;
    domain_text domain;
    int order;
    field_text *personalisation;
    unsigned personalisation_count;
} profile_text;

static const cyaml_strval_t injection_names[] = {
    {"put-key", KF_INJECT_PUT_KEY},
    {"store-data", KF_INJECT_STORE_DATA},
    {"preloaded", KF_INJECT_PRELOADED},
};
static const cyaml_strval_t order_names[] = {
    {"key-first", KF_KEY_FIRST},
    {"personalisation-first", KF_PERSONALISATION_FIRST},
};
static const cyaml_strval_t place_names[] = {
    {"domain-tag", KF_PLACE_DOMAIN_TAG},
    {"sim-file", KF_PLACE_SIM_FILE},
    {"application", KF_PLACE_APPLICATION},
};

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

#define TEXT CYAML_FLAG_POINTER
#define OPTIONAL_TEXT (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define AID_TEXT_MAX ((unsigned)(2 * KF_AID_MAX))

static const cyaml_schema_field_t module_fields[] = {
    CYAML_FIELD_STRING_PTR("load_file", TEXT, module_text, load_file, 10, AID_TEXT_MAX),
    CYAML_FIELD_STRING_PTR("module", TEXT, module_text, module, 10, AID_TEXT_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t module_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, module_text, module_fields),
};

static const cyaml_schema_field_t field_fields[] = {
    CYAML_FIELD_STRING_PTR("field", TEXT, field_text, field, 1, KF_VALUE_NAME_SIZE - 1),
    CYAML_FIELD_ENUM("place", CYAML_FLAG_STRICT, field_text, place, place_names,
                     CYAML_ARRAY_LEN(place_names)),
    CYAML_FIELD_UINT("tag", CYAML_FLAG_OPTIONAL, field_text, tag),
    CYAML_FIELD_UINT("dgi", CYAML_FLAG_OPTIONAL, field_text, dgi),
    CYAML_FIELD_STRING_PTR("application", OPTIONAL_TEXT, field_text, application, 10, AID_TEXT_MAX),
    CYAML_FIELD_STRING_PTR("path", OPTIONAL_TEXT, field_text, path, 4, 2 * KF_FILE_PATH_MAX),
    CYAML_FIELD_UINT("derived_size", CYAML_FLAG_OPTIONAL, field_text, derived_size),
    CYAML_FIELD_BOOL("secret", CYAML_FLAG_OPTIONAL, field_text, secret),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t field_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, field_text, field_fields),
};

static const cyaml_schema_field_t domain_fields[] = {
    CYAML_FIELD_STRING_PTR("aid", TEXT, domain_text, aid, 10, AID_TEXT_MAX),
    CYAML_FIELD_SEQUENCE("modules", OPTIONAL_TEXT, domain_text, modules, &module_schema, 0,
                         KF_PROFILE_MODULES_MAX),
    CYAML_FIELD_STRING_PTR("privileges", OPTIONAL_TEXT, domain_text, privileges, 2, 6),
    CYAML_FIELD_STRING_PTR("parameters", OPTIONAL_TEXT, domain_text, parameters, 0, 64),
    CYAML_FIELD_UINT("key_version", CYAML_FLAG_DEFAULT, domain_text, key_version),
    CYAML_FIELD_UINT("key_size", CYAML_FLAG_OPTIONAL, domain_text, key_size),
    CYAML_FIELD_ENUM("key_injection", CYAML_FLAG_STRICT, domain_text, key_injection, injection_names,
                     CYAML_ARRAY_LEN(injection_names)),
    CYAML_FIELD_STRING_PTR("preloaded_base_key", OPTIONAL_TEXT, domain_text, preloaded_base_key, 1,
                           KF_NAME_SIZE - 1),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t profile_fields[] = {
    CYAML_FIELD_STRING_PTR("name", TEXT, profile_text, name, 1, KF_NAME_SIZE - 1),
    CYAML_FIELD_STRING_PTR("description", OPTIONAL_TEXT, profile_text, description, 0, 1024),
    CYAML_FIELD_STRING_PTR("issuer_domain", TEXT, profile_text, issuer_domain, 10, AID_TEXT_MAX),
    CYAML_FIELD_UINT("security_level", CYAML_FLAG_DEFAULT, profile_text, security_level),
    CYAML_FIELD_MAPPING("domain", CYAML_FLAG_DEFAULT, profile_text, domain, domain_fields),
    CYAML_FIELD_ENUM("order", CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL, profile_text, order, order_names,
                     CYAML_ARRAY_LEN(order_names)),
    CYAML_FIELD_SEQUENCE("personalisation", OPTIONAL_TEXT, profile_text, personalisation, &field_schema, 0,
                         KF_PROFILE_FIELDS_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t profile_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, profile_text, profile_fields),
};

static kf_code read_bytes(const char *what, const char *text, size_t capacity, kf_buffer *bytes,
                          kf_error *error)
{
    *bytes = kf_buffer_with_limit(capacity);
    kf_code code = kf_hex_decode_append(text, bytes);
    if (code == KF_OK) return KF_OK;
    kf_buffer_clear(bytes);
    return kf_fail(error, KF_ERR_PROFILE,
                   "profile: %s \"%.40s\" is not up to %zu bytes in hexadecimal digits", what, text,
                   capacity);
}

static kf_code read_aid(const char *what, const char *text, kf_aid *ret_aid, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_TRY(read_bytes(what, text, KF_AID_MAX, &bytes, error));
    if (bytes.size < 5)
        return kf_fail(error, KF_ERR_PROFILE, "profile: %s \"%s\" is no AID: it needs 5 to 16 bytes", what,
                       text);
    return kf_aid_from_view(kf_buffer_view(&bytes), ret_aid);
}

static kf_code read_domain(const domain_text *text, kf_profile *profile, kf_error *error)
{
    KF_TRY(read_aid("domain aid", text->aid, &profile->domain, error));
    for (unsigned i = 0; i < text->modules_count; i++) {
        kf_domain_module *module = &profile->modules[profile->module_count++];
        KF_TRY(read_aid("load_file", text->modules[i].load_file, &module->load_file, error));
        KF_TRY(read_aid("module", text->modules[i].module, &module->module, error));
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer privileges = KF_BUFFER_INIT;
    KF_TRY(
        read_bytes("privileges", text->privileges != NULL ? text->privileges : "80", 3, &privileges, error));
    if (privileges.size != 1 && privileges.size != 3)
        return kf_fail(error, KF_ERR_PROFILE, "profile: privileges \"%s\" has %zu bytes; 1 or 3 are possible",
                       text->privileges, privileges.size);
    if ((privileges.data[0] & KF_GP_PRIVILEGE_SECURITY_DOMAIN) == 0)
        return kf_fail(
            error, KF_ERR_PROFILE,
            "profile: privileges \"%s\" make no security domain: bit 80 of the first byte is missing",
            text->privileges);
    memcpy(profile->privileges, privileges.data, privileges.size);
    profile->privileges_size = privileges.size;
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    KF_TRY(read_bytes("parameters", text->parameters != NULL ? text->parameters : "",
                      sizeof profile->parameters, &parameters, error));
    if (parameters.size > 0) memcpy(profile->parameters, parameters.data, parameters.size);
    profile->parameters_size = parameters.size;
    profile->key_version = text->key_version;
    profile->key_size = text->key_size != 0 ? text->key_size : 16;
    profile->key_injection = (kf_key_injection)text->key_injection;
    if (text->preloaded_base_key != NULL)
        KF_TRY(kf_text_copy(profile->preloaded_base_key, sizeof profile->preloaded_base_key,
                            text->preloaded_base_key));
    /* GP 2.3.1 11.8.2.2: 01 to 7F; design: SCP03 keys stand in 30 to 3F, SCP02 in 20 to 2F. */
    if (profile->key_version < 0x20 || profile->key_version > 0x3F)
        return kf_fail(error, KF_ERR_PROFILE, "profile: key_version 0x%02X is outside 0x20 to 0x3F",
                       profile->key_version);
    if (profile->key_size != 16 && profile->key_size != 24 && profile->key_size != 32)
        return kf_fail(error, KF_ERR_PROFILE, "profile: key_size %zu is none of 16, 24, 32",
                       profile->key_size);
    if (profile->module_count == 0 && profile->key_injection != KF_INJECT_PRELOADED)
        return kf_fail(error, KF_ERR_PROFILE,
                       "profile: key_injection needs at least one entry in domain.modules");
    return KF_OK;
}

static kf_code read_place(const field_text *text, kf_profile_field *field, kf_error *error)
{
    switch (field->place) {
    case KF_PLACE_DOMAIN_TAG:
        field->tag = text->tag;
        if (field->tag != 0x42 && field->tag != 0x45 && field->tag != 0x5F50)
            return kf_fail(
                error, KF_ERR_PROFILE,
                "profile: personalisation %s: a security domain keeps tags 0x42, 0x45 and 0x5F50, not 0x%X",
                field->name, field->tag);
        return KF_OK;
    case KF_PLACE_SIM_FILE: {
        if (text->path == NULL)
            return kf_fail(error, KF_ERR_PROFILE, "profile: personalisation %s: a sim-file needs a path",
                           field->name);
        KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
        KF_TRY(read_bytes("path", text->path, KF_FILE_PATH_MAX, &path, error));
        if (path.size == 0 || path.size % 2 != 0)
            return kf_fail(error, KF_ERR_PROFILE,
                           "profile: personalisation %s: path \"%s\" is no list of file identifiers",
                           field->name, text->path);
        memcpy(field->path, path.data, path.size);
        field->path_size = path.size;
        return KF_OK;
    }
    case KF_PLACE_APPLICATION:
    default:
        field->tag = text->dgi;
        if (text->application == NULL || text->dgi == 0)
            return kf_fail(error, KF_ERR_PROFILE,
                           "profile: personalisation %s: an application needs its AID and a dgi",
                           field->name);
        return read_aid("application", text->application, &field->application, error);
    }
}

static bool same_place(const kf_profile_field *left, const kf_profile_field *right)
{
    return left->place == right->place && left->tag == right->tag &&
           kf_view_equal(kf_aid_view(&left->application), kf_aid_view(&right->application)) &&
           kf_view_equal(kf_view_of(left->path, left->path_size), kf_view_of(right->path, right->path_size));
}

/* Records and results hold all names in one list. */
static kf_code check_names_fit(const kf_profile *profile, kf_error *error)
{
    size_t size = 0;
    for (size_t i = 0; i < profile->field_count; i++)
        size += strlen(profile->fields[i].name) + 1;
    if (size <= KF_VALUE_TEXT_SIZE) return KF_OK;
    return kf_fail(error, KF_ERR_PROFILE,
                   "profile: the personalisation fields' names have %zu characters with commas between; at "
                   "most %d are taken",
                   size - 1, KF_VALUE_TEXT_SIZE - 1);
}

static kf_code read_field(const field_text *text, kf_profile *profile, kf_error *error)
{
    kf_profile_field *field = &profile->fields[profile->field_count];
    if (!kf_value_name_is_valid(text->field))
        return kf_fail(error, KF_ERR_PROFILE,
                       "profile: personalisation \"%.40s\" is not named with 1 to 32 of a-z, 0-9 and _",
                       text->field);
    KF_TRY(kf_text_copy(field->name, sizeof field->name, text->field));
    for (size_t i = 0; i < profile->field_count; i++)
        if (strcmp(profile->fields[i].name, field->name) == 0)
            return kf_fail(error, KF_ERR_PROFILE, "profile: personalisation %s stands twice", field->name);
    field->place = (kf_place)text->place;
    field->derived_size = text->derived_size;
    field->secret = text->secret;
    KF_TRY(read_place(text, field, error));
    for (size_t i = 0; i < profile->field_count; i++)
        if (same_place(&profile->fields[i], field))
            return kf_fail(error, KF_ERR_PROFILE, "profile: personalisation %s and %s go to the same place",
                           profile->fields[i].name, field->name);
    if (field->secret && field->place == KF_PLACE_SIM_FILE)
        return kf_fail(error, KF_ERR_PROFILE,
                       "profile: personalisation %s: SIM files are written in clear at the reader; a secret "
                       "cannot go there",
                       field->name);
    if (field->secret && field->place == KF_PLACE_DOMAIN_TAG)
        return kf_fail(error, KF_ERR_PROFILE,
                       "profile: personalisation %s: a security domain's tags are read by anyone; a secret "
                       "goes into an application",
                       field->name);
    if (field->secret && field->derived_size == 0)
        return kf_fail(error, KF_ERR_PROFILE,
                       "profile: personalisation %s: a secret cannot come from an order, which passes host "
                       "and terminal; give "
                       "derived_size",
                       field->name);
    if (field->derived_size > 64)
        return kf_fail(error, KF_ERR_PROFILE, "profile: personalisation %s: derived_size %zu is above 64",
                       field->name, field->derived_size);
    profile->field_count++;
    return KF_OK;
}

static kf_code convert(const profile_text *text, kf_profile *profile, kf_error *error)
{
    KF_TRY(kf_text_copy(profile->name, sizeof profile->name, text->name));
    if (strspn(profile->name, NAME_CHARACTERS) != strlen(profile->name))
        return kf_fail(error, KF_ERR_PROFILE, "profile: name \"%s\" is not of a-z A-Z 0-9 - _ .",
                       profile->name);
    KF_TRY(read_aid("issuer_domain", text->issuer_domain, &profile->issuer_domain, error));
    profile->security_level = text->security_level;
    /* Between vault and chip every command that carries a key is encrypted and authenticated. */
    if (profile->security_level != 0x03 && profile->security_level != 0x13 && profile->security_level != 0x33)
        return kf_fail(error, KF_ERR_PROFILE,
                       "profile: security_level 0x%02X: keys are sent with C-MAC and C-DECRYPTION only: "
                       "0x03, 0x13 or 0x33",
                       profile->security_level);
    profile->order = (kf_order)text->order;
    KF_TRY(read_domain(&text->domain, profile, error));
    for (unsigned i = 0; i < text->personalisation_count; i++)
        KF_TRY(read_field(&text->personalisation[i], profile, error));
    return check_names_fit(profile, error);
}

kf_code kf_profile_parse(kf_view text, kf_profile *ret_profile, kf_error *error)
{
    if (text.size == 0 || text.size > KF_PROFILE_TEXT_MAX)
        return kf_fail(error, KF_ERR_PROFILE, "profile: %zu bytes; 1 to %d are taken", text.size,
                       KF_PROFILE_TEXT_MAX);
    void *loaded = NULL;
    if (kf_config_parse("profile", text, &profile_schema, &loaded, error) != KF_OK) {
        if (error != NULL) error->code = KF_ERR_PROFILE;
        return KF_ERR_PROFILE;
    }
    kf_profile profile = {0};
    kf_code code = convert(loaded, &profile, error);
    kf_config_free(&profile_schema, &loaded);
    KF_TRY(code);
    KF_TRY(kf_sha256(text, profile.digest));
    *ret_profile = profile;
    return KF_OK;
}

bool kf_profile_has_place(const kf_profile *profile, kf_place place)
{
    for (size_t i = 0; i < profile->field_count; i++)
        if (profile->fields[i].place == place) return true;
    return false;
}
