#include "officers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/random.h"
#include "crypto/signing_key.h"
#include "vault/proposal_acts.h"

void test_officers_make(test_officers *officers)
{
    static const char *const names[TEST_OFFICERS] = {"alice", "bob", "carol", "dave"};
    memset(officers, 0, sizeof *officers);
    for (size_t i = 0; i < TEST_OFFICERS; i++) {
        KF_CLEANUP(kf_public_key_free) kf_public_key *public_key = NULL;
        KF_CLEANUP(kf_buffer_clear) kf_buffer spki = KF_BUFFER_INIT;
        kf_officer *officer = &officers->officers[i];
        assert_int_equal(kf_signing_key_new(&officers->keys[i]), KF_OK);
        assert_int_equal(kf_public_key_of(officers->keys[i], &public_key), KF_OK);
        assert_int_equal(kf_signing_public_write(public_key, &spki), KF_OK);
        assert_true(spki.size <= sizeof officer->key);
        strcpy(officer->name, names[i]);
        memcpy(officer->key, spki.data, spki.size);
        officer->key_size = spki.size;
    }
}

void test_officers_free(test_officers *officers)
{
    for (size_t i = 0; i < TEST_OFFICERS; i++)
        kf_private_key_free(&officers->keys[i]);
}

void test_officers_found(const test_officers *officers, test_vault *vault)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_error error = {KF_OK, ""};
    for (size_t i = 0; i < 3; i++) {
        kf_officer_line(&officers->officers[i], &text);
        kf_buffer_append_u8(&text, '\n');
    }
    assert_int_equal(kf_vault_found_roster(vault->vault->keys, kf_buffer_view(&text), &error), KF_OK);
}

kf_proposal test_proposal(test_vault *vault, const kf_proposal_act *act, kf_buffer *payload)
{
    kf_proposal proposal = {.created = TEST_NOW_SECONDS - 10,
                            .expires = TEST_NOW_SECONDS + 3600,
                            .proposer = "alice",
                            .kind = act->kind};
    assert_int_equal(kf_vault_identity(kf_key_store_box_public(vault->vault->keys), proposal.vault), KF_OK);
    assert_int_equal(kf_random_bytes(proposal.id, sizeof proposal.id), KF_OK);
    kf_buffer_truncate(payload, 0);
    kf_proposal_act_put(payload, act);
    assert_int_equal(kf_buffer_status(payload), KF_OK);
    proposal.payload = kf_buffer_view(payload);
    return proposal;
}

kf_officer_signature test_sign(const test_officers *officers, size_t index, kf_view bytes)
{
    kf_officer_signature signature;
    KF_CLEANUP(kf_buffer_clear) kf_buffer made = KF_BUFFER_INIT;
    memset(&signature, 0, sizeof signature);
    assert_int_equal(kf_sign(officers->keys[index], KF_SIGNATURE_ECDSA_SHA256, bytes, &made), KF_OK);
    assert_int_equal(made.size, sizeof signature.bytes);
    memcpy(signature.bytes, made.data, made.size);
    strcpy(signature.officer, officers->officers[index].name);
    return signature;
}

kf_code test_give(test_vault *vault, const kf_proposal_request *request, kf_buffer *given, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answer = KF_BUFFER_INIT;
    kf_proposal_request_put(&bytes, request);
    KF_TRY(test_ask(vault, KF_VAULT_PROPOSAL, &bytes, &answer, error));
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&answer));
    kf_view blob;
    assert_int_equal(kf_message_take_version(&cursor), KF_OK);
    assert_int_equal(kf_message_take_blob(&cursor, KF_VAULT_PAYLOAD_MAX, &blob), KF_OK);
    assert_true(kf_cursor_at_end(&cursor));
    if (given != NULL) {
        kf_buffer_truncate(given, 0);
        kf_buffer_append(given, blob);
    }
    return KF_OK;
}

static kf_code give_signed(test_vault *vault, const test_officers *officers, const kf_proposal *proposal,
                           const test_signers *signers, kf_buffer *given, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_proposal_request request;
    memset(&request, 0, sizeof request);
    strcpy(request.actor.who, "officer:front");
    kf_proposal_put(&bytes, proposal);
    request.proposal = kf_buffer_view(&bytes);
    for (size_t i = 0; i < signers->count; i++)
        request.signatures.items[i] = test_sign(officers, signers->indices[i], request.proposal);
    request.signatures.count = signers->count;
    return test_give(vault, &request, given, error);
}

kf_code test_submit(test_vault *vault, const test_officers *officers, const kf_proposal *proposal,
                    test_signers signers, kf_error *error)
{
    return give_signed(vault, officers, proposal, &signers, NULL, error);
}

kf_code test_agree(test_vault *vault, const test_officers *officers, const kf_proposal_act *act,
                   kf_buffer *given, kf_error *error)
{
    static const test_signers both = {2, {0, 1}};
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = KF_BUFFER_INIT;
    kf_proposal proposal = test_proposal(vault, act, &payload);
    return give_signed(vault, officers, &proposal, &both, given, error);
}
