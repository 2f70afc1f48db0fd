/* Counters, lists of applications, and what the historical bytes tell. */
#include <keyfill/card_data.h>

#include <keyfill/tlv.h>

kf_code kf_gp_counter_parse(kf_view data, uint16_t tag, uint32_t *ret_counter)
{
    kf_view value = data;
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv object;
    if (kf_tlv_read(&cursor, &object) == KF_OK && object.tag == tag && kf_cursor_at_end(&cursor))
        value = object.value;
    if (value.size == 0 || value.size > 4) return KF_ERR_CARD_DATA;
    uint32_t counter = 0;
    for (size_t i = 0; i < value.size; i++)
        counter = (counter << 8) | value.data[i];
    *ret_counter = counter;
    return KF_OK;
}

kf_code kf_gp_select_answer_parse(kf_view data, kf_gp_select_answer *ret_answer)
{
    kf_cursor cursor = kf_cursor_of(data);
    kf_tlv template;
    kf_view size;
    kf_gp_select_answer answer = {0};
    if (kf_tlv_read(&cursor, &template) != KF_OK || template.tag != 0x6F || !kf_cursor_at_end(&cursor) ||
        kf_tlv_check(template.value) != KF_OK)
        return KF_ERR_CARD_DATA;
    bool named = kf_tlv_find(template.value, 0x84, &answer.aid);
    if (answer.aid.size > KF_AID_MAX) return KF_ERR_CARD_DATA;
    if (!kf_tlv_find(template.value, 0xA5, &answer.proprietary) && !named) return KF_ERR_CARD_DATA;
    (void)kf_tlv_find(answer.proprietary, 0x73, &answer.management_data);
    (void)kf_tlv_find(answer.proprietary, 0x9F6E, &answer.life_cycle_data);
    if (kf_tlv_find(answer.proprietary, 0x9F65, &size)) {
        if (size.size == 0 || size.size > 2) return KF_ERR_CARD_DATA;
        for (size_t i = 0; i < size.size; i++)
            answer.command_data_max = (answer.command_data_max << 8) | size.data[i];
    }
    *ret_answer = answer;
    return KF_OK;
}

kf_code kf_applications_of_answer(kf_view data, kf_view *ret_templates)
{
    kf_cursor cursor = kf_cursor_of(data);
    uint16_t tag = 0;
    if (kf_cursor_u16(&cursor, &tag) != KF_OK || tag != 0x2F00) {
        *ret_templates = data;
        return KF_OK;
    }
    /* 2F00 is no BER tag (its first byte would stand alone): the second one with what follows is an object.
     */
    cursor = kf_cursor_of(kf_view_part(data, 1, data.size));
    kf_tlv whole;
    if (kf_tlv_read(&cursor, &whole) != KF_OK || !kf_cursor_at_end(&cursor)) return KF_ERR_CARD_DATA;
    *ret_templates = whole.value;
    return KF_OK;
}

static void skip_padding(kf_cursor *cursor)
{
    while (cursor->rest.size > 0 && (cursor->rest.data[0] == 0xFF || cursor->rest.data[0] == 0x00))
        if (kf_cursor_skip(cursor, 1) != KF_OK) return;
}

kf_code kf_application_next(kf_cursor *answer, kf_application_template *ret_application)
{
    kf_cursor ahead = *answer;
    kf_application_template application = {0};
    skip_padding(&ahead);
    if (!kf_cursor_at_end(&ahead)) {
        kf_tlv template;
        if (kf_tlv_read(&ahead, &template) != KF_OK || template.tag != 0x61 ||
            kf_tlv_check(template.value) != KF_OK)
            return KF_ERR_CARD_DATA;
        application.whole = template.value;
        if (!kf_tlv_find(template.value, 0x4F, &application.aid)) return KF_ERR_CARD_DATA;
        if (application.aid.size == 0 || application.aid.size > KF_AID_MAX) return KF_ERR_CARD_DATA;
        (void)kf_tlv_find(template.value, 0x50, &application.label);
        skip_padding(&ahead);
    }
    *answer = ahead;
    *ret_application = application;
    return KF_OK;
}

/* The third software function table (ISO/IEC 7816-4 table 119). */
static void read_functions(uint8_t functions, kf_transport_capability *capability)
{
    capability->told = true;
    capability->command_chaining = (functions & 0x80u) != 0;
    capability->extended_length = (functions & 0x40u) != 0;
    capability->channels_max = (functions & 0x18u) == 0 ? 1 : (functions & 0x07u) + 1u;
}

kf_transport_capability kf_transport_capability_of(kf_view historical)
{
    kf_transport_capability capability = {.channels_max = 1};
    kf_cursor cursor = kf_cursor_of(historical);
    uint8_t category, head;
    if (kf_cursor_u8(&cursor, &category) != KF_OK || (category != 0x00 && category != 0x80))
        return capability;
    /* Under category 00 the last three bytes are the status indicator. */
    if (category == 0x00)
        cursor.rest = kf_view_part(cursor.rest, 0, cursor.rest.size < 3 ? 0 : cursor.rest.size - 3);
    while (kf_cursor_u8(&cursor, &head) == KF_OK) {
        kf_view value;
        if (kf_cursor_take(&cursor, head & 0x0Fu, &value) != KF_OK) return capability;
        if (head == 0x73) read_functions(value.data[2], &capability);
    }
    return capability;
}
