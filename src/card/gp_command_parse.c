#include <keyfill/gp_command.h>

#include <keyfill/tlv.h>

#include "card/gp_length.h"

#define MORE 0x80u    /* P1 bit 8: further commands follow */
#define LAST 0x80u    /* P1 bit 8 of LOAD and STORE DATA: the last block */
#define SEVERAL 0x80u /* P2 bit 8 of PUT KEY and DELETE */
#define KEY_TYPE_AES 0x88u
#define KEY_TYPE_MODULUS 0xA1u
#define KEY_TYPE_EXPONENT 0xA0u
#define AES_BLOCK 16u

static kf_code read_select(kf_gp_command *command)
{
    if (command->p1 != 0x04 || (command->p2 & 0xFDu) != 0) return KF_ERR_UNSUPPORTED;
    if (command->data.size > KF_AID_MAX) return KF_ERR_CARD_DATA;
    command->aid = command->data;
    command->next = (command->p2 & 0x02u) != 0;
    return KF_OK;
}

static kf_code read_manage_channel(kf_gp_command *command)
{
    if ((command->p1 & 0x7Fu) != 0) return KF_ERR_CARD_DATA;
    command->next = command->p1 != 0;
    command->number = command->p2;
    return KF_OK;
}

static kf_code read_initialize_update(kf_gp_command *command)
{
    if (command->data.size != 8 && command->data.size != 16) return KF_ERR_CARD_DATA;
    command->key_version = command->p1;
    command->key_identifier = command->p2;
    return KF_OK;
}

static kf_code read_level(kf_gp_command *command)
{
    command->state = command->p1;
    return KF_OK;
}

static kf_code read_nothing(kf_gp_command *command)
{
    (void)command;
    return KF_OK;
}

static kf_code read_get_data(kf_gp_command *command)
{
    command->tag = (uint16_t)((command->p1 << 8) | command->p2);
    return KF_OK;
}

static kf_code read_get_status(kf_gp_command *command)
{
    command->purpose = command->p1;
    command->next = (command->p2 & 0x01u) != 0;
    if (!kf_tlv_find(command->data, 0x4F, &command->aid)) return KF_ERR_CARD_DATA;
    return command->aid.size <= KF_AID_MAX ? KF_OK : KF_ERR_CARD_DATA;
}

static kf_code read_set_status(kf_gp_command *command)
{
    command->purpose = command->p1;
    command->state = command->p2;
    command->aid = command->data;
    return command->aid.size <= KF_AID_MAX ? KF_OK : KF_ERR_CARD_DATA;
}

/* 11.5.2.3: four fields for load alone, five for all others, and the token behind them. */
static kf_code read_install(kf_gp_command *command)
{
    command->purpose = command->p1 & 0x7Fu;
    command->more = (command->p1 & MORE) != 0;
    if (command->more) return KF_OK;
    size_t count = command->purpose == KF_GP_INSTALL_LOAD ? 4 : KF_GP_INSTALL_FIELDS_MAX;
    kf_cursor cursor = kf_cursor_of(command->data);
    for (size_t i = 0; i < count; i++)
        KF_TRY(kf_gp_field_next(&cursor, &command->fields[i]));
    command->field_count = count;
    KF_TRY(kf_gp_field_next(&cursor, &command->token));
    return kf_cursor_at_end(&cursor) ? KF_OK : KF_ERR_CARD_DATA;
}

static kf_code read_load(kf_gp_command *command)
{
    command->more = (command->p1 & LAST) == 0;
    command->number = command->p2;
    return command->data.size > 0 ? KF_OK : KF_ERR_CARD_DATA;
}

static kf_code read_byte(kf_view data, uint32_t tag, uint8_t *ret_value)
{
    kf_view value;
    if (!kf_tlv_find(data, tag, &value)) return KF_OK;
    if (value.size != 1) return KF_ERR_CARD_DATA;
    *ret_value = value.data[0];
    return KF_OK;
}

static kf_code read_delete(kf_gp_command *command)
{
    command->more = (command->p1 & MORE) != 0;
    if (command->more) return KF_OK;
    if (kf_tlv_check(command->data) != KF_OK) return KF_ERR_CARD_DATA;
    command->related = (command->p2 & SEVERAL) != 0;
    (void)kf_tlv_find(command->data, 0xB6, &command->signature_template);
    (void)kf_tlv_find(command->data, 0x9E, &command->token);
    if (kf_tlv_find(command->data, 0x4F, &command->aid))
        return command->aid.size <= KF_AID_MAX ? KF_OK : KF_ERR_CARD_DATA;
    command->kind = KF_GP_COMMAND_DELETE_KEY;
    KF_TRY(read_byte(command->data, 0xD0, &command->key_identifier));
    KF_TRY(read_byte(command->data, 0xD2, &command->key_version));
    return command->key_version != 0 || command->key_identifier != 0 ? KF_OK : KF_ERR_CARD_DATA;
}

/* 11.8.2.3.3: before an encrypted value its own length may stand: the block is one byte longer than whole
 * blocks then. */
static void read_inner_length(kf_gp_key_field *key)
{
    bool encrypted = key->type >= 0x80 && key->type <= KEY_TYPE_AES;
    key->key_size = key->value.size;
    if (!encrypted || key->value.size % (AES_BLOCK / 2) != 1 || key->value.size == 1) return;
    key->key_size = key->value.data[0];
    key->value = kf_view_part(key->value, 1, key->value.size);
}

static kf_code read_key(kf_cursor *cursor, kf_gp_key_field *key)
{
    uint8_t kcv_size = 0;
    KF_TRY(kf_cursor_u8(cursor, &key->type));
    KF_TRY(kf_gp_field_next(cursor, &key->value));
    read_inner_length(key);
    /* The exponent follows the modulus directly. */
    if (key->type == KEY_TYPE_MODULUS) return KF_OK;
    KF_TRY(kf_cursor_u8(cursor, &kcv_size));
    return kf_cursor_take(cursor, kcv_size, &key->kcv);
}

static kf_code read_put_key(kf_gp_command *command)
{
    command->key_version = command->p1 & 0x7Fu;
    command->key_identifier = command->p2 & 0x7Fu;
    command->more = (command->p1 & MORE) != 0;
    if (command->more) return KF_OK;
    kf_cursor cursor = kf_cursor_of(command->data);
    if (kf_cursor_u8(&cursor, &command->new_key_version) != KF_OK) return KF_ERR_CARD_DATA;
    do {
        if (command->key_count == KF_GP_KEYS_MAX) return KF_ERR_CARD_DATA;
        if (read_key(&cursor, &command->keys[command->key_count++]) != KF_OK) return KF_ERR_CARD_DATA;
    } while (!kf_cursor_at_end(&cursor));
    return KF_OK;
}

static kf_code read_store_data(kf_gp_command *command)
{
    command->purpose = command->p1 & 0x7Fu;
    command->more = (command->p1 & LAST) == 0;
    command->number = command->p2;
    return KF_OK;
}

/* In which class the instruction stands: interindustry, GlobalPlatform's, or either. */
typedef enum command_class { INTERINDUSTRY, PROPRIETARY, EITHER } command_class;

static const struct {
    uint8_t ins;
    kf_gp_command_kind kind;
    command_class class;
    const char *name;
    kf_code (*read)(kf_gp_command *command);
} commands[] = {
    {0xA4, KF_GP_COMMAND_SELECT, INTERINDUSTRY, "SELECT", read_select},
    {0x70, KF_GP_COMMAND_MANAGE_CHANNEL, INTERINDUSTRY, "MANAGE CHANNEL", read_manage_channel},
    {0x50, KF_GP_COMMAND_INITIALIZE_UPDATE, PROPRIETARY, "INITIALIZE UPDATE", read_initialize_update},
    {0x82, KF_GP_COMMAND_EXTERNAL_AUTHENTICATE, PROPRIETARY, "EXTERNAL AUTHENTICATE", read_level},
    {0x7A, KF_GP_COMMAND_BEGIN_R_MAC_SESSION, PROPRIETARY, "BEGIN R-MAC SESSION", read_level},
    {0x78, KF_GP_COMMAND_END_R_MAC_SESSION, PROPRIETARY, "END R-MAC SESSION", read_nothing},
    {0xCA, KF_GP_COMMAND_GET_DATA, EITHER, "GET DATA", read_get_data},
    {0xCB, KF_GP_COMMAND_GET_DATA, EITHER, "GET DATA", read_get_data},
    {0xF2, KF_GP_COMMAND_GET_STATUS, PROPRIETARY, "GET STATUS", read_get_status},
    {0xF0, KF_GP_COMMAND_SET_STATUS, PROPRIETARY, "SET STATUS", read_set_status},
    {0xE6, KF_GP_COMMAND_INSTALL, PROPRIETARY, "INSTALL", read_install},
    {0xE8, KF_GP_COMMAND_LOAD, PROPRIETARY, "LOAD", read_load},
    {0xE4, KF_GP_COMMAND_DELETE, PROPRIETARY, "DELETE", read_delete},
    {0xD8, KF_GP_COMMAND_PUT_KEY, PROPRIETARY, "PUT KEY", read_put_key},
    {0xE2, KF_GP_COMMAND_STORE_DATA, PROPRIETARY, "STORE DATA", read_store_data},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

kf_code kf_gp_command_parse(kf_view apdu, kf_gp_command *ret_command)
{
    kf_command parsed;
    KF_TRY(kf_command_parse(apdu, &parsed));
    command_class class = (parsed.cla & 0x80u) != 0 ? PROPRIETARY : INTERINDUSTRY;
    for (size_t i = 0; i < COMMANDS; i++) {
        if (commands[i].ins != parsed.ins || (commands[i].class != EITHER && commands[i].class != class))
            continue;
        kf_gp_command command = {.kind = commands[i].kind,
                                 .logical_channel = kf_class_channel(parsed.cla),
                                 .secured = kf_class_is_secure(parsed.cla),
                                 .p1 = parsed.p1,
                                 .p2 = parsed.p2,
                                 .data = parsed.data};
        if (!command.secured) {
            kf_code code = commands[i].read(&command);
            if (code != KF_OK) return code == KF_ERR_UNSUPPORTED ? code : KF_ERR_CARD_DATA;
        }
        *ret_command = command;
        return KF_OK;
    }
    return KF_ERR_UNSUPPORTED;
}

const char *kf_gp_command_name(kf_gp_command_kind kind)
{
    if (kind == KF_GP_COMMAND_DELETE_KEY) return "DELETE [key]";
    for (size_t i = 0; i < COMMANDS; i++)
        if (commands[i].kind == kind) return commands[i].name;
    return "another command";
}

static kf_code read_dap(kf_view block, kf_gp_load_file *load_file)
{
    if (load_file->dap_count == KF_GP_DAPS_MAX || kf_tlv_check(block) != KF_OK) return KF_ERR_CARD_DATA;
    kf_gp_dap *dap = &load_file->daps[load_file->dap_count++];
    if (!kf_tlv_find(block, 0x4F, &dap->security_domain_aid) || !kf_tlv_find(block, 0xC3, &dap->signature))
        return KF_ERR_CARD_DATA;
    return KF_OK;
}

kf_code kf_gp_load_file_parse(kf_view data, kf_gp_load_file *ret_load_file)
{
    kf_gp_load_file load_file = {0};
    kf_cursor cursor = kf_cursor_of(data);
    bool whole = false;
    while (!kf_cursor_at_end(&cursor)) {
        kf_tlv object;
        if (whole || kf_tlv_read(&cursor, &object) != KF_OK) return KF_ERR_CARD_DATA;
        switch (object.tag) {
        case 0xE2: KF_TRY(read_dap(object.value, &load_file)); break;
        case 0xD3: load_file.ciphered_vector = object.value; break;
        case 0xC4:
        case 0xD4:
            load_file.ciphered = object.tag == 0xD4;
            load_file.load_file_data = object.value;
            whole = true;
            break;
        default: return KF_ERR_CARD_DATA;
        }
    }
    if (!whole) return KF_ERR_CARD_DATA;
    *ret_load_file = load_file;
    return KF_OK;
}
