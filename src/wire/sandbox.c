#include "wire/sandbox.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "wire/system_calls.h"

#define NAME_SERVER_PORT 53

static const char *const read_by_all[] = {
    "/etc/ld.so.cache",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/etc/gai.conf",
    "/etc/nsswitch.conf",
    "/etc/services",
    "/etc/localtime",
    "/etc/gnutls",
    "/etc/ssl",
    "/usr/share/zoneinfo",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/dev/urandom",
    "/dev/null",
    "/sys/devices/system/cpu",
};

kf_code kf_sandbox_begin(unsigned ports, kf_sandbox *ret_sandbox, kf_error *error)
{
    KF_CLEANUP(kf_sandbox_end) kf_sandbox sandbox = KF_SANDBOX_INIT;
    if (!KF_UNDER_SANITIZER) KF_TRY(kf_landlock_begin(ports, &sandbox.rules, error));
    for (size_t i = 0; i < sizeof read_by_all / sizeof read_by_all[0]; i++)
        KF_TRY(kf_landlock_allow(&sandbox.rules, read_by_all[i], KF_LANDLOCK_READ, error));
    KF_TRY(kf_landlock_allow(&sandbox.rules, "/dev/null", KF_LANDLOCK_WRITE, error));
    KF_TRY(kf_landlock_allow_port(&sandbox.rules, KF_LANDLOCK_CONNECT, NAME_SERVER_PORT, error));
    *ret_sandbox = sandbox;
    sandbox = (kf_sandbox)KF_SANDBOX_INIT; /* the caller owns it now */
    return KF_OK;
}

kf_code kf_sandbox_allow_folder(kf_sandbox *sandbox, const char *path, kf_landlock_access access,
                                kf_error *error)
{
    return path != NULL ? kf_landlock_allow(&sandbox->rules, path, access, error) : KF_OK;
}

kf_code kf_sandbox_allow_file(kf_sandbox *sandbox, const char *path, kf_landlock_access access,
                              kf_error *error)
{
    if (path == NULL) return KF_OK;
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return kf_landlock_allow(&sandbox->rules, ".", access, error);
    /* A file in / opens no more than itself. */
    if (slash == path) return kf_landlock_allow(&sandbox->rules, path, access, error);
    char *folder = strndup(path, (size_t)(slash - path));
    if (folder == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    kf_code code = kf_landlock_allow(&sandbox->rules, folder, access, error);
    free(folder);
    return code;
}

kf_code kf_sandbox_allow_bind(kf_sandbox *sandbox, uint16_t port, kf_error *error)
{
    return kf_landlock_allow_port(&sandbox->rules, KF_LANDLOCK_BIND, port, error);
}

static void free_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void free_part(char **part)
{
    curl_free(*part);
}

kf_code kf_sandbox_allow_connect(kf_sandbox *sandbox, const char *url, kf_error *error)
{
    if (url == NULL) return KF_OK;
    KF_CLEANUP(free_url) CURLU *parsed = curl_url();
    KF_CLEANUP(free_part) char *port = NULL;
    if (parsed == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return kf_fail(error, KF_ERR_CONFIGURATION, "'%s' is no URL with a port that can be known", url);
    return kf_landlock_allow_port(&sandbox->rules, KF_LANDLOCK_CONNECT, (uint16_t)strtoul(port, NULL, 10),
                                  error);
}

kf_code kf_sandbox_allow_unit(kf_sandbox *sandbox, const kf_unit_config *unit, kf_error *error)
{
    const char *files[] = {unit->ca, unit->certificate, unit->private_key, unit->crl};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        KF_TRY(kf_sandbox_allow_file(sandbox, files[i], KF_LANDLOCK_READ, error));
    static const char sqlite[] = "sqlite:";
    if (strncmp(unit->database, sqlite, sizeof sqlite - 1) == 0)
        KF_TRY(kf_sandbox_allow_file(sandbox, unit->database + sizeof sqlite - 1, KF_LANDLOCK_WRITE, error));
    return kf_sandbox_allow_bind(sandbox, unit->port, error);
}

kf_code kf_sandbox_enter(kf_sandbox *sandbox, kf_error *error)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "new privileges cannot be forbidden: %s", strerror(errno));
    if (KF_UNDER_SANITIZER) {
        kf_log(KF_LOG_WARNING, "built with a sanitizer: files and system calls are not limited");
        return KF_OK;
    }
    const struct rlimit no_core = {0, 0};
    if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "dumps cannot be forbidden: %s", strerror(errno));
    KF_TRY(kf_landlock_enter(&sandbox->rules, error));
    KF_TRY(kf_system_calls_of_a_unit(error));
    if (sandbox->rules.descriptor < 0)
        kf_log(KF_LOG_WARNING, "this kernel has no Landlock: files are guarded by their permissions alone");
    else
        kf_log(KF_LOG_INFO, "files%s are limited by Landlock %u, system calls by a filter",
               sandbox->rules.ports != 0 ? " and ports" : "", sandbox->rules.version);
    return KF_OK;
}

void kf_sandbox_end(kf_sandbox *sandbox)
{
    kf_landlock_end(&sandbox->rules);
}
