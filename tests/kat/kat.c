/* kat DIR [--skip NAME]...: checks every vector file DIR/NAME.json; NAME with or without .json. The last line
 * is "N passed, N failed". */
#include "kat.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIPS_MAX 128
#define SUFFIX ".json"

typedef struct totals {
    unsigned passed;
    unsigned failed;
    unsigned unverified;
    unsigned skipped_files;
} totals;

typedef struct options {
    const char *folder;
    size_t skip_count;
    const char *skips[SKIPS_MAX];
} options;

static kat_checker find_checker(const char *family)
{
    const kat_family *const tables[] = {kat_crypto_families, kat_card_families};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        for (const kat_family *row = tables[i]; row->name != NULL; row++)
            if (strcmp(row->name, family) == 0) return row->check;
    return NULL;
}

static void check_entry(const char *family, kat_checker check, json_t *entry, totals *sums)
{
    kat_report report = {.family = family};
    kat_check(check, entry, &report);
    if (!kat_flag_or(entry, "verified", true)) {
        sums->unverified++;
        printf("  %s/%s: not verified by a second source, %s, not counted\n", family, report.name,
               report.faults == 0 ? "agrees" : "differs");
    } else if (report.faults == 0) {
        sums->passed++;
    } else {
        sums->failed++;
    }
}

static void check_file(const char *folder, const char *family, totals *sums)
{
    kat_checker check = find_checker(family);
    if (check == NULL) {
        printf("%s: no checker knows this file; give --skip %s to leave it out\n", family, family);
        sums->failed++;
        return;
    }
    KF_CLEANUP(kf_buffer_clear) kf_buffer path = KF_BUFFER_INIT;
    kf_buffer_format(&path, "%s/%s" SUFFIX, folder, family);
    json_error_t error;
    json_t *entries = json_load_file(kf_buffer_text(&path), JSON_REJECT_DUPLICATES, &error);
    if (!json_is_array(entries) || json_array_size(entries) == 0) {
        printf("%s: not a list of vectors%s%s\n", family, entries == NULL ? ": " : "",
               entries == NULL ? error.text : "");
        sums->failed++;
        json_decref(entries);
        return;
    }
    totals before = *sums;
    for (size_t i = 0; i < json_array_size(entries); i++)
        check_entry(family, check, json_array_get(entries, i), sums);
    printf("%s: %u passed, %u failed", family, sums->passed - before.passed, sums->failed - before.failed);
    if (sums->unverified != before.unverified)
        printf(", %u not verified", sums->unverified - before.unverified);
    printf("\n");
    json_decref(entries);
}

static bool is_skipped(const options *chosen, const char *family)
{
    size_t length = strlen(family);
    for (size_t i = 0; i < chosen->skip_count; i++) {
        const char *skip = chosen->skips[i];
        if (strncmp(skip, family, length) == 0 &&
            (skip[length] == '\0' || strcmp(skip + length, SUFFIX) == 0))
            return true;
    }
    return false;
}

static int check_name(const options *chosen, const char *file_name, totals *sums)
{
    size_t length = strlen(file_name);
    size_t suffix = strlen(SUFFIX);
    if (length <= suffix || strcmp(file_name + length - suffix, SUFFIX) != 0) return 0;
    KF_CLEANUP(kf_free_pointer) char *family = strndup(file_name, length - suffix);
    if (family == NULL) return -1;
    if (is_skipped(chosen, family)) {
        printf("%s: skipped\n", family);
        sums->skipped_files++;
        return 0;
    }
    check_file(chosen->folder, family, sums);
    return 0;
}

static int check_folder(const options *chosen, totals *sums)
{
    struct dirent **names = NULL;
    int count = scandir(chosen->folder, &names, NULL, alphasort);
    if (count < 0) {
        fprintf(stderr, "kat: %s cannot be read\n", chosen->folder);
        return -1;
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        if (result == 0) result = check_name(chosen, names[i]->d_name, sums);
        free(names[i]);
    }
    free(names);
    return result;
}

static bool read_arguments(int argument_count, char **arguments, options *ret_chosen)
{
    options chosen = {0};
    for (int i = 1; i < argument_count; i++) {
        if (strcmp(arguments[i], "--skip") == 0 && i + 1 < argument_count && chosen.skip_count < SKIPS_MAX)
            chosen.skips[chosen.skip_count++] = arguments[++i];
        else if (strncmp(arguments[i], "--skip=", 7) == 0 && chosen.skip_count < SKIPS_MAX)
            chosen.skips[chosen.skip_count++] = arguments[i] + 7;
        else if (arguments[i][0] != '-' && chosen.folder == NULL)
            chosen.folder = arguments[i];
        else
            return false;
    }
    if (chosen.folder == NULL) return false;
    *ret_chosen = chosen;
    return true;
}

int main(int argument_count, char **arguments)
{
    options chosen;
    if (!read_arguments(argument_count, arguments, &chosen)) {
        fprintf(stderr, "usage: kat DIR [--skip NAME]...\n");
        return KF_EXIT_USAGE;
    }
    totals sums = {0};
    int result = check_folder(&chosen, &sums);
    if (sums.unverified > 0)
        printf("%u entries not verified by a second source are not counted\n", sums.unverified);
    if (sums.skipped_files > 0) printf("%u files skipped\n", sums.skipped_files);
    if (sums.passed + sums.failed == 0) printf("no vector was checked\n");
    printf("%u passed, %u failed\n", sums.passed, sums.failed);
    return result == 0 && sums.failed == 0 && sums.passed > 0 ? KF_EXIT_OK : KF_EXIT_REFUSED;
}
