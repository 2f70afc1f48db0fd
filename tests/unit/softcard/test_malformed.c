/* Commands in open secure channels, cut and with every bit flipped in turn: the card takes none of them, and
 * its session ends. */
#include "fixture.h"
#include "scp02_host.h"

#include <string.h>

#include "../../fuzz/fuzz.h"

#define LOCK_CARD "80F0807F00" /* SET STATUS: a command that leaves a trace if it is taken */
#define PERSONALISE "80E28800070070044202AABB"

typedef struct channel {
    test_card card;
    const char *parameter;
    bool scp02;
    uint8_t level;
    test_host host;
    scp02_host older_host;
} channel;

static void make(channel *made, bool scp02, const char *parameter, uint8_t level)
{
    softcard_blueprint *blueprint = test_blueprint();
    memset(made, 0, sizeof *made);
    made->scp02 = scp02;
    made->parameter = parameter;
    made->level = level;
    assert_int_equal(softcard_blueprint_set(&blueprint->protocol, scp02 ? "02" : "03"), KF_OK);
    assert_int_equal(softcard_blueprint_set(&blueprint->parameter, parameter), KF_OK);
    test_card_make(&made->card, blueprint);
}

static void unmake(channel *made)
{
    test_host_clear(&made->host);
    test_card_clear(&made->card);
}

/* A session opened anew on the same card, and `plain` wrapped in it. */
static void wrap_next(channel *made, const char *plain, kf_buffer *wrapped)
{
    uint8_t option = 0;
    assert_int_equal(kf_hex_decode(made->parameter, &option, 1), KF_OK);
    test_host_clear(&made->host);
    kf_buffer_truncate(wrapped, 0);
    if (made->scp02) {
        made->older_host = (scp02_host){.parameter = option};
        assert_int_equal(scp02_open(&made->card, &made->older_host, 0, TEST_KEY, made->level), 0x9000);
        scp02_wrap(&made->older_host, plain, wrapped);
        return;
    }
    made->host = (test_host){.mac_size = (option & 1) != 0 ? 16 : 8};
    assert_int_equal(test_host_open(&made->card, &made->host, 0, TEST_KEY, made->level), 0x9000);
    test_host_wrap(&made->host, plain, wrapped);
}

static uint16_t send(channel *made, kf_view command)
{
    FUZZ_COPY(exact, command);
    return test_send(&made->card, exact.view, NULL);
}

/* What a normal answer to the spoilt command would mean: that it was taken, or that another one was meant. */
static void want_refused(channel *made, kf_view spoilt, kf_view whole)
{
    unsigned saves = made->card.saves;
    uint16_t status = send(made, spoilt);
    assert_true(status >> 12 == 6 && status >> 8 != 0x61 && status >> 8 != 0x62 && status >> 8 != 0x63);
    assert_int_equal(made->card.saves, saves);
    /* The command itself comes too late then, unless what came before it was no command at all. */
    if (status != 0x6700) assert_int_not_equal(send(made, whole), 0x9000);
}

static void spoil(channel *made, const char *plain)
{
    kf_buffer whole = KF_BUFFER_INIT;
    kf_buffer spoilt = KF_BUFFER_INIT;
    wrap_next(made, plain, &whole);
    size_t covered = 5u + whole.data[4];
    for (size_t size = 5; size < covered; size++) {
        wrap_next(made, plain, &whole);
        want_refused(made, kf_view_of(whole.data, size), kf_buffer_view(&whole));
    }
    /* From the instruction on: another class byte is another channel, or no secure messaging at all. */
    for (size_t bit = 8; bit < 8 * covered; bit++) {
        wrap_next(made, plain, &whole);
        kf_buffer_truncate(&spoilt, 0);
        kf_buffer_append(&spoilt, kf_buffer_view(&whole));
        spoilt.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        want_refused(made, kf_buffer_view(&spoilt), kf_buffer_view(&whole));
    }
    kf_buffer_clear(&whole);
    kf_buffer_clear(&spoilt);
}

static void spoilt_commands_are_refused(bool scp02, const char *parameter, uint8_t level)
{
    channel made;
    make(&made, scp02, parameter, level);
    spoil(&made, PERSONALISE);
    kf_buffer wrapped = KF_BUFFER_INIT;
    wrap_next(&made, PERSONALISE, &wrapped);
    assert_int_equal(send(&made, kf_buffer_view(&wrapped)), 0x9000);
    kf_buffer_clear(&wrapped);
    unmake(&made);
}

static void scp03_takes_no_spoilt_command(void **state)
{
    (void)state;
    static const uint8_t levels[] = {0x01, 0x03, 0x11, 0x13, 0x33};
    for (size_t i = 0; i < sizeof levels; i++)
        spoilt_commands_are_refused(false, "70", levels[i]);
    spoilt_commands_are_refused(false, "71", 0x33);
    spoilt_commands_are_refused(false, "00", 0x03);
}

static void scp02_takes_no_spoilt_command(void **state)
{
    (void)state;
    spoilt_commands_are_refused(true, "15", 0x01);
    spoilt_commands_are_refused(true, "15", 0x03);
    spoilt_commands_are_refused(true, "55", 0x03);
    spoilt_commands_are_refused(true, "05", 0x01);
    spoilt_commands_are_refused(true, "75", 0x13);
}

/* In the channel with a MAC that is right: what the commands say is wrong. */
static void plain_commands_cut_and_flipped_in_a_channel(void **state)
{
    (void)state;
    static const char *const plains[] = {
        "80F28002024F00",
        "80CA006600",
        "80E602001C07A00000015153500F0000EF08C60200FFC7020000C802000000",
        "80E60C002807A000000151535008A00000015153504108A000000151535041018007C9058102037000",
        "80E400000A4F08A0000001515350FF",
        "80F040800708A000000151535041",
        "80E28800070070044202AABB",
        "80E280001700B90F950180840103B60A830130800188810110820101",
        "80E610001308A000000151000000000008A00000015153504100",
        "80D80081150180108877665544332211001122334455667788AABBCC",
    };
    channel made;
    make(&made, false, "70", 0x33);
    for (size_t i = 0; i < sizeof plains / sizeof plains[0]; i++) {
        kf_buffer plain = KF_BUFFER_INIT;
        kf_buffer wrapped = KF_BUFFER_INIT;
        kf_buffer text = KF_BUFFER_INIT;
        assert_int_equal(kf_hex_decode_append(plains[i], &plain), KF_OK);
        for (size_t bit = 0; bit < 8 * (plain.size - 5) + plain.size - 5; bit++) {
            bool cut = bit >= 8 * (plain.size - 5);
            size_t size = cut ? 5 + bit - 8 * (plain.size - 5) : plain.size;
            if (!cut) plain.data[5 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            kf_buffer_truncate(&text, 0);
            kf_buffer_append_hex(&text, kf_view_of(plain.data, size));
            wrap_next(&made, kf_buffer_text(&text), &wrapped);
            uint16_t status = send(&made, kf_buffer_view(&wrapped));
            assert_true(status == 0x9000 || status >> 12 == 6);
            if (!cut) plain.data[5 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            /* What a flipped bit made of the card is no other's concern. */
            if (status == 0x9000) {
                unmake(&made);
                make(&made, false, "70", 0x33);
            }
        }
        kf_buffer_clear(&plain);
        kf_buffer_clear(&wrapped);
        kf_buffer_clear(&text);
    }
    unmake(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scp03_takes_no_spoilt_command),
        cmocka_unit_test(scp02_takes_no_spoilt_command),
        cmocka_unit_test(plain_commands_cut_and_flipped_in_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
