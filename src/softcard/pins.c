#include "softcard/pins.h"

#include "softcard/card.h"

/* Key references (TS 102 221 table 9.3). */
enum { REFERENCE_PIN1 = 0x01, REFERENCE_ADM1 = 0x0A };

softcard_status softcard_verify_pin(softcard_request *request)
{
    const softcard_command *command = &request->command;
    if (command->p1 != 0) return SW_WRONG_P1P2;
    if (command->p2 != REFERENCE_PIN1 && command->p2 != REFERENCE_ADM1) return SW_REFERENCE_NOT_FOUND;
    softcard_pin_name name = command->p2 == REFERENCE_PIN1 ? SOFTCARD_PIN1 : SOFTCARD_ADM1;
    softcard_pin *pin = &request->card->state->pins[name];
    if (pin->tries_left == 0) return SW_BLOCKED;
    if (command->data.size == 0) return (softcard_status)(SW_TRIES_LEFT | pin->tries_left);
    if (command->data.size != SOFTCARD_PIN_SIZE) return SW_WRONG_LENGTH;
    if (kf_equal_constant_time(command->data.data, kf_secret_expose(pin->value).data, SOFTCARD_PIN_SIZE)) {
        pin->tries_left = pin->try_limit;
        request->card->pin_verified[name] = true;
        return SW_OK;
    }
    pin->tries_left--;
    request->card->pin_verified[name] = false;
    return (softcard_status)(SW_TRIES_LEFT | pin->tries_left);
}
