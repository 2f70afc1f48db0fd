#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "key_fixture.h"
#include "vault/key_transfer.h"

static const char pair[] = "bkmu-kmu1";
static const char component_a[] = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
static const char component_b[] = "F0E1D2C3B4A5968778695A4B3C2D1E0FF0E1D2C3B4A5968778695A4B3C2D1E00";
static const char component_c[] = "11111111111111111111111111111111111111111111111111111111111111AA";

/* A base key management unit and a key management unit with the same transport key. */
typedef struct two_units {
    test_vault bkmu;
    test_vault kmu;
} two_units;

static void enter_transport(test_vault *vault, const char *second)
{
    kf_error error = {KF_OK, ""};
    kf_key_act_answer answer;
    kf_key_entry entry = transport_entry(pair);
    assert_int_equal(test_import(vault, &entry, component_a, second, &answer, &error), KF_OK);
    assert_true(answer.complete);
}

static int make_units(void **state)
{
    two_units *units = calloc(1, sizeof *units);
    assert_non_null(units);
    test_vault_make(&units->bkmu, KF_VAULT_BKMU);
    test_vault_make(&units->kmu, KF_VAULT_KMU);
    enter_transport(&units->bkmu, component_b);
    *state = units;
    return 0;
}

static int remove_units(void **state)
{
    two_units *units = *state;
    test_vault_remove(&units->bkmu);
    test_vault_remove(&units->kmu);
    free(units);
    return 0;
}

static kf_key_entry act(test_vault *vault, kf_key_act what, const kf_key_entry *entry)
{
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_key_act_request request = {.actor = {"officer:alice", "r1"}, .act = what, .entry = *entry};
    kf_key_act_answer done;
    kf_key_act_request_put(&bytes, &request);
    assert_int_equal(test_ask(vault, KF_VAULT_KEY_ACT, &bytes, &answer, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    assert_int_equal(kf_key_act_answer_take(&cursor, &done), KF_OK);
    return done.entry;
}

/* `answer` owns what the messages view. */
static void export_after(two_units *units, uint64_t after, kf_buffer *answer,
                         kf_key_export_answer *ret_export)
{
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_key_export_request request = {.actor = {"kmu:one", ""}, .after = after, .limit = 64};
    strcpy(request.pair, pair);
    kf_key_export_request_put(&bytes, &request);
    assert_int_equal(test_ask(&units->bkmu, KF_VAULT_KEY_BLOCK_EXPORT, &bytes, answer, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(answer));
    assert_int_equal(kf_key_export_answer_take(&cursor, ret_export), KF_OK);
}

static kf_code import(test_vault *kmu, const kf_key_message *message, kf_key_import_answer *ret_answer,
                      kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_key_import_request request = {{"bkmu:central", ""}, *message};
    kf_key_import_request_put(&bytes, &request);
    KF_TRY(test_ask(kmu, KF_VAULT_KEY_BLOCK_IMPORT, &bytes, &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    return kf_key_import_answer_take(&cursor, ret_answer);
}

static void keys_of_every_purpose_arrive_with_policy_and_check_value(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted[3] = {payment_entry("cn-north"), payment_entry("cn-north"), payment_entry("default")};
    wanted[0].policy.least_channel = KF_CHANNEL_SCP03;
    wanted[0].policy.least_level = 0x33;
    wanted[0].policy.profile_count = 1;
    memset(wanted[0].policy.profiles[0], 0xA5, KF_PROFILE_DIGEST_SIZE);
    wanted[1].purpose = KF_PURPOSE_CARD_MANAGER;
    strcpy(wanted[1].policy.diversification, "sp800-108-aes(role,kdd/hex)");
    wanted[2].purpose = KF_PURPOSE_ADM;
    wanted[2].algorithm = test_uses_token() ? KF_AES : KF_SM4;
    strcpy(wanted[2].policy.diversification, "sp800-108-aes(role,iccid/ascii/20/right-00)");
    for (size_t i = 0; i < 3; i++)
        act(&units->bkmu, KF_KEY_GENERATE, &wanted[i]);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    export_after(units, 0, &answer, batch);
    assert_int_equal(batch->count, 3);
    for (size_t i = 0; i < 3; i++) {
        kf_key_import_answer done;
        assert_int_equal(import(&units->kmu, &batch->messages[i], &done, &error), KF_OK);
        assert_int_equal(done.revision, batch->messages[i].revision);
        const kf_key_entry *sent = kf_key_store_find(units->bkmu.vault->keys, wanted[i].purpose,
                                                     wanted[i].category, 1, TEST_NOW_SECONDS);
        const kf_key_entry *here = kf_key_store_find(units->kmu.vault->keys, wanted[i].purpose,
                                                     wanted[i].category, 0, TEST_NOW_SECONDS);
        assert_non_null(here);
        assert_memory_equal(here->kcv.bytes, sent->kcv.bytes, KF_KCV_SIZE);
        assert_int_equal(here->algorithm, sent->algorithm);
        assert_string_equal(here->origin, pair);
        assert_string_equal(here->policy.diversification, sent->policy.diversification);
        assert_int_equal(here->policy.least_level, sent->policy.least_level);
        assert_int_equal(here->policy.profile_count, sent->policy.profile_count);
        assert_true(sent->policy.exportable);
        assert_false(here->policy.exportable);
    }
}

static void a_block_with_any_flipped_bit_is_refused_and_changes_nothing(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted = payment_entry("cn-north");
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    export_after(units, 0, &answer, batch);
    uint64_t revision = kf_key_store_revision(units->kmu.vault->keys);
    KF_CLEANUP(kf_buffer_clear) kf_buffer block = KF_BUFFER_INIT;
    kf_buffer_append(&block, batch->messages[0].block);
    kf_key_message message = batch->messages[0];
    message.block = kf_buffer_view(&block);
    kf_key_import_answer done;
    for (size_t i = 0; i < block.size; i++) {
        block.data[i] ^= 0x01;
        assert_int_not_equal(import(&units->kmu, &message, &done, &error), KF_OK);
        block.data[i] ^= 0x01;
    }
    assert_int_equal(kf_key_store_revision(units->kmu.vault->keys), revision);
    assert_int_equal(import(&units->kmu, &message, &done, &error), KF_OK);
}

static void a_message_whose_after_is_not_the_blocks_says_so(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted = payment_entry("cn-north");
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    export_after(units, 0, &answer, batch);
    kf_key_message message = batch->messages[0];
    message.after = 7;
    kf_key_import_answer done;
    assert_int_equal(import(&units->kmu, &message, &done, &error), KF_ERR_KEY_BLOCK);
    assert_non_null(strstr(error.message, "after: "));
    assert_non_null(strstr(error.message, "follows on 7"));
}

static void an_older_or_repeated_revision_is_refused(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted = payment_entry("cn-north");
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    KF_CLEANUP(kf_buffer_clear) kf_buffer first = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer second = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *old = calloc(1, sizeof *old);
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *new = calloc(1, sizeof *new);
    export_after(units, 0, &first, old);
    wanted.version = 1;
    kf_key_entry suspended = act(&units->bkmu, KF_KEY_SUSPEND, &wanted);
    assert_int_equal(suspended.state, KF_KEY_SUSPENDED);
    export_after(units, 0, &second, new);
    kf_key_import_answer done;
    assert_int_equal(import(&units->kmu, &new->messages[0], &done, &error), KF_OK);
    assert_int_equal(done.entry.state, KF_KEY_SUSPENDED);
    assert_int_equal(import(&units->kmu, &old->messages[0], &done, &error), KF_ERR_REVISION);
    assert_int_equal(import(&units->kmu, &new->messages[0], &done, &error), KF_ERR_REVISION);
    const kf_key_entry *here =
        kf_key_store_find(units->kmu.vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 1, TEST_NOW_SECONDS);
    assert_int_equal(here->state, KF_KEY_SUSPENDED);
}

static void a_revision_that_skips_one_is_refused(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted = payment_entry("cn-north");
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    export_after(units, 0, &answer, batch);
    assert_int_equal(batch->count, 2);
    kf_key_import_answer done;
    assert_int_equal(import(&units->kmu, &batch->messages[1], &done, &error), KF_ERR_REVISION);
    assert_non_null(strstr(error.message, "pull"));
    assert_int_equal(import(&units->kmu, &batch->messages[0], &done, &error), KF_OK);
    assert_int_equal(import(&units->kmu, &batch->messages[1], &done, &error), KF_OK);
    assert_int_equal(done.revision, batch->head);
}

static void what_the_message_states_must_be_what_the_block_authenticates(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted = payment_entry("cn-north");
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    export_after(units, 0, &answer, batch);
    kf_key_import_answer done;
    kf_key_message message = batch->messages[0];
    strcpy(message.category, "cn-south");
    assert_int_equal(import(&units->kmu, &message, &done, &error), KF_ERR_KEY_BLOCK);
    assert_non_null(strstr(error.message, "cn-south"));
    message = batch->messages[0];
    message.revision++;
    assert_int_equal(import(&units->kmu, &message, &done, &error), KF_ERR_KEY_BLOCK);
    message = batch->messages[0];
    message.version++;
    assert_int_equal(import(&units->kmu, &message, &done, &error), KF_ERR_KEY_BLOCK);
    message = batch->messages[0];
    message.purpose = KF_PURPOSE_ADM;
    assert_int_equal(import(&units->kmu, &message, &done, &error), KF_ERR_KEY_BLOCK);
    assert_null(kf_key_store_find(units->kmu.vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 1, 0));
}

static void a_wrong_or_missing_transport_key_is_named(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    kf_key_entry wanted = payment_entry("cn-north");
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    export_after(units, 0, &answer, batch);
    kf_key_import_answer done;
    assert_int_equal(import(&units->kmu, &batch->messages[0], &done, &error), KF_ERR_NO_KEY);
    enter_transport(&units->kmu, component_c);
    assert_int_equal(import(&units->kmu, &batch->messages[0], &done, &error), KF_ERR_AUTHENTICATION);
    assert_non_null(strstr(error.message, pair));
    /* The right one beside the wrong one: both are tried. */
    enter_transport(&units->kmu, component_b);
    assert_int_equal(import(&units->kmu, &batch->messages[0], &done, &error), KF_OK);
}

static void a_destroyed_key_is_destroyed_on_the_other_side(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted = payment_entry("cn-north");
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    kf_key_import_answer done;
    export_after(units, 0, &answer, batch);
    assert_int_equal(import(&units->kmu, &batch->messages[0], &done, &error), KF_OK);
    kf_kcv kcv = done.entry.kcv;
    wanted.version = 1;
    act(&units->bkmu, KF_KEY_DESTROY, &wanted);
    export_after(units, done.revision, &answer, batch);
    assert_int_equal(batch->count, 1);
    assert_int_equal(import(&units->kmu, &batch->messages[0], &done, &error), KF_OK);
    assert_int_equal(done.entry.state, KF_KEY_DESTROYED);
    assert_memory_equal(done.entry.kcv.bytes, kcv.bytes, KF_KCV_SIZE);
    kf_secret *key = NULL;
    const kf_key_entry *here =
        kf_key_store_find(units->kmu.vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 1, 0);
    assert_int_equal(kf_key_store_expose_key(units->kmu.vault->keys, here, &key, &error), KF_ERR_KEY_POLICY);
}

static void a_unit_that_was_away_gets_what_it_missed_in_order_and_in_parts(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted = payment_entry("cn-north");
    for (size_t i = 0; i < 70; i++)
        act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    uint64_t acknowledged = 0;
    size_t count = 0;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    do {
        export_after(units, acknowledged, &answer, batch);
        for (size_t i = 0; i < batch->count; i++) {
            kf_key_import_answer done;
            assert_int_equal(import(&units->kmu, &batch->messages[i], &done, &error), KF_OK);
            acknowledged = done.revision;
            count++;
        }
    } while (batch->count > 0);
    assert_int_equal(count, 70);
    assert_int_equal(acknowledged, batch->head);
    assert_int_equal(kf_key_store_latest(units->kmu.vault->keys, KF_PURPOSE_PAYMENT, "cn-north"), 70);
}

static void keys_that_came_over_a_pair_are_not_changed_or_replaced_here(void **state)
{
    two_units *units = *state;
    kf_error error = {KF_OK, ""};
    enter_transport(&units->kmu, component_b);
    kf_key_entry wanted = payment_entry("cn-north");
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
    wanted.version = 2;
    const kf_key_entry *own = NULL;
    assert_int_equal(kf_key_store_add(units->kmu.vault->keys, &wanted, NULL, 0, &own, &error), KF_OK);
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    export_after(units, 0, &answer, batch);
    kf_key_import_answer done;
    assert_int_equal(import(&units->kmu, &batch->messages[0], &done, &error), KF_OK);
    assert_int_equal(import(&units->kmu, &batch->messages[1], &done, &error), KF_ERR_CONFLICT);
    const kf_key_entry *first =
        kf_key_store_find(units->kmu.vault->keys, KF_PURPOSE_PAYMENT, "cn-north", 1, 0);
    const kf_key_entry *changed = NULL;
    assert_int_equal(
        kf_key_store_set_state(units->kmu.vault->keys, first, KF_KEY_SUSPENDED, &changed, &error),
        KF_ERR_STATE);
}

static void import_all(two_units *units, uint64_t after, size_t count)
{
    kf_error error = {0};
    kf_key_import_answer done;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    KF_CLEANUP(kf_free_pointer) kf_key_export_answer *batch = calloc(1, sizeof *batch);
    export_after(units, after, &answer, batch);
    assert_int_equal(batch->count, count);
    for (size_t i = 0; i < batch->count; i++)
        if (import(&units->kmu, &batch->messages[i], &done, &error) != KF_OK)
            fail_msg("%zu: %s", i, error.message);
}

static void generate_payment(two_units *units, const char *category)
{
    kf_key_entry wanted = payment_entry(category);
    act(&units->bkmu, KF_KEY_GENERATE, &wanted);
}

static kf_key_entry rotate_transport(two_units *units)
{
    kf_key_entry entry = transport_entry(pair);
    entry.version = 0;
    return act(&units->bkmu, KF_KEY_ROTATE, &entry);
}

static const kf_key_entry *transport_of(const test_vault *vault, uint32_t version)
{
    return kf_key_store_find(vault->vault->keys, KF_PURPOSE_TRANSPORT, pair, version, TEST_NOW_SECONDS);
}

/* The next transport key goes over under the one before; what is made before it, and after it, arrives at a
 * unit that was away all the time, too. */
static void a_transport_key_goes_over_under_the_one_before(void **state)
{
    two_units *units = *state;
    if (test_uses_token()) return;
    enter_transport(&units->kmu, component_b);
    generate_payment(units, "before");
    kf_key_entry second = rotate_transport(units);
    assert_int_equal(second.version, 2);
    assert_int_equal(transport_of(&units->bkmu, 1)->state, KF_KEY_ACTIVE);
    generate_payment(units, "behind");
    import_all(units, 0, 3);
    const kf_key_entry *here = transport_of(&units->kmu, 0);
    assert_int_equal(here->version, 2);
    assert_memory_equal(here->kcv.bytes, second.kcv.bytes, KF_KCV_SIZE);
    assert_string_equal(here->origin, pair);
    assert_false(here->policy.exportable);
    /* What comes now is under it: without it, it does not open. */
    generate_payment(units, "last");
    uint64_t known = kf_key_store_peer_revision(units->kmu.vault->keys, pair);
    kf_error error = {0};
    const kf_key_entry *gone = NULL;
    assert_int_equal(kf_key_store_set_state(units->kmu.vault->keys, transport_of(&units->kmu, 1),
                                            KF_KEY_DESTROYED, &gone, &error),
                     KF_OK);
    import_all(units, known, 1);
}

/* The first is deactivated at the base key management unit: the third goes over under the second. */
static void transport_keys_follow_one_another(void **state)
{
    two_units *units = *state;
    if (test_uses_token()) return;
    enter_transport(&units->kmu, component_b);
    rotate_transport(units);
    import_all(units, 0, 1);
    kf_key_entry first = transport_entry(pair);
    first.version = 1;
    act(&units->bkmu, KF_KEY_DEACTIVATE, &first);
    uint64_t known = kf_key_store_peer_revision(units->kmu.vault->keys, pair);
    rotate_transport(units);
    generate_payment(units, "behind");
    import_all(units, known, 2);
    assert_int_equal(transport_of(&units->kmu, 0)->version, 3);
    /* A state that changes goes over, too. */
    known = kf_key_store_peer_revision(units->kmu.vault->keys, pair);
    kf_key_entry second = transport_entry(pair);
    second.version = 2;
    act(&units->bkmu, KF_KEY_DEACTIVATE, &second);
    import_all(units, known, 1);
    assert_int_equal(transport_of(&units->kmu, 2)->state, KF_KEY_DEACTIVATED);
    known = kf_key_store_peer_revision(units->kmu.vault->keys, pair);
    act(&units->bkmu, KF_KEY_DESTROY, &second);
    import_all(units, known, 1);
    assert_int_equal(transport_of(&units->kmu, 2)->state, KF_KEY_DESTROYED);
}

/* Components were entered twice on this side, so that the numbers differ. */
static void each_side_counts_its_transport_keys(void **state)
{
    two_units *units = *state;
    if (test_uses_token()) return;
    enter_transport(&units->kmu, component_c);
    enter_transport(&units->kmu, component_b);
    kf_key_entry second = rotate_transport(units);
    generate_payment(units, "behind");
    import_all(units, 0, 2);
    assert_int_equal(second.version, 2);
    assert_int_equal(transport_of(&units->kmu, 0)->version, 3);
    assert_memory_equal(transport_of(&units->kmu, 0)->kcv.bytes, second.kcv.bytes, KF_KCV_SIZE);
    uint64_t known = kf_key_store_peer_revision(units->kmu.vault->keys, pair);
    second.origin[0] = '\0';
    act(&units->bkmu, KF_KEY_SUSPEND, &second);
    import_all(units, known, 1);
    assert_int_equal(transport_of(&units->kmu, 3)->state, KF_KEY_SUSPENDED);
}

static kf_code refused_rotation(test_vault *vault, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_key_act_request request = {
        .actor = {"officer:alice", "r1"}, .act = KF_KEY_ROTATE, .entry = transport_entry(pair)};
    request.entry.version = 0;
    kf_key_act_request_put(&bytes, &request);
    return test_ask(vault, KF_VAULT_KEY_ACT, &bytes, &answer, error);
}

static void a_transport_key_is_rotated_where_it_can_be_sent_from(void **state)
{
    two_units *units = *state;
    kf_error error = {0};
    enter_transport(&units->kmu, component_b);
    assert_int_equal(refused_rotation(&units->kmu, &error), KF_ERR_STATE);
    assert_non_null(strstr(error.message, "at the base key management unit"));
    if (!test_uses_token()) return;
    assert_int_equal(refused_rotation(&units->bkmu, &error), KF_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "keyfill key transport create"));
}

int main(void)
{
#define WITH_UNITS(test) cmocka_unit_test_setup_teardown(test, make_units, remove_units)
    const struct CMUnitTest tests[] = {
        WITH_UNITS(keys_of_every_purpose_arrive_with_policy_and_check_value),
        WITH_UNITS(a_block_with_any_flipped_bit_is_refused_and_changes_nothing),
        WITH_UNITS(a_message_whose_after_is_not_the_blocks_says_so),
        WITH_UNITS(an_older_or_repeated_revision_is_refused),
        WITH_UNITS(a_revision_that_skips_one_is_refused),
        WITH_UNITS(what_the_message_states_must_be_what_the_block_authenticates),
        WITH_UNITS(a_wrong_or_missing_transport_key_is_named),
        WITH_UNITS(a_destroyed_key_is_destroyed_on_the_other_side),
        WITH_UNITS(a_unit_that_was_away_gets_what_it_missed_in_order_and_in_parts),
        WITH_UNITS(keys_that_came_over_a_pair_are_not_changed_or_replaced_here),
        WITH_UNITS(a_transport_key_goes_over_under_the_one_before),
        WITH_UNITS(transport_keys_follow_one_another),
        WITH_UNITS(each_side_counts_its_transport_keys),
        WITH_UNITS(a_transport_key_is_rotated_where_it_can_be_sent_from),
    };
    return cmocka_run_group_tests(tests, NULL, test_custody_stop);
}
