#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <keyfill/secret.h>

kf_code kf_file_read(const char *path, size_t limit, kf_buffer *buffer, kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return kf_fail(error, KF_ERR_FILE, "%s cannot be opened: %s", path, strerror(errno));
    size_t total = 0;
    uint8_t part[4096];
    for (;;) {
        ssize_t got = read(descriptor, part, sizeof part);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            kf_wipe(part, sizeof part);
            return kf_fail(error, KF_ERR_FILE, "%s cannot be read: %s", path, strerror(errno));
        }
        if (got == 0) break;
        total += (size_t)got;
        if (total > limit) break;
        kf_buffer_append_bytes(buffer, part, (size_t)got);
    }
    kf_wipe(part, sizeof part);
    if (total > limit)
        return kf_fail(error, KF_ERR_TOO_LONG, "%s is longer than the %zu bytes allowed", path, limit);
    return kf_fail_plain(error, kf_buffer_status(buffer));
}

kf_code kf_descriptor_write(int descriptor, kf_view content)
{
    size_t written = 0;
    while (written < content.size) {
        ssize_t put = write(descriptor, content.data + written, content.size - written);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return KF_ERR_SYSTEM;
        written += (size_t)put;
    }
    return KF_OK;
}

kf_code kf_descriptor_read(int descriptor, void *ret_bytes, size_t size)
{
    size_t total = 0;
    while (total < size) {
        ssize_t got = read(descriptor, (uint8_t *)ret_bytes + total, size - total);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return KF_ERR_SYSTEM;
        if (got == 0) return KF_ERR_TRUNCATED;
        total += (size_t)got;
    }
    return KF_OK;
}

void kf_descriptor_close(int *descriptor)
{
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
}

static kf_code sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    KF_CLEANUP(kf_free_pointer)
    char *folder = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (folder == NULL) return KF_ERR_MEMORY;
    KF_CLEANUP(kf_descriptor_close) int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0 || fsync(descriptor) != 0) return KF_ERR_SYSTEM;
    return KF_OK;
}

static kf_code write_and_sync(int descriptor, kf_view content, mode_t mode)
{
    if (fchmod(descriptor, mode) != 0) return KF_ERR_SYSTEM;
    KF_TRY(kf_descriptor_write(descriptor, content));
    return fsync(descriptor) == 0 ? KF_OK : KF_ERR_SYSTEM;
}

kf_code kf_file_replace(const char *path, kf_view content, mode_t mode, kf_error *error)
{
    KF_CLEANUP(kf_free_pointer) char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        temporary = NULL;
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    KF_CLEANUP(kf_descriptor_close) int descriptor = mkostemp(temporary, O_CLOEXEC);
    if (descriptor < 0) return kf_fail(error, KF_ERR_FILE, "%s cannot be written: %s", path, strerror(errno));
    kf_code code = write_and_sync(descriptor, content, mode);
    if (code == KF_OK && rename(temporary, path) != 0) code = KF_ERR_SYSTEM;
    if (code == KF_OK) return kf_fail_plain(error, sync_folder_of(path));
    int reason = errno;
    unlink(temporary);
    return kf_fail(error, KF_ERR_FILE, "%s cannot be written: %s", path, strerror(reason));
}
