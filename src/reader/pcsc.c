/* PC/SC. The library's calls can hang (SCardConnect on a broken card, a driver that waits for USB), so a
 * worker thread of each reader makes them, and the caller gives up at its deadline. A worker that hangs when
 * the reader is closed is left alone and frees everything once its call returns. */
#include <winscard.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/secret.h>

#include "reader/deadline.h"
#include "reader/reader.h"

#define WAIT_SLICE 1000U         /* milliseconds: how long one SCardGetStatusChange may take at most */
#define SERVICE_RETRY 200U       /* milliseconds between attempts to reach pcscd */
#define GRACE 500U               /* milliseconds that a call with a timeout of its own gets on top */
#define DISCONNECT_TIMEOUT 3000U /* milliseconds */
#define NAMES_SIZE 8192          /* bytes of pcscd's list of readers */
#define RECEIVE_SIZE 1024        /* bytes: more than a short response, to notice a longer one */
#define PNP_NAME "\\\\?PnP?\\Notification"

typedef enum job_kind {
    JOB_NONE,
    JOB_LIST,
    JOB_WAIT,
    JOB_CONNECT,
    JOB_TRANSMIT,
    JOB_TRANSMIT_EXTENDED,
    JOB_DISCONNECT
} job_kind;

typedef struct job_input {
    job_kind kind;
    bool present;     /* JOB_WAIT */
    unsigned timeout; /* JOB_WAIT */
    kf_disconnection ending;
    uint8_t command[KF_READER_COMMAND_MAX];
    size_t command_size;
} job_input;

typedef struct job_output {
    kf_code code;
    kf_error error;
    char name[KF_READER_NAME_SIZE];
    kf_answer_to_reset atr;
    bool is_t0;
    kf_card_response response;
    kf_reader_names names;
} job_output;

typedef struct pcsc_state {
    /* The caller's. */
    char shown_name[KF_READER_NAME_SIZE];
    bool is_t0;
    pthread_t worker;

    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool posted;
    bool finished;
    bool closing;
    bool abandoned; /* nobody waits any more: the worker frees the state */
    job_input input;
    job_output output;
    kf_buffer extended_command; /* of the job under way: the worker's until it is finished */
    kf_buffer extended_response;

    /* The worker's. */
    char wanted_name[KF_READER_NAME_SIZE]; /* "": any */
    char name[KF_READER_NAME_SIZE];        /* "": not yet known */
    bool has_context;
    bool has_card;
    SCARDCONTEXT context;
    SCARDHANDLE card;
    DWORD protocol;
} pcsc_state;

static void set_name(char destination[KF_READER_NAME_SIZE], const char *name)
{
    size_t length = strnlen(name, KF_READER_NAME_SIZE - 1);
    memcpy(destination, name, length);
    destination[length] = '\0';
}

/* ---- in the worker ---- */

static void forget_context(pcsc_state *state)
{
    if (state->has_context) SCardReleaseContext(state->context);
    state->has_context = false;
    state->has_card = false;
}

/* pcscd was restarted or went away: the context is worth nothing any more. */
static bool service_is_lost(LONG result)
{
    return result == SCARD_E_INVALID_HANDLE || result == SCARD_E_NO_SERVICE ||
           result == SCARD_E_SERVICE_STOPPED || result == SCARD_F_COMM_ERROR;
}

static bool card_is_gone(LONG result)
{
    return result == SCARD_W_REMOVED_CARD || result == SCARD_W_RESET_CARD ||
           result == SCARD_W_UNPOWERED_CARD || result == SCARD_E_NO_SMARTCARD ||
           result == SCARD_E_READER_UNAVAILABLE || result == SCARD_E_UNKNOWN_READER ||
           service_is_lost(result);
}

static kf_code ensure_context(pcsc_state *state, kf_error *error)
{
    if (state->has_context && SCardIsValidContext(state->context) == SCARD_S_SUCCESS) return KF_OK;
    forget_context(state);
    LONG result = SCardEstablishContext(SCARD_SCOPE_SYSTEM, NULL, NULL, &state->context);
    if (result == SCARD_E_NO_SERVICE)
        return kf_fail(error, KF_ERR_NO_READER, "pcscd does not run: start it (systemctl start pcscd)");
    if (result != SCARD_S_SUCCESS)
        return kf_fail(error, KF_ERR_READER, "PC/SC cannot be used: %s", pcsc_stringify_error(result));
    state->has_context = true;
    return KF_OK;
}

static kf_code list_readers(pcsc_state *state, kf_reader_names *ret_names, kf_error *error)
{
    KF_TRY(ensure_context(state, error));
    char all[NAMES_SIZE] = "";
    DWORD size = sizeof all;
    kf_reader_names names = {.count = 0};
    LONG result = SCardListReaders(state->context, NULL, all, &size);
    if (result == SCARD_E_NO_READERS_AVAILABLE) {
        *ret_names = names;
        return KF_OK;
    }
    if (service_is_lost(result)) forget_context(state);
    if (result != SCARD_S_SUCCESS)
        return kf_fail(error, KF_ERR_READER, "the readers cannot be listed: %s",
                       pcsc_stringify_error(result));
    size_t offset = 0;
    while (offset < size && all[offset] != '\0' && names.count < KF_READERS_MAX) {
        size_t length = strnlen(all + offset, size - offset);
        set_name(names.items[names.count++], all + offset);
        offset += length + 1;
    }
    *ret_names = names;
    return KF_OK;
}

static kf_code run_list(pcsc_state *state, job_output *output)
{
    KF_TRY(list_readers(state, &output->names, &output->error));
    if (output->names.count > 0) return KF_OK;
    return kf_fail(&output->error, KF_ERR_NO_READER, "no reader is connected to this machine; plug one in");
}

/* Keeps the readers that are wanted: the one that was chosen, else one of exactly the name, else those that
 * begin with it. */
static void keep_wanted(const pcsc_state *state, kf_reader_names *names)
{
    const char *wanted = state->name[0] != '\0' ? state->name : state->wanted_name;
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], wanted) != 0) continue;
        if (i > 0) memcpy(names->items[0], names->items[i], KF_READER_NAME_SIZE);
        names->count = 1;
        return;
    }
    size_t kept = 0;
    size_t length = strlen(wanted);
    for (size_t i = 0; i < names->count; i++) {
        if (strncmp(names->items[i], wanted, length) != 0) continue;
        if (kept != i) memcpy(names->items[kept], names->items[i], KF_READER_NAME_SIZE);
        kept++;
    }
    names->count = kept;
}

/* One look at the wanted readers, of at most `timeout` milliseconds: with 0 for their present state,
 * otherwise until something changes. `events` goes in as what is known and comes out as what is. */
static LONG look(pcsc_state *state, const kf_reader_names *names, DWORD events[KF_READERS_MAX], DWORD timeout)
{
    SCARD_READERSTATE states[KF_READERS_MAX + 1];
    memset(states, 0, sizeof states);
    for (size_t i = 0; i < names->count; i++) {
        states[i].szReader = names->items[i];
        states[i].dwCurrentState = events[i];
    }
    DWORD count = (DWORD)names->count;
    if (timeout > 0) states[count++].szReader = PNP_NAME;
    if (count == 0) return SCARD_S_SUCCESS;
    LONG result = SCardGetStatusChange(state->context, timeout, states, count);
    for (size_t i = 0; i < names->count; i++)
        events[i] = states[i].dwEventState & ~(DWORD)SCARD_STATE_CHANGED;
    return result;
}

static bool card_is_present(DWORD event)
{
    return (event & SCARD_STATE_PRESENT) != 0;
}

/* Whether the wait is over; notes the reader that has the card. */
static bool wait_is_over(pcsc_state *state, const kf_reader_names *names, const DWORD *events, bool present)
{
    bool any = false;
    for (size_t i = 0; i < names->count && !any; i++) {
        if (!card_is_present(events[i])) continue;
        any = true;
        if (present) set_name(state->name, names->items[i]);
    }
    return any == present;
}

static kf_code wait_failed(const pcsc_state *state, bool present, size_t readers, kf_error *error)
{
    const char *name = state->name[0] != '\0' ? state->name : state->wanted_name;
    if (!present)
        return kf_fail(error, KF_ERR_READER_TIMEOUT, "reader %s: the card is still in the reader", name);
    if (readers == 0 && name[0] != '\0')
        return kf_fail(error, KF_ERR_NO_READER,
                       "there is no reader '%.200s'; see the names with pcsc_scan -r", name);
    if (readers == 0)
        return kf_fail(error, KF_ERR_NO_READER, "no reader is connected to this machine; plug one in");
    return kf_fail(error, KF_ERR_NO_CARD, "no card in the reader%s%.200s; insert one",
                   name[0] != '\0' ? " " : "", name);
}

static void pause_milliseconds(unsigned milliseconds)
{
    const struct timespec pause = {.tv_sec = milliseconds / 1000,
                                   .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static unsigned shorter(unsigned left, unsigned right)
{
    return left < right ? left : right;
}

static kf_code run_wait(pcsc_state *state, bool present, unsigned timeout, kf_error *error)
{
    kf_deadline deadline = kf_deadline_in(timeout);
    /* A reader that was chosen because it had the card is not the one for the next card. */
    if (present && !state->has_card) state->name[0] = '\0';
    for (;;) {
        kf_reader_names names;
        kf_code code = list_readers(state, &names, error);
        if (code != KF_OK) {
            if (!present && code == KF_ERR_NO_READER) return KF_OK;
            if (kf_deadline_left(deadline) == 0) return code;
            pause_milliseconds(shorter(SERVICE_RETRY, kf_deadline_left(deadline)));
            continue;
        }
        keep_wanted(state, &names);
        DWORD events[KF_READERS_MAX] = {SCARD_STATE_UNAWARE};
        LONG result = look(state, &names, events, 0);
        if (result == SCARD_S_SUCCESS && wait_is_over(state, &names, events, present)) return KF_OK;
        unsigned left = kf_deadline_left(deadline);
        if (left == 0) return wait_failed(state, present, names.count, error);
        if (result == SCARD_S_SUCCESS) result = look(state, &names, events, shorter(left, WAIT_SLICE));
        if (result == SCARD_S_SUCCESS || result == SCARD_E_TIMEOUT) continue;
        if (service_is_lost(result)) forget_context(state);
        pause_milliseconds(shorter(SERVICE_RETRY, kf_deadline_left(deadline)));
    }
}

static kf_code connect_failed(pcsc_state *state, LONG result, kf_error *error)
{
    if (service_is_lost(result)) forget_context(state);
    if (result == SCARD_E_NO_SMARTCARD || result == SCARD_W_REMOVED_CARD ||
        result == SCARD_E_READER_UNAVAILABLE || result == SCARD_E_UNKNOWN_READER)
        return kf_fail(error, KF_ERR_NO_CARD, "no card in the reader %.200s; insert one", state->name);
    if (result == SCARD_E_SHARING_VIOLATION)
        return kf_fail(error, KF_ERR_READER,
                       "another program uses the card in the reader %.200s; end it first", state->name);
    if (result == SCARD_W_UNRESPONSIVE_CARD || result == SCARD_W_UNPOWERED_CARD ||
        result == SCARD_W_UNSUPPORTED_CARD)
        return kf_fail(
            error, KF_ERR_READER,
            "the card in the reader %.200s gives no answer to reset; turn it round or clean its contacts",
            state->name);
    return kf_fail(error, KF_ERR_READER, "reader %.200s: %s", state->name, pcsc_stringify_error(result));
}

/* The card may have been left powered, with files or applications selected, by another program: it is reset.
 */
static LONG take_card(pcsc_state *state)
{
    LONG result = SCardConnect(state->context, state->name, SCARD_SHARE_EXCLUSIVE,
                               SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1, &state->card, &state->protocol);
    if (result != SCARD_S_SUCCESS) return result;
    state->has_card = true;
    return SCardReconnect(state->card, SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1,
                          SCARD_RESET_CARD, &state->protocol);
}

static void drop_card(pcsc_state *state, kf_disconnection ending)
{
    static const DWORD dispositions[] = {[KF_CARD_LEAVE] = SCARD_LEAVE_CARD,
                                         [KF_CARD_RESET] = SCARD_RESET_CARD,
                                         [KF_CARD_UNPOWER] = SCARD_UNPOWER_CARD};
    if (state->has_card) SCardDisconnect(state->card, dispositions[ending]);
    state->has_card = false;
}

static kf_code run_connect(pcsc_state *state, job_output *output)
{
    drop_card(state, KF_CARD_RESET);
    KF_TRY(run_wait(state, true, 0, &output->error));
    LONG result = take_card(state);
    BYTE atr[MAX_ATR_SIZE] = {0};
    DWORD atr_size = sizeof atr;
    if (result == SCARD_S_SUCCESS) result = SCardStatus(state->card, NULL, NULL, NULL, NULL, atr, &atr_size);
    if (result != SCARD_S_SUCCESS) {
        drop_card(state, KF_CARD_UNPOWER);
        return connect_failed(state, result, &output->error);
    }
    if (atr_size > KF_READER_ATR_MAX) {
        drop_card(state, KF_CARD_UNPOWER);
        return kf_fail(&output->error, KF_ERR_READER, "reader %.200s: an ATR of %lu bytes", state->name,
                       atr_size);
    }
    memcpy(output->atr.bytes, atr, atr_size);
    output->atr.size = atr_size;
    output->is_t0 = state->protocol == SCARD_PROTOCOL_T0;
    return KF_OK;
}

/* SCARD_E_NOT_TRANSACTED and the like say that the exchange failed, not why. */
static bool card_left_the_reader(pcsc_state *state)
{
    DWORD reader_state = 0;
    DWORD protocol = 0;
    LONG result = SCardStatus(state->card, NULL, NULL, &reader_state, &protocol, NULL, NULL);
    return card_is_gone(result) || (result == SCARD_S_SUCCESS && (reader_state & SCARD_PRESENT) == 0);
}

/* What an exchange that gave no answer means. */
static kf_code transmit_failed(pcsc_state *state, LONG result, kf_error *error)
{
    if (card_is_gone(result) || card_left_the_reader(state)) {
        drop_card(state, KF_CARD_LEAVE);
        if (service_is_lost(result)) forget_context(state);
        return kf_fail(error, KF_ERR_CARD_REMOVED,
                       "reader %.200s: the card was removed (%s); insert it again", state->name,
                       pcsc_stringify_error(result));
    }
    return kf_fail(error, KF_ERR_READER, "reader %.200s: the exchange with the card failed: %s", state->name,
                   pcsc_stringify_error(result));
}

/* `size` goes in as what `received` holds. */
static LONG transmit(pcsc_state *state, kf_view command, BYTE *received, DWORD *size)
{
    const SCARD_IO_REQUEST *protocol = state->protocol == SCARD_PROTOCOL_T0 ? SCARD_PCI_T0 : SCARD_PCI_T1;
    LONG result = state->has_card
                      ? SCardTransmit(state->card, protocol, command.data, command.size, NULL, received, size)
                      : (LONG)SCARD_W_REMOVED_CARD;
    /* Some drivers report a card that lost its power in mid-command as an empty response. */
    return result == SCARD_S_SUCCESS && *size == 0 ? (LONG)SCARD_W_REMOVED_CARD : result;
}

static kf_code run_transmit(pcsc_state *state, const job_input *input, job_output *output)
{
    BYTE received[RECEIVE_SIZE];
    DWORD received_size = sizeof received;
    LONG result = transmit(state, kf_view_of(input->command, input->command_size), received, &received_size);
    if (result == SCARD_S_SUCCESS && received_size <= sizeof output->response.bytes) {
        memcpy(output->response.bytes, received, received_size);
        output->response.size = received_size;
        return KF_OK;
    }
    if (result == SCARD_S_SUCCESS || result == SCARD_E_INSUFFICIENT_BUFFER)
        return kf_fail(&output->error, KF_ERR_APDU,
                       "the card's response is longer than the %d bytes of a short APDU",
                       KF_READER_RESPONSE_MAX);
    return transmit_failed(state, result, &output->error);
}

static kf_code run_transmit_extended(pcsc_state *state, job_output *output)
{
    DWORD received_size = KF_READER_EXTENDED_RESPONSE_MAX;
    kf_buffer_truncate(&state->extended_response, 0);
    uint8_t *received = kf_buffer_extend(&state->extended_response, received_size);
    if (received == NULL) return KF_ERR_MEMORY;
    LONG result = transmit(state, kf_buffer_view(&state->extended_command), received, &received_size);
    if (result != SCARD_S_SUCCESS) return transmit_failed(state, result, &output->error);
    kf_buffer_truncate(&state->extended_response, received_size);
    return KF_OK;
}

static kf_code run_job(pcsc_state *state, const job_input *input, job_output *output)
{
    switch (input->kind) {
    case JOB_LIST: return run_list(state, output);
    case JOB_WAIT: return run_wait(state, input->present, input->timeout, &output->error);
    case JOB_CONNECT: return run_connect(state, output);
    case JOB_TRANSMIT: return run_transmit(state, input, output);
    case JOB_TRANSMIT_EXTENDED: return run_transmit_extended(state, output);
    case JOB_DISCONNECT: drop_card(state, input->ending); return KF_OK;
    case JOB_NONE: break;
    }
    return KF_ERR_INTERNAL;
}

static void free_state(pcsc_state *state)
{
    forget_context(state);
    pthread_cond_destroy(&state->changed);
    pthread_mutex_destroy(&state->lock);
    kf_wipe(&state->input, sizeof state->input);
    kf_buffer_clear(&state->extended_command);
    kf_buffer_clear(&state->extended_response);
    free(state);
}

static void *work(void *argument)
{
    pcsc_state *state = argument;
    job_input input;
    job_output output;
    pthread_mutex_lock(&state->lock);
    while (!state->closing) {
        if (!state->posted) {
            pthread_cond_wait(&state->changed, &state->lock);
            continue;
        }
        state->posted = false;
        input = state->input;
        pthread_mutex_unlock(&state->lock);
        memset(&output, 0, sizeof output);
        output.code = run_job(state, &input, &output);
        kf_wipe(&input, sizeof input);
        set_name(output.name, state->name);
        pthread_mutex_lock(&state->lock);
        state->output = output;
        state->finished = true;
        pthread_cond_broadcast(&state->changed);
    }
    bool mine = state->abandoned;
    pthread_mutex_unlock(&state->lock);
    if (mine) free_state(state);
    return NULL;
}

/* ---- in the caller ---- */

static kf_code call_worker(pcsc_state *state, const job_input *input, unsigned timeout,
                           job_output *ret_output, kf_error *error)
{
    struct timespec until = kf_deadline_time(kf_deadline_in(timeout));
    pthread_mutex_lock(&state->lock);
    if (state->abandoned) {
        pthread_mutex_unlock(&state->lock);
        return kf_fail(error, KF_ERR_READER, "reader %.200s: an earlier call hangs; open the reader anew",
                       state->shown_name);
    }
    state->input = *input;
    state->posted = true;
    state->finished = false;
    pthread_cond_broadcast(&state->changed);
    int waited = 0;
    while (!state->finished && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&state->changed, &state->lock, &until);
    bool finished = state->finished;
    if (finished)
        *ret_output = state->output;
    else
        state->abandoned = true;
    kf_wipe(state->input.command, sizeof state->input.command);
    pthread_mutex_unlock(&state->lock);
    if (!finished)
        return kf_fail(error, KF_ERR_READER_TIMEOUT, "reader %.200s: no answer within %u ms",
                       state->shown_name, timeout);
    if (ret_output->name[0] != '\0') set_name(state->shown_name, ret_output->name);
    if (ret_output->code == KF_OK) return KF_OK;
    if (error != NULL) *error = ret_output->error;
    return kf_fail_plain(error, ret_output->code);
}

static const char *pcsc_name(const void *opaque)
{
    const pcsc_state *state = opaque;
    return state->shown_name;
}

static kf_code pcsc_wait(void *opaque, bool present, unsigned timeout, kf_error *error)
{
    job_output output;
    return call_worker(opaque, &(job_input){.kind = JOB_WAIT, .present = present, .timeout = timeout},
                       timeout + WAIT_SLICE + GRACE, &output, error);
}

static kf_code pcsc_connect(void *opaque, unsigned timeout, kf_answer_to_reset *ret_atr, kf_error *error)
{
    pcsc_state *state = opaque;
    job_output output;
    KF_TRY(call_worker(state, &(job_input){.kind = JOB_CONNECT}, timeout, &output, error));
    state->is_t0 = output.is_t0;
    *ret_atr = output.atr;
    return KF_OK;
}

static kf_code pcsc_transmit(void *opaque, kf_view command, unsigned timeout, kf_card_response *ret_response,
                             kf_error *error)
{
    job_input input = {.kind = JOB_TRANSMIT, .command_size = command.size};
    if (command.size > sizeof input.command) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    memcpy(input.command, command.data, command.size);
    job_output output;
    kf_code code = call_worker(opaque, &input, timeout, &output, error);
    kf_wipe(input.command, sizeof input.command);
    if (code == KF_OK) *ret_response = output.response;
    return code;
}

static kf_code pcsc_transmit_extended(void *opaque, kf_view command, unsigned timeout, kf_buffer *response,
                                      kf_error *error)
{
    pcsc_state *state = opaque;
    job_output output;
    pthread_mutex_lock(&state->lock);
    /* An earlier call that hangs still has the buffers. */
    bool usable = !state->abandoned;
    if (usable) {
        kf_buffer_clear(&state->extended_command);
        kf_buffer_append(&state->extended_command, command);
    }
    kf_code code = usable ? kf_buffer_status(&state->extended_command) : KF_OK;
    pthread_mutex_unlock(&state->lock);
    KF_TRY(kf_fail_plain(error, code));
    KF_TRY(call_worker(state, &(job_input){.kind = JOB_TRANSMIT_EXTENDED}, timeout, &output, error));
    kf_buffer_append(response, kf_buffer_view(&state->extended_response));
    kf_buffer_clear(&state->extended_command);
    kf_buffer_clear(&state->extended_response);
    return kf_fail_plain(error, kf_buffer_status(response));
}

static bool pcsc_is_t0(const void *opaque)
{
    const pcsc_state *state = opaque;
    return state->is_t0;
}

static void pcsc_disconnect(void *opaque, kf_disconnection ending)
{
    job_output output;
    job_input input = {.kind = JOB_DISCONNECT, .ending = ending};
    /* The card is given up in any case; a call that hangs is seen at the next one. */
    kf_code given_up = call_worker(opaque, &input, DISCONNECT_TIMEOUT, &output, NULL);
    (void)given_up;
}

static void pcsc_close(void *opaque)
{
    pcsc_state *state = opaque;
    pthread_t worker = state->worker;
    pthread_mutex_lock(&state->lock);
    bool abandoned = state->abandoned;
    state->closing = true;
    pthread_cond_broadcast(&state->changed);
    /* An abandoned state belongs to the worker from here on. */
    if (abandoned) pthread_detach(worker);
    pthread_mutex_unlock(&state->lock);
    if (abandoned) return;
    pthread_join(worker, NULL);
    free_state(state);
}

static const kf_reader_driver pcsc_driver = {
    .name = pcsc_name,
    .wait = pcsc_wait,
    .connect = pcsc_connect,
    .transmit = pcsc_transmit,
    .transmit_extended = pcsc_transmit_extended,
    .is_t0 = pcsc_is_t0,
    .disconnect = pcsc_disconnect,
    .close = pcsc_close,
};

static kf_code new_state(const char *name, pcsc_state **ret_state)
{
    pcsc_state *state = calloc(1, sizeof *state);
    if (state == NULL) return KF_ERR_MEMORY;
    set_name(state->wanted_name, name);
    set_name(state->shown_name, name[0] != '\0' ? name : "pcsc:");
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&state->lock, NULL);
    pthread_cond_init(&state->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&state->worker, NULL, work, state) != 0) {
        free_state(state);
        return KF_ERR_SYSTEM;
    }
    *ret_state = state;
    return KF_OK;
}

kf_code kf_reader_open_pcsc(const char *name, kf_reader **ret_reader, kf_error *error)
{
    if (strlen(name) >= KF_READER_NAME_SIZE)
        return kf_fail(error, KF_ERR_CONFIGURATION, "reader 'pcsc:%.80s…': a name has at most %d characters",
                       name, KF_READER_NAME_SIZE - 1);
    pcsc_state *state = NULL;
    kf_code code = new_state(name, &state);
    if (code != KF_OK) return kf_fail_plain(error, code);
    return kf_fail_plain(error, kf_reader_new(&pcsc_driver, state, ret_reader));
}

kf_code kf_reader_list(unsigned timeout, kf_reader_names *ret_names, kf_error *error)
{
    pcsc_state *state = NULL;
    kf_code code = new_state("", &state);
    if (code != KF_OK) return kf_fail_plain(error, code);
    job_output output;
    code = call_worker(state, &(job_input){.kind = JOB_LIST}, timeout, &output, error);
    if (code == KF_OK) *ret_names = output.names;
    pcsc_close(state);
    return code;
}
