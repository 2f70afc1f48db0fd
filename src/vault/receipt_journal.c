#include "vault/receipt_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/receipt.h"

#define NOTE_MAGIC "KFRCPT01"
#define NOTE_PLACE 512 /* bytes: a sector each */
#define NOTES 2
#define RING_START 4096
#define SLOT_SIZE 1040 /* u16 length and a receipt */
#define FILE_SIZE ((size_t)RING_START + (size_t)KF_RECEIPTS_KEPT * SLOT_SIZE)

_Static_assert(SLOT_SIZE >= KF_VAULT_RECEIPT_SIZE + 2, "a slot holds the longest receipt");

struct kf_receipt_journal {
    int descriptor;
    uint8_t *content;  /* mapped, FILE_SIZE */
    uint64_t sequence; /* of the newest note */
};

static kf_code open_file(const char *directory, int *ret_descriptor, kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close) int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    KF_CLEANUP(kf_descriptor_close) int descriptor = -1;
    struct stat found;
    if (folder >= 0)
        descriptor = openat(folder, KF_RECEIPT_JOURNAL_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0 || fstat(descriptor, &found) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "the file %s/%s cannot be opened: %s", directory,
                       KF_RECEIPT_JOURNAL_NAME, strerror(errno));
    if (!S_ISREG(found.st_mode) || found.st_uid != geteuid() || (found.st_mode & 0077) != 0)
        return kf_fail(
            error, KF_ERR_KEY_STORE,
            "the file %s/%s has owner %u and mode %04o; it must be a file of user %u with mode 0600",
            directory, KF_RECEIPT_JOURNAL_NAME, (unsigned)found.st_uid, (unsigned)(found.st_mode & 07777),
            (unsigned)geteuid());
    /* Room for all of it, so that a full disk is noticed now and not by a signal later. */
    int full = posix_fallocate(descriptor, 0, (off_t)FILE_SIZE);
    if (full != 0 || fsync(descriptor) != 0 || fsync(folder) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "there is no room for the file %s/%s: %s", directory,
                       KF_RECEIPT_JOURNAL_NAME, strerror(full != 0 ? full : errno));
    *ret_descriptor = descriptor;
    descriptor = -1;
    return KF_OK;
}

kf_code kf_receipt_journal_open(const char *directory, kf_receipt_journal **ret_journal, kf_error *error)
{
    KF_CLEANUP(kf_receipt_journal_free) kf_receipt_journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    journal->descriptor = -1;
    KF_TRY(open_file(directory, &journal->descriptor, error));
    void *content = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, journal->descriptor, 0);
    if (content == MAP_FAILED)
        return kf_fail(error, KF_ERR_KEY_STORE, "the file %s/%s cannot be mapped: %s", directory,
                       KF_RECEIPT_JOURNAL_NAME, strerror(errno));
    journal->content = content;
    *ret_journal = journal;
    journal = NULL;
    return KF_OK;
}

void kf_receipt_journal_free(kf_receipt_journal **journal)
{
    if (journal == NULL || *journal == NULL) return;
    if ((*journal)->content != NULL) (void)munmap((*journal)->content, FILE_SIZE);
    kf_descriptor_close(&(*journal)->descriptor);
    free(*journal);
    *journal = NULL;
}

static uint8_t *slot_of(const kf_receipt_journal *journal, uint64_t number)
{
    return journal->content + RING_START + (size_t)(number % KF_RECEIPTS_KEPT) * SLOT_SIZE;
}

/* The receipt in slot `index`, where there is a whole one of ours that belongs there. */
static bool read_slot(const kf_receipt_journal *journal, kf_cipher *key, size_t index, kf_view *ret_bytes,
                      uint64_t *ret_number)
{
    kf_cursor cursor = kf_cursor_of(kf_view_of(slot_of(journal, index), SLOT_SIZE));
    uint16_t size;
    kf_view bytes;
    kf_receipt receipt;
    if (kf_cursor_u16(&cursor, &size) != KF_OK || kf_cursor_take(&cursor, size, &bytes) != KF_OK ||
        kf_receipt_verify(key, bytes, &receipt) != KF_OK || receipt.number % KF_RECEIPTS_KEPT != index)
        return false;
    *ret_bytes = bytes;
    *ret_number = receipt.number;
    return true;
}

static void put_note(kf_buffer *bytes, uint64_t sequence, const kf_audit_note *note)
{
    kf_buffer_append_text(bytes, NOTE_MAGIC);
    kf_buffer_append_u64(bytes, sequence);
    kf_buffer_append_u64(bytes, (uint64_t)note->seq);
    kf_buffer_append(bytes, KF_VIEW(note->hash));
    kf_buffer_append_u64(bytes, note->written);
    kf_buffer_append_u64(bytes, note->revision);
    kf_buffer_append_u32(bytes, note->holds);
}

#define NOTE_SIZE ((size_t)(8 + 8 + 8 + KF_DIGEST_SIZE + 8 + 8 + 4))

static kf_code read_note(const kf_receipt_journal *journal, kf_cipher *key, size_t place,
                         uint64_t *ret_sequence, kf_audit_note *ret_note)
{
    kf_view whole = kf_view_of(journal->content + place * NOTE_PLACE, NOTE_SIZE + KF_RECEIPT_MAC_SIZE);
    kf_view fields = kf_view_part(whole, 0, NOTE_SIZE);
    KF_TRY(kf_cmac_verify(key, fields, kf_view_part(whole, NOTE_SIZE, KF_RECEIPT_MAC_SIZE)));
    kf_cursor cursor = kf_cursor_of(fields);
    kf_audit_note note;
    uint64_t seq;
    KF_TRY(kf_cursor_skip(&cursor, strlen(NOTE_MAGIC)));
    KF_TRY(kf_cursor_u64(&cursor, ret_sequence));
    KF_TRY(kf_cursor_u64(&cursor, &seq));
    note.seq = (int64_t)seq;
    KF_TRY(kf_cursor_copy(&cursor, note.hash, sizeof note.hash));
    KF_TRY(kf_cursor_u64(&cursor, &note.written));
    KF_TRY(kf_cursor_u64(&cursor, &note.revision));
    uint32_t holds;
    KF_TRY(kf_cursor_u32(&cursor, &holds));
    note.holds = holds & KF_HOLDS_ALL;
    *ret_note = note;
    return KF_OK;
}

kf_code kf_receipt_journal_read(kf_receipt_journal *journal, kf_cipher *key,
                                kf_receipt_findings *ret_findings)
{
    kf_receipt_findings findings;
    memset(&findings, 0, sizeof findings);
    for (size_t i = 0; i < NOTES; i++) {
        uint64_t sequence = 0;
        kf_audit_note note;
        kf_code code = read_note(journal, key, i, &sequence, &note);
        if (code != KF_OK && code != KF_ERR_AUTHENTICATION) return code;
        if (code != KF_OK || (findings.sound && sequence <= journal->sequence)) continue;
        findings.sound = true;
        findings.note = note;
        journal->sequence = sequence;
    }
    for (size_t i = 0; i < KF_RECEIPTS_KEPT; i++) {
        kf_view bytes;
        uint64_t number;
        if (read_slot(journal, key, i, &bytes, &number) && number > findings.newest) findings.newest = number;
    }
    *ret_findings = findings;
    return KF_OK;
}

kf_code kf_receipt_journal_list(const kf_receipt_journal *journal, kf_cipher *key, uint64_t after,
                                kf_buffer *receipts)
{
    /* The slot behind the newest is the oldest: two walks put them in order. */
    uint64_t newest = 0;
    for (size_t i = 0; i < KF_RECEIPTS_KEPT; i++) {
        kf_view bytes;
        uint64_t number;
        if (read_slot(journal, key, i, &bytes, &number) && number > newest) newest = number;
    }
    uint64_t first = newest >= KF_RECEIPTS_KEPT ? newest - KF_RECEIPTS_KEPT + 1 : 1;
    for (uint64_t wanted = after + 1 > first ? after + 1 : first; wanted <= newest; wanted++) {
        kf_view bytes;
        uint64_t number;
        if (!read_slot(journal, key, (size_t)(wanted % KF_RECEIPTS_KEPT), &bytes, &number) ||
            number != wanted)
            continue;
        kf_buffer_append_u16(receipts, (uint16_t)bytes.size);
        kf_buffer_append(receipts, bytes);
    }
    return kf_buffer_status(receipts);
}

void kf_receipt_journal_keep(kf_receipt_journal *journal, uint64_t number, kf_view receipt)
{
    uint8_t *slot = slot_of(journal, number);
    slot[0] = (uint8_t)(receipt.size >> 8);
    slot[1] = (uint8_t)receipt.size;
    memcpy(slot + 2, receipt.data, receipt.size);
}

kf_code kf_receipt_journal_note(kf_receipt_journal *journal, kf_cipher *key, const kf_audit_note *note,
                                kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    uint64_t sequence = journal->sequence + 1;
    uint8_t mac[KF_BLOCK_MAX];
    put_note(&bytes, sequence, note);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&bytes)));
    KF_TRY(kf_fail_plain(error, kf_cmac(key, kf_buffer_view(&bytes), mac)));
    kf_buffer_append_bytes(&bytes, mac, KF_RECEIPT_MAC_SIZE);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&bytes)));
    memcpy(journal->content + (size_t)(sequence % NOTES) * NOTE_PLACE, bytes.data, bytes.size);
    journal->sequence = sequence;
    if (fdatasync(journal->descriptor) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "the vault's file of receipts cannot be written: %s",
                       strerror(errno));
    return KF_OK;
}
