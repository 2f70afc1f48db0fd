#include "monitor/monitor_config.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/config.h"

typedef struct vault_section {
    char *user;
    char *directory;
    char *passphrase_file;
    char *roster;
    uint32_t derivations_per_minute; /* 0: the vault's own default */
} vault_section;

typedef struct front_section {
    char *user;
    char *config;
} front_section;

typedef struct hsm_section {
    char *user;
    char *uri;
    char *module;
    char *pin_file;
    char *so_pin_file;
    char **environment;
    unsigned environment_count;
} hsm_section;

typedef struct monitor_file {
    bool development;
    char *programs;
    vault_section vault;
    front_section front;
    hsm_section *hsm; /* NULL: no token */
} monitor_file;

struct kf_monitor_config {
    monitor_file *file;
    char vault_path[PATH_MAX];
    char front_path[PATH_MAX];
    char hsm_path[PATH_MAX];
    char hsm_connections[8];
    char derivations[12];
};

static const cyaml_schema_field_t vault_fields[] = {
    CYAML_FIELD_STRING_PTR("user", CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, vault_section, user, 1, 64),
    CYAML_FIELD_STRING_PTR("directory", CYAML_FLAG_POINTER, vault_section, directory, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("passphrase_file", CYAML_FLAG_POINTER, vault_section, passphrase_file, 1,
                           PATH_MAX),
    CYAML_FIELD_STRING_PTR("roster", CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, vault_section, roster, 1,
                           PATH_MAX),
    CYAML_FIELD_UINT("derivations_per_minute", CYAML_FLAG_OPTIONAL, vault_section, derivations_per_minute),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t front_fields[] = {
    CYAML_FIELD_STRING_PTR("user", CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, front_section, user, 1, 64),
    CYAML_FIELD_STRING_PTR("config", CYAML_FLAG_POINTER, front_section, config, 1, PATH_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t environment_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, PATH_MAX),
};

#define MAY_BE_ABSENT (CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL)

static const cyaml_schema_field_t hsm_fields[] = {
    CYAML_FIELD_STRING_PTR("user", MAY_BE_ABSENT, hsm_section, user, 1, 64),
    CYAML_FIELD_STRING_PTR("uri", CYAML_FLAG_POINTER, hsm_section, uri, 1, 1024),
    CYAML_FIELD_STRING_PTR("module", MAY_BE_ABSENT, hsm_section, module, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("pin_file", CYAML_FLAG_POINTER, hsm_section, pin_file, 1, PATH_MAX),
    CYAML_FIELD_STRING_PTR("so_pin_file", MAY_BE_ABSENT, hsm_section, so_pin_file, 1, PATH_MAX),
    CYAML_FIELD_SEQUENCE("environment", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, hsm_section, environment,
                         &environment_entry, 0, KF_MONITOR_ENVIRONMENT_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_BOOL("development", CYAML_FLAG_OPTIONAL, monitor_file, development),
    CYAML_FIELD_STRING_PTR("programs", CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL, monitor_file, programs,
                           1, PATH_MAX),
    CYAML_FIELD_MAPPING("vault", CYAML_FLAG_DEFAULT, monitor_file, vault, vault_fields),
    CYAML_FIELD_MAPPING("front", CYAML_FLAG_DEFAULT, monitor_file, front, front_fields),
    CYAML_FIELD_MAPPING_PTR("hsm", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, monitor_file, hsm, hsm_fields),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t file_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, monitor_file, file_fields)};

void kf_monitor_config_free(kf_monitor_config **config)
{
    if (*config == NULL) return;
    void *file = (*config)->file;
    kf_config_free(&file_schema, &file);
    free(*config);
    *config = NULL;
}

/* Whoever can write it decides what root starts. */
static kf_code check_file(const char *path, kf_error *error)
{
    struct stat found;
    if (stat(path, &found) != 0)
        return kf_fail(error, KF_ERR_FILE, "%s cannot be opened: %s", path, strerror(errno));
    if ((found.st_uid != 0 && found.st_uid != geteuid()) || (found.st_mode & 0022) != 0)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "%s can be written by others (owner %u, mode %04o): chown it to user %u and chmod 644",
                       path, (unsigned)found.st_uid, (unsigned)(found.st_mode & 07777), (unsigned)geteuid());
    return KF_OK;
}

static kf_code check_absolute(const char *key, const char *path, kf_error *error)
{
    if (path == NULL || path[0] == '/') return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "%s: the path %s must be absolute", key, path);
}

/* Or "credential:NAME": what only the monitor can read (monitor.h). */
static kf_code check_secret_file(const char *key, const char *path, kf_error *error)
{
    static const char credential[] = KF_MONITOR_CREDENTIAL;
    if (path == NULL || strncmp(path, credential, sizeof credential - 1) != 0)
        return check_absolute(key, path, error);
    const char *name = path + sizeof credential - 1;
    if (*name != '\0' && *name != '.' && strchr(name, '/') == NULL) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "%s: '%s' is no credential's name", key, name);
}

static kf_code find_programs(kf_monitor_config *config, kf_monitor_unit unit, kf_error *error)
{
    char own[PATH_MAX];
    const char *folder = config->file->programs;
    if (folder == NULL) {
        ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
        if (size < 0) return kf_fail(error, KF_ERR_SYSTEM, "/proc/self/exe: %s", strerror(errno));
        own[size] = '\0';
        *strrchr(own, '/') = '\0';
        folder = own;
    }
    const char *front = unit == KF_MONITOR_KMU ? "keyfill-kmu-front" : "keyfill-bkm-front";
    int vault_size = snprintf(config->vault_path, sizeof config->vault_path, "%s/keyfill-vault", folder);
    int front_size = snprintf(config->front_path, sizeof config->front_path, "%s/%s", folder, front);
    int hsm_size = snprintf(config->hsm_path, sizeof config->hsm_path, "%s/keyfill-hsm", folder);
    if (vault_size < 0 || front_size < 0 || hsm_size < 0 || (size_t)vault_size >= sizeof config->vault_path ||
        (size_t)front_size >= sizeof config->front_path || (size_t)hsm_size >= sizeof config->hsm_path)
        return kf_fail(error, KF_ERR_CONFIGURATION, "programs: the path is too long");
    const char *const paths[3] = {config->vault_path, config->front_path, config->hsm_path};
    for (size_t i = 0; i < (config->file->hsm != NULL ? 3U : 2U); i++)
        if (access(paths[i], X_OK) != 0)
            return kf_fail(error, KF_ERR_CONFIGURATION, "programs: %s cannot be run: %s", paths[i],
                           strerror(errno));
    return KF_OK;
}

/* "1234" or "1234:1235". */
static bool read_numbers(const char *text, unsigned long *ret_user, unsigned long *ret_group)
{
    char *end;
    if (*text < '0' || *text > '9') return false;
    *ret_user = strtoul(text, &end, 10);
    *ret_group = *ret_user;
    if (*end == ':' && end[1] >= '0' && end[1] <= '9') *ret_group = strtoul(end + 1, &end, 10);
    return *end == '\0' && *ret_user < UINT32_MAX && *ret_group < UINT32_MAX;
}

static kf_code find_user(const char *section, const char *name, kf_monitor_program *program, kf_error *error)
{
    unsigned long user;
    unsigned long group;
    if (read_numbers(name, &user, &group)) {
        program->user = (uid_t)user;
        program->group = (gid_t)group;
    } else {
        const struct passwd *found = getpwnam(name);
        if (found == NULL)
            return kf_fail(error, KF_ERR_CONFIGURATION, "%s: there is no user %s; make it, or give a number",
                           section, name);
        program->user = found->pw_uid;
        program->group = found->pw_gid;
    }
    if (program->user == 0)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s: it does not run as root; name another user",
                       section);
    program->change_user = true;
    return KF_OK;
}

/* Whoever is this user can ask the token for any card's key. */
static kf_code find_hsm_user(const hsm_section *hsm, kf_monitor_plan *plan, kf_error *error)
{
    if (hsm->user == NULL) return kf_fail(error, KF_ERR_CONFIGURATION, "hsm: user is missing");
    KF_TRY(find_user("hsm", hsm->user, &plan->hsm, error));
    if (plan->hsm.user == plan->vault.user || plan->hsm.user == plan->front.user)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "hsm: its user %u is the vault's or the front's: give it one of its own",
                       (unsigned)plan->hsm.user);
    return KF_OK;
}

static kf_code find_users(const monitor_file *file, kf_monitor_plan *plan, kf_error *error)
{
    bool root = geteuid() == 0;
    if (!root && !file->development)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "front and vault run under two users, which only root can give them: start this as "
                       "root; for a try, set development: true");
    if (root && file->vault.user != NULL && file->front.user != NULL) {
        KF_TRY(find_user("vault", file->vault.user, &plan->vault, error));
        KF_TRY(find_user("front", file->front.user, &plan->front, error));
        if (plan->vault.user == plan->front.user)
            return kf_fail(error, KF_ERR_CONFIGURATION,
                           "front and vault have the same user %u: the front could read the keys",
                           (unsigned)plan->vault.user);
        return file->hsm != NULL ? find_hsm_user(file->hsm, plan, error) : KF_OK;
    }
    if (!file->development)
        return kf_fail(error, KF_ERR_CONFIGURATION, "vault: user and front: user are both needed");
    kf_log(KF_LOG_WARNING,
           "development: front and vault run under one user; whoever breaks into the front has the keys");
    return KF_OK;
}

static void fill_arguments(kf_monitor_config *config, kf_monitor_unit unit, kf_monitor_plan *plan)
{
    const monitor_file *file = config->file;
    const char *const vault[] = {"keyfill-vault",
                                 "--unit",
                                 unit == KF_MONITOR_KMU ? "kmu" : "bkmu",
                                 "--directory",
                                 file->vault.directory,
                                 "--passphrase-file",
                                 file->vault.passphrase_file,
                                 "--descriptor",
                                 "3"};
    const char *const front[] = {strrchr(config->front_path, '/') + 1, "--config", file->front.config,
                                 "--vault-descriptor", "3"};
    memcpy(plan->vault.arguments, vault, sizeof vault);
    memcpy(plan->front.arguments, front, sizeof front);
    size_t count = sizeof vault / sizeof vault[0];
    if (file->vault.roster != NULL) {
        plan->vault.arguments[count++] = "--roster";
        plan->vault.arguments[count++] = file->vault.roster;
    }
    if (file->vault.derivations_per_minute != 0) {
        (void)snprintf(config->derivations, sizeof config->derivations, "%u",
                       (unsigned)file->vault.derivations_per_minute);
        plan->vault.arguments[count++] = "--derivations-per-minute";
        plan->vault.arguments[count++] = config->derivations;
    }
    if (file->hsm != NULL) {
        plan->vault.arguments[count++] = "--hsm-descriptor";
        plan->vault.arguments[count++] = "4";
    }
    if (file->development) {
        plan->vault.arguments[count] = "--development";
        plan->front.arguments[sizeof front / sizeof front[0]] = "--development";
    }
}

/* A connection for each of the vault's threads. */
static size_t count_connections(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 4) return 4;
    return processors < KF_MONITOR_DESCRIPTORS_MAX ? (size_t)processors : KF_MONITOR_DESCRIPTORS_MAX;
}

static kf_code check_hsm(const hsm_section *hsm, kf_error *error)
{
    KF_TRY(check_absolute("hsm: module", hsm->module, error));
    KF_TRY(check_secret_file("hsm: pin_file", hsm->pin_file, error));
    KF_TRY(check_secret_file("hsm: so_pin_file", hsm->so_pin_file, error));
    for (unsigned i = 0; i < hsm->environment_count; i++)
        if (strchr(hsm->environment[i], '=') == NULL || hsm->environment[i][0] == '=')
            return kf_fail(error, KF_ERR_CONFIGURATION, "hsm: environment: %s is not NAME=VALUE",
                           hsm->environment[i]);
    return KF_OK;
}

static kf_code plan_hsm(kf_monitor_config *config, kf_monitor_plan *plan, kf_error *error)
{
    const hsm_section *hsm = config->file->hsm;
    kf_monitor_program *program = &plan->hsm;
    KF_TRY(check_hsm(hsm, error));
    plan->hsm_connections = count_connections();
    (void)snprintf(config->hsm_connections, sizeof config->hsm_connections, "%zu", plan->hsm_connections);
    const char *const arguments[] = {"keyfill-hsm", "--uri",         hsm->uri,
                                     "--pin-file",  hsm->pin_file,   "--descriptor",
                                     "3",           "--connections", config->hsm_connections};
    size_t count = sizeof arguments / sizeof arguments[0];
    memcpy(program->arguments, arguments, sizeof arguments);
    if (hsm->module != NULL) {
        program->arguments[count++] = "--module";
        program->arguments[count++] = hsm->module;
    }
    if (hsm->so_pin_file != NULL) {
        program->arguments[count++] = "--so-pin-file";
        program->arguments[count++] = hsm->so_pin_file;
    }
    if (config->file->development) program->arguments[count] = "--development";
    for (unsigned i = 0; i < hsm->environment_count; i++)
        program->environment[i] = hsm->environment[i];
    program->name = "keyfill-hsm";
    program->path = config->hsm_path;
    program->locks_memory = true;
    return KF_OK;
}

static kf_code make_plan(kf_monitor_config *config, kf_monitor_unit unit, kf_monitor_plan *plan,
                         kf_error *error)
{
    const monitor_file *file = config->file;
    KF_TRY(check_absolute("programs", file->programs, error));
    KF_TRY(check_absolute("vault: directory", file->vault.directory, error));
    KF_TRY(check_secret_file("vault: passphrase_file", file->vault.passphrase_file, error));
    KF_TRY(check_absolute("vault: roster", file->vault.roster, error));
    KF_TRY(check_absolute("front: config", file->front.config, error));
    KF_TRY(find_programs(config, unit, error));
    KF_TRY(find_users(file, plan, error));
    plan->vault.name = "vault";
    plan->vault.path = config->vault_path;
    plan->vault.locks_memory = true;
    plan->front.name = "front";
    plan->front.path = config->front_path;
    plan->front.tells_ready = true;
    fill_arguments(config, unit, plan);
    return file->hsm != NULL ? plan_hsm(config, plan, error) : KF_OK;
}

kf_code kf_monitor_config_load(const char *path, kf_monitor_unit unit, kf_monitor_config **ret_config,
                               kf_monitor_plan *ret_plan, kf_error *error)
{
    KF_CLEANUP(kf_monitor_config_free) kf_monitor_config *config = calloc(1, sizeof *config);
    if (config == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(check_file(path, error));
    void *file = NULL;
    KF_TRY(kf_config_load(path, &file_schema, &file, error));
    config->file = file;
    kf_monitor_plan plan;
    memset(&plan, 0, sizeof plan);
    if (make_plan(config, unit, &plan, error) != KF_OK) return kf_error_prefix(error, "%s", path);
    *ret_plan = plan;
    *ret_config = config;
    config = NULL; /* the caller owns it now */
    return KF_OK;
}
