/* YAML: the configuration of every unit but the host's, a profile, a category, a card's blueprint. */
#include <string.h>

#include "base/log.h"
#include "bkmu/bkmu_config.h"
#include "cli/client.h"
#include "kmu/categories.h"
#include "kmu/kmu_config.h"
#include "monitor/monitor_config.h"
#include "softcard/blueprint.h"
#include "terminal/terminal_config.h"
#include "text_file.h"
#include "vault/profile.h"

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    kf_log_start("fuzz", KF_LOG_ERROR);
    return 0;
}

/* Loads by `load`, wants a sentence for a refusal, frees by `release`. */
#define LOAD(type, load, release)                                                                            \
    do {                                                                                                     \
        type *loaded = NULL;                                                                                 \
        kf_error error = {KF_OK, ""};                                                                        \
        kf_code code = load(path, &loaded, &error);                                                          \
        want_explained(code, &error);                                                                        \
        FUZZ_WANT((code == KF_OK) == (loaded != NULL));                                                      \
        release(&loaded);                                                                                    \
    } while (0)

static void load_monitor(const char *path)
{
    kf_monitor_config *loaded = NULL;
    kf_monitor_plan plan;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_monitor_config_load(path, KF_MONITOR_KMU, &loaded, &plan, &error);
    want_explained(code, &error);
    FUZZ_WANT((code == KF_OK) == (loaded != NULL));
    kf_monitor_config_free(&loaded);
}

static void load_client(const char *path)
{
    const kf_cli cli = {.config_path = path};
    kf_cli_config *loaded = NULL;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_cli_config_load(&cli, &loaded, &error);
    want_explained(code, &error);
    FUZZ_WANT((code == KF_OK) == (loaded != NULL));
    kf_cli_config_free(&loaded);
}

static void load_profile(kf_view text)
{
    static kf_profile profile, untouched;
    memset(&profile, 0xA5, sizeof profile);
    memset(&untouched, 0xA5, sizeof untouched);
    kf_error error = {KF_OK, ""};
    kf_code code = kf_profile_parse(text, &profile, &error);
    want_explained(code, &error);
    if (code != KF_OK) FUZZ_WANT(memcmp(&profile, &untouched, sizeof profile) == 0);
}

static void load_category(kf_view text)
{
    kf_category category, untouched;
    memset(&category, 0xA5, sizeof category);
    memset(&untouched, 0xA5, sizeof untouched);
    kf_error error = {KF_OK, ""};
    kf_code code = kf_category_read("north", text, &category, &error);
    want_explained(code, &error);
    if (code != KF_OK) FUZZ_WANT(memcmp(&category, &untouched, sizeof category) == 0);
}

static void make_card(const char *path)
{
    softcard_blueprint *blueprint = NULL;
    softcard_state *state = NULL;
    kf_error error = {KF_OK, ""};
    kf_code code = softcard_blueprint_read(path, &blueprint, &error);
    want_explained(code, &error);
    if (code != KF_OK) return;
    code = softcard_provision(blueprint, &state, &error);
    want_explained(code, &error);
    FUZZ_WANT((code == KF_OK) == (state != NULL));
    softcard_state_free(&state);
    softcard_blueprint_free(&blueprint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kf_view text = kf_view_of(data, size);
    const char *path = text_file(text);
    LOAD(kf_kmu_config, kf_kmu_config_load, kf_kmu_config_free);
    LOAD(kf_bkmu_config, kf_bkmu_config_load, kf_bkmu_config_free);
    LOAD(kf_terminal_config, kf_terminal_config_load, kf_terminal_config_free);
    load_monitor(path);
    load_client(path);
    load_profile(text);
    load_category(text);
    make_card(path);
    return 0;
}
