#include "kmu/categories.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kmu/listing.h"
#include "kmu/profiles.h"
#include "vault/key_entry.h"
#include "wire/config.h"
#include "wire/json.h"

/* The text as libcyaml reads it. */
typedef struct rule_text {
    char **prefixes;
    unsigned prefixes_count;
    uint8_t length_min;
    uint8_t length_max;
    bool hexadecimal;
    bool check_digit;
} rule_text;

typedef struct category_text {
    char *name;
    char *description;
    char *profile;
    rule_text *number;
    rule_text *iccid;
} category_text;

static const cyaml_schema_value_t prefix_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, KF_NUMBER_SIZE - 1),
};
static const cyaml_schema_field_t rule_fields[] = {
    CYAML_FIELD_SEQUENCE("prefixes", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, rule_text, prefixes,
                         &prefix_schema, 0, KF_CATEGORY_PREFIXES_MAX),
    CYAML_FIELD_UINT("length_min", CYAML_FLAG_OPTIONAL, rule_text, length_min),
    CYAML_FIELD_UINT("length_max", CYAML_FLAG_OPTIONAL, rule_text, length_max),
    CYAML_FIELD_BOOL("hexadecimal", CYAML_FLAG_OPTIONAL, rule_text, hexadecimal),
    CYAML_FIELD_BOOL("check_digit", CYAML_FLAG_OPTIONAL, rule_text, check_digit),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t category_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, category_text, name, 1, KF_NAME_SIZE - 1),
    CYAML_FIELD_STRING_PTR("description", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, category_text,
                           description, 0, 1024),
    CYAML_FIELD_STRING_PTR("profile", CYAML_FLAG_POINTER, category_text, profile, 1, KF_NAME_SIZE - 1),
    CYAML_FIELD_MAPPING_PTR("number", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, category_text, number,
                            rule_fields),
    CYAML_FIELD_MAPPING_PTR("iccid", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, category_text, iccid,
                            rule_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t category_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, category_text, category_fields),
};

typedef struct loaded_category {
    kf_category category;
    category_text *text; /* prefixes are read from it */
} loaded_category;

struct kf_categories {
    pthread_mutex_t lock;
    loaded_category *items;
    size_t count;
};

static void read_rule(const rule_text *text, const kf_number_rule *standard, kf_number_rule *rule)
{
    *rule = *standard;
    if (text == NULL) return;
    if (text->length_min != 0) rule->length_min = text->length_min;
    if (text->length_max != 0) rule->length_max = text->length_max;
    rule->hexadecimal = text->hexadecimal;
    rule->check_digit = text->check_digit;
}

static kf_code check_rule(const char *what, const kf_number_rule *rule, kf_error *error)
{
    if (rule->length_min <= rule->length_max && rule->length_max < KF_NUMBER_SIZE) return KF_OK;
    return kf_fail(error, KF_ERR_CATEGORY,
                   "category: %s: length_min %zu and length_max %zu do not go together (at most %d)", what,
                   rule->length_min, rule->length_max, KF_NUMBER_SIZE - 1);
}

/* A prefix that no number of the rule can begin with is a slip. */
static kf_code check_prefixes(const char *what, const rule_text *text, const kf_number_rule *rule,
                              kf_error *error)
{
    const char *alphabet = rule->hexadecimal ? "0123456789ABCDEF" : "0123456789";
    for (unsigned i = 0; text != NULL && i < text->prefixes_count; i++) {
        const char *prefix = text->prefixes[i];
        size_t size = strlen(prefix);
        if (size == 0 || size > rule->length_max || strspn(prefix, alphabet) != size)
            return kf_fail(error, KF_ERR_CATEGORY, "category: %s: the prefix \"%s\" is not 1 to %zu of %s",
                           what, prefix, rule->length_max, alphabet);
    }
    return KF_OK;
}

static kf_code check_loaded(const char *name, const loaded_category *loaded, kf_error *error)
{
    const category_text *text = loaded->text;
    const kf_category *category = &loaded->category;
    KF_TRY(kf_category_check(text->name, error));
    if (strcmp(text->name, name) != 0)
        return kf_fail(error, KF_ERR_FIELD, "category: the text names \"%s\", the request \"%s\"", text->name,
                       name);
    if (kf_category_check(text->profile, error) != KF_OK) return kf_error_prefix(error, "category: profile");
    KF_TRY(check_rule("number", &category->number, error));
    KF_TRY(check_rule("iccid", &category->iccid, error));
    KF_TRY(check_prefixes("number", text->number, &category->number, error));
    return check_prefixes("iccid", text->iccid, &category->iccid, error);
}

static kf_code load_one(const char *name, kf_view text, loaded_category *ret_loaded, kf_error *error)
{
    if (text.size > KF_CATEGORY_TEXT_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "category %s: %zu bytes; at most %d are taken", name,
                       text.size, KF_CATEGORY_TEXT_MAX);
    void *config = NULL;
    kf_error reason = {KF_OK, ""};
    kf_code code = kf_config_parse("category", text, &category_schema, &config, &reason);
    /* The text comes from a caller, not from a file of ours. */
    if (code == KF_ERR_CONFIGURATION) code = KF_ERR_FIELD;
    if (code != KF_OK) return kf_fail(error, code, "%s", kf_error_text(&reason));
    loaded_category loaded = {.text = config};
    read_rule(loaded.text->number, &kf_number_rule_msisdn, &loaded.category.number);
    read_rule(loaded.text->iccid, &kf_number_rule_iccid, &loaded.category.iccid);
    code = check_loaded(name, &loaded, error);
    if (code == KF_OK)
        code = kf_text_copy(loaded.category.name, sizeof loaded.category.name, loaded.text->name);
    if (code == KF_OK)
        code = kf_text_copy(loaded.category.profile, sizeof loaded.category.profile, loaded.text->profile);
    if (code != KF_OK) {
        kf_config_free(&category_schema, &config);
        return code;
    }
    *ret_loaded = loaded;
    return KF_OK;
}

static void free_loaded(loaded_category *loaded)
{
    void *config = loaded->text;
    kf_config_free(&category_schema, &config);
}

kf_code kf_category_read(const char *name, kf_view text, kf_category *ret_category, kf_error *error)
{
    loaded_category loaded;
    KF_TRY(kf_fail_plain(error, load_one(name, text, &loaded, error)));
    *ret_category = loaded.category;
    free_loaded(&loaded);
    return KF_OK;
}

/* Where the category of that name stands, or is to stand: there is room for it then. */
static kf_code find_place(kf_categories *categories, const char *name, size_t *ret_place, kf_error *error)
{
    size_t place = 0;
    while (place < categories->count && strcmp(categories->items[place].category.name, name) != 0)
        place++;
    if (place == KF_CATEGORIES_MAX)
        return kf_fail(error, KF_ERR_CATEGORY, "category %s: there are %d already; no more are possible",
                       name, KF_CATEGORIES_MAX);
    if (place == categories->count) {
        loaded_category *items = realloc(categories->items, (place + 1) * sizeof *items);
        if (items == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
        categories->items = items;
    }
    *ret_place = place;
    return KF_OK;
}

static void put_at(kf_categories *categories, size_t place, const loaded_category *loaded)
{
    if (place < categories->count)
        free_loaded(&categories->items[place]);
    else
        categories->count++;
    categories->items[place] = *loaded;
}

kf_code kf_categories_load(kf_database *database, kf_categories **ret_categories, kf_error *error)
{
    kf_categories *categories = calloc(1, sizeof *categories);
    if (categories == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    pthread_mutex_init(&categories->lock, NULL);
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    kf_code code = kf_database_query(database, "SELECT name, text FROM categories ORDER BY name",
                                     KF_NO_VALUES, &rows, error);
    bool row = false;
    while (code == KF_OK && (code = kf_rows_next(rows, &row, error)) == KF_OK && row) {
        loaded_category loaded;
        const char *name = kf_rows_text(rows, 0);
        code = load_one(name, kf_view_of_text(kf_rows_text(rows, 1)), &loaded, error);
        if (code != KF_OK) break;
        size_t place = 0;
        code = find_place(categories, name, &place, error);
        if (code == KF_OK)
            put_at(categories, place, &loaded);
        else
            free_loaded(&loaded);
    }
    if (code != KF_OK) {
        kf_categories_free(&categories);
        return kf_fail_plain(error, code);
    }
    *ret_categories = categories;
    return KF_OK;
}

void kf_categories_free(kf_categories **categories)
{
    if (*categories == NULL) return;
    for (size_t i = 0; i < (*categories)->count; i++)
        free_loaded(&(*categories)->items[i]);
    free((*categories)->items);
    pthread_mutex_destroy(&(*categories)->lock);
    free(*categories);
    *categories = NULL;
}

kf_code kf_categories_by_name(kf_categories *categories, const char *name, kf_category *ret_category,
                              kf_error *error)
{
    kf_code code = KF_ERR_CATEGORY;
    pthread_mutex_lock(&categories->lock);
    for (size_t i = 0; i < categories->count && code != KF_OK; i++) {
        if (strcmp(categories->items[i].category.name, name) != 0) continue;
        *ret_category = categories->items[i].category;
        code = KF_OK;
    }
    pthread_mutex_unlock(&categories->lock);
    if (code == KF_OK) return KF_OK;
    return kf_fail(error, code,
                   "there is no category \"%s\"; add it with keyfill category put, or leave it out", name);
}

/* The length of the longest of the rule's prefixes that `value` starts with; 0: none. */
static size_t longest_prefix(const rule_text *rule, const char *value)
{
    size_t longest = 0;
    for (unsigned i = 0; rule != NULL && i < rule->prefixes_count; i++) {
        size_t size = strlen(rule->prefixes[i]);
        if (size > longest && strncmp(value, rule->prefixes[i], size) == 0) longest = size;
    }
    return longest;
}

static const loaded_category *find_by_prefix(const kf_categories *categories, bool by_number,
                                             const char *value)
{
    const loaded_category *found = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < categories->count; i++) {
        const category_text *text = categories->items[i].text;
        size_t size = longest_prefix(by_number ? text->number : text->iccid, value);
        if (size == 0 || size < longest) continue;
        const loaded_category *item = &categories->items[i];
        /* Of two with the same prefix the first by name, whichever was recorded first. */
        if (size == longest && strcmp(item->category.name, found->category.name) > 0) continue;
        longest = size;
        found = item;
    }
    return found;
}

kf_code kf_categories_by_prefix(kf_categories *categories, const char *number, const char *iccid,
                                kf_category *ret_category, kf_error *error)
{
    pthread_mutex_lock(&categories->lock);
    const loaded_category *found = find_by_prefix(categories, true, number);
    if (found == NULL) found = find_by_prefix(categories, false, iccid);
    if (found != NULL) *ret_category = found->category;
    pthread_mutex_unlock(&categories->lock);
    if (found != NULL) return KF_OK;
    return kf_fail(error, KF_ERR_CATEGORY,
                   "no category has a prefix of number \"%s\" or ICCID \"%s\"; name the category, or add a "
                   "prefix to one",
                   number, iccid);
}

kf_code kf_handle_category_list(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error)
{
    (void)request;
    static const kf_listed_column columns[] = {{"name", false}, {"text", false}, {NULL, false}};
    return kf_listing_answer(context, "categories", "SELECT name, text FROM categories ORDER BY name",
                             columns, &response->json, error);
}

typedef struct text_row {
    kf_kmu *kmu;
    const char *name;
    const char *profile;
    const char *text;
    const char *caller;
} text_row;

static kf_code write_category(kf_database *database, void *context, kf_error *error)
{
    const text_row *row = context;
    KF_CLEANUP(kf_buffer_clear) kf_buffer profile = KF_BUFFER_INIT;
    KF_TRY(kf_profile_text(database, row->profile, &profile, error));
    kf_value now = kf_value_integer(kf_kmu_now(row->kmu));
    KF_TRY(kf_database_execute(database, "DELETE FROM categories WHERE name = $1",
                               KF_VALUES(kf_value_text(row->name)), NULL, error));
    KF_TRY(kf_database_execute(database, "INSERT INTO categories (name, text, updated) VALUES ($1, $2, $3)",
                               KF_VALUES(kf_value_text(row->name), kf_value_text(row->text), now), NULL,
                               error));
    const kf_audit_event event = {
        .actor = row->caller,
        .action = "category.put",
        .subject = row->name,
        .outcome = "ok",
        .detail = "category recorded",
    };
    return kf_kmu_append_audit(row->kmu, database, &event, error);
}

/* Table and memory change together, one category after the other: locked over the transaction. */
static kf_code put_loaded(kf_categories *categories, text_row *row, const loaded_category *loaded,
                          kf_error *error)
{
    size_t place = 0;
    pthread_mutex_lock(&categories->lock);
    kf_code code = find_place(categories, row->name, &place, error);
    if (code == KF_OK) code = kf_database_write(row->kmu->front.database, write_category, row, error);
    if (code == KF_OK) put_at(categories, place, loaded);
    pthread_mutex_unlock(&categories->lock);
    return code;
}

kf_code kf_handle_category_put(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error)
{
    kf_kmu *kmu = context;
    static const char *const members[] = {"text", NULL};
    const char *name = kf_http_path_parameter(request, "name");
    const char *text;
    KF_TRY(kf_json_only(request->json, members, error));
    json_t *member = json_object_get(request->json, "text");
    if (!json_is_string(member))
        return kf_fail(error, KF_ERR_FIELD, "text: the category's YAML text is needed");
    text = json_string_value(member);
    loaded_category loaded;
    KF_TRY(load_one(name, kf_view_of_text(text), &loaded, error));
    kf_caller_text caller = kf_caller_show(request->caller);
    text_row row = {kmu, name, loaded.category.profile, text, caller.text};
    kf_code code = put_loaded(kmu->categories, &row, &loaded, error);
    if (code != KF_OK) {
        free_loaded(&loaded);
        return code;
    }
    response->json = json_object();
    return kf_json_set_text(response->json, "name", name);
}
