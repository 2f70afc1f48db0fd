/* One process of the pair, started with as little as it needs. */
#ifndef KEYFILL_MONITOR_CHILD_H
#define KEYFILL_MONITOR_CHILD_H

#include "monitor/monitor.h"

/* Forks and runs the program with: its user, no other groups, no new privileges, an empty environment
 * (NOTIFY_SOCKET alone for the one that tells when the unit is ready), the folder /, /dev/null as input, our
 * standard error, `descriptor` as KF_MONITOR_DESCRIPTOR, and no other descriptor. It is killed when the
 * monitor ends. */
kf_code kf_monitor_start_child(const kf_monitor_program *program, const int *descriptors, size_t count,
                               pid_t *ret_process, kf_error *error) KF_MUST_USE;

#endif
