/* Checkers of APDUs, SIM files and numbers, and the table of all card families. */
#include "card_checks.h"

#include <stdio.h>
#include <string.h>

#include <keyfill/apdu.h>
#include <keyfill/number.h>
#include <keyfill/sim.h>
#include <keyfill/tlv.h>

static void check_apdu(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
    kf_command command;
    if (!kat_need_hex(report, entry, "apdu", &bytes)) return;
    kf_code code = kf_command_parse(kf_buffer_view(&bytes), &command);
    if (kat_expect_error(report, entry, code)) return;
    if (!kat_ok(report, code, "kf_command_parse")) return;
    int form = (command.data.size > 0 ? 3 : 1) + (command.has_le ? 1 : 0);
    kat_expect_number(report, entry, "case", form);
    kat_expect_number(report, entry, "lc", (long long)command.data.size);
    kat_expect_number(report, entry, "le", command.has_le ? (long long)command.le : 0);
    kat_expect_hex(report, entry, "data", command.data);
    if (kat_ok(report, kf_command_encode(&command, &again), "kf_command_encode"))
        kat_compare(report, "encoded", kf_buffer_view(&bytes), kf_buffer_view(&again));
}

static void check_length(const json_t *entry, kat_report *report)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer encoded = KF_BUFFER_INIT;
    size_t length = (size_t)kat_need_number(report, entry, "length");
    kf_code code = KF_OK;
    if (strcmp(kat_need_text(report, entry, "form"), "BER") == 0)
        kf_tlv_append_length(&encoded, length);
    else
        code = kf_dgi_append_length(&encoded, length);
    if (kat_expect_error(report, entry, code)) return;
    if (kat_ok(report, code, "encoding")) kat_expect_hex(report, entry, "encoded", kf_buffer_view(&encoded));
}

static void check_iccid(const json_t *entry, kat_report *report)
{
    const char *iccid = kat_need_text(report, entry, "iccid");
    uint8_t content[KF_ICCID_SIZE];
    char back[KF_ICCID_TEXT_SIZE];
    kf_code code = kf_iccid_encode(iccid, content);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "kf_iccid_encode")) return;
    kat_expect_hex(report, entry, "ef_iccid", KF_VIEW(content));
    kat_expect_flag(report, entry, "luhn_ok", kf_luhn_valid(iccid));
    if (!kat_ok(report, kf_iccid_decode(KF_VIEW(content), back), "kf_iccid_decode")) return;
    if (strcmp(back, iccid) != 0) kat_fault(report, "decoded as %s", back);
}

static void check_imsi(const json_t *entry, kat_report *report)
{
    const char *imsi = kat_need_text(report, entry, "imsi");
    uint8_t content[KF_IMSI_SIZE];
    char back[KF_IMSI_TEXT_SIZE];
    kf_code code = kf_imsi_encode(imsi, content);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "kf_imsi_encode")) return;
    kat_expect_hex(report, entry, "ef_imsi", KF_VIEW(content));
    if (!kat_ok(report, kf_imsi_decode(KF_VIEW(content), back), "kf_imsi_decode")) return;
    if (strcmp(back, imsi) != 0) kat_fault(report, "decoded as %s", back);
}

static void check_msisdn(const json_t *entry, kat_report *report)
{
    const char *member = kat_has(entry, "msisdn") ? "msisdn" : "dialing_number";
    const char *number = kat_need_text(report, entry, member);
    kf_msisdn msisdn = {0}, back;
    (void)snprintf(msisdn.number, sizeof(msisdn.number), "%s", number);
    (void)snprintf(msisdn.alpha, sizeof(msisdn.alpha), "%s", kat_text_or(entry, "alpha_id", ""));
    msisdn.type_of_number = (uint8_t)kat_number_or(entry, "ton", kat_number_or(entry, "ton_if_no_plus", 0));
    msisdn.numbering_plan = (uint8_t)kat_number_or(entry, "npi", 1);
    uint8_t trailer[KF_MSISDN_TRAILER_SIZE];
    kf_code code = kf_msisdn_encode_trailer(&msisdn, trailer);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "kf_msisdn_encode_trailer")) return;
    kat_expect_hex(report, entry, "trailer14", KF_VIEW(trailer));
    KF_CLEANUP(kf_buffer_clear) kf_buffer record = KF_BUFFER_INIT;
    size_t size = (size_t)kat_number_or(entry, "record_length", KF_MSISDN_TRAILER_SIZE);
    if (!kat_ok(report, kf_msisdn_encode(&msisdn, size, &record), "kf_msisdn_encode")) return;
    kat_expect_hex(report, entry, "record", kf_buffer_view(&record));
    if (!kat_ok(report, kf_msisdn_decode(kf_buffer_view(&record), &back), "kf_msisdn_decode")) return;
    const char *wanted = strcmp(number, "+") == 0 ? "" : number;
    if (strcmp(back.number, wanted) != 0) kat_fault(report, "decoded as %s", back.number);
    if (strcmp(back.alpha, msisdn.alpha) != 0)
        kat_fault(report, "alpha identifier decoded as %s", back.alpha);
}

static void check_spn(const json_t *entry, kat_report *report)
{
    const char *name = kat_need_text(report, entry, "spn");
    uint8_t content[KF_SPN_SIZE], display;
    char back[KF_SPN_SIZE];
    kf_code code = kf_spn_encode((uint8_t)kat_need_number(report, entry, "display"), name, content);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "kf_spn_encode")) return;
    kat_expect_hex(report, entry, "ef_spn", KF_VIEW(content));
    if (!kat_ok(report, kf_spn_decode(KF_VIEW(content), &display, back), "kf_spn_decode")) return;
    if (strcmp(back, name) != 0) kat_fault(report, "decoded as %s", back);
    if (display != kat_need_number(report, entry, "display"))
        kat_fault(report, "display %u", (unsigned)display);
}

static void check_acc(const json_t *entry, kat_report *report)
{
    const json_t *classes = kat_member(entry, "classes");
    unsigned bits = 0;
    for (size_t i = 0; i < json_array_size(classes); i++)
        bits |= 1u << json_integer_value(json_array_get(classes, i));
    uint8_t content[KF_ACC_SIZE];
    uint16_t back;
    kf_acc_encode((uint16_t)bits, content);
    kat_expect_hex(report, entry, "ef_acc", KF_VIEW(content));
    if (!kat_ok(report, kf_acc_decode(KF_VIEW(content), &back), "kf_acc_decode")) return;
    if (back != bits) kat_fault(report, "decoded as %04X", (unsigned)back);
}

static void check_plmn(const json_t *entry, kat_report *report)
{
    const char *mcc = kat_need_text(report, entry, "mcc");
    const char *mnc = kat_need_text(report, entry, "mnc");
    uint8_t plmn[KF_PLMN_SIZE];
    char back_mcc[4], back_mnc[4];
    kf_code code = kf_plmn_encode(mcc, mnc, plmn);
    if (kat_expect_error(report, entry, code) || !kat_ok(report, code, "kf_plmn_encode")) return;
    kat_expect_hex(report, entry, "plmn", KF_VIEW(plmn));
    if (!kat_ok(report, kf_plmn_decode(KF_VIEW(plmn), back_mcc, back_mnc), "kf_plmn_decode")) return;
    size_t digits = strspn(mnc, "0123456789");
    if (strcmp(back_mcc, mcc) != 0 || strlen(back_mnc) != digits || strncmp(back_mnc, mnc, digits) != 0)
        kat_fault(report, "decoded as %s %s", back_mcc, back_mnc);
}

static void check_luhn(const json_t *entry, kat_report *report)
{
    if (kat_has(entry, "input")) {
        char output[21];
        kf_code code = kf_iccid_with_check_digit(kat_need_text(report, entry, "input"), output);
        if (!kat_expect_error(report, entry, code) && kat_ok(report, code, "kf_iccid_with_check_digit"))
            kat_expect_text(report, entry, "output", output);
        return;
    }
    const char *digits = kat_need_text(report, entry, "digits");
    kat_expect_number(report, entry, "check_digit", kf_luhn_check_digit(digits));
    kat_expect_flag(report, entry, "valid", kf_luhn_valid(digits));
}

const kat_family kat_card_families[] = {
    {"apdu_parse", check_apdu},
    {"atr", kat_check_atr},
    {"ber_len", check_length},
    {"ber_tlv", kat_check_ber_tlv},
    {"card_capability", kat_check_capability},
    {"card_recognition_data", kat_check_recognition},
    {"cplc", kat_check_cplc},
    {"ef_acc", check_acc},
    {"ef_iccid", check_iccid},
    {"ef_imsi", check_imsi},
    {"ef_msisdn", check_msisdn},
    {"ef_spn", check_spn},
    {"get_status", kat_check_get_status},
    {"key_information_template", kat_check_key_information},
    {"luhn", check_luhn},
    {"plmn", check_plmn},
    {"put_key", kat_check_put_key},
    {"scp02", kat_check_session},
    {"scp02_kdf", kat_check_scp02_keys},
    {"scp02_negative", kat_check_refused_session},
    {"scp02_rmac", kat_check_scp02_response_mac},
    {"scp03", kat_check_session},
    {"scp03_card_challenge", kat_check_card_challenge},
    {"scp03_kdf", kat_check_scp03_derivation},
    {"scp03_negative", kat_check_refused_session},
    {"scp80", kat_check_ota},
    {NULL, NULL},
};
