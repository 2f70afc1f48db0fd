#include "softcard/state.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "softcard/public_keys.h"

static const uint8_t magic[8] = {'K', 'F', 'C', 'A', 'R', 'D', 0, 3};

/* One description of each structure serves both directions: the archive reads into it or writes from it. */
typedef struct state_archive {
    bool writing;
    kf_cursor input;
    kf_buffer *output;
    kf_code status;
} state_archive;

static void archive_bytes(state_archive *archive, void *bytes, size_t size)
{
    if (archive->status != KF_OK) return;
    if (archive->writing)
        kf_buffer_append_bytes(archive->output, bytes, size);
    else
        archive->status = kf_cursor_copy(&archive->input, bytes, size);
}

static void archive_u8(state_archive *archive, uint8_t *value)
{
    archive_bytes(archive, value, 1);
}

static void archive_bool(state_archive *archive, bool *value)
{
    uint8_t byte = *value ? 1 : 0;
    archive_u8(archive, &byte);
    *value = byte != 0;
}

static void archive_u16(state_archive *archive, uint16_t *value)
{
    if (archive->status != KF_OK) return;
    if (archive->writing)
        kf_buffer_append_u16(archive->output, *value);
    else
        archive->status = kf_cursor_u16(&archive->input, value);
}

static void archive_u32(state_archive *archive, uint32_t *value)
{
    if (archive->status != KF_OK) return;
    if (archive->writing)
        kf_buffer_append_u32(archive->output, *value);
    else
        archive->status = kf_cursor_u32(&archive->input, value);
}

/* `*size` stays 0 where the stored one is past `cap` or cannot be read. */
static void archive_size(state_archive *archive, size_t *size, size_t cap)
{
    uint16_t value = (uint16_t)*size;
    archive_u16(archive, &value);
    if (archive->status != KF_OK || archive->writing) return;
    if (value > cap)
        archive->status = KF_ERR_CARD_DATA;
    else
        *size = value;
}

static void archive_secret(state_archive *archive, kf_secret **secret, size_t cap)
{
    size_t size = archive->writing ? kf_secret_size(*secret) : 0;
    archive_size(archive, &size, cap);
    if (archive->status != KF_OK) return;
    if (archive->writing) {
        kf_buffer_append(archive->output, kf_secret_expose(*secret));
        return;
    }
    kf_view bytes;
    archive->status = kf_cursor_take(&archive->input, size, &bytes);
    if (archive->status == KF_OK) archive->status = kf_secret_new(bytes, secret);
}

static void archive_aid(state_archive *archive, softcard_aid *aid)
{
    size_t size = aid->size;
    archive_size(archive, &size, sizeof aid->bytes);
    aid->size = (uint8_t)size;
    archive_bytes(archive, aid->bytes, aid->size);
}

static void archive_key_set(state_archive *archive, softcard_key_set *set)
{
    archive_u8(archive, &set->version);
    archive_u8(archive, &set->failures);
    archive_u32(archive, &set->sequence_counter);
    archive_bytes(archive, set->remote_counter, sizeof set->remote_counter);
    archive_size(archive, &set->key_count, SOFTCARD_KEYS_MAX);
    for (size_t i = 0; i < set->key_count; i++) {
        archive_u8(archive, &set->keys[i].identifier);
        archive_u8(archive, &set->keys[i].type);
        archive_secret(archive, &set->keys[i].value, SOFTCARD_KEY_SIZE_MAX);
        if (archive->status == KF_OK && softcard_key_type_is_public(set->keys[i].type) &&
            !softcard_public_key_is_sound(&set->keys[i]))
            archive->status = KF_ERR_CARD_DATA;
    }
}

static void archive_buffer(state_archive *archive, kf_buffer *buffer, size_t cap)
{
    uint32_t size = (uint32_t)buffer->size;
    archive_u32(archive, &size);
    if (archive->status != KF_OK) return;
    if (archive->writing) {
        kf_buffer_append(archive->output, kf_buffer_view(buffer));
        return;
    }
    kf_view bytes;
    archive->status = size > cap ? KF_ERR_CARD_DATA : kf_cursor_take(&archive->input, size, &bytes);
    if (archive->status != KF_OK) return;
    kf_buffer_append(buffer, bytes);
    archive->status = kf_buffer_status(buffer);
}

static void archive_datum(state_archive *archive, softcard_datum *datum)
{
    archive_u16(archive, &datum->tag);
    archive_buffer(archive, &datum->value, SOFTCARD_DATUM_MAX);
}

static void archive_application(state_archive *archive, softcard_application *application)
{
    archive_aid(archive, &application->aid);
    archive_aid(archive, &application->load_file);
    archive_aid(archive, &application->module);
    archive_aid(archive, &application->domain);
    uint8_t kind = (uint8_t)application->kind;
    archive_u8(archive, &kind);
    if (kind < SOFTCARD_ISSUER_DOMAIN || kind > SOFTCARD_APPLET) archive->status = KF_ERR_CARD_DATA;
    application->kind = (softcard_kind)kind;
    archive_u8(archive, &application->life_cycle);
    archive_bytes(archive, application->privileges, sizeof application->privileges);
    archive_u8(archive, &application->protocols);
    archive_u8(archive, &application->channel_parameter);
    archive_u8(archive, &application->scp02_parameter);
    archive_size(archive, &application->key_set_count, SOFTCARD_KEY_SETS_MAX);
    for (size_t i = 0; i < application->key_set_count; i++)
        archive_key_set(archive, &application->key_sets[i]);
    archive_size(archive, &application->datum_count, SOFTCARD_DATA_MAX);
    for (size_t i = 0; i < application->datum_count; i++)
        archive_datum(archive, &application->data[i]);
}

static void archive_load_file(state_archive *archive, softcard_load_file *load_file)
{
    archive_aid(archive, &load_file->aid);
    archive_aid(archive, &load_file->domain);
    archive_bool(archive, &load_file->fixed);
    archive_bytes(archive, load_file->version, sizeof load_file->version);
    archive_u32(archive, &load_file->size);
    archive_bytes(archive, load_file->hash, sizeof load_file->hash);
    archive_buffer(archive, &load_file->code, SOFTCARD_LOAD_FILE_MAX);
    archive_size(archive, &load_file->module_count, SOFTCARD_MODULES_MAX);
    for (size_t i = 0; i < load_file->module_count; i++)
        archive_aid(archive, &load_file->modules[i]);
}

static void archive_personality(state_archive *archive, softcard_personality *personality)
{
    size_t atr_size = personality->atr_size;
    archive_size(archive, &atr_size, sizeof personality->atr);
    personality->atr_size = (uint8_t)atr_size;
    archive_bytes(archive, personality->atr, personality->atr_size);
    archive_u8(archive, &personality->failure_limit);
    archive_bool(archive, &personality->counts_unfinished);
    archive_bool(archive, &personality->imsi_needs_pin);
    archive_bool(archive, &personality->msisdn_needs_pin);
    archive_u8(archive, &personality->protocols);
    archive_u8(archive, &personality->channel_parameter);
    archive_u8(archive, &personality->scp02_parameter);
    archive_u8(archive, &personality->logical_channels);
    archive_bool(archive, &personality->extended_length);
    archive_bytes(archive, personality->platform_version, sizeof personality->platform_version);
    archive_bool(archive, &personality->tells_management_data);
    archive_u32(archive, &personality->memory);
    archive_u8(archive, &personality->remote_minimum_security);
    if (personality->logical_channels == 0 || personality->logical_channels > SOFTCARD_LOGICAL_CHANNELS_MAX)
        archive->status = KF_ERR_CARD_DATA;
}

static void archive_state(state_archive *archive, softcard_state *state)
{
    archive_bytes(archive, state->kdd, sizeof state->kdd);
    archive_bytes(archive, state->cplc, sizeof state->cplc);
    archive_u16(archive, &state->confirmation_counter);
    archive_personality(archive, &state->personality);
    for (size_t i = 0; i < SOFTCARD_PINS; i++) {
        archive_secret(archive, &state->pins[i].value, SOFTCARD_PIN_SIZE);
        archive_u8(archive, &state->pins[i].tries_left);
        archive_u8(archive, &state->pins[i].try_limit);
    }
    archive_bool(archive, &state->pin1_disabled);
    archive_bytes(archive, state->files, sizeof state->files);
    archive_size(archive, &state->application_count, SOFTCARD_APPLICATIONS_MAX);
    for (size_t i = 0; i < state->application_count; i++)
        archive_application(archive, &state->applications[i]);
    archive_size(archive, &state->load_file_count, SOFTCARD_LOAD_FILES_MAX);
    for (size_t i = 0; i < state->load_file_count; i++)
        archive_load_file(archive, &state->load_files[i]);
}

kf_code softcard_state_new(softcard_state **ret_state)
{
    softcard_state *state = calloc(1, sizeof *state);
    if (state == NULL) return KF_ERR_MEMORY;
    *ret_state = state;
    return KF_OK;
}

void softcard_state_free(softcard_state **state)
{
    if (*state == NULL) return;
    for (size_t i = 0; i < SOFTCARD_APPLICATIONS_MAX; i++) {
        softcard_application *application = &(*state)->applications[i];
        for (size_t set = 0; set < SOFTCARD_KEY_SETS_MAX; set++) {
            for (size_t key = 0; key < SOFTCARD_KEYS_MAX; key++)
                kf_secret_free(&application->key_sets[set].keys[key].value);
        }
        for (size_t datum = 0; datum < SOFTCARD_DATA_MAX; datum++)
            kf_buffer_clear(&application->data[datum].value);
    }
    for (size_t i = 0; i < SOFTCARD_LOAD_FILES_MAX; i++)
        kf_buffer_clear(&(*state)->load_files[i].code);
    for (size_t i = 0; i < SOFTCARD_PINS; i++)
        kf_secret_free(&(*state)->pins[i].value);
    kf_wipe(*state, sizeof **state);
    free(*state);
    *state = NULL;
}

/* Behind the state stands its SHA-256: a file that something else has touched is noticed. */
kf_code softcard_state_write(softcard_state *state, kf_buffer *bytes)
{
    state_archive writer = {.writing = true, .output = bytes, .status = KF_OK};
    size_t start = bytes->size;
    kf_buffer_append_bytes(bytes, magic, sizeof magic);
    archive_state(&writer, state);
    KF_TRY(writer.status);
    KF_TRY(kf_buffer_status(bytes));
    uint8_t digest[KF_DIGEST_SIZE];
    KF_TRY(kf_sha256(kf_view_part(kf_buffer_view(bytes), start, bytes->size - start), digest));
    kf_buffer_append_bytes(bytes, digest, sizeof digest);
    return kf_buffer_status(bytes);
}

static kf_code check_frame(kf_view bytes, kf_view *ret_content)
{
    if (bytes.size < sizeof magic + KF_DIGEST_SIZE) return KF_ERR_CARD_DATA;
    if (!kf_view_starts_with(bytes, KF_VIEW(magic))) return KF_ERR_CARD_DATA;
    uint8_t digest[KF_DIGEST_SIZE];
    size_t content_size = bytes.size - KF_DIGEST_SIZE;
    KF_TRY(kf_sha256(kf_view_part(bytes, 0, content_size), digest));
    if (!kf_view_equal(KF_VIEW(digest), kf_view_part(bytes, content_size, KF_DIGEST_SIZE)))
        return KF_ERR_CARD_DATA;
    *ret_content = kf_view_part(bytes, sizeof magic, content_size - sizeof magic);
    return KF_OK;
}

kf_code softcard_state_read(kf_view bytes, softcard_state **ret_state, kf_error *error)
{
    kf_view content;
    if (check_frame(bytes, &content) != KF_OK)
        return kf_fail(error, KF_ERR_CARD_DATA,
                       "the state (%zu bytes) is not one of a card of this version, or it was changed by "
                       "something else: make the card anew with `keyfill-softcard create`",
                       bytes.size);
    KF_CLEANUP(softcard_state_free) softcard_state *state = NULL;
    KF_TRY(kf_fail_plain(error, softcard_state_new(&state)));
    state_archive reader = {.writing = false, .input = kf_cursor_of(content), .status = KF_OK};
    archive_state(&reader, state);
    if (reader.status == KF_OK && (!kf_cursor_at_end(&reader.input) || state->application_count == 0 ||
                                   state->applications[0].kind != SOFTCARD_ISSUER_DOMAIN))
        reader.status = KF_ERR_CARD_DATA;
    if (reader.status != KF_OK)
        return kf_fail(error, reader.status, "the state of the card is inconsistent: make the card anew");
    *ret_state = state;
    state = NULL;
    return KF_OK;
}
