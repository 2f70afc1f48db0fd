/* The parts of a procedure: the contact, the sessions that follow from what it showed, and the commands of
 * each. Internal to the procedures. */
#ifndef KEYFILL_VAULT_PROCEDURE_PLAN_H
#define KEYFILL_VAULT_PROCEDURE_PLAN_H

#include "vault/procedure.h"

#define KF_SIM_CHANNEL 1 /* the logical channel on which files are read and written */

/* -- sessions -- */

typedef enum kf_session_kind {
    KF_SESSION_CREATE =
        1,                /* issuer: the security domain is installed; with store-data it gets its key here */
    KF_SESSION_KEY = 2,   /* domain: PUT KEY and the domain's data */
    KF_SESSION_APPLY = 3, /* issuer: personalisation of applications */
    KF_SESSION_PROOF =
        4, /* domain: its cryptogram is the receipt, where the channel has no R-MAC; no commands */
    KF_SESSION_DELETE = 5,  /* issuer: the domain goes, with its key and data */
    KF_SESSION_ABSENCE = 6, /* issuer: the list of applications shows under R-MAC that the domain is gone */
    KF_SESSION_RESTORE = 7, /* domain: a preloaded domain gets its factory keys back */
    KF_SESSION_LOAD = 8,    /* issuer: a module is loaded and installed */
    KF_SESSION_LIST = 9,    /* issuer: GET STATUS */
    KF_SESSION_UNLOAD = 10, /* issuer: a module is deleted */
    KF_SESSION_RETIRE = 12, /* domain: opened with its new key version, which proves it; the old one goes */
    KF_SESSION_PROBE = 11,  /* issuer: the domain is installed and deleted: where the list is empty, and so
                               without a response MAC, this shows under R-MAC that it was not there */
} kf_session_kind;

#define KF_SESSIONS_MAX 4

typedef struct kf_session_step {
    kf_session_kind kind;
    bool issuer; /* the channel is with the issuer security domain, else with the profile's domain */
    kf_channel_keys keys;
} kf_session_step;

typedef struct kf_session_plan {
    size_t count;
    kf_session_step steps[KF_SESSIONS_MAX];
} kf_session_plan;

/* From the request, the profile and the facts alone, so that every message of a request gives the same plan.
 */
kf_session_plan kf_plan_sessions(const kf_procedure_state *state, const kf_profile *profile);
/* Whether the contact asks the issuer domain last, so that the first session is with it. */
bool kf_plan_issuer_last(kf_operation operation, const kf_profile *profile);
/* Whether the pending key stands at another key version than the present one: then it is added to the card,
 * proven, and the present one deleted (replacement changes neither algorithm nor size, GP 2.3.1 11.8.2.3.3).
 */
bool kf_moves_key_version(const kf_card_record *record);
/* Where it answers with a MAC, what the card says is proven. */
bool kf_profile_has_response_mac(const kf_profile *profile);

/* -- commands of a session -- */

typedef enum kf_command_effect {
    KF_EFFECT_NONE = 0,
    KF_EFFECT_FIELD_WRITTEN = 1, /* `fields` of the profile */
    KF_EFFECT_NUMBER_WRITTEN = 2,
    KF_EFFECT_NUMBER_ERASED = 3,
    KF_EFFECT_LISTED = 4, /* a GET STATUS answer is collected */
} kf_command_effect;

#define KF_COMMAND_ALSO_MAX 3

typedef struct kf_session_command {
    kf_buffer apdu; /* plain */
    char label[KF_SCRIPT_LABEL_SIZE];
    bool wrapped; /* by the session's channel; else sent as it is, on the logical channel in its class byte */
    bool secret;
    bool alternative;                   /* one of several in a row: tried in order until one is accepted */
    bool any_answer;                    /* whatever comes is fine */
    bool follows_refusal;               /* `also` holds only if the command before it was refused as well */
    uint16_t also[KF_COMMAND_ALSO_MAX]; /* status words beside 9000 on which the script goes on */
    size_t also_count;
    bool more_ends; /* 6310 ends the script: the rest is asked for in another */
    size_t list;    /* KF_EFFECT_LISTED: which of the session's lists */
    uint8_t list_scope;
    kf_command_effect effect;
    size_t fields[KF_PROFILE_FIELDS_MAX]; /* KF_EFFECT_FIELD_WRITTEN: which */
    size_t field_count;
    uint8_t only_key_version; /* the answer lists keys (E0), and all are of this version; 0: no list */
    uint8_t gone_key_version; /* the answer lists keys (E0), and none is of this version; 0: no list */
    bool has_expected;
    kf_buffer expected; /* the answer's data must be this */
} kf_session_command;

typedef struct kf_session {
    kf_session_command *commands;
    size_t count;
    size_t capacity;
} kf_session;

#define KF_SESSION_COMMANDS_MAX 512

/* A new command at the end, to be filled; NULL without memory or past the cap. Valid until the next append.
 */
kf_session_command *kf_session_append(kf_session *session, const char *label, bool wrapped);
void kf_session_clear(kf_session *session);

/* What building commands needs. The channel is open (it encrypts keys); the commands do not depend on its
 * chain. */
typedef struct kf_session_build {
    const kf_procedure_context *context;
    const kf_procedure_state *state;
    kf_session_step step;
    bool first;                 /* of the plan: SIM files before the key, or to be erased */
    bool last;                  /* of those with commands: SIM files after the key */
    kf_secure_channel *channel; /* NULL where commands are built for their sizes alone */
} kf_session_build;

/* Where STORE DATA commands stand in a series that ends with "last block". */
typedef struct kf_store_series {
    uint8_t first_number;
    bool finish;
} kf_store_series;
#define KF_STORE_WHOLE ((kf_store_series){0, true})

/* One for each operation (procedure_fill.c, procedure_refill.c, procedure_clear.c, procedure_application.c).
 */
kf_code kf_fill_session(const kf_session_build *build, kf_session *session, kf_error *error) KF_MUST_USE;
kf_code kf_refill_session(const kf_session_build *build, kf_session *session, kf_error *error) KF_MUST_USE;
kf_code kf_clear_session(const kf_session_build *build, kf_session *session, kf_error *error) KF_MUST_USE;
kf_code kf_application_session(const kf_session_build *build, kf_session *session,
                               kf_error *error) KF_MUST_USE;

/* Shared by them (procedure_commands.c). */
kf_code kf_command_put_key(const kf_session_build *build, const kf_card_keys *keys, uint8_t present_version,
                           uint8_t new_version, kf_session *session) KF_MUST_USE;
/* GET DATA E0, where all keys have to be of that version. A domain without keys is opened with its parent's,
 * and so a terminal that leaves out SELECT keeps the channel with the parent: the list under R-MAC shows
 * whose channel it was. */
kf_code kf_command_key_list(uint8_t key_version, kf_session *session) KF_MUST_USE;
/* DELETE KEY, where it may be gone already, and a list that shows that it is. */
kf_code kf_command_delete_key_if_there(uint8_t key_version, kf_session *session) KF_MUST_USE;
kf_code kf_command_key_is_gone(uint8_t key_version, kf_session *session) KF_MUST_USE;
/* Whether this request writes the field: S5. */
bool kf_field_is_written(const kf_procedure_state *state, const kf_profile *profile, size_t field);
bool kf_domain_tags_are_due(const kf_session_build *build);
kf_code kf_command_domain_tags(const kf_session_build *build, kf_store_series series, kf_session *session,
                               kf_error *error) KF_MUST_USE;
/* INSTALL of the domain from each of the modules that cards name differently. */
kf_code kf_command_installs(const kf_session_build *build, kf_session *session) KF_MUST_USE;
kf_code kf_command_application_fields(const kf_session_build *build, kf_session *session,
                                      kf_error *error) KF_MUST_USE;
/* VERIFY ADM1, then number and file fields, each read back; `erase`: FF instead. */
kf_code kf_command_sim_files(const kf_session_build *build, bool erase, kf_session *session,
                             kf_error *error) KF_MUST_USE;
/* GET STATUS of each scope (at most KF_LISTS_MAX), with the pages that are known to follow. */
kf_code kf_command_lists(const kf_procedure_state *state, const kf_gp_scope *scopes, size_t count,
                         kf_session *session) KF_MUST_USE;
/* Empty values where the card has ours: in the domain (DGI 0070), in applications. */
kf_code kf_command_erase_domain_tags(const kf_session_build *build, kf_session *session,
                                     kf_error *error) KF_MUST_USE;
kf_code kf_command_erase_application_fields(const kf_session_build *build, kf_session *session,
                                            kf_error *error) KF_MUST_USE;
/* The field's bytes: the order's text, or derived for the card (procedure_keys.c). */
kf_code kf_field_value(const kf_procedure_context *context, const kf_procedure_state *state, size_t field,
                       kf_buffer *value, kf_error *error) KF_MUST_USE;

/* -- contact (procedure_contact.c) -- */

#define KF_CONTACT_NONE UINT16_MAX

/* Where in the contact script what stands; KF_CONTACT_NONE: not there. */
typedef struct kf_contact_layout {
    uint16_t open_channel;
    uint16_t number_select, number_read, adm_tries;
    uint16_t file_select[KF_PROFILE_FIELDS_MAX], file_read[KF_PROFILE_FIELDS_MAX];
    uint16_t domain_select; /* whether the domain is there */
    uint16_t tag_read[KF_PROFILE_FIELDS_MAX];
    uint16_t domain_update[2]; /* INITIALIZE UPDATE: of the pending key version, and else of any */
    uint16_t issuer_update[2]; /* where the domain is there, and where not */
} kf_contact_layout;

/* Deterministic from the state. `pending_usable`: a cryptogram under the record's pending key could be told.
 */
kf_code kf_contact_script(const kf_procedure_state *state, const kf_profile *profile, bool pending_usable,
                          kf_script *script, kf_contact_layout *ret_layout) KF_MUST_USE;

typedef struct kf_contact {
    kf_card_facts facts;   /* domain_keys is not known yet */
    kf_view domain_answer; /* to INITIALIZE UPDATE, with status word; empty: none */
    kf_view issuer_answer;
} kf_contact;

/* What the answers show. The views point into them. */
kf_code kf_contact_read(const kf_profile *profile, const kf_contact_layout *layout,
                        const kf_script_answers *answers, kf_contact *ret_contact) KF_MUST_USE;

/* -- keys (procedure_keys.c) -- */

/* The base key of a purpose for a category: the category's, else "default"; version 0: in force.
 * KF_ERR_NO_KEY says what to do. */
kf_code kf_procedure_base_key(const kf_procedure_context *context, kf_key_purpose purpose,
                              const char *category, uint32_t version, const kf_key_entry **ret_entry,
                              kf_error *error) KF_MUST_USE;
/* KF_ERR_KEY_POLICY where the entry's policy does not allow this profile, channel or level. */
kf_code kf_procedure_check_policy(const kf_procedure_context *context, const kf_key_entry *entry,
                                  kf_error *error) KF_MUST_USE;
/* The keys that open a channel of that kind. `diversification_data`: hex digits of INITIALIZE UPDATE's 10
 * bytes; the record's identity goes before it, so that no second card can step in. */
kf_code kf_procedure_channel_keys(const kf_procedure_context *context, const kf_procedure_state *state,
                                  kf_channel_keys kind, const char *diversification_data,
                                  kf_card_keys *ret_keys, kf_error *error) KF_MUST_USE;
/* The card key of record.present, pending or previous. KF_ERR_NO_KEY for generation 0. */
kf_code kf_procedure_card_key(const kf_procedure_context *context, const kf_card_record *record,
                              const kf_card_key *which, kf_card_keys *ret_keys, kf_error *error) KF_MUST_USE;
/* The base key that it comes from. */
kf_code kf_procedure_card_base_key(const kf_procedure_context *context, const kf_card_record *record,
                                   const kf_card_key *which, const kf_key_entry **ret_entry,
                                   kf_error *error) KF_MUST_USE;
/* 8 bytes: the administrative code that guards SIM files. */
kf_code kf_procedure_adm(const kf_procedure_context *context, const kf_procedure_state *state,
                         kf_secret **ret_adm, kf_error *error) KF_MUST_USE;
/* Those of the request's and card's values that the template of `entry` takes. */
kf_code kf_procedure_derivation_values(const kf_procedure_context *context, const kf_procedure_state *state,
                                       const kf_key_entry *entry, const char *diversification_data,
                                       kf_named_values *ret_values, kf_error *error) KF_MUST_USE;
/* Whether these keys fit the answer. */
bool kf_procedure_fits(const kf_card_keys *keys, const uint8_t challenge[KF_HOST_CHALLENGE_SIZE],
                       kf_view answer);
kf_key_set kf_card_keys_set(const kf_card_keys *keys);

/* -- session scripts (procedure_session.c) -- */

/* Builds the script of the session that runs, from state.session_answer. `ret_channel` may be NULL. */
typedef struct kf_session_script {
    kf_script script;
    struct kf_session_entry {
        uint16_t command; /* index in the session; UINT16_MAX: not one of them */
        bool wrapped;
        kf_exchange exchange;
    } * entries; /* as many as the script has */
    kf_session session;
    kf_secure_channel *channel;
    uint16_t
        next_update[4]; /* INITIALIZE UPDATE of the next session, one for each alternative; KF_CONTACT_NONE */
} kf_session_script;
kf_code kf_session_script_build(const kf_procedure_context *context, const kf_procedure_state *state,
                                kf_session_script *ret_script, kf_error *error) KF_MUST_USE;
void kf_session_script_clear(kf_session_script *script);
/* Checks order, status words, response MACs and expected data of the answers, and applies their effects to
 * `state`. `ret_update`: the next session's INITIALIZE UPDATE answer, or empty. `ret_more`: a list goes on.
 */
kf_code kf_session_script_check(const kf_session_script *script, const kf_profile *profile,
                                const kf_script_answers *answers, kf_procedure_state *state,
                                kf_view *ret_update, bool *ret_more, kf_error *error) KF_MUST_USE;
/* That the answers follow the script without a gap, and reach its end; else which command stopped it and why.
 */
kf_code kf_answers_follow(const kf_script *script, const kf_script_answers *answers,
                          kf_error *error) KF_MUST_USE;

/* -- decisions after the contact -- */

/* KF_ERR_PROFILE where the card's key is in another domain than the profile's. */
kf_code kf_check_record_profile(const kf_card_record *record, const kf_profile *profile,
                                kf_error *error) KF_MUST_USE;
/* The refusal of a card whose domain none of its keys fits: that a base key is suspended or gone, or that the
 * card does not prove. `what`: "the refill is refused". */
kf_code kf_refuse_unproven(const kf_procedure_context *context, const kf_card_record *record,
                           const char *what, kf_error *error) KF_MUST_USE;
/* KF_ERR_PROFILE where a clear could not put the maker's keys back in the place of keys of `size` bytes. */
kf_code kf_check_factory_size(const kf_procedure_context *context, size_t size, kf_error *error) KF_MUST_USE;
/* Facts, identity and proven keys are in the state. Sets the intent in state.record where the operation
 * changes the card; `ret_done`: nothing is left to do. */
kf_code kf_fill_decide(const kf_procedure_context *context, kf_procedure_state *state,
                       const char *diversification_data, kf_error *error) KF_MUST_USE;
kf_code kf_refill_decide(const kf_procedure_context *context, kf_procedure_state *state, bool *ret_done,
                         kf_error *error) KF_MUST_USE;
kf_code kf_clear_decide(const kf_procedure_context *context, kf_procedure_state *state, bool *ret_done,
                        kf_error *error) KF_MUST_USE;

/* -- the end (procedure_finish.c) -- */

bool kf_changes_card_key(kf_operation operation);
/* Everything is proven: the record as it is now, and the sentence. */
kf_code kf_finish(const kf_procedure_context *context, kf_procedure_state *state, kf_procedure_result *result,
                  kf_error *error) KF_MUST_USE;
/* Whether the application list that the card gave under R-MAC shows that the domain is not there; an empty
 * list is a status word without MAC, and shows nothing. KF_ERR_STATE where the domain is listed. */
kf_code kf_check_absence(const kf_procedure_state *state, const kf_profile *profile, bool *ret_proven,
                         kf_error *error) KF_MUST_USE;

#endif
