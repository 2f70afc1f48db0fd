/* A text as a file with a path, for what reads files: in memory, closed with the program. */
#ifndef KEYFILL_TESTS_FUZZ_TEXT_FILE_H
#define KEYFILL_TESTS_FUZZ_TEXT_FILE_H

#include "fuzz.h"

/* Makes `text` the content of the one file, and gives its path. */
const char *text_file(kf_view text);
/* Wants an error of a configuration to say something. */
void want_explained(kf_code code, const kf_error *error);

#endif
