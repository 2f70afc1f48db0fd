#include "reader/replay.h"

#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

typedef struct replay_state {
    const kf_replay *replay;
    size_t next;
} replay_state;

static const char *replay_name(const void *state)
{
    (void)state;
    return "replay";
}

static kf_code no_card(kf_error *error)
{
    return kf_fail(error, KF_ERR_NO_CARD, "replay: no card in the reader; insert one");
}

static kf_code replay_wait(void *opaque, bool present, unsigned timeout, kf_error *error)
{
    const replay_state *state = opaque;
    (void)timeout;
    if (present) return state->replay->atr != NULL ? KF_OK : no_card(error);
    if (state->replay->atr == NULL) return KF_OK;
    return kf_fail(error, KF_ERR_READER_TIMEOUT, "replay: the card stays in the reader");
}

static kf_code replay_connect(void *opaque, unsigned timeout, kf_answer_to_reset *ret_atr, kf_error *error)
{
    const replay_state *state = opaque;
    (void)timeout;
    if (state->replay->atr == NULL) return no_card(error);
    size_t size = strlen(state->replay->atr) / 2;
    if (size > KF_READER_ATR_MAX) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    KF_TRY(kf_hex_decode(state->replay->atr, ret_atr->bytes, size));
    ret_atr->size = size;
    return KF_OK;
}

static kf_code replay_transmit(void *opaque, kf_view command, unsigned timeout,
                               kf_card_response *ret_response, kf_error *error)
{
    replay_state *state = opaque;
    (void)timeout;
    char digits[2 * KF_READER_COMMAND_MAX + 1];
    KF_TRY(kf_hex_encode(command, digits, sizeof digits));
    if (state->next >= state->replay->count)
        return kf_fail(error, KF_ERR_READER, "replay: the record is at its end; %.200s is not in it", digits);
    const kf_replay_exchange *exchange = &state->replay->exchanges[state->next];
    if (exchange->command != NULL && strcasecmp(exchange->command, digits) != 0)
        return kf_fail(error, KF_ERR_READER, "replay: exchange %zu: %.200s came, %.200s is recorded",
                       state->next, digits, exchange->command);
    state->next++;
    if (state->replay->played != NULL) *state->replay->played = state->next;
    if (exchange->response == NULL)
        return kf_fail(error, KF_ERR_CARD_REMOVED, "replay: the card was removed");
    size_t size = strlen(exchange->response) / 2;
    if (size > KF_READER_RESPONSE_MAX)
        return kf_fail(error, KF_ERR_APDU, "the card's response is longer than %d bytes",
                       KF_READER_RESPONSE_MAX);
    KF_TRY(kf_hex_decode(exchange->response, ret_response->bytes, size));
    ret_response->size = size;
    return KF_OK;
}

static bool replay_is_t0(const void *state)
{
    (void)state;
    return false;
}

static void replay_disconnect(void *state, kf_disconnection ending)
{
    (void)state;
    (void)ending;
}

static const kf_reader_driver replay_driver = {
    .name = replay_name,
    .wait = replay_wait,
    .connect = replay_connect,
    .transmit = replay_transmit,
    .is_t0 = replay_is_t0,
    .disconnect = replay_disconnect,
    .close = free,
};

kf_code kf_reader_open_replay(const kf_replay *replay, kf_reader **ret_reader)
{
    replay_state *state = calloc(1, sizeof *state);
    if (state == NULL) return KF_ERR_MEMORY;
    state->replay = replay;
    return kf_reader_new(&replay_driver, state, ret_reader);
}
