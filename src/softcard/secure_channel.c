#include "softcard/secure_channel.h"

#include <string.h>

#include "softcard/card.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/scp03_card.h"

enum { SEQUENCE_COUNTER_MAX = 0xFFFFFF, SCP03 = 0x03 };

void softcard_secure_channel_end(softcard_secure_channel *secure)
{
    kf_cipher_free(&secure->encryption);
    kf_cipher_free(&secure->mac);
    kf_cipher_free(&secure->response_mac);
    kf_cipher_free(&secure->key_encryption);
    kf_wipe(secure, sizeof *secure);
}

bool softcard_parameter_is_supported(uint8_t parameter)
{
    static const uint8_t supported[] = {0x00, 0x10, 0x20, 0x30, 0x60, 0x70};
    for (size_t i = 0; i < sizeof supported; i++)
        if ((parameter & ~SOFTCARD_I_S16) == supported[i]) return true;
    return false;
}

/* The key set of the open or starting session; NULL where it went away meanwhile. */
static softcard_key_set *session_key_set(softcard_request *request)
{
    const softcard_secure_channel *secure = &request->channel->secure;
    softcard_application *domain = softcard_application_find(request->card->state, &secure->key_domain);
    return domain == NULL ? NULL : softcard_key_set_find(domain, secure->key_version);
}

static softcard_status challenge(softcard_request *request, softcard_key_set *keys)
{
    softcard_secure_channel *secure = &request->channel->secure;
    size_t size = softcard_scp03_mac_size(secure);
    if ((secure->parameter & SOFTCARD_I_PSEUDO_RANDOM) == 0) {
        softcard_environment *environment = &request->card->environment;
        if (environment->random(environment->context, secure->card_challenge, size) != KF_OK)
            return SW_INTERNAL;
        return SW_OK;
    }
    if (keys->sequence_counter >= SEQUENCE_COUNTER_MAX) return SW_CONDITIONS;
    keys->sequence_counter++;
    const softcard_key *enc = softcard_key_find(keys, SOFTCARD_KEY_ENC);
    kf_code code = softcard_scp03_challenge(secure, enc->value, keys->sequence_counter,
                                            softcard_aid_view(&request->application->aid));
    return code == KF_OK ? SW_OK : SW_INTERNAL;
}

/* Amendment D 7.1.1.7. */
static softcard_status answer_challenge(softcard_request *request, softcard_key_set *keys)
{
    softcard_secure_channel *secure = &request->channel->secure;
    if (softcard_scp03_derive(secure, keys) != KF_OK) return SW_INTERNAL;
    kf_buffer *response = request->response;
    kf_buffer_append(response, KF_VIEW(request->card->state->kdd));
    kf_buffer_append_u8(response, keys->version);
    kf_buffer_append_u8(response, SCP03);
    kf_buffer_append_u8(response, secure->parameter);
    kf_buffer_append_bytes(response, secure->card_challenge, softcard_scp03_mac_size(secure));
    if (softcard_scp03_card_cryptogram(secure, response) != KF_OK) return SW_INTERNAL;
    if ((secure->parameter & SOFTCARD_I_PSEUDO_RANDOM) != 0) {
        kf_buffer_append_u8(response, (uint8_t)(keys->sequence_counter >> 16));
        kf_buffer_append_u16(response, (uint16_t)keys->sequence_counter);
    }
    return SW_OK;
}

softcard_status softcard_initialize_update(softcard_request *request)
{
    softcard_secure_channel *secure = &request->channel->secure;
    const softcard_command *command = &request->command;
    softcard_secure_channel_end(secure);
    if (command->p2 != 0) return SW_WRONG_P1P2;
    softcard_application *domain = softcard_key_domain(request->card->state, request->application);
    softcard_key_set *keys = softcard_key_set_for_channel(domain, command->p1);
    if (keys == NULL) return SW_REFERENCE_NOT_FOUND;
    secure->parameter = domain->channel_parameter;
    if (command->data.size != softcard_scp03_mac_size(secure)) return SW_WRONG_LENGTH;
    if (keys->failures >= request->card->state->personality.failure_limit) return SW_BLOCKED;
    if (request->card->state->personality.counts_unfinished) keys->failures++;
    memcpy(secure->host_challenge, command->data.data, command->data.size);
    secure->key_domain = domain->aid;
    secure->key_version = keys->version;
    softcard_status status = challenge(request, keys);
    if (status == SW_OK) status = answer_challenge(request, keys);
    if (status != SW_OK) {
        softcard_secure_channel_end(secure);
        return status;
    }
    secure->phase = SOFTCARD_CHALLENGED;
    return SW_OK;
}

/* Amendment D table 7-5; what i does not offer cannot be asked for. */
static bool level_is_supported(uint8_t level, uint8_t parameter)
{
    switch (level) {
    case 0x00:
    case 0x01:
    case 0x03: return true;
    case 0x11:
    case 0x13: return (parameter & SOFTCARD_I_RESPONSE_MAC) != 0;
    case 0x33: return (parameter & SOFTCARD_I_RESPONSE_ENCRYPTION) != 0;
    default: return false;
    }
}

static softcard_status count_failure(softcard_request *request, softcard_key_set *keys,
                                     softcard_status status)
{
    bool counted_before = request->card->state->personality.counts_unfinished;
    if (!counted_before && keys->failures < UINT8_MAX) keys->failures++;
    softcard_secure_channel_end(&request->channel->secure);
    return status;
}

softcard_status softcard_external_authenticate(softcard_request *request)
{
    softcard_secure_channel *secure = &request->channel->secure;
    softcard_command *command = &request->command;
    softcard_key_set *keys = session_key_set(request);
    if (secure->phase != SOFTCARD_CHALLENGED || keys == NULL) {
        softcard_secure_channel_end(secure);
        return SW_CONDITIONS;
    }
    size_t size = softcard_scp03_mac_size(secure);
    bool well_formed = command->p2 == 0 && level_is_supported(command->p1, secure->parameter);
    if (!well_formed || command->data.size != 2 * size || !softcard_class_is_secured(command->class_byte)) {
        softcard_secure_channel_end(secure);
        return well_formed ? SW_WRONG_LENGTH : SW_WRONG_P1P2;
    }
    if (softcard_scp03_check_mac(secure, command) != KF_OK)
        return count_failure(request, keys, SW_SECURITY_STATUS);
    if (softcard_scp03_check_host(secure, command->data) != KF_OK)
        return count_failure(request, keys, SW_AUTHENTICATION_FAILED);
    keys->failures = 0;
    secure->level = command->p1;
    secure->phase = SOFTCARD_SESSION;
    return SW_OK;
}

softcard_status softcard_unwrap(softcard_request *request, kf_buffer *plain)
{
    softcard_secure_channel *secure = &request->channel->secure;
    bool secured = softcard_class_is_secured(request->command.class_byte);
    bool has_session = secure->phase == SOFTCARD_SESSION;
    bool demanded = has_session && (secure->level & SOFTCARD_LEVEL_MAC) != 0;
    if (!secured && !demanded) return SW_OK;
    if (!secured || !demanded) {
        softcard_secure_channel_end(secure);
        return SW_SECURITY_STATUS;
    }
    kf_code code = softcard_scp03_check_mac(secure, &request->command);
    if (code == KF_OK && (secure->level & SOFTCARD_LEVEL_ENCRYPTION) != 0)
        code = softcard_scp03_decrypt(secure, &request->command, plain);
    if (code == KF_OK) return SW_OK;
    softcard_secure_channel_end(secure);
    return code == KF_ERR_AUTHENTICATION ? SW_SECURITY_STATUS : SW_INTERNAL;
}

static bool is_answered_with_mac(softcard_status status)
{
    return status == SW_OK || status >> 8 == 0x62 || status >> 8 == 0x63;
}

/* Amendment D 6.2.5: an error carries no R-MAC, a warning does. */
softcard_status softcard_wrap(softcard_secure_channel *secure, softcard_status status, kf_buffer *response)
{
    if (secure->phase != SOFTCARD_SESSION || !is_answered_with_mac(status)) return status;
    kf_code code = KF_OK;
    if ((secure->level & SOFTCARD_LEVEL_RESPONSE_ENCRYPTION) != 0)
        code = softcard_scp03_encrypt_response(secure, response);
    if (code == KF_OK && (secure->level & SOFTCARD_LEVEL_RESPONSE_MAC) != 0)
        code = softcard_scp03_mac_response(secure, status, response);
    if (code == KF_OK) return status;
    kf_buffer_truncate(response, 0);
    softcard_secure_channel_end(secure);
    return SW_INTERNAL;
}
