/* test-issuing-server --port N --ca FILE --certificate FILE --private-key FILE NUMBER...
 *
 * Prints "listening on 127.0.0.1:PORT" and serves until SIGTERM. */
#include <argp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "issuing_server.h"

#define ARGUMENTS_MAX 1000

typedef struct given {
    issuing_server_options options;
    const char *numbers[ARGUMENTS_MAX];
} given;

static error_t parse(int key, char *argument, struct argp_state *state)
{
    given *input = state->input;
    switch (key) {
    case 'p': input->options.port = (uint16_t)strtoul(argument, NULL, 10); return 0;
    case 'a': input->options.ca_file = argument; return 0;
    case 'c': input->options.certificate_file = argument; return 0;
    case 'k': input->options.key_file = argument; return 0;
    case ARGP_KEY_ARG:
        if (input->options.number_count == ARGUMENTS_MAX) argp_error(state, "too many numbers");
        input->numbers[input->options.number_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (input->options.ca_file == NULL || input->options.certificate_file == NULL ||
            input->options.key_file == NULL)
            argp_error(state, "--ca, --certificate and --private-key are needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"port", 'p', "N", 0, "0: a free one", 0},
        {"ca", 'a', "FILE", 0, "trusted root", 0},
        {"certificate", 'c', "FILE", 0, "own certificate", 0},
        {"private-key", 'k', "FILE", 0, "own key", 0},
        {0},
    };
    static const struct argp argp = {options, parse, "NUMBER...", "An issuing server for tests.",
                                     NULL,    NULL,  NULL};
    static given input;
    if (argp_parse(&argp, argc, argv, 0, NULL, &input) != 0) return KF_EXIT_USAGE;
    input.options.numbers = input.numbers;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    kf_error error = {KF_OK, ""};
    issuing_server *server = NULL;
    if (issuing_server_start(&input.options, &server, &error) != KF_OK) {
        (void)fprintf(stderr, "test-issuing-server: %s\n", kf_error_text(&error));
        return kf_code_exit_status(error.code);
    }
    (void)printf("listening on 127.0.0.1:%u\n", (unsigned)issuing_server_port(server));
    (void)fflush(stdout);
    int taken = 0;
    while (sigwait(&ends, &taken) != 0) {
    }
    issuing_server_stop(&server);
    return KF_EXIT_OK;
}
