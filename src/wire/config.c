#include "wire/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

#define MESSAGE_SIZE 256
#define PLACE_SIZE 160
#define KNOWN_SIZE 320
#define DEPTH_MAX 8 /* mappings in mappings whose names are shown */
#define KEY_SIZE 64 /* bytes of a key that is compared with the known ones */

/* What libcyaml tells through its log: one message, then where it was, the innermost place first. */
typedef struct parse_report {
    char message[MESSAGE_SIZE];
    char fields[DEPTH_MAX][KEY_SIZE]; /* "" for sequence entries and mappings as such */
    size_t depth;
    unsigned line; /* of the innermost place; 0: not told */
} parse_report;

static void note_place(parse_report *report, const char *text)
{
    unsigned line = 0;
    const char *told = strstr(text, "(line: ");
    if (told != NULL && sscanf(told, "(line: %u", &line) == 1 && report->line == 0) report->line = line;
    if (report->depth == DEPTH_MAX) return;
    char field[KEY_SIZE] = "";
    if (sscanf(text, " in mapping field '%63[^']'", field) == 1)
        memcpy(report->fields[report->depth++], field, sizeof field);
}

static void note(cyaml_log_t level, void *context, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
static void note(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    (void)level;
    parse_report *report = context;
    char text[MESSAGE_SIZE];
    if (vsnprintf(text, sizeof text, format, arguments) < 0) return;
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, "  in ", 5) == 0) {
        note_place(report, text);
        return;
    }
    const char *message = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
    if (strcmp(message, "Backtrace:") != 0 && report->message[0] == '\0')
        memcpy(report->message, message, strlen(message) + 1);
}

static cyaml_config_t library_settings(parse_report *report)
{
    return (cyaml_config_t){
        .log_fn = report != NULL ? note : NULL,
        .log_ctx = report,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        /* Aliases make documents that grow without bound. */
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

static size_t least_of(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* Levenshtein's distance of two keys, cut at KEY_SIZE. */
static size_t distance_of(const char *left, const char *right)
{
    size_t row[KEY_SIZE + 1];
    size_t width = strnlen(right, KEY_SIZE);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; i <= strnlen(left, KEY_SIZE); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replaced = diagonal + (left[i - 1] == right[j - 1] ? 0U : 1U);
            diagonal = row[j];
            row[j] = least_of(replaced, least_of(row[j], row[j - 1]) + 1);
        }
    }
    return row[width];
}

static const cyaml_schema_field_t *fields_of(const cyaml_schema_value_t *value)
{
    while (value != NULL && (value->type == CYAML_SEQUENCE || value->type == CYAML_SEQUENCE_FIXED))
        value = value->sequence.entry;
    return value != NULL && value->type == CYAML_MAPPING ? value->mapping.fields : NULL;
}

/* The fields of the mapping that the report's places lead to. */
static const cyaml_schema_field_t *fields_at(const cyaml_schema_value_t *schema, const parse_report *report)
{
    const cyaml_schema_field_t *fields = fields_of(schema);
    for (size_t i = report->depth; i > 0 && fields != NULL; i--) {
        const cyaml_schema_field_t *field = fields;
        while (field->key != NULL && strcmp(field->key, report->fields[i - 1]) != 0)
            field++;
        if (field->key == NULL) return NULL;
        fields = fields_of(&field->value);
    }
    return fields;
}

static const char *nearest_key(const cyaml_schema_field_t *fields, const char *key)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (; fields != NULL && fields->key != NULL; fields++) {
        size_t distance = distance_of(key, fields->key);
        if (distance >= least) continue;
        least = distance;
        nearest = fields->key;
    }
    return nearest;
}

/* "; the nearest known one is ...", or all that are known where none is near. */
static void name_known_keys(const cyaml_schema_field_t *fields, const char *key, char known[KNOWN_SIZE])
{
    const char *nearest = nearest_key(fields, key);
    known[0] = '\0';
    if (nearest == NULL) return;
    if (distance_of(key, nearest) <= 1 + strnlen(key, KEY_SIZE) / 3) {
        (void)snprintf(known, KNOWN_SIZE, "; the nearest known one is \"%s\"", nearest);
        return;
    }
    kf_buffer text = kf_buffer_with_limit(KNOWN_SIZE - 1);
    kf_buffer_format(&text, "; known are ");
    for (const cyaml_schema_field_t *field = fields; field->key != NULL; field++)
        kf_buffer_format(&text, "%s%s", field == fields ? "" : ", ", field->key);
    const char *names = kf_buffer_text(&text);
    if (names != NULL) (void)snprintf(known, KNOWN_SIZE, "%s", names);
    kf_buffer_clear(&text);
}

/* libcyaml reports the line of what stood before an unknown key: the first line from there on that has the
 * key. */
static unsigned line_of_key(kf_view text, const char *key, unsigned line)
{
    size_t length = strlen(key);
    unsigned current = 1;
    for (size_t i = 0; i + length < text.size; i++) {
        if (text.data[i] == '\n') current++;
        bool starts = i == 0 || strchr("\n {,\"'", text.data[i - 1]) != NULL;
        if (current < line || !starts || memcmp(text.data + i, key, length) != 0) continue;
        if (strchr(": \"'", text.data[i + length]) != NULL) return current;
    }
    return line;
}

/* "listen.tls: ", without the `innermost` fields. */
static void describe_place(const parse_report *report, size_t innermost, char place[PLACE_SIZE])
{
    kf_buffer text = kf_buffer_with_limit(PLACE_SIZE - 1);
    for (size_t i = report->depth; i > innermost; i--)
        kf_buffer_format(&text, "%s%s", i == report->depth ? "" : ".", report->fields[i - 1]);
    const char *names = kf_buffer_text(&text);
    place[0] = '\0';
    if (names != NULL && names[0] != '\0') (void)snprintf(place, PLACE_SIZE, "%.150s: ", names);
    kf_buffer_clear(&text);
}

/* libcyaml's word for what it found, and the word for a person. */
static const char *word_of(const char *event)
{
    static const char *const words[][2] = {
        {"SCALAR", "one value"},
        {"STRING", "one value"},
        {"MAPPING", "a group of keys"},
        {"MAPPING_START", "a group of keys"},
        {"SEQUENCE", "a list"},
        {"SEQUENCE_START", "a list"},
        {"INT", "a number"},
        {"UINT", "a number"},
        {"BOOL", "true or false"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i][0], event) == 0) return words[i][1];
    return event;
}

/* libcyaml speaks of events and C types. */
static void say_plainly(const char *message, char plain[MESSAGE_SIZE])
{
    char wanted[KEY_SIZE];
    char found[KEY_SIZE];
    if (sscanf(message, "Expecting %63[A-Z_], got event: %63[A-Z_]", wanted, found) == 2)
        (void)snprintf(plain, MESSAGE_SIZE, "%s is expected here, not %s", word_of(wanted), word_of(found));
    else if (sscanf(message, "Invalid uint64_t value: '%63[^']'", found) == 1 ||
             sscanf(message, "Invalid int64_t value: '%63[^']'", found) == 1)
        (void)snprintf(plain, MESSAGE_SIZE, "'%s' is no number", found);
    else if (sscanf(message, "Mapping field already seen: %63[^\n]", found) == 1)
        (void)snprintf(plain, MESSAGE_SIZE, "key \"%s\" stands there twice", found);
    else if (strncmp(message, "libyaml: ", 9) == 0)
        (void)snprintf(plain, MESSAGE_SIZE, "this is no YAML: %.200s", message + 9);
    else
        (void)snprintf(plain, MESSAGE_SIZE, "%s", message);
}

static kf_code explain(const char *name, kf_view text, const cyaml_schema_value_t *schema,
                       const parse_report *report, kf_error *error)
{
    char place[PLACE_SIZE];
    char key[KEY_SIZE];
    unsigned reported = report->line == 0 ? 1 : report->line;
    if (sscanf(report->message, "Missing required mapping field: %63[^\n]", key) == 1) {
        /* The innermost place is then the last field that was there. */
        describe_place(report, 1, place);
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s, line %u: %skey \"%s\" is missing", name, reported,
                       place, key);
    }
    describe_place(report, 0, place);
    if (sscanf(report->message, "Unexpected key: %63[^\n]", key) == 1) {
        char known[KNOWN_SIZE];
        name_known_keys(fields_at(schema, report), key, known);
        unsigned line = line_of_key(text, key, report->line);
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s, line %u: %sunknown key \"%s\"%s", name, line, place,
                       key, known);
    }
    char plain[MESSAGE_SIZE];
    say_plainly(report->message, plain);
    return kf_fail(error, KF_ERR_CONFIGURATION, "%s, line %u: %s%s", name, reported, place, plain);
}

kf_code kf_config_parse(const char *name, kf_view text, const cyaml_schema_value_t *schema, void **ret_config,
                        kf_error *error)
{
    if (text.size > KF_CONFIG_SIZE_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "%s is longer than the %zu bytes allowed", name,
                       KF_CONFIG_SIZE_MAX);
    if (text.size == 0) return kf_fail(error, KF_ERR_CONFIGURATION, "%s is empty", name);
    parse_report report = {.line = 0};
    cyaml_config_t settings = library_settings(&report);
    cyaml_data_t *config = NULL;
    cyaml_err_t failure = cyaml_load_data(text.data, text.size, &settings, schema, &config, NULL);
    if (failure == CYAML_ERR_OOM) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (failure == CYAML_OK && config == NULL)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%s holds no document", name);
    if (failure == CYAML_OK) {
        *ret_config = config;
        return KF_OK;
    }
    if (report.message[0] == '\0')
        (void)snprintf(report.message, sizeof report.message, "%s", cyaml_strerror(failure));
    return explain(name, text, schema, &report, error);
}

kf_code kf_config_load(const char *path, const cyaml_schema_value_t *schema, void **ret_config,
                       kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(path, KF_CONFIG_SIZE_MAX, &text, error));
    return kf_config_parse(path, kf_buffer_view(&text), schema, ret_config, error);
}

void kf_config_free(const cyaml_schema_value_t *schema, void **config)
{
    cyaml_config_t settings = library_settings(NULL);
    if (*config != NULL) (void)cyaml_free(&settings, schema, *config, 0);
    *config = NULL;
}

kf_code kf_config_default_text(char **text, const char *standard, kf_error *error)
{
    if (*text == NULL) *text = strdup(standard);
    return *text != NULL ? KF_OK : kf_fail_plain(error, KF_ERR_MEMORY);
}

kf_code kf_config_default_number(const char *path, const kf_config_number *number, kf_error *error)
{
    if (*number->value == 0) *number->value = number->standard;
    if (*number->value <= number->most) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "%s: %s is %u; at most %u", path, number->key,
                   (unsigned)*number->value, (unsigned)number->most);
}

kf_code kf_config_default_log_level(const char *path, char **log_level, kf_error *error)
{
    kf_log_level level;
    KF_TRY(kf_config_default_text(log_level, "info", error));
    if (kf_log_level_from_name(*log_level, &level) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "%s: log_level '%s' is none of error, warning, info, debug",
                   path, *log_level);
}
