/* Checkers of EMV cryptograms and issuer scripts. */
#include "crypto_checks.h"

#include <string.h>

#include <keyfill/diversify.h>
#include <keyfill/emv.h>
#include <keyfill/kcv.h>

/* The keys of one entry; 3DES, or AES where the entry says so. */
typedef struct emv_keys {
    kf_algorithm algorithm;
    kf_secret *card;
    kf_secret *session;
} emv_keys;

static void free_keys(emv_keys *keys)
{
    kf_secret_free(&keys->card);
    kf_secret_free(&keys->session);
}

static kf_algorithm algorithm_of(const json_t *entry)
{
    const char *name = kat_text_or(entry, "algorithm", "tdes");
    return strncmp(name, "aes", 3) == 0 || strncmp(name, "AES", 3) == 0 ? KF_AES : KF_TDES;
}

static const char *line_of(kat_report *report, const json_t *entry)
{
    const char *option = kat_need_text(report, entry, "mk_option");
    /* "A/B": as the size of the number demands, which is what option B does. */
    if (strcmp(option, "B") == 0 || strcmp(option, "A/B") == 0)
        return "emv-option-b(pan/bcd/left-0,psn/bcd/1)";
    if (strcmp(option, "C") == 0) return "emv-option-c(pan/bcd/left-0,psn/bcd/1)";
    if (strcmp(option, "A") != 0) kat_fault(report, "unknown option: %s", option);
    return "emv-option-a(pan/bcd/left-0,psn/bcd/1)";
}

static kf_secret *card_key(kat_report *report, const json_t *entry, const char *member)
{
    KF_CLEANUP(kf_secret_free) kf_secret *issuer_key = kat_need_secret(report, entry, member);
    const char *number = kat_need_text(report, entry, "psn");
    const kf_field fields[] = {{"pan", kat_need_text(report, entry, "pan")},
                               {"psn", strspn(number, "0123456789") == 2 ? number : "00"}};
    kf_diversification *plan = NULL;
    kf_secret *key = NULL;
    kf_error error = {0};
    if (issuer_key == NULL) return NULL;
    if (kf_diversification_parse(line_of(report, entry), &plan, &error) != KF_OK ||
        kf_diversify(plan, algorithm_of(entry), issuer_key, (kf_fields){fields, 2}, KF_ROLE_SINGLE, &key,
                     &error) != KF_OK)
        kat_fault(report, "master key of the card: %s", kf_error_text(&error));
    kf_diversification_free(&plan);
    return key;
}

static kf_secret *session_key(kat_report *report, const json_t *entry, const kf_secret *card)
{
    const char *method = kat_need_text(report, entry, "session");
    KF_CLEANUP(kf_buffer_clear) kf_buffer diversifier = KF_BUFFER_INIT;
    kf_secret *key = NULL;
    if (strncmp(method, "none", 4) == 0) {
        kat_ok(report, kf_secret_copy(card, &key), "kf_secret_copy");
    } else if (strncmp(method, "Visa SM", 7) == 0) {
        if (!kat_need_hex(report, entry, "atc", &diversifier) || diversifier.size != 2) return NULL;
        kat_ok(report, kf_emv_visa_script_key(card, diversifier.data, &key), "kf_emv_visa_script_key");
    } else if (strncmp(method, "EMV CSK", 7) == 0) {
        if (!kat_need_hex(report, entry, "r", &diversifier)) return NULL;
        kf_code code = kf_emv_session_key(algorithm_of(entry), card, kf_buffer_view(&diversifier), &key);
        kat_ok(report, code, "kf_emv_session_key");
    } else {
        kat_fault(report, "unknown session key: %s", method);
    }
    return key;
}

static void expect_kcv(kat_report *report, const json_t *entry, const char *member, const kf_secret *key)
{
    kf_kcv kcv;
    if (kat_ok(report, kf_kcv_compute(algorithm_of(entry), key, KF_KCV_ZEROS, &kcv), "kf_kcv_compute"))
        kat_expect_hex_prefix(report, entry, member, KF_VIEW(kcv.bytes));
}

static bool make_keys(kat_report *report, const json_t *entry, const char *member, emv_keys *keys)
{
    keys->algorithm = algorithm_of(entry);
    keys->card = card_key(report, entry, member);
    if (keys->card != NULL) keys->session = session_key(report, entry, keys->card);
    return keys->session != NULL;
}

/* Exactly `size` bytes of a member. */
static bool need_bytes(kat_report *report, const json_t *entry, const char *member, void *ret_bytes,
                       size_t size)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    if (!kat_need_hex(report, entry, member, &bytes)) return false;
    if (bytes.size != size) {
        kat_fault(report, "%s has %zu bytes instead of %zu", member, bytes.size, size);
        return false;
    }
    memcpy(ret_bytes, bytes.data, size);
    return true;
}

static void check_answer(kat_report *report, const json_t *entry, const emv_keys *keys, kf_emv_answer *answer)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer proprietary = KF_BUFFER_INIT;
    bool with_card_key = strcmp(kat_need_text(report, entry, "arpc_key"), "mk") == 0;
    const kf_secret *key = with_card_key ? keys->card : keys->session;
    uint8_t arpc[KF_EMV_CRYPTOGRAM_SIZE];
    long long method = kat_need_number(report, entry, "arpc_method");
    if (method != 1 && method != 2) kat_fault(report, "unknown method of ARPC: %lld", method);
    if (method == 1) {
        if (!need_bytes(report, entry, "arpc_rc", answer->response_code, 2)) return;
        if (kat_ok(report, kf_emv_arpc_1(keys->algorithm, key, answer, arpc), "kf_emv_arpc_1"))
            kat_expect_hex(report, entry, "arpc", KF_VIEW(arpc));
        return;
    }
    if (!need_bytes(report, entry, "csu", answer->card_status_update, 4) ||
        !kat_need_hex(report, entry, "prop_auth_data", &proprietary))
        return;
    answer->proprietary_data = kf_buffer_view(&proprietary);
    if (kat_ok(report, kf_emv_arpc_2(keys->algorithm, key, answer, arpc), "kf_emv_arpc_2"))
        kat_expect_hex(report, entry, "arpc", kf_view_of(arpc, KF_EMV_ARPC_2_SIZE));
}

/* The data of a known cryptogram version, taken apart and put together again. */
static void check_layout(kat_report *report, kf_emv_cryptogram_version version, kf_view data)
{
    kf_emv_transaction transaction = {0};
    uint8_t application_data[KF_EMV_APPLICATION_DATA_MAX] = {6, 1, 10};
    KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
    kf_cursor cursor = kf_cursor_of(data);
    const struct {
        void *place;
        size_t size;
    } fields[] = {{transaction.amount_authorised, 6},
                  {transaction.amount_other, 6},
                  {transaction.terminal_country, 2},
                  {transaction.verification_results, 5},
                  {transaction.currency, 2},
                  {transaction.date, 3},
                  {&transaction.type, 1},
                  {transaction.unpredictable_number, 4},
                  {transaction.interchange_profile, 2},
                  {transaction.transaction_counter, 2}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (!kat_ok(report, kf_cursor_copy(&cursor, fields[i].place, fields[i].size), "ac_data")) return;
    size_t before = version == KF_EMV_CVN_10 ? 3 : 0;
    size_t rest = cursor.rest.size;
    if (before + rest > sizeof application_data) return;
    if (!kat_ok(report, kf_cursor_copy(&cursor, application_data + before, rest), "ac_data")) return;
    transaction.issuer_application_data = kf_view_of(application_data, before + rest);
    if (kat_ok(report, kf_emv_transaction_data(version, &transaction, &again), "kf_emv_transaction_data"))
        kat_compare(report, "ac_data", data, kf_buffer_view(&again));
}

void kat_check_emv_cryptogram(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(free_keys) emv_keys keys = {KF_TDES, NULL, NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    if (!make_keys(report, entry, "issuer_mk", &keys) || !kat_need_hex(report, entry, "ac_data", &data))
        return;
    expect_kcv(report, entry, "icc_mk_kcv", keys.card);
    expect_kcv(report, entry, "sk_kcv", keys.session);
    kat_expect_hex(report, entry, "icc_mk", kf_secret_expose(keys.card));
    kat_expect_hex(report, entry, "sk", kf_secret_expose(keys.session));
    bool zeros = strncmp(kat_need_text(report, entry, "ac_padding"), "zero", 4) == 0;
    kf_emv_padding padding = zeros ? KF_EMV_PADDING_ZEROS : KF_EMV_PADDING_80;
    kf_emv_answer answer = {0};
    kf_code code =
        kf_emv_cryptogram(keys.algorithm, keys.session, padding, kf_buffer_view(&data), answer.cryptogram);
    if (!kat_ok(report, code, "kf_emv_cryptogram")) return;
    kat_expect_hex(report, entry, "arqc", KF_VIEW(answer.cryptogram));
    if (kat_has(entry, "arpc_method")) check_answer(report, entry, &keys, &answer);
    if (strstr(report->name, "cvn10") != NULL) check_layout(report, KF_EMV_CVN_10, kf_buffer_view(&data));
    if (strstr(report->name, "cvn18") != NULL) check_layout(report, KF_EMV_CVN_18, kf_buffer_view(&data));
}

static void check_script_mac(kat_report *report, const json_t *entry, const kf_secret *key, kf_view message)
{
    uint8_t mac[KF_EMV_CRYPTOGRAM_SIZE];
    if (strncmp(kat_text_or(entry, "padding", "80"), "80", 2) != 0) {
        kat_fault(report, "unknown padding: %s", kat_text_or(entry, "padding", ""));
        return;
    }
    if (kat_ok(report, kf_emv_script_mac(algorithm_of(entry), key, message, mac), "kf_emv_script_mac"))
        kat_expect_hex_prefix(
            report, entry, "mac",
            kf_view_part(KF_VIEW(mac), 0, (size_t)kat_number_or(entry, "mac_length", sizeof mac)));
}

static bool read_encipherment(kat_report *report, const json_t *entry, kf_emv_encipherment *ret_form)
{
    const char *text = kat_need_text(report, entry, "enc_padding");
    if (strcmp(text, "80.. always") == 0)
        *ret_form = KF_EMV_CBC_PAD_ALWAYS;
    else if (strcmp(text, "none when aligned") == 0)
        *ret_form = KF_EMV_CBC_PAD_UNEVEN;
    else if (strcasestr(text, "length") != NULL || strcasestr(text, "visa") != NULL ||
             strcasestr(text, "ECB") != NULL)
        *ret_form = KF_EMV_ECB_LENGTH_FIRST;
    else {
        kat_fault(report, "unknown padding: %s", text);
        return false;
    }
    return true;
}

/* A command whose data is enciphered, then MACed with its header. */
static void check_enciphered_script(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(free_keys) emv_keys encipherment = {KF_TDES, NULL, NULL};
    KF_CLEANUP(free_keys) emv_keys integrity = {KF_TDES, NULL, NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer plain = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    kf_emv_encipherment form;
    if (!make_keys(report, entry, "issuer_mk_smc", &encipherment) ||
        !make_keys(report, entry, "issuer_mk_smi", &integrity) ||
        !kat_need_hex(report, entry, "pin_block", &plain) ||
        !kat_need_hex(report, entry, "header", &message) || !read_encipherment(report, entry, &form))
        return;
    expect_kcv(report, entry, "smc_mk_kcv", encipherment.card);
    expect_kcv(report, entry, "smi_mk_kcv", integrity.card);
    expect_kcv(report, entry, "smc_sk_kcv", encipherment.session);
    expect_kcv(report, entry, "smi_sk_kcv", integrity.session);
    size_t header_size = message.size;
    kf_code code = kf_emv_script_encipher(algorithm_of(entry), encipherment.session, form,
                                          kf_buffer_view(&plain), &message);
    if (!kat_ok(report, code, "kf_emv_script_encipher")) return;
    kf_view whole = kf_buffer_view(&message);
    kat_expect_hex(report, entry, "ciphertext", kf_view_part(whole, header_size, whole.size));
    check_script_mac(report, entry, integrity.session, whole);
}

void kat_check_emv_script(const json_t *entry, kat_report *report)
{
    if (kat_has(entry, "issuer_mk_smc")) {
        check_enciphered_script(entry, report);
        return;
    }
    KF_CLEANUP(free_keys) emv_keys keys = {KF_TDES, NULL, NULL};
    KF_CLEANUP(kf_buffer_clear) kf_buffer message = KF_BUFFER_INIT;
    if (!make_keys(report, entry, "issuer_mk", &keys) || !kat_need_hex(report, entry, "mac_input", &message))
        return;
    expect_kcv(report, entry, "icc_mk_kcv", keys.card);
    expect_kcv(report, entry, "sk_kcv", keys.session);
    check_script_mac(report, entry, keys.session, kf_buffer_view(&message));
}
