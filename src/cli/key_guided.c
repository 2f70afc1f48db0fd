/* `keyfill key import --guided`: the ceremony at the screen. Officers sit down one after the other; each
 * types a component that nobody sees, and signs it. It can be left and taken up again: what was given is in
 * the vault's memory, and what is known of it here comes from the proposals that were signed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <keyfill/hex.h>

#include "cli/key.h"
#include "cli/screen.h"
#include "crypto/random.h"
#include "vault/key_act_form.h"
#include "wire/json.h"

#define ANSWER_SIZE 128
#define IMPORTS_MAX 16

/* An import as the signed proposals tell it. */
typedef struct begun_import {
    kf_key_act_request request; /* of one component; `sealed` does not hold */
    uint16_t given;             /* bit i - 1 for component i */
} begun_import;

typedef struct ceremony {
    const kf_cli *cli;
    kf_cli_key_options *options;
    kf_cli_signer signer;
    uint8_t box_public[KF_BOX_PUBLIC_SIZE];
    begun_import import;
    size_t count; /* of `begun` */
    begun_import begun[IMPORTS_MAX];
    char answers[5][ANSWER_SIZE]; /* what the options point to */
} ceremony;

static void end_ceremony(ceremony *held)
{
    kf_cli_signer_clear(&held->signer);
}

static unsigned components_given(const begun_import *import)
{
    unsigned count = 0;
    for (unsigned i = 0; i < import->request.component_count; i++)
        count += import->given >> i & 1U;
    return count;
}

static begun_import *import_of(ceremony *held, const kf_key_act_request *request)
{
    for (size_t i = 0; i < held->count; i++)
        if (memcmp(held->begun[i].request.import_id, request->import_id, KF_IMPORT_ID_SIZE) == 0)
            return &held->begun[i];
    if (held->count == IMPORTS_MAX) return NULL;
    begun_import *import = &held->begun[held->count++];
    *import = (begun_import){.request = *request, .given = 0};
    return import;
}

/* From what was signed, not from what the unit says of it. */
static kf_code note_component(ceremony *held, const json_t *row, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_proposal proposal;
    kf_proposal_act act;
    if (strcmp(kf_cli_text(row, "act"), "key.import") != 0 || strcmp(kf_cli_text(row, "state"), "done") != 0)
        return KF_OK;
    KF_TRY(kf_json_base64url(row, "proposal", KF_PROPOSAL_SIZE_MAX, &bytes, error));
    if (kf_proposal_take(kf_buffer_view(&bytes), &proposal) != KF_OK ||
        kf_proposal_act_take(&proposal, &act) != KF_OK || act.kind != KF_PROPOSAL_KEY_ACT ||
        act.key.act != KF_KEY_IMPORT || act.key.component < 1 || act.key.component > KF_KEY_COMPONENTS_MAX)
        return kf_fail(error, KF_ERR_PEER, "the unit lists a proposal that is none");
    act.key.sealed = kf_view_of(NULL, 0);
    begun_import *import = import_of(held, &act.key);
    if (import != NULL) import->given = (uint16_t)(import->given | 1U << (act.key.component - 1));
    return KF_OK;
}

static kf_code find_begun(ceremony *held, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    const kf_cli_call call = {.method = "GET", .path = "/v1/proposals"};
    KF_TRY(kf_cli_call_unit(held->cli, &call, &answer, error));
    const json_t *rows = json_object_get(answer, "proposals");
    for (size_t i = 0; i < json_array_size(rows); i++)
        KF_TRY(note_component(held, json_array_get(rows, i), error));
    return KF_OK;
}

static void say_import(const char *before, const begun_import *import)
{
    const kf_key_entry *entry = &import->request.entry;
    kf_screen_say("%s%s key of category %s, %s of %zu bytes: %u of %u components are given\n", before,
                  kf_key_purpose_name(entry->purpose), entry->category,
                  kf_key_algorithm_name(entry->algorithm), entry->size, components_given(import),
                  import->request.component_count);
}

/* ---- which key ---- */

static kf_code take_named(ceremony *held, kf_error *error)
{
    uint8_t id[KF_IMPORT_ID_SIZE];
    const char *given = held->options->import_id;
    if (kf_hex_decode(given, id, sizeof id) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "--import %.80s: %d hexadecimal digits are wanted", given,
                       2 * KF_IMPORT_ID_SIZE);
    for (size_t i = 0; i < held->count; i++) {
        if (memcmp(held->begun[i].request.import_id, id, sizeof id) != 0) continue;
        held->import = held->begun[i];
        return KF_OK;
    }
    return kf_fail(error, KF_ERR_NOT_FOUND, "no component of import %s was given", given);
}

static kf_code choose_begun(ceremony *held, bool *ret_chosen, kf_error *error)
{
    for (size_t i = 0; i < held->count && !*ret_chosen; i++) {
        const begun_import *import = &held->begun[i];
        if (components_given(import) >= import->request.component_count) continue;
        say_import("\nBegun before: ", import);
        KF_TRY(kf_screen_confirm("go on with it? (yes/no)", ret_chosen, error));
        if (*ret_chosen) held->import = *import;
    }
    return KF_OK;
}

/* A question whose answer takes the place of an option that was not given. */
static kf_code settle(ceremony *held, size_t place, const char *question, const char **option,
                      const char *otherwise, kf_error *error)
{
    char *answer = held->answers[place];
    if (*option != NULL) return KF_OK;
    KF_TRY(kf_screen_ask(question, answer, ANSWER_SIZE, error));
    *option = answer[0] != '\0' ? answer : otherwise;
    return KF_OK;
}

static kf_code settle_number(ceremony *held, const char *question, long *option, long otherwise,
                             kf_error *error)
{
    char *answer = held->answers[4];
    char *end = NULL;
    if (*option != 0) return KF_OK;
    KF_TRY(kf_screen_ask(question, answer, ANSWER_SIZE, error));
    *option = answer[0] == '\0' ? otherwise : strtol(answer, &end, 10);
    if (end != NULL && (*end != '\0' || *option < 1))
        return kf_fail(error, KF_ERR_USAGE, "'%.20s' is no number", answer);
    return KF_OK;
}

/* The act is read as for any import; its component is filled in later. */
static kf_code describe_key(ceremony *held, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *body = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_TRY(kf_cli_key_body(held->options, "import", &body, error));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "state", "pre-active")));
    uint8_t id[KF_IMPORT_ID_SIZE];
    KF_TRY(kf_fail_plain(error, kf_random_bytes(id, sizeof id)));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(body, "import", KF_VIEW(id))));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(body, "components", held->options->components)));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(body, "component", 1)));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(body, "sealed", "00")));
    KF_TRY(kf_key_act_form_read(body, &sealed, &held->import.request, error));
    held->import.given = 0;
    return KF_OK;
}

static kf_code ask_for_key(ceremony *held, kf_error *error)
{
    kf_cli_key_options *options = held->options;
    kf_screen_say("\nA new key. An empty answer takes what stands in brackets.\n");
    KF_TRY(settle(held, 0, "purpose: payment, card-manager, adm or transport [payment]", &options->purpose,
                  "payment", error));
    KF_TRY(settle(held, 1, "category, or the pair of units of a transport key [default]", &options->category,
                  KF_CATEGORY_DEFAULT, error));
    KF_TRY(settle(held, 2, "algorithm: aes, tdes or sm4 [aes]", &options->algorithm, "aes", error));
    long size = strcmp(options->purpose, "transport") == 0 ? 32 : 16;
    KF_TRY(settle_number(held, size == 32 ? "bytes [32]" : "bytes [16]", &options->size, size, error));
    KF_TRY(settle_number(held, "components, each by another officer: 2 to 9 [2]", &options->components, 2,
                         error));
    return describe_key(held, error);
}

static kf_code choose_key(ceremony *held, kf_error *error)
{
    bool chosen = false;
    KF_TRY(find_begun(held, error));
    if (held->options->import_id != NULL) return take_named(held, error);
    KF_TRY(choose_begun(held, &chosen, error));
    return chosen ? KF_OK : ask_for_key(held, error);
}

/* ---- a component ---- */

static unsigned next_component(const begun_import *import)
{
    for (unsigned i = 0; i < import->request.component_count; i++)
        if ((import->given >> i & 1U) == 0) return i + 1;
    return 0;
}

/* Whether it is what stands on the officer's sheet: by its KCV, or typed again. */
static kf_code confirm_component(const ceremony *held, const char *what, const kf_secret *component,
                                 bool *ret_same, kf_error *error)
{
    kf_kcv kcv;
    char sheet[ANSWER_SIZE];
    const kf_key_entry *entry = &held->import.request.entry;
    KF_TRY(kf_fail_plain(error, kf_key_entry_kcv(entry->algorithm, component, &kcv)));
    kf_screen_say("  its KCV is %s\n", kf_kcv_show(kcv).text);
    KF_TRY(kf_screen_ask("the KCV on your sheet (empty: there is none, type the component again)", sheet,
                         sizeof sheet, error));
    if (sheet[0] != '\0') {
        *ret_same = strcasecmp(sheet, kf_kcv_show(kcv).text) == 0;
        return KF_OK;
    }
    KF_CLEANUP(kf_secret_free) kf_secret *again = NULL;
    kf_code code = kf_cli_secret_component(NULL, what, entry->size, &again, error);
    *ret_same = code == KF_OK && kf_secret_equal(component, again);
    return code == KF_ERR_USAGE ? code : KF_OK;
}

/* Asks until there is one that was confirmed. */
static kf_code read_component(const ceremony *held, unsigned number, kf_secret **ret_component,
                              kf_error *error)
{
    char what[64];
    (void)snprintf(what, sizeof what, "component %u of %u, %zu hexadecimal digits (not shown)", number,
                   held->import.request.component_count, 2 * held->import.request.entry.size);
    for (;;) {
        KF_CLEANUP(kf_secret_free) kf_secret *component = NULL;
        bool same = false;
        kf_error slip = {KF_OK, ""};
        kf_code code =
            kf_cli_secret_component(NULL, what, held->import.request.entry.size, &component, &slip);
        if (code == KF_ERR_KEY_SIZE || code == KF_ERR_HEX) {
            kf_screen_say("  %s; type it again\n", kf_error_text(&slip));
            continue;
        }
        if (code != KF_OK) return kf_fail(error, code, "%s", kf_error_text(&slip));
        KF_TRY(confirm_component(held, what, component, &same, error));
        if (same) {
            *ret_component = component;
            component = NULL; /* the caller owns it now */
            return KF_OK;
        }
        kf_screen_say("  they differ; nothing was sent. Type it again\n");
    }
}

static kf_code send_component(ceremony *held, unsigned number, const kf_secret *component,
                              json_t **ret_result, kf_error *error)
{
    kf_proposal_act act;
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_KEY_ACT;
    act.key = held->import.request;
    act.key.component = (uint8_t)number;
    KF_TRY(kf_fail_plain(error, kf_key_component_seal(held->box_public, act.key.import_id, act.key.component,
                                                      component, &sealed)));
    act.key.sealed = kf_buffer_view(&sealed);
    KF_TRY(kf_cli_propose(held->cli, &held->signer, &act, kf_view_of("", 0), &answer, error));
    json_t *result = json_object_get(answer, "result");
    if (!json_is_object(result))
        return kf_fail(error, KF_ERR_PEER, "the component was not taken: the proposal is %s",
                       kf_cli_text(answer, "state"));
    *ret_result = json_incref(result);
    return KF_OK;
}

/* What the vault has, which may be less than what was once given: it forgets when it is started again. */
static void note_present(ceremony *held, const json_t *result)
{
    const json_t *present = json_object_get(result, "present");
    uint16_t given = 0;
    for (size_t i = 0; i < json_array_size(present); i++) {
        json_int_t number = json_integer_value(json_array_get(present, i));
        if (number >= 1 && number <= KF_KEY_COMPONENTS_MAX) given = (uint16_t)(given | 1U << (number - 1));
    }
    if ((held->import.given & ~given) != 0)
        kf_screen_say(
            "  the vault was started again meanwhile: what was given before has to be given again\n");
    held->import.given = given;
}

static kf_code give_component(ceremony *held, json_t **ret_result, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *component = NULL;
    unsigned number = next_component(&held->import);
    kf_screen_say("\nOfficer %s gives component %u of %u. Nobody else looks at the screen and the sheet.\n",
                  held->signer.name, number, held->import.request.component_count);
    KF_TRY(read_component(held, number, &component, error));
    KF_TRY(send_component(held, number, component, ret_result, error));
    kf_screen_say("  taken; the vault says KCV %s\n", kf_cli_text(*ret_result, "component_kcv"));
    note_present(held, *ret_result);
    return KF_OK;
}

/* ---- the next officer, the end ---- */

static kf_code say_how_to_go_on(const ceremony *held, kf_error *error)
{
    char id[2 * KF_IMPORT_ID_SIZE + 1];
    KF_TRY(kf_fail_plain(error, kf_hex_encode(KF_VIEW(held->import.request.import_id), id, sizeof id)));
    kf_screen_say("\nGo on later: keyfill key import --guided --import %s\n", id);
    return KF_OK;
}

/* Another officer sits down. `*ret_going` false: not now. */
static kf_code seat_next(ceremony *held, bool *ret_going, kf_error *error)
{
    char *name = held->answers[0];
    char *key = held->answers[1];
    kf_screen_say("\n%u of %u components are given.\n", components_given(&held->import),
                  held->import.request.component_count);
    KF_TRY(kf_screen_ask("name of the next officer (empty: stop here)", name, ANSWER_SIZE, error));
    *ret_going = name[0] != '\0';
    if (!*ret_going) return say_how_to_go_on(held, error);
    KF_TRY(kf_screen_ask("that officer's key: a file, or pkcs11:URI", key, ANSWER_SIZE, error));
    kf_cli_signer_clear(&held->signer);
    KF_TRY(kf_category_check(name, error));
    memcpy(held->signer.name, name, strlen(name) + 1);
    held->signer.key = strdup(key); /* its passphrase is typed */
    return held->signer.key != NULL ? KF_OK : kf_fail_plain(error, KF_ERR_MEMORY);
}

static kf_code propose_activation(ceremony *held, const json_t *key, kf_error *error)
{
    kf_proposal_act act;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_KEY_ACT;
    act.key.act = KF_KEY_ACTIVATE;
    act.key.entry = held->import.request.entry;
    act.key.entry.version = (uint32_t)json_integer_value(json_object_get(key, "version"));
    act.key.sealed = kf_view_of("", 0);
    if (kf_hex_decode(kf_cli_text(key, "kcv"), act.key.entry.kcv.bytes, KF_KCV_SIZE) != KF_OK)
        return kf_fail(error, KF_ERR_PEER, "the unit gave a key without a KCV");
    KF_TRY(kf_cli_propose(held->cli, &held->signer, &act, kf_view_of("", 0), &answer, error));
    kf_screen_say("\nProposed. Another officer approves it: keyfill proposal approve %s\n",
                  kf_cli_text(answer, "id"));
    return KF_OK;
}

static kf_code end_with_key(ceremony *held, const json_t *key, kf_error *error)
{
    char sheet[ANSWER_SIZE];
    const char *kcv = kf_cli_text(key, "kcv");
    kf_screen_say("\nThe key is whole: %s/%s version %" JSON_INTEGER_FORMAT
                  ", KCV %s. It waits, pre-active.\n",
                  kf_cli_text(key, "purpose"), kf_cli_text(key, "category"),
                  json_integer_value(json_object_get(key, "version")), kcv);
    KF_TRY(kf_screen_ask("the KCV of the whole key, from the sheets (empty: activate it another day)", sheet,
                         sizeof sheet, error));
    if (sheet[0] == '\0') return KF_OK;
    if (strcasecmp(sheet, kcv) != 0)
        return kf_fail(
            error, KF_ERR_CHECK_VALUE,
            "the key's KCV is %s, the sheets say %.20s: it stays pre-active; destroy it (keyfill key "
            "destroy) and enter it again",
            kcv, sheet);
    return propose_activation(held, key, error);
}

static kf_code run(ceremony *held, kf_error *error)
{
    bool going = true;
    KF_TRY(choose_key(held, error));
    say_import("\n", &held->import);
    if (next_component(&held->import) == 0)
        return kf_fail(error, KF_ERR_STATE, "all components of this key were given");
    while (going) {
        KF_CLEANUP(kf_json_free) json_t *result = NULL;
        KF_TRY(give_component(held, &result, error));
        const json_t *key = json_object_get(result, "key");
        if (key != NULL) return end_with_key(held, key, error);
        KF_TRY(seat_next(held, &going, error));
    }
    return KF_OK;
}

kf_code kf_cli_key_guided(const kf_cli *cli, kf_cli_key_options *options, kf_error *error)
{
    KF_CLEANUP(kf_free_pointer) ceremony *held = calloc(1, sizeof *held);
    if (held == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    held->cli = cli;
    held->options = options;
    kf_code code = kf_cli_signer_find(cli, &options->officer, &held->signer, error);
    if (code == KF_OK && held->signer.key == NULL)
        code = kf_fail(error, KF_ERR_USAGE,
                       "a ceremony takes an officer's key: --officer-key FILE, or officer_key in the "
                       "configuration");
    if (code == KF_OK) code = kf_cli_key_box(cli, held->box_public, error);
    if (code == KF_OK) code = run(held, error);
    end_ceremony(held);
    return code;
}
