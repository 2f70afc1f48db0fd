/* keyfill-kmud and keyfill-bkmd: the monitors. Which one is a matter of KF_MONITOR_FOR. */
#include <argp.h>
#include <stdlib.h>

#include "base/log.h"
#include "monitor/monitor_config.h"

typedef struct monitor_options {
    const char *config;
} monitor_options;

static const struct argp_option option_table[] = {
    {"config", 'c', "FILE", 0, "the configuration; absent: " KF_MONITOR_CONFIG_PATH, 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    monitor_options *options = state->input;
    switch (key) {
    case 'c': options->config = argument; return 0;
    case ARGP_KEY_ARG: argp_error(state, "%s is one word too many", argument); return EINVAL;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    kf_log_start(KF_MONITOR_PROGRAM, KF_LOG_INFO);
    monitor_options options = {.config = KF_MONITOR_CONFIG_PATH};
    static const struct argp argp = {
        option_table, parse_option, NULL, "Starts the front and the vault of a unit, and watches them.",
        NULL,         NULL,         NULL};
    argp_err_exit_status = KF_EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_monitor_config_free) kf_monitor_config *config = NULL;
    kf_monitor_plan plan;
    kf_code code = kf_monitor_config_load(options.config, KF_MONITOR_FOR, &config, &plan, &error);
    int status = kf_code_exit_status(code);
    if (code == KF_OK) {
        code = kf_monitor_run(&plan, &status, &error);
        if (code != KF_OK && status == KF_EXIT_OK) status = kf_code_exit_status(code);
    }
    if (code != KF_OK) kf_log(KF_LOG_ERROR, "%s", kf_error_text(&error));
    return status;
}
