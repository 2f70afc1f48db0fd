/* Keys that people bring as components, and transport keys. A component is sealed to the vault's public key
 * here: the unit's front passes on what it cannot read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>

#include "cli/key.h"
#include "crypto/random.h"
#include "wire/json.h"

typedef struct component_ceremony {
    const kf_cli *cli;
    const kf_cli_key_options *options;
    uint8_t box_public[KF_BOX_PUBLIC_SIZE];
    uint8_t import_id[KF_IMPORT_ID_SIZE];
    kf_algorithm algorithm;
    size_t size;
    long components;
    json_t *body;          /* of every call, but for the component */
    kf_cli_signer officer; /* its key NULL: on the certificate's word */
} component_ceremony;

static kf_code settle_size(component_ceremony *ceremony, kf_error *error)
{
    const kf_cli_key_options *options = ceremony->options;
    ceremony->algorithm = KF_AES;
    if (options->algorithm != NULL &&
        kf_key_algorithm_from_name(options->algorithm, &ceremony->algorithm) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "--algorithm %s: take aes, tdes or sm4", options->algorithm);
    bool long_key = strcmp(options->purpose, "transport") == 0 || strcmp(options->purpose, "group") == 0;
    ceremony->size = options->size != 0 ? (size_t)options->size : long_key ? 32 : 16;
    if (!kf_key_size_fits(ceremony->algorithm, ceremony->size))
        return kf_fail(error, KF_ERR_KEY_SIZE, "--size %zu does not fit the algorithm", ceremony->size);
    return KF_OK;
}

static kf_code settle_import(component_ceremony *ceremony, kf_error *error)
{
    const char *given = ceremony->options->import_id;
    ceremony->components = ceremony->options->components != 0 ? ceremony->options->components : 2;
    if (ceremony->components < KF_KEY_COMPONENTS_MIN)
        return kf_fail(error, KF_ERR_USAGE, "--components: %d to %d are possible", KF_KEY_COMPONENTS_MIN,
                       KF_KEY_COMPONENTS_MAX);
    if (given == NULL) return kf_fail_plain(error, kf_random_bytes(ceremony->import_id, KF_IMPORT_ID_SIZE));
    if (kf_hex_decode(given, ceremony->import_id, KF_IMPORT_ID_SIZE) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE, "--import %.80s: %d hexadecimal digits are wanted", given,
                       2 * KF_IMPORT_ID_SIZE);
    return KF_OK;
}

static void end_ceremony(component_ceremony *ceremony)
{
    kf_json_free(&ceremony->body);
    kf_cli_signer_clear(&ceremony->officer);
}

static kf_code begin_ceremony(component_ceremony *ceremony, kf_error *error)
{
    KF_TRY(kf_cli_key_body(ceremony->options, "import", &ceremony->body, error));
    KF_TRY(settle_size(ceremony, error));
    KF_TRY(settle_import(ceremony, error));
    KF_TRY(kf_cli_signer_find(ceremony->cli, &ceremony->options->officer, &ceremony->officer, error));
    /* Until officers have confirmed its KCV. */
    if (ceremony->officer.key != NULL && ceremony->options->state == NULL)
        KF_TRY(kf_fail_plain(error, kf_json_set_text(ceremony->body, "state", "pre-active")));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(ceremony->body, "import", KF_VIEW(ceremony->import_id))));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(ceremony->body, "components", ceremony->components)));
    return kf_cli_key_box(ceremony->cli, ceremony->box_public, error);
}

/* The vault's check value against our own: what arrived is what was typed. */
static kf_code compare_check_value(const component_ceremony *ceremony, const kf_secret *component,
                                   const json_t *answer, kf_error *error)
{
    kf_kcv own;
    KF_TRY(kf_fail_plain(error, kf_key_entry_kcv(ceremony->algorithm, component, &own)));
    const char *stated = kf_cli_text(answer, "component_kcv");
    if (strcmp(stated, kf_kcv_show(own).text) == 0) return KF_OK;
    return kf_fail(error, KF_ERR_CHECK_VALUE, "the component has KCV %s, the vault says %s",
                   kf_kcv_show(own).text, stated);
}

/* A component is signed by the one officer who gives it; the vault takes each from another. */
static kf_code propose_component(component_ceremony *ceremony, json_t **ret_answer, kf_error *error)
{
    kf_proposal_act act;
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(kf_cli_key_act_of(ceremony->cli, ceremony->options, ceremony->body, &sealed, &act, error));
    KF_TRY(kf_cli_propose(ceremony->cli, &ceremony->officer, &act, kf_view_of("", 0), &answer, error));
    json_t *result = json_object_get(answer, "result");
    if (!json_is_object(result))
        return kf_fail(error, KF_ERR_PEER, "the component was not taken: the proposal is %s",
                       kf_cli_text(answer, "state"));
    *ret_answer = json_incref(result);
    return KF_OK;
}

static kf_code send_component(component_ceremony *ceremony, json_t **ret_answer, kf_error *error)
{
    if (ceremony->officer.key != NULL) return propose_component(ceremony, ret_answer, error);
    return kf_cli_key_post(ceremony->cli, ceremony->body, ret_answer, error);
}

static kf_code enter_component(component_ceremony *ceremony, long number, const kf_secret *component,
                               json_t **ret_answer, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_key_component_seal(ceremony->box_public, ceremony->import_id,
                                                      (uint8_t)number, component, &sealed)));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(ceremony->body, "component", number)));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(ceremony->body, "sealed", kf_buffer_view(&sealed))));
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_TRY(send_component(ceremony, &answer, error));
    KF_TRY(compare_check_value(ceremony, component, answer, error));
    if (!ceremony->cli->json)
        printf("component %ld of %ld: KCV %s\n", number, ceremony->components,
               kf_cli_text(answer, "component_kcv"));
    *ret_answer = answer;
    answer = NULL; /* the caller owns it now */
    return KF_OK;
}

static kf_code show_progress(const component_ceremony *ceremony, json_t *answer, kf_error *error)
{
    if (json_object_get(answer, "key") != NULL) return kf_cli_key_print(ceremony->cli, answer, error);
    char id[2 * KF_IMPORT_ID_SIZE + 1];
    KF_TRY(kf_fail_plain(error, kf_hex_encode(KF_VIEW(ceremony->import_id), id, sizeof id)));
    if (ceremony->cli->json) {
        KF_TRY(kf_fail_plain(error, kf_json_set_text(answer, "import", id)));
        return kf_cli_print_json(answer, error);
    }
    printf("%zu of %ld components are there; go on with the same options and --import %s --first N\n",
           json_array_size(json_object_get(answer, "present")), ceremony->components, id);
    return KF_OK;
}

/* Enters what files or people give: with files as many as there are, else all from the first on. */
static kf_code enter_given(component_ceremony *ceremony, kf_error *error)
{
    const kf_cli_key_options *options = ceremony->options;
    long first = options->first != 0 ? options->first : 1;
    /* An officer has one component. */
    long all = ceremony->officer.key != NULL ? 1 : ceremony->components - first + 1;
    long count = options->component_file_count != 0 ? (long)options->component_file_count : all;
    if (count < 1 || first + count - 1 > ceremony->components)
        return kf_fail(error, KF_ERR_USAGE, "component %ld to %ld of a key of %ld", first, first + count - 1,
                       ceremony->components);
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    for (long i = 0; i < count; i++) {
        char what[64];
        const char *path = options->component_file_count != 0 ? options->component_files[i] : NULL;
        (void)snprintf(what, sizeof what, "component %ld of %ld", first + i, ceremony->components);
        KF_CLEANUP(kf_secret_free) kf_secret *component = NULL;
        KF_TRY(kf_cli_secret_component(path, what, ceremony->size, &component, error));
        kf_json_free(&answer);
        KF_TRY(enter_component(ceremony, first + i, component, &answer, error));
    }
    return show_progress(ceremony, answer, error);
}

kf_code kf_cli_key_import(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {
        KF_CLI_KEY_NEW | KF_CLI_KEY_COMPONENTS | KF_CLI_KEY_OFFICER | KF_CLI_KEY_GUIDED, NULL,
        "Enters a base key as components that different people hold; the key is their exclusive or."};
    kf_cli_key_options options;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    if (options.guided) return kf_cli_key_guided(cli, &options, error);
    KF_CLEANUP(end_ceremony) component_ceremony ceremony = {.cli = cli, .options = &options};
    KF_TRY(begin_ceremony(&ceremony, error));
    return enter_given(&ceremony, error);
}

static void print_digits(const kf_secret *component)
{
    kf_view bytes = kf_secret_expose(component);
    for (size_t i = 0; i < bytes.size; i++)
        printf("%02X%s", bytes.data[i], i % 4 == 3 && i + 1 < bytes.size ? " " : "");
}

/* Printed for the person who carries it to the other unit; this is the one place that shows a component. */
static kf_code print_component(const component_ceremony *ceremony, long number, const kf_secret *component,
                               kf_error *error)
{
    kf_kcv kcv;
    KF_TRY(kf_fail_plain(error, kf_key_entry_kcv(KF_AES, component, &kcv)));
    printf("transport key %s, for person %ld:\n  ", ceremony->options->word, number);
    print_digits(component);
    printf("\n  KCV %s\n", kf_kcv_show(kcv).text);
    return KF_OK;
}

static kf_code create_components(component_ceremony *ceremony, kf_error *error)
{
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    KF_CLEANUP(kf_json_free) json_t *shown = json_array();
    long first = ceremony->options->first != 0 ? ceremony->options->first : 1;
    long last = ceremony->officer.key != NULL ? first : ceremony->components;
    for (long number = first; number <= last; number++) {
        KF_CLEANUP(kf_secret_free) kf_secret *component = NULL;
        KF_TRY(kf_fail_plain(error, kf_random_secret(ceremony->size, &component)));
        kf_json_free(&answer);
        KF_TRY(enter_component(ceremony, number, component, &answer, error));
        if (!ceremony->cli->json) KF_TRY(print_component(ceremony, number, component, error));
        KF_TRY(kf_fail_plain(error, kf_json_set_hex(ceremony->body, "sealed", kf_secret_expose(component))));
        json_t *digits = json_object_get(ceremony->body, "sealed");
        KF_TRY(kf_fail_plain(error, kf_json_append(shown, json_incref(digits))));
    }
    if (ceremony->cli->json)
        KF_TRY(kf_fail_plain(error, kf_json_set(answer, "components", json_incref(shown))));
    return show_progress(ceremony, answer, error);
}

static kf_code run_transport(kf_cli *cli, kf_cli_key_options *options, bool create, kf_error *error)
{
    options->purpose = "transport";
    options->category = options->word;
    KF_CLEANUP(end_ceremony) component_ceremony ceremony = {.cli = cli, .options = options};
    KF_TRY(begin_ceremony(&ceremony, error));
    return create ? create_components(&ceremony, error) : enter_given(&ceremony, error);
}

static kf_code transport_create(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {
        KF_CLI_KEY_PARTS | KF_CLI_KEY_OFFICER | KF_CLI_KEY_TRANSPORT, "PAIR",
        "Makes a transport key as two random components, enters it, and prints the components for two "
        "people, who enter them at the other unit (keyfill key transport enter PAIR). An officer "
        "makes one of them, another officer the next (--import, --first). Compare the KCVs."};
    kf_cli_key_options options;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    return run_transport(cli, &options, true, error);
}

static kf_code transport_enter(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_key_usage usage = {
        KF_CLI_KEY_COMPONENTS | KF_CLI_KEY_OFFICER | KF_CLI_KEY_TRANSPORT, "PAIR",
        "Enters the components of a transport key that was made at the other unit. Compare the KCVs."};
    kf_cli_key_options options;
    KF_TRY(kf_cli_key_parse(cli, &usage, argc, argv, &options, error));
    return run_transport(cli, &options, false, error);
}

kf_code kf_cli_key_transport(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"create", "make one here and print its components for the other side", transport_create},
        {"enter", "enter the components of one made at the other side", transport_enter},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "The key that protects base keys between two units.", argc, argv, error);
}
