/* A key management unit without its processes: base keys, a card in memory, the card's record, and whoever
 * stands between. Requests run from begin to end, the state travelling as a token. */
#ifndef KEYFILL_TESTS_PROCEDURE_CARD_H
#define KEYFILL_TESTS_PROCEDURE_CARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "key_fixture.h"
#include "softcard/state.h"
#include "vault/procedure.h"

#define CATEGORY "cn-north"
#define NUMBER "8613800000001"
#define OTHER_NUMBER "8613800000002"
#define ICCID "89860012345678901234"
#define KDD "0011223344556677889A"
#define IDENTITY "kdd:" KDD
#define DOMAIN_AID "A00000015153504B4601"
#define APPLET_AID "F04B465041590201"
#define MASTER_KEY "5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A"
#define ADM_KEY "A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1A1"
#define PAYMENT_KEY "B2B2B2B2B2B2B2B2B2B2B2B2B2B2B2B2"
#define FACTORY_KEY "C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3C3"
#define MAKER_TEMPLATE "sp800-108-aes(role,kdd/hex)"
#define PAYMENT_TEMPLATE TEST_TEMPLATE

/* What a profile is to say; NULL: as the default profile does. */
typedef struct profile_choice {
    const char *injection;   /* put-key */
    const char *level;       /* 0x33 */
    const char *parameters;  /* 81020370 */
    const char *order;       /* key-first */
    const char *preloaded;   /* preloaded_base_key; NULL: without */
    const char *modules;     /* YAML sequence in flow form */
    const char *fields;      /* YAML sequence in flow form */
    const char *key_version; /* 0x30 */
    const char *key_size;    /* 16 */
} profile_choice;

#define TAG_FIELDS                                                                                           \
    "[{field: plan, place: domain-tag, tag: 0x5F50}, {field: customer, place: domain-tag, tag: 0x45}]"
#define FILE_FIELDS "[{field: plan, place: sim-file, path: 7F106FE1}]"
#define APPLICATION_FIELDS                                                                                   \
    "[{field: plan, place: application, application: " APPLET_AID ", dgi: 0x0101},"                          \
    " {field: secret_value, place: application, application: " APPLET_AID                                    \
    ", dgi: 0x8001, derived_size: 16, secret: true}]"

/* What the card is made of, beside issuer keys diversified from MASTER_KEY. */
typedef struct card_choice {
    const char *parameter;   /* i; NULL: 70 */
    bool published_keys;     /* the published test keys instead */
    bool preloaded;          /* the domain is there, */
    bool factory_keys;       /* with keys diversified from FACTORY_KEY, */
    const char *domain_keys; /* or with these */
    unsigned applets;        /* instances of the payment application; the first is APPLET_AID */
    const char *kdd;         /* NULL: KDD */
    bool no_adm;             /* ADM1 is another than the base key's */
} card_choice;

typedef struct test_bench test_bench;
struct test_bench {
    key_folder folder;
    kf_key_store *keys;
    kf_profile profile;
    kf_cap_file *module;
    bool development;
    softcard *card;
    kf_buffer saved;
    kf_card_record record; /* what is durable */
    bool has_record;
    uint64_t now;
    uint8_t next_fresh;
    uint8_t next_random;
    uint64_t messages; /* calls of begin and advance */

    /* -- what goes wrong, for the next request -- */
    uint64_t tear_at; /* command from 1; 0: never */
    bool tear_after;
    const char *tear_label;       /* power goes after the command of this label took effect */
    const kf_card_record *lookup; /* what is found by identity, where that differs from `record` */
    bool lookup_lies;             /* it is given whatever its identity */
    uint64_t refuse_at;           /* command from 1 that the card does not get; `refusal` is answered */
    uint16_t refusal;
    /* Alters the answers of message `message` (1: contact). */
    void (*alter)(test_bench *bench, unsigned message, const kf_script *script, kf_script_answers *answers);
    void *alter_context;
    uint64_t sent;       /* commands of this request */
    uint64_t in_contact; /* those of the contact */
    kf_buffer seen;      /* every byte that terminal and host saw */
    kf_buffer labels;    /* "SELECT…\n" of the commands sent */
};

/* How a request ended. */
typedef struct test_outcome {
    kf_code code;
    kf_error error;
    kf_procedure_result result;
    kf_procedure_state state; /* at the end; valid where code is KF_OK */
} test_outcome;

void bench_make(test_bench *bench, const profile_choice *profile, const card_choice *card);
void bench_remove(test_bench *bench);
/* What a step of a procedure gets, with new challenges each time. */
kf_procedure_context bench_context(test_bench *bench);
/* Puts another profile in place. */
void bench_set_profile(test_bench *bench, const profile_choice *profile);
kf_code profile_of_choice(const profile_choice *choice, kf_profile *ret_profile, kf_error *error);
void bench_set_card(test_bench *bench, const card_choice *choice);
const kf_key_entry *bench_add_key(test_bench *bench, kf_key_purpose purpose, const char *category,
                                  const char *template, const char *key);

kf_procedure_request request_of(kf_operation operation);
void request_field(kf_procedure_request *request, const char *name, const char *value);
/* Runs a request with the card powered anew. */
/* Puts the card in a reader; sends a script as a terminal does. run() does both. */
void bench_power_on(test_bench *bench);
void bench_follow(test_bench *bench, const kf_script *script, kf_script_answers *answers);
test_outcome run(test_bench *bench, const kf_procedure_request *request);
void outcome_clear(test_outcome *outcome);
/* Runs and wants it done, or refused with `code`. */
void assert_done(test_bench *bench, const kf_procedure_request *request);
void assert_done_text(test_bench *bench, const kf_procedure_request *request, const char *text,
                      unsigned messages);
void assert_refused(test_bench *bench, const kf_procedure_request *request, kf_code code,
                    const char *because);
void fill_card(test_bench *bench);

/* What the card holds. */
softcard_state *card_state(const test_bench *bench);
/* Wants the domain to hold exactly the key set that number and generation give. */
void assert_card_key(const test_bench *bench, const char *number, uint32_t generation);
void assert_no_domain(const test_bench *bench);
/* Wants no key that the number's first generations give. */
void assert_no_card_key(const test_bench *bench, const char *number);
/* Record and card agree: one of the keys on record opens the domain, or it has none of its own. */
void assert_key_is_nameable(const test_bench *bench);
bool seen(const test_bench *bench, kf_view bytes);
void card_value(const test_bench *bench, const char *application, uint16_t tag, kf_buffer *value);

/* An `alter`: to the first script the terminal says that the domain is not there; all else is the card's. */
void bench_hide_domain(test_bench *bench, unsigned message, const kf_script *script,
                       kf_script_answers *answers);

#endif
