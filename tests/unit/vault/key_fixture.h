/* A key folder of a test's own, and a vault on it, as cheap as Argon2id may be. With
 * KEYFILL_TEST_CUSTODY=token in the environment all stores keep their base keys in a token. */
#ifndef KEYFILL_TESTS_KEY_FIXTURE_H
#define KEYFILL_TESTS_KEY_FIXTURE_H

#include "vault/key_custody.h"
#include "vault/key_messages.h"
#include "vault/requests.h"

#define TEST_TEMPLATE "sp800-108-aes(role,number/bcd/8/right-F,generation/binary/2)"
#define TEST_NOW_SECONDS ((uint64_t)1800000000)

typedef struct key_folder {
    char path[64];
} key_folder;

void key_folder_make(key_folder *folder);
void key_folder_remove(key_folder *folder);
/* FOLDER/keys.a or keys.b */
void key_folder_slot(const key_folder *folder, size_t slot, char ret_path[96]);

bool test_uses_token(void);
const kf_key_custody *test_custody(void);   /* NULL: memory */
struct test_token *test_shared_token(void); /* the token, once a store was opened on it; else NULL */
/* Teardown of a group of tests that may have used a token. */
int test_custody_stop(void **state);
kf_secret *test_secret(const char *text);
kf_code open_store(const key_folder *folder, const char *passphrase, kf_key_store **ret_store,
                   kf_error *error);
kf_key_entry payment_entry(const char *category);
kf_key_entry transport_entry(const char *pair);

/* A vault on an own folder, resumed; of development, so that a certificate's word suffices. */
typedef struct test_vault {
    key_folder folder;
    kf_vault *vault;
} test_vault;

void test_vault_make(test_vault *vault, kf_vault_unit unit);
void test_vault_remove(test_vault *vault);
/* Ends it and starts another on the same key files. */
void test_vault_restart(test_vault *vault, kf_vault_unit unit);

/* Sends one request through the table, as serving does. `payload` may be NULL; receipts are checked to be
 * `expected_receipts`. */
kf_code test_ask(test_vault *vault, kf_vault_kind kind, const kf_buffer *request, kf_buffer *payload,
                 kf_error *error);
/* A whole key entered as two components. */
kf_code test_import(test_vault *vault, const kf_key_entry *entry, const char *first, const char *second,
                    kf_key_act_answer *ret_answer, kf_error *error);

#endif
