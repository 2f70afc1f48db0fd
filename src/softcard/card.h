/* A card with power: what it forgets when power goes, and how a command reaches what answers it. */
#ifndef KEYFILL_SOFTCARD_CARD_H
#define KEYFILL_SOFTCARD_CARD_H

#include <keyfill/signature.h>

#include "softcard/apdu.h"
#include "softcard/chaining.h"
#include "softcard/file_system.h"
#include "softcard/remote.h"
#include "softcard/secure_channel.h"
#include "softcard/state.h"

enum {
    SOFTCARD_STORE_DATA_MAX = 8 * 1024,         /* bytes of one series of STORE DATA */
    SOFTCARD_LOAD_MAX = SOFTCARD_LOAD_FILE_MAX, /* bytes of one series of LOAD */
};

/* Keys that came by STORE DATA and take effect with its last block (content of DGI 00B9 and 8113). */
typedef struct softcard_announced_keys {
    uint8_t version;
    size_t announced;
    softcard_key keys[SOFTCARD_KEYS_MAX];
    size_t sizes[SOFTCARD_KEYS_MAX]; /* bytes, as announced */
    bool has_check_value[SOFTCARD_KEYS_MAX];
    uint8_t check_values[SOFTCARD_KEYS_MAX][3];
    size_t received;
} softcard_announced_keys;

typedef struct softcard_store_series {
    uint8_t next_block;
    kf_buffer rest; /* of a data grouping that goes on in the next block */
    softcard_announced_keys keys;
} softcard_store_series;

typedef struct softcard_load_series {
    bool active;
    uint8_t next_block;
    softcard_aid load_file;
    softcard_aid domain;
    uint8_t hash_size; /* 0: none was given */
    uint8_t hash[KF_HASH_SIZE_MAX];
    kf_buffer bytes;
} softcard_load_series;

typedef struct softcard_status_listing {
    uint8_t scope;
    size_t next;
} softcard_status_listing;

typedef struct softcard_channel {
    bool open;
    bool files_selected; /* the file system answers file commands; otherwise the application does */
    softcard_aid application;
    softcard_position position;
    softcard_secure_channel secure;
    softcard_aid personalised; /* whom STORE DATA reaches; empty: `application` */
    softcard_store_series store;
    softcard_load_series load;
    softcard_status_listing listing;
    softcard_command_chain chain;
} softcard_channel;

struct softcard {
    softcard_environment environment;
    softcard_state *state;
    kf_buffer saved; /* the state as bytes, as `save` got it last */
    bool powered;
    bool answers_by_get_response; /* T=0: ISO/IEC 7816-3 12.2 */
    uint64_t commands;
    uint64_t tear_at; /* 0: not at all */
    bool tear_after;
    bool pin_verified[SOFTCARD_PINS];
    softcard_channel channels[SOFTCARD_LOGICAL_CHANNELS_MAX];
    kf_buffer waiting; /* what GET RESPONSE will fetch */
    softcard_remote_parts remote_parts;
    softcard_channel remote; /* on which packets over the air act */
};

/* A command on its way. `command.data` points into what the caller sent or into `plain`. */
typedef struct softcard_request {
    softcard *card;
    softcard_channel *channel;
    softcard_application *application;
    softcard_command command;
    kf_buffer *response;
} softcard_request;

/* Ends the secure channel and every series that depends on what is selected. */
void softcard_channel_forget(softcard_channel *channel);
void softcard_store_series_end(softcard_store_series *series);
void softcard_channel_open(softcard *card, softcard_channel *channel);
void softcard_channel_close(softcard_channel *channel);

/* Makes durable what the command changed; an answer leaves only after that. */
kf_code softcard_keep(softcard *card) KF_MUST_USE;
/* One command of a packet over the air on `card->remote`: durable when this returns, or without effect. */
softcard_status softcard_run_remote(softcard_request *request);

#endif
