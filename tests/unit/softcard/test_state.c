#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "softcard/state.h"

/* Sets one byte and the digest behind it right again. */
static void forge(kf_buffer *bytes, size_t place, uint8_t value)
{
    bytes->data[place] = value;
    size_t content = bytes->size - KF_DIGEST_SIZE;
    assert_int_equal(kf_sha256(kf_view_of(bytes->data, content), bytes->data + content), KF_OK);
}

static kf_code read_state(kf_view bytes)
{
    softcard_state *state = NULL;
    kf_code code = softcard_state_read(bytes, &state, NULL);
    softcard_state_free(&state);
    return code;
}

static void a_state_survives_the_way_through_bytes(void **unused)
{
    (void)unused;
    test_card test;
    softcard_state *state = NULL;
    kf_buffer again = KF_BUFFER_INIT;
    test_card_make(&test, test_blueprint());
    assert_int_equal(softcard_state_read(kf_buffer_view(&test.saved), &state, NULL), KF_OK);
    assert_int_equal(softcard_state_write(state, &again), KF_OK);
    assert_true(kf_view_equal(kf_buffer_view(&again), kf_buffer_view(&test.saved)));
    softcard_state_free(&state);
    kf_buffer_clear(&again);
    test_card_clear(&test);
}

static void a_touched_or_cut_state_is_refused(void **unused)
{
    (void)unused;
    test_card test;
    test_card_make(&test, test_blueprint());
    kf_view whole = kf_buffer_view(&test.saved);
    for (size_t size = 0; size < whole.size; size += 7)
        assert_int_equal(read_state(kf_view_part(whole, 0, size)), KF_ERR_CARD_DATA);
    for (size_t place = 0; place < whole.size; place += 11) {
        test.saved.data[place] ^= 0x40;
        assert_int_equal(read_state(whole), KF_ERR_CARD_DATA);
        test.saved.data[place] ^= 0x40;
    }
    assert_int_equal(read_state(whole), KF_OK);
    test_card_clear(&test);
}

/* Every length past its cap ends the reading, whatever it says; none crashes. */
static void hostile_lengths_are_caught(void **unused)
{
    (void)unused;
    test_card test;
    test_card_make(&test, test_blueprint());
    for (size_t place = 8; place < test.saved.size - KF_DIGEST_SIZE; place++) {
        uint8_t before = test.saved.data[place];
        forge(&test.saved, place, 0xFF);
        kf_code code = read_state(kf_buffer_view(&test.saved));
        assert_true(code == KF_OK || code == KF_ERR_CARD_DATA || code == KF_ERR_TRUNCATED ||
                    code == KF_ERR_ARGUMENT);
        forge(&test.saved, place, before);
    }
    assert_int_equal(read_state(kf_buffer_view(&test.saved)), KF_OK);
    test_card_clear(&test);
}

static void a_change_that_cannot_be_kept_is_not_answered_as_done(void **unused)
{
    (void)unused;
    test_card test;
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "0020000A083838383838383838", "9000");
    test_exchange(&test, "00A4080C047F106FE1", "9000");
    test.refuses_to_save = true;
    test_exchange(&test, "00D6000002AABB", "6581");
    test_exchange(&test, "00B0000002", "FFFF9000");
    test_exchange(&test, "8050000008010203040506070800", "6581");
    test.refuses_to_save = false;
    test_exchange(&test, "00D6000002AABB", "9000");
    test_exchange(&test, "00B0000002", "AABB9000");
    test_card_clear(&test);
}

static void reading_writes_nothing(void **unused)
{
    (void)unused;
    test_card test;
    test_card_make(&test, test_blueprint());
    test_exchange(&test, "00A4080C022FE2", "9000");
    test_exchange(&test, "00B0000001", "989000");
    test_exchange(&test, "80CA123400", "6A88");
    assert_int_equal(test.saves, 0);
    test_card_clear(&test);
}

static kf_code transmit(test_card *test, const char *command)
{
    kf_buffer bytes = KF_BUFFER_INIT;
    kf_buffer answer = KF_BUFFER_INIT;
    assert_int_equal(kf_hex_decode_append(command, &bytes), KF_OK);
    kf_code code = softcard_transmit(test->card, kf_buffer_view(&bytes), &answer);
    assert_true((code == KF_OK) == (answer.size > 0));
    kf_buffer_clear(&bytes);
    kf_buffer_clear(&answer);
    return code;
}

static void power_is_lost_before_or_after_the_command_takes_effect(void **unused)
{
    (void)unused;
    for (int after = 0; after < 2; after++) {
        test_card test;
        test_card_make(&test, test_blueprint());
        softcard_tear(test.card, 3, after == 1);
        test_exchange(&test, "0020000A083838383838383838", "9000");
        test_exchange(&test, "00A4080C047F106FE1", "9000");
        assert_int_equal(transmit(&test, "00D6000002AABB"), KF_ERR_CARD_REMOVED);
        assert_false(softcard_is_powered(test.card));
        assert_int_equal(transmit(&test, "00B0000002"), KF_ERR_CARD_REMOVED);
        softcard_power_on(test.card);
        test_exchange(&test, "00A4080C047F106FE1", "9000");
        test_exchange(&test, "00B0000002", after == 1 ? "AABB9000" : "FFFF9000");
        test_exchange(&test, "00D6000001AA", "6982");
        test_card_clear(&test);
    }
}

/* Each command of a session with a PUT KEY is torn in turn: before it the old key is there, after it the new.
 */
static void a_key_is_never_lost_between_two_states(void **unused)
{
    (void)unused;
    for (unsigned number = 1; number <= 3; number++) {
        for (int after = 0; after < 2; after++) {
            test_card test;
            test_host host = {0};
            kf_buffer data = KF_BUFFER_INIT;
            kf_buffer command = KF_BUFFER_INIT;
            kf_buffer wrapped = KF_BUFFER_INIT;
            kf_buffer answer = KF_BUFFER_INIT;
            test_card_make(&test, test_blueprint());
            test_key_data(TEST_KEY, 0x01, OTHER_KEY, true, &data);
            kf_buffer_format(&command, "80D80181%02zX%s", data.size / 2, kf_buffer_text(&data));
            if (number == 3) {
                assert_int_equal(test_host_open(&test, &host, 0, TEST_KEY, 0x33), 0x9000);
                test_host_wrap(&host, kf_buffer_text(&command), &wrapped);
                softcard_tear(test.card, 3, after == 1);
                assert_int_equal(softcard_transmit(test.card, kf_buffer_view(&wrapped), &answer),
                                 KF_ERR_CARD_REMOVED);
            } else {
                softcard_tear(test.card, number, after == 1);
                if (number == 2) assert_int_equal(transmit(&test, "8050000008010203040506070800"), KF_OK);
                assert_int_equal(transmit(&test, "8050000008010203040506070800"), KF_ERR_CARD_REMOVED);
            }
            test_card_revive(&test);
            const char *key = number == 3 && after == 1 ? OTHER_KEY : TEST_KEY;
            assert_int_equal(test_host_open(&test, &host, 0, key, 0x33), 0x9000);
            kf_buffer_clear(&data);
            kf_buffer_clear(&command);
            kf_buffer_clear(&wrapped);
            test_host_clear(&host);
            test_card_clear(&test);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_survives_the_way_through_bytes),
        cmocka_unit_test(a_touched_or_cut_state_is_refused),
        cmocka_unit_test(hostile_lengths_are_caught),
        cmocka_unit_test(a_change_that_cannot_be_kept_is_not_answered_as_done),
        cmocka_unit_test(reading_writes_nothing),
        cmocka_unit_test(power_is_lost_before_or_after_the_command_takes_effect),
        cmocka_unit_test(a_key_is_never_lost_between_two_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
