/* Dual control in the vault: what officers signed is done once; everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <keyfill/hex.h>

#include "officers.h"
#include "vault/proposal_acts.h"

#define ALICE 0
#define BOB 1
#define CAROL 2
#define DAVE 3
static const test_signers alice_and_bob = {2, {ALICE, BOB}};

typedef struct guarded_vault {
    test_vault vault;
    test_officers officers;
} guarded_vault;

static int make_guarded(void **state)
{
    guarded_vault *guarded = calloc(1, sizeof *guarded);
    assert_non_null(guarded);
    test_vault_make(&guarded->vault, KF_VAULT_BKMU);
    guarded->vault.vault->development = false;
    test_officers_make(&guarded->officers);
    test_officers_found(&guarded->officers, &guarded->vault);
    *state = guarded;
    return 0;
}

static int remove_guarded(void **state)
{
    guarded_vault *guarded = *state;
    test_officers_free(&guarded->officers);
    test_vault_remove(&guarded->vault);
    free(guarded);
    return 0;
}

static kf_proposal_act key_act(kf_key_act what, const char *category)
{
    kf_proposal_act act;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_KEY_ACT;
    act.key.act = what;
    act.key.entry = payment_entry(category);
    act.key.sealed = kf_view_of("", 0);
    return act;
}

static const kf_key_entry *find_key(guarded_vault *guarded, const char *category, uint32_t version)
{
    return kf_key_store_find(guarded->vault.vault->keys, KF_PURPOSE_PAYMENT, category, version,
                             TEST_NOW_SECONDS);
}

/* The refusal, its words, and that no key came of it. */
static void assert_refused(guarded_vault *guarded, kf_code got, kf_code wanted, const kf_error *error,
                           const char *words)
{
    if (got != wanted || strstr(error->message, words) == NULL)
        fail_msg("%s: %s; wanted %s with \"%s\"", kf_code_name(got), kf_error_text(error),
                 kf_code_name(wanted), words);
    assert_null(find_key(guarded, "cn-north", 0));
}

static void two_officers_make_a_key_and_the_receipts_name_both(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer given = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-north");
    uint64_t before = guarded->vault.vault->last_receipt;
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, &given, &error), KF_OK);
    kf_key_act_answer answer;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&given));
    assert_int_equal(kf_key_act_answer_take(&cursor, &answer), KF_OK);
    assert_true(answer.complete);
    assert_non_null(find_key(guarded, "cn-north", 1));
    assert_int_equal(guarded->vault.vault->last_receipt, before + 2);
}

/* The receipts of one request. */
static size_t receipts_of(guarded_vault *guarded, const kf_proposal *proposal, test_signers signers,
                          kf_receipt *receipts)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answers = KF_BUFFER_INIT;
    kf_error error = {KF_OK, ""};
    kf_proposal_request request;
    memset(&request, 0, sizeof request);
    strcpy(request.actor.who, "officer:front");
    kf_proposal_put(&bytes, proposal);
    request.proposal = kf_buffer_view(&bytes);
    for (size_t i = 0; i < signers.count; i++)
        request.signatures.items[i] = test_sign(&guarded->officers, signers.indices[i], request.proposal);
    request.signatures.count = signers.count;
    kf_proposal_request_put(&payload, &request);
    kf_vault_frame frame = {KF_VAULT_PROPOSAL, 1, kf_buffer_view(&payload)};
    assert_int_equal(kf_vault_answer_frame(guarded->vault.vault, &frame, &answers, &error), KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answers));
    kf_vault_answer_parts parts;
    assert_int_equal(kf_vault_frame_take(&cursor, &frame), KF_OK);
    assert_int_equal(kf_vault_answer_take(frame.payload, &parts), KF_OK);
    cursor = kf_cursor_of(parts.receipts);
    for (size_t i = 0; i < parts.receipt_count; i++) {
        uint16_t size;
        kf_view receipt;
        assert_int_equal(kf_cursor_u16(&cursor, &size), KF_OK);
        assert_int_equal(kf_cursor_take(&cursor, size, &receipt), KF_OK);
        assert_int_equal(kf_receipt_verify(guarded->vault.vault->receipt_key, receipt, &receipts[i]), KF_OK);
    }
    return parts.receipt_count;
}

static void receipts_say_who_proposed_who_approved_and_what_was_refused(void **state)
{
    guarded_vault *guarded = *state;
    kf_receipt receipts[8];
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-north");
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    char id[KF_PROPOSAL_ID_TEXT_SIZE];
    assert_int_equal(kf_hex_encode(KF_VIEW(proposal.id), id, sizeof id), KF_OK);
    assert_int_equal(receipts_of(guarded, &proposal, (test_signers){1, {ALICE}}, receipts), 1);
    assert_string_equal(receipts[0].act, "proposal.refused");
    assert_string_equal(receipts[0].actor.who, "officer:front");
    assert_int_equal(receipts[0].outcome, KF_ERR_OFFICERS);
    assert_non_null(strstr(receipts[0].subject, id));
    assert_int_equal(receipts_of(guarded, &proposal, (test_signers){3, {ALICE, BOB, CAROL}}, receipts), 3);
    assert_string_equal(receipts[0].act, "proposal.approved");
    assert_string_equal(receipts[0].actor.who, "officer:bob");
    assert_string_equal(receipts[0].subject, "key.generate payment/cn-north");
    assert_string_equal(receipts[1].actor.who, "officer:carol");
    assert_string_equal(receipts[2].act, "key.generate");
    assert_string_equal(receipts[2].actor.who, "officer:alice");
    assert_string_equal(receipts[2].subject, "payment/cn-north/1");
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(receipts[i].actor.request, id);
}

static void a_certificate_alone_does_nothing_outside_development(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer backup = KF_BUFFER_INIT;
    kf_key_act_request request = key_act(KF_KEY_GENERATE, "cn-north").key;
    kf_key_act_request_put(&bytes, &request);
    kf_code code = test_ask(&guarded->vault, KF_VAULT_KEY_ACT, &bytes, NULL, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "--officer-key");
    /* Development lifts it only where there is no roster. */
    guarded->vault.vault->development = true;
    code = test_ask(&guarded->vault, KF_VAULT_KEY_ACT, &bytes, NULL, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "--officer-key");
    kf_key_backup_request wanted = {{"officer:alice", ""}, kf_view_of("x", 1), kf_view_of("", 0)};
    kf_key_backup_request_put(&backup, &wanted);
    assert_int_equal(test_ask(&guarded->vault, KF_VAULT_BACKUP, &backup, NULL, &error), KF_ERR_OFFICERS);
    assert_int_equal(test_ask(&guarded->vault, KF_VAULT_RESTORE, &backup, NULL, &error), KF_ERR_OFFICERS);
    test_vault bare;
    test_vault_make(&bare, KF_VAULT_BKMU);
    bare.vault->development = false;
    assert_int_equal(test_ask(&bare, KF_VAULT_KEY_ACT, &bytes, NULL, &error), KF_ERR_OFFICERS);
    assert_non_null(strstr(error.message, "vault: roster:"));
    bare.vault->development = true;
    assert_int_equal(test_ask(&bare, KF_VAULT_KEY_ACT, &bytes, NULL, &error), KF_OK);
    test_vault_remove(&bare);
}

static void too_few_or_wrong_officers_are_refused(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-north");
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    static const struct {
        test_signers signers;
        const char *words;
    } cases[] = {
        {{0, {0}}, "proposer, alice, is missing"},
        {{1, {ALICE}}, "1 of 2 officers"},
        {{2, {BOB, ALICE}}, "proposer, alice, is missing"},
        {{2, {ALICE, ALICE}}, "officer alice proposed this"},
        {{3, {ALICE, BOB, BOB}}, "officer bob has signed this twice"},
        {{2, {ALICE, DAVE}}, "dave is no officer"},
        {{3, {ALICE, BOB, DAVE}}, "dave is no officer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        kf_code code = test_submit(&guarded->vault, &guarded->officers, &proposal, cases[i].signers, &error);
        assert_refused(guarded, code, KF_ERR_OFFICERS, &error, cases[i].words);
    }
    /* A refusal does not use the proposal up. */
    assert_int_equal(test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error),
                     KF_OK);
}

/* A signature that another key made under an officer's name. */
static void a_forged_signature_is_refused(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-north");
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    kf_proposal_put(&bytes, &proposal);
    kf_proposal_request request;
    memset(&request, 0, sizeof request);
    request.proposal = kf_buffer_view(&bytes);
    request.signatures.count = 2;
    request.signatures.items[0] = test_sign(&guarded->officers, ALICE, request.proposal);
    request.signatures.items[1] = test_sign(&guarded->officers, ALICE, request.proposal);
    strcpy(request.signatures.items[1].officer, "bob");
    kf_code code = test_give(&guarded->vault, &request, NULL, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "signature of officer bob does not verify");
    request.signatures.items[1] = test_sign(&guarded->officers, DAVE, request.proposal);
    strcpy(request.signatures.items[1].officer, "bob");
    code = test_give(&guarded->vault, &request, NULL, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "signature of officer bob does not verify");
    memset(request.signatures.items[1].bytes, 0, KF_OFFICER_SIGNATURE_SIZE);
    code = test_give(&guarded->vault, &request, NULL, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "signature of officer bob does not verify");
}

static void a_byte_altered_anywhere_is_refused(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-north");
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    kf_proposal_put(&bytes, &proposal);
    kf_proposal_request request;
    memset(&request, 0, sizeof request);
    request.signatures.count = 2;
    request.signatures.items[0] = test_sign(&guarded->officers, ALICE, kf_buffer_view(&bytes));
    request.signatures.items[1] = test_sign(&guarded->officers, BOB, kf_buffer_view(&bytes));
    size_t count = kf_key_store_count(guarded->vault.vault->keys);
    for (size_t i = 0; i < bytes.size; i++) {
        bytes.data[i] ^= 0x01;
        request.proposal = kf_buffer_view(&bytes);
        assert_int_not_equal(test_give(&guarded->vault, &request, NULL, &error), KF_OK);
        bytes.data[i] ^= 0x01;
        request.proposal = kf_view_part(kf_buffer_view(&bytes), 0, i);
        assert_int_equal(test_give(&guarded->vault, &request, NULL, &error), KF_ERR_MALFORMED);
    }
    for (size_t i = 0; i < KF_OFFICER_SIGNATURE_SIZE; i++) {
        request.proposal = kf_buffer_view(&bytes);
        request.signatures.items[1].bytes[i] ^= 0x80;
        assert_int_equal(test_give(&guarded->vault, &request, NULL, &error), KF_ERR_OFFICERS);
        request.signatures.items[1].bytes[i] ^= 0x80;
    }
    assert_int_equal(kf_key_store_count(guarded->vault.vault->keys), count);
    assert_int_equal(test_give(&guarded->vault, &request, NULL, &error), KF_OK);
}

static void what_is_of_another_time_or_vault_is_refused(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-north");
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    proposal.expires = TEST_NOW_SECONDS;
    kf_code code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_EXPIRED, &error, "expired 0 s ago");
    proposal = test_proposal(&guarded->vault, &act, &payload);
    proposal.expires = proposal.created + KF_PROPOSAL_LIFE_MAX + 1;
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "longer than 31 days");
    proposal = test_proposal(&guarded->vault, &act, &payload);
    proposal.created = TEST_NOW_SECONDS + KF_PROPOSAL_CLOCK_SKEW + 1;
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "in the future");
    proposal = test_proposal(&guarded->vault, &act, &payload);
    proposal.created = proposal.expires + 1;
    proposal.created = TEST_NOW_SECONDS + 200;
    proposal.expires = TEST_NOW_SECONDS + 100;
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "longer");
    test_vault other;
    test_vault_make(&other, KF_VAULT_BKMU);
    proposal = test_proposal(&other, &act, &payload);
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "another vault");
    /* And a vault without officers takes none at all. */
    code = test_submit(&other, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "no roster");
    test_vault_remove(&other);
}

static void a_proposal_is_done_once_also_after_the_vault_was_started_again(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-south");
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    assert_int_equal(test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error),
                     KF_OK);
    kf_code code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_SPENT, &error, "already");
    /* A third signature makes it no other proposal. */
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, (test_signers){3, {ALICE, BOB, CAROL}},
                       &error);
    assert_refused(guarded, code, KF_ERR_SPENT, &error, "already");
    test_vault_restart(&guarded->vault, KF_VAULT_BKMU);
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_SPENT, &error, "already");
    assert_null(find_key(guarded, "cn-south", 2));
    /* An act that fails has used its signatures up, too. */
    act = key_act(KF_KEY_SUSPEND, "cn-west");
    proposal = test_proposal(&guarded->vault, &act, &payload);
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_NO_KEY, &error, "cn-west");
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_SPENT, &error, "already");
}

static void the_stated_check_value_decides_which_key_is_meant(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-south");
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    act = key_act(KF_KEY_DESTROY, "cn-south");
    act.key.entry.version = 1;
    act.key.entry.kcv = find_key(guarded, "cn-south", 1)->kcv;
    act.key.entry.kcv.bytes[0] ^= 1;
    kf_code code = test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error);
    assert_refused(guarded, code, KF_ERR_CHECK_VALUE, &error, "the request means");
    act.key.entry.kcv.bytes[0] ^= 1;
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    assert_int_equal(find_key(guarded, "cn-south", 1)->state, KF_KEY_DESTROYED);
}

/* ---- components ---- */

static kf_code give_component(guarded_vault *guarded, size_t officer, uint8_t component, kf_key_state state,
                              kf_error *error)
{
    static const char *const digits[] = {"000102030405060708090A0B0C0D0E0F",
                                         "2B7E151628AED2A6ABF7158809CF4F3C"};
    KF_CLEANUP(kf_secret_free) kf_secret *bytes = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_IMPORT, "cn-parts");
    act.key.entry.state = state;
    act.key.import_id[0] = 7;
    act.key.component_count = 2;
    act.key.component = component;
    assert_int_equal(kf_hex_decode_secret(digits[component - 1], &bytes), KF_OK);
    assert_int_equal(kf_key_component_seal(kf_key_store_box_public(guarded->vault.vault->keys),
                                           act.key.import_id, component, bytes, &sealed),
                     KF_OK);
    act.key.sealed = kf_buffer_view(&sealed);
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    strcpy(proposal.proposer, guarded->officers.officers[officer].name);
    return test_submit(&guarded->vault, &guarded->officers, &proposal, (test_signers){1, {officer}}, error);
}

static void components_come_from_different_officers_and_the_key_waits_for_its_check_value(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    kf_code code = give_component(guarded, ALICE, 1, KF_KEY_ACTIVE, &error);
    assert_refused(guarded, code, KF_ERR_STATE, &error, "pre-active");
    assert_int_equal(give_component(guarded, ALICE, 1, KF_KEY_PRE_ACTIVE, &error), KF_OK);
    code = give_component(guarded, ALICE, 2, KF_KEY_PRE_ACTIVE, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "has given component 1");
    code = give_component(guarded, DAVE, 2, KF_KEY_PRE_ACTIVE, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "dave is no officer");
    /* The same officer may give the same again. */
    assert_int_equal(give_component(guarded, ALICE, 1, KF_KEY_PRE_ACTIVE, &error), KF_OK);
    assert_int_equal(give_component(guarded, BOB, 2, KF_KEY_PRE_ACTIVE, &error), KF_OK);
    assert_int_equal(find_key(guarded, "cn-parts", 1)->state, KF_KEY_PRE_ACTIVE);
    kf_proposal_act act = key_act(KF_KEY_ACTIVATE, "cn-parts");
    code = test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error);
    assert_refused(guarded, code, KF_ERR_CHECK_VALUE, &error, "KCV");
    act.key.entry.kcv = find_key(guarded, "cn-parts", 1)->kcv;
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    assert_int_equal(find_key(guarded, "cn-parts", 1)->state, KF_KEY_ACTIVE);
}

/* ---- the roster ---- */

static kf_proposal_act roster_act(guarded_vault *guarded, kf_roster_act what, size_t officer)
{
    kf_proposal_act act;
    kf_roster roster;
    kf_cursor cursor = kf_cursor_of(kf_key_store_section(guarded->vault.vault->keys, KF_SECTION_ROSTER));
    assert_int_equal(kf_roster_take(&cursor, &roster), KF_OK);
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_ROSTER;
    act.roster.base = roster.revision;
    act.roster.act = what;
    if (what != KF_ROSTER_QUORUM) act.roster.officer = guarded->officers.officers[officer];
    if (what == KF_ROSTER_REMOVE) act.roster.officer.key_size = 0;
    return act;
}

static void the_roster_changes_by_quorum_and_never_below_it(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_proposal_act act = roster_act(guarded, KF_ROSTER_ADD, DAVE);
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    kf_code code =
        test_submit(&guarded->vault, &guarded->officers, &proposal, (test_signers){1, {ALICE}}, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "1 of 2 officers");
    /* The one to be added does not vote for it. */
    code =
        test_submit(&guarded->vault, &guarded->officers, &proposal, (test_signers){2, {ALICE, DAVE}}, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "dave is no officer");
    assert_int_equal(test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error),
                     KF_OK);
    /* What was proposed on the old roster does not fit the new one. */
    proposal = test_proposal(&guarded->vault, &act, &payload);
    code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_CONFLICT, &error, "revision 1 of the roster");
    kf_proposal_act key = key_act(KF_KEY_GENERATE, "cn-dave");
    proposal = test_proposal(&guarded->vault, &key, &payload);
    assert_int_equal(
        test_submit(&guarded->vault, &guarded->officers, &proposal, (test_signers){2, {ALICE, DAVE}}, &error),
        KF_OK);
    act = roster_act(guarded, KF_ROSTER_REMOVE, CAROL);
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    act = roster_act(guarded, KF_ROSTER_REMOVE, DAVE);
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    act = roster_act(guarded, KF_ROSTER_REMOVE, BOB);
    code = test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error);
    assert_refused(guarded, code, KF_ERR_FIELD, &error, "nothing could be approved");
    proposal = test_proposal(&guarded->vault, &key, &payload);
    code =
        test_submit(&guarded->vault, &guarded->officers, &proposal, (test_signers){2, {ALICE, DAVE}}, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "dave is no officer");
}

static void a_quorum_can_be_raised_as_far_as_there_are_officers(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    static const struct {
        uint8_t keys;
        uint8_t roster;
    } wrong[] = {{4, 2}, {2, 4}, {1, 2}, {2, 1}, {0, 2}, {9, 2}};
    kf_proposal_act act;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        act = roster_act(guarded, KF_ROSTER_QUORUM, 0);
        act.roster.quorum_keys = wrong[i].keys;
        act.roster.quorum_roster = wrong[i].roster;
        kf_code code = test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error);
        assert_refused(guarded, code, KF_ERR_FIELD, &error, "quorum");
    }
    act.roster.quorum_keys = 3;
    act.roster.quorum_roster = 2;
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    kf_proposal_act key = key_act(KF_KEY_GENERATE, "cn-north");
    kf_proposal proposal = test_proposal(&guarded->vault, &key, &payload);
    kf_code code = test_submit(&guarded->vault, &guarded->officers, &proposal, alice_and_bob, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "2 of 3 officers");
    assert_int_equal(test_submit(&guarded->vault, &guarded->officers, &proposal,
                                 (test_signers){3, {ALICE, BOB, CAROL}}, &error),
                     KF_OK);
}

static void an_officer_with_a_new_key_no_longer_signs_with_the_old(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    kf_proposal_act act = roster_act(guarded, KF_ROSTER_REPLACE_KEY, BOB);
    kf_officer before = act.roster.officer;
    /* Another officer's key would make two of one person. */
    memcpy(act.roster.officer.key, guarded->officers.officers[CAROL].key, sizeof act.roster.officer.key);
    kf_code code = test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error);
    assert_refused(guarded, code, KF_ERR_FIELD, &error, "the same key");
    memcpy(act.roster.officer.key, guarded->officers.officers[DAVE].key, sizeof act.roster.officer.key);
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    kf_proposal_act key = key_act(KF_KEY_GENERATE, "cn-north");
    code = test_agree(&guarded->vault, &guarded->officers, &key, NULL, &error);
    assert_refused(guarded, code, KF_ERR_OFFICERS, &error, "signature of officer bob does not verify");
    assert_int_equal(before.key_size, act.roster.officer.key_size);
}

static void a_founding_roster_is_taken_once_and_only_a_good_one(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_officer_line(&guarded->officers.officers[DAVE], &text);
    assert_int_equal(kf_vault_found_roster(guarded->vault.vault->keys, kf_buffer_view(&text), &error),
                     KF_ERR_CONFLICT);
    test_vault bare;
    test_vault_make(&bare, KF_VAULT_BKMU);
    assert_int_equal(kf_vault_found_roster(bare.vault->keys, kf_buffer_view(&text), &error), KF_ERR_FIELD);
    assert_false(kf_vault_has_roster(bare.vault->keys));
    test_vault_remove(&bare);
}

/* ---- profiles, export, backup ---- */

static void only_approved_profiles_and_modules_pass(void **state)
{
    guarded_vault *guarded = *state;
    const kf_vault *vault = guarded->vault.vault;
    kf_error error = {KF_OK, ""};
    kf_proposal_act act;
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_PERMIT;
    act.permit = (kf_permit){.kind = KF_PERMIT_PROFILE, .allowed = true, .name = "gold", .digest = {1, 2}};
    kf_permit_wanted profile = {KF_PERMIT_PROFILE, "gold", act.permit.digest};
    kf_permit_wanted module = {KF_PERMIT_MODULE, "gold", act.permit.digest};
    assert_int_equal(kf_vault_check_permit(vault, &profile, &error), KF_ERR_PROFILE);
    assert_int_equal(kf_vault_check_permit(vault, &module, &error), KF_ERR_MODULE);
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    assert_int_equal(kf_vault_check_permit(vault, &profile, &error), KF_OK);
    assert_int_equal(kf_vault_check_permit(vault, &module, &error), KF_ERR_MODULE);
    static const uint8_t other[KF_DIGEST_SIZE] = {1, 3};
    assert_int_equal(
        kf_vault_check_permit(vault, &(kf_permit_wanted){KF_PERMIT_PROFILE, "gold", other}, &error),
        KF_ERR_PROFILE);
    act.permit.allowed = false;
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    assert_int_equal(kf_vault_check_permit(vault, &profile, &error), KF_ERR_PROFILE);
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_ERR_NOT_FOUND);
}

static void an_exported_key_is_a_block_under_the_transport_key(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer block = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-south");
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    kf_proposal_act transport = key_act(KF_KEY_GENERATE, "main");
    transport.key.entry = transport_entry("main");
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &transport, NULL, &error), KF_OK);
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_EXPORT;
    act.export = (kf_key_export_act){.purpose = KF_PURPOSE_PAYMENT,
                                     .category = "cn-south",
                                     .version = 1,
                                     .kcv = find_key(guarded, "cn-south", 1)->kcv,
                                     .pair = "main"};
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, &block, &error), KF_OK);
    assert_int_equal(block.data[0], 'D');
    act.export.kcv.bytes[2] ^= 1;
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, &block, &error),
                     KF_ERR_CHECK_VALUE);
    act.export = (kf_key_export_act){
        .purpose = KF_PURPOSE_TRANSPORT, .category = "main", .version = 1, .pair = "main"};
    act.export.kcv = kf_key_store_find(guarded->vault.vault->keys, KF_PURPOSE_TRANSPORT, "main", 1, 0)->kcv;
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, &block, &error),
                     KF_ERR_KEY_POLICY);
}

static void seal_for(guarded_vault *guarded, kf_buffer *sealed)
{
    KF_CLEANUP(kf_secret_free) kf_secret *passphrase = test_secret("of the backup");
    kf_buffer_truncate(sealed, 0);
    assert_int_equal(
        kf_key_passphrase_seal(kf_key_store_box_public(guarded->vault.vault->keys), passphrase, sealed),
        KF_OK);
}

static kf_code restore_signed(guarded_vault *guarded, const kf_proposal_act *act, kf_view backup,
                              kf_proposal *ret_proposal, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_proposal_request request;
    *ret_proposal = test_proposal(&guarded->vault, act, &payload);
    memset(&request, 0, sizeof request);
    kf_proposal_put(&bytes, ret_proposal);
    request.proposal = kf_buffer_view(&bytes);
    request.attachment = backup;
    request.signatures.count = 2;
    request.signatures.items[0] = test_sign(&guarded->officers, ALICE, request.proposal);
    request.signatures.items[1] = test_sign(&guarded->officers, BOB, request.proposal);
    ret_proposal->payload = kf_view_of("", 0);
    return test_give(&guarded->vault, &request, NULL, error);
}

static void a_backup_is_made_and_restored_by_two_and_brings_its_roster(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer sealed = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer backup = KF_BUFFER_INIT;
    kf_proposal_act act = roster_act(guarded, KF_ROSTER_REMOVE, CAROL);
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    act = key_act(KF_KEY_GENERATE, "cn-south");
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, NULL, &error), KF_OK);
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_BACKUP;
    seal_for(guarded, &sealed);
    act.sealed_passphrase = kf_buffer_view(&sealed);
    assert_int_equal(test_agree(&guarded->vault, &guarded->officers, &act, &backup, &error), KF_OK);
    guarded_vault other = {.officers = guarded->officers};
    test_vault_make(&other.vault, KF_VAULT_BKMU);
    test_officers_found(&other.officers, &other.vault);
    memset(&act, 0, sizeof act);
    act.kind = KF_PROPOSAL_RESTORE;
    seal_for(&other, &sealed);
    act.sealed_passphrase = kf_buffer_view(&sealed);
    kf_proposal proposal;
    kf_code code = restore_signed(&other, &act, kf_buffer_view(&backup), &proposal, &error);
    assert_refused(&other, code, KF_ERR_OFFICERS, &error, "not the backup");
    assert_int_equal(kf_sha256(kf_buffer_view(&backup), act.backup_digest), KF_OK);
    assert_int_equal(restore_signed(&other, &act, kf_buffer_view(&backup), &proposal, &error), KF_OK);
    assert_non_null(find_key(&other, "cn-south", 1));
    kf_roster roster;
    kf_cursor cursor = kf_cursor_of(kf_key_store_section(other.vault.vault->keys, KF_SECTION_ROSTER));
    assert_int_equal(kf_roster_take(&cursor, &roster), KF_OK);
    assert_int_equal(roster.count, 2);
    assert_int_equal(roster.revision, 2);
    test_vault_remove(&other.vault);
}

static void a_request_that_is_cut_anywhere_is_refused(void **state)
{
    guarded_vault *guarded = *state;
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer whole = KF_BUFFER_INIT;
    kf_proposal_act act = key_act(KF_KEY_GENERATE, "cn-north");
    kf_proposal proposal = test_proposal(&guarded->vault, &act, &payload);
    kf_proposal_put(&bytes, &proposal);
    kf_proposal_request request;
    memset(&request, 0, sizeof request);
    request.proposal = kf_buffer_view(&bytes);
    request.signatures.count = 2;
    request.signatures.items[0] = test_sign(&guarded->officers, ALICE, request.proposal);
    request.signatures.items[1] = test_sign(&guarded->officers, BOB, request.proposal);
    kf_proposal_request_put(&whole, &request);
    for (size_t size = 0; size < whole.size; size++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer part = KF_BUFFER_INIT;
        kf_buffer_append(&part, kf_view_part(kf_buffer_view(&whole), 0, size));
        assert_int_not_equal(test_ask(&guarded->vault, KF_VAULT_PROPOSAL, &part, NULL, &error), KF_OK);
    }
    kf_buffer_append_u8(&whole, 0);
    assert_int_equal(test_ask(&guarded->vault, KF_VAULT_PROPOSAL, &whole, NULL, &error), KF_ERR_MALFORMED);
    assert_null(find_key(guarded, "cn-north", 0));
}

int main(void)
{
#define GUARDED(test) cmocka_unit_test_setup_teardown(test, make_guarded, remove_guarded)
    const struct CMUnitTest tests[] = {
        GUARDED(two_officers_make_a_key_and_the_receipts_name_both),
        GUARDED(receipts_say_who_proposed_who_approved_and_what_was_refused),
        GUARDED(a_certificate_alone_does_nothing_outside_development),
        GUARDED(too_few_or_wrong_officers_are_refused),
        GUARDED(a_forged_signature_is_refused),
        GUARDED(a_byte_altered_anywhere_is_refused),
        GUARDED(what_is_of_another_time_or_vault_is_refused),
        GUARDED(a_proposal_is_done_once_also_after_the_vault_was_started_again),
        GUARDED(the_stated_check_value_decides_which_key_is_meant),
        GUARDED(components_come_from_different_officers_and_the_key_waits_for_its_check_value),
        GUARDED(the_roster_changes_by_quorum_and_never_below_it),
        GUARDED(a_quorum_can_be_raised_as_far_as_there_are_officers),
        GUARDED(an_officer_with_a_new_key_no_longer_signs_with_the_old),
        GUARDED(a_founding_roster_is_taken_once_and_only_a_good_one),
        GUARDED(only_approved_profiles_and_modules_pass),
        GUARDED(an_exported_key_is_a_block_under_the_transport_key),
        GUARDED(a_backup_is_made_and_restored_by_two_and_brings_its_roster),
        GUARDED(a_request_that_is_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
