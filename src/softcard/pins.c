#include "softcard/pins.h"

#include <string.h>

#include "softcard/card.h"

enum {
    INS_VERIFY = 0x20,
    INS_CHANGE = 0x24,
    INS_DISABLE = 0x26,
    INS_ENABLE = 0x28,
    INS_UNBLOCK = 0x2C,
};

/* Key references (TS 102 221 table 9.3). */
enum { REFERENCE_PIN1 = 0x01, REFERENCE_ADM1 = 0x0A };

enum { SW_PIN_DISABLED = 0x6984 };

bool softcard_is_pin_instruction(uint8_t instruction)
{
    return instruction == INS_VERIFY || instruction == INS_CHANGE || instruction == INS_DISABLE ||
           instruction == INS_ENABLE || instruction == INS_UNBLOCK;
}

static softcard_status compare(softcard_request *request, softcard_pin_name name, kf_view given)
{
    softcard_pin *pin = &request->card->state->pins[name];
    if (kf_equal_constant_time(given.data, kf_secret_expose(pin->value).data, SOFTCARD_PIN_SIZE)) {
        pin->tries_left = pin->try_limit;
        return SW_OK;
    }
    pin->tries_left--;
    request->card->pin_verified[name] = false;
    return (softcard_status)(SW_TRIES_LEFT | pin->tries_left);
}

static void put(softcard_request *request, softcard_pin_name name, kf_view value)
{
    memcpy(kf_secret_expose_writable(request->card->state->pins[name].value), value.data, SOFTCARD_PIN_SIZE);
}

static softcard_status verify(softcard_request *request, softcard_pin_name name, kf_view code)
{
    if (name == SOFTCARD_PIN1 && request->card->state->pin1_disabled) return SW_PIN_DISABLED;
    softcard_status status = compare(request, name, code);
    if (status == SW_OK) request->card->pin_verified[name] = true;
    return status;
}

static softcard_status change(softcard_request *request, softcard_pin_name name, kf_view both)
{
    if (name == SOFTCARD_PIN1 && request->card->state->pin1_disabled) return SW_PIN_DISABLED;
    softcard_status status = compare(request, name, kf_view_part(both, 0, SOFTCARD_PIN_SIZE));
    if (status != SW_OK) return status;
    put(request, name, kf_view_part(both, SOFTCARD_PIN_SIZE, SOFTCARD_PIN_SIZE));
    request->card->pin_verified[name] = true;
    return SW_OK;
}

/* Only PIN1 can be disabled. */
static softcard_status set_disabled(softcard_request *request, softcard_pin_name name, kf_view code,
                                    bool disabled)
{
    softcard_state *state = request->card->state;
    if (name != SOFTCARD_PIN1 || state->pin1_disabled == disabled) return SW_CONDITIONS;
    softcard_status status = compare(request, name, code);
    if (status != SW_OK) return status;
    state->pin1_disabled = disabled;
    request->card->pin_verified[name] = true;
    return SW_OK;
}

/* The PUK gives a new PIN1, which is enabled then (11.1.13). */
static softcard_status unblock(softcard_request *request, softcard_pin_name name, kf_view both)
{
    softcard_state *state = request->card->state;
    if (name != SOFTCARD_PIN1) return SW_REFERENCE_NOT_FOUND;
    softcard_status status = compare(request, SOFTCARD_PUK1, kf_view_part(both, 0, SOFTCARD_PIN_SIZE));
    if (status != SW_OK) return status;
    put(request, name, kf_view_part(both, SOFTCARD_PIN_SIZE, SOFTCARD_PIN_SIZE));
    state->pins[name].tries_left = state->pins[name].try_limit;
    state->pin1_disabled = false;
    request->card->pin_verified[name] = true;
    return SW_OK;
}

/* Without data VERIFY and UNBLOCK tell how many tries are left. */
static softcard_status tell_tries(const softcard_request *request, softcard_pin_name name)
{
    const softcard_state *state = request->card->state;
    bool is_unblock = request->command.instruction == INS_UNBLOCK;
    if (!is_unblock && request->command.instruction != INS_VERIFY) return SW_WRONG_LENGTH;
    if (!is_unblock && name == SOFTCARD_PIN1 && state->pin1_disabled) return SW_PIN_DISABLED;
    uint8_t left = state->pins[is_unblock ? SOFTCARD_PUK1 : name].tries_left;
    return left == 0 ? SW_BLOCKED : (softcard_status)(SW_TRIES_LEFT | left);
}

softcard_status softcard_pin_command(softcard_request *request)
{
    const softcard_command *command = &request->command;
    bool takes_two = command->instruction == INS_CHANGE || command->instruction == INS_UNBLOCK;
    if (command->p1 != 0) return SW_WRONG_P1P2;
    if (command->p2 != REFERENCE_PIN1 && command->p2 != REFERENCE_ADM1) return SW_REFERENCE_NOT_FOUND;
    softcard_pin_name name = command->p2 == REFERENCE_PIN1 ? SOFTCARD_PIN1 : SOFTCARD_ADM1;
    if (command->data.size == 0) return tell_tries(request, name);
    softcard_pin_name compared = command->instruction == INS_UNBLOCK ? SOFTCARD_PUK1 : name;
    if (request->card->state->pins[compared].tries_left == 0) return SW_BLOCKED;
    if (command->data.size != (takes_two ? 2U : 1U) * SOFTCARD_PIN_SIZE) return SW_WRONG_LENGTH;
    switch (command->instruction) {
    case INS_VERIFY: return verify(request, name, command->data);
    case INS_CHANGE: return change(request, name, command->data);
    case INS_DISABLE: return set_disabled(request, name, command->data, true);
    case INS_ENABLE: return set_disabled(request, name, command->data, false);
    case INS_UNBLOCK: return unblock(request, name, command->data);
    default: return SW_INSTRUCTION;
    }
}
