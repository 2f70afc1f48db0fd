/* `keyfill gp lock`, `unlock` and `set-state`: life cycles (GP §5, §11.10). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <keyfill/hex.h>

#include "cli/gp.h"

#define CARD_LOCKED 0x7Fu  /* table 11-6 */
#define CARD_SECURED 0x0Fu /* what unlocking a card gives back (§5.1.1.4) */
#define CARD_TERMINATED 0xFFu

/* -- lock, unlock -- */

static kf_code build_set_status(const kf_gp_options *options, bool locked, const kf_aid *aid, kf_buffer *apdu)
{
    const kf_view none = {NULL, 0};
    if (options->values[KF_GP_CARD] != NULL)
        return kf_gp_set_status(KF_GP_ISSUER_SECURITY_DOMAIN, locked ? CARD_LOCKED : CARD_SECURED, none,
                                apdu);
    if (options->values[KF_GP_WITH_APPLICATIONS] != NULL)
        return kf_gp_set_status_with_applications(kf_aid_view(aid), locked, apdu);
    return kf_gp_set_locked(kf_aid_view(aid), locked, apdu);
}

static kf_code set_locked(kf_cli *cli, int argc, char **argv, bool locked, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_LOCK,
        .arguments = "[AID]",
        .words_max = 1,
        .about = "Locks or unlocks an application or security domain, or by --card the card."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_aid aid = {0};
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    bool card = options.values[KF_GP_CARD] != NULL;
    if (card == (options.word_count > 0)) return kf_fail(error, KF_ERR_USAGE, "give an AID, or --card");
    if (!card) KF_TRY(kf_gp_aid_of_text(options.words[0], "AID", &aid, error));
    KF_TRY(kf_fail_plain(error, build_set_status(&options, locked, &aid, &apdu)));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    const kf_gp_message message = {.label = "SET STATUS", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send_expecting_success(&session, &message, NULL, error));
    if (card)
        return kf_gp_print(&options, json_pack("{s:s}", "done", locked ? "card locked" : "card unlocked"),
                           locked ? "card locked" : "card unlocked", error);
    return kf_gp_print_aid(&options, locked ? "locked" : "unlocked", kf_aid_view(&aid), error);
}

kf_code kf_gp_run_lock(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    return set_locked(cli, argc, argv, true, error);
}

kf_code kf_gp_run_unlock(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    return set_locked(cli, argc, argv, false, error);
}

/* -- set-state -- */

typedef struct named_state {
    const char *name;
    uint8_t state;
} named_state;

/* Tables 11-3 to 11-6. */
static const named_state card_states[] = {{"initialized", 0x07},
                                          {"secured", CARD_SECURED},
                                          {"locked", CARD_LOCKED},
                                          {"terminated", CARD_TERMINATED}};
static const named_state application_states[] = {
    {"selectable", 0x07}, {"personalized", 0x0F}, {"locked", 0x80}};

static kf_code state_of(const kf_gp_options *options, bool card, uint8_t *ret_state, kf_error *error)
{
    const char *text = options->values[KF_GP_STATE];
    const named_state *names = card ? card_states : application_states;
    size_t count = card ? sizeof card_states / sizeof card_states[0]
                        : sizeof application_states / sizeof application_states[0];
    if (text == NULL) return kf_fail(error, KF_ERR_USAGE, "--state is needed");
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(names[i].name, text) == 0) {
            *ret_state = names[i].state;
            return KF_OK;
        }
    if (kf_hex_decode(text, ret_state, 1) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "--state %.20s: %s, or two hexadecimal digits", text,
                   card ? "initialized, secured, locked or terminated"
                        : "selectable, personalized or locked");
}

kf_code kf_gp_run_set_state(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_STATE,
                                      .arguments = "[AID]",
                                      .words_max = 1,
                                      .about =
                                          "Gives an application, a security domain or by --card the card "
                                          "another life cycle state."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    kf_aid aid = {0};
    uint8_t state = 0;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    bool card = options.values[KF_GP_CARD] != NULL;
    if (card == (options.word_count > 0)) return kf_fail(error, KF_ERR_USAGE, "give an AID, or --card");
    if (!card) KF_TRY(kf_gp_aid_of_text(options.words[0], "AID", &aid, error));
    KF_TRY(state_of(&options, card, &state, error));
    if (card && state == CARD_TERMINATED && options.values[KF_GP_FORCE] == NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "a terminated card never does anything again; say --force if that is what you want");
    KF_TRY(kf_fail_plain(error, kf_gp_set_status(card ? KF_GP_ISSUER_SECURITY_DOMAIN : KF_GP_APPLICATIONS,
                                                 state, kf_aid_view(&aid), &apdu)));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    const kf_gp_message message = {.label = "SET STATUS", .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send_expecting_success(&session, &message, NULL, error));
    char digits[3];
    char text[96];
    (void)snprintf(digits, sizeof digits, "%02X", (unsigned)state);
    (void)snprintf(text, sizeof text, "state %s: %.40s", digits,
                   card ? "card" : kf_hex_show(kf_aid_view(&aid)).text);
    return kf_gp_print(&options,
                       json_pack("{s:s, s:s, s:s}", "done", "set-state", "state", digits, "aid",
                                 card ? "" : kf_hex_show(kf_aid_view(&aid)).text),
                       text, error);
}
