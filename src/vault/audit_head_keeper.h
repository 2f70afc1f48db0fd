/* Has heads of the audit log signed at intervals and at the end, and sends copies to outside places:
 *
 *     audit:
 *       interval_seconds: 60        a log that grew is signed after so long,
 *       rows: 1000                  or after so many rows
 *       file: /mnt/worm/kmu.heads   outside copies (audit/outside.h); each may be left out
 *       syslog: /dev/log
 *       https: https://auditors.example/heads
 */
#ifndef KEYFILL_VAULT_AUDIT_HEAD_KEEPER_H
#define KEYFILL_VAULT_AUDIT_HEAD_KEEPER_H

#include "vault/front.h"
#include "wire/sandbox.h"
#include "wire/unit_config.h"

typedef struct kf_audit_config {
    uint32_t interval_seconds;
    uint32_t rows;
    char *file;
    char *syslog;
    char *https;
} kf_audit_config;

extern const cyaml_schema_field_t kf_audit_config_fields[];
/* The row of a unit's schema for its member `audit`, a pointer that is NULL where the key is left out. */
#define KF_AUDIT_CONFIG_FIELD(structure)                                                                     \
    CYAML_FIELD_MAPPING_PTR("audit", CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, structure, audit,        \
                            kf_audit_config_fields)
/* KF_ERR_CONFIGURATION names file and key. `config` may be NULL. */
kf_code kf_audit_config_fill_in(const char *path, kf_audit_config *config, kf_error *error) KF_MUST_USE;

/* For the unit's sandbox: the folder of the file, the port of the HTTPS place. `config` may be NULL. */
kf_code kf_audit_config_limit(const kf_audit_config *config, kf_sandbox *sandbox,
                              kf_error *error) KF_MUST_USE;

typedef struct kf_audit_keeper kf_audit_keeper;

typedef struct kf_audit_keeper_options {
    const kf_front *front;
    const kf_audit_config *config; /* NULL: the defaults, no outside places */
    const kf_unit_config *unit;    /* whose certificate is shown to an HTTPS place */
    const char *program;           /* static */
} kf_audit_keeper_options;

/* Starts its thread. What fails later is logged, and tried again. */
kf_code kf_audit_keeper_start(const kf_audit_keeper_options *options, kf_audit_keeper **ret_keeper,
                              kf_error *error) KF_MUST_USE;
/* When nothing writes to the log any more: the last head is signed and sent. NULL and pointers to NULL are
 * fine; sets NULL. */
void kf_audit_keeper_end(kf_audit_keeper **keeper);

#endif
