/* Key blocks: any text under keys of every size, blocks whose MAC is right over any content, and blocks that
 * are made and read again. */
#include <keyfill/key_block.h>

#include <string.h>

#include "crypto/key_block_parts.h"
#include "fuzz.h"

static const size_t key_sizes[] = {16, 24, 32};

static void read_block(const kf_secret *protection_key, kf_view text)
{
    kf_key_block_header header, untouched;
    kf_secret *key = NULL;
    kf_error error = {KF_OK, ""};
    memset(&header, 0xA5, sizeof header);
    memset(&untouched, 0xA5, sizeof untouched);
    FUZZ_COPY(copy, text);
    kf_code code = kf_key_block_unwrap(protection_key, copy.view, &header, &key, &error);
    if (code != KF_OK) {
        FUZZ_WANT(key == NULL && memcmp(&header, &untouched, sizeof header) == 0);
        FUZZ_WANT(error.code == code && error.message[0] != '\0');
        return;
    }
    FUZZ_WANT(kf_secret_size(key) > 0);
    FUZZ_WANT(kf_key_block_key_fits(header.algorithm, kf_secret_size(key)));
    kf_secret_free(&key);
    kf_key_block_header_clear(&header);
}

/* A header of any text and a key field of any bytes, as whoever has the protection key can make them. */
static void read_sealed(fuzz_input *input)
{
    const kf_secret *protection_key = fuzz_key(1, key_sizes[fuzz_u8(input) % 3]);
    kf_view header = fuzz_part16(input);
    kf_view field = fuzz_rest(input);
    if (header.size == 0) return;
    const kf_key_block_format *format = kf_key_block_format_of((char)header.data[0]);
    FUZZ_BUFFER(text);
    if (format == NULL || kf_key_block_protect(format, protection_key, header, field, &text) != KF_OK) return;
    /* The length in the header is made true, where there is room for it. */
    if (header.size >= 5 && text.size <= 9999) {
        kf_buffer length = KF_BUFFER_INIT;
        kf_buffer_format(&length, "%04zu", text.size);
        FUZZ_BUFFER(true_header);
        kf_buffer_append(&true_header, header);
        memcpy(true_header.data + 1, length.data, 4);
        kf_buffer_truncate(&text, 0);
        FUZZ_WANT(kf_key_block_protect(format, protection_key, kf_buffer_view(&true_header), field, &text) ==
                  KF_OK);
        kf_buffer_clear(&length);
    }
    read_block(protection_key, kf_buffer_view(&text));
}

static bool same_header(const kf_key_block_header *left, const kf_key_block_header *right)
{
    bool same = left->version == right->version && strcmp(left->usage, right->usage) == 0 &&
                left->algorithm == right->algorithm && left->mode == right->mode &&
                strcmp(left->key_version, right->key_version) == 0 &&
                left->exportability == right->exportability && strcmp(left->reserved, right->reserved) == 0 &&
                left->optional_count == right->optional_count;
    for (size_t i = 0; same && i < left->optional_count; i++)
        same = strcmp(left->optional[i].id, right->optional[i].id) == 0 &&
               strcmp(left->optional[i].data, right->optional[i].data) == 0;
    return same;
}

static void want_same_again(const kf_key_block_header *header, const kf_secret *key,
                            const kf_secret *protection_key, size_t masked_size)
{
    FUZZ_BUFFER(text);
    KF_CLEANUP(kf_key_block_header_clear) kf_key_block_header read = {0};
    KF_CLEANUP(kf_secret_free) kf_secret *read_key = NULL;
    if (kf_key_block_wrap(protection_key, header, key, masked_size, &text, NULL) != KF_OK) {
        FUZZ_WANT(text.size == 0);
        return;
    }
    FUZZ_WANT(text.size <= KF_KEY_BLOCK_TEXT_MAX);
    FUZZ_WANT(kf_key_block_unwrap(protection_key, kf_buffer_view(&text), &read, &read_key, NULL) == KF_OK);
    FUZZ_WANT(kf_secret_equal(key, read_key) && same_header(header, &read));
    kf_key_block_header other = {0};
    kf_secret *none = NULL;
    text.data[text.size / 2] ^= 1;
    FUZZ_WANT(kf_key_block_unwrap(protection_key, kf_buffer_view(&text), &other, &none, NULL) != KF_OK);
    FUZZ_WANT(none == NULL);
}

static void make_block(fuzz_input *input)
{
    KF_CLEANUP(kf_key_block_header_clear) kf_key_block_header header = {.reserved = "00"};
    const kf_secret *protection_key = fuzz_key(1, key_sizes[fuzz_u8(input) % 3]);
    const kf_secret *key = fuzz_key(2, 1 + fuzz_u8(input));
    size_t masked_size = fuzz_u8(input);
    header.version = (char)fuzz_u8(input);
    fuzz_fill(input, header.usage, 2);
    header.algorithm = (char)fuzz_u8(input);
    header.mode = (char)fuzz_u8(input);
    fuzz_fill(input, header.key_version, 2);
    header.exportability = (char)fuzz_u8(input);
    while (!fuzz_input_ends(input)) {
        char id[3] = "";
        fuzz_fill(input, id, 2);
        FUZZ_TEXT(text, fuzz_part16(input));
        if (kf_key_block_add_optional(&header, id, (const char *)text.bytes) != KF_OK) break;
    }
    want_same_again(&header, key, protection_key, masked_size);
}

/* The first byte: S for a block that is sealed here, W for fields of one to be made, else a block's own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = fuzz_input_of(data, size);
    switch (fuzz_u8(&input)) {
    case 'S': read_sealed(&input); break;
    case 'W': make_block(&input); break;
    default:
        for (size_t i = 0; i < 3; i++)
            read_block(fuzz_key(1, key_sizes[i]), kf_view_of(data, size));
    }
    return 0;
}
