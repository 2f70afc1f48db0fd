#include "hex_bytes.h"

#include <keyfill/delegated_management.h>
#include <keyfill/mac.h>

/* Made for this test; the signatures below by the openssl program. */
static const char rsa_key[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                              "MIICXwIBAAKBgQDWYcGxkHAZQWuTD1qFFGfYK0Bnf8G4DgbR1ZgJqC5FaOnABoQZ\n"
                              "SfE4ICc367QCBdk2by0FavySCSjPN0EcbIVpBDZdGkKXCTxeUrAZhlf2a8VAF6EG\n"
                              "BuDaiRYe2mU+LIP93ZwHDljQN7M8DmI+BRh63tqyVjuY23Me4it1FpGURwIDAQAB\n"
                              "AoGBAK2EwFbtNp5qghysv7KZWpfwIhfjozNLPx/WB1JBqvoJObFwVLl3TOQFulib\n"
                              "0b4VZ8OUZtdMyhOVkE9wRKYx/CQRD/jqfFDDfcQb9jSfJk78KugANaw6FIh1xtwW\n"
                              "4SIATEt1ZV3TAdNR+MV7HiX1/mJ/75WRb5VTbrKjXUwutfxRAkEA+QrrPEDnEFCS\n"
                              "IU6grNOPIVYWDCAJp2yCgJW9x/WLdE9td2xA3+/OuycgG3KzfI7aU93YWjpRIN/h\n"
                              "agOzm1F0vwJBANxe9ColjvtsW2JjYCSo5w3s2+U+glduCdRpdLXshU3QDpuWkZ5X\n"
                              "6QOupvNZA9YieMxrYE8TZgMwO4YuI1hKGnkCQQDMuQ8bHvdTUAhwXOR0bg0xCEVj\n"
                              "fkqxWOAGuBGkeNNEr657B4BlFgtJiiY4qhemAwCzBKE/usTKU4BH1/cjbNidAkEA\n"
                              "uwSSbhpFx7XjsBHqC/KTc8vpqhlsgEpQaUW92I6LasgBPaWAm0K763YTFT4b9WR3\n"
                              "4/PUXgd2cYpDWdJaCJmK8QJBANEHZHMCYchVJ/WK5c/4A6PoTaTV/Nfd+Sy2DkFh\n"
                              "IrTFVcNyOF0X40ljHjO/xeE5EH8O+d1lbkwE5BlUJfrtVc4=\n"
                              "-----END RSA PRIVATE KEY-----\n";
static const char curve_key[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                "MHcCAQEEIFe4V06Wz3aFLSgjvK2/kjs10HLxJomNk1uMaCCTPUvXoAoGCCqGSM49\n"
                                "AwEHoUQDQgAE2fICtYzltwVrtyu2ozlw5jBv9l88I6DAoGbiEQqiPpbQQpAcXAVe\n"
                                "oD+U5NpQCxFjZVlAdGJm72kTQknEVrSlLQ==\n"
                                "-----END EC PRIVATE KEY-----\n";
static const char encrypted_key[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                                    "Proc-Type: 4,ENCRYPTED\n"
                                    "DEK-Info: AES-128-CBC,562DF200C36B4DB8F612F2B36EBAC8CA\n"
                                    "\n"
                                    "N721YBAuMxu1Z3oQYoP76ysFtAY2Kw7jFhcoAHsEuuYjJw8+Zbmt85eJVk2e8lNM\n"
                                    "qYnpnjzEzsJ/Y7v5XHf63sPcMcf+/qzvZkrORqySI7tiY3BBDIvJwaG3lboVnkQO\n"
                                    "dYXxuYyOpN2Liq7FysPjqyJghBPByRhhTbpXktKIELnqs8exJdBl8/FGAibNzn/N\n"
                                    "H/eH1laO2fgopZuANc6tHUsYv/U2y//FzScCALZDCNnUsQ92Rwp2XnJgXsD5MRd9\n"
                                    "Ux0Vc7WYwuYRZROMnJANvO+qiCL/vbpWg1xES0pTAwUfAGCixXNUwsz50g6RTBN8\n"
                                    "ODIPYyXB0gVZxB5ZAIR0zbJhtlCwmH0VmazrDKAOa8phRZGBKyxhhQlhXWtiYS/U\n"
                                    "ejfoY88K8Ew9hgGVVvGE4zyRZqi5HXPsuy0FhDBovcSTWs3FAfjYXmm7YXRSI6eF\n"
                                    "bmr5WYIhiAx3ULirDkgrIoGadPERlyQ1m+TjBbchM9lblEXn1/V9xkvlSNyqjJbE\n"
                                    "1l8QzXZtM4APS3Quqo+7KmZLwzjZku9XQSKFuLxrqYZa1VFaFn/+yxh3WzZcWyEX\n"
                                    "z4DZxQWyxuLBtGIZfA6ikoaQ/28YqnT/ZR+bJLYyPA3hVnmZSA0Bb7HTNu6l9i35\n"
                                    "wm5y6dm9FIZUVZ/s3TVUg/L0R+oUgZOn2jUb2x+oma48qwXDeSM5x9MkyODiOOHa\n"
                                    "kleSwEMBdp3qWVyLO6RfDVd4NX4WghRl7lmA/EwHJxEtR2pyaRVfLBwQ1knDetsH\n"
                                    "cUzGBfDurtyZzwQNRfPqzBJA25mSv0uBp6KXDccAOeA=\n"
                                    "-----END RSA PRIVATE KEY-----\n";
static const char small_key[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                                "MIIBygIBAAJhAL14k+2u8P6OQrFQf8cAQKSYgQgPkONQU6osFRFGjgC92ooICNt9\n"
                                "Egur7UJfYaKqoUC8IT6EfUd1W7n+WX6gC4PoKjT/iYf0gp8OI6PX2z7w88BItU0z\n"
                                "AmZVOG9p4fGXFQIDAQABAmAVw4v6eWXlV6IBjCWhTj4eqgXoTyFtewShP38MBPa6\n"
                                "zxQTVujtjWhNPup5/UrRzJeWj161x8Kn5/9YH9klZMYWLYthxT7e+XqklYHwnOMu\n"
                                "UnYX8ry3ijp1tKxNY2DA7QECMQDqCdUQhhLQ5oOTT+HMRzpZcCikAyR2IYya+/NE\n"
                                "FHL7iscPexilT1MSjUw7PIuEVv0CMQDPQCEFPPkHeI/ICQRw2nePjFtd0ak1/rTK\n"
                                "HntAhG86OsSvaieYsL5K1S9Uj+IdV/kCMQDTetcA+2X9Ro8WilRrFuHu956BtiU4\n"
                                "adB4K7sChcfw7NI7duwqVKeoV+3OiUM47rECMCMCo1FeNndTn35cP5rM3Qur2zdj\n"
                                "FqGfcG0AbzO764o7qUQ0u5Goscy0bLVtRPZOCQIwFvzb3JMlTKOru2uTGZFJa6al\n"
                                "9TaLZ4OLxXVZMeW6UnpnN5DSL3jkygNYRHyP6uVT\n"
                                "-----END RSA PRIVATE KEY-----\n";
static const char rsa_modulus[] = "D661C1B1907019416B930F5A851467D82B40677FC1B80E06D1D59809A82E4568"
                                  "E9C006841949F138202737EBB40205D9366F2D056AFC920928CF37411C6C8569"
                                  "04365D1A4297093C5E52B0198657F66BC54017A10606E0DA89161EDA653E2C83"
                                  "FDDD9C070E58D037B33C0E623E05187ADEDAB2563B98DB731EE22B7516919447";
#define MESSAGE "0200120702"
static const char signature_pkcs1_sha1[] = "11D10FCB1B7E2AB1CFAF8F1ED0455C42778FA7384FD4418E4D46CAC05C75C119"
                                           "B3286032E923694005361C68F48712D32BCC30E132622134F04784C571E99890"
                                           "871167DCD3387820E345D7BACCB9A8E67DB2E178677E8FBC1E239C160279BDB4"
                                           "8060EAD3F0BA05C9ADAB9268CA0227F0DBB756E424852376ECD8ACBEE75824C5";
static const char signature_pss_sha256[] = "CCDC22D25209C7199166D726543197C580FBAAC1F52EAF10E4CAA03219C0C934"
                                           "4E0482327C086CB3EB597B9E0473C566746DEBCDC6F1680B20614856BA7879FE"
                                           "65E48F44D72A5F1DD93D05CE3942E315CC3E20D48FAF8D65206E020263A178E7"
                                           "7D1D95E96FC8027BBE373F3951D903D3C47F0B4E708A122AEAC711C4197D018B";
static const char signature_curve[] = "97D72110B8FE5F788E6AC4614C9FD8E6B218C90656A46A3B41AC2D05E619AD13"
                                      "6F756CE0938BCC7C1BB11802CEC3AA6DFA34F9220998C95D32209762C567369D";

#define LOAD_FILE "A0000001515350"
#define DOMAIN "A000000151000000"
#define APPLICATION "A00000015153504101"
#define DES_KEY "404142434445464748494A4B4C4D4E4F"

static kf_private_key *private_key_of(const char *pem)
{
    kf_private_key *key = NULL;
    assert_int_equal(kf_private_key_read(kf_view_of_text(pem), &key), KF_OK);
    return key;
}

static kf_public_key *public_key_of(const kf_private_key *key)
{
    kf_public_key *public_key = NULL;
    assert_int_equal(kf_public_key_of(key, &public_key), KF_OK);
    return public_key;
}

static void signatures_of_another_program_verify_and_any_flip_does_not(void **state)
{
    (void)state;
    static const struct {
        const char *pem;
        kf_signature_scheme scheme;
        const char *signature;
    } cases[] = {{rsa_key, KF_SIGNATURE_RSA_PKCS1_SHA1, signature_pkcs1_sha1},
                 {rsa_key, KF_SIGNATURE_RSA_PSS_SHA256, signature_pss_sha256},
                 {curve_key, KF_SIGNATURE_ECDSA_SHA256, signature_curve}};
    BYTES(message, MESSAGE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        KF_CLEANUP(kf_private_key_free) kf_private_key *key = private_key_of(cases[i].pem);
        KF_CLEANUP(kf_public_key_free) kf_public_key *public_key = public_key_of(key);
        BYTES(signature, cases[i].signature);
        kf_view view = kf_buffer_view(&signature);
        assert_int_equal(kf_signature_verify(public_key, cases[i].scheme, kf_buffer_view(&message), view),
                         KF_OK);
        for (size_t bit = 0; bit < 8 * signature.size; bit += 7) {
            signature.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(kf_signature_verify(public_key, cases[i].scheme, kf_buffer_view(&message), view),
                             KF_ERR_AUTHENTICATION);
            signature.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t size = 0; size < signature.size; size++)
            assert_int_equal(kf_signature_verify(public_key, cases[i].scheme, kf_buffer_view(&message),
                                                 kf_view_of(signature.data, size)),
                             KF_ERR_AUTHENTICATION);
        EMPTY(own);
        assert_int_equal(kf_sign(key, cases[i].scheme, kf_buffer_view(&message), &own), KF_OK);
        assert_int_equal(own.size, signature.size);
        assert_int_equal(
            kf_signature_verify(public_key, cases[i].scheme, kf_buffer_view(&message), kf_buffer_view(&own)),
            KF_OK);
    }
}

static void keys_and_schemes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    KF_CLEANUP(kf_private_key_free) kf_private_key *rsa = private_key_of(rsa_key);
    KF_CLEANUP(kf_private_key_free) kf_private_key *curve = private_key_of(curve_key);
    KF_CLEANUP(kf_private_key_free) kf_private_key *none = NULL;
    BYTES(message, MESSAGE);
    EMPTY(out);
    assert_int_equal(kf_sign(rsa, KF_SIGNATURE_ECDSA_SHA256, kf_buffer_view(&message), &out),
                     KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_sign(curve, KF_SIGNATURE_RSA_PSS_SHA256, kf_buffer_view(&message), &out),
                     KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_private_key_read(kf_view_of_text(encrypted_key), &none), KF_ERR_MALFORMED);
    assert_int_equal(kf_private_key_read(kf_view_of_text(small_key), &none), KF_ERR_KEY_SIZE);
    assert_int_equal(kf_private_key_read(kf_view_of_text("no key"), &none), KF_ERR_MALFORMED);
    assert_int_equal(kf_private_key_read(kf_view_of(NULL, 0), &none), KF_ERR_MALFORMED);
    KF_CLEANUP(kf_public_key_free) kf_public_key *of_curve = public_key_of(curve);
    KF_CLEANUP(kf_public_key_free) kf_public_key *of_rsa = public_key_of(rsa);
    EMPTY(modulus);
    EMPTY(exponent);
    assert_int_equal(kf_public_key_rsa(of_curve, &modulus, &exponent), KF_ERR_UNSUPPORTED);
    assert_int_equal(kf_public_key_rsa(of_rsa, &modulus, &exponent), KF_OK);
    assert_bytes(kf_buffer_view(&modulus), rsa_modulus);
    assert_bytes(kf_buffer_view(&exponent), "010001");
    assert_int_equal(out.size, 0);
}

static void a_token_signs_what_the_command_carries_without_it(void **state)
{
    (void)state;
    BYTES(load_file, LOAD_FILE);
    BYTES(domain, DOMAIN);
    kf_gp_install_load load = {.load_file_aid = kf_buffer_view(&load_file),
                               .security_domain_aid = kf_buffer_view(&domain)};
    EMPTY(apdu);
    EMPTY(input);
    assert_int_equal(kf_gp_install_for_load(&load, &apdu), KF_OK);
    assert_int_equal(kf_gp_token_input(kf_buffer_view(&apdu), &input), KF_OK);
    assert_bytes(kf_buffer_view(&input), "020013"
                                         "07" LOAD_FILE "08" DOMAIN "0000");
    KF_CLEANUP(kf_private_key_free) kf_private_key *key = private_key_of(rsa_key);
    EMPTY(token);
    assert_int_equal(kf_sign(key, KF_SIGNATURE_RSA_PKCS1_SHA1, kf_buffer_view(&input), &token), KF_OK);
    load.token = kf_buffer_view(&token);
    EMPTY(with_token);
    assert_int_equal(kf_gp_install_for_load(&load, &with_token), KF_OK);
    kf_command command;
    assert_int_equal(kf_command_parse(kf_buffer_view(&with_token), &command), KF_OK);
    assert_int_equal(command.data.size, 19 + 2 + 128);
    assert_bytes(kf_view_part(command.data, 19, 2), "8180");
    EMPTY(none);
    assert_int_equal(kf_gp_token_input(kf_buffer_view(&with_token), &none), KF_ERR_ARGUMENT);
    BYTES(get_data, "80CA006600");
    assert_int_equal(kf_gp_token_input(kf_buffer_view(&get_data), &none), KF_ERR_ARGUMENT);
    assert_int_equal(none.size, 0);
}

static void a_token_of_delete_covers_its_objects(void **state)
{
    (void)state;
    BYTES(aid, LOAD_FILE);
    BYTES(template, "4201AA9301BB");
    BYTES(token, "0102030405060708");
    kf_gp_delete_request request = {
        .aid = kf_buffer_view(&aid), .related = true, .signature_template = kf_buffer_view(&template)};
    EMPTY(apdu);
    EMPTY(input);
    assert_int_equal(kf_gp_delete_with(&request, &apdu), KF_OK);
    assert_int_equal(kf_gp_token_input(kf_buffer_view(&apdu), &input), KF_OK);
    assert_bytes(kf_buffer_view(&input), "008011"
                                         "4F07" LOAD_FILE "B6064201AA9301BB");
    request.token = kf_buffer_view(&token);
    EMPTY(with_token);
    EMPTY(none);
    assert_int_equal(kf_gp_delete_with(&request, &with_token), KF_OK);
    assert_bytes(kf_buffer_view(&with_token), "80E400801B"
                                              "4F07" LOAD_FILE "B6064201AA9301BB"
                                              "9E080102030405060708"
                                              "00");
    assert_int_equal(kf_gp_token_input(kf_buffer_view(&with_token), &none), KF_ERR_ARGUMENT);
}

/* Receipt 8 bytes | counter | unique data | token identifier. */
static void confirm(const kf_secret *key, kf_algorithm algorithm, const char *aids, kf_buffer *answer)
{
    static const char data[] = "020007"
                               "0A42010203040506070809"
                               "0155";
    BYTES(input, data);
    BYTES(tail, data);
    assert_int_equal(kf_hex_decode_append(aids, &input), KF_OK);
    EMPTY(mac);
    assert_int_equal(kf_gp_symmetric_signature(algorithm, key, kf_buffer_view(&input), &mac), KF_OK);
    kf_buffer_append_u8(answer, (uint8_t)mac.size);
    kf_buffer_append(answer, kf_buffer_view(&mac));
    kf_buffer_append(answer, kf_buffer_view(&tail));
}

static void receipts_verify_over_their_aids_and_nothing_else(void **state)
{
    (void)state;
    SECRET(des, DES_KEY);
    SECRET(aes, DES_KEY "5051525354555657");
    BYTES(load_file, LOAD_FILE);
    BYTES(application, APPLICATION);
    const kf_view aids[] = {kf_buffer_view(&load_file), kf_buffer_view(&application)};
    const struct {
        const kf_secret *key;
        kf_algorithm algorithm;
    } cases[] = {{des, KF_TDES}, {aes, KF_AES}};
    for (size_t i = 0; i < 2; i++) {
        EMPTY(answer);
        confirm(cases[i].key, cases[i].algorithm, "07" LOAD_FILE "09" APPLICATION, &answer);
        kf_gp_confirmation confirmation;
        assert_int_equal(kf_gp_confirmation_parse(kf_buffer_view(&answer), &confirmation), KF_OK);
        assert_int_equal(confirmation.counter, 7);
        assert_bytes(confirmation.unique_data, "42010203040506070809");
        assert_bytes(confirmation.token_identifier, "55");
        assert_int_equal(confirmation.token_digest.size, 0);
        assert_int_equal(kf_gp_receipt_verify(cases[i].algorithm, cases[i].key, &confirmation, aids, 2),
                         KF_OK);
        assert_int_equal(kf_gp_receipt_verify(cases[i].algorithm, cases[i].key, &confirmation, aids, 1),
                         KF_ERR_AUTHENTICATION);
        assert_int_equal(kf_gp_receipt_verify(cases[i].algorithm, cases[i].key, &confirmation, aids, 0),
                         KF_ERR_ARGUMENT);
        for (size_t bit = 0; bit < 8 * answer.size; bit++) {
            answer.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (kf_gp_confirmation_parse(kf_buffer_view(&answer), &confirmation) == KF_OK)
                assert_int_equal(
                    kf_gp_receipt_verify(cases[i].algorithm, cases[i].key, &confirmation, aids, 2),
                    KF_ERR_AUTHENTICATION);
            answer.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void the_retail_mac_is_the_receipt_of_older_cards(void **state)
{
    (void)state;
    SECRET(key, DES_KEY);
    BYTES(input, "0102030405");
    EMPTY(mac);
    assert_int_equal(kf_gp_symmetric_signature(KF_TDES, key, kf_buffer_view(&input), &mac), KF_OK);
    kf_mac_pair pair;
    uint8_t wanted[8];
    assert_int_equal(kf_mac_retail_pair(kf_secret_expose(key), &pair), KF_OK);
    assert_int_equal(kf_mac_retail(pair, KF_PADDING_2, NULL, kf_buffer_view(&input), wanted), KF_OK);
    kf_mac_pair_free(&pair);
    assert_true(kf_view_equal(kf_buffer_view(&mac), KF_VIEW(wanted)));
    assert_int_equal(kf_gp_symmetric_signature(KF_SM4, key, kf_buffer_view(&input), &mac),
                     KF_ERR_UNSUPPORTED);
}

static void answers_without_a_receipt_and_malformed_ones(void **state)
{
    (void)state;
    kf_gp_confirmation confirmation;
    BYTES(zero, "00");
    assert_int_equal(kf_gp_confirmation_parse(kf_buffer_view(&zero), &confirmation), KF_OK);
    assert_int_equal(confirmation.receipt.size, 0);
    SECRET(key, DES_KEY);
    const kf_view aid = kf_buffer_view(&zero);
    assert_int_equal(kf_gp_receipt_verify(KF_TDES, key, &confirmation, &aid, 1), KF_ERR_AUTHENTICATION);
    EMPTY(answer);
    confirm(key, KF_TDES, "", &answer);
    /* 9 + 3 + 11 bytes are whole without the token identifier. */
    for (size_t size = 1; size < answer.size; size++)
        assert_int_equal(kf_gp_confirmation_parse(kf_view_of(answer.data, size), &confirmation),
                         size == 23 ? KF_OK : KF_ERR_CARD_DATA);
    static const char *const wrong[] = {"0000", "80", "8201", "0101000101", "01010500000000010101"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        BYTES(bytes, wrong[i]);
        assert_int_equal(kf_gp_confirmation_parse(kf_buffer_view(&bytes), &confirmation), KF_ERR_CARD_DATA);
    }
}

static void load_file_hashes_have_their_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {20, 32, 48, 64, 32};
    BYTES(file, "616263");
    for (size_t i = 0; i < 5; i++) {
        EMPTY(hash);
        kf_hash_algorithm algorithm = (kf_hash_algorithm)(KF_HASH_SHA1 + i);
        assert_int_equal(kf_gp_load_file_hash(algorithm, kf_buffer_view(&file), &hash), KF_OK);
        assert_int_equal(hash.size, sizes[i]);
        assert_int_equal(kf_hash_size(algorithm), sizes[i]);
    }
    EMPTY(sha1);
    assert_int_equal(kf_gp_load_file_hash(KF_HASH_SHA1, kf_buffer_view(&file), &sha1), KF_OK);
    assert_bytes(kf_buffer_view(&sha1), "A9993E364706816ABA3E25717850C26C9CD0D89D");
    EMPTY(none);
    assert_int_equal(kf_gp_load_file_hash((kf_hash_algorithm)0, kf_buffer_view(&file), &none),
                     KF_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_another_program_verify_and_any_flip_does_not),
        cmocka_unit_test(keys_and_schemes_that_do_not_fit_are_refused),
        cmocka_unit_test(a_token_signs_what_the_command_carries_without_it),
        cmocka_unit_test(a_token_of_delete_covers_its_objects),
        cmocka_unit_test(receipts_verify_over_their_aids_and_nothing_else),
        cmocka_unit_test(the_retail_mac_is_the_receipt_of_older_cards),
        cmocka_unit_test(answers_without_a_receipt_and_malformed_ones),
        cmocka_unit_test(load_file_hashes_have_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
