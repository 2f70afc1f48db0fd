/* `keyfill gp create-domain`: a supplementary security domain (GP §7.3, 11.5.2.3.2). */
#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/tlv.h>

#include "cli/gp.h"

/* Package and module of the security domain's code, as cards have it: GlobalPlatform's own, and Visa's from
 * before. */
static const struct {
    const char *package;
    const char *module;
} usual_modules[] = {{"A0000001515350", "A000000151535041"}, {"A0000000035350", "A000000003535041"}};

/* "03:70" as what C9 says of it: 81 02 03 70. */
static kf_code protocol_parameters(const kf_gp_options *options, kf_buffer *parameters, kf_error *error)
{
    const char *text = options->values[KF_GP_DOMAIN_SCP];
    uint8_t protocol = 0;
    uint8_t i = 0;
    char digits[3] = "";
    if (text == NULL) return KF_OK;
    (void)snprintf(digits, sizeof digits, "%s", text);
    if (strlen(text) != 5 || text[2] != ':' || kf_hex_decode(digits, &protocol, 1) != KF_OK ||
        kf_hex_decode(text + 3, &i, 1) != KF_OK || (protocol != 2 && protocol != 3))
        return kf_fail(error, KF_ERR_USAGE, "--domain-scp %.20s: 02 or 03, a colon, and i: 03:70", text);
    kf_gp_security_domain_parameters(protocol, i, parameters);
    return kf_fail_plain(error, kf_buffer_status(parameters));
}

static bool is_missing(const kf_error *error)
{
    return error->code == KF_ERR_STATUS_WORD &&
           (strstr(error->message, "6A88") != NULL || strstr(error->message, "6A80") != NULL);
}

static kf_code create(kf_gp_session *session, kf_gp_installation *what, kf_error *error)
{
    if (what->package.size > 0) return kf_gp_install_applet(session, what, error);
    kf_code code = KF_ERR_INTERNAL;
    for (size_t i = 0; i < sizeof usual_modules / sizeof usual_modules[0]; i++) {
        KF_TRY(kf_gp_aid_of_text(usual_modules[i].package, "package", &what->package, error));
        KF_TRY(kf_gp_aid_of_text(usual_modules[i].module, "applet", &what->applet, error));
        code = kf_gp_install_applet(session, what, error);
        if (code == KF_OK || !is_missing(error)) return code;
    }
    return kf_error_prefix(error,
                           "the card has none of the usual modules; keyfill gp list shows what it has, "
                           "for --package and --applet");
}

kf_code kf_gp_run_create_domain(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_DOMAIN | KF_GP_OPTIONS_AUTHORITY,
        .arguments = "AID",
        .words_min = 1,
        .words_max = 1,
        .about = "Installs a security domain. Its first keys come by put-key --aid "
                 "AID, opened with its parent's."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer parameters = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer privileges = KF_BUFFER_INIT;
    kf_gp_installation what = {.privileges = &privileges, .parameters = &parameters};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_aid_of_text(options.words[0], "AID", &what.instance, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_PACKAGE, &what.package, error));
    KF_TRY(kf_gp_option_aid(&options, KF_GP_APPLET, &what.applet, error));
    if ((what.package.size > 0) != (what.applet.size > 0))
        return kf_fail(error, KF_ERR_USAGE, "--package and --applet belong together");
    KF_TRY(kf_gp_option_bytes(&options, KF_GP_PRIVILEGES, &privileges, error));
    if (privileges.size == 0) kf_buffer_append_u8(&privileges, KF_GP_PRIVILEGE_SECURITY_DOMAIN);
    if ((privileges.size != 1 && privileges.size != 3) ||
        (privileges.data[0] & KF_GP_PRIVILEGE_SECURITY_DOMAIN) == 0)
        return kf_fail(
            error, KF_ERR_USAGE,
            "--privileges: 1 or 3 bytes are wanted, with bit 8 of the first set: it makes a security "
            "domain");
    KF_TRY(kf_gp_secret_bytes(&options, KF_GP_PARAMETERS, "parameters", &parameters, error));
    KF_TRY(protocol_parameters(&options, &parameters, error));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    KF_TRY(create(&session, &what, error));
    return kf_gp_print_aid(&options, "created", kf_aid_view(&what.instance), error);
}
