/* The terminal screen, for commands that guide people: whatever standard input and output are. */
#ifndef KEYFILL_CLI_SCREEN_H
#define KEYFILL_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include <keyfill/error.h>

/* Says it on the screen. Without one nothing is said: the next question fails. */
void kf_screen_say(const char *format, ...) KF_PRINTF(1, 2);
/* Asks and reads one line, seen as it is typed, without blanks around it; it may be empty. KF_ERR_USAGE
 * without a terminal or at its end, KF_ERR_TOO_LONG where it does not fit. */
kf_code kf_screen_ask(const char *question, char *ret_line, size_t size, kf_error *error) KF_MUST_USE;
/* yes or no; asks again until it is one of them. */
kf_code kf_screen_confirm(const char *question, bool *ret_yes, kf_error *error) KF_MUST_USE;

#endif
