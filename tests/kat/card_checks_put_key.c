/* Checkers of keys that go through a secure channel. */
#include "card_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "card/channel_state.h"

#include <keyfill/globalplatform.h>

/* A channel with nothing but the key that encrypts keys. */
static bool prepare_encryption(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    const char *protocol = kat_need_text(report, entry, "scp");
    bool scp02 = strcmp(protocol, "02") == 0;
    if (!scp02 && strcmp(protocol, "03") != 0) {
        kat_fault(report, "unknown secure channel protocol: %s", protocol);
        return false;
    }
    channel->protocol = scp02 ? &kf_protocol_scp02 : &kf_protocol_scp03;
    if (scp02 && !kat_has(entry, "sequence_counter")) {
        KF_CLEANUP(kf_secret_free) kf_secret *session = kat_need_secret(report, entry, "session_dek");
        return session != NULL &&
               kat_ok(report, kf_cipher_new_secret(KF_TDES, session, &channel->data_encryption),
                      "session_dek");
    }
    KF_CLEANUP(kf_secret_free) kf_secret *dek = kat_need_secret(report, entry, "static_dek");
    if (dek == NULL) return false;
    if (!scp02)
        return kat_ok(report, kf_cipher_new_secret(KF_AES, dek, &channel->data_encryption), "static_dek");
    unsigned before = report->faults;
    const kf_key_set keys = {dek, dek, dek};
    kat_start_scp02(report, entry, &keys, channel);
    if (kat_has(entry, "session_dek"))
        kat_compare_session_key(report, "session_dek", kat_need_text(report, entry, "session_dek"),
                                channel->data_encryption);
    return report->faults == before;
}

/* 80 to 82: 3DES; 88: AES (GP table 11-16). */
static bool read_key_type(kat_report *report, const json_t *entry, kf_algorithm *ret_algorithm)
{
    const char *type = kat_need_text(report, entry, "new_key_type");
    if (strcmp(type, "88") != 0 && (type[0] != '8' || type[1] < '0' || type[1] > '2')) {
        kat_fault(report, "unknown type of key: %s", type);
        return false;
    }
    *ret_algorithm = strcmp(type, "88") == 0 ? KF_AES : KF_TDES;
    return true;
}

/* The command; its AES keys in that of both forms which gives the published Lc. */
static kf_code make_put_key(kf_secure_channel *channel, kf_gp_put_key *put_key, size_t published_length,
                            kf_buffer *apdu)
{
    KF_TRY(kf_gp_put_key_command(channel, put_key, apdu));
    if (put_key->keys[0].algorithm != KF_AES || published_length + put_key->key_count != apdu->data[4])
        return KF_OK;
    kf_buffer_truncate(apdu, 0);
    put_key->plain_length = true;
    return kf_gp_put_key_command(channel, put_key, apdu);
}

static bool version_of(const json_t *entry, const char *member, uint8_t *ret_version)
{
    char *end = NULL;
    const char *text = kat_text_or(entry, member, "");
    unsigned long value = strtoul(text, &end, 16);
    if (end == text || value > 0xFF) return false;
    *ret_version = (uint8_t)value;
    return true;
}

static void check_put_key_command(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    kf_secret *values[KF_GP_KEYS_MAX] = {NULL};
    kf_gp_key keys[KF_GP_KEYS_MAX];
    const json_t *texts = kat_member(entry, "new_keys");
    size_t count = json_array_size(texts);
    kf_algorithm algorithm = KF_TDES;
    kf_gp_put_key put_key = {.keys = keys, .key_count = count};
    bool usable = count > 0 && count <= KF_GP_KEYS_MAX && read_key_type(report, entry, &algorithm) &&
                  version_of(entry, "old_kvn", &put_key.present_version) &&
                  version_of(entry, "new_kvn", &put_key.new_version) &&
                  version_of(entry, "key_id", &put_key.key_identifier);
    for (size_t i = 0; usable && i < count; i++) {
        usable = kf_hex_decode_secret(json_string_value(json_array_get(texts, i)), &values[i]) == KF_OK;
        keys[i] = (kf_gp_key){algorithm, values[i]};
    }
    if (!usable) kat_fault(report, "the inputs are incomplete");
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    const char *wanted = kat_text_or(json_object_get(entry, "expected"), "apdu_plain", "");
    unsigned length = 0;
    if (sscanf(wanted, "%*8c%2X", &length) != 1) length = 0;
    if (usable && kat_ok(report, make_put_key(channel, &put_key, length, &apdu), "kf_gp_put_key_command")) {
        /* Some hosts send it without Le. */
        if (strlen(wanted) == 2 * (apdu.size - 1)) kf_buffer_truncate(&apdu, apdu.size - 1);
        kat_expect_hex(report, entry, "apdu_plain", kf_buffer_view(&apdu));
    }
    if (usable && kat_ok(report, kf_gp_put_key_expected(&put_key, &answer), "kf_gp_put_key_expected")) {
        kf_buffer_append_u16(&answer, 0x9000);
        kat_expect_hex(report, entry, "response", kf_buffer_view(&answer));
    }
    for (size_t i = 0; i < KF_GP_KEYS_MAX; i++)
        kf_secret_free(&values[i]);
}

static void check_one_key(kat_report *report, const json_t *entry, kf_secure_channel *channel)
{
    KF_CLEANUP(kf_secret_free) kf_secret *value = kat_need_secret(report, entry, "new_key");
    if (value == NULL) return;
    KF_CLEANUP(kf_buffer_clear) kf_buffer encrypted = KF_BUFFER_INIT;
    if (!kat_ok(report, kf_secure_channel_encrypt_key(channel, value, &encrypted), "encrypt_key")) return;
    kat_expect_hex(report, entry, "encrypted_key", kf_buffer_view(&encrypted));
    if (!kat_has(entry, "new_key_type")) return;
    kf_algorithm algorithm;
    if (!read_key_type(report, entry, &algorithm)) return;
    const kf_gp_key key = {algorithm, value};
    kf_gp_put_key put_key = {.new_version = 1, .key_identifier = 1, .keys = &key, .key_count = 1};
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_kcv kcv;
    const char *wanted = kat_text_or(json_object_get(entry, "expected"), "key_data_field", "");
    size_t length = strlen(wanted) / 2 + 1; /* with the version */
    if (!kat_ok(report, make_put_key(channel, &put_key, length, &apdu), "kf_gp_put_key_command")) return;
    if (!kat_ok(report, kf_kcv_compute(key.algorithm, value, KF_KCV_GLOBALPLATFORM, &kcv), "KCV")) return;
    kat_expect_hex(report, entry, "kcv", KF_VIEW(kcv.bytes));
    /* Behind header, Lc and version; before Le. */
    kat_expect_hex(report, entry, "key_data_field", kf_view_part(kf_buffer_view(&apdu), 6, apdu.size - 7));
}

void kat_check_put_key(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL || !prepare_encryption(report, entry, channel)) return;
    if (kat_has(entry, "new_keys"))
        check_put_key_command(report, entry, channel);
    else
        check_one_key(report, entry, channel);
}
