/* Every command that the library builds is read back as what it was built of. */
#include "channel_card.h"
#include "hex_bytes.h"

#include <keyfill/gp_command.h>

#define DOMAIN "A000000151000000"
#define PACKAGE "D2760000850101"
#define APPLET "D276000085010101"

static kf_gp_command read_command(const kf_buffer *apdu, kf_gp_command_kind kind)
{
    kf_gp_command command;
    assert_int_equal(kf_gp_command_parse(kf_buffer_view(apdu), &command), KF_OK);
    assert_int_equal(command.kind, kind);
    assert_false(command.secured);
    return command;
}

static void selection_and_reading_are_read_back(void **state)
{
    (void)state;
    BYTES(domain, DOMAIN);
    const kf_view aid = kf_buffer_view(&domain);
    EMPTY(select);
    EMPTY(next);
    EMPTY(data);
    EMPTY(status);
    EMPTY(state_command);
    assert_int_equal(kf_gp_select(aid, &select), KF_OK);
    kf_gp_command command = read_command(&select, KF_GP_COMMAND_SELECT);
    assert_bytes(command.aid, DOMAIN);
    assert_false(command.next);
    assert_int_equal(kf_gp_select_next(aid, &next), KF_OK);
    assert_true(read_command(&next, KF_GP_COMMAND_SELECT).next);
    assert_int_equal(kf_gp_get_data(0x9F7F, &data), KF_OK);
    assert_int_equal(read_command(&data, KF_GP_COMMAND_GET_DATA).tag, 0x9F7F);
    assert_int_equal(kf_gp_get_status(KF_GP_APPLICATIONS, aid, true, &status), KF_OK);
    assert_int_equal(kf_command_set_channel(&status, 5), KF_OK);
    command = read_command(&status, KF_GP_COMMAND_GET_STATUS);
    assert_bytes(command.aid, DOMAIN);
    assert_int_equal(command.purpose, KF_GP_APPLICATIONS);
    assert_true(command.next);
    assert_int_equal(command.logical_channel, 5);
    assert_int_equal(kf_gp_set_status(KF_GP_APPLICATIONS, 0x83, aid, &state_command), KF_OK);
    command = read_command(&state_command, KF_GP_COMMAND_SET_STATUS);
    assert_int_equal(command.state, 0x83);
    assert_bytes(command.aid, DOMAIN);
}

static void channels_are_read_back(void **state)
{
    (void)state;
    const uint8_t challenge[16] = {0};
    EMPTY(update);
    assert_int_equal(kf_gp_initialize_update(0x30, KF_VIEW(challenge), &update), KF_OK);
    assert_int_equal(read_command(&update, KF_GP_COMMAND_INITIALIZE_UPDATE).key_version, 0x30);
    BYTES(authenticate, "8482330010000102030405060708090A0B0C0D0E0F");
    kf_gp_command command;
    assert_int_equal(kf_gp_command_parse(kf_buffer_view(&authenticate), &command), KF_OK);
    assert_true(command.secured);
    assert_int_equal(command.p1, 0x33);
    BYTES(begin, "807A100103020102");
    assert_int_equal(read_command(&begin, KF_GP_COMMAND_BEGIN_R_MAC_SESSION).state, 0x10);
    BYTES(end, "8078000300");
    read_command(&end, KF_GP_COMMAND_END_R_MAC_SESSION);
    BYTES(close, "00708003");
    command = read_command(&close, KF_GP_COMMAND_MANAGE_CHANNEL);
    assert_true(command.next);
    assert_int_equal(command.number, 3);
}

static void content_management_is_read_back(void **state)
{
    (void)state;
    BYTES(package, PACKAGE);
    BYTES(applet, APPLET);
    BYTES(privileges, "80");
    BYTES(parameters, "C0FFEE");
    BYTES(token, "0102030405060708");
    const kf_gp_install install = {.load_file_aid = kf_buffer_view(&package),
                                   .module_aid = kf_buffer_view(&applet),
                                   .application_aid = kf_buffer_view(&applet),
                                   .privileges = kf_buffer_view(&privileges),
                                   .parameters = kf_buffer_view(&parameters),
                                   .token = kf_buffer_view(&token)};
    EMPTY(apdu);
    assert_int_equal(kf_gp_install_for_install(&install, &apdu), KF_OK);
    kf_gp_command command = read_command(&apdu, KF_GP_COMMAND_INSTALL);
    assert_int_equal(command.purpose, 0x0C);
    assert_int_equal(command.field_count, 5);
    assert_bytes(command.fields[0], PACKAGE);
    assert_bytes(command.fields[3], "80");
    assert_bytes(command.fields[4], "C903C0FFEE");
    assert_bytes(command.token, "0102030405060708");
    EMPTY(load);
    const kf_gp_install_load for_load = {.load_file_aid = kf_buffer_view(&package)};
    assert_int_equal(kf_gp_install_for_load(&for_load, &load), KF_OK);
    command = read_command(&load, KF_GP_COMMAND_INSTALL);
    assert_int_equal(command.field_count, 4);
    assert_bytes(command.fields[0], PACKAGE);
    EMPTY(deletion);
    const kf_gp_delete_request request = {
        .aid = kf_buffer_view(&package), .related = true, .token = kf_buffer_view(&token)};
    assert_int_equal(kf_gp_delete_with(&request, &deletion), KF_OK);
    command = read_command(&deletion, KF_GP_COMMAND_DELETE);
    assert_bytes(command.aid, PACKAGE);
    assert_true(command.related);
    assert_bytes(command.token, "0102030405060708");
    EMPTY(key);
    assert_int_equal(kf_gp_delete_key(0x30, 0x02, &key), KF_OK);
    command = read_command(&key, KF_GP_COMMAND_DELETE_KEY);
    assert_int_equal(command.key_version, 0x30);
    assert_int_equal(command.key_identifier, 0x02);
}

static void a_load_file_is_read_back_of_its_blocks(void **state)
{
    (void)state;
    BYTES(domain, DOMAIN);
    BYTES(signature, "0102030405060708");
    EMPTY(code);
    kf_buffer_append_fill(&code, 0xC0, 1000);
    const kf_gp_dap dap = {kf_buffer_view(&domain), kf_buffer_view(&signature)};
    const kf_gp_load_plan plan = {
        .daps = &dap, .dap_count = 1, .load_file_data = kf_buffer_view(&code), .block_size = 200};
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    EMPTY(whole);
    assert_int_equal(kf_gp_load_commands(&plan, &commands), KF_OK);
    for (size_t i = 0; i < commands.count; i++) {
        kf_gp_command command = read_command(&commands.items[i], KF_GP_COMMAND_LOAD);
        assert_int_equal(command.number, i);
        assert_int_equal(command.more, i + 1 < commands.count);
        kf_buffer_append(&whole, command.data);
    }
    kf_gp_load_file file;
    assert_int_equal(kf_gp_load_file_parse(kf_buffer_view(&whole), &file), KF_OK);
    assert_int_equal(file.dap_count, 1);
    assert_bytes(file.daps[0].security_domain_aid, DOMAIN);
    assert_bytes(file.daps[0].signature, "0102030405060708");
    assert_true(kf_view_equal(file.load_file_data, kf_buffer_view(&code)));
    for (size_t size = 0; size < whole.size; size++)
        assert_int_equal(kf_gp_load_file_parse(kf_view_of(whole.data, size), &file), KF_ERR_CARD_DATA);
    kf_buffer_append_u8(&whole, 0);
    assert_int_equal(kf_gp_load_file_parse(kf_buffer_view(&whole), &file), KF_ERR_CARD_DATA);
}

static void assert_keys(const char *apdu_digits, size_t key_size, const char *value)
{
    BYTES(apdu, apdu_digits);
    kf_gp_command command = read_command(&apdu, KF_GP_COMMAND_PUT_KEY);
    assert_int_equal(command.key_version, 0x01);
    assert_int_equal(command.new_key_version, 0x30);
    assert_int_equal(command.key_identifier, 0x01);
    assert_int_equal(command.key_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(command.keys[i].key_size, key_size);
        assert_bytes(command.keys[i].value, value);
        assert_bytes(command.keys[i].kcv, "AABBCC");
    }
}

static void keys_are_read_in_either_form(void **state)
{
    (void)state;
#define VALUE "000102030405060708090A0B0C0D0E0F"
#define LONG_VALUE VALUE VALUE
    assert_keys("80D80181"
                "2D"
                "30"
                "8010" VALUE "03AABBCC"
                "8010" VALUE "03AABBCC"
                "00",
                16, VALUE);
    assert_keys("80D80181"
                "2F"
                "30"
                "881110" VALUE "03AABBCC"
                "881110" VALUE "03AABBCC"
                "00",
                16, VALUE);
    assert_keys("80D80181"
                "4F"
                "30"
                "882118" LONG_VALUE "03AABBCC"
                "882118" LONG_VALUE "03AABBCC"
                "00",
                24, LONG_VALUE);
    EMPTY(modulus);
    kf_buffer_append_fill(&modulus, 0xA5, 128);
    const uint8_t exponent[] = {1, 0, 1};
    const kf_gp_put_public_key public_key = {.new_version = 0x73,
                                             .key_identifier = 1,
                                             .modulus = kf_buffer_view(&modulus),
                                             .exponent = KF_VIEW(exponent),
                                             .data_max = 255};
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    assert_int_equal(kf_gp_put_public_key_commands(&public_key, &commands), KF_OK);
    kf_gp_command command = read_command(&commands.items[0], KF_GP_COMMAND_PUT_KEY);
    assert_int_equal(command.key_count, 2);
    assert_int_equal(command.keys[0].value.size, 128);
    assert_bytes(command.keys[1].value, "010001");
}

static void mauled_commands_are_refused(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "80E60C00020100",         /* INSTALL that ends in the middle */
        "80E6020006000000000000", /* a field too many */
        "80E40000024F0500",       /* DELETE with a name cut off */
        "80E4000003D0010000",     /* no key identifier that is one */
        "80D8018103308010",       /* a key cut off */
        "80F28002015C00",         /* GET STATUS without 4F */
        "80500000040102030400",   "80E80000",
    };
    kf_gp_command command;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        EMPTY(apdu);
        if (kf_hex_decode_append(malformed[i], &apdu) != KF_OK) continue;
        assert_int_not_equal(kf_gp_command_parse(kf_buffer_view(&apdu), &command), KF_OK);
    }
    BYTES(other, "0088000000");
    assert_int_equal(kf_gp_command_parse(kf_buffer_view(&other), &command), KF_ERR_UNSUPPORTED);
    BYTES(by_path, "00A40804022FE2");
    assert_int_equal(kf_gp_command_parse(kf_buffer_view(&by_path), &command), KF_ERR_UNSUPPORTED);
    assert_string_equal(kf_gp_command_name(KF_GP_COMMAND_DELETE_KEY), "DELETE [key]");
    assert_string_equal(kf_gp_command_name(KF_GP_COMMAND_STORE_DATA), "STORE DATA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection_and_reading_are_read_back),
        cmocka_unit_test(channels_are_read_back),
        cmocka_unit_test(content_management_is_read_back),
        cmocka_unit_test(a_load_file_is_read_back_of_its_blocks),
        cmocka_unit_test(keys_are_read_in_either_form),
        cmocka_unit_test(mauled_commands_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
