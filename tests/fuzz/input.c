#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#define OUTPUT_FILL 0xA5

__attribute__((weak)) int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    return 0;
}

void fuzz_unwanted(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

fuzz_input fuzz_input_of(const uint8_t *data, size_t size)
{
    return (fuzz_input){kf_cursor_of(kf_view_of(data, size))};
}

bool fuzz_input_ends(const fuzz_input *input)
{
    return kf_cursor_at_end(&input->cursor);
}

uint8_t fuzz_u8(fuzz_input *input)
{
    uint8_t value;
    return kf_cursor_u8(&input->cursor, &value) == KF_OK ? value : 0;
}

uint16_t fuzz_u16(fuzz_input *input)
{
    uint8_t first = fuzz_u8(input);
    return (uint16_t)(first << 8 | fuzz_u8(input));
}

static kf_view take(fuzz_input *input, size_t size)
{
    kf_view part = kf_view_part(input->cursor.rest, 0, size);
    FUZZ_WANT(kf_cursor_skip(&input->cursor, part.size) == KF_OK);
    return part;
}

kf_view fuzz_part8(fuzz_input *input)
{
    return take(input, fuzz_u8(input));
}

kf_view fuzz_part16(fuzz_input *input)
{
    return take(input, fuzz_u16(input));
}

kf_view fuzz_rest(fuzz_input *input)
{
    return take(input, input->cursor.rest.size);
}

void fuzz_fill(fuzz_input *input, void *ret_bytes, size_t size)
{
    kf_view part = take(input, size);
    memset(ret_bytes, 0, size);
    if (part.size > 0) memcpy(ret_bytes, part.data, part.size);
}

fuzz_copy fuzz_copy_of(kf_view view)
{
    fuzz_copy copy = {.bytes = malloc(view.size == 0 ? 1 : view.size)};
    FUZZ_WANT(copy.bytes != NULL);
    if (view.size > 0) memcpy(copy.bytes, view.data, view.size);
    copy.view = kf_view_of(copy.bytes, view.size);
    return copy;
}

fuzz_copy fuzz_text_of(kf_view view)
{
    fuzz_copy copy = {.bytes = calloc(1, view.size + 1)};
    FUZZ_WANT(copy.bytes != NULL);
    if (view.size > 0) memcpy(copy.bytes, view.data, view.size);
    copy.view = kf_view_of(copy.bytes, strlen((char *)copy.bytes));
    return copy;
}

void fuzz_copy_free(fuzz_copy *copy)
{
    free(copy->bytes);
}

const kf_secret *fuzz_key(uint8_t first, size_t size)
{
    static kf_secret *made[256][KF_SECRET_MAX_SIZE + 1];
    FUZZ_WANT(size > 0 && size <= KF_SECRET_MAX_SIZE);
    kf_secret **place = &made[first][size];
    if (*place == NULL) {
        uint8_t bytes[KF_SECRET_MAX_SIZE];
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(first + i);
        FUZZ_WANT(kf_secret_new(kf_view_of(bytes, size), place) == KF_OK);
    }
    return *place;
}

kf_code fuzz_feed(fuzz_parser parse, size_t output_size, kf_view data)
{
    static uint8_t output[FUZZ_OUTPUT_MAX] __attribute__((aligned(16)));
    FUZZ_WANT(output_size <= sizeof output);
    memset(output, OUTPUT_FILL, output_size);
    FUZZ_COPY(copy, data);
    kf_code code = parse(copy.view, output);
    if (code == KF_OK) return code;
    /* Ours have negative numbers. */
    FUZZ_WANT(code > 0 || code == KF_ERR_ARGUMENT);
    for (size_t i = 0; i < output_size; i++)
        FUZZ_WANT(output[i] == OUTPUT_FILL);
    return code;
}
