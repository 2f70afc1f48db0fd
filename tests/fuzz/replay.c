/* Plays files, and all files of folders, against a target: regressions in every build, with any compiler.
 * Behind
 * --spoil also each of their truncations, and each with one bit flipped. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

#define INPUT_MAX ((size_t)4 * 1024 * 1024)
#define PATH_SIZE 4096

static size_t played;
static bool spoils;

static void play_bytes(kf_view bytes)
{
    FUZZ_COPY(copy, bytes);
    FUZZ_WANT(LLVMFuzzerTestOneInput(copy.view.data, copy.view.size) == 0);
    played++;
}

static void play_spoilt(kf_buffer *content)
{
    for (size_t size = 0; size < content->size; size++)
        play_bytes(kf_view_of(content->data, size));
    for (size_t bit = 0; bit < 8 * content->size; bit++) {
        content->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        play_bytes(kf_buffer_view(content));
        content->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static bool play_file(const char *path)
{
    FUZZ_BUFFER(content);
    kf_error error = {KF_OK, ""};
    if (kf_file_read(path, INPUT_MAX, &content, &error) != KF_OK) {
        (void)fprintf(stderr, "%s\n", kf_error_text(&error));
        return false;
    }
    /* Shown if this one ends the program. */
    (void)fprintf(stderr, "%s\n", path);
    play_bytes(kf_buffer_view(&content));
    if (spoils) play_spoilt(&content);
    return true;
}

static bool play(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0 || !S_ISDIR(found.st_mode)) return play_file(path);
    DIR *folder = opendir(path);
    if (folder == NULL) return false;
    bool good = true;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char inner[PATH_SIZE];
        if (entry->d_name[0] == '.') continue;
        int size = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        good = size > 0 && (size_t)size < sizeof inner && play(inner) && good;
    }
    (void)closedir(folder);
    return good;
}

int main(int argument_count, char **arguments)
{
    bool good = LLVMFuzzerInitialize(&argument_count, &arguments) == 0;
    for (int i = 1; i < argument_count; i++) {
        if (strcmp(arguments[i], "--spoil") == 0)
            spoils = true;
        else
            good = play(arguments[i]) && good;
    }
    (void)printf("%zu inputs\n", played);
    return good && played > 0 ? 0 : 1;
}
