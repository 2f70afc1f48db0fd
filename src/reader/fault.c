#include "reader/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

typedef struct fault_state {
    kf_reader *inner;
    kf_fault fault;
    size_t transmissions;
} fault_state;

static const char *fault_name(const void *opaque)
{
    const fault_state *state = opaque;
    return kf_reader_name(state->inner);
}

static kf_code fault_wait(void *opaque, bool present, unsigned timeout, kf_error *error)
{
    fault_state *state = opaque;
    return present ? kf_reader_wait_present(state->inner, timeout, error)
                   : kf_reader_wait_absent(state->inner, timeout, error);
}

static kf_code fault_connect(void *opaque, unsigned timeout, kf_answer_to_reset *ret_atr, kf_error *error)
{
    fault_state *state = opaque;
    return kf_reader_connect(state->inner, timeout, ret_atr, error);
}

static void pause_milliseconds(unsigned milliseconds)
{
    struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

static kf_code torn(fault_state *state, kf_error *error)
{
    kf_reader_disconnect(state->inner, KF_CARD_UNPOWER);
    return kf_fail(error, KF_ERR_CARD_REMOVED, "reader %s: the card was removed; insert it again",
                   kf_reader_name(state->inner));
}

static kf_code fault_transmit(void *opaque, kf_view command, unsigned timeout, kf_card_response *ret_response,
                              kf_error *error)
{
    fault_state *state = opaque;
    if (state->transmissions++ != state->fault.at)
        return kf_reader_transmit(state->inner, command, timeout, ret_response, error);
    switch (state->fault.kind) {
    case KF_FAULT_FAIL:
        return kf_fail(error, KF_ERR_READER, "reader %s: the transmission failed",
                       kf_reader_name(state->inner));
    case KF_FAULT_TEAR_BEFORE: return torn(state, error);
    case KF_FAULT_TEAR_AFTER: {
        kf_card_response lost;
        KF_TRY(kf_reader_transmit(state->inner, command, timeout, &lost, error));
        return torn(state, error);
    }
    case KF_FAULT_DELAY: break;
    }
    if (state->fault.milliseconds >= timeout) {
        pause_milliseconds(timeout);
        return kf_fail(error, KF_ERR_READER_TIMEOUT, "reader %s: no response within %u ms",
                       kf_reader_name(state->inner), timeout);
    }
    pause_milliseconds(state->fault.milliseconds);
    return kf_reader_transmit(state->inner, command, timeout - state->fault.milliseconds, ret_response,
                              error);
}

/* The inner reader maps commands itself. */
static bool fault_is_t0(const void *state)
{
    (void)state;
    return false;
}

static void fault_disconnect(void *opaque, kf_disconnection ending)
{
    fault_state *state = opaque;
    kf_reader_disconnect(state->inner, ending);
}

static void fault_close(void *opaque)
{
    fault_state *state = opaque;
    kf_reader_close(&state->inner);
    free(state);
}

static const kf_reader_driver fault_driver = {
    .name = fault_name,
    .wait = fault_wait,
    .connect = fault_connect,
    .transmit = fault_transmit,
    .is_t0 = fault_is_t0,
    .disconnect = fault_disconnect,
    .close = fault_close,
};

kf_code kf_reader_open_fault(kf_reader **inner, kf_fault fault, kf_reader **ret_reader)
{
    fault_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        kf_reader_close(inner);
        return KF_ERR_MEMORY;
    }
    state->inner = *inner;
    state->fault = fault;
    *inner = NULL;
    return kf_reader_new(&fault_driver, state, ret_reader);
}
