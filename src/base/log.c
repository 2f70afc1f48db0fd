#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_SIZE 1024

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const char *program_name = "keyfill";
static kf_log_level highest_level = KF_LOG_INFO;

void kf_log_start(const char *program, kf_log_level level)
{
    program_name = program;
    highest_level = level;
}

void kf_log(kf_log_level level, const char *format, ...)
{
    if (level > highest_level) return;
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char text[LOG_LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) text[0] = '\0';
    va_end(arguments);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ') *c = ' ';
    char stamp[32];
    if (strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc) == 0) stamp[0] = '\0';
    /* One write a line, so that lines of several processes on one pipe do not mix. */
    dprintf(STDERR_FILENO, "%s.%03ldZ %s[%ld] %s: %s\n", stamp, now.tv_nsec / 1000000L, program_name,
            (long)getpid(), level_names[level], text);
}

kf_code kf_log_level_from_name(const char *name, kf_log_level *ret_level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(level_names[i], name) != 0) continue;
        *ret_level = (kf_log_level)i;
        return KF_OK;
    }
    return KF_ERR_CONFIGURATION;
}
