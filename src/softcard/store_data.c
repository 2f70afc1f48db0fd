#include "softcard/store_data.h"

#include <string.h>

#include "softcard/applet.h"
#include "softcard/card.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"
#include "softcard/tlv.h"

/* P1 (table 11-89). */
enum {
    LAST_BLOCK = 0x80,
    ENCRYPTION_MASK = 0x60,
    STRUCTURE_MASK = 0x18,
    STRUCTURE_NONE = 0x00,
    STRUCTURE_GROUPINGS = 0x08,
    STRUCTURE_TLV = 0x10,
};

/* Data groupings of a security domain (11.11.4). */
enum { GROUPING_DATA = 0x0070, GROUPING_KEY_TEMPLATES = 0x00B9, GROUPING_KEY_VALUES = 0x8113 };

/* Control reference template of a key: type, length, identifier, version, check value. */
enum {
    TAG_COMMON_TEMPLATE = 0xB7, /* what the templates behind it leave out */
    TAG_KEY_TEMPLATE = 0xB9,
    TAG_KEY_TYPE = 0x80,
    TAG_KEY_LENGTH = 0x81,
    TAG_KEY_IDENTIFIER = 0x82,
    TAG_KEY_VERSION = 0x83,
    TAG_KEY_CHECK_VALUE = 0x84,
};

typedef struct grouping {
    uint16_t identifier;
    kf_view value;
} grouping;

void softcard_store_series_end(softcard_store_series *series)
{
    kf_buffer_clear(&series->rest);
    for (size_t i = 0; i < SOFTCARD_KEYS_MAX; i++)
        kf_secret_free(&series->keys.keys[i].value);
    kf_wipe(series, sizeof *series);
}

/* The issuer's domain gets another name (11.11.3.2, tag 4F), and what refers to it with it. */
static softcard_status rename_issuer(softcard_request *request, kf_view name)
{
    softcard_state *state = request->card->state;
    softcard_aid wanted;
    softcard_aid former = softcard_issuer(state)->aid;
    if (softcard_aid_of(name, &wanted) != KF_OK) return SW_WRONG_DATA;
    if (softcard_aid_equal(&wanted, &former)) return SW_OK;
    if (softcard_application_find(state, &wanted) != NULL || softcard_load_file_find(state, &wanted) != NULL)
        return SW_CONDITIONS;
    softcard_issuer(state)->aid = wanted;
    for (size_t i = 0; i < state->application_count; i++)
        if (softcard_aid_equal(&state->applications[i].domain, &former))
            state->applications[i].domain = wanted;
    for (size_t i = 0; i < state->load_file_count; i++)
        if (softcard_aid_equal(&state->load_files[i].domain, &former)) state->load_files[i].domain = wanted;
    for (size_t i = 0; i < SOFTCARD_LOGICAL_CHANNELS_MAX; i++) {
        softcard_channel *channel = &request->card->channels[i];
        if (softcard_aid_equal(&channel->application, &former)) channel->application = wanted;
        if (softcard_aid_equal(&channel->secure.key_domain, &former)) channel->secure.key_domain = wanted;
    }
    return SW_OK;
}

/* Eight bytes of the production data: who, when, with what. */
static softcard_status write_production_data(softcard_request *request, size_t offset, kf_view value)
{
    if (value.size != 8) return SW_WRONG_DATA;
    memcpy(request->card->state->cplc + offset, value.data, value.size);
    return SW_OK;
}

/* A stock domain keeps these and nothing else; the last three are the issuer's. */
static softcard_status store_object(softcard_request *request, softcard_application *domain,
                                    const softcard_tlv *object)
{
    enum { PRE_PERSONALIZATION = 26, PERSONALIZATION = 34, OBJECT_MAX = 127 };
    bool is_issuer = domain->kind == SOFTCARD_ISSUER_DOMAIN;
    switch (object->tag) {
    case 0x42:
    case 0x45:
    case 0x5F50:
        if (object->value.size > OBJECT_MAX) return SW_WRONG_DATA;
        return softcard_datum_set(domain, object->tag, object->value) == KF_OK ? SW_OK : SW_NO_SPACE;
    case 0x4F: return is_issuer ? rename_issuer(request, object->value) : SW_WRONG_DATA;
    case 0x9F66:
        return is_issuer ? write_production_data(request, PERSONALIZATION, object->value) : SW_WRONG_DATA;
    case 0x9F67:
        return is_issuer ? write_production_data(request, PRE_PERSONALIZATION, object->value) : SW_WRONG_DATA;
    default: return SW_WRONG_DATA;
    }
}

static softcard_status store_objects(softcard_request *request, softcard_application *domain, kf_view bytes)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    if (bytes.size == 0) return SW_WRONG_DATA;
    while (!kf_cursor_at_end(&cursor)) {
        softcard_tlv object;
        if (softcard_tlv_next(&cursor, &object) != KF_OK) return SW_WRONG_DATA;
        softcard_status status = store_object(request, domain, &object);
        if (status != SW_OK) return status;
    }
    return SW_OK;
}

static kf_code read_number(kf_view template, uint16_t tag, uint16_t *ret_number)
{
    kf_view value;
    KF_TRY(softcard_tlv_find(template, tag, &value));
    if (value.size == 1) {
        *ret_number = value.data[0];
        return KF_OK;
    }
    kf_cursor cursor = kf_cursor_of(value);
    if (value.size != 2) return KF_ERR_TLV;
    return kf_cursor_u16(&cursor, ret_number);
}

/* From the key's own template, else from the common one. */
static kf_code read_attribute(kf_view template, kf_view common, uint16_t tag, uint16_t *ret_number)
{
    kf_code code = read_number(template, tag, ret_number);
    return code == KF_ERR_NOT_FOUND ? read_number(common, tag, ret_number) : code;
}

static softcard_status announce_check_value(softcard_announced_keys *keys, kf_view template)
{
    kf_view value;
    size_t place = keys->announced;
    kf_code code = softcard_tlv_find(template, TAG_KEY_CHECK_VALUE, &value);
    if (code == KF_ERR_NOT_FOUND) return SW_OK;
    if (code != KF_OK || value.size != sizeof keys->check_values[place]) return SW_WRONG_DATA;
    memcpy(keys->check_values[place], value.data, value.size);
    keys->has_check_value[place] = true;
    return SW_OK;
}

static softcard_status announce_key(softcard_announced_keys *keys, kf_view template, kf_view common)
{
    uint16_t type;
    uint16_t length;
    uint16_t identifier;
    uint16_t version;
    if (read_attribute(template, common, TAG_KEY_TYPE, &type) != KF_OK ||
        read_attribute(template, common, TAG_KEY_LENGTH, &length) != KF_OK ||
        read_number(template, TAG_KEY_IDENTIFIER, &identifier) != KF_OK ||
        read_attribute(template, common, TAG_KEY_VERSION, &version) != KF_OK)
        return SW_WRONG_DATA;
    softcard_status status = softcard_key_type_check((uint8_t)(type > UINT8_MAX ? 0 : type), length);
    if (status != SW_OK) return status;
    if (version == 0 || version > 0x7F || identifier == 0 || identifier > 0x7F) return SW_WRONG_DATA;
    if (keys->announced > 0 && keys->version != version) return SW_WRONG_DATA;
    if (keys->announced == SOFTCARD_KEYS_MAX) return SW_NO_SPACE;
    status = announce_check_value(keys, template);
    if (status != SW_OK) return status;
    keys->version = (uint8_t)version;
    keys->keys[keys->announced].identifier = (uint8_t)identifier;
    keys->keys[keys->announced].type = (uint8_t)type;
    keys->sizes[keys->announced] = length;
    keys->announced++;
    return SW_OK;
}

/* Templates of keys, with or without a common one before them. */
static softcard_status announce_keys(softcard_announced_keys *keys, kf_view value)
{
    kf_cursor cursor = kf_cursor_of(value);
    kf_view common = {NULL, 0};
    softcard_tlv object;
    if (softcard_tlv_next(&cursor, &object) != KF_OK) return SW_WRONG_DATA;
    if (object.tag == TAG_COMMON_TEMPLATE) {
        common = object.value;
        if (softcard_tlv_next(&cursor, &object) != KF_OK) return SW_WRONG_DATA;
    }
    for (;;) {
        if (object.tag != TAG_KEY_TEMPLATE) return SW_WRONG_DATA;
        softcard_status status = announce_key(keys, object.value, common);
        if (status != SW_OK) return status;
        if (kf_cursor_at_end(&cursor)) return SW_OK;
        if (softcard_tlv_next(&cursor, &object) != KF_OK) return SW_WRONG_DATA;
    }
}

static size_t padded_size(size_t size, size_t block)
{
    return (size + block - 1) / block * block;
}

/* One template may announce the first of several keys of one length, whose identifiers count up from it. */
static softcard_status spread_template(softcard_announced_keys *keys, size_t value_size, size_t block)
{
    size_t first = keys->received;
    if (keys->announced != 1) return SW_OK;
    size_t each = padded_size(keys->sizes[first], block);
    if (each == 0 || value_size % each != 0) return SW_WRONG_DATA;
    for (size_t i = 1; i < value_size / each; i++) {
        if (keys->announced == SOFTCARD_KEYS_MAX) return SW_NO_SPACE;
        keys->keys[keys->announced].identifier = (uint8_t)(keys->keys[first].identifier + i);
        keys->keys[keys->announced].type = keys->keys[first].type;
        keys->sizes[keys->announced] = keys->sizes[first];
        keys->announced++;
    }
    return SW_OK;
}

static softcard_status check_value_fits(const softcard_announced_keys *keys, size_t place)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
    if (!keys->has_check_value[place]) return SW_OK;
    if (softcard_key_check_value(&keys->keys[place], &value) != KF_OK) return SW_INTERNAL;
    return kf_view_equal(kf_buffer_view(&value), KF_VIEW(keys->check_values[place])) ? SW_OK : SW_WRONG_DATA;
}

/* The next of the announced keys, as many as the grouping holds. */
static softcard_status receive_keys(softcard_request *request, kf_view value)
{
    softcard_announced_keys *keys = &request->channel->store.keys;
    kf_cursor cursor = kf_cursor_of(value);
    if (keys->received == keys->announced) return SW_CONDITIONS;
    if (value.size == 0) return SW_WRONG_DATA;
    kf_cipher *key_encryption = request->channel->secure.key_encryption;
    if (key_encryption == NULL) return SW_CONDITIONS;
    size_t block = kf_cipher_block_size(key_encryption);
    softcard_status status = spread_template(keys, value.size, block);
    while (status == SW_OK && !kf_cursor_at_end(&cursor)) {
        KF_CLEANUP(softcard_new_keys_clear) softcard_new_keys one = {.version = keys->version};
        if (keys->received == keys->announced) return SW_WRONG_DATA;
        softcard_key *place = &keys->keys[keys->received];
        softcard_key_cryptogram arrived = {
            place->identifier, place->type, keys->sizes[keys->received], {NULL, 0}};
        if (kf_cursor_take(&cursor, padded_size(arrived.size, block), &arrived.data) != KF_OK)
            return SW_WRONG_DATA;
        status = softcard_new_key_add(&one, key_encryption, &arrived);
        if (status != SW_OK) return status;
        *place = one.keys[0];
        one.keys[0].value = NULL;
        status = check_value_fits(keys, keys->received);
        keys->received++;
    }
    return status;
}

static softcard_status store_in_domain(softcard_request *request, softcard_application *domain,
                                       const grouping *group)
{
    switch (group->identifier) {
    case GROUPING_DATA: return store_objects(request, domain, group->value);
    case GROUPING_KEY_TEMPLATES: return announce_keys(&request->channel->store.keys, group->value);
    case GROUPING_KEY_VALUES: return receive_keys(request, group->value);
    default: return SW_WRONG_DATA;
    }
}

/* KF_ERR_TRUNCATED: the grouping goes on in the next block (EMV CPS 3.4: a length of FF is followed by two
 * bytes). */
static kf_code next_grouping(kf_cursor *cursor, grouping *ret_group)
{
    kf_cursor here = *cursor;
    grouping group;
    uint8_t short_length;
    KF_TRY(kf_cursor_u16(&here, &group.identifier));
    KF_TRY(kf_cursor_u8(&here, &short_length));
    uint16_t length = short_length;
    if (short_length == 0xFF) KF_TRY(kf_cursor_u16(&here, &length));
    if (length > SOFTCARD_DATUM_MAX) return KF_ERR_TOO_LONG;
    KF_TRY(kf_cursor_take(&here, length, &group.value));
    *cursor = here;
    *ret_group = group;
    return KF_OK;
}

static softcard_status store_groupings(softcard_request *request, softcard_application *target)
{
    softcard_store_series *series = &request->channel->store;
    bool encrypted = (request->command.p1 & ENCRYPTION_MASK) == ENCRYPTION_MASK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = kf_buffer_with_limit(SOFTCARD_STORE_DATA_MAX);
    kf_buffer_append(&bytes, kf_buffer_view(&series->rest));
    kf_buffer_append(&bytes, request->command.data);
    if (kf_buffer_status(&bytes) != KF_OK) return SW_NO_SPACE;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    while (!kf_cursor_at_end(&cursor)) {
        grouping group;
        kf_code code = next_grouping(&cursor, &group);
        if (code == KF_ERR_TRUNCATED) break;
        if (code != KF_OK) return SW_WRONG_DATA;
        softcard_status status =
            softcard_is_domain(target)
                ? store_in_domain(request, target, &group)
                : softcard_applet_store(request, target, group.identifier, group.value, encrypted);
        if (status != SW_OK) return status;
    }
    kf_buffer_clear(&series->rest);
    kf_buffer_append(&series->rest, cursor.rest);
    return kf_buffer_status(&series->rest) == KF_OK ? SW_OK : SW_INTERNAL;
}

static softcard_status finish_series(softcard_request *request, softcard_application *target)
{
    softcard_store_series *series = &request->channel->store;
    softcard_announced_keys *keys = &series->keys;
    if (series->rest.size > 0 || keys->received != keys->announced) return SW_WRONG_DATA;
    if (!softcard_is_domain(target) && target->life_cycle == SOFTCARD_SELECTABLE)
        target->life_cycle = SOFTCARD_PERSONALIZED;
    if (keys->announced == 0) return SW_OK;
    KF_CLEANUP(softcard_new_keys_clear) softcard_new_keys made = {.version = keys->version};
    if (softcard_key_set_find(target, keys->version) != NULL) made.replaced_version = keys->version;
    for (size_t i = 0; i < keys->received; i++) {
        made.keys[made.count++] = keys->keys[i];
        keys->keys[i].value = NULL;
    }
    return softcard_new_keys_commit(&made, target);
}

static softcard_status store_block(softcard_request *request, softcard_application *target)
{
    softcard_store_series *series = &request->channel->store;
    const softcard_command *command = &request->command;
    if (command->p2 != series->next_block) return SW_WRONG_P1P2;
    softcard_status status;
    switch (command->p1 & STRUCTURE_MASK) {
    case STRUCTURE_GROUPINGS: status = store_groupings(request, target); break;
    case STRUCTURE_NONE:
        status = softcard_is_domain(target) ? store_objects(request, target, command->data)
                                            : store_groupings(request, target);
        break;
    case STRUCTURE_TLV:
        status = softcard_is_domain(target) ? store_objects(request, target, command->data) : SW_WRONG_DATA;
        break;
    default: return SW_WRONG_P1P2;
    }
    series->next_block++;
    if (status == SW_OK && (command->p1 & LAST_BLOCK) != 0) status = finish_series(request, target);
    return status;
}

softcard_status softcard_store_data(softcard_request *request)
{
    softcard_channel *channel = request->channel;
    softcard_application *target = request->application;
    if (channel->personalised.size > 0)
        target = softcard_application_find(request->card->state, &channel->personalised);
    if (target == NULL) return SW_CONDITIONS;
    softcard_status status = store_block(request, target);
    bool over = status != SW_OK || (request->command.p1 & LAST_BLOCK) != 0;
    if (!over) return status;
    softcard_store_series_end(&channel->store);
    if (status == SW_OK) channel->personalised.size = 0;
    return status;
}
