/* The card's side of secure channels, opened by the library's host side: commands come wrapped, spoilt and
 * bare, answers go back as they are and spoilt. */
#include <keyfill/globalplatform.h>
#include <keyfill/hex.h>

#include "memory_card.h"

#define STEPS_MAX 64

typedef struct fuzz_session {
    memory_card card;
    size_t kind;
    kf_secure_channel *channel; /* NULL: none open */
} fuzz_session;

static uint8_t level_of(uint8_t choice)
{
    static const uint8_t levels[] = {0x33, 0x13, 0x11, 0x03, 0x01, 0x00};
    return levels[choice % sizeof levels];
}

static void open_channel(fuzz_session *session, uint8_t choice)
{
    static const uint8_t challenge[16] = {1, 2, 3, 4, 5, 6, 7, 8};
    const memory_card_kind *kind = &memory_card_kinds[session->kind % memory_card_kind_count];
    const kf_secret *key = fuzz_key(MEMORY_CARD_KEY, 16);
    const kf_key_set keys = {key, key, key};
    kf_view host_challenge = kf_view_of(challenge, kind->host_challenge_size);
    FUZZ_BUFFER(command);
    FUZZ_BUFFER(response);
    kf_secure_channel_free(&session->channel);
    FUZZ_WANT(kf_gp_initialize_update(0, host_challenge, &command) == KF_OK);
    if (memory_card_send(&session->card, kf_buffer_view(&command), &response) != 0x9000) return;
    kf_code code =
        kf_secure_channel_open(&keys, host_challenge, kf_buffer_view(&response), &session->channel, NULL);
    if (code != KF_OK) return;
    const kf_initialize_update *answer = kf_secure_channel_answer(session->channel);
    if (answer->protocol == 2) {
        uint8_t options = 0;
        FUZZ_WANT(kf_hex_decode(kind->parameter, &options, 1) == KF_OK);
        FUZZ_WANT(kf_secure_channel_set_scp02_options(session->channel, options) == KF_OK);
    }
    kf_buffer_truncate(&command, 0);
    kf_buffer_truncate(&response, 0);
    code = kf_secure_channel_external_authenticate(session->channel, level_of(choice), &command, NULL);
    if (code == KF_OK && memory_card_send(&session->card, kf_buffer_view(&command), &response) == 0x9000)
        return;
    kf_secure_channel_free(&session->channel);
}

/* What comes back, as it is or with one byte changed at `where`. */
static void unwrap(fuzz_session *session, const kf_exchange *exchange, kf_buffer *response, uint8_t spoil,
                   size_t where)
{
    FUZZ_BUFFER(data);
    uint16_t status_word = 0xA5A5;
    size_t body = response->size - 2;
    bool mac_due = (exchange->level & KF_LEVEL_R_MAC) != 0 && response->data[body] == 0x90;
    if (body == 0) spoil = 0;
    if (spoil != 0) response->data[where % body] ^= spoil;
    FUZZ_COPY(copy, kf_buffer_view(response));
    kf_code code = kf_secure_channel_unwrap(session->channel, exchange, copy.view, &data, &status_word);
    if (spoil != 0 && mac_due) FUZZ_WANT(code != KF_OK);
    if (code != KF_OK) FUZZ_WANT(data.size == 0 && status_word == 0xA5A5);
    if (code != KF_OK) kf_secure_channel_free(&session->channel);
}

typedef struct fuzz_spoiling {
    uint8_t command; /* what is changed in one byte of the command; 0: nothing */
    uint8_t response;
    uint16_t where;
} fuzz_spoiling;

/* A change behind the header, where the length fields are not: the MAC covers all of that. */
static bool is_covered(const kf_buffer *wrapped, size_t where)
{
    return wrapped->size > 5 && wrapped->data[4] != 0 && where >= 5 && where < 5u + wrapped->data[4] &&
           wrapped->data[1] != 0xC0;
}

static void send_wrapped(fuzz_session *session, kf_view plain, const fuzz_spoiling *spoiling)
{
    FUZZ_BUFFER(wrapped);
    FUZZ_BUFFER(response);
    kf_exchange exchange;
    kf_code code = kf_secure_channel_wrap(session->channel, plain, &wrapped, &exchange);
    if (code != KF_OK) {
        FUZZ_WANT(wrapped.size == 0);
        return;
    }
    size_t where = spoiling->where % wrapped.size;
    wrapped.data[where] ^= spoiling->command;
    uint16_t status_word = memory_card_send(&session->card, kf_buffer_view(&wrapped), &response);
    bool has_mac = (exchange.level & KF_LEVEL_C_MAC) != 0;
    if (has_mac && spoiling->command != 0 && is_covered(&wrapped, where))
        FUZZ_WANT(!kf_status_word_is_normal(status_word));
    unwrap(session, &exchange, &response, spoiling->response, spoiling->where);
}

static void step(fuzz_session *session, fuzz_input *input)
{
    uint8_t choice = fuzz_u8(input);
    fuzz_spoiling spoiling = {0, 0, 0};
    FUZZ_BUFFER(response);
    switch (choice % 8) {
    case 0: (void)memory_card_send(&session->card, fuzz_part16(input), &response); return;
    case 1: open_channel(session, fuzz_u8(input)); return;
    case 2:
        memory_card_revive(&session->card);
        kf_secure_channel_free(&session->channel);
        return;
    case 3:
        spoiling.command = fuzz_u8(input);
        spoiling.where = fuzz_u16(input);
        break;
    case 4:
        spoiling.response = fuzz_u8(input);
        spoiling.where = fuzz_u16(input);
        break;
    default: break;
    }
    kf_view plain = fuzz_part16(input);
    if (session->channel == NULL) open_channel(session, 0);
    if (session->channel != NULL) send_wrapped(session, plain, &spoiling);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = fuzz_input_of(data, size);
    fuzz_session session = {.kind = fuzz_u8(&input)};
    memory_card_open(&session.card, session.kind);
    open_channel(&session, fuzz_u8(&input));
    for (unsigned i = 0; i < STEPS_MAX && !fuzz_input_ends(&input); i++)
        step(&session, &input);
    kf_secure_channel_free(&session.channel);
    memory_card_close(&session.card);
    return 0;
}
