/* The vault's loop: whole frames in, answers out, in batches; anything that is not in the table ends it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/requests.h"
#include "vault/serve_parts.h"

#define READ_PART ((size_t)64 * 1024)
#define ANSWERS_FLUSH ((size_t)256 * 1024) /* bytes of answers kept back at most */

static kf_code find_row(const kf_vault *vault, uint16_t kind, size_t payload_size,
                        const kf_vault_request_row **ret_row, kf_error *error)
{
    const kf_vault_request_row *row = kf_vault_request_find(vault->unit, kind);
    if (row == NULL)
        return kf_fail(error, KF_ERR_MALFORMED, "request of kind %u, which this vault does not take", kind);
    if (payload_size > row->size_max)
        return kf_fail(error, KF_ERR_TOO_LONG, "request %s of %zu bytes, at most %zu are taken", row->name,
                       payload_size, row->size_max);
    *ret_row = row;
    return KF_OK;
}

kf_code kf_vault_check_frame(const kf_vault *vault, const kf_vault_frame *frame, kf_error *error)
{
    const kf_vault_request_row *row;
    return find_row(vault, frame->kind, frame->payload.size, &row, error);
}

static void clear_receipts(kf_vault *vault)
{
    kf_buffer_truncate(&vault->receipts, 0);
    vault->receipt_count = 0;
}

kf_code kf_vault_answer_frame(kf_vault *vault, const kf_vault_frame *frame, kf_buffer *answers,
                              kf_error *error)
{
    const kf_vault_request_row *row;
    KF_TRY(find_row(vault, frame->kind, frame->payload.size, &row, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer payload = kf_buffer_with_limit(KF_VAULT_PAYLOAD_MAX);
    kf_cursor request = kf_cursor_of(frame->payload);
    kf_error refusal = {KF_OK, ""};
    clear_receipts(vault);
    kf_code code = row->handler(vault, &request, &payload, &refusal);
    if (code == KF_OK) code = kf_buffer_status(&payload);
    if (code != KF_OK) (void)kf_fail_plain(&refusal, code);
    const char *message = code != KF_OK ? kf_error_text(&refusal) : "";
    kf_vault_answer_parts parts = {.code = code,
                                   .message = kf_view_of_text(message),
                                   .receipts = kf_buffer_view(&vault->receipts),
                                   .receipt_count = vault->receipt_count,
                                   .payload = code == KF_OK ? kf_buffer_view(&payload) : kf_view_of(NULL, 0)};
    kf_vault_answer_put(answers, frame->kind, frame->id, &parts);
    clear_receipts(vault);
    return kf_fail_plain(error, kf_buffer_status(answers));
}

static kf_code flush(int descriptor, kf_buffer *answers, kf_error *error)
{
    if (answers->size > 0 && kf_descriptor_write(descriptor, kf_buffer_view(answers)) != KF_OK)
        return kf_fail(error, KF_ERR_SYSTEM, "the front does not take answers: %s", strerror(errno));
    kf_buffer_truncate(answers, 0);
    return KF_OK;
}

kf_code kf_vault_check_head(const kf_vault *vault, kf_view rest, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(rest);
    uint32_t length;
    uint16_t kind;
    const kf_vault_request_row *row;
    if (kf_cursor_u32(&cursor, &length) != KF_OK || kf_cursor_u16(&cursor, &kind) != KF_OK) return KF_OK;
    if (length < KF_VAULT_FRAME_HEAD - 4)
        return kf_fail(error, KF_ERR_MALFORMED, "a frame of length %u", (unsigned)length);
    return find_row(vault, kind, length - (KF_VAULT_FRAME_HEAD - 4), &row, error);
}

static kf_code answer_all(kf_vault *vault, int descriptor, kf_buffer *received, kf_buffer *answers,
                          kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(received));
    kf_vault_frame frame;
    kf_code code;
    while ((code = kf_vault_frame_take(&cursor, &frame)) == KF_OK) {
        KF_TRY(kf_vault_answer_frame(vault, &frame, answers, error));
        if (answers->size >= ANSWERS_FLUSH) KF_TRY(flush(descriptor, answers, error));
    }
    if (code != KF_ERR_TRUNCATED)
        return kf_fail(error, code, "a frame that is malformed: %s", kf_code_meaning(code));
    KF_TRY(kf_vault_check_head(vault, cursor.rest, error));
    size_t rest = cursor.rest.size;
    if (rest > 0) memmove(received->data, cursor.rest.data, rest);
    kf_buffer_truncate(received, rest);
    return flush(descriptor, answers, error);
}

kf_code kf_vault_read_part(int descriptor, kf_buffer *received, size_t *ret_got, kf_error *error)
{
    size_t before = received->size;
    uint8_t *place = kf_buffer_extend(received, READ_PART);
    if (place == NULL) return kf_fail_plain(error, kf_buffer_status(received));
    ssize_t got;
    do {
        got = read(descriptor, place, READ_PART);
    } while (got < 0 && errno == EINTR);
    kf_buffer_truncate(received, before + (got > 0 ? (size_t)got : 0));
    /* A front that is killed with answers unread resets the connection. */
    if (got < 0 && errno != ECONNRESET)
        return kf_fail(error, KF_ERR_SYSTEM, "the socket to the front: %s", strerror(errno));
    *ret_got = got > 0 ? (size_t)got : 0;
    return KF_OK;
}

kf_code kf_vault_serve(kf_vault *vault, int descriptor, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer received = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer answers = KF_BUFFER_INIT;
    for (;;) {
        size_t got = 0;
        KF_TRY(kf_vault_read_part(descriptor, &received, &got, error));
        if (got == 0) break;
        KF_TRY(answer_all(vault, descriptor, &received, &answers, error));
    }
    if (received.size > 0)
        return kf_fail(error, KF_ERR_MALFORMED, "the front ended in the middle of a frame");
    return KF_OK;
}
