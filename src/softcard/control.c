#include "softcard/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

kf_code softcard_tear_parse(const char *text, uint64_t *ret_number, bool *ret_after, kf_error *error)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    bool separated = *end == ' ' || *end == ':';
    bool after = separated && strcmp(end + 1, "after") == 0;
    if (errno != 0 || number == 0 || text[0] < '0' || text[0] > '9' ||
        !(after || (separated && strcmp(end + 1, "before") == 0)))
        return kf_fail(error, KF_ERR_USAGE,
                       "tear: \"%s\" is not a command's number from 1 and before or after", text);
    *ret_number = number;
    *ret_after = after;
    return KF_OK;
}

static void run_tear(softcard *card, const char *text, kf_buffer *answer)
{
    uint64_t number;
    bool after;
    kf_error error = {0};
    if (softcard_tear_parse(text, &number, &after, &error) != KF_OK) {
        kf_buffer_format(answer, "error: %s\n", error.message);
        return;
    }
    softcard_tear(card, number, after);
    kf_buffer_append_text(answer, "ok\n");
}

softcard_wish softcard_control_line(softcard *card, const char *line, kf_buffer *answer)
{
    static const char tear[] = "tear ";
    if (strncmp(line, tear, sizeof tear - 1) == 0) {
        run_tear(card, line + sizeof tear - 1, answer);
        return SOFTCARD_WISH_NONE;
    }
    if (strcmp(line, "show") == 0) {
        if (softcard_show(card, answer) != KF_OK) {
            kf_buffer_append_text(answer, "error: the card cannot be shown\n");
            return SOFTCARD_WISH_NONE;
        }
        kf_buffer_append_text(answer, "ok\n");
        return SOFTCARD_WISH_NONE;
    }
    softcard_wish wish = SOFTCARD_WISH_NONE;
    if (strcmp(line, "remove") == 0) wish = SOFTCARD_WISH_REMOVE;
    if (strcmp(line, "insert") == 0) wish = SOFTCARD_WISH_INSERT;
    if (strcmp(line, "quit") == 0) wish = SOFTCARD_WISH_QUIT;
    if (wish != SOFTCARD_WISH_NONE)
        kf_buffer_append_text(answer, "ok\n");
    else
        kf_buffer_format(answer, "error: \"%s\" is none of tear N before|after, remove, insert, show, quit\n",
                         line);
    return wish;
}
