/* YAML files against a schema: configurations of the programs, card profiles.
 *
 * The schema is libcyaml's: a CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct, fields). Strings that may be
 * absent are CYAML_FIELD_STRING_PTR with CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL. Aliases are refused.
 */
#ifndef KEYFILL_WIRE_CONFIG_H
#define KEYFILL_WIRE_CONFIG_H

#include <cyaml/cyaml.h>

#include <keyfill/bytes.h>

#define KF_CONFIG_SIZE_MAX ((size_t)256 * 1024) /* bytes of a file */

/* `*ret_config` is the schema's struct, freed with kf_config_free under the same schema. KF_ERR_FILE,
 * KF_ERR_TOO_LONG, KF_ERR_CONFIGURATION: the sentence names file and line, and for a key that is not known
 * the nearest one that is. */
kf_code kf_config_load(const char *path, const cyaml_schema_value_t *schema, void **ret_config,
                       kf_error *error) KF_MUST_USE;
/* The same of text; `name` stands for the path in messages. */
kf_code kf_config_parse(const char *name, kf_view text, const cyaml_schema_value_t *schema, void **ret_config,
                        kf_error *error) KF_MUST_USE;
/* Frees, sets NULL; strings in it are wiped by nobody: no secrets in configuration files. */
void kf_config_free(const cyaml_schema_value_t *schema, void **config);

/* Rows of a schema: `member` of `structure` under `key`. A text that may be absent is NULL then, a number 0.
 */
#define KF_CONFIG_TEXT(key, structure, member)                                                               \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, structure, member, 1, CYAML_UNLIMITED)
#define KF_CONFIG_OPTIONAL_TEXT(key, structure, member)                                                      \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, structure, member, 1,         \
                           CYAML_UNLIMITED)
#define KF_CONFIG_OPTIONAL_NUMBER(key, structure, member)                                                    \
    CYAML_FIELD_UINT(key, CYAML_FLAG_OPTIONAL, structure, member)

/* What a key means that the file leaves out: each puts the standard value in its place, and refuses, with
 * KF_ERR_CONFIGURATION naming file (`path`) and key, what is out of range. */
kf_code kf_config_default_text(char **text, const char *standard, kf_error *error) KF_MUST_USE;

typedef struct kf_config_number {
    const char *key;
    uint32_t *value; /* 0: left out */
    uint32_t standard;
    uint32_t most;
} kf_config_number;
kf_code kf_config_default_number(const char *path, const kf_config_number *number,
                                 kf_error *error) KF_MUST_USE;
/* The key log_level: "info" where it is left out, else one of the four. */
kf_code kf_config_default_log_level(const char *path, char **log_level, kf_error *error) KF_MUST_USE;

#endif
