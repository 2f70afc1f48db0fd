/* What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput; it wants things of what the
 * code under test does, and what is not so ends the program. Linked with libFuzzer it searches, linked with
 * replay.c it plays files. */
#ifndef KEYFILL_TESTS_FUZZ_FUZZ_H
#define KEYFILL_TESTS_FUZZ_FUZZ_H

#include <stdlib.h>

#include <keyfill/secret.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Before the first input, by both; targets without one get an empty one from input.c. */
int LLVMFuzzerInitialize(int *argument_count, char ***arguments);

/* Ends the program, with what was wanted and where, unless `condition` holds. */
#define FUZZ_WANT(condition)                                                                                 \
    do {                                                                                                     \
        if (!(condition)) fuzz_unwanted(#condition, __FILE__, __LINE__);                                     \
    } while (0)
void fuzz_unwanted(const char *condition, const char *file, int line) __attribute__((noreturn));

/* An input as a target takes it apart: numbers and parts are shorter or zero where it has no more. */
typedef struct fuzz_input {
    kf_cursor cursor;
} fuzz_input;

fuzz_input fuzz_input_of(const uint8_t *data, size_t size);
bool fuzz_input_ends(const fuzz_input *input);
uint8_t fuzz_u8(fuzz_input *input);
uint16_t fuzz_u16(fuzz_input *input);
/* A part behind its length of one or two bytes. */
kf_view fuzz_part8(fuzz_input *input);
kf_view fuzz_part16(fuzz_input *input);
kf_view fuzz_rest(fuzz_input *input);
/* `size` bytes, zeros behind where the input ends before. */
void fuzz_fill(fuzz_input *input, void *ret_bytes, size_t size);

/* A copy in memory of exactly its size, so that a read past its end is seen. Fits KF_CLEANUP with
 * fuzz_copy_free. */
typedef struct fuzz_copy {
    kf_view view;
    uint8_t *bytes;
} fuzz_copy;
fuzz_copy fuzz_copy_of(kf_view view);
/* The same with a zero behind, without zeros inside: what stands behind the first one is cut off. */
fuzz_copy fuzz_text_of(kf_view view);
void fuzz_copy_free(fuzz_copy *copy);
#define FUZZ_COPY(name, view) KF_CLEANUP(fuzz_copy_free) fuzz_copy name = fuzz_copy_of(view)
#define FUZZ_TEXT(name, view) KF_CLEANUP(fuzz_copy_free) fuzz_copy name = fuzz_text_of(view)
#define FUZZ_BUFFER(name) KF_CLEANUP(kf_buffer_clear) kf_buffer name = KF_BUFFER_INIT

/* A key of `size` bytes: first, first + 1, … Lives as long as the program. */
const kf_secret *fuzz_key(uint8_t first, size_t size);

/* A parser whose output can be seen to be left alone where it fails. */
typedef kf_code (*fuzz_parser)(kf_view data, void *ret_output);
/* Lets it parse a copy of `data`. What is refused leaves the `output_size` bytes untouched and is the data's
 * fault, never ours. */
kf_code fuzz_feed(fuzz_parser parse, size_t output_size, kf_view data);
#define FUZZ_OUTPUT_MAX 65536

#endif
