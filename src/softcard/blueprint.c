#include "softcard/blueprint.h"

#include <stdlib.h>
#include <string.h>

#include "wire/config.h"

#define TEXT(name, place, flags)                                                                             \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | (flags), softcard_blueprint, place, 0, 256)
#define DOMAIN_TEXT(name, place, flags)                                                                      \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER | (flags), softcard_domain_blueprint, place, 0, 512)

#define KEY_TEXT(name, place)                                                                                \
    CYAML_FIELD_STRING_PTR(name, CYAML_FLAG_POINTER, softcard_key_blueprint, place, 0, 1100)

static const cyaml_schema_field_t key_fields[] = {
    KEY_TEXT("version", version),
    KEY_TEXT("id", identifier),
    KEY_TEXT("type", type),
    KEY_TEXT("key", key),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t key_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, softcard_key_blueprint, key_fields),
};

static const cyaml_schema_field_t domain_fields[] = {
    DOMAIN_TEXT("aid", aid, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("key_version", key_version, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("scp", protocols, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("i", parameter, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("scp02_i", scp02_parameter, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("privileges", privileges, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("life_cycle", life_cycle, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("keys", keys, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("master_key", master_key, CYAML_FLAG_OPTIONAL),
    DOMAIN_TEXT("diversification", diversification, CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_BOOL("published-test-keys", CYAML_FLAG_OPTIONAL, softcard_domain_blueprint,
                     published_test_keys),
    CYAML_FIELD_SEQUENCE("more_keys", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, softcard_domain_blueprint,
                         more_keys, &key_schema, 0, SOFTCARD_BLUEPRINT_KEYS_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t domain_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, softcard_domain_blueprint, domain_fields),
};

static const cyaml_schema_field_t card_fields[] = {
    TEXT("personality", personality, CYAML_FLAG_OPTIONAL),
    TEXT("iccid", iccid, CYAML_FLAG_OPTIONAL),
    TEXT("imsi", imsi, CYAML_FLAG_OPTIONAL),
    TEXT("msisdn", msisdn, CYAML_FLAG_OPTIONAL),
    TEXT("spn", spn, CYAML_FLAG_OPTIONAL),
    TEXT("pin1", pin1, CYAML_FLAG_OPTIONAL),
    TEXT("puk1", puk1, CYAML_FLAG_OPTIONAL),
    TEXT("adm1", adm1, CYAML_FLAG_OPTIONAL),
    TEXT("adm1_master_key", adm1_master_key, CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_STRING_PTR("adm1_diversification", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                           softcard_blueprint, adm1_diversification, 0, 512),
    TEXT("kdd", kdd, CYAML_FLAG_OPTIONAL),
    TEXT("cplc", cplc, CYAML_FLAG_OPTIONAL),
    TEXT("atr", atr, CYAML_FLAG_OPTIONAL),
    TEXT("scp", protocol, CYAML_FLAG_OPTIONAL),
    TEXT("i", parameter, CYAML_FLAG_OPTIONAL),
    TEXT("scp02_i", scp02_parameter, CYAML_FLAG_OPTIONAL),
    TEXT("ota_minimum_security", remote_minimum_security, CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_UINT("memory", CYAML_FLAG_OPTIONAL, softcard_blueprint, memory),
    CYAML_FIELD_UINT("logical_channels", CYAML_FLAG_OPTIONAL, softcard_blueprint, logical_channels),
    CYAML_FIELD_BOOL("extended_length", CYAML_FLAG_OPTIONAL, softcard_blueprint, extended_length),
    CYAML_FIELD_UINT("pin1_tries", CYAML_FLAG_OPTIONAL, softcard_blueprint, pin1_tries),
    CYAML_FIELD_UINT("adm1_tries", CYAML_FLAG_OPTIONAL, softcard_blueprint, adm1_tries),
    CYAML_FIELD_UINT("failure_limit", CYAML_FLAG_OPTIONAL, softcard_blueprint, failure_limit),
    CYAML_FIELD_BOOL("counts_unfinished", CYAML_FLAG_OPTIONAL, softcard_blueprint, counts_unfinished),
    CYAML_FIELD_BOOL("imsi_needs_pin", CYAML_FLAG_OPTIONAL, softcard_blueprint, imsi_needs_pin),
    CYAML_FIELD_BOOL("msisdn_needs_pin", CYAML_FLAG_OPTIONAL, softcard_blueprint, msisdn_needs_pin),
    CYAML_FIELD_MAPPING_PTR("issuer", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, softcard_blueprint, issuer,
                            domain_fields),
    CYAML_FIELD_SEQUENCE("domains", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, softcard_blueprint, domains,
                         &domain_schema, 0, SOFTCARD_BLUEPRINT_DOMAINS_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t card_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, softcard_blueprint, card_fields),
};

static const cyaml_config_t quiet = {
    .log_level = CYAML_LOG_ERROR,
    .mem_fn = cyaml_mem,
    .flags = CYAML_CFG_DEFAULT,
};

kf_code softcard_blueprint_read(const char *path, softcard_blueprint **ret_blueprint, kf_error *error)
{
    void *loaded = NULL;
    KF_TRY(kf_config_load(path, &card_schema, &loaded, error));
    *ret_blueprint = loaded;
    return KF_OK;
}

kf_code softcard_blueprint_new(softcard_blueprint **ret_blueprint)
{
    softcard_blueprint *blueprint = calloc(1, sizeof *blueprint);
    if (blueprint == NULL) return KF_ERR_MEMORY;
    *ret_blueprint = blueprint;
    return KF_OK;
}

static void wipe_text(char *text)
{
    if (text != NULL) explicit_bzero(text, strlen(text));
}

kf_code softcard_blueprint_set(char **place, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) return KF_ERR_MEMORY;
    wipe_text(*place);
    free(*place);
    *place = copy;
    return KF_OK;
}

static void wipe_domain(softcard_domain_blueprint *domain)
{
    wipe_text(domain->keys);
    wipe_text(domain->master_key);
    for (unsigned i = 0; i < domain->more_keys_count; i++)
        wipe_text(domain->more_keys[i].key);
}

void softcard_blueprint_free(softcard_blueprint **blueprint)
{
    if (*blueprint == NULL) return;
    wipe_text((*blueprint)->pin1);
    wipe_text((*blueprint)->puk1);
    wipe_text((*blueprint)->adm1);
    wipe_text((*blueprint)->adm1_master_key);
    if ((*blueprint)->issuer != NULL) wipe_domain((*blueprint)->issuer);
    for (unsigned i = 0; i < (*blueprint)->domains_count; i++)
        wipe_domain(&(*blueprint)->domains[i]);
    cyaml_free(&quiet, &card_schema, *blueprint, 0);
    *blueprint = NULL;
}
