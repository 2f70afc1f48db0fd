/* Zip archives of files as they are (method "stored"), made in memory: APPNOTE.TXT 4.3. */
#ifndef KEYFILL_TESTS_FUZZ_STORED_ZIP_H
#define KEYFILL_TESTS_FUZZ_STORED_ZIP_H

#include <keyfill/bytes.h>

typedef struct stored_file {
    const char *name;
    kf_view content;
} stored_file;

void stored_zip(const stored_file *files, size_t count, kf_buffer *archive);

#endif
