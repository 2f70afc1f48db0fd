/* Entries of GET STATUS (Card Specification 11.4.3) and life cycle states. */
#include <keyfill/card_data.h>

#include <keyfill/tlv.h>

static kf_code read_status_object(const kf_tlv *object, kf_gp_status_entry *entry)
{
    switch (object->tag) {
    case 0x4F: entry->aid = object->value; return KF_OK;
    case 0x9F70: entry->state = object->value; return KF_OK;
    case 0xC5: entry->privileges = kf_view_part(object->value, 0, 3); return KF_OK;
    case 0xC4: entry->load_file = object->value; return KF_OK;
    case 0xCE: entry->version = object->value; return KF_OK;
    case 0xCC: entry->security_domain = object->value; return KF_OK;
    case 0x84:
        if (entry->module_count == KF_STATUS_MODULES_MAX) return KF_ERR_CARD_DATA;
        entry->modules[entry->module_count++] = object->value;
        return KF_OK;
    default: return KF_OK; /* CF, EA and what later versions add */
    }
}

kf_code kf_gp_status_next(kf_cursor *answer, kf_gp_status_entry *ret_entry)
{
    kf_cursor ahead = *answer;
    kf_tlv template;
    KF_TRY(kf_tlv_read(&ahead, &template));
    if (template.tag != 0xE3) return KF_ERR_CARD_DATA;
    kf_gp_status_entry entry = {.whole = template.value};
    kf_cursor cursor = kf_cursor_of(template.value);
    while (!kf_cursor_at_end(&cursor)) {
        kf_tlv object;
        KF_TRY(kf_tlv_read(&cursor, &object));
        KF_TRY(read_status_object(&object, &entry));
    }
    if (entry.aid.size < KF_AID_MIN || entry.aid.size > KF_AID_MAX) return KF_ERR_CARD_DATA;
    /* Two names or two states would let a reader choose. */
    if (kf_tlv_count(template.value, 0x4F) > 1 || kf_tlv_count(template.value, 0x9F70) > 1 ||
        kf_tlv_count(template.value, 0xC5) > 1)
        return KF_ERR_CARD_DATA;
    *answer = ahead;
    *ret_entry = entry;
    return KF_OK;
}

static kf_code read_counted(kf_cursor *cursor, kf_view *ret_value)
{
    uint8_t size;
    if (kf_cursor_u8(cursor, &size) != KF_OK) return KF_ERR_CARD_DATA;
    return kf_cursor_take(cursor, size, ret_value) == KF_OK ? KF_OK : KF_ERR_CARD_DATA;
}

static kf_code read_modules(kf_cursor *cursor, kf_gp_status_entry *entry)
{
    uint8_t count;
    if (kf_cursor_u8(cursor, &count) != KF_OK || count > KF_STATUS_MODULES_MAX) return KF_ERR_CARD_DATA;
    for (; entry->module_count < count; entry->module_count++) {
        kf_view *module = &entry->modules[entry->module_count];
        KF_TRY(read_counted(cursor, module));
        if (module->size < KF_AID_MIN || module->size > KF_AID_MAX) return KF_ERR_CARD_DATA;
    }
    return KF_OK;
}

kf_code kf_gp_status_next_older(kf_cursor *answer, kf_gp_scope scope, kf_gp_status_entry *ret_entry)
{
    kf_cursor ahead = *answer;
    kf_gp_status_entry entry = {0};
    KF_TRY(read_counted(&ahead, &entry.aid));
    if (entry.aid.size < KF_AID_MIN || entry.aid.size > KF_AID_MAX) return KF_ERR_CARD_DATA;
    if (kf_cursor_take(&ahead, 1, &entry.state) != KF_OK ||
        kf_cursor_take(&ahead, 1, &entry.privileges) != KF_OK)
        return KF_ERR_CARD_DATA;
    if (scope == KF_GP_LOAD_FILES_AND_MODULES) KF_TRY(read_modules(&ahead, &entry));
    entry.whole = kf_view_part(answer->rest, 0, answer->rest.size - ahead.rest.size);
    *answer = ahead;
    *ret_entry = entry;
    return KF_OK;
}

static const char *card_state(uint8_t state)
{
    switch (state) {
    case 0x01: return "OP_READY";
    case 0x07: return "INITIALIZED";
    case 0x0F: return "SECURED";
    case 0x7F: return "CARD_LOCKED";
    case 0xFF: return "TERMINATED";
    default: return "unknown";
    }
}

/* Tables 11-4 and 11-5: PERSONALIZED is a security domain's; an application's bits 4 to 7 are its own. */
static const char *application_state(uint8_t state)
{
    if (state & 0x80u) return "LOCKED";
    switch (state) {
    case 0x03: return "INSTALLED";
    case 0x07: return "SELECTABLE";
    case 0x0F: return "PERSONALIZED";
    default: return (state & 0x07u) == 0x07u ? "SELECTABLE, own state" : "unknown";
    }
}

const char *kf_gp_state_text(kf_gp_scope scope, uint8_t state)
{
    switch (scope) {
    case KF_GP_ISSUER_SECURITY_DOMAIN: return card_state(state);
    case KF_GP_APPLICATIONS: return application_state(state);
    case KF_GP_LOAD_FILES:
    case KF_GP_LOAD_FILES_AND_MODULES: return state == 0x01 ? "LOADED" : "unknown";
    }
    return "unknown";
}
