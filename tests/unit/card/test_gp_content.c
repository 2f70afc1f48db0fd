#include "channel_card.h"
#include "hex_bytes.h"

#include <keyfill/card_data.h>
#include <keyfill/globalplatform.h>
#include <keyfill/tlv.h>

#define AID "A0000001515350"
#define DOMAIN "A000000151000000"
#define KEY "404142434445464748494A4B4C4D4E4F"

#define ASSERT_BUILDS(call, digits)                                                                          \
    do {                                                                                                     \
        EMPTY(apdu);                                                                                         \
        assert_int_equal(call, KF_OK);                                                                       \
        assert_bytes(kf_buffer_view(&apdu), digits);                                                         \
    } while (0)

static void every_form_of_install_has_its_fields_in_order(void **state)
{
    (void)state;
    BYTES(aid_bytes, AID);
    BYTES(domain_bytes, DOMAIN);
    BYTES(privileges, "80C000");
    BYTES(parameters, "EF03C60110");
    kf_view aid = kf_buffer_view(&aid_bytes);
    kf_view domain = kf_buffer_view(&domain_bytes);
    kf_gp_registry_update update = {.security_domain_aid = domain,
                                    .application_aid = aid,
                                    .privileges = kf_buffer_view(&privileges),
                                    .parameters = kf_buffer_view(&parameters)};
    ASSERT_BUILDS(kf_gp_install_for_registry_update(&update, &apdu), "80E640001D08" DOMAIN "00"
                                                                     "07" AID "0380C000"
                                                                     "05EF03C60110"
                                                                     "0000");
    update = (kf_gp_registry_update){.application_aid = aid};
    ASSERT_BUILDS(kf_gp_install_for_registry_update(&update, &apdu), "80E640000D000007" AID "00000000");
    update.privileges = kf_view_of(privileges.data, 2);
    EMPTY(none);
    assert_int_equal(kf_gp_install_for_registry_update(&update, &none), KF_ERR_ARGUMENT);
    const kf_gp_extradition extradition = {domain, aid, kf_buffer_view(&parameters),
                                           kf_buffer_view(&privileges)};
    ASSERT_BUILDS(kf_gp_install_for_extradition_with(&extradition, &apdu),
                  "80E610001D08" DOMAIN "0007" AID "0005EF03C60110"
                  "0380C000"
                  "00");
    const kf_gp_install_form combined = {KF_GP_INSTALL_LOAD | KF_GP_INSTALL_INSTALL |
                                             KF_GP_INSTALL_MAKE_SELECTABLE,
                                         KF_GP_PROCESS_BEGIN,
                                         {aid, domain},
                                         4,
                                         {NULL, 0}};
    ASSERT_BUILDS(kf_gp_install_command(&combined, false, &apdu), "80E60E011407" AID "08" DOMAIN "00000000");
}

static void long_fields_make_several_commands_or_an_extended_one(void **state)
{
    (void)state;
    static const uint8_t token[256] = {0x5A};
    BYTES(aid, AID);
    const kf_gp_install_form form = {
        KF_GP_INSTALL_LOAD, KF_GP_PROCESS_NONE, {kf_buffer_view(&aid)}, 4, KF_VIEW(token)};
    EMPTY(apdu);
    assert_int_equal(kf_gp_install_command(&form, false, &apdu), KF_ERR_TOO_LONG);
    assert_int_equal(apdu.size, 0);
    assert_int_equal(kf_gp_install_command(&form, true, &apdu), KF_OK);
    kf_command command;
    assert_int_equal(kf_command_parse(kf_buffer_view(&apdu), &command), KF_OK);
    assert_true(command.extended);
    assert_int_equal(command.data.size, 8 + 3 + 3 + 256);
    assert_bytes(kf_view_part(command.data, 11, 4), "8201005A");
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    assert_int_equal(kf_gp_install_commands(&form, 239, &commands), KF_OK);
    assert_int_equal(commands.count, 2);
    EMPTY(joined);
    for (size_t i = 0; i < 2; i++) {
        kf_command part;
        assert_int_equal(kf_command_parse(kf_buffer_view(&commands.items[i]), &part), KF_OK);
        assert_int_equal(part.p1, i == 0 ? 0x82 : 0x02);
        kf_buffer_append(&joined, part.data);
    }
    assert_true(kf_view_equal(kf_buffer_view(&joined), command.data));
    kf_command_list none = {0};
    assert_int_equal(kf_gp_install_commands(&form, 0, &none), KF_ERR_ARGUMENT);
    assert_int_equal(none.count, 0);
}

static void a_load_file_goes_with_its_signatures(void **state)
{
    (void)state;
    BYTES(domain, DOMAIN);
    BYTES(signature, "0102030405060708");
    BYTES(file, "DECAFFED");
    BYTES(vector, "1112131415161718");
    const kf_gp_dap daps[] = {{kf_buffer_view(&domain), kf_buffer_view(&signature)},
                              {kf_buffer_view(&domain), kf_buffer_view(&signature)}};
    kf_gp_load_plan plan = {
        .daps = daps, .dap_count = 2, .load_file_data = kf_buffer_view(&file), .block_size = 255};
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    assert_int_equal(kf_gp_load_commands(&plan, &commands), KF_OK);
    assert_int_equal(commands.count, 1);
    assert_bytes(kf_buffer_view(&commands.items[0]), "80E8800032"
                                                     "E2144F08" DOMAIN "C3080102030405060708"
                                                     "E2144F08" DOMAIN "C3080102030405060708"
                                                     "C404DECAFFED"
                                                     "00");
    plan = (kf_gp_load_plan){.load_file_data = kf_buffer_view(&file),
                             .ciphered_vector = kf_buffer_view(&vector),
                             .ciphered = true,
                             .block_size = 300,
                             .extended = true};
    KF_CLEANUP(kf_command_list_clear) kf_command_list ciphered = {0};
    assert_int_equal(kf_gp_load_commands(&plan, &ciphered), KF_OK);
    assert_bytes(kf_buffer_view(&ciphered.items[0]), "80E880000000"
                                                     "10D3081112131415161718D404DECAFFED"
                                                     "0000");
    plan.extended = false;
    KF_CLEANUP(kf_command_list_clear) kf_command_list none = {0};
    assert_int_equal(kf_gp_load_commands(&plan, &none), KF_ERR_ARGUMENT);
    const kf_gp_dap unsigned_dap = {kf_buffer_view(&domain), {NULL, 0}};
    plan = (kf_gp_load_plan){
        .daps = &unsigned_dap, .dap_count = 1, .load_file_data = kf_buffer_view(&file), .block_size = 255};
    assert_int_equal(kf_gp_load_commands(&plan, &none), KF_ERR_ARGUMENT);
    assert_int_equal(none.count, 0);
}

static void status_and_data_commands_have_their_older_and_wider_forms(void **state)
{
    (void)state;
    BYTES(aid_bytes, AID);
    kf_view aid = kf_buffer_view(&aid_bytes);
    ASSERT_BUILDS(kf_gp_set_status_with_applications(aid, true, &apdu), "80F0608007" AID "00");
    ASSERT_BUILDS(kf_gp_set_status_with_applications(aid, false, &apdu), "80F0600007" AID "00");
    ASSERT_BUILDS(kf_gp_set_locked(aid, true, &apdu), "80F0408007" AID "00");
    ASSERT_BUILDS(kf_gp_set_locked(aid, false, &apdu), "80F0400007" AID "00");
    ASSERT_BUILDS(kf_gp_get_status_older(KF_GP_LOAD_FILES, aid, true, &apdu), "80F22001094F07" AID "00");
    ASSERT_BUILDS(kf_gp_get_applications(&apdu), "80CA2F00025C0000");
}

static void older_status_entries_are_read(void **state)
{
    (void)state;
    BYTES(plain, "07" AID "0F9E"
                 "08" DOMAIN "0700");
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&plain));
    kf_gp_status_entry entry;
    assert_int_equal(kf_gp_status_next_older(&cursor, KF_GP_APPLICATIONS, &entry), KF_OK);
    assert_bytes(entry.aid, AID);
    assert_bytes(entry.state, "0F");
    assert_bytes(entry.privileges, "9E");
    assert_int_equal(kf_gp_status_next_older(&cursor, KF_GP_APPLICATIONS, &entry), KF_OK);
    assert_bytes(entry.aid, DOMAIN);
    assert_true(kf_cursor_at_end(&cursor));
    BYTES(modules, "07" AID "010002"
                   "07" AID "08" DOMAIN);
    for (size_t size = 0; size <= modules.size; size++) {
        cursor = kf_cursor_of(kf_view_of(modules.data, size));
        kf_code code = kf_gp_status_next_older(&cursor, KF_GP_LOAD_FILES_AND_MODULES, &entry);
        assert_int_equal(code, size == modules.size ? KF_OK : KF_ERR_CARD_DATA);
        assert_int_equal(cursor.rest.size, size == modules.size ? 0 : size);
    }
    assert_int_equal(entry.module_count, 2);
    assert_bytes(entry.modules[1], DOMAIN);
    modules.data[10] = 0xFF;
    cursor = kf_cursor_of(kf_buffer_view(&modules));
    assert_int_equal(kf_gp_status_next_older(&cursor, KF_GP_LOAD_FILES_AND_MODULES, &entry),
                     KF_ERR_CARD_DATA);
}

static void counters_and_lists_of_applications_are_read(void **state)
{
    (void)state;
    uint32_t counter = 0;
    BYTES(tagged, "C1020123");
    BYTES(bare, "00012A");
    BYTES(long_one, "C1050102030405");
    assert_int_equal(kf_gp_counter_parse(kf_buffer_view(&tagged), KF_GP_SEQUENCE_COUNTER, &counter), KF_OK);
    assert_int_equal(counter, 0x123);
    assert_int_equal(kf_gp_counter_parse(kf_buffer_view(&bare), KF_GP_SEQUENCE_COUNTER, &counter), KF_OK);
    assert_int_equal(counter, 0x12A);
    assert_int_equal(kf_gp_counter_parse(kf_buffer_view(&long_one), KF_GP_SEQUENCE_COUNTER, &counter),
                     KF_ERR_CARD_DATA);
    assert_int_equal(kf_gp_counter_parse(kf_view_of(NULL, 0), KF_GP_SEQUENCE_COUNTER, &counter),
                     KF_ERR_CARD_DATA);
    BYTES(answer, "2F0018"
                  "61094F07" AID "610B4F07" AID "50025553");
    kf_view templates;
    answer.data[2] = 0x1A;
    kf_application_template application;
    answer.data[2] = (uint8_t)(answer.size - 3);
    answer.data[3 + 11 + 1] = 0x0D;
    assert_int_equal(kf_applications_of_answer(kf_buffer_view(&answer), &templates), KF_OK);
    kf_cursor cursor = kf_cursor_of(templates);
    assert_int_equal(kf_application_next(&cursor, &application), KF_OK);
    assert_bytes(application.aid, AID);
    assert_int_equal(application.label.size, 0);
    assert_int_equal(kf_application_next(&cursor, &application), KF_OK);
    assert_bytes(application.label, "5553");
    assert_true(kf_cursor_at_end(&cursor));
    answer.data[2]++;
    assert_int_equal(kf_applications_of_answer(kf_buffer_view(&answer), &templates), KF_ERR_CARD_DATA);
    BYTES(record, "61094F07" AID "FFFFFFFF");
    cursor = kf_cursor_of(kf_buffer_view(&record));
    assert_int_equal(kf_application_next(&cursor, &application), KF_OK);
    assert_true(kf_cursor_at_end(&cursor));
    BYTES(padding, "FFFF");
    cursor = kf_cursor_of(kf_buffer_view(&padding));
    assert_int_equal(kf_application_next(&cursor, &application), KF_OK);
    assert_int_equal(application.aid.size, 0);
    BYTES(nameless, "6104500155FF");
    cursor = kf_cursor_of(kf_buffer_view(&nameless));
    assert_int_equal(kf_application_next(&cursor, &application), KF_ERR_CARD_DATA);
}

static void historical_bytes_tell_of_extended_length_and_channels(void **state)
{
    (void)state;
    static const struct {
        const char *historical;
        bool told;
        bool extended;
        unsigned channels;
    } cases[] = {{"", false, false, 1},
                 {"8073C021C0", true, true, 1},
                 {"8031804073000093", true, false, 4},
                 {"807300001F", true, false, 8},
                 {"8031C073C821", false, false, 1},
                 {"0073C0214000079000", true, true, 1},
                 {"4A434F5033315632", false, false, 1},
                 {"80730000", false, false, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        BYTES(historical, cases[i].historical);
        kf_transport_capability capability = kf_transport_capability_of(kf_buffer_view(&historical));
        assert_int_equal(capability.told, cases[i].told);
        assert_int_equal(capability.extended_length, cases[i].extended);
        assert_int_equal(capability.channels_max, cases[i].channels);
    }
}

static void a_large_grouping_goes_over_several_commands(void **state)
{
    (void)state;
    static const uint8_t value[300] = {0x77};
    const kf_dgi dgis[] = {{0x0070, {value, 20}, false},
                           {0x8201, {value, 300}, true},
                           {0x0071, {value, 20}, false},
                           {0x0072, {value, 20}, false}};
    kf_gp_store_data_plan plan = {dgis, 4, 128, 0xF0, true};
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    assert_int_equal(kf_gp_store_data_chained(&plan, &commands), KF_OK);
    static const uint8_t p1[] = {0x08, 0x68, 0x68, 0x68, 0x88};
    static const size_t sizes[] = {23, 128, 128, 49, 46};
    assert_int_equal(commands.count, 5);
    for (size_t i = 0; i < 5; i++) {
        kf_command command;
        assert_int_equal(kf_command_parse(kf_buffer_view(&commands.items[i]), &command), KF_OK);
        assert_int_equal(command.p1, p1[i]);
        assert_int_equal(command.p2, 0xF0 + i);
        assert_int_equal(command.data.size, sizes[i]);
    }
    assert_bytes(kf_view_of(commands.items[1].data + 5, 5), "8201FF012C");
    plan.first_number = 0xFC;
    KF_CLEANUP(kf_command_list_clear) kf_command_list too_many = {0};
    assert_int_equal(kf_gp_store_data_chained(&plan, &too_many), KF_ERR_TOO_LONG);
    const kf_gp_store_data_stream stream = {{value, 300}, KF_STORE_DATA_BER_TLV, 255, 0, true};
    KF_CLEANUP(kf_command_list_clear) kf_command_list cut = {0};
    assert_int_equal(kf_gp_store_data_cut(&stream, &cut), KF_OK);
    assert_int_equal(cut.count, 2);
    assert_int_equal(cut.items[0].data[2], 0x10);
    assert_int_equal(cut.items[1].data[2], 0x90);
}

static void values_are_encrypted_with_and_without_padding(void **state)
{
    (void)state;
    static const uint8_t challenge[8] = {9, 8, 7, 6, 5, 4, 3, 2};
    SECRET(key, KEY);
    channel_card card = {key, key, 0x70, KF_VIEW(challenge), KF_VIEW(challenge)};
    EMPTY(answer);
    channel_card_answer(&card, &answer);
    kf_key_set keys = {key, key, key};
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = NULL;
    assert_int_equal(
        kf_secure_channel_open(&keys, KF_VIEW(challenge), kf_buffer_view(&answer), &channel, NULL), KF_OK);
    static const uint8_t plain[16] = {1, 2, 3};
    EMPTY(padded);
    EMPTY(unpadded);
    EMPTY(none);
    assert_int_equal(kf_gp_encrypt_value(channel, KF_VIEW(plain), true, &padded), KF_OK);
    assert_int_equal(kf_gp_encrypt_value(channel, KF_VIEW(plain), false, &unpadded), KF_OK);
    assert_int_equal(kf_gp_encrypt_value(channel, kf_view_of(plain, 15), false, &none), KF_ERR_ARGUMENT);
    assert_int_equal(padded.size, 32);
    assert_int_equal(unpadded.size, 16);
    assert_int_equal(none.size, 0);
    KF_CLEANUP(kf_cipher_free) kf_cipher *dek = NULL;
    uint8_t back[32];
    assert_int_equal(kf_cipher_new_secret(KF_AES, key, &dek), KF_OK);
    assert_int_equal(kf_cipher_cbc_decrypt(dek, NULL, kf_buffer_view(&padded), back), KF_OK);
    assert_memory_equal(back, plain, 16);
    assert_bytes(kf_view_of(back + 16, 16), "80000000000000000000000000000000");
}

static void a_public_key_goes_in_clear_over_several_commands(void **state)
{
    (void)state;
    static const uint8_t modulus[256] = {0xC1};
    static const uint8_t exponent[] = {1, 0, 1};
    const kf_gp_put_public_key put_key = {0x00, 0x70, 0x01, KF_VIEW(modulus), KF_VIEW(exponent), 247};
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    assert_int_equal(kf_gp_put_public_key_commands(&put_key, &commands), KF_OK);
    assert_int_equal(commands.count, 2);
    assert_bytes(kf_view_of(commands.items[0].data, 11), "80D88001F770A1820100C1");
    assert_bytes(kf_view_of(commands.items[1].data, 5), "80D8000114");
    assert_bytes(kf_view_part(kf_buffer_view(&commands.items[1]), commands.items[1].size - 8, 8),
                 "00A0030100010000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_install_has_its_fields_in_order),
        cmocka_unit_test(long_fields_make_several_commands_or_an_extended_one),
        cmocka_unit_test(a_load_file_goes_with_its_signatures),
        cmocka_unit_test(status_and_data_commands_have_their_older_and_wider_forms),
        cmocka_unit_test(older_status_entries_are_read),
        cmocka_unit_test(counters_and_lists_of_applications_are_read),
        cmocka_unit_test(historical_bytes_tell_of_extended_length_and_channels),
        cmocka_unit_test(a_large_grouping_goes_over_several_commands),
        cmocka_unit_test(values_are_encrypted_with_and_without_padding),
        cmocka_unit_test(a_public_key_goes_in_clear_over_several_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
