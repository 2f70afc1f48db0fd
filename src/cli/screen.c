#include "cli/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static int open_screen(void)
{
    return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

void kf_screen_say(const char *format, ...)
{
    KF_CLEANUP(kf_descriptor_close) int screen = open_screen();
    if (screen < 0) return;
    va_list arguments;
    va_start(arguments, format);
    (void)vdprintf(screen, format, arguments);
    va_end(arguments);
}

/* To its end, also where it is too long: what is left would be taken for the next answer. */
static kf_code read_line(int screen, char *line, size_t size, kf_error *error)
{
    size_t used = 0;
    bool fits = true;
    for (;;) {
        char character;
        ssize_t got = read(screen, &character, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return kf_fail(error, KF_ERR_USAGE, "the terminal was closed: nothing more was done");
        if (character == '\n' || character == '\r') break;
        fits = used + 1 < size;
        if (fits && (used > 0 || character != ' ')) line[used++] = character;
    }
    if (!fits) return kf_fail(error, KF_ERR_TOO_LONG, "that is longer than %zu characters", size - 1);
    while (used > 0 && line[used - 1] == ' ')
        used--;
    line[used] = '\0';
    return KF_OK;
}

kf_code kf_screen_ask(const char *question, char *ret_line, size_t size, kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close) int screen = open_screen();
    if (screen < 0) return kf_fail(error, KF_ERR_USAGE, "there is no terminal at which to ask: %s", question);
    dprintf(screen, "%s: ", question);
    return read_line(screen, ret_line, size, error);
}

kf_code kf_screen_confirm(const char *question, bool *ret_yes, kf_error *error)
{
    char answer[8];
    for (;;) {
        kf_code code = kf_screen_ask(question, answer, sizeof answer, error);
        if (code != KF_OK && code != KF_ERR_TOO_LONG) return code;
        if (code == KF_OK && (strcmp(answer, "yes") == 0 || strcmp(answer, "no") == 0)) break;
        kf_screen_say("  type yes or no\n");
    }
    *ret_yes = strcmp(answer, "yes") == 0;
    return KF_OK;
}
