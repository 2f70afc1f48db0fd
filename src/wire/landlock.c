#include "wire/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

/* What headers of Linux 6.1 lack (include/uapi/linux/landlock.h of later ones): the right, and the version of
 * the interface that brought it. */
#define ACCESS_REFER_SINCE 2
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define ACCESS_TRUNCATE_SINCE 3
#define ACCESS_BIND (UINT64_C(1) << 0)
#define ACCESS_CONNECT (UINT64_C(1) << 1)
#define ACCESS_PORTS_SINCE 4
#define ACCESS_DEVICE_CONTROL (UINT64_C(1) << 15)
#define ACCESS_DEVICE_CONTROL_SINCE 5
#define SCOPE_SIGNALS (UINT64_C(1) << 1)
#define SCOPE_SIGNALS_SINCE 6
#define RULE_PORT 2

typedef struct ruleset_attributes {
    uint64_t files;
    uint64_t ports; /* from version 4 */
    uint64_t scope; /* from version 6 */
} ruleset_attributes;

typedef struct port_attributes {
    uint64_t allowed;
    uint64_t port;
} port_attributes;

#define READ_FILES ((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE)
#define READ_FOLDERS (READ_FILES | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_FILES (READ_FILES | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define WRITE_FOLDERS                                                                                        \
    (READ_FOLDERS | WRITE_FILES | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |                \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR)

static uint64_t files_of(unsigned version)
{
    uint64_t files = (LANDLOCK_ACCESS_FS_REFER << 1) - 1; /* all of the first two versions */
    if (version < ACCESS_REFER_SINCE) files &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
    if (version >= ACCESS_TRUNCATE_SINCE) files |= ACCESS_TRUNCATE;
    if (version >= ACCESS_DEVICE_CONTROL_SINCE) files |= ACCESS_DEVICE_CONTROL;
    return files;
}

static size_t attributes_size(unsigned version)
{
    if (version >= SCOPE_SIGNALS_SINCE) return sizeof(ruleset_attributes);
    return version >= ACCESS_PORTS_SINCE ? offsetof(ruleset_attributes, scope)
                                         : offsetof(ruleset_attributes, ports);
}

kf_code kf_landlock_begin(unsigned ports, kf_landlock_rules *ret_rules, kf_error *error)
{
    kf_landlock_rules rules = KF_LANDLOCK_RULES_NONE;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        *ret_rules = rules;
        return KF_OK;
    }
    rules.version = (unsigned)version;
    rules.files = files_of(rules.version);
    rules.ports = rules.version >= ACCESS_PORTS_SINCE ? ports & (ACCESS_BIND | ACCESS_CONNECT) : 0;
    const ruleset_attributes attributes = {rules.files, rules.ports, SCOPE_SIGNALS};
    rules.descriptor =
        (int)syscall(SYS_landlock_create_ruleset, &attributes, attributes_size(rules.version), 0);
    if (rules.descriptor < 0)
        return kf_fail(error, KF_ERR_SYSTEM, "Landlock (version %u) takes no rules: %s", rules.version,
                       strerror(errno));
    *ret_rules = rules;
    return KF_OK;
}

kf_code kf_landlock_allow(const kf_landlock_rules *rules, const char *path, kf_landlock_access access,
                          kf_error *error)
{
    if (rules->descriptor < 0) return KF_OK;
    KF_CLEANUP(kf_descriptor_close) int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES)) return KF_OK;
    struct stat found;
    if (place < 0 || fstat(place, &found) != 0)
        return kf_fail(error, KF_ERR_FILE, "%s: %s", path, strerror(errno));
    uint64_t allowed = S_ISDIR(found.st_mode) ? (access == KF_LANDLOCK_WRITE ? WRITE_FOLDERS : READ_FOLDERS)
                                              : (access == KF_LANDLOCK_WRITE ? WRITE_FILES : READ_FILES);
    const struct landlock_path_beneath_attr rule = {.allowed_access = allowed & rules->files,
                                                    .parent_fd = place};
    if (syscall(SYS_landlock_add_rule, rules->descriptor, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "Landlock takes no rule for %s: %s", path, strerror(errno));
    return KF_OK;
}

kf_code kf_landlock_allow_port(const kf_landlock_rules *rules, kf_landlock_port use, uint16_t port,
                               kf_error *error)
{
    if (rules->descriptor < 0 || (rules->ports & use) == 0) return KF_OK;
    const port_attributes rule = {use, port};
    if (syscall(SYS_landlock_add_rule, rules->descriptor, RULE_PORT, &rule, 0) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "Landlock takes no rule for port %u: %s", (unsigned)port,
                       strerror(errno));
    return KF_OK;
}

kf_code kf_landlock_enter(const kf_landlock_rules *rules, kf_error *error)
{
    if (rules->descriptor < 0) return KF_OK;
    if (syscall(SYS_landlock_restrict_self, rules->descriptor, 0) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "Landlock cannot be entered: %s", strerror(errno));
    return KF_OK;
}

void kf_landlock_end(kf_landlock_rules *rules)
{
    kf_descriptor_close(&rules->descriptor);
}
