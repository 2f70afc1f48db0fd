#include "vault/key_ceremony.h"

#include <stdlib.h>
#include <string.h>

typedef struct import_in_hand {
    bool used;
    uint64_t touched;
    uint8_t id[KF_IMPORT_ID_SIZE];
    kf_buffer description; /* the entry's canonical bytes */
    uint8_t count;
    uint16_t present;
    kf_secret *components[KF_KEY_COMPONENTS_MAX];
    kf_vault_actor givers[KF_KEY_COMPONENTS_MAX];
} import_in_hand;

struct kf_key_ceremony {
    uint64_t clock; /* counts requests */
    import_in_hand imports[KF_KEY_CEREMONIES_MAX];
};

kf_code kf_key_ceremony_new(kf_key_ceremony **ret_ceremony)
{
    kf_key_ceremony *ceremony = calloc(1, sizeof *ceremony);
    if (ceremony == NULL) return KF_ERR_MEMORY;
    *ret_ceremony = ceremony;
    return KF_OK;
}

static void forget(import_in_hand *import)
{
    for (size_t i = 0; i < KF_KEY_COMPONENTS_MAX; i++)
        kf_secret_free(&import->components[i]);
    kf_buffer_clear(&import->description);
    import->used = false;
    import->present = 0;
}

void kf_key_ceremony_free(kf_key_ceremony **ceremony)
{
    if (*ceremony == NULL) return;
    for (size_t i = 0; i < KF_KEY_CEREMONIES_MAX; i++)
        forget(&(*ceremony)->imports[i]);
    free(*ceremony);
    *ceremony = NULL;
}

static import_in_hand *find(kf_key_ceremony *ceremony, const uint8_t *id)
{
    for (size_t i = 0; i < KF_KEY_CEREMONIES_MAX; i++)
        if (ceremony->imports[i].used && memcmp(ceremony->imports[i].id, id, KF_IMPORT_ID_SIZE) == 0)
            return &ceremony->imports[i];
    return NULL;
}

static import_in_hand *begin(kf_key_ceremony *ceremony, const kf_key_act_request *request,
                             kf_view description)
{
    import_in_hand *place = &ceremony->imports[0];
    for (size_t i = 0; i < KF_KEY_CEREMONIES_MAX && place->used; i++) {
        import_in_hand *other = &ceremony->imports[i];
        if (!other->used || other->touched < place->touched) place = other;
    }
    forget(place);
    kf_buffer_append(&place->description, description);
    if (kf_buffer_status(&place->description) != KF_OK) return NULL;
    place->used = true;
    place->count = request->component_count;
    memcpy(place->id, request->import_id, sizeof place->id);
    return place;
}

static kf_code check_request(const kf_key_act_request *request, const kf_secret *component, kf_error *error)
{
    if (request->component_count < KF_KEY_COMPONENTS_MIN || request->component_count > KF_KEY_COMPONENTS_MAX)
        return kf_fail(error, KF_ERR_FIELD, "a key of %u components: take %d to %d", request->component_count,
                       KF_KEY_COMPONENTS_MIN, KF_KEY_COMPONENTS_MAX);
    if (request->component < 1 || request->component > request->component_count)
        return kf_fail(error, KF_ERR_FIELD, "component %u of %u", request->component,
                       request->component_count);
    if (kf_secret_size(component) != request->entry.size)
        return kf_fail(error, KF_ERR_KEY_SIZE, "component %u has %zu bytes, the key has %zu",
                       request->component, kf_secret_size(component), request->entry.size);
    return KF_OK;
}

/* Split knowledge: whoever gave one component never learns another (X9.24-1, dual control). */
static kf_code check_giver(const import_in_hand *import, const kf_key_act_request *request, kf_error *error)
{
    if (!request->officer_signed) return KF_OK;
    for (unsigned i = 0; i < import->count; i++) {
        if (i == request->component - 1U || import->components[i] == NULL ||
            strcmp(import->givers[i].who, request->actor.who) != 0)
            continue;
        return kf_fail(error, KF_ERR_OFFICERS,
                       "%s has given component %u of this key: another officer gives component %u",
                       request->actor.who, i + 1, request->component);
    }
    return KF_OK;
}

static kf_code put_component(import_in_hand *import, const kf_key_act_request *request,
                             const kf_secret *component, kf_error *error)
{
    uint8_t number = request->component;
    KF_TRY(check_giver(import, request, error));
    kf_secret **place = &import->components[number - 1];
    if (*place != NULL && kf_secret_equal(*place, component)) return KF_OK;
    if (*place != NULL)
        return kf_fail(
            error, KF_ERR_CONFLICT,
            "component %u is here already and is another one; begin a new import to enter all again", number);
    KF_TRY(kf_fail_plain(error, kf_secret_copy(component, place)));
    import->givers[number - 1] = request->actor;
    import->present = (uint16_t)(import->present | (1U << (number - 1)));
    return KF_OK;
}

/* The exclusive or of all components (X9.24-1, full-length components). */
static kf_code put_together(const import_in_hand *import, kf_secret **ret_key, kf_error *error)
{
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(kf_fail_plain(error, kf_secret_copy(import->components[0], &key)));
    uint8_t *bytes = kf_secret_expose_writable(key);
    size_t size = kf_secret_size(key);
    for (size_t i = 1; i < import->count; i++) {
        kf_view component = kf_secret_expose(import->components[i]);
        for (size_t j = 0; j < size; j++)
            bytes[j] ^= component.data[j];
    }
    uint8_t any = 0;
    for (size_t j = 0; j < size; j++)
        any |= bytes[j];
    if (any == 0)
        return kf_fail(
            error, KF_ERR_CHECK_VALUE,
            "the components cancel each other out: was one of them entered twice? Nothing was made");
    *ret_key = key;
    key = NULL;
    return KF_OK;
}

kf_code kf_key_ceremony_take(kf_key_ceremony *ceremony, const kf_key_act_request *request,
                             const kf_secret *component, kf_key_ceremony_progress *ret_progress,
                             kf_error *error)
{
    KF_TRY(check_request(request, component, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer description = KF_BUFFER_INIT;
    kf_key_entry_put(&description, &request->entry);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&description)));
    import_in_hand *import = find(ceremony, request->import_id);
    if (import != NULL &&
        (import->count != request->component_count ||
         !kf_view_equal(kf_buffer_view(&import->description), kf_buffer_view(&description))))
        return kf_fail(error, KF_ERR_CONFLICT, "this import was begun with another description of the key");
    if (import == NULL) import = begin(ceremony, request, kf_buffer_view(&description));
    if (import == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    import->touched = ++ceremony->clock;
    KF_TRY(put_component(import, request, component, error));
    kf_key_ceremony_progress progress = {.present = import->present, .whole = NULL};
    KF_TRY(
        kf_fail_plain(error, kf_key_entry_kcv(request->entry.algorithm, component, &progress.component_kcv)));
    if (import->present == (1U << import->count) - 1U) {
        kf_code code = put_together(import, &progress.whole, error);
        forget(import);
        KF_TRY(code);
    }
    *ret_progress = progress;
    return KF_OK;
}
