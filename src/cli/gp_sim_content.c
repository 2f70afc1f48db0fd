/* The files of a SIM that have names (3GPP TS 31.102 §4.2, TS 102 221 §13), and their content as people say
 * it. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <keyfill/hex.h>

#include "cli/gp_sim.h"

#define TEXT_MAX 256 /* characters of a path */

static kf_code decode_iccid(kf_view content, kf_buffer *text)
{
    char iccid[KF_ICCID_TEXT_SIZE];
    KF_TRY(kf_iccid_decode(content, iccid));
    kf_buffer_append_text(text, iccid);
    return KF_OK;
}

static kf_code encode_iccid(const char *text, size_t size, kf_buffer *content)
{
    uint8_t bytes[KF_ICCID_SIZE];
    if (size != sizeof bytes) return KF_ERR_ARGUMENT;
    KF_TRY(kf_iccid_encode(text, bytes));
    kf_buffer_append_bytes(content, bytes, sizeof bytes);
    return KF_OK;
}

static kf_code decode_imsi(kf_view content, kf_buffer *text)
{
    char imsi[KF_IMSI_TEXT_SIZE];
    KF_TRY(kf_imsi_decode(content, imsi));
    kf_buffer_append_text(text, imsi);
    return KF_OK;
}

static kf_code encode_imsi(const char *text, size_t size, kf_buffer *content)
{
    uint8_t bytes[KF_IMSI_SIZE];
    if (size != sizeof bytes) return KF_ERR_ARGUMENT;
    KF_TRY(kf_imsi_encode(text, bytes));
    kf_buffer_append_bytes(content, bytes, sizeof bytes);
    return KF_OK;
}

static kf_code decode_msisdn(kf_view content, kf_buffer *text)
{
    kf_msisdn msisdn;
    KF_TRY(kf_msisdn_decode(content, &msisdn));
    kf_buffer_format(text, "%s%s%s", msisdn.number, msisdn.alpha[0] != '\0' ? " " : "", msisdn.alpha);
    return KF_OK;
}

static kf_code encode_msisdn(const char *text, size_t size, kf_buffer *content)
{
    kf_msisdn msisdn = {.numbering_plan = 1};
    if (strlen(text) >= sizeof msisdn.number) return KF_ERR_ARGUMENT;
    memcpy(msisdn.number, text, strlen(text) + 1);
    return kf_msisdn_encode(&msisdn, size, content);
}

static kf_code decode_spn(kf_view content, kf_buffer *text)
{
    uint8_t display;
    return kf_spn_decode_text(content, &display, text);
}

static kf_code encode_spn(const char *text, size_t size, kf_buffer *content)
{
    uint8_t bytes[KF_SPN_SIZE];
    if (size != sizeof bytes) return KF_ERR_ARGUMENT;
    KF_TRY(kf_spn_encode_text(KF_SPN_SHOW_PLMN, text, bytes));
    kf_buffer_append_bytes(content, bytes, sizeof bytes);
    return KF_OK;
}

static kf_code decode_acc(kf_view content, kf_buffer *text)
{
    uint16_t classes;
    bool any = false;
    KF_TRY(kf_acc_decode(content, &classes));
    for (unsigned n = 0; n < 16; n++) {
        if ((classes & (1u << n)) == 0) continue;
        kf_buffer_format(text, "%s%u", any ? "," : "", n);
        any = true;
    }
    return KF_OK;
}

static kf_code decode_plmns(kf_view content, size_t entry_size, kf_buffer *text)
{
    kf_plmn_list list;
    KF_TRY(kf_plmn_list_decode(content, entry_size, &list));
    for (size_t i = 0; i < list.count; i++) {
        kf_buffer_format(text, "%s%s-%s", i > 0 ? ", " : "", list.entries[i].mcc, list.entries[i].mnc);
        if (entry_size == KF_PLMN_WITH_ACCESS_SIZE)
            kf_buffer_format(text, ":%04X", (unsigned)list.entries[i].access);
    }
    return KF_OK;
}

static kf_code decode_plmn_list(kf_view content, kf_buffer *text)
{
    return decode_plmns(content, KF_PLMN_SIZE, text);
}

static kf_code decode_plmn_access_list(kf_view content, kf_buffer *text)
{
    return decode_plmns(content, KF_PLMN_WITH_ACCESS_SIZE, text);
}

static const kf_gp_sim_form forms[] = {
    {"iccid", KF_FILE_ICCID, decode_iccid, encode_iccid},
    {"imsi", KF_FILE_IMSI, decode_imsi, encode_imsi},
    {"msisdn", KF_FILE_MSISDN, decode_msisdn, encode_msisdn},
    {"spn", KF_FILE_SPN, decode_spn, encode_spn},
    {"acc", KF_FILE_ACC, decode_acc, NULL},
    {"plmn-selector", KF_FILE_PLMN_SELECTOR, decode_plmn_list, NULL},
    {"plmn-access", KF_FILE_PLMN_SELECTOR_ACCESS, decode_plmn_access_list, NULL},
    {"operator-plmn", KF_FILE_OPERATOR_PLMN_ACCESS, decode_plmn_access_list, NULL},
    {"home-plmn", KF_FILE_HOME_PLMN_ACCESS, decode_plmn_access_list, NULL},
    {"forbidden-plmn", KF_FILE_FORBIDDEN_PLMN, decode_plmn_list, NULL},
    {"equivalent-home-plmn", KF_FILE_EQUIVALENT_HOME_PLMN, decode_plmn_list, NULL},
};
#define FORMS (sizeof forms / sizeof forms[0])

/* Where the named files stand on cards with and without a USIM: DF GSM, and DF TELECOM for the number. */
static const struct {
    const char *name;
    kf_gp_sim_path path;
} named_paths[] = {
    {"iccid", {{KF_FILE_ICCID}, 1}},
    {"dir", {{KF_FILE_DIR}, 1}},
    {"imsi", {{KF_FILE_DF_GSM, KF_FILE_IMSI}, 2}},
    {"msisdn", {{KF_FILE_DF_TELECOM, KF_FILE_MSISDN}, 2}},
    {"spn", {{KF_FILE_DF_GSM, KF_FILE_SPN}, 2}},
    {"acc", {{KF_FILE_DF_GSM, KF_FILE_ACC}, 2}},
    {"plmn-selector", {{KF_FILE_DF_GSM, KF_FILE_PLMN_SELECTOR}, 2}},
    {"forbidden-plmn", {{KF_FILE_DF_GSM, KF_FILE_FORBIDDEN_PLMN}, 2}},
    {"plmn-access", {{KF_FILE_ADF, KF_FILE_PLMN_SELECTOR_ACCESS}, 2}},
    {"operator-plmn", {{KF_FILE_ADF, KF_FILE_OPERATOR_PLMN_ACCESS}, 2}},
    {"home-plmn", {{KF_FILE_ADF, KF_FILE_HOME_PLMN_ACCESS}, 2}},
    {"equivalent-home-plmn", {{KF_FILE_ADF, KF_FILE_EQUIVALENT_HOME_PLMN}, 2}},
};

static kf_code parse_identifiers(const char *text, kf_gp_sim_path *ret_path)
{
    kf_gp_sim_path path = {.count = 0};
    for (const char *at = text; *at != '\0';) {
        uint8_t bytes[2];
        char digits[5] = "";
        size_t length = strcspn(at, "/");
        if (length != 4 || path.count == KF_SIM_PATH_MAX) return KF_ERR_USAGE;
        memcpy(digits, at, length);
        KF_TRY(kf_hex_decode(digits, bytes, sizeof bytes));
        uint16_t identifier = (uint16_t)(bytes[0] << 8 | bytes[1]);
        if (identifier != KF_FILE_MF) path.identifiers[path.count++] = identifier;
        if (identifier == KF_FILE_MF && at != text) return KF_ERR_USAGE;
        at += length;
        at += strspn(at, "/");
    }
    *ret_path = path;
    return KF_OK;
}

kf_code kf_gp_sim_path_parse(kf_view text, kf_gp_sim_path *ret_path, kf_error *error)
{
    char name[TEXT_MAX] = "";
    if (text.size > 0 && text.size < sizeof name) memcpy(name, text.data, text.size);
    for (size_t i = 0; i < sizeof named_paths / sizeof named_paths[0]; i++) {
        if (strcasecmp(named_paths[i].name, name) != 0) continue;
        *ret_path = named_paths[i].path;
        return KF_OK;
    }
    if (name[0] != '\0' && parse_identifiers(name, ret_path) == KF_OK) return KF_OK;
    return kf_fail(
        error, KF_ERR_USAGE,
        "'%.60s' is no file: give identifiers from the master file on, such as 7F20/6F07 (7FFF/... of the "
        "USIM), or iccid, imsi, msisdn, spn, acc, dir, plmn-selector, forbidden-plmn, plmn-access, "
        "operator-plmn, home-plmn, equivalent-home-plmn",
        name);
}

const kf_gp_sim_form *kf_gp_sim_form_of(const kf_gp_sim_path *path)
{
    if (path->count == 0) return NULL;
    for (size_t i = 0; i < FORMS; i++)
        if (forms[i].identifier == path->identifiers[path->count - 1]) return &forms[i];
    return NULL;
}
