/* The roster's file and canonical form, and proposals as bytes and in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "officers.h"

static int make_officers(void **state)
{
    test_officers *officers = calloc(1, sizeof *officers);
    assert_non_null(officers);
    test_officers_make(officers);
    *state = officers;
    return 0;
}

static int free_officers(void **state)
{
    test_officers_free(*state);
    free(*state);
    return 0;
}

static void append_officers(const test_officers *officers, size_t count, kf_buffer *text)
{
    for (size_t i = 0; i < count; i++) {
        kf_officer_line(&officers->officers[i], text);
        kf_buffer_append_u8(text, '\n');
    }
}

static void a_founding_file_reads_as_written(void **state)
{
    const test_officers *officers = *state;
    kf_error error = {KF_OK, ""};
    kf_roster roster;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append_text(&text, "# who may act\n\nquorum keys 3\r\n  quorum roster 2  # two\n");
    append_officers(officers, 4, &text);
    kf_buffer_truncate(&text, text.size - 1); /* the last line may lack its end */
    assert_int_equal(kf_roster_parse(kf_buffer_view(&text), &roster, &error), KF_OK);
    assert_int_equal(roster.revision, 1);
    assert_int_equal(roster.quorum_keys, 3);
    assert_int_equal(roster.quorum_roster, 2);
    assert_int_equal(roster.count, 4);
    assert_string_equal(kf_roster_find(&roster, "carol")->name, "carol");
    assert_null(kf_roster_find(&roster, "eve"));
    for (size_t i = 0; i < 4; i++)
        assert_memory_equal(&roster.officers[i], &officers->officers[i], sizeof(kf_officer));
}

static void a_founding_file_that_is_wrong_is_refused_with_its_line(void **state)
{
    const test_officers *officers = *state;
    static const struct {
        const char *text; /* before alice's and bob's lines */
        const char *words;
    } wrong[] = {
        {"officers alice\n", "line 1"},
        {"\nquorum keys\n", "line 2"},
        {"quorum keys 22\n", "line 1"},
        {"quorum cards 2\n", "line 1"},
        {"quorum keys 2 3\n", "line 1"},
        {"quorum keys 1\n", "quorum of 1"},
        {"quorum roster 3\n", "roster of 2 for a quorum of 3"},
        {"officer eve\n", "key is missing"},
        {"officer eve !!!!\n", "base64url"},
        {"officer eve AAAA\n", "P-256"},
        {"officer a/b AAAA\n", "line 1"},
        {"officer aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa AAAA\n", "line 1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kf_error error = {KF_OK, ""};
        kf_roster roster;
        KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
        kf_buffer_append_text(&text, wrong[i].text);
        append_officers(officers, 2, &text);
        assert_int_equal(kf_roster_parse(kf_buffer_view(&text), &roster, &error), KF_ERR_FIELD);
        if (strstr(error.message, wrong[i].words) == NULL) fail_msg("case %zu: %s", i, error.message);
    }
    kf_error error = {KF_OK, ""};
    kf_roster roster;
    KF_CLEANUP(kf_buffer_clear) kf_buffer twice = KF_BUFFER_INIT;
    append_officers(officers, 2, &twice);
    append_officers(officers, 1, &twice);
    assert_int_equal(kf_roster_parse(kf_buffer_view(&twice), &roster, &error), KF_ERR_FIELD);
    assert_non_null(strstr(error.message, "alice stands in the roster twice"));
    KF_CLEANUP(kf_buffer_clear) kf_buffer longer = KF_BUFFER_INIT;
    kf_buffer_append_fill(&longer, ' ', 600);
    assert_int_equal(kf_roster_parse(kf_buffer_view(&longer), &roster, &error), KF_ERR_FIELD);
    kf_buffer_append_fill(&longer, '\n', KF_ROSTER_TEXT_MAX);
    assert_int_equal(kf_roster_parse(kf_buffer_view(&longer), &roster, &error), KF_ERR_TOO_LONG);
}

static void a_roster_of_more_officers_than_fit_is_refused(void **state)
{
    const test_officers *officers = *state;
    kf_error error = {KF_OK, ""};
    kf_roster roster = {.revision = 1, .quorum_keys = 2, .quorum_roster = 2, .count = KF_OFFICERS_MAX + 1};
    assert_int_equal(kf_roster_check(&roster, &error), KF_ERR_FIELD);
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    roster.count = 3;
    memcpy(roster.officers, officers->officers, 3 * sizeof(kf_officer));
    kf_roster_put(&bytes, &roster);
    kf_roster read;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_roster_take(&cursor, &read), KF_OK);
    assert_true(kf_cursor_at_end(&cursor));
    for (size_t size = 0; size < bytes.size; size++) {
        cursor = kf_cursor_of(kf_view_part(kf_buffer_view(&bytes), 0, size));
        assert_int_not_equal(kf_roster_take(&cursor, &read), KF_OK);
    }
    bytes.data[12] = KF_OFFICERS_MAX + 1; /* the count's low byte */
    cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_roster_take(&cursor, &read), KF_ERR_MALFORMED);
}

static kf_proposal_act sample(kf_proposal_kind kind)
{
    kf_proposal_act act;
    memset(&act, 0, sizeof act);
    act.kind = kind;
    act.key.act = KF_KEY_DESTROY;
    act.key.entry = payment_entry("cn-north");
    act.key.entry.version = 3;
    act.key.entry.kcv = (kf_kcv){{0xA1, 0xB2, 0xC3}};
    act.roster.act = KF_ROSTER_REMOVE;
    act.roster.base = 7;
    strcpy(act.roster.officer.name, "carol");
    act.permit = (kf_permit){.kind = KF_PERMIT_MODULE, .allowed = true, .name = "transit"};
    act.export = (kf_key_export_act){
        .purpose = KF_PURPOSE_ADM, .category = "cn-east", .version = 2, .kcv = {{1, 2, 3}}, .pair = "main"};
    act.sealed_passphrase = kf_view_of_text("sealed");
    act.backup_digest[0] = 9;
    act.accept_log = (kf_accept_log_request){.holds = KF_HOLD_KEYS_OLDER, .reason = "a reason"};
    return act;
}

static void every_kind_reads_back_and_says_in_words_what_it_is(void **state)
{
    (void)state;
    static const struct {
        kf_proposal_kind kind;
        const char *name;
        const char *words[3];
    } kinds[] = {
        {KF_PROPOSAL_KEY_ACT, "key.destroy", {"cn-north", "version 3", "KCV A1B2C3"}},
        {KF_PROPOSAL_ROSTER, "roster.remove", {"carol is no longer an officer", "revision 7", ""}},
        {KF_PROPOSAL_PERMIT, "module.permit", {"permit module transit", "SHA-256 00", ""}},
        {KF_PROPOSAL_BACKUP, "key.backup", {"back up all keys", "", ""}},
        {KF_PROPOSAL_RESTORE, "key.restore", {"restore all keys", "SHA-256 09", ""}},
        {KF_PROPOSAL_ACCEPT_LOG, "audit.accept", {"work again", "old key files", "because: a reason"}},
        {KF_PROPOSAL_EXPORT, "key.export", {"cn-east, version 2", "KCV 010203", "transport key main"}},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
        kf_proposal_act act = sample(kinds[i].kind);
        kf_proposal_act_put(&payload, &act);
        kf_proposal proposal = {.created = 1,
                                .expires = 2,
                                .proposer = "alice",
                                .kind = act.kind,
                                .payload = kf_buffer_view(&payload)};
        kf_proposal_put(&bytes, &proposal);
        kf_proposal read;
        kf_proposal_act read_act;
        assert_int_equal(kf_proposal_take(kf_buffer_view(&bytes), &read), KF_OK);
        assert_int_equal(kf_proposal_act_take(&read, &read_act), KF_OK);
        kf_proposal_act_put(&again, &read_act);
        assert_true(kf_view_equal(kf_buffer_view(&again), kf_buffer_view(&payload)));
        assert_string_equal(kf_proposal_act_name(&read_act), kinds[i].name);
        assert_int_equal(kf_proposal_describe(&read, &read_act, &text), KF_OK);
        for (size_t j = 0; j < 3; j++)
            if (strstr(kf_buffer_text(&text), kinds[i].words[j]) == NULL)
                fail_msg("%s", kf_buffer_text(&text));
        for (size_t size = 0; size < payload.size; size++) {
            read.payload = kf_view_part(kf_buffer_view(&payload), 0, size);
            assert_int_not_equal(kf_proposal_act_take(&read, &read_act), KF_OK);
        }
        kf_buffer_append_u8(&payload, 0);
        read.payload = kf_buffer_view(&payload);
        assert_int_equal(kf_proposal_act_take(&read, &read_act), KF_ERR_MALFORMED);
    }
}

static void a_proposal_that_is_longer_than_the_cap_is_refused(void **state)
{
    (void)state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_proposal read;
    kf_buffer_append_fill(&bytes, 0, KF_PROPOSAL_SIZE_MAX + 1);
    assert_int_equal(kf_proposal_take(kf_buffer_view(&bytes), &read), KF_ERR_TOO_LONG);
}

static void an_act_with_an_actor_of_the_fronts_is_refused(void **state)
{
    (void)state;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_proposal_act act = sample(KF_PROPOSAL_KEY_ACT);
    strcpy(act.key.actor.who, "officer:eve");
    kf_key_act_request_put(&payload, &act.key);
    kf_proposal proposal = {.kind = KF_PROPOSAL_KEY_ACT, .payload = kf_buffer_view(&payload)};
    kf_proposal_act read;
    assert_int_equal(kf_proposal_act_take(&proposal, &read), KF_ERR_MALFORMED);
}

int main(void)
{
#define WITH_OFFICERS(test) cmocka_unit_test_setup_teardown(test, make_officers, free_officers)
    const struct CMUnitTest tests[] = {
        WITH_OFFICERS(a_founding_file_reads_as_written),
        WITH_OFFICERS(a_founding_file_that_is_wrong_is_refused_with_its_line),
        WITH_OFFICERS(a_roster_of_more_officers_than_fit_is_refused),
        cmocka_unit_test(every_kind_reads_back_and_says_in_words_what_it_is),
        cmocka_unit_test(a_proposal_that_is_longer_than_the_cap_is_refused),
        cmocka_unit_test(an_act_with_an_actor_of_the_fronts_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
