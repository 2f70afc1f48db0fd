/* A key management unit in one process: the real front's handlers, a real vault that serves on a socketpair
 * in a thread of its own, records in SQLite, and a card in memory. */
#ifndef KEYFILL_TESTS_KMU_FIXTURE_H
#define KEYFILL_TESTS_KMU_FIXTURE_H

#include "../vault/procedure_card.h"

#include <pthread.h>

#include "kmu/cards.h"
#include "kmu/categories.h"
#include "kmu/requests.h"

#define HOST "north-1"
#define ACTOR "host:" HOST
#define TERMINAL "till-1"

typedef struct world {
    test_bench bench; /* card and base keys; the keys are the vault's */
    kf_vault *vault;
    pthread_t vault_thread;
    kf_kmu kmu;
    char folder[64];
} world;

/* With the profile "test", the category CATEGORY (numbers 86138…) and a blank card. */
void world_make(world *made);
void world_remove(world *made);
/* The same for cmocka; at the end the audit log must be whole. */
int world_set_up(void **state);
int world_tear_down(void **state);
#define FIRST "00000000000000000000000000000001"
#define SECOND "00000000000000000000000000000002"
#define IN_WORLD(function) cmocka_unit_test_setup_teardown(function, world_set_up, world_tear_down)
/* The clock of front and vault goes on. */
void world_wait(uint64_t milliseconds);

typedef struct reply {
    kf_code code;
    kf_error error;
    char *text; /* the answer's JSON; NULL where there is none */
} reply;

void reply_clear(reply *answer);

/* One call of a handler as HOST, or as `role`:`name`. `parameter` is the value of {id} or {name}. `body`
 * NULL: without. */
reply ask(world *made, kf_http_handler handler, const char *parameter, const char *body);
reply ask_as(world *made, kf_peer caller, kf_http_handler handler, const char *parameter, const char *body);
kf_peer peer_of(kf_peer_role role, const char *name);

/* Bodies; the caller frees. `more`: further members, beginning with a comma, or "". */
char *request_body(const char *id, const char *operation, const char *more);
char *fill_body(const char *id);
/* Powers the card anew. */
void card_insert(world *made);
/* Runs the answer's script on the card, and gives the message that tells of it. */
char *message_for(world *made, const char *answer);
char *text_of_answer(const char *answer, const char *member);
int64_t integer_of_answer(const char *answer, const char *member);

reply begin(world *made, const char *body);
reply tell(world *made, const char *id, const char *message);
/* From the answer of begin (or of a new attempt) to the end, or to the refusal. */
reply go_on(world *made, const char *id, reply first);
/* The whole fill of the card, which must be done. */
void fill(world *made, const char *id);

void execute(world *made, const char *sql);
int64_t number_of(world *made, const char *sql);
void text_of(world *made, const char *sql, char *ret_text, size_t size);
/* The chain is whole, and every receipt that the vault ever made is in it, once. */
void assert_audit_whole(world *made);
void assert_reply(const reply *answer, kf_code code, const char *because);

#endif
