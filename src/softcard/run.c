#include "softcard/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <keyfill/secret.h>

#include "base/file.h"
#include "base/log.h"
#include "softcard/attach.h"
#include "softcard/control.h"
#include "softcard/vpicc.h"

enum { RETRY_MILLISECONDS = 300, READ_SIZE = 4096 };

typedef struct softcard_runner {
    softcard *card;
    const softcard_attachment *attachment;
    int signals;
    int listener;   /* of the local socket */
    int connection; /* to the reader */
    int control_listener;
    int control; /* the one who controls */
    bool inserted;
    bool over;
    bool said_ready;
    kf_buffer input;
    kf_buffer line;
} softcard_runner;

static void runner_clear(softcard_runner *runner)
{
    if (runner->listener >= 0) unlink(runner->attachment->socket);
    if (runner->control_listener >= 0) unlink(runner->attachment->control);
    kf_descriptor_close(&runner->signals);
    kf_descriptor_close(&runner->listener);
    kf_descriptor_close(&runner->connection);
    kf_descriptor_close(&runner->control_listener);
    kf_descriptor_close(&runner->control);
    kf_buffer_clear(&runner->input);
    kf_buffer_clear(&runner->line);
}

static kf_code open_signals(int *ret_signals)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return KF_ERR_SYSTEM;
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) return KF_ERR_SYSTEM;
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals < 0) return KF_ERR_SYSTEM;
    *ret_signals = signals;
    return KF_OK;
}

static void say_ready(softcard_runner *runner)
{
    if (runner->said_ready) return;
    runner->said_ready = true;
    puts("ready");
    fflush(stdout);
}

static void disconnect(softcard_runner *runner)
{
    kf_descriptor_close(&runner->connection);
    softcard_power_off(runner->card);
    kf_buffer_truncate(&runner->input, 0);
}

static void try_vpcd(softcard_runner *runner)
{
    kf_error error = {0};
    if (softcard_vpcd_connect(runner->attachment->vpcd, &runner->connection, &error) == KF_OK)
        say_ready(runner);
    else
        kf_log(KF_LOG_DEBUG, "%s", error.message);
}

/* A card without contacts: with vpcd it stays away until it is inserted again, where somebody can say so. */
static void lose_power(softcard_runner *runner)
{
    disconnect(runner);
    if (runner->attachment->vpcd != NULL && runner->attachment->control != NULL) runner->inserted = false;
}

static void serve_reader(softcard_runner *runner)
{
    uint8_t bytes[READ_SIZE];
    if (runner->attachment->vpcd != NULL) softcard_vpcd_acknowledge_quickly(runner->connection);
    ssize_t got = read(runner->connection, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) {
        disconnect(runner);
        return;
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer output = KF_BUFFER_INIT;
    kf_code code = softcard_vpicc_feed(runner->card, &runner->input, kf_view_of(bytes, (size_t)got), &output);
    kf_wipe(bytes, sizeof bytes);
    if (output.size > 0 && kf_descriptor_write(runner->connection, kf_buffer_view(&output)) != KF_OK) {
        disconnect(runner);
        return;
    }
    if (code != KF_OK) {
        kf_log(KF_LOG_INFO, "the card lost its contacts: %s", kf_code_meaning(code));
        lose_power(runner);
    }
}

static bool has_hung_up(int connection)
{
    struct pollfd place = {.fd = connection, .events = POLLRDHUP};
    return connection >= 0 && poll(&place, 1, 0) > 0;
}

static void take_reader(softcard_runner *runner)
{
    int connection;
    /* What a reader that left has still sent comes before the next reader, who would else be turned away. */
    while (has_hung_up(runner->connection))
        serve_reader(runner);
    if (softcard_socket_accept(runner->listener, &connection) != KF_OK) return;
    if (!runner->inserted || runner->connection >= 0) {
        close(connection);
        return;
    }
    runner->connection = connection;
}

static void take_control(softcard_runner *runner)
{
    int control;
    if (softcard_socket_accept(runner->control_listener, &control) != KF_OK) return;
    kf_descriptor_close(&runner->control);
    kf_buffer_truncate(&runner->line, 0);
    runner->control = control;
}

static void obey(softcard_runner *runner, const char *line)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    softcard_wish wish = softcard_control_line(runner->card, line, &answer);
    if (wish == SOFTCARD_WISH_REMOVE) {
        disconnect(runner);
        runner->inserted = false;
    }
    if (wish == SOFTCARD_WISH_INSERT) {
        runner->inserted = true;
        if (runner->attachment->vpcd != NULL && runner->connection < 0) try_vpcd(runner);
    }
    if (wish == SOFTCARD_WISH_QUIT) runner->over = true;
    if (kf_descriptor_write(runner->control, kf_buffer_view(&answer)) != KF_OK)
        kf_descriptor_close(&runner->control);
}

static void serve_control(softcard_runner *runner)
{
    char bytes[SOFTCARD_CONTROL_LINE_MAX];
    ssize_t got = read(runner->control, bytes, sizeof bytes);
    if (got <= 0) {
        kf_descriptor_close(&runner->control);
        return;
    }
    for (ssize_t i = 0; i < got && runner->control >= 0; i++) {
        if (bytes[i] != '\n') {
            kf_buffer_append_u8(&runner->line, (uint8_t)bytes[i]);
            if (runner->line.size > SOFTCARD_CONTROL_LINE_MAX) kf_descriptor_close(&runner->control);
            continue;
        }
        const char *line = kf_buffer_text(&runner->line);
        if (line != NULL) obey(runner, line);
        kf_buffer_truncate(&runner->line, 0);
    }
}

static kf_code turn(softcard_runner *runner)
{
    enum { SIGNALS, LISTENER, CONNECTION, CONTROL_LISTENER, CONTROL, PLACES };
    if (runner->attachment->vpcd != NULL && runner->inserted && runner->connection < 0) try_vpcd(runner);
    struct pollfd places[PLACES] = {
        [SIGNALS] = {.fd = runner->signals, .events = POLLIN},
        [LISTENER] = {.fd = runner->listener, .events = POLLIN},
        [CONNECTION] = {.fd = runner->connection, .events = POLLIN},
        [CONTROL_LISTENER] = {.fd = runner->control_listener, .events = POLLIN},
        [CONTROL] = {.fd = runner->control, .events = POLLIN},
    };
    bool waits_for_vpcd = runner->attachment->vpcd != NULL && runner->inserted && runner->connection < 0;
    if (poll(places, PLACES, waits_for_vpcd ? RETRY_MILLISECONDS : -1) < 0)
        return errno == EINTR ? KF_OK : KF_ERR_SYSTEM;
    if (places[SIGNALS].revents != 0) runner->over = true;
    if (places[CONNECTION].revents != 0) serve_reader(runner);
    if (places[LISTENER].revents != 0) take_reader(runner);
    if (places[CONTROL].revents != 0) serve_control(runner);
    if (places[CONTROL_LISTENER].revents != 0) take_control(runner);
    return KF_OK;
}

kf_code softcard_run(softcard *card, const softcard_attachment *attachment, kf_error *error)
{
    KF_CLEANUP(runner_clear)
    softcard_runner runner = {.card = card,
                              .attachment = attachment,
                              .signals = -1,
                              .listener = -1,
                              .connection = -1,
                              .control_listener = -1,
                              .control = -1,
                              .inserted = true};
    KF_TRY(kf_fail_plain(error, open_signals(&runner.signals)));
    if (attachment->control != NULL)
        KF_TRY(softcard_socket_listen(attachment->control, &runner.control_listener, error));
    if (attachment->socket != NULL) {
        KF_TRY(softcard_socket_listen(attachment->socket, &runner.listener, error));
        say_ready(&runner);
    }
    while (!runner.over)
        KF_TRY(kf_fail_plain(error, turn(&runner)));
    return KF_OK;
}
