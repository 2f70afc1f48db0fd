/* Whole small files, and descriptors. */
#ifndef KEYFILL_BASE_FILE_H
#define KEYFILL_BASE_FILE_H

#include <sys/types.h>

#include <keyfill/bytes.h>

/* Appends the file's content to `buffer`, at most `limit` bytes; KF_ERR_FILE with the path and reason,
 * KF_ERR_TOO_LONG past the limit. */
kf_code kf_file_read(const char *path, size_t limit, kf_buffer *buffer, kf_error *error) KF_MUST_USE;
/* Writes to a new file beside `path`, syncs, and renames over it, then syncs the folder: afterwards the file
 * has the old content or the new, never a part. `mode` as in open(2). */
kf_code kf_file_replace(const char *path, kf_view content, mode_t mode, kf_error *error) KF_MUST_USE;
/* Writes all of `content`, through interruptions and short writes. */
kf_code kf_descriptor_write(int descriptor, kf_view content) KF_MUST_USE;
/* Reads exactly `size` bytes; KF_ERR_TRUNCATED at an end before that. */
kf_code kf_descriptor_read(int descriptor, void *ret_bytes, size_t size) KF_MUST_USE;
/* Closes a descriptor >= 0 and sets it to -1. Fits KF_CLEANUP. */
void kf_descriptor_close(int *descriptor);

#endif
