/* The frames between vault and helper: what comes back is what went in, and nothing malformed gets through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vault/hsm_protocol.h"

static kf_hsm_computation *sample(void)
{
    kf_hsm_computation *computation = calloc(1, sizeof *computation);
    assert_non_null(computation);
    memset(computation->id.bytes, 0xA5, sizeof computation->id.bytes);
    computation->algorithm = KF_AES;
    computation->count = 2;
    for (size_t i = 0; i < 2; i++) {
        kf_derivation_steps *group = &computation->groups[i];
        group->key_size = 16;
        group->block_size = 16;
        group->chain_count = i;
        group->chain[0].size = 16;
        group->count = 2;
        group->steps[0] = (kf_derivation_step){.kind = KF_STEP_CMAC, .size = KF_STEP_INPUT_MAX, .input = {1}};
        group->steps[1] = (kf_derivation_step){.kind = KF_STEP_ENCRYPT, .size = 32, .input = {2}};
    }
    return computation;
}

static kf_code take(kf_view bytes, kf_hsm_computation *computation)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    return kf_hsm_computation_take(&cursor, computation);
}

static void a_computation_comes_back_as_it_was(void **state)
{
    (void)state;
    KF_CLEANUP(kf_free_pointer) kf_hsm_computation *sent = sample();
    KF_CLEANUP(kf_free_pointer) kf_hsm_computation *got = calloc(1, sizeof *got);
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_hsm_computation_put(&bytes, sent);
    assert_true(bytes.size < KF_HSM_MESSAGE_MAX);
    assert_int_equal(take(kf_buffer_view(&bytes), got), KF_OK);
    assert_int_equal(kf_hsm_computation_output(got), 2 * (16 + 32));
    KF_CLEANUP(kf_buffer_clear) kf_buffer again = KF_BUFFER_INIT;
    kf_hsm_computation_put(&again, got);
    assert_true(kf_view_equal(kf_buffer_view(&bytes), kf_buffer_view(&again)));
}

static void every_cut_and_every_addition_is_refused(void **state)
{
    (void)state;
    KF_CLEANUP(kf_free_pointer) kf_hsm_computation *sent = sample();
    KF_CLEANUP(kf_free_pointer) kf_hsm_computation *got = calloc(1, sizeof *got);
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_hsm_computation_put(&bytes, sent);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_not_equal(take(kf_view_part(kf_buffer_view(&bytes), 0, size), got), KF_OK);
    kf_buffer_append_u8(&bytes, 0);
    assert_int_equal(take(kf_buffer_view(&bytes), got), KF_ERR_MALFORMED);
}

static void expect_malformed(size_t offset, uint8_t value)
{
    KF_CLEANUP(kf_free_pointer) kf_hsm_computation *sent = sample();
    KF_CLEANUP(kf_free_pointer) kf_hsm_computation *got = calloc(1, sizeof *got);
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_hsm_computation_put(&bytes, sent);
    bytes.data[offset] = value;
    assert_int_not_equal(take(kf_buffer_view(&bytes), got), KF_OK);
}

static void each_cap_holds(void **state)
{
    (void)state;
    expect_malformed(16, 9); /* algorithm */
    expect_malformed(16, KF_DES);
    expect_malformed(17, 17); /* key size */
    expect_malformed(18, 0);  /* groups */
    expect_malformed(18, KF_HSM_GROUPS_MAX + 1);
    expect_malformed(19, KF_DIVERSIFICATION_LEVELS_MAX); /* intermediate keys */
    expect_malformed(20, 0);                             /* steps */
    expect_malformed(20, KF_STEPS_MAX + 1);
    expect_malformed(21, 3);    /* kind of step */
    expect_malformed(22, 0xFF); /* its size */
    size_t second = 24 + KF_STEP_INPUT_MAX;
    expect_malformed(second + 2, 33); /* ECB: whole blocks, at most two */
    expect_malformed(second + 2, 15);
    expect_malformed(second + 2, 0);
}

static void descriptions_are_checked(void **state)
{
    (void)state;
    const kf_hsm_description sent = {
        .use = KF_HSM_BASE, .algorithm = KF_TDES, .size = 24, .label = "a label"};
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_hsm_description_put(&bytes, &sent);
    kf_hsm_description got;
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    assert_int_equal(kf_hsm_description_take(&cursor, &got), KF_OK);
    assert_string_equal(got.label, "a label");
    static const struct {
        size_t offset;
        uint8_t value;
    } wrong[] = {{16, 0}, {16, 4}, {17, KF_DES}, {18, 32}, {18, 8}, {19, 2}, {20, 2}, {23, 0x01}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t before = bytes.data[wrong[i].offset];
        bytes.data[wrong[i].offset] = wrong[i].value;
        cursor = kf_cursor_of(kf_buffer_view(&bytes));
        assert_int_equal(kf_hsm_description_take(&cursor, &got), KF_ERR_MALFORMED);
        bytes.data[wrong[i].offset] = before;
    }
}

static void answers_with_a_message_that_is_too_long_are_refused(void **state)
{
    (void)state;
    char text[KF_ERROR_MESSAGE_SIZE + 1];
    memset(text, 'x', sizeof text);
    kf_hsm_answer sent = {.number = 7, .code = KF_ERR_UNAVAILABLE, .message = kf_view_of(text, 40)};
    kf_hsm_answer got;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_hsm_answer_put(&bytes, &sent);
    assert_int_equal(kf_hsm_answer_take(kf_buffer_view(&bytes), &got), KF_OK);
    assert_int_equal(got.number, 7);
    assert_int_equal(got.code, KF_ERR_UNAVAILABLE);
    assert_int_equal(got.message.size, 40);
    sent.message = kf_view_of(text, KF_ERROR_MESSAGE_SIZE);
    kf_buffer_truncate(&bytes, 0);
    kf_hsm_answer_put(&bytes, &sent);
    assert_int_equal(kf_hsm_answer_take(kf_buffer_view(&bytes), &got), KF_ERR_MALFORMED);
    for (size_t size = 0; size < 14; size++)
        assert_int_not_equal(kf_hsm_answer_take(kf_view_part(kf_buffer_view(&bytes), 0, size), &got), KF_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_computation_comes_back_as_it_was),
        cmocka_unit_test(every_cut_and_every_addition_is_refused),
        cmocka_unit_test(each_cap_holds),
        cmocka_unit_test(descriptions_are_checked),
        cmocka_unit_test(answers_with_a_message_that_is_too_long_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
