/* Text for `keyfill gp`: lines of scripts, what the trace shows of their commands, digits and base64. */
#include <ctype.h>
#include <string.h>

#include <keyfill/hex.h>

#include "cli/gp.h"
#include "fuzz.h"

static void run_line(const char *line)
{
    FUZZ_TEXT(copy, kf_view_of_text(line));
    FUZZ_BUFFER(command);
    FUZZ_BUFFER(shown);
    const char *patterns = NULL;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_gp_script_line((char *)copy.bytes, &command, &patterns, &error);
    if (code != KF_OK) {
        FUZZ_WANT(command.size == 0 && error.code == code && error.message[0] != '\0');
        return;
    }
    FUZZ_WANT(patterns != NULL);
    (void)kf_gp_status_word_fits(0x9000, patterns);
    (void)kf_gp_status_word_fits(0x61FF, patterns);
    if (command.size == 0) return;
    kf_command parsed;
    FUZZ_WANT(kf_command_parse(kf_buffer_view(&command), &parsed) == KF_OK);
    kf_gp_trace_command(kf_buffer_view(&command), NULL, &shown);
    FUZZ_WANT(kf_buffer_status(&shown) == KF_OK && shown.size > 0);
}

static void want_digits_again(const char *text)
{
    FUZZ_BUFFER(bytes);
    FUZZ_BUFFER(again);
    kf_secret *secret = NULL;
    kf_code code = kf_hex_decode_append(text, &bytes);
    if (code != KF_OK) {
        FUZZ_WANT(bytes.size == 0);
        FUZZ_WANT(kf_hex_decode_secret(text, &secret) != KF_OK && secret == NULL);
        return;
    }
    kf_buffer_append_hex(&again, kf_buffer_view(&bytes));
    FUZZ_WANT(again.size == strlen(text));
    for (size_t i = 0; i < again.size; i++)
        FUZZ_WANT(again.data[i] == toupper((unsigned char)text[i]));
}

static void want_base64_again(const char *text)
{
    FUZZ_BUFFER(bytes);
    FUZZ_BUFFER(again);
    if (kf_base64url_decode_append(text, &bytes) != KF_OK) {
        FUZZ_WANT(bytes.size == 0);
        return;
    }
    kf_buffer_append_base64url(&again, kf_buffer_view(&bytes));
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&again), kf_view_of_text(text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_TEXT(text, kf_view_of(data, size));
    char *line = (char *)text.bytes;
    while (line != NULL) {
        char *end = strchr(line, '\n');
        if (end != NULL) *end = '\0';
        run_line(line);
        want_digits_again(line);
        want_base64_again(line);
        line = end == NULL ? NULL : end + 1;
    }
    return 0;
}
