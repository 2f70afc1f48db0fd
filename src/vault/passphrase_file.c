#include "vault/passphrase_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define DESCRIPTOR "descriptor:"

/* "descriptor:N": a file that the monitor opened, since only root may read it. */
static int open_file(const char *path)
{
    if (strncmp(path, DESCRIPTOR, sizeof DESCRIPTOR - 1) != 0)
        return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char *end;
    errno = 0;
    long number = strtol(path + sizeof DESCRIPTOR - 1, &end, 10);
    if (errno == 0 && *end == '\0' && number >= 3 && number <= 1023) return (int)number;
    errno = EBADF;
    return -1;
}

/* What only one user may read: otherwise the seal of the key files means nothing. */
static kf_code check_private(int descriptor, const char *path, const char *name, kf_error *error)
{
    struct stat found;
    if (fstat(descriptor, &found) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "%s: %s", path, strerror(errno));
    bool handed_over = strncmp(path, DESCRIPTOR, sizeof DESCRIPTOR - 1) == 0;
    bool own = found.st_uid == geteuid() || (handed_over && found.st_uid == 0);
    if (!S_ISREG(found.st_mode) || !own || (found.st_mode & 0077) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE,
                       "the %s file %s has owner %u and mode %04o; it must be a file of user %u with mode "
                       "0600 or 0400: chown %u %s && chmod 600 %s",
                       name, path, (unsigned)found.st_uid, (unsigned)(found.st_mode & 07777),
                       (unsigned)geteuid(), (unsigned)geteuid(), path, path);
    return KF_OK;
}

kf_code kf_passphrase_file_read(const char *path, const kf_passphrase_rule *rule, kf_secret **ret_secret,
                                kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close) int descriptor = open_file(path);
    if (descriptor < 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "the %s file %s cannot be opened: %s", rule->name, path,
                       strerror(errno));
    KF_TRY(check_private(descriptor, path, rule->name, error));
    char text[KF_PASSPHRASE_FILE_MAX + 2];
    ssize_t got = read(descriptor, text, sizeof text);
    size_t size = got > 0 ? (size_t)got : 0;
    if (size > 0 && text[size - 1] == '\n') size--;
    kf_code code = KF_OK;
    if (size < rule->least || size > rule->most)
        code = kf_fail(error, KF_ERR_KEY_STORE, "the %s in %s has %zu bytes: take %zu to %zu in one line",
                       rule->name, path, size, rule->least, rule->most);
    else
        code = kf_fail_plain(error, kf_secret_new(kf_view_of(text, size), ret_secret));
    kf_wipe(text, sizeof text);
    return code;
}
