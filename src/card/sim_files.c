/* The contents of the elementary files that name a card and its number. */
#include <keyfill/sim.h>

#include <stdio.h>
#include <string.h>

#define NIBBLE_NONE 0xFu

/* -1 for another character. */
static int digit_value(char digit, bool hexadecimal)
{
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (hexadecimal && digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    return -1;
}

static char digit_text(unsigned nibble)
{
    return "0123456789ABCDEF"[nibble & 0xFu];
}

/* The nibble at `index` of swapped BCD: the low one of a byte comes first. */
static unsigned nibble_at(const uint8_t *bytes, size_t index)
{
    return index % 2 == 0 ? bytes[index / 2] & 0xFu : (unsigned)bytes[index / 2] >> 4;
}

static void set_nibble(uint8_t *bytes, size_t index, unsigned nibble)
{
    unsigned present = bytes[index / 2];
    unsigned changed = index % 2 == 0 ? (present & 0xF0u) | nibble : (present & 0x0Fu) | (nibble << 4);
    bytes[index / 2] = (uint8_t)changed;
}

kf_code kf_iccid_encode(const char *iccid, uint8_t ret_content[KF_ICCID_SIZE])
{
    size_t size = strlen(iccid);
    if (size == 0 || size > 2 * KF_ICCID_SIZE) return KF_ERR_ARGUMENT;
    uint8_t content[KF_ICCID_SIZE];
    memset(content, 0xFF, sizeof(content));
    for (size_t i = 0; i < size; i++) {
        int value = digit_value(iccid[i], true);
        if (value < 0) return KF_ERR_ARGUMENT;
        set_nibble(content, i, (unsigned)value);
    }
    memcpy(ret_content, content, sizeof(content));
    return KF_OK;
}

kf_code kf_iccid_decode(kf_view content, char ret_iccid[KF_ICCID_TEXT_SIZE])
{
    if (content.size != KF_ICCID_SIZE) return KF_ERR_CARD_DATA;
    size_t size = 2 * KF_ICCID_SIZE;
    while (size > 0 && nibble_at(content.data, size - 1) == NIBBLE_NONE)
        size--;
    if (size == 0) return KF_ERR_CARD_DATA;
    for (size_t i = 0; i < size; i++)
        ret_iccid[i] = digit_text(nibble_at(content.data, i));
    ret_iccid[size] = 0;
    return KF_OK;
}

kf_code kf_imsi_encode(const char *imsi, uint8_t ret_content[KF_IMSI_SIZE])
{
    size_t size = strlen(imsi);
    if (size < 6 || size > 15) return KF_ERR_ARGUMENT;
    uint8_t content[KF_IMSI_SIZE];
    memset(content, 0xFF, sizeof(content));
    content[0] = (uint8_t)((size + 2) / 2);
    /* TS 24.008 10.5.1.4: identity type 1 and the parity of the count before the first digit. */
    set_nibble(content + 1, 0, size % 2 == 1 ? 0x9u : 0x1u);
    for (size_t i = 0; i < size; i++) {
        int value = digit_value(imsi[i], false);
        if (value < 0) return KF_ERR_ARGUMENT;
        set_nibble(content + 1, i + 1, (unsigned)value);
    }
    memcpy(ret_content, content, sizeof(content));
    return KF_OK;
}

kf_code kf_imsi_decode(kf_view content, char ret_imsi[KF_IMSI_TEXT_SIZE])
{
    if (content.size != KF_IMSI_SIZE) return KF_ERR_CARD_DATA;
    size_t bytes = content.data[0];
    if (bytes < 2 || bytes > 8) return KF_ERR_CARD_DATA;
    const uint8_t *digits = content.data + 1;
    unsigned first = nibble_at(digits, 0);
    if ((first & 0x7u) != 1) return KF_ERR_CARD_DATA;
    bool odd = (first & 0x8u) != 0;
    size_t size = 2 * bytes - (odd ? 1 : 2);
    if (!odd && nibble_at(digits, 2 * bytes - 1) != NIBBLE_NONE) return KF_ERR_CARD_DATA;
    char imsi[KF_IMSI_TEXT_SIZE];
    for (size_t i = 0; i < size; i++) {
        unsigned nibble = nibble_at(digits, i + 1);
        if (nibble > 9) return KF_ERR_CARD_DATA;
        imsi[i] = digit_text(nibble);
    }
    imsi[size] = 0;
    memcpy(ret_imsi, imsi, size + 1);
    return KF_OK;
}

/* TS 51.011 table 12: * is A, # is B. */
static int dialled_value(char digit)
{
    if (digit == '*') return 0xA;
    if (digit == '#') return 0xB;
    return digit_value(digit, false);
}

static char dialled_text(unsigned nibble)
{
    return "0123456789*#"[nibble];
}

kf_code kf_msisdn_encode_trailer(const kf_msisdn *msisdn, uint8_t ret_trailer[KF_MSISDN_TRAILER_SIZE])
{
    const char *digits = msisdn->number;
    unsigned type = msisdn->type_of_number;
    if (digits[0] == '+') {
        digits++;
        type = 1;
    }
    size_t size = strnlen(digits, KF_MSISDN_DIGITS_MAX + 1);
    if (size > KF_MSISDN_DIGITS_MAX || type > 7 || msisdn->numbering_plan > 15) return KF_ERR_ARGUMENT;
    uint8_t trailer[KF_MSISDN_TRAILER_SIZE];
    memset(trailer, 0xFF, sizeof(trailer));
    if (size > 0) {
        trailer[0] = (uint8_t)(1 + (size + 1) / 2);
        trailer[1] = (uint8_t)(0x80u | (type << 4) | msisdn->numbering_plan);
    }
    for (size_t i = 0; i < size; i++) {
        int value = dialled_value(digits[i]);
        if (value < 0) return KF_ERR_ARGUMENT;
        set_nibble(trailer + 2, i, (unsigned)value);
    }
    memcpy(ret_trailer, trailer, sizeof(trailer));
    return KF_OK;
}

/* TS 23.038 6.2.1: the default alphabet, where it differs from ASCII. */
static const struct {
    char text;
    uint8_t coded;
} differing[] = {{'@', 0x00}, {'$', 0x02}, {'_', 0x11}};

static kf_code append_name(const char *name, size_t room, kf_buffer *field)
{
    size_t size = strlen(name);
    if (size > room) return KF_ERR_ARGUMENT;
    for (size_t i = 0; i < size; i++) {
        uint8_t coded = (uint8_t)name[i];
        bool same = coded >= 0x20 && coded < 0x7F && strchr("@$_[\\]^`{|}~", name[i]) == NULL;
        for (size_t k = 0; k < sizeof(differing) / sizeof(differing[0]) && !same; k++) {
            if (differing[k].text != name[i]) continue;
            coded = differing[k].coded;
            same = true;
        }
        if (!same) return KF_ERR_ARGUMENT;
        kf_buffer_append_u8(field, coded);
    }
    kf_buffer_append_fill(field, 0xFF, room - size);
    return kf_buffer_status(field);
}

/* Characters that cannot be shown become "?". `ret_name` holds field.size + 1. */
static void read_name(kf_view field, char *ret_name)
{
    size_t size = 0;
    while (size < field.size && field.data[size] != 0xFF) {
        uint8_t coded = field.data[size];
        char text =
            coded >= 0x20 && coded < 0x7F && strchr("@$_[\\]^`{|}~", (char)coded) == NULL ? (char)coded : '?';
        for (size_t k = 0; k < sizeof(differing) / sizeof(differing[0]); k++)
            if (differing[k].coded == coded) text = differing[k].text;
        ret_name[size++] = text;
    }
    ret_name[size] = 0;
}

kf_code kf_msisdn_encode(const kf_msisdn *msisdn, size_t record_size, kf_buffer *record)
{
    if (record_size < KF_MSISDN_TRAILER_SIZE || record_size > 255) return KF_ERR_ARGUMENT;
    uint8_t trailer[KF_MSISDN_TRAILER_SIZE];
    KF_TRY(kf_msisdn_encode_trailer(msisdn, trailer));
    KF_CLEANUP(kf_buffer_clear) kf_buffer whole = KF_BUFFER_INIT;
    KF_TRY(append_name(msisdn->alpha, record_size - KF_MSISDN_TRAILER_SIZE, &whole));
    kf_buffer_append(&whole, KF_VIEW(trailer));
    KF_TRY(kf_buffer_status(&whole));
    kf_buffer_append(record, kf_buffer_view(&whole));
    return kf_buffer_status(record);
}

/* `trailer`: 14 bytes. */
static kf_code decode_trailer(const uint8_t *trailer, kf_msisdn *msisdn)
{
    size_t bytes = trailer[0];
    if (bytes == 0xFF || bytes == 0) return KF_OK;
    if (bytes > 11) return KF_ERR_CARD_DATA;
    msisdn->type_of_number = (uint8_t)((trailer[1] >> 4) & 0x7u);
    msisdn->numbering_plan = trailer[1] & 0xFu;
    char *text = msisdn->number;
    size_t count = 2 * (bytes - 1);
    size_t size = 0;
    while (size < count && nibble_at(trailer + 2, size) != NIBBLE_NONE)
        size++;
    for (size_t i = size; i < count; i++)
        if (nibble_at(trailer + 2, i) != NIBBLE_NONE) return KF_ERR_CARD_DATA;
    if (size > 0 && msisdn->type_of_number == 1) *text++ = '+';
    for (size_t i = 0; i < size; i++) {
        unsigned nibble = nibble_at(trailer + 2, i);
        if (nibble > 0xB) return KF_ERR_CARD_DATA;
        *text++ = dialled_text(nibble);
    }
    *text = 0;
    return KF_OK;
}

kf_code kf_msisdn_decode(kf_view record, kf_msisdn *ret_msisdn)
{
    if (record.size < KF_MSISDN_TRAILER_SIZE || record.size > 255) return KF_ERR_CARD_DATA;
    kf_msisdn msisdn = {0};
    size_t alpha_size = record.size - KF_MSISDN_TRAILER_SIZE;
    KF_TRY(decode_trailer(record.data + alpha_size, &msisdn));
    read_name(kf_view_part(record, 0, alpha_size), msisdn.alpha);
    *ret_msisdn = msisdn;
    return KF_OK;
}

kf_code kf_spn_encode(uint8_t display, const char *name, uint8_t ret_content[KF_SPN_SIZE])
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
    kf_buffer_append_u8(&content, display);
    KF_TRY(append_name(name, KF_SPN_SIZE - 1, &content));
    memcpy(ret_content, content.data, KF_SPN_SIZE);
    return KF_OK;
}

kf_code kf_spn_decode(kf_view content, uint8_t *ret_display, char ret_name[KF_SPN_SIZE])
{
    if (content.size != KF_SPN_SIZE) return KF_ERR_CARD_DATA;
    *ret_display = content.data[0];
    read_name(kf_view_part(content, 1, KF_SPN_SIZE - 1), ret_name);
    return KF_OK;
}

void kf_acc_encode(uint16_t classes, uint8_t ret_content[KF_ACC_SIZE])
{
    ret_content[0] = (uint8_t)(classes >> 8);
    ret_content[1] = (uint8_t)classes;
}

kf_code kf_acc_decode(kf_view content, uint16_t *ret_classes)
{
    kf_cursor cursor = kf_cursor_of(content);
    if (content.size != KF_ACC_SIZE) return KF_ERR_CARD_DATA;
    return kf_cursor_u16(&cursor, ret_classes);
}

kf_code kf_plmn_encode(const char *mcc, const char *mnc, uint8_t ret_plmn[KF_PLMN_SIZE])
{
    size_t mnc_size = strlen(mnc);
    if (strlen(mcc) != 3 || mnc_size < 2 || mnc_size > 3) return KF_ERR_ARGUMENT;
    /* In the order of their nibbles: MCC 1, 2, 3, MNC 3, 1, 2. */
    char third = mnc_size == 3 ? mnc[2] : 'F';
    const char digits[] = {mcc[0], mcc[1], mcc[2], third, mnc[0], mnc[1]};
    uint8_t plmn[KF_PLMN_SIZE] = {0};
    for (size_t i = 0; i < sizeof(digits); i++) {
        int value = digit_value(digits[i], i == 3);
        if (value < 0 || (value > 9 && value != 0xF)) return KF_ERR_ARGUMENT;
        set_nibble(plmn, i, (unsigned)value);
    }
    memcpy(ret_plmn, plmn, sizeof(plmn));
    return KF_OK;
}

kf_code kf_plmn_decode(kf_view plmn, char ret_mcc[4], char ret_mnc[4])
{
    if (plmn.size != KF_PLMN_SIZE) return KF_ERR_CARD_DATA;
    unsigned nibbles[6];
    for (size_t i = 0; i < 6; i++) {
        nibbles[i] = nibble_at(plmn.data, i);
        if (nibbles[i] > 9 && !(i == 3 && nibbles[i] == NIBBLE_NONE)) return KF_ERR_CARD_DATA;
    }
    for (size_t i = 0; i < 3; i++)
        ret_mcc[i] = digit_text(nibbles[i]);
    ret_mcc[3] = 0;
    ret_mnc[0] = digit_text(nibbles[4]);
    ret_mnc[1] = digit_text(nibbles[5]);
    ret_mnc[2] = nibbles[3] == NIBBLE_NONE ? 0 : digit_text(nibbles[3]);
    ret_mnc[3] = 0;
    return KF_OK;
}

static bool is_unused(kf_view plmn)
{
    for (size_t i = 0; i < plmn.size; i++)
        if (plmn.data[i] != 0xFF) return false;
    return true;
}

kf_code kf_plmn_list_decode(kf_view content, size_t entry_size, kf_plmn_list *ret_list)
{
    if (entry_size != KF_PLMN_SIZE && entry_size != KF_PLMN_WITH_ACCESS_SIZE) return KF_ERR_ARGUMENT;
    if (content.size % entry_size != 0) return KF_ERR_CARD_DATA;
    kf_plmn_list list = {0};
    for (size_t offset = 0; offset < content.size; offset += entry_size) {
        kf_view plmn = kf_view_part(content, offset, KF_PLMN_SIZE);
        if (is_unused(plmn)) continue;
        if (list.count == KF_PLMN_LIST_MAX) return KF_ERR_CARD_DATA;
        kf_plmn_entry *entry = &list.entries[list.count++];
        KF_TRY(kf_plmn_decode(plmn, entry->mcc, entry->mnc));
        kf_cursor access = kf_cursor_of(kf_view_part(content, offset + KF_PLMN_SIZE, 2));
        if (entry_size == KF_PLMN_WITH_ACCESS_SIZE) KF_TRY(kf_cursor_u16(&access, &entry->access));
    }
    *ret_list = list;
    return KF_OK;
}

kf_code kf_plmn_list_encode(const kf_plmn_list *list, size_t entry_size, size_t content_size,
                            kf_buffer *content)
{
    if (entry_size != KF_PLMN_SIZE && entry_size != KF_PLMN_WITH_ACCESS_SIZE) return KF_ERR_ARGUMENT;
    if (list->count > KF_PLMN_LIST_MAX || list->count * entry_size > content_size) return KF_ERR_ARGUMENT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer whole = KF_BUFFER_INIT;
    for (size_t i = 0; i < list->count; i++) {
        uint8_t plmn[KF_PLMN_SIZE];
        KF_TRY(kf_plmn_encode(list->entries[i].mcc, list->entries[i].mnc, plmn));
        kf_buffer_append(&whole, KF_VIEW(plmn));
        if (entry_size == KF_PLMN_WITH_ACCESS_SIZE) kf_buffer_append_u16(&whole, list->entries[i].access);
    }
    /* An unused place of a list with access technologies is FFFFFF 0000 (TS 31.102 4.2.5). */
    while (whole.size + entry_size <= content_size && kf_buffer_status(&whole) == KF_OK) {
        kf_buffer_append_fill(&whole, 0xFF, KF_PLMN_SIZE);
        kf_buffer_append_fill(&whole, 0x00, entry_size - KF_PLMN_SIZE);
    }
    kf_buffer_append_fill(&whole, 0xFF, content_size - whole.size);
    KF_TRY(kf_buffer_status(&whole));
    kf_buffer_append(content, kf_buffer_view(&whole));
    return kf_buffer_status(content);
}
