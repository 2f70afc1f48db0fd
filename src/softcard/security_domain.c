#include "softcard/security_domain.h"

#include <string.h>

#include "softcard/card.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/tlv.h"

enum {
    TAG_ISSUER_IDENTIFICATION = 0x42,
    TAG_CARD_IMAGE = 0x45,
    TAG_CARD_DATA = 0x66,
    TAG_CARD_CAPABILITY = 0x67,
    TAG_SEQUENCE_COUNTER = 0xC1,
    TAG_KEY_DIVERSIFICATION = 0xCF,
    TAG_KEY_INFORMATION = 0xE0,
    TAG_PROVIDER_URL = 0x5F50,
    TAG_CPLC = 0x9F7F,
    TAG_CONFIRMATION_COUNTER = 0xC2,
    TAG_SECURITY_LEVEL = 0xD3,
    TAG_APPLICATIONS = 0x2F00,
    TAG_CARD_RESOURCES = 0xFF21,
};

/* {globalplatform 4 scp i} */
static void append_protocol(kf_buffer *content, uint8_t protocol, uint8_t parameter)
{
    const uint8_t object[] = {0x64, 0x0B, 0x06, 0x09, 0x2A,     0x86,     0x48,
                              0x86, 0xFC, 0x6B, 0x04, protocol, parameter};
    kf_buffer_append(content, KF_VIEW(object));
}

/* Card recognition data (H.2, table H-1): GlobalPlatform and its version, unique identification, the secure
 * channel protocols with their i, Java Card 3 as the chip details. */
static void append_recognition_data(const softcard_state *state, const softcard_application *domain,
                                    kf_buffer *output)
{
    const uint8_t *version = state->personality.platform_version;
    const uint8_t head[] = {0x06, 0x07, 0x2A, 0x86, 0x48,       0x86,       0xFC,      0x6B,
                            0x01, 0x60, 0x0C, 0x06, 0x0A,       0x2A,       0x86,      0x48,
                            0x86, 0xFC, 0x6B, 0x02, version[0], version[1], version[2]};
    static const uint8_t identification[] = {0x63, 0x09, 0x06, 0x07, 0x2A, 0x86,
                                             0x48, 0x86, 0xFC, 0x6B, 0x03};
    static const uint8_t tail[] = {0x66, 0x0C, 0x06, 0x0A, 0x2B, 0x06, 0x01,
                                   0x04, 0x01, 0x2A, 0x02, 0x6E, 0x01, 0x03};
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    kf_buffer_append(&content, KF_VIEW(head));
    kf_buffer_append(&content, KF_VIEW(identification));
    if ((domain->protocols & SOFTCARD_HAS_SCP02) != 0)
        append_protocol(&content, SOFTCARD_SCP02, domain->scp02_parameter);
    if ((domain->protocols & SOFTCARD_HAS_SCP03) != 0)
        append_protocol(&content, SOFTCARD_SCP03, domain->channel_parameter);
    kf_buffer_append(&content, KF_VIEW(tail));
    softcard_tlv_append(output, 0x73, kf_buffer_view(&content));
}

static void append_protocol_capability(kf_buffer *output, uint8_t protocol, uint8_t parameter)
{
    enum { AES_128_TO_256 = 0x07 };
    const uint8_t sizes[] = {0x82, 0x01, AES_128_TO_256};
    const uint8_t content[] = {0x80, 0x01, protocol, 0x81, 0x01, parameter};
    KF_CLEANUP(kf_buffer_clear) kf_buffer inner = KF_BUFFER_INIT;
    kf_buffer_append(&inner, KF_VIEW(content));
    if (protocol == SOFTCARD_SCP03) kf_buffer_append(&inner, KF_VIEW(sizes));
    softcard_tlv_append(output, 0xA0, kf_buffer_view(&inner));
}

/* Card capability information (H.4, table H-4): protocols, privileges that domains and applications can get,
 * hashes of load files (SHA-1 to SHA-512), ciphers of tokens, receipts and DAP blocks (tables H-9, H-10). */
static void append_capability(const softcard_application *domain, kf_buffer *output)
{
    /* RSA by either scheme, DES, AES of three sizes, P-256; receipts: DES and AES. */
    static const uint8_t rest[] = {0x81, 0x03, 0xFD, 0xFE, 0x80, 0x82, 0x03, 0x1E, 0x06, 0x00,
                                   0x83, 0x04, 0x01, 0x02, 0x03, 0x04, 0x85, 0x02, 0x7F, 0x00,
                                   0x86, 0x02, 0x3C, 0x00, 0x87, 0x02, 0x7F, 0x00};
    if ((domain->protocols & SOFTCARD_HAS_SCP02) != 0)
        append_protocol_capability(output, SOFTCARD_SCP02, domain->scp02_parameter);
    if ((domain->protocols & SOFTCARD_HAS_SCP03) != 0)
        append_protocol_capability(output, SOFTCARD_SCP03, domain->channel_parameter);
    kf_buffer_append(output, KF_VIEW(rest));
}

/* Table 11-81. Cards of today leave the management data to GET DATA. */
softcard_status softcard_domain_select(softcard_request *request)
{
    static const uint8_t longest_data[] = {0x9F, 0x65, 0x01, 0xFF};
    const softcard_state *state = request->card->state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer proprietary = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer inner = KF_BUFFER_INIT;
    if (state->personality.tells_management_data)
        append_recognition_data(state, request->application, &proprietary);
    kf_buffer_append(&proprietary, KF_VIEW(longest_data));
    softcard_tlv_append(&inner, 0x84, softcard_aid_view(&request->application->aid));
    softcard_tlv_append(&inner, 0xA5, kf_buffer_view(&proprietary));
    if (kf_buffer_status(&proprietary) != KF_OK || kf_buffer_status(&inner) != KF_OK) return SW_INTERNAL;
    softcard_tlv_append(request->response, 0x6F, kf_buffer_view(&inner));
    bool locked = softcard_issuer(request->card->state)->life_cycle == SOFTCARD_CARD_LOCKED;
    return locked ? 0x6283 : SW_OK;
}

static softcard_status answer_datum(softcard_request *request, uint16_t tag)
{
    const softcard_datum *datum = softcard_datum_find(request->application, tag);
    if (datum == NULL) return SW_REFERENCE_NOT_FOUND;
    softcard_tlv_append(request->response, tag, kf_buffer_view(&datum->value));
    return SW_OK;
}

static softcard_status answer_sequence_counter(softcard_request *request)
{
    softcard_application *domain = softcard_key_domain(request->card->state, request->application);
    const softcard_key_set *keys = softcard_key_set_for_channel(domain, 0);
    if (keys == NULL) return SW_REFERENCE_NOT_FOUND;
    bool is_scp02 = softcard_key_set_protocol(keys) == SOFTCARD_SCP02;
    if (!is_scp02 && (domain->channel_parameter & SOFTCARD_I_PSEUDO_RANDOM) == 0)
        return SW_REFERENCE_NOT_FOUND;
    const uint8_t counter[] = {(uint8_t)(keys->sequence_counter >> 16),
                               (uint8_t)(keys->sequence_counter >> 8), (uint8_t)keys->sequence_counter};
    kf_view shown = is_scp02 ? kf_view_of(counter + 1, 2) : KF_VIEW(counter);
    softcard_tlv_append(request->response, TAG_SEQUENCE_COUNTER, shown);
    return SW_OK;
}

/* TS 102 226 8.2.1.7.2: how many applications, free memory of either kind. */
static void append_resources(const softcard_state *state, kf_buffer *output)
{
    enum { VOLATILE_MEMORY = 2048 };
    uint32_t free_bytes = (uint32_t)softcard_memory_free(state);
    const uint8_t count[] = {(uint8_t)(state->application_count - 1)};
    const uint8_t lasting[] = {(uint8_t)(free_bytes >> 24), (uint8_t)(free_bytes >> 16),
                               (uint8_t)(free_bytes >> 8), (uint8_t)free_bytes};
    static const uint8_t passing[] = {VOLATILE_MEMORY >> 8, VOLATILE_MEMORY & 0xFF};
    softcard_tlv_append(output, 0x81, KF_VIEW(count));
    softcard_tlv_append(output, 0x82, KF_VIEW(lasting));
    softcard_tlv_append(output, 0x83, KF_VIEW(passing));
}

/* 11.3.3.1.3: what belongs to the domain. */
static void append_applications(const softcard_state *state, const softcard_application *domain,
                                kf_buffer *output)
{
    for (size_t i = 1; i < state->application_count; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer name = KF_BUFFER_INIT;
        if (!softcard_aid_equal(&state->applications[i].domain, &domain->aid)) continue;
        softcard_tlv_append(&name, 0x4F, softcard_aid_view(&state->applications[i].aid));
        softcard_tlv_append(output, 0x61, kf_buffer_view(&name));
    }
}

static bool has_capability(const softcard_state *state)
{
    static const uint8_t first[3] = {2, 2, 1}; /* Amendment E, for 2.2.1 */
    return memcmp(state->personality.platform_version, first, sizeof first) >= 0;
}

softcard_status softcard_domain_get_data(softcard_request *request)
{
    const softcard_state *state = request->card->state;
    const uint8_t confirmations[] = {(uint8_t)(state->confirmation_counter >> 8),
                                     (uint8_t)state->confirmation_counter};
    const softcard_secure_channel *secure = &request->channel->secure;
    const uint8_t level[] = {secure->phase == SOFTCARD_SESSION ? secure->level : 0};
    uint16_t tag = (uint16_t)(request->command.p1 << 8 | request->command.p2);
    KF_CLEANUP(kf_buffer_clear) kf_buffer inner = KF_BUFFER_INIT;
    switch (tag) {
    case TAG_CPLC: softcard_tlv_append(request->response, tag, KF_VIEW(state->cplc)); return SW_OK;
    case TAG_KEY_DIVERSIFICATION:
        softcard_tlv_append(request->response, tag, KF_VIEW(state->kdd));
        return SW_OK;
    case TAG_CARD_DATA: append_recognition_data(state, request->application, &inner); break;
    case TAG_CARD_CAPABILITY:
        if (!has_capability(state)) return SW_REFERENCE_NOT_FOUND;
        append_capability(request->application, &inner);
        break;
    case TAG_CONFIRMATION_COUNTER: kf_buffer_append(&inner, KF_VIEW(confirmations)); break;
    case TAG_SECURITY_LEVEL: kf_buffer_append(&inner, KF_VIEW(level)); break;
    case TAG_APPLICATIONS: append_applications(state, request->application, &inner); break;
    case TAG_CARD_RESOURCES: append_resources(state, &inner); break;
    case TAG_KEY_INFORMATION: softcard_key_information(request->application, &inner); break;
    case TAG_SEQUENCE_COUNTER: return answer_sequence_counter(request);
    case TAG_ISSUER_IDENTIFICATION:
    case TAG_CARD_IMAGE:
    case TAG_PROVIDER_URL: return answer_datum(request, tag);
    default: return SW_REFERENCE_NOT_FOUND;
    }
    if (kf_buffer_status(&inner) != KF_OK) return SW_INTERNAL;
    softcard_tlv_append(request->response, tag, kf_buffer_view(&inner));
    return SW_OK;
}
