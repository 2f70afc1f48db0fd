#include "softcard/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/random.h"

enum { STATE_MODE = 0600 };

/* The state's file is replaced at every change, so the lock is on a file beside it. */
kf_code softcard_state_file_lock(softcard_state_file *file, kf_error *error)
{
    KF_CLEANUP(kf_free_pointer) char *path = NULL;
    if (asprintf(&path, "%s.lock", file->path) < 0) {
        path = NULL;
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    KF_CLEANUP(kf_descriptor_close) int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, STATE_MODE);
    if (lock < 0) return kf_fail(error, KF_ERR_FILE, "%s cannot be opened: %s", path, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        return kf_fail(error, KF_ERR_BUSY, "%s: another keyfill-softcard runs this card", file->path);
    file->lock = lock;
    lock = -1;
    return KF_OK;
}

void softcard_state_file_unlock(softcard_state_file *file)
{
    kf_descriptor_close(&file->lock);
}

kf_code softcard_state_file_read(const char *path, kf_buffer *state, kf_error *error)
{
    return kf_file_read(path, SOFTCARD_STATE_MAX, state, error);
}

kf_code softcard_state_file_write(const char *path, kf_view state, kf_error *error)
{
    return kf_file_replace(path, state, STATE_MODE, error);
}

static kf_code save(void *context, kf_view state)
{
    const softcard_state_file *file = context;
    kf_error error = {0};
    kf_code code = softcard_state_file_write(file->path, state, &error);
    if (code != KF_OK) kf_log(KF_LOG_ERROR, "the card cannot keep its state: %s", error.message);
    return code;
}

static kf_code take_random(void *context, uint8_t *ret_bytes, size_t size)
{
    (void)context;
    return kf_random_bytes(ret_bytes, size);
}

softcard_environment softcard_state_file_environment(softcard_state_file *file)
{
    return (softcard_environment){.save = save, .random = take_random, .context = file};
}
