#include "vault/roster_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "vault/proposal_acts.h"

/* Whoever can write it decides who the officers are. */
static kf_code check_unwritable(int descriptor, const char *path, kf_error *error)
{
    struct stat found;
    if (fstat(descriptor, &found) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "%s: %s", path, strerror(errno));
    if (S_ISREG(found.st_mode) && (found.st_uid == geteuid() || found.st_uid == 0) &&
        (found.st_mode & 0022) == 0)
        return KF_OK;
    return kf_fail(
        error, KF_ERR_KEY_STORE,
        "the roster %s has owner %u and mode %04o; it must be a file of root or user %u that nobody "
        "else can write: chown root %s && chmod 644 %s",
        path, (unsigned)found.st_uid, (unsigned)(found.st_mode & 07777), (unsigned)geteuid(), path, path);
}

static kf_code read_descriptor(int descriptor, const char *path, kf_buffer *text, kf_error *error)
{
    char part[4096];
    ssize_t got;
    while ((got = read(descriptor, part, sizeof part)) > 0)
        kf_buffer_append_bytes(text, part, (size_t)got);
    if (got < 0) return kf_fail(error, KF_ERR_KEY_STORE, "the roster %s: %s", path, strerror(errno));
    if (kf_buffer_status(text) != KF_OK)
        return kf_fail(error, KF_ERR_KEY_STORE, "the roster %s has more than %zu bytes", path,
                       KF_ROSTER_TEXT_MAX);
    return KF_OK;
}

kf_code kf_vault_read_founding_roster(const char *path, kf_key_store *keys, kf_error *error)
{
    if (path == NULL) return KF_OK;
    if (kf_vault_has_roster(keys)) {
        kf_log(KF_LOG_INFO, "the roster is in the key store; %s is not read any more", path);
        return KF_OK;
    }
    KF_CLEANUP(kf_descriptor_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = kf_buffer_with_limit(KF_ROSTER_TEXT_MAX);
    if (descriptor < 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "the roster %s cannot be opened: %s", path, strerror(errno));
    KF_TRY(check_unwritable(descriptor, path, error));
    KF_TRY(read_descriptor(descriptor, path, &text, error));
    if (kf_vault_found_roster(keys, kf_buffer_view(&text), error) != KF_OK)
        return kf_error_prefix(error, "%s", path);
    kf_log(KF_LOG_INFO, "the founding roster %s is sealed with the keys", path);
    return KF_OK;
}
