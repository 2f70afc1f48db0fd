#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/named_thing.h"
#include "cli/words.h"
#include "wire/config.h"
#include "wire/json.h"

#define CATEGORY_TEXT_MAX ((size_t)16384) /* what the key management unit takes */
#define CATEGORY_NAME_MAX 64

/* The name is needed for the route; the key management unit reads the rest. */
typedef struct category_text {
    char *name;
} category_text;

static const cyaml_schema_field_t category_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, category_text, name, 1, CATEGORY_NAME_MAX),
    CYAML_FIELD_IGNORE("description", CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_IGNORE("profile", CYAML_FLAG_DEFAULT),
    CYAML_FIELD_IGNORE("number", CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_IGNORE("iccid", CYAML_FLAG_OPTIONAL),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t category_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, category_text, category_fields),
};

/* `*ret_name` is the caller's, by free(). */
static kf_code read_category(const char *path, kf_buffer *text, char **ret_name, kf_error *error)
{
    void *loaded = NULL;
    KF_TRY(kf_file_read(path, CATEGORY_TEXT_MAX, text, error));
    KF_TRY(kf_config_parse(path, kf_buffer_view(text), &category_schema, &loaded, error));
    char *name = strdup(((const category_text *)loaded)->name);
    kf_config_free(&category_schema, &loaded);
    if (name == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    *ret_name = name;
    return KF_OK;
}

static kf_code put(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Puts the category in FILE, in the place of one of the same name.",
                          .names = {"FILE"}};
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) char *name = NULL;
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    KF_TRY(read_category(words.words[0], &text, &name, error));
    return kf_cli_named_thing_put_text(cli, "categories", name, &text, error);
}

static kf_code list(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    kf_cli_words words = {.about = "Lists the categories of the key management unit; --json gives their "
                                   "texts too."};
    static const char *const columns[] = {"name", NULL};
    KF_CLEANUP(kf_json_free) json_t *categories = NULL;
    KF_TRY(kf_cli_words_parse(cli, &words, argc, argv, error));
    KF_TRY(kf_cli_named_thing_list(cli, "categories", &categories, error));
    if (categories != NULL) kf_cli_print_table(categories, columns);
    return KF_OK;
}

kf_code kf_cli_category(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"put", "put a category", put},
        {"list", "list categories", list},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Manages the categories of cards at the key management unit.", argc, argv, error);
}
