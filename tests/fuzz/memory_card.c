#include "memory_card.h"

#include <string.h>

#include "softcard/blueprint.h"

#define TEST_KEY "404142434445464748494A4B4C4D4E4F"
#define KIC_TEXT "303132333435363738393A3B3C3D3E3F"
#define KID_TEXT "505152535455565758595A5B5C5D5E5F"

const memory_card_kind memory_card_kinds[] = {
    {"03", "70", NULL, "88", 8}, {"03", "60", NULL, NULL, 8}, {"03", "71", NULL, NULL, 16},
    {"03", "00", NULL, NULL, 8}, {"02", "15", NULL, "80", 8}, {"02", "55", NULL, NULL, 8},
    {"02", "75", NULL, NULL, 8}, {"02", "05", NULL, NULL, 8}, {"03", "30", NULL, NULL, 8},
};
const size_t memory_card_kind_count = sizeof memory_card_kinds / sizeof memory_card_kinds[0];

#define KINDS (sizeof memory_card_kinds / sizeof memory_card_kinds[0])

static kf_code save(void *context, kf_view state)
{
    memory_card *card = context;
    kf_buffer_truncate(&card->saved, 0);
    kf_buffer_append(&card->saved, state);
    return kf_buffer_status(&card->saved);
}

static kf_code take_random(void *context, uint8_t *ret_bytes, size_t size)
{
    memory_card *card = context;
    memset(ret_bytes, card->next_random++, size);
    return KF_OK;
}

static void set(char **place, const char *text)
{
    if (text != NULL) FUZZ_WANT(softcard_blueprint_set(place, text) == KF_OK);
}

static void add_remote_keys(softcard_domain_blueprint *issuer, const char *type)
{
    static const char *const keys[] = {KIC_TEXT, KID_TEXT, KIC_TEXT};
    static const char *const identifiers[] = {"01", "02", "03"};
    issuer->more_keys = calloc(3, sizeof *issuer->more_keys);
    FUZZ_WANT(issuer->more_keys != NULL);
    issuer->more_keys_count = 3;
    for (size_t i = 0; i < 3; i++) {
        set(&issuer->more_keys[i].version, "03");
        set(&issuer->more_keys[i].identifier, identifiers[i]);
        set(&issuer->more_keys[i].type, type);
        set(&issuer->more_keys[i].key, keys[i]);
    }
}

static void make_state(const memory_card_kind *kind, kf_buffer *bytes)
{
    softcard_blueprint *blueprint = NULL;
    softcard_state *state = NULL;
    FUZZ_WANT(softcard_blueprint_new(&blueprint) == KF_OK);
    set(&blueprint->iccid, "8988211000000430010");
    set(&blueprint->imsi, "262011106487504");
    set(&blueprint->msisdn, "+4916012345678");
    set(&blueprint->kdd, "00000000000000000000");
    set(&blueprint->protocol, kind->protocols);
    set(&blueprint->parameter, kind->parameter);
    set(&blueprint->scp02_parameter, kind->scp02_parameter);
    set(&blueprint->remote_minimum_security, kind->remote_key_type == NULL ? "FF" : "00");
    blueprint->extended_length = true;
    blueprint->logical_channels = 20;
    blueprint->issuer = calloc(1, sizeof *blueprint->issuer);
    FUZZ_WANT(blueprint->issuer != NULL);
    set(&blueprint->issuer->keys, TEST_KEY);
    set(&blueprint->issuer->key_version, "01");
    if (kind->remote_key_type != NULL) add_remote_keys(blueprint->issuer, kind->remote_key_type);
    kf_error error = {KF_OK, ""};
    kf_code code = softcard_provision(blueprint, &state, &error);
    if (code != KF_OK) fuzz_unwanted(kf_error_text(&error), __FILE__, __LINE__);
    FUZZ_WANT(softcard_state_write(state, bytes) == KF_OK);
    softcard_state_free(&state);
    softcard_blueprint_free(&blueprint);
}

static void open_saved(memory_card *card)
{
    const softcard_environment environment = {save, take_random, card};
    FUZZ_WANT(softcard_open(kf_buffer_view(&card->saved), environment, &card->card, NULL) == KF_OK);
    softcard_power_on(card->card);
}

void memory_card_open(memory_card *card, size_t kind)
{
    static kf_buffer states[KINDS];
    kind %= KINDS;
    if (states[kind].size == 0) make_state(&memory_card_kinds[kind], &states[kind]);
    *card = (memory_card){.next_random = 1};
    kf_buffer_append(&card->saved, kf_buffer_view(&states[kind]));
    open_saved(card);
}

void memory_card_close(memory_card *card)
{
    softcard_state *state = NULL;
    FUZZ_BUFFER(again);
    FUZZ_WANT(softcard_state_read(kf_buffer_view(&card->saved), &state, NULL) == KF_OK);
    FUZZ_WANT(softcard_state_write(state, &again) == KF_OK);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&again), kf_buffer_view(&card->saved)));
    softcard_state_free(&state);
    softcard_free(&card->card);
    kf_buffer_clear(&card->saved);
}

void memory_card_revive(memory_card *card)
{
    softcard_free(&card->card);
    open_saved(card);
}

uint16_t memory_card_send(memory_card *card, kf_view command, kf_buffer *response)
{
    FUZZ_COPY(copy, command);
    size_t before = response->size;
    FUZZ_WANT(softcard_transmit(card->card, copy.view, response) == KF_OK);
    size_t size = response->size - before;
    FUZZ_WANT(size >= 2 && size <= SOFTCARD_RESPONSE_MAX);
    const uint8_t *end = response->data + response->size;
    FUZZ_WANT(end[-2] >> 4 == 6 || end[-2] == 0x90 || end[-2] == 0x91);
    return (uint16_t)(end[-2] << 8 | end[-1]);
}
