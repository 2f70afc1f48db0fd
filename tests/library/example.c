/* The check value of a key, and the card key that AN10922 gives one card from it. */
#include <stdio.h>

#include <keyfill/diversify.h>
#include <keyfill/hex.h>
#include <keyfill/kcv.h>

int main(void)
{
    kf_error error = {0};
    kf_secret *base_key = NULL;
    kf_secret *card_key = NULL;
    kf_diversification *line = NULL;
    kf_kcv kcv;
    const kf_field fields[] = {{"number", "8613800000001"}};
    kf_code code = kf_hex_decode_secret("00112233445566778899AABBCCDDEEFF", &base_key);
    if (code == KF_OK) code = kf_diversification_parse("an10922-aes128(number/bcd/8/left-0)", &line, &error);
    if (code == KF_OK)
        code =
            kf_diversify(line, KF_AES, base_key, (kf_fields){fields, 1}, KF_ROLE_SINGLE, &card_key, &error);
    if (code == KF_OK) code = kf_kcv_compute(KF_AES, card_key, KF_KCV_GLOBALPLATFORM, &kcv);
    if (code == KF_OK)
        printf("%s\n", kf_kcv_show(kcv).text);
    else
        fprintf(stderr, "%s: %s\n", kf_code_name(code), kf_error_text(&error));
    kf_secret_free(&card_key);
    kf_secret_free(&base_key);
    kf_diversification_free(&line);
    return kf_code_exit_status(code);
}
