/* Delegated management in `keyfill gp`: tokens, receipts and signatures of load files (GP §9.2, appendix C).
 */
#include <stdio.h>
#include <string.h>

#include <keyfill/delegated_management.h>
#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/gp.h"

#define KEY_FILE_MAX ((size_t)16 * 1024) /* bytes */
#define RSA_SHORT 128                    /* bytes of a modulus up to which B.3.1.1 holds */

void kf_gp_signer_clear(kf_gp_signer *signer)
{
    kf_secret_free(&signer->key);
    kf_private_key_free(&signer->private_key);
}

static bool is_pem(kf_view text)
{
    static const char begin[] = "-----BEGIN";
    return text.size > strlen(begin) && memcmp(text.data, begin, strlen(begin)) == 0;
}

kf_code kf_gp_signer_read(const kf_gp_options *options, kf_gp_option option, kf_gp_signer *ret_signer,
                          kf_error *error)
{
    const char *path = options->values[option];
    if (path == NULL) return KF_OK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(path, KEY_FILE_MAX, &text, error));
    if (is_pem(kf_buffer_view(&text))) {
        kf_code code = kf_private_key_read(kf_buffer_view(&text), &ret_signer->private_key);
        if (code == KF_OK) return KF_OK;
        return kf_fail(
            error, code,
            "%.200s: a private key without passphrase is wanted, RSA of 1024 to 4096 bits or of an "
            "elliptic curve: %s",
            path, kf_code_meaning(code));
    }
    bool good = kf_gp_append_digits(kf_buffer_view(&text), &bytes) == KF_OK &&
                (bytes.size == 16 || bytes.size == 24 || bytes.size == 32);
    if (!good)
        return kf_fail(error, KF_ERR_USAGE,
                       "%.200s: neither PEM nor a key of 32, 48 or 64 hexadecimal digits", path);
    return kf_fail_plain(error, kf_secret_new(kf_buffer_view(&bytes), &ret_signer->key));
}

static kf_code symmetric_algorithm(const kf_gp_session *session, size_t key_size, kf_algorithm *ret_algorithm,
                                   kf_error *error)
{
    const char *type = session->options->values[KF_GP_SIGNING_TYPE];
    if (type != NULL && strcmp(type, "aes") != 0 && strcmp(type, "3des") != 0)
        return kf_fail(error, KF_ERR_USAGE, "--signing-type %.20s: aes or 3des", type);
    bool aes = session->channel != NULL && kf_secure_channel_answer(session->channel)->protocol == 3;
    if (type != NULL) aes = strcmp(type, "aes") == 0;
    *ret_algorithm = aes || key_size != 16 ? KF_AES : KF_TDES;
    return KF_OK;
}

/* B.3.1: RSA up to 1024 bits by PKCS #1 and SHA-1, above by PSS; B.4: elliptic curves. */
static kf_code scheme_of(const kf_private_key *private_key, kf_signature_scheme *ret_scheme)
{
    KF_CLEANUP(kf_public_key_free) kf_public_key *public_key = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer modulus = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer exponent = KF_BUFFER_INIT;
    KF_TRY(kf_public_key_of(private_key, &public_key));
    kf_code code = kf_public_key_rsa(public_key, &modulus, &exponent);
    if (code == KF_ERR_UNSUPPORTED) {
        *ret_scheme = KF_SIGNATURE_ECDSA_SHA256;
        return KF_OK;
    }
    KF_TRY(code);
    *ret_scheme = modulus.size <= RSA_SHORT ? KF_SIGNATURE_RSA_PKCS1_SHA1 : KF_SIGNATURE_RSA_PSS_SHA256;
    return KF_OK;
}

kf_code kf_gp_sign(const kf_gp_session *session, const kf_gp_signer *signer, kf_view input,
                   kf_buffer *signature, kf_error *error)
{
    if (signer->private_key != NULL) {
        kf_signature_scheme scheme = KF_SIGNATURE_RSA_PSS_SHA256;
        KF_TRY(kf_fail_plain(error, scheme_of(signer->private_key, &scheme)));
        return kf_fail_plain(error, kf_sign(signer->private_key, scheme, input, signature));
    }
    kf_algorithm algorithm = KF_AES;
    KF_TRY(symmetric_algorithm(session, kf_secret_size(signer->key), &algorithm, error));
    return kf_fail_plain(error, kf_gp_symmetric_signature(algorithm, signer->key, input, signature));
}

kf_view kf_gp_present_domain(const kf_gp_session *session)
{
    return kf_aid_view(session->selected.size > 0 ? &session->selected : &session->security_domain);
}

kf_code kf_gp_token_for(const kf_gp_session *session, kf_view apdu, kf_buffer *token, kf_error *error)
{
    const kf_gp_options *options = session->options;
    bool made = options->values[KF_GP_TOKEN_KEY_FILE] != NULL;
    if (made && options->values[KF_GP_TOKEN] != NULL)
        return kf_fail(error, KF_ERR_USAGE, "--token and --token-key-file: give one of them");
    if (!made) return kf_gp_option_bytes(options, KF_GP_TOKEN, token, error);
    KF_CLEANUP(kf_gp_signer_clear) kf_gp_signer signer = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer input = KF_BUFFER_INIT;
    KF_TRY(kf_gp_signer_read(options, KF_GP_TOKEN_KEY_FILE, &signer, error));
    KF_TRY(kf_fail_plain(error, kf_gp_token_input(apdu, &input)));
    return kf_gp_sign(session, &signer, kf_buffer_view(&input), token, error);
}

kf_code kf_gp_check_receipt(const kf_gp_session *session, kf_view answer, const kf_view *aids, size_t count,
                            kf_error *error)
{
    KF_CLEANUP(kf_gp_signer_clear) kf_gp_signer signer = {0};
    KF_TRY(kf_gp_signer_read(session->options, KF_GP_RECEIPT_KEY_FILE, &signer, error));
    if (signer.key == NULL && signer.private_key == NULL) return KF_OK;
    if (signer.key == NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "--receipt-key-file: receipts are checked by a symmetric key, in hexadecimal");
    kf_gp_confirmation confirmation;
    kf_algorithm algorithm = KF_AES;
    KF_TRY(symmetric_algorithm(session, kf_secret_size(signer.key), &algorithm, error));
    if (kf_gp_confirmation_parse(answer, &confirmation) != KF_OK)
        return kf_fail(error, KF_ERR_CARD_DATA,
                       "the command was carried out, but its confirmation %s cannot be read",
                       kf_hex_show(answer).text);
    if (confirmation.receipt.size == 0)
        return kf_fail(
            error, KF_ERR_AUTHENTICATION,
            "the command was carried out, but the card gave no receipt: it has no key for them, or "
            "the domain no delegated management");
    if (kf_gp_receipt_verify(algorithm, signer.key, &confirmation, aids, count) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_AUTHENTICATION,
                   "the command was carried out, but its receipt %s is not of this key",
                   kf_hex_show(confirmation.receipt).text);
}

/* One short command where it fits, else an extended one where the card takes such, else several. */
static kf_code build_install(const kf_gp_session *session, const kf_gp_managed *managed,
                             const kf_gp_install_form *form, kf_command_list *commands, kf_error *error)
{
    size_t data_max = kf_gp_session_data_max(session);
    KF_CLEANUP(kf_buffer_clear) kf_buffer whole = KF_BUFFER_INIT;
    kf_command command;
    kf_code code = kf_gp_install_command(form, true, &whole);
    if (code == KF_OK) code = kf_command_parse(kf_buffer_view(&whole), &command);
    if (code != KF_OK)
        return kf_fail(error, code, "%s cannot be built: %s", managed->label, kf_code_meaning(code));
    if (command.data.size > data_max && command.data.size <= kf_gp_session_extended_max(session)) {
        kf_buffer *place = kf_command_list_append(commands);
        if (place == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
        return kf_fail_plain(error, kf_gp_install_command(form, true, place));
    }
    return kf_fail_plain(error, kf_gp_install_commands(form, data_max, commands));
}

kf_code kf_gp_send_install(kf_gp_session *session, const kf_gp_managed *managed, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer unsigned_command = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer token = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    kf_gp_install_form form = managed->form;
    kf_code code = kf_gp_install_command(&form, true, &unsigned_command);
    if (code != KF_OK)
        return kf_fail(error, code, "%s cannot be built: %s", managed->label, kf_code_meaning(code));
    KF_TRY(kf_gp_token_for(session, kf_buffer_view(&unsigned_command), &token, error));
    form.token = kf_buffer_view(&token);
    KF_TRY(build_install(session, managed, &form, &commands, error));
    for (size_t i = 0; i < commands.count; i++) {
        char label[96];
        (void)snprintf(label, sizeof label, commands.count == 1 ? "%.60s" : "%.60s %zu of %zu",
                       managed->label, i + 1, commands.count);
        kf_buffer_truncate(&answer, 0);
        const kf_gp_message message = {.label = label, .command = kf_buffer_view(&commands.items[i])};
        KF_TRY(kf_gp_send_expecting_success(session, &message, &answer, error));
    }
    if (managed->receipt_aid_count == 0) return KF_OK;
    return kf_gp_check_receipt(session, kf_buffer_view(&answer), managed->receipt_aids,
                               managed->receipt_aid_count, error);
}
