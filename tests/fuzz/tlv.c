/* BER-TLV on both sides of the contacts: what is read and written again reads equal, and where both sides
 * take an object they agree on it. */
#include <keyfill/tlv.h>

#include "fuzz.h"
#include "softcard/tlv.h"

static void want_card_agrees(kf_view at, const kf_tlv *object)
{
    softcard_tlv theirs;
    kf_cursor cursor = kf_cursor_of(at);
    if (softcard_tlv_next(&cursor, &theirs) != KF_OK || object == NULL) return;
    FUZZ_WANT(theirs.tag == object->tag);
    FUZZ_WANT(kf_view_equal(theirs.value, object->value));
}

static void want_same_again(const kf_tlv *object)
{
    kf_tlv again;
    FUZZ_BUFFER(written);
    kf_tlv_append(&written, object->tag, object->value);
    FUZZ_WANT(kf_buffer_status(&written) == KF_OK);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&written));
    FUZZ_WANT(kf_tlv_read(&cursor, &again) == KF_OK);
    FUZZ_WANT(again.tag == object->tag && kf_view_equal(again.value, object->value));
    FUZZ_WANT(kf_cursor_at_end(&cursor));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kf_view whole = kf_view_of(data, size);
    kf_cursor cursor = kf_cursor_of(whole);
    size_t taken = 0;
    for (;;) {
        kf_tlv object;
        kf_view before = cursor.rest;
        if (kf_tlv_read(&cursor, &object) != KF_OK) {
            FUZZ_WANT(kf_view_equal(before, cursor.rest) && before.data == cursor.rest.data);
            want_card_agrees(before, NULL);
            break;
        }
        FUZZ_WANT(object.whole.size >= object.value.size + 2);
        taken += object.whole.size;
        kf_view value;
        FUZZ_WANT(kf_tlv_find(whole, object.tag, &value));
        FUZZ_WANT(kf_tlv_count(whole, object.tag) >= 1);
        want_same_again(&object);
        want_card_agrees(before, &object);
    }
    FUZZ_WANT(taken + cursor.rest.size == size);
    /* A good tree is a good series. */
    if (kf_tlv_check(whole) == KF_OK) FUZZ_WANT(cursor.rest.size == 0);
    return 0;
}
