#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "wire/http_client.h"
#include "wire/json.h"

#define KEY_CATEGORY 3601
#define KEY_BASE_KEY 3602
#define KEY_VERSION 3603
#define KEY_OUTPUT 3604
#define CARDS_AT_ONCE 1000
#define IDENTITY_MAX 71 /* characters of a card's identity */

typedef struct list_options {
    const char *category;
    const char *base_key;
    const char *key_version;
    const char *output;
} list_options;

static error_t parse_list(int key, char *argument, struct argp_state *state)
{
    list_options *options = state->input;
    switch (key) {
    case KEY_CATEGORY: options->category = argument; return 0;
    case KEY_BASE_KEY: options->base_key = argument; return 0;
    case KEY_VERSION: options->key_version = argument; return 0;
    case KEY_OUTPUT: options->output = argument; return 0;
    case ARGP_KEY_ARG: kf_cli_usage(state, "'%.40s': no arguments are taken", argument);
    case ARGP_KEY_END:
        if (options->key_version == NULL) kf_cli_usage(state, "--key-version is needed");
        if (options->category == NULL && options->base_key == NULL)
            kf_cli_usage(state, "--category or --base-key is needed");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void add_parameter(kf_buffer *path, const char *name, const char *value)
{
    if (value == NULL) return;
    kf_buffer_format(path, "&%s=", name);
    kf_http_escape(path, value);
}

static kf_code fetch_page(const kf_cli *cli, const list_options *options, const char *after,
                          json_t **ret_page, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    kf_buffer_format(&path, "/v1/cards?limit=%d", CARDS_AT_ONCE);
    add_parameter(&path, "category", options->category);
    add_parameter(&path, "base_key", options->base_key);
    add_parameter(&path, "key_version", options->key_version);
    if (after[0] != '\0') add_parameter(&path, "after", after);
    const char *text = kf_buffer_text(&path);
    if (text == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_TRY(kf_cli_call_unit(cli, &(kf_cli_call){.method = "GET", .path = text}, ret_page, error));
    if (*ret_page == NULL) return kf_fail(error, KF_ERR_PEER, "the unit gave an empty answer");
    return KF_OK;
}

/* None of the values can hold a comma or a quotation mark; what does is not from a key management unit. */
static kf_code write_card(FILE *file, const json_t *card, kf_error *error)
{
    static const char *const texts[] = {"number", "iccid", "category"};
    int64_t version = 0;
    KF_TRY(kf_json_integer(card, "key_version", (kf_json_range){1, UINT32_MAX}, &version, error));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *text = kf_cli_text(card, texts[i]);
        if (strpbrk(text, ",\"\r\n") != NULL)
            return kf_fail(error, KF_ERR_PEER, "%s: \"%.40s\" does not fit a list", texts[i], text);
        (void)fprintf(file, "%s,", text);
    }
    if (fprintf(file, "%lld\n", (long long)version) < 0)
        return kf_fail(error, KF_ERR_FILE, "the list cannot be written: %s", strerror(errno));
    return KF_OK;
}

/* A page at a time, so that the list may be as long as it likes. */
static kf_code write_list(const kf_cli *cli, const list_options *options, FILE *file, kf_error *error)
{
    char after[IDENTITY_MAX + 1] = "";
    bool more = true;
    (void)fputs("number,iccid,category,key_version\n", file);
    while (more) {
        KF_CLEANUP(kf_json_free) json_t *page = NULL;
        json_t *cards = NULL;
        KF_TRY(fetch_page(cli, options, after, &page, error));
        KF_TRY(kf_json_array(page, "cards", CARDS_AT_ONCE, &cards, error));
        for (size_t i = 0; i < json_array_size(cards); i++)
            KF_TRY(write_card(file, json_array_get(cards, i), error));
        const char *next = kf_cli_text(page, "next");
        more = next[0] != '\0';
        if (strlen(next) > IDENTITY_MAX || (more && strcmp(next, after) <= 0))
            return kf_fail(error, KF_ERR_PEER, "the unit's list does not go on behind card %.80s", after);
        memcpy(after, next, strlen(next) + 1);
    }
    if (fflush(file) != 0)
        return kf_fail(error, KF_ERR_FILE, "the list cannot be written: %s", strerror(errno));
    return KF_OK;
}

kf_code kf_cli_refill_list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"category", KEY_CATEGORY, "NAME", 0, "cards of this category", 1},
        {"base-key", KEY_BASE_KEY, "NAME", 0,
         "cards whose key comes from the base key of this category (\"default\" serves many)", 1},
        {"key-version", KEY_VERSION, "NUMBER", 0, "cards whose key comes from this version of their base key",
         1},
        {"output", KEY_OUTPUT, "FILE", 0, "where to, a new file (default: standard output)", 1},
        {0},
    };
    static const struct argp argp = {
        options,
        parse_list,
        NULL,
        "Writes the cards that still have a key of a base key's version, to be refilled, as a table with "
        "commas: number, ICCID, category, key version. keyfill key show counts them.",
        NULL,
        NULL,
        NULL};
    list_options wanted = {.category = NULL};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &wanted, error));
    if (wanted.output == NULL) return write_list(cli, &wanted, stdout, error);
    FILE *file = fopen(wanted.output, "wxe");
    if (file == NULL) return kf_fail(error, KF_ERR_FILE, "%s: %s", wanted.output, strerror(errno));
    kf_code code = write_list(cli, &wanted, file, error);
    if (fclose(file) != 0 && code == KF_OK)
        code = kf_fail(error, KF_ERR_FILE, "%s: %s", wanted.output, strerror(errno));
    if (code != KF_OK) (void)remove(wanted.output);
    return code;
}
