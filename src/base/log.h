/* The log of a program: lines to standard error, one event each. Libraries log at debug only; a program logs
 * once what it did or refused. Never a secret; keys as KCV. */
#ifndef KEYFILL_BASE_LOG_H
#define KEYFILL_BASE_LOG_H

#include <keyfill/error.h>

typedef enum kf_log_level { KF_LOG_ERROR, KF_LOG_WARNING, KF_LOG_INFO, KF_LOG_DEBUG } kf_log_level;

/* `program` is kept, not copied. Called once at start; before it lines have no name and the level is info. */
void kf_log_start(const char *program, kf_log_level level);
void kf_log(kf_log_level level, const char *format, ...) KF_PRINTF(2, 3);

/* "error", "warning", "info", "debug"; KF_ERR_CONFIGURATION otherwise. */
kf_code kf_log_level_from_name(const char *name, kf_log_level *ret_level) KF_MUST_USE;

#endif
