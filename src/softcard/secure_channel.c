#include "softcard/secure_channel.h"

#include <string.h>

#include "softcard/card.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/scp02_card.h"
#include "softcard/scp03_card.h"
#include "softcard/tlv.h"

enum { SEQUENCE_COUNTER_MAX = 0xFFFFFF, SCP02_SEQUENCE_COUNTER_MAX = 0xFFFF };

void softcard_secure_channel_end(softcard_secure_channel *secure)
{
    kf_cipher_free(&secure->encryption);
    kf_cipher_free(&secure->mac);
    kf_cipher_free(&secure->response_mac);
    kf_cipher_free(&secure->key_encryption);
    kf_mac_pair_free(&secure->mac_pair);
    kf_mac_pair_free(&secure->response_mac_pair);
    kf_wipe(secure, sizeof *secure);
}

bool softcard_parameter_is_supported(uint8_t parameter)
{
    static const uint8_t supported[] = {0x00, 0x10, 0x20, 0x30, 0x60, 0x70};
    for (size_t i = 0; i < sizeof supported; i++)
        if ((parameter & ~SOFTCARD_I_S16) == supported[i]) return true;
    return false;
}

bool softcard_scp02_parameter_is_supported(uint8_t parameter)
{
    const unsigned options =
        SOFTCARD_I02_ENCRYPTED_ICV | SOFTCARD_I02_RESPONSE_MAC | SOFTCARD_I02_KNOWN_CHALLENGE;
    return (parameter & ~options) == SOFTCARD_I02_BASE;
}

bool softcard_is_authorised(const softcard_secure_channel *secure)
{
    return secure->phase == SOFTCARD_SESSION && (secure->level & SOFTCARD_LEVEL_MAC) != 0;
}

static size_t mac_size_of(const softcard_secure_channel *secure)
{
    return secure->protocol == SOFTCARD_SCP02 ? SOFTCARD_SCP02_MAC : softcard_scp03_mac_size(secure);
}

/* The key set of the open or starting session; NULL where it went away meanwhile. */
static softcard_key_set *session_key_set(softcard_request *request)
{
    const softcard_secure_channel *secure = &request->channel->secure;
    softcard_application *domain = softcard_application_find(request->card->state, &secure->key_domain);
    return domain == NULL ? NULL : softcard_key_set_find(domain, secure->key_version);
}

static softcard_status random_challenge(softcard_request *request, size_t size)
{
    softcard_environment *environment = &request->card->environment;
    uint8_t *challenge = request->channel->secure.card_challenge;
    return environment->random(environment->context, challenge, size) == KF_OK ? SW_OK : SW_INTERNAL;
}

static softcard_status challenge(softcard_request *request, softcard_key_set *keys)
{
    softcard_secure_channel *secure = &request->channel->secure;
    if ((secure->parameter & SOFTCARD_I_PSEUDO_RANDOM) == 0)
        return random_challenge(request, softcard_scp03_mac_size(secure));
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
    kf_buffer_append_u8(response, SOFTCARD_SCP03);
    kf_buffer_append_u8(response, secure->parameter);
    kf_buffer_append_bytes(response, secure->card_challenge, softcard_scp03_mac_size(secure));
    if (softcard_scp03_card_cryptogram(secure, response) != KF_OK) return SW_INTERNAL;
    if ((secure->parameter & SOFTCARD_I_PSEUDO_RANDOM) != 0) {
        kf_buffer_append_u8(response, (uint8_t)(keys->sequence_counter >> 16));
        kf_buffer_append_u16(response, (uint16_t)keys->sequence_counter);
    }
    return SW_OK;
}

/* E.5.1.6. The counter rises when a session begins (E.1.2), so that this one is shown again until then. */
static softcard_status answer_scp02_challenge(softcard_request *request, softcard_key_set *keys)
{
    softcard_secure_channel *secure = &request->channel->secure;
    if (keys->sequence_counter >= SCP02_SEQUENCE_COUNTER_MAX) return SW_CONDITIONS;
    if (softcard_scp02_derive(secure, keys) != KF_OK) return SW_INTERNAL;
    softcard_status status = SW_OK;
    if ((secure->parameter & SOFTCARD_I02_KNOWN_CHALLENGE) == 0)
        status = random_challenge(request, SOFTCARD_SCP02_CARD_CHALLENGE);
    else if (softcard_scp02_challenge(secure, softcard_aid_view(&request->application->aid)) != KF_OK)
        status = SW_INTERNAL;
    if (status != SW_OK) return status;
    kf_buffer *response = request->response;
    kf_buffer_append(response, KF_VIEW(request->card->state->kdd));
    kf_buffer_append_u8(response, keys->version);
    kf_buffer_append_u8(response, SOFTCARD_SCP02);
    kf_buffer_append_u16(response, secure->sequence_counter);
    kf_buffer_append_bytes(response, secure->card_challenge, SOFTCARD_SCP02_CARD_CHALLENGE);
    return softcard_scp02_card_cryptogram(secure, response) == KF_OK ? SW_OK : SW_INTERNAL;
}

static softcard_status answer_by_protocol(softcard_request *request, softcard_key_set *keys)
{
    if (request->channel->secure.protocol == SOFTCARD_SCP02) return answer_scp02_challenge(request, keys);
    softcard_status status = challenge(request, keys);
    return status == SW_OK ? answer_challenge(request, keys) : status;
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
    secure->protocol = softcard_key_set_protocol(keys);
    secure->parameter =
        secure->protocol == SOFTCARD_SCP02 ? domain->scp02_parameter : domain->channel_parameter;
    if (command->data.size != mac_size_of(secure)) return SW_WRONG_LENGTH;
    if (keys->failures >= request->card->state->personality.failure_limit) return SW_BLOCKED;
    if (request->card->state->personality.counts_unfinished) keys->failures++;
    memcpy(secure->host_challenge, command->data.data, command->data.size);
    secure->key_domain = domain->aid;
    secure->key_version = keys->version;
    softcard_status status = answer_by_protocol(request, keys);
    if (status != SW_OK) {
        softcard_secure_channel_end(secure);
        return status;
    }
    secure->phase = SOFTCARD_CHALLENGED;
    return SW_OK;
}

/* GlobalPlatform table E-9, Amendment D table 7-5; what i does not offer cannot be asked for. */
static bool level_is_supported(uint8_t level, const softcard_secure_channel *secure)
{
    bool is_scp02 = secure->protocol == SOFTCARD_SCP02;
    unsigned response_mac =
        is_scp02 ? (unsigned)SOFTCARD_I02_RESPONSE_MAC : (unsigned)SOFTCARD_I_RESPONSE_MAC;
    switch (level) {
    case 0x00:
    case 0x01:
    case 0x03: return true;
    case 0x10: return is_scp02 && (secure->parameter & response_mac) != 0;
    case 0x11:
    case 0x13: return (secure->parameter & response_mac) != 0;
    case 0x33: return !is_scp02 && (secure->parameter & SOFTCARD_I_RESPONSE_ENCRYPTION) != 0;
    default: return false;
    }
}

static kf_code check_authentication_mac(softcard_secure_channel *secure, softcard_command *command)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    if (secure->protocol == SOFTCARD_SCP02) return softcard_scp02_unwrap(secure, command, &plain);
    return softcard_scp03_check_mac(secure, command);
}

static kf_code check_host(softcard_secure_channel *secure, kf_view cryptogram)
{
    return secure->protocol == SOFTCARD_SCP02 ? softcard_scp02_check_host(secure, cryptogram)
                                              : softcard_scp03_check_host(secure, cryptogram);
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
    size_t size = mac_size_of(secure);
    bool well_formed = command->p2 == 0 && level_is_supported(command->p1, secure);
    if (!well_formed || command->data.size != 2 * size || !softcard_class_is_secured(command->class_byte)) {
        softcard_secure_channel_end(secure);
        return well_formed ? SW_WRONG_LENGTH : SW_WRONG_P1P2;
    }
    if (check_authentication_mac(secure, command) != KF_OK)
        return count_failure(request, keys, SW_SECURITY_STATUS);
    if (check_host(secure, command->data) != KF_OK)
        return count_failure(request, keys, SW_AUTHENTICATION_FAILED);
    keys->failures = 0;
    if (secure->protocol == SOFTCARD_SCP02) {
        keys->sequence_counter++;
        memcpy(secure->response_chaining_value, secure->chaining_value,
               sizeof secure->response_chaining_value);
    }
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
    kf_code code;
    if (secure->protocol == SOFTCARD_SCP02) {
        code = softcard_scp02_unwrap(secure, &request->command, plain);
    } else {
        code = softcard_scp03_check_mac(secure, &request->command);
        if (code == KF_OK && (secure->level & SOFTCARD_LEVEL_ENCRYPTION) != 0)
            code = softcard_scp03_decrypt(secure, &request->command, plain);
    }
    if (code == KF_OK) return SW_OK;
    softcard_secure_channel_end(secure);
    return code == KF_ERR_AUTHENTICATION ? SW_SECURITY_STATUS : SW_INTERNAL;
}

static bool is_answered_with_mac(softcard_status status)
{
    return status == SW_OK || status >> 8 == 0x62 || status >> 8 == 0x63;
}

static kf_code protect_scp03(softcard_secure_channel *secure, softcard_status status, kf_buffer *response)
{
    if ((secure->level & SOFTCARD_LEVEL_RESPONSE_ENCRYPTION) != 0)
        KF_TRY(softcard_scp03_encrypt_response(secure, response));
    return softcard_scp03_mac_response(secure, status, response);
}

static kf_code protect_scp02(softcard_request *request, softcard_status status)
{
    softcard_secure_channel *secure = &request->channel->secure;
    size_t plain_size = request->response->size;
    KF_TRY(softcard_scp02_mac_response(secure, &request->command, status, request->response));
    if (secure->holds_response_macs && !secure->returns_response_mac)
        kf_buffer_truncate(request->response, plain_size);
    return KF_OK;
}

static void end_response_macs(softcard_secure_channel *secure)
{
    secure->level &= (uint8_t)~secure->begun_level;
    secure->begun_level = 0;
    secure->holds_response_macs = false;
    secure->ends_response_macs = false;
}

/* Amendment D 6.2.5: an error carries no R-MAC, a warning does. */
softcard_status softcard_wrap_answer(softcard_request *request, softcard_status status)
{
    softcard_secure_channel *secure = &request->channel->secure;
    if (secure->phase != SOFTCARD_SESSION) return status;
    if (secure->begins_response_macs) {
        secure->begins_response_macs = false;
        secure->level |= secure->begun_level;
        return status;
    }
    kf_code code = KF_OK;
    bool due = (secure->level & SOFTCARD_LEVEL_RESPONSE_MAC) != 0 && is_answered_with_mac(status);
    if (due)
        code = secure->protocol == SOFTCARD_SCP02 ? protect_scp02(request, status)
                                                  : protect_scp03(secure, status, request->response);
    secure->returns_response_mac = false;
    if (secure->ends_response_macs) end_response_macs(secure);
    if (code == KF_OK) return status;
    kf_buffer_truncate(request->response, 0);
    softcard_secure_channel_end(secure);
    return SW_INTERNAL;
}

/* P1: R-MAC on each answer, with R-ENCRYPTION also (SCP03), or R-MAC on that of END alone (SCP02). */
static bool can_begin(const softcard_secure_channel *secure, uint8_t p1)
{
    bool has_macs = (secure->level & SOFTCARD_LEVEL_RESPONSE_MAC) != 0;
    if (secure->phase != SOFTCARD_SESSION || has_macs) return false;
    if (secure->protocol == SOFTCARD_SCP02) return (secure->parameter & SOFTCARD_I02_RESPONSE_MAC) != 0;
    if ((secure->level & SOFTCARD_LEVEL_MAC) == 0 || (secure->parameter & SOFTCARD_I_RESPONSE_MAC) == 0)
        return false;
    bool encrypts = (p1 & SOFTCARD_LEVEL_RESPONSE_ENCRYPTION) != 0;
    return !encrypts || ((secure->level & SOFTCARD_LEVEL_ENCRYPTION) != 0 &&
                         (secure->parameter & SOFTCARD_I_RESPONSE_ENCRYPTION) != 0);
}

softcard_status softcard_begin_response_macs(softcard_request *request)
{
    enum { BEGIN = 0x01, DATA_MAX = 24, WITH_MAC = 0x10, WITH_ENCRYPTION = 0x30 };
    softcard_secure_channel *secure = &request->channel->secure;
    const softcard_command *command = &request->command;
    kf_cursor cursor = kf_cursor_of(command->data);
    kf_view data = {NULL, 0};
    bool is_scp02 = secure->protocol == SOFTCARD_SCP02;
    bool known = command->p1 == WITH_MAC || command->p1 == (is_scp02 ? 0x00 : WITH_ENCRYPTION);
    if (!known || command->p2 != BEGIN) return SW_WRONG_P1P2;
    if (command->data.size > 0 && (softcard_counted_next(&cursor, &data) != KF_OK ||
                                   !kf_cursor_at_end(&cursor) || data.size > DATA_MAX))
        return SW_WRONG_DATA;
    if (!can_begin(secure, command->p1)) return SW_CONDITIONS;
    secure->begun_level = command->p1 == 0 ? (uint8_t)WITH_MAC : command->p1;
    secure->holds_response_macs = command->p1 == 0;
    secure->begins_response_macs = true;
    /* E.4.5: the first vector is the last C-MAC that was verified, zeros where there was none. */
    memcpy(secure->response_chaining_value, secure->chaining_value, sizeof secure->response_chaining_value);
    return SW_OK;
}

softcard_status softcard_end_response_macs(softcard_request *request)
{
    enum { RETURN = 0x01, END_AND_RETURN = 0x03 };
    softcard_secure_channel *secure = &request->channel->secure;
    const softcard_command *command = &request->command;
    if (command->p1 != 0 || (command->p2 != RETURN && command->p2 != END_AND_RETURN)) return SW_WRONG_P1P2;
    if (command->data.size != 0) return SW_WRONG_LENGTH;
    if (secure->phase != SOFTCARD_SESSION || secure->begun_level == 0) return SW_CONDITIONS;
    secure->returns_response_mac = true;
    secure->ends_response_macs = command->p2 == END_AND_RETURN;
    return SW_OK;
}
