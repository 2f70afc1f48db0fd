#include "channel_card.h"
#include "hex_bytes.h"

#include <keyfill/card_data.h>
#include <keyfill/globalplatform.h>
#include <keyfill/tlv.h>

#define AID "A0000001515350"
#define KEY "404142434445464748494A4B4C4D4E4F"

/* Runs the builder and compares what it appended. */
#define ASSERT_BUILDS(call, digits)                                                                          \
    do {                                                                                                     \
        EMPTY(apdu);                                                                                         \
        assert_int_equal(call, KF_OK);                                                                       \
        assert_bytes(kf_buffer_view(&apdu), digits);                                                         \
    } while (0)

static void commands_are_encoded_as_the_specification_lays_them_out(void **state)
{
    (void)state;
    BYTES(aid_bytes, AID);
    kf_view aid = kf_buffer_view(&aid_bytes);
    const kf_view none = {NULL, 0};
    static const uint8_t challenge[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    ASSERT_BUILDS(kf_gp_select(none, &apdu), "00A4040000");
    ASSERT_BUILDS(kf_gp_select(aid, &apdu), "00A4040007" AID "00");
    ASSERT_BUILDS(kf_gp_initialize_update(0x30, KF_VIEW(challenge), &apdu), "8050300008010203040506070800");
    ASSERT_BUILDS(kf_gp_get_data(0x9F7F, &apdu), "80CA9F7F00");
    ASSERT_BUILDS(kf_gp_get_status(KF_GP_APPLICATIONS, none, false, &apdu), "80F24002024F0000");
    ASSERT_BUILDS(kf_gp_get_status(KF_GP_LOAD_FILES, aid, true, &apdu), "80F22003094F07" AID "00");
    ASSERT_BUILDS(kf_gp_set_status(KF_GP_APPLICATIONS, 0x0F, aid, &apdu), "80F0400F07" AID "00");
    ASSERT_BUILDS(kf_gp_delete(aid, true, &apdu), "80E40080094F07" AID "00");
    ASSERT_BUILDS(kf_gp_delete_key(0x30, 0, &apdu), "80E4000003D2013000");
    ASSERT_BUILDS(kf_gp_delete_key(0x30, 2, &apdu), "80E4000006D00102D2013000");
    ASSERT_BUILDS(kf_gp_install_for_personalization(aid, &apdu), "80E620000D000007" AID "00000000");
    ASSERT_BUILDS(kf_gp_install_for_extradition(aid, aid, &apdu), "80E610001407" AID "0007" AID "00000000");
    ASSERT_BUILDS(kf_gp_store_data(KF_STORE_DATA_DGI, true, 3, aid, &apdu), "80E2880307" AID "00");
}

static void install_commands_carry_their_fields_in_order(void **state)
{
    (void)state;
    BYTES(package_bytes, AID);
    BYTES(module, "A000000151535041");
    BYTES(instance, "A00000015153504101");
    BYTES(parameters, "81020370");
    BYTES(system, "C6020100");
    static const uint8_t one[] = {0x80};
    static const uint8_t three[] = {0x80, 0xC0, 0x00};
    kf_gp_install install = {.load_file_aid = kf_buffer_view(&package_bytes),
                             .module_aid = kf_buffer_view(&module),
                             .application_aid = kf_buffer_view(&instance),
                             .privileges = KF_VIEW(one),
                             .parameters = kf_buffer_view(&parameters)};
    ASSERT_BUILDS(kf_gp_install_for_install(&install, &apdu),
                  "80E60C002507" AID "08A00000015153504109A0000001515350410101800"
                  "6C9048102037000"
                  "00");
    install.privileges = KF_VIEW(three);
    install.system_parameters = kf_buffer_view(&system);
    install.parameters = (kf_view){NULL, 0};
    install.install_only = true;
    ASSERT_BUILDS(kf_gp_install_for_install(&install, &apdu),
                  "80E60400"
                  "29"
                  "07" AID "08A00000015153504109A00000015153504101"
                  "0380C000"
                  "08C900EF04C6020100"
                  "00"
                  "00");
    kf_gp_install_load load = {.load_file_aid = kf_buffer_view(&package_bytes)};
    ASSERT_BUILDS(kf_gp_install_for_load(&load, &apdu), "80E602000C07" AID "0000000000");
    EMPTY(value);
    kf_gp_security_domain_parameters(0x03, 0x70, &value);
    assert_bytes(kf_buffer_view(&value), "81020370");
}

static void values_that_fields_cannot_hold_are_refused_and_nothing_is_appended(void **state)
{
    (void)state;
    EMPTY(apdu);
    static const uint8_t large[256];
    kf_view too_long_aid = kf_view_of(large, 17);
    kf_view too_short_aid = kf_view_of(large, 4);
    assert_int_equal(kf_gp_select(too_long_aid, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_gp_delete(too_short_aid, false, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_gp_delete_key(0, 0, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_gp_initialize_update(0, kf_view_of(large, 7), &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(kf_gp_store_data(0, false, 0, KF_VIEW(large), &apdu), KF_ERR_TOO_LONG);
    assert_int_equal(kf_gp_store_data(0x80, false, 0, too_short_aid, &apdu), KF_ERR_ARGUMENT);
    kf_gp_install install = {.module_aid = kf_view_of(large, 5),
                             .application_aid = kf_view_of(large, 5),
                             .privileges = kf_view_of(large, 2)};
    assert_int_equal(kf_gp_install_for_install(&install, &apdu), KF_ERR_ARGUMENT);
    install.privileges = kf_view_of(large, 1);
    install.parameters = kf_view_of(large, 250);
    assert_int_equal(kf_gp_install_for_install(&install, &apdu), KF_ERR_TOO_LONG);
    assert_int_equal(kf_gp_set_status(KF_GP_LOAD_FILES, 1, too_short_aid, &apdu), KF_ERR_ARGUMENT);
    assert_int_equal(apdu.size, 0);
}

static void a_load_file_is_cut_into_numbered_blocks(void **state)
{
    (void)state;
    static const uint8_t file[500] = {0xDE};
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    assert_int_equal(kf_gp_load(KF_VIEW(file), 200, &commands), KF_OK);
    assert_int_equal(commands.count, 3);
    EMPTY(joined);
    for (size_t i = 0; i < commands.count; i++) {
        kf_command command;
        assert_int_equal(kf_command_parse(kf_buffer_view(&commands.items[i]), &command), KF_OK);
        assert_int_equal(command.ins, 0xE8);
        assert_int_equal(command.p1, i == 2 ? 0x80 : 0x00);
        assert_int_equal(command.p2, i);
        kf_buffer_append(&joined, command.data);
    }
    kf_view inside;
    assert_true(kf_tlv_find(kf_buffer_view(&joined), 0xC4, &inside));
    assert_true(kf_view_equal(inside, KF_VIEW(file)));
    KF_CLEANUP(kf_command_list_clear) kf_command_list none = {0};
    assert_int_equal(kf_gp_load(KF_VIEW(file), 1, &none), KF_ERR_TOO_LONG);
    assert_int_equal(kf_gp_load(KF_VIEW(file), 256, &none), KF_ERR_ARGUMENT);
    assert_int_equal(kf_gp_load(kf_view_of(NULL, 0), 200, &none), KF_ERR_ARGUMENT);
    assert_int_equal(none.count, 0);
}

static void groupings_are_packed_by_size_and_by_encryption(void **state)
{
    (void)state;
    static const uint8_t value[60] = {0x77};
    const kf_dgi dgis[] = {{0x0070, {value, 20}, false},
                           {0x0071, {value, 20}, false},
                           {0x8113, {value, 16}, true},
                           {0x0072, {value, 60}, false}};
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    kf_gp_store_data_plan plan = {dgis, 4, 64, 5, true};
    assert_int_equal(kf_gp_store_data_dgis(&plan, &commands), KF_OK);
    assert_int_equal(commands.count, 3);
    static const uint8_t p1[] = {0x08, 0x68, 0x88};
    static const size_t sizes[] = {46, 19, 63};
    for (size_t i = 0; i < 3; i++) {
        kf_command command;
        assert_int_equal(kf_command_parse(kf_buffer_view(&commands.items[i]), &command), KF_OK);
        assert_int_equal(command.p1, p1[i]);
        assert_int_equal(command.p2, 5 + i);
        assert_int_equal(command.data.size, sizes[i]);
    }
    plan.data_max = 62;
    KF_CLEANUP(kf_command_list_clear) kf_command_list short_of = {0};
    assert_int_equal(kf_gp_store_data_dgis(&plan, &short_of), KF_ERR_TOO_LONG);
}

/* A channel under the static DEK `dek`. */
static kf_secure_channel *open_channel(const kf_secret *dek)
{
    static const uint8_t challenge[8] = {9, 8, 7, 6, 5, 4, 3, 2};
    SECRET(key, KEY);
    channel_card card = {key, key, 0x70, KF_VIEW(challenge), KF_VIEW(challenge)};
    EMPTY(answer);
    channel_card_answer(&card, &answer);
    kf_key_set keys = {key, key, dek};
    kf_secure_channel *channel = NULL;
    assert_int_equal(
        kf_secure_channel_open(&keys, KF_VIEW(challenge), kf_buffer_view(&answer), &channel, NULL), KF_OK);
    return channel;
}

static void keys_go_by_store_data_as_another_implementation_encodes_them(void **state)
{
    (void)state;
    /* storeDataTest.c of kaoh/globalplatform: SCP03, AES-128, three keys, domain only. */
    SECRET(dek, "000102030405060708090A0B0C0D0E0F");
    SECRET(enc, KEY);
    SECRET(mac, "505152535455565758595A5B5C5D5E5F");
    SECRET(new_dek, "606162636465666768696A6B6C6D6E6F");
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = open_channel(dek);
    const kf_gp_key keys[] = {{KF_AES, enc}, {KF_AES, mac}, {KF_AES, new_dek}};
    const kf_gp_store_keys store_keys = {0x01, 0x01, keys, 3, 0x01};
    EMPTY(dgis);
    assert_int_equal(kf_gp_store_keys_dgis(channel, &store_keys, &dgis), KF_OK);
    assert_bytes(kf_buffer_view(&dgis), "00B930B710800188810110830101960101970200"
                                        "03B9088201018403504A77B9088201028403F2A8DFB9088201038403D7D0E4"
                                        "811310D533E59B45A153ED7E5E9C5DFCFD4AAA8113103EF0B1A5E3059DAB21FC"
                                        "E23A7B61C4CA811310ADDE68F7AD497268D31A0DDD5C74B08F");
}

static void key_values_that_were_padded_tell_their_length(void **state)
{
    (void)state;
    SECRET(dek, "000102030405060708090A0B0C0D0E0F");
    SECRET(aes192, KEY "0001020304050607");
    SECRET(aes128, KEY);
    KF_CLEANUP(kf_secure_channel_free) kf_secure_channel *channel = open_channel(dek);
    kf_gp_key key = {KF_AES, aes192};
    kf_gp_put_key put_key = {0x00, 0x31, 0x01, &key, 1, true};
    EMPTY(long_form);
    assert_int_equal(kf_gp_put_key_command(channel, &put_key, &long_form), KF_OK);
    assert_bytes(kf_view_of(long_form.data, 9), "80D80001"
                                                "28"
                                                "31"
                                                "882118");
    key.value = aes128;
    EMPTY(short_form);
    assert_int_equal(kf_gp_put_key_command(channel, &put_key, &short_form), KF_OK);
    assert_bytes(kf_view_of(short_form.data, 8), "80D80001"
                                                 "17"
                                                 "31"
                                                 "8810");
    key.algorithm = KF_SM4;
    EMPTY(none);
    assert_int_equal(kf_gp_put_key_command(channel, &put_key, &none), KF_ERR_UNSUPPORTED);
    put_key.new_version = 0x80;
    assert_int_equal(kf_gp_put_key_command(channel, &put_key, &none), KF_ERR_ARGUMENT);
    put_key.new_version = 0x30;
    put_key.key_count = KF_GP_KEYS_MAX + 1;
    assert_int_equal(kf_gp_put_key_command(channel, &put_key, &none), KF_ERR_ARGUMENT);
    assert_int_equal(none.size, 0);
}

static void put_key_answers_are_read_with_their_check_values(void **state)
{
    (void)state;
    BYTES(data, "30112233445566");
    kf_gp_put_key_answer answer;
    assert_int_equal(kf_gp_put_key_answer_parse(kf_buffer_view(&data), &answer), KF_OK);
    assert_int_equal(answer.key_version, 0x30);
    assert_int_equal(answer.kcv_count, 2);
    assert_string_equal(kf_kcv_show(answer.kcvs[1]).text, "445566");
    assert_int_equal(kf_gp_put_key_answer_parse(kf_view_of(data.data, 6), &answer), KF_ERR_CARD_DATA);
    assert_int_equal(kf_gp_put_key_answer_parse(kf_view_of(NULL, 0), &answer), KF_ERR_CARD_DATA);
    EMPTY(many);
    kf_buffer_append_fill(&many, 1, 1 + 3 * (KF_GP_KEYS_MAX + 1));
    assert_int_equal(kf_gp_put_key_answer_parse(kf_buffer_view(&many), &answer), KF_ERR_CARD_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_encoded_as_the_specification_lays_them_out),
        cmocka_unit_test(install_commands_carry_their_fields_in_order),
        cmocka_unit_test(values_that_fields_cannot_hold_are_refused_and_nothing_is_appended),
        cmocka_unit_test(a_load_file_is_cut_into_numbered_blocks),
        cmocka_unit_test(groupings_are_packed_by_size_and_by_encryption),
        cmocka_unit_test(keys_go_by_store_data_as_another_implementation_encodes_them),
        cmocka_unit_test(key_values_that_were_padded_tell_their_length),
        cmocka_unit_test(put_key_answers_are_read_with_their_check_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
