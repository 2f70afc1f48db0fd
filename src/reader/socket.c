#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <keyfill/card_data.h>
#include <keyfill/secret.h>

#include "base/file.h"
#include "reader/deadline.h"
#include "reader/reader.h"

#define CONTROL_POWER_OFF 0x00
#define CONTROL_POWER_ON 0x01
#define CONTROL_RESET 0x02
#define CONTROL_ATR 0x04
#define LENGTH_SIZE 2
#define CONTROL_TIMEOUT 1000 /* milliseconds */
#define LOOK_INTERVAL                                                                                        \
    20 /* milliseconds between looks whether a card listens: unix sockets announce nothing */

typedef struct socket_state {
    struct sockaddr_un address;
    int descriptor; /* -1: no card */
    bool is_t0;
    char name[KF_READER_NAME_SIZE];
} socket_state;

static const char *socket_name(const void *opaque)
{
    const socket_state *state = opaque;
    return state->name;
}

static kf_code removed(socket_state *state, kf_error *error)
{
    kf_descriptor_close(&state->descriptor);
    return kf_fail(error, KF_ERR_CARD_REMOVED, "reader %s: the card was removed; insert it again",
                   state->name);
}

/* Waits until the descriptor is ready for `events`; an end of file counts as ready. */
static kf_code wait_ready(socket_state *state, short events, kf_deadline deadline, kf_error *error)
{
    struct pollfd wanted = {.fd = state->descriptor, .events = events};
    for (;;) {
        int ready = poll(&wanted, 1, (int)kf_deadline_left(deadline));
        if (ready > 0) return KF_OK;
        if (ready == 0)
            return kf_fail(error, KF_ERR_READER_TIMEOUT, "reader %s: the card did not answer in time",
                           state->name);
        if (errno != EINTR)
            return kf_fail(error, KF_ERR_READER, "reader %s: %s", state->name, strerror(errno));
    }
}

static kf_code send_frame(socket_state *state, kf_view payload, kf_deadline deadline, kf_error *error)
{
    if (payload.size > UINT16_MAX)
        return kf_fail(error, KF_ERR_APDU, "reader %s: a command of %zu bytes does not go over a socket",
                       state->name, payload.size);
    KF_CLEANUP(kf_buffer_clear) kf_buffer frame = KF_BUFFER_INIT;
    kf_buffer_append_u16(&frame, (uint16_t)payload.size);
    kf_buffer_append(&frame, payload);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&frame)));
    size_t sent = 0;
    while (sent < frame.size) {
        KF_TRY(wait_ready(state, POLLOUT, deadline, error));
        ssize_t put =
            send(state->descriptor, frame.data + sent, frame.size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put >= 0)
            sent += (size_t)put;
        else if (errno != EINTR && errno != EAGAIN)
            return removed(state, error);
    }
    return KF_OK;
}

static kf_code receive_exactly(socket_state *state, uint8_t *ret_bytes, size_t size, kf_deadline deadline,
                               kf_error *error)
{
    size_t total = 0;
    while (total < size) {
        KF_TRY(wait_ready(state, POLLIN, deadline, error));
        ssize_t got = recv(state->descriptor, ret_bytes + total, size - total, MSG_DONTWAIT);
        if (got > 0)
            total += (size_t)got;
        else if (got == 0 || (errno != EINTR && errno != EAGAIN))
            return removed(state, error);
    }
    return KF_OK;
}

/* A frame that is longer than `capacity` ends the connection: what follows it cannot be trusted to be a
 * frame. */
static kf_code receive_frame(socket_state *state, uint8_t *ret_payload, size_t capacity, kf_deadline deadline,
                             size_t *ret_size, kf_error *error)
{
    uint8_t length[LENGTH_SIZE];
    KF_TRY(receive_exactly(state, length, sizeof length, deadline, error));
    size_t size = (size_t)length[0] << 8 | length[1];
    if (size > capacity) {
        kf_descriptor_close(&state->descriptor);
        return kf_fail(error, KF_ERR_APDU, "reader %s: the card sent %zu bytes where at most %zu can stand",
                       state->name, size, capacity);
    }
    KF_TRY(receive_exactly(state, ret_payload, size, deadline, error));
    *ret_size = size;
    return KF_OK;
}

static kf_code send_control(socket_state *state, uint8_t control, kf_deadline deadline, kf_error *error)
{
    return send_frame(state, kf_view_of(&control, 1), deadline, error);
}

static bool try_open(socket_state *state)
{
    KF_CLEANUP(kf_descriptor_close)
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return false;
    if (connect(descriptor, (const struct sockaddr *)&state->address, sizeof state->address) != 0)
        return false;
    state->descriptor = descriptor;
    descriptor = -1; /* the state owns it now */
    return true;
}

/* A card that is there sends nothing of its own accord; readable therefore means gone, or out of step. */
static bool is_gone(socket_state *state)
{
    if (state->descriptor < 0) return true;
    struct pollfd wanted = {.fd = state->descriptor, .events = POLLIN};
    if (poll(&wanted, 1, 0) <= 0) return false;
    kf_descriptor_close(&state->descriptor);
    return true;
}

static void pause_between_looks(void)
{
    const struct timespec interval = {.tv_sec = 0, .tv_nsec = LOOK_INTERVAL * 1000000L};
    nanosleep(&interval, NULL);
}

static kf_code socket_wait(void *opaque, bool present, unsigned timeout, kf_error *error)
{
    socket_state *state = opaque;
    kf_deadline deadline = kf_deadline_in(timeout);
    for (;;) {
        bool there = !is_gone(state) || (present && try_open(state));
        if (there == present) return KF_OK;
        if (kf_deadline_left(deadline) == 0) break;
        pause_between_looks();
    }
    if (present)
        return kf_fail(error, KF_ERR_NO_CARD, "reader %s: no card in the reader; insert one", state->name);
    return kf_fail(error, KF_ERR_READER_TIMEOUT, "reader %s: the card is still in the reader", state->name);
}

/* The first protocol offered is used; an ATR that cannot be understood offers T=0 (ISO/IEC 7816-3 §8.2.3). */
static bool atr_offers_t0(const kf_answer_to_reset *answer)
{
    kf_atr atr;
    if (kf_atr_parse(kf_view_of(answer->bytes, answer->size), &atr) != KF_OK || atr.protocol_count == 0)
        return true;
    return atr.protocols[0] == 0;
}

static kf_code socket_connect(void *opaque, unsigned timeout, kf_answer_to_reset *ret_atr, kf_error *error)
{
    socket_state *state = opaque;
    kf_deadline deadline = kf_deadline_in(timeout);
    if (is_gone(state)) KF_TRY(socket_wait(state, true, 0, error));
    KF_TRY(send_control(state, CONTROL_POWER_OFF, deadline, error));
    KF_TRY(send_control(state, CONTROL_POWER_ON, deadline, error));
    KF_TRY(send_control(state, CONTROL_ATR, deadline, error));
    kf_answer_to_reset atr = {.size = 0};
    KF_TRY(receive_frame(state, atr.bytes, sizeof atr.bytes, deadline, &atr.size, error));
    if (atr.size < 2) {
        kf_descriptor_close(&state->descriptor);
        return kf_fail(error, KF_ERR_READER, "reader %s: the card gave an ATR of %zu bytes", state->name,
                       atr.size);
    }
    state->is_t0 = atr_offers_t0(&atr);
    *ret_atr = atr;
    return KF_OK;
}

static kf_code socket_transmit(void *opaque, kf_view command, unsigned timeout,
                               kf_card_response *ret_response, kf_error *error)
{
    socket_state *state = opaque;
    kf_deadline deadline = kf_deadline_in(timeout);
    if (is_gone(state)) return removed(state, error);
    KF_TRY(send_frame(state, command, deadline, error));
    kf_code code = receive_frame(state, ret_response->bytes, sizeof ret_response->bytes, deadline,
                                 &ret_response->size, error);
    /* The response may still come: it must not be taken for that of another command. */
    if (code == KF_ERR_READER_TIMEOUT) kf_descriptor_close(&state->descriptor);
    return code;
}

static kf_code socket_transmit_extended(void *opaque, kf_view command, unsigned timeout, kf_buffer *response,
                                        kf_error *error)
{
    socket_state *state = opaque;
    kf_deadline deadline = kf_deadline_in(timeout);
    if (is_gone(state)) return removed(state, error);
    KF_CLEANUP(kf_buffer_clear) kf_buffer frame = KF_BUFFER_INIT;
    uint8_t *place = kf_buffer_extend(&frame, UINT16_MAX);
    if (place == NULL) return kf_fail_plain(error, kf_buffer_status(&frame));
    KF_TRY(send_frame(state, command, deadline, error));
    size_t size = 0;
    kf_code code = receive_frame(state, place, UINT16_MAX, deadline, &size, error);
    if (code == KF_ERR_READER_TIMEOUT) kf_descriptor_close(&state->descriptor);
    KF_TRY(code);
    kf_buffer_append_bytes(response, place, size);
    return kf_fail_plain(error, kf_buffer_status(response));
}

static bool socket_is_t0(const void *opaque)
{
    const socket_state *state = opaque;
    return state->is_t0;
}

static void socket_disconnect(void *opaque, kf_disconnection ending)
{
    socket_state *state = opaque;
    if (ending == KF_CARD_LEAVE || is_gone(state)) return;
    uint8_t control = ending == KF_CARD_RESET ? CONTROL_RESET : CONTROL_POWER_OFF;
    if (send_control(state, control, kf_deadline_in(CONTROL_TIMEOUT), NULL) != KF_OK)
        kf_descriptor_close(&state->descriptor);
}

static void socket_close(void *opaque)
{
    socket_state *state = opaque;
    kf_descriptor_close(&state->descriptor);
    free(state);
}

static const kf_reader_driver socket_driver = {
    .name = socket_name,
    .wait = socket_wait,
    .connect = socket_connect,
    .transmit = socket_transmit,
    .transmit_extended = socket_transmit_extended,
    .is_t0 = socket_is_t0,
    .disconnect = socket_disconnect,
    .close = socket_close,
};

kf_code kf_reader_open_socket(const char *path, kf_reader **ret_reader, kf_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address.sun_path)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "reader 'socket:%.120s': a path of 1 to %zu characters is wanted", path,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, length);
    socket_state *state = calloc(1, sizeof *state);
    if (state == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    state->address = address;
    state->descriptor = -1;
    memcpy(state->name, "socket:", sizeof "socket:");
    memcpy(state->name + strlen("socket:"), path, length);
    return kf_fail_plain(error, kf_reader_new(&socket_driver, state, ret_reader));
}
