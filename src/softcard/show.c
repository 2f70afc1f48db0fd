#include <keyfill/hex.h>

#include "softcard/card.h"
#include "softcard/file_system.h"
#include "softcard/key_sets.h"
#include "softcard/registry.h"

static void show_bytes(kf_buffer *text, const char *name, kf_view bytes)
{
    kf_buffer_format(text, "%s: ", name);
    kf_buffer_append_hex(text, bytes);
    kf_buffer_append_text(text, "\n");
}

/* Digits of a swapped nibble coding, up to the first F. */
static void show_digits(kf_buffer *text, kf_view bytes, size_t skipped)
{
    for (size_t i = skipped; i < 2 * bytes.size; i++) {
        unsigned nibble = i % 2 == 0 ? bytes.data[i / 2] & 0x0FU : bytes.data[i / 2] >> 4;
        if (nibble == 0x0F) break;
        kf_buffer_format(text, "%X", nibble);
    }
    kf_buffer_append_text(text, "\n");
}

static void show_files(const softcard_state *state, kf_buffer *text)
{
    enum { NUMBER = SOFTCARD_MSISDN_RECORD - 12, NUMBER_SIZE = 10 };
    kf_buffer_append_text(text, "iccid: ");
    show_digits(text, kf_view_of(state->files[SOFTCARD_EF_ICCID], SOFTCARD_ICCID_SIZE), 0);
    kf_buffer_append_text(text, "imsi: ");
    bool has_imsi = state->files[SOFTCARD_EF_IMSI][0] != 0xFF;
    show_digits(text, kf_view_of(state->files[SOFTCARD_EF_IMSI] + 1, has_imsi ? SOFTCARD_IMSI_SIZE - 1 : 0),
                1);
    kf_buffer_append_text(text, "msisdn: ");
    show_digits(text, kf_view_of(state->files[SOFTCARD_EF_MSISDN] + NUMBER, NUMBER_SIZE), 0);
    show_bytes(text, "operator file", kf_view_of(state->files[SOFTCARD_EF_OPERATOR], SOFTCARD_OPERATOR_SIZE));
    kf_buffer_format(text, "pin1: *** (%u tries)\n", state->pins[SOFTCARD_PIN1].tries_left);
    kf_buffer_format(text, "adm1: *** (%u tries)\n", state->pins[SOFTCARD_ADM1].tries_left);
}

static kf_code show_key_sets(const softcard_application *domain, kf_buffer *text)
{
    for (size_t i = 0; i < domain->key_set_count; i++) {
        const softcard_key_set *set = &domain->key_sets[i];
        kf_buffer_format(text, "  key set %02X: counter %06X, failures %u, KCV", set->version,
                         (unsigned)set->sequence_counter, set->failures);
        for (size_t key = 0; key < set->key_count; key++) {
            KF_CLEANUP(kf_buffer_clear) kf_buffer value = KF_BUFFER_INIT;
            KF_TRY(softcard_key_check_value(&set->keys[key], &value));
            kf_buffer_format(text, " %u:", set->keys[key].identifier);
            kf_buffer_append_hex(text, kf_buffer_view(&value));
        }
        kf_buffer_append_text(text, "\n");
    }
    return KF_OK;
}

static const char *kind_name(softcard_kind kind)
{
    switch (kind) {
    case SOFTCARD_ISSUER_DOMAIN: return "issuer security domain";
    case SOFTCARD_DOMAIN: return "security domain";
    case SOFTCARD_APPLET: break;
    }
    return "application";
}

/* A grouping may be secret: only its size is shown. */
static kf_code show_application(const softcard_application *application, kf_buffer *text)
{
    kf_buffer_format(text, "%s ", kind_name(application->kind));
    kf_buffer_append_hex(text, softcard_aid_view(&application->aid));
    kf_buffer_format(text, ": state %02X, privileges ", application->life_cycle);
    kf_buffer_append_hex(text, KF_VIEW(application->privileges));
    bool has_scp02 = softcard_is_domain(application) && (application->protocols & SOFTCARD_HAS_SCP02) != 0;
    bool has_scp03 = softcard_is_domain(application) && (application->protocols & SOFTCARD_HAS_SCP03) != 0;
    if (has_scp02) kf_buffer_format(text, ", SCP02 i=%02X", application->scp02_parameter);
    if (has_scp03) kf_buffer_format(text, ", SCP03 i=%02X", application->channel_parameter);
    kf_buffer_append_text(text, "\n");
    for (size_t i = 0; i < application->datum_count; i++)
        kf_buffer_format(text, "  data %04X: %zu bytes\n", application->data[i].tag,
                         application->data[i].value.size);
    return show_key_sets(application, text);
}

static void show_load_file(const softcard_load_file *load_file, kf_buffer *text)
{
    kf_buffer_append_text(text, "load file ");
    kf_buffer_append_hex(text, softcard_aid_view(&load_file->aid));
    kf_buffer_format(text, ": version %u.%u, %u bytes, modules", load_file->version[0], load_file->version[1],
                     (unsigned)load_file->size);
    for (size_t i = 0; i < load_file->module_count; i++) {
        kf_buffer_append_text(text, " ");
        kf_buffer_append_hex(text, softcard_aid_view(&load_file->modules[i]));
    }
    kf_buffer_append_text(text, "\n");
}

kf_code softcard_show(const softcard *card, kf_buffer *text)
{
    const softcard_state *state = card->state;
    show_bytes(text, "atr", softcard_atr(card));
    show_bytes(text, "kdd", KF_VIEW(state->kdd));
    show_bytes(text, "cplc", KF_VIEW(state->cplc));
    show_files(state, text);
    for (size_t i = 0; i < state->application_count; i++)
        KF_TRY(show_application(&state->applications[i], text));
    for (size_t i = 0; i < state->load_file_count; i++)
        show_load_file(&state->load_files[i], text);
    return kf_buffer_status(text);
}
