/* The configuration of keyfill-kmud and keyfill-bkmd: who runs what. All paths are absolute.
 *
 *     development: false            one user for both, keys that are for development only; said in the log
 *     programs: /usr/libexec/keyfill  where front and vault are; absent: beside this program
 *     vault:
 *       user: keyfill-vault         a name, a number, or UID:GID
 *       directory: /var/lib/keyfill/kmu/keys
 *       passphrase_file: /etc/keyfill/kmu.passphrase
 *       roster: /etc/keyfill/kmu.roster   the first officers; read while the key store has none
 *       derivations_per_minute: 120000    card keys at most, 60 to 100000000
 *     front:
 *       user: keyfill-kmu
 *       config: /etc/keyfill/kmu-front.yaml
 *     hsm:                          base keys in a PKCS#11 token; absent: in the vault's key files
 *       user: keyfill-hsm
 *       uri: pkcs11:token=keyfill-kmu
 *       module: /usr/lib/softhsm/libsofthsm2.so   absent: the URI's module-path, or what p11-kit knows
 *       pin_file: /etc/keyfill/kmu.pin
 *       so_pin_file: /etc/keyfill/bkmu.so-pin     where base keys go to other units' tokens
 *       environment: [NAME=VALUE]                 what the module reads
 *
 * passphrase_file, pin_file and so_pin_file may be credential:NAME instead: what the service manager loaded
 * for the monitor alone, in CREDENTIALS_DIRECTORY.
 */
#ifndef KEYFILL_MONITOR_MONITOR_CONFIG_H
#define KEYFILL_MONITOR_MONITOR_CONFIG_H

#include "monitor/monitor.h"

typedef enum kf_monitor_unit { KF_MONITOR_KMU, KF_MONITOR_BKMU } kf_monitor_unit;

typedef struct kf_monitor_config kf_monitor_config;

/* Reads the file and makes the plan of it, which points into the configuration. KF_ERR_CONFIGURATION: a key
 * is wrong, the file can be written by others, a user does not exist, both users are one, or this process is
 * not root without `development: true`. */
kf_code kf_monitor_config_load(const char *path, kf_monitor_unit unit, kf_monitor_config **ret_config,
                               kf_monitor_plan *ret_plan, kf_error *error) KF_MUST_USE;
/* Frees, sets NULL. Fits KF_CLEANUP. */
void kf_monitor_config_free(kf_monitor_config **config);

#endif
