#include "softcard/applet.h"

#include "softcard/card.h"
#include "softcard/registry.h"
#include "softcard/tlv.h"

/* EMV CPS annex A: keys and PINs are in groupings 8000 to 8FFF. */
static bool is_secret(uint16_t identifier)
{
    return identifier >> 12 == 0x8;
}

softcard_status softcard_applet_select(softcard_request *request)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer inner = KF_BUFFER_INIT;
    softcard_tlv_append(&inner, 0x84, softcard_aid_view(&request->application->aid));
    softcard_tlv_append(&inner, 0xA5, kf_view_of(NULL, 0));
    if (kf_buffer_status(&inner) != KF_OK) return SW_INTERNAL;
    softcard_tlv_append(request->response, 0x6F, kf_buffer_view(&inner));
    return SW_OK;
}

softcard_status softcard_applet_get_data(softcard_request *request)
{
    uint16_t identifier = (uint16_t)(request->command.p1 << 8 | request->command.p2);
    if (is_secret(identifier)) return SW_SECURITY_STATUS;
    const softcard_datum *datum = softcard_datum_find(request->application, identifier);
    if (datum == NULL) return SW_REFERENCE_NOT_FOUND;
    softcard_tlv_append(request->response, identifier, kf_buffer_view(&datum->value));
    return SW_OK;
}

softcard_status softcard_applet_store(softcard_request *request, softcard_application *applet,
                                      uint16_t identifier, kf_view value, bool encrypted)
{
    kf_cipher *key_encryption = request->channel->secure.key_encryption;
    if (!encrypted) return softcard_datum_set(applet, identifier, value) == KF_OK ? SW_OK : SW_NO_SPACE;
    if (key_encryption == NULL) return SW_CONDITIONS;
    if (value.size == 0 || value.size % kf_cipher_block_size(key_encryption) != 0) return SW_WRONG_DATA;
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    uint8_t *output = kf_buffer_extend(&plain, value.size);
    if (output == NULL) return SW_INTERNAL;
    bool is_des = kf_cipher_algorithm(key_encryption) == KF_TDES; /* SCP02: ECB (GlobalPlatform E.4.7) */
    kf_code code = is_des ? kf_cipher_decrypt_blocks(key_encryption, value, output)
                          : kf_cipher_cbc_decrypt(key_encryption, NULL, value, output);
    if (code != KF_OK) return SW_INTERNAL;
    return softcard_datum_set(applet, identifier, kf_buffer_view(&plain)) == KF_OK ? SW_OK : SW_NO_SPACE;
}
