#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "key_fixture.h"
#include "vault/key_seal.h"

static const char passphrase[] = "a passphrase";

static kf_kcv add_key(kf_key_store *store, const kf_key_entry *wanted)
{
    kf_error error = {KF_OK, ""};
    const kf_key_entry *made = NULL;
    assert_int_equal(kf_key_store_add(store, wanted, NULL, TEST_NOW_SECONDS, &made, &error), KF_OK);
    return made->kcv;
}

static void a_key_is_there_after_a_restart_with_the_same_check_value(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folder;
    kf_key_store *store = NULL;
    key_folder_make(&folder);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    kf_key_entry wanted = payment_entry("cn-north");
    kf_kcv kcv = add_key(store, &wanted);
    uint64_t revision = kf_key_store_revision(store);
    kf_key_store_free(&store);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    const kf_key_entry *found = kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 0, TEST_NOW_SECONDS);
    assert_non_null(found);
    assert_int_equal(found->version, 1);
    assert_memory_equal(found->kcv.bytes, kcv.bytes, KF_KCV_SIZE);
    assert_string_equal(found->policy.diversification, TEST_TEMPLATE);
    assert_int_equal(kf_key_store_revision(store), revision);
    assert_null(kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-south", 0, TEST_NOW_SECONDS));
    assert_null(kf_key_store_find(store, KF_PURPOSE_ADM, "cn-north", 0, TEST_NOW_SECONDS));
    kf_key_store_free(&store);
    key_folder_remove(&folder);
}

static void a_wrong_passphrase_is_refused(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folder;
    kf_key_store *store = NULL;
    key_folder_make(&folder);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    kf_key_store_free(&store);
    assert_int_equal(open_store(&folder, "another one", &store, &error), KF_ERR_KEY_STORE);
    assert_null(store);
    assert_non_null(strstr(error.message, "passphrase"));
    key_folder_remove(&folder);
}

static void a_folder_that_others_may_read_is_refused(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folder;
    kf_key_store *store = NULL;
    char path[96];
    key_folder_make(&folder);
    assert_int_equal(chmod(folder.path, 0750), 0);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_ERR_KEY_STORE);
    assert_int_equal(chmod(folder.path, 0700), 0);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    kf_key_store *second = NULL;
    assert_int_equal(open_store(&folder, passphrase, &second, &error), KF_ERR_KEY_STORE);
    assert_non_null(strstr(error.message, "another vault"));
    kf_key_store_free(&store);
    key_folder_slot(&folder, 1, path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_ERR_KEY_STORE);
    key_folder_remove(&folder);
}

/* What both slots hold before and after one change. */
typedef struct two_states {
    key_folder folder;
    kf_buffer before;
    kf_buffer after;
} two_states;

static void read_slot_file(const key_folder *folder, size_t slot, kf_buffer *content)
{
    char path[96];
    kf_error error;
    key_folder_slot(folder, slot, path);
    assert_int_equal(kf_file_read(path, 1 << 20, content, &error), KF_OK);
}

static void write_slot_file(const key_folder *folder, size_t slot, kf_view head, kf_view tail)
{
    char path[96];
    key_folder_slot(folder, slot, path);
    int descriptor = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    assert_true(descriptor >= 0);
    assert_int_equal(kf_descriptor_write(descriptor, head), KF_OK);
    assert_int_equal(kf_descriptor_write(descriptor, tail), KF_OK);
    close(descriptor);
}

static void make_two_states(two_states *states)
{
    kf_error error = {KF_OK, ""};
    kf_key_store *store = NULL;
    states->before = (kf_buffer)KF_BUFFER_INIT;
    states->after = (kf_buffer)KF_BUFFER_INIT;
    key_folder_make(&states->folder);
    assert_int_equal(open_store(&states->folder, passphrase, &store, &error), KF_OK);
    kf_key_entry first = payment_entry("first");
    add_key(store, &first);
    read_slot_file(&states->folder, 0, &states->before);
    kf_key_entry second = payment_entry("second");
    add_key(store, &second);
    read_slot_file(&states->folder, 0, &states->after);
    kf_key_store_free(&store);
}

static void drop_two_states(two_states *states)
{
    kf_buffer_clear(&states->before);
    kf_buffer_clear(&states->after);
    key_folder_remove(&states->folder);
}

static void expect_state(const two_states *states, bool second_there)
{
    kf_error error = {KF_OK, ""};
    kf_key_store *store = NULL;
    assert_int_equal(open_store(&states->folder, passphrase, &store, &error), KF_OK);
    assert_non_null(kf_key_store_find(store, KF_PURPOSE_PAYMENT, "first", 0, TEST_NOW_SECONDS));
    const kf_key_entry *second = kf_key_store_find(store, KF_PURPOSE_PAYMENT, "second", 0, TEST_NOW_SECONDS);
    assert_int_equal(second != NULL, second_there);
    kf_key_store_free(&store);
    /* Both are whole again. */
    kf_buffer slots[2] = {KF_BUFFER_INIT, KF_BUFFER_INIT};
    read_slot_file(&states->folder, 0, &slots[0]);
    read_slot_file(&states->folder, 1, &slots[1]);
    assert_int_equal(slots[0].size, slots[1].size);
    assert_true(kf_view_equal(kf_view_part(kf_buffer_view(&slots[0]), 0, KF_SEALED_HEAD_SIZE - 4),
                              kf_view_part(kf_buffer_view(&slots[1]), 0, KF_SEALED_HEAD_SIZE - 4)));
    kf_buffer_clear(&slots[0]);
    kf_buffer_clear(&slots[1]);
}

static void a_write_torn_at_any_byte_leaves_the_old_state_or_the_new(void **state)
{
    (void)state;
    two_states states;
    make_two_states(&states);
    kf_view before = kf_buffer_view(&states.before);
    kf_view after = kf_buffer_view(&states.after);
    for (size_t cut = 0; cut < after.size; cut++) {
        /* First slot being written over the old one: its tail is the old one's. */
        write_slot_file(&states.folder, 0, kf_view_part(after, 0, cut),
                        kf_view_part(before, cut, before.size));
        write_slot_file(&states.folder, 1, before, kf_view_of(NULL, 0));
        expect_state(&states, false);
        write_slot_file(&states.folder, 0, after, kf_view_of(NULL, 0));
        write_slot_file(&states.folder, 1, kf_view_part(after, 0, cut),
                        kf_view_part(before, cut, before.size));
        expect_state(&states, true);
    }
    drop_two_states(&states);
}

static void a_flipped_byte_in_one_slot_loses_nothing_and_in_both_is_refused(void **state)
{
    (void)state;
    two_states states;
    make_two_states(&states);
    kf_error error = {KF_OK, ""};
    kf_view after = kf_buffer_view(&states.after);
    KF_CLEANUP(kf_buffer_clear) kf_buffer flipped = KF_BUFFER_INIT;
    kf_buffer_append(&flipped, after);
    for (size_t i = 0; i < after.size; i++) {
        flipped.data[i] ^= 0x01;
        write_slot_file(&states.folder, 0, kf_buffer_view(&flipped), kf_view_of(NULL, 0));
        write_slot_file(&states.folder, 1, kf_buffer_view(&flipped), kf_view_of(NULL, 0));
        kf_key_store *store = NULL;
        assert_int_equal(open_store(&states.folder, passphrase, &store, &error), KF_ERR_KEY_STORE);
        write_slot_file(&states.folder, 1, after, kf_view_of(NULL, 0));
        expect_state(&states, true);
        flipped.data[i] ^= 0x01;
    }
    write_slot_file(&states.folder, 0, after, kf_view_of("\0", 1));
    write_slot_file(&states.folder, 1, after, kf_view_of("\0", 1));
    kf_key_store *store = NULL;
    assert_int_equal(open_store(&states.folder, passphrase, &store, &error), KF_ERR_KEY_STORE);
    write_slot_file(&states.folder, 0, kf_view_of(NULL, 0), kf_view_of(NULL, 0));
    assert_int_equal(open_store(&states.folder, passphrase, &store, &error), KF_ERR_KEY_STORE);
    drop_two_states(&states);
}

static void a_change_that_cannot_be_written_is_undone(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folder;
    char paths[2][96];
    key_folder_make(&folder);
    KF_CLEANUP(kf_key_slots_close) kf_key_slots slots = {{-1, -1}};
    assert_int_equal(kf_key_slots_open(folder.path, &slots, &error), KF_OK);
    kf_secret *secret = test_secret(passphrase);
    kf_key_store *store = NULL;
    int held[2] = {slots.descriptors[0], slots.descriptors[1]};
    assert_int_equal(kf_key_store_open(&slots, secret, (kf_passphrase_cost){1, 8192}, &store, &error), KF_OK);
    kf_secret_free(&secret);
    kf_key_entry wanted = payment_entry("cn-north");
    add_key(store, &wanted);
    uint64_t revision = kf_key_store_revision(store);
    size_t count = kf_key_store_count(store);
    /* The same files, but only for reading: writing fails as on a broken disk. */
    for (size_t i = 0; i < 2; i++) {
        key_folder_slot(&folder, i, paths[i]);
        int reading = open(paths[i], O_RDONLY);
        assert_true(reading >= 0);
        assert_int_equal(dup2(reading, held[i]), held[i]);
        close(reading);
    }
    const kf_key_entry *made = NULL;
    assert_int_equal(kf_key_store_add(store, &wanted, NULL, TEST_NOW_SECONDS, &made, &error),
                     KF_ERR_KEY_STORE);
    const kf_key_entry *first = kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 1, TEST_NOW_SECONDS);
    assert_int_equal(kf_key_store_set_state(store, first, KF_KEY_DESTROYED, &made, &error), KF_ERR_KEY_STORE);
    assert_int_equal(kf_key_store_revision(store), revision);
    assert_int_equal(kf_key_store_count(store), count);
    first = kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 0, TEST_NOW_SECONDS);
    assert_non_null(first);
    kf_secret *still_there = NULL;
    assert_int_equal(kf_key_store_expose_key(store, first, &still_there, &error), KF_OK);
    kf_secret_free(&still_there);
    kf_key_store_free(&store);
    key_folder_remove(&folder);
}

static void versions_count_up_and_the_highest_valid_active_one_is_in_force(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folder;
    kf_key_store *store = NULL;
    key_folder_make(&folder);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    kf_key_entry wanted = payment_entry("cn-north");
    add_key(store, &wanted);
    add_key(store, &wanted);
    wanted.valid_from = TEST_NOW_SECONDS + 100;
    add_key(store, &wanted);
    wanted.valid_from = 0;
    wanted.valid_until = TEST_NOW_SECONDS - 1;
    add_key(store, &wanted);
    wanted.valid_until = 0;
    wanted.state = KF_KEY_PRE_ACTIVE;
    add_key(store, &wanted);
    assert_int_equal(kf_key_store_latest(store, KF_PURPOSE_PAYMENT, "cn-north"), 5);
    assert_int_equal(kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 0, TEST_NOW_SECONDS)->version,
                     2);
    assert_int_equal(
        kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 0, TEST_NOW_SECONDS + 100)->version, 3);
    const kf_key_entry *second = kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 2, 0);
    const kf_key_entry *changed = NULL;
    assert_int_equal(kf_key_store_set_state(store, second, KF_KEY_SUSPENDED, &changed, &error), KF_OK);
    assert_int_equal(kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 0, TEST_NOW_SECONDS)->version,
                     1);
    wanted.version = 2;
    wanted.state = KF_KEY_ACTIVE;
    assert_int_equal(kf_key_store_add(store, &wanted, NULL, 0, &changed, &error), KF_ERR_CONFLICT);
    kf_key_store_free(&store);
    key_folder_remove(&folder);
}

static void states_follow_sp_800_57_and_destroying_removes_the_key(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folder;
    kf_key_store *store = NULL;
    key_folder_make(&folder);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    kf_key_entry wanted = payment_entry("cn-north");
    kf_kcv kcv = add_key(store, &wanted);
    const kf_key_entry *entry = kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 1, 0);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_PRE_ACTIVE, &entry, &error), KF_ERR_STATE);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_SUSPENDED, &entry, &error), KF_OK);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_ACTIVE, &entry, &error), KF_OK);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_DEACTIVATED, &entry, &error), KF_OK);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_ACTIVE, &entry, &error), KF_ERR_STATE);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_DESTROYED, &entry, &error), KF_OK);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_DESTROYED, &entry, &error), KF_ERR_STATE);
    kf_secret *key = NULL;
    assert_int_equal(kf_key_store_expose_key(store, entry, &key, &error), KF_ERR_KEY_POLICY);
    kf_key_store_free(&store);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    entry = kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 1, 0);
    assert_int_equal(entry->state, KF_KEY_DESTROYED);
    assert_memory_equal(entry->kcv.bytes, kcv.bytes, KF_KCV_SIZE);
    kf_key_store_free(&store);
    key_folder_remove(&folder);
}

static void keys_are_derived_only_while_active_or_deactivated(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folder;
    kf_key_store *store = NULL;
    key_folder_make(&folder);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    kf_key_entry wanted = payment_entry("cn-north");
    wanted.state = KF_KEY_PRE_ACTIVE;
    add_key(store, &wanted);
    const kf_field items[] = {{"number", "8613800000001"}, {"generation", "1"}};
    kf_fields fields = {items, 2};
    const kf_key_entry *entry = kf_key_store_find(store, KF_PURPOSE_PAYMENT, "cn-north", 1, 0);
    kf_secret *key = NULL;
    assert_int_equal(kf_key_store_derive(store, entry, fields, KF_ROLE_ENC, &key, &error), KF_ERR_KEY_POLICY);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_ACTIVE, &entry, &error), KF_OK);
    assert_int_equal(kf_key_store_derive(store, entry, fields, KF_ROLE_ENC, &key, &error), KF_OK);
    assert_int_equal(kf_secret_size(key), 16);
    assert_int_equal(kf_key_store_set_state(store, entry, KF_KEY_DEACTIVATED, &entry, &error), KF_OK);
    kf_secret *again = NULL;
    assert_int_equal(kf_key_store_derive(store, entry, fields, KF_ROLE_ENC, &again, &error), KF_OK);
    assert_true(kf_secret_equal(key, again));
    kf_secret_free(&key);
    kf_secret_free(&again);
    const kf_key_entry *group = kf_key_store_find(store, KF_PURPOSE_GROUP, KF_CATEGORY_DEFAULT, 1, 0);
    assert_non_null(group);
    assert_int_equal(kf_key_store_derive(store, group, fields, KF_ROLE_ENC, &key, &error), KF_ERR_KEY_POLICY);
    kf_key_store_free(&store);
    key_folder_remove(&folder);
}

static void policies_that_cannot_work_are_refused(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    kf_key_entry entry = payment_entry("cn-north");
    strcpy(entry.policy.diversification, "sp800-108-aes(role,number/bcd/8/right-F)");
    assert_int_equal(kf_key_policy_check(&entry, &error), KF_ERR_KEY_POLICY);
    assert_non_null(strstr(error.message, "generation"));
    entry.policy.refill_new_version_only = true;
    assert_int_equal(kf_key_policy_check(&entry, &error), KF_OK);
    strcpy(entry.policy.diversification, "no-such-method(number)");
    assert_int_equal(kf_key_policy_check(&entry, &error), KF_ERR_DIVERSIFICATION);
    entry = payment_entry("cn-north");
    entry.size = 20;
    assert_int_equal(kf_key_policy_check(&entry, &error), KF_ERR_KEY_SIZE);
    entry = payment_entry("not a name");
    assert_int_equal(kf_key_policy_check(&entry, &error), KF_ERR_FIELD);
    entry = payment_entry("cn-north");
    entry.policy.clear_at_terminal = true;
    assert_int_equal(kf_key_policy_check(&entry, &error), KF_ERR_KEY_POLICY);
    entry = payment_entry("cn-north");
    entry.valid_from = 10;
    entry.valid_until = 10;
    assert_int_equal(kf_key_policy_check(&entry, &error), KF_ERR_FIELD);
    entry = transport_entry("pair");
    entry.algorithm = KF_TDES;
    entry.size = 16;
    assert_int_equal(kf_key_policy_check(&entry, &error), KF_ERR_KEY_POLICY);
}

static void a_backup_restored_onto_an_empty_machine_has_the_same_check_values(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folders[2];
    kf_key_store *stores[2] = {NULL, NULL};
    for (size_t i = 0; i < 2; i++) {
        key_folder_make(&folders[i]);
        assert_int_equal(open_store(&folders[i], passphrase, &stores[i], &error), KF_OK);
    }
    kf_key_entry wanted = payment_entry("cn-north");
    add_key(stores[0], &wanted);
    wanted = transport_entry("pair");
    add_key(stores[0], &wanted);
    KF_CLEANUP(kf_secret_free) kf_secret *other = test_secret("of the backup");
    KF_CLEANUP(kf_buffer_clear) kf_buffer backup = KF_BUFFER_INIT;
    kf_passphrase_cost cost = {1, 8192};
    assert_int_equal(kf_key_store_backup(stores[0], other, cost, &backup, &error), KF_OK);
    KF_CLEANUP(kf_secret_free) kf_secret *wrong = test_secret("of another one");
    assert_int_equal(kf_key_store_restore(stores[1], wrong, kf_buffer_view(&backup), &error),
                     KF_ERR_AUTHENTICATION);
    backup.data[backup.size / 2] ^= 1;
    assert_int_equal(kf_key_store_restore(stores[1], other, kf_buffer_view(&backup), &error),
                     KF_ERR_AUTHENTICATION);
    backup.data[backup.size / 2] ^= 1;
    uint8_t box_public[KF_BOX_PUBLIC_SIZE];
    memcpy(box_public, kf_key_store_box_public(stores[1]), sizeof box_public);
    assert_int_equal(kf_key_store_restore(stores[1], other, kf_buffer_view(&backup), &error), KF_OK);
    assert_int_equal(kf_key_store_restore(stores[1], other, kf_buffer_view(&backup), &error),
                     KF_ERR_CONFLICT);
    kf_key_store_free(&stores[1]);
    assert_int_equal(open_store(&folders[1], passphrase, &stores[1], &error), KF_OK);
    assert_int_equal(kf_key_store_count(stores[1]), kf_key_store_count(stores[0]));
    for (size_t i = 0; i < kf_key_store_count(stores[0]); i++) {
        const kf_key_entry *left = kf_key_store_at(stores[0], i);
        const kf_key_entry *right = kf_key_store_at(stores[1], i);
        assert_string_equal(left->category, right->category);
        assert_memory_equal(left->kcv.bytes, right->kcv.bytes, KF_KCV_SIZE);
    }
    assert_true(kf_secret_equal(kf_key_store_record_key(stores[0]), kf_key_store_record_key(stores[1])));
    assert_memory_equal(box_public, kf_key_store_box_public(stores[1]), sizeof box_public);
    for (size_t i = 0; i < 2; i++) {
        kf_key_store_free(&stores[i]);
        key_folder_remove(&folders[i]);
    }
}

static void a_section_is_kept_with_the_keys_and_a_failed_write_leaves_the_old_one(void **state)
{
    (void)state;
    kf_error error = {KF_OK, ""};
    key_folder folder;
    kf_key_store *store = NULL;
    key_folder_make(&folder);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    assert_int_equal(kf_key_store_section(store, KF_SECTION_ROSTER).size, 0);
    kf_view first = kf_view_of_text("first");
    uint64_t revision = kf_key_store_revision(store);
    assert_int_equal(kf_key_store_write_section(store, KF_SECTION_ROSTER, first, &error), KF_OK);
    assert_int_equal(kf_key_store_revision(store), revision + 1);
    static uint8_t too_long[KF_KEY_SECTION_MAX + 1];
    assert_int_equal(
        kf_key_store_write_section(store, KF_SECTION_ROSTER, kf_view_of(too_long, sizeof too_long), &error),
        KF_ERR_TOO_LONG);
    kf_key_entry wanted = payment_entry("cn-north");
    (void)add_key(store, &wanted);
    kf_key_store_free(&store);
    assert_int_equal(open_store(&folder, passphrase, &store, &error), KF_OK);
    kf_view found = kf_key_store_section(store, KF_SECTION_ROSTER);
    assert_int_equal(found.size, first.size);
    assert_memory_equal(found.data, first.data, first.size);
    assert_int_equal(kf_key_store_section(store, KF_SECTION_PERMITTED).size, 0);
    kf_key_store_free(&store);
    key_folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_there_after_a_restart_with_the_same_check_value),
        cmocka_unit_test(a_wrong_passphrase_is_refused),
        cmocka_unit_test(a_folder_that_others_may_read_is_refused),
        cmocka_unit_test(a_write_torn_at_any_byte_leaves_the_old_state_or_the_new),
        cmocka_unit_test(a_flipped_byte_in_one_slot_loses_nothing_and_in_both_is_refused),
        cmocka_unit_test(a_change_that_cannot_be_written_is_undone),
        cmocka_unit_test(versions_count_up_and_the_highest_valid_active_one_is_in_force),
        cmocka_unit_test(states_follow_sp_800_57_and_destroying_removes_the_key),
        cmocka_unit_test(keys_are_derived_only_while_active_or_deactivated),
        cmocka_unit_test(policies_that_cannot_work_are_refused),
        cmocka_unit_test(a_section_is_kept_with_the_keys_and_a_failed_write_leaves_the_old_one),
        cmocka_unit_test(a_backup_restored_onto_an_empty_machine_has_the_same_check_values),
    };
    return cmocka_run_group_tests(tests, NULL, test_custody_stop);
}
