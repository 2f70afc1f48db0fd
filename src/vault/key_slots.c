#include "vault/key_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

static const char *const slot_names[2] = {"keys.a", "keys.b"};

static kf_code check_folder(int folder, const char *directory, kf_error *error)
{
    struct stat found;
    if (fstat(folder, &found) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "the key folder %s: %s", directory, strerror(errno));
    if (found.st_uid != geteuid() || (found.st_mode & 0066) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE,
                       "the key folder %s has owner %u and mode %04o; it must belong to user %u, who alone "
                       "may read and write it: "
                       "chown %u %s && chmod 700 %s",
                       directory, (unsigned)found.st_uid, (unsigned)(found.st_mode & 07777),
                       (unsigned)geteuid(), (unsigned)geteuid(), directory, directory);
    return KF_OK;
}

static kf_code open_slot(int folder, const char *directory, const char *name, int *ret_descriptor,
                         kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close)
    int descriptor = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat found;
    if (descriptor < 0 || fstat(descriptor, &found) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "the key file %s/%s cannot be opened: %s", directory, name,
                       strerror(errno));
    if (!S_ISREG(found.st_mode) || found.st_uid != geteuid() || (found.st_mode & 0077) != 0)
        return kf_fail(
            error, KF_ERR_KEY_STORE,
            "the key file %s/%s has owner %u and mode %04o; it must be a file of user %u with mode 0600",
            directory, name, (unsigned)found.st_uid, (unsigned)(found.st_mode & 07777), (unsigned)geteuid());
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0)
        return kf_fail(error, KF_ERR_KEY_STORE, "the key file %s/%s is in use: another vault runs on it",
                       directory, name);
    *ret_descriptor = descriptor;
    descriptor = -1;
    return KF_OK;
}

kf_code kf_key_slots_open(const char *directory, kf_key_slots *ret_slots, kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close) int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return kf_fail(error, KF_ERR_KEY_STORE,
                       "the key folder %s cannot be opened: %s; make it: install -d -m 700 -o %u %s",
                       directory, strerror(errno), (unsigned)geteuid(), directory);
    KF_TRY(check_folder(folder, directory, error));
    kf_key_slots slots = {{-1, -1}};
    for (size_t i = 0; i < 2; i++) {
        kf_code code = open_slot(folder, directory, slot_names[i], &slots.descriptors[i], error);
        if (code != KF_OK) {
            kf_key_slots_close(&slots);
            return code;
        }
    }
    if (fsync(folder) != 0) {
        kf_key_slots_close(&slots);
        return kf_fail(error, KF_ERR_KEY_STORE, "the key folder %s cannot be synced: %s", directory,
                       strerror(errno));
    }
    *ret_slots = slots;
    return KF_OK;
}

void kf_key_slots_close(kf_key_slots *slots)
{
    kf_descriptor_close(&slots->descriptors[0]);
    kf_descriptor_close(&slots->descriptors[1]);
}

static kf_code read_slot(int descriptor, kf_buffer *content)
{
    struct stat found;
    if (fstat(descriptor, &found) != 0) return KF_ERR_SYSTEM;
    if (found.st_size < 0 || (uint64_t)found.st_size > KF_SEALED_FILE_MAX) return KF_ERR_TOO_LONG;
    size_t size = (size_t)found.st_size;
    uint8_t *place = kf_buffer_extend(content, size);
    if (place == NULL) return kf_buffer_status(content);
    size_t total = 0;
    while (total < size) {
        ssize_t got = pread(descriptor, place + total, size - total, (off_t)total);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return KF_ERR_SYSTEM;
        total += (size_t)got;
    }
    return KF_OK;
}

static kf_code write_slot(int descriptor, kf_view content)
{
    size_t total = 0;
    while (total < content.size) {
        ssize_t put = pwrite(descriptor, content.data + total, content.size - total, (off_t)total);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return KF_ERR_SYSTEM;
        total += (size_t)put;
    }
    if (ftruncate(descriptor, (off_t)content.size) != 0 || fdatasync(descriptor) != 0) return KF_ERR_SYSTEM;
    return KF_OK;
}

/* What was read of the two slots, the newer whole one chosen. */
typedef struct slot_findings {
    bool empty[2];
    bool whole[2];
    kf_sealed_content contents[2];
    kf_code reasons[2];
} slot_findings;

static void clear_findings(slot_findings *findings)
{
    for (size_t i = 0; i < 2; i++)
        if (findings->whole[i]) kf_sealed_content_clear(&findings->contents[i]);
}

static void read_findings(const kf_key_slots *slots, const kf_secret *passphrase, slot_findings *findings)
{
    memset(findings, 0, sizeof *findings);
    for (size_t i = 0; i < 2; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer file = kf_buffer_with_limit(KF_SEALED_FILE_MAX);
        findings->reasons[i] = read_slot(slots->descriptors[i], &file);
        if (findings->reasons[i] != KF_OK) continue;
        findings->empty[i] = file.size == 0;
        if (findings->empty[i]) continue;
        const kf_key_seal *known = findings->whole[0] ? &findings->contents[0].seal : NULL;
        findings->reasons[i] = kf_key_seal_open(passphrase, known, KF_KEY_SLOT_MAGIC, kf_buffer_view(&file),
                                                &findings->contents[i]);
        findings->whole[i] = findings->reasons[i] == KF_OK;
    }
}

static kf_code take_newest(slot_findings *findings, kf_key_journal *journal, kf_buffer *plain)
{
    size_t newest = findings->whole[0] ? 0 : 1;
    if (findings->whole[0] && findings->whole[1] &&
        findings->contents[1].sequence > findings->contents[0].sequence)
        newest = 1;
    kf_sealed_content *content = &findings->contents[newest];
    kf_buffer_append(plain, kf_buffer_view(&content->plain));
    KF_TRY(kf_buffer_status(plain));
    journal->seal = content->seal;
    content->seal.key = NULL;
    journal->sequence = content->sequence;
    for (size_t i = 0; i < 2; i++)
        journal->sound[i] = findings->whole[i] && findings->contents[i].sequence == journal->sequence;
    return KF_OK;
}

static kf_code refuse(const slot_findings *findings, kf_error *error)
{
    for (size_t i = 0; i < 2; i++)
        if (findings->reasons[i] < 0 && findings->reasons[i] != KF_ERR_SYSTEM)
            return kf_fail(error, findings->reasons[i], "the key store cannot be opened: %s",
                           kf_code_meaning(findings->reasons[i]));
    return kf_fail(error, KF_ERR_KEY_STORE,
                   "the key store cannot be opened: keys.a: %s; keys.b: %s. Either the passphrase is another "
                   "one, or both copies are "
                   "damaged: then restore a backup into an empty folder",
                   findings->empty[0] ? "empty" : kf_code_meaning(findings->reasons[0]),
                   findings->empty[1] ? "empty" : kf_code_meaning(findings->reasons[1]));
}

static kf_code close_file(const kf_key_journal *journal, uint64_t sequence, kf_view plain, kf_buffer *file)
{
    return kf_key_seal_close(&journal->seal, KF_KEY_SLOT_MAGIC, sequence, plain, file);
}

static kf_code repair(kf_key_journal *journal, kf_view plain)
{
    size_t broken = journal->sound[0] ? 1 : 0;
    kf_log(KF_LOG_WARNING, "key store: %s was not whole; it is written again from the other copy",
           slot_names[broken]);
    KF_CLEANUP(kf_buffer_clear) kf_buffer file = KF_BUFFER_INIT;
    KF_TRY(close_file(journal, journal->sequence, plain, &file));
    KF_TRY(write_slot(journal->slots.descriptors[broken], kf_buffer_view(&file)));
    journal->sound[broken] = true;
    return KF_OK;
}

kf_code kf_key_journal_open(kf_key_slots *slots, const kf_secret *passphrase, kf_passphrase_cost cost_of_new,
                            kf_key_journal *ret_journal, kf_buffer *plain, kf_error *error)
{
    kf_key_journal journal = {.slots = *slots, .sequence = 0, .sound = {false, false}};
    slot_findings findings;
    read_findings(slots, passphrase, &findings);
    kf_code code = KF_OK;
    if (findings.whole[0] || findings.whole[1])
        code = take_newest(&findings, &journal, plain);
    else if (findings.empty[0] && findings.empty[1])
        code = kf_key_seal_new(passphrase, cost_of_new, &journal.seal);
    else
        code = refuse(&findings, error);
    clear_findings(&findings);
    if (code == KF_OK && journal.sequence > 0 && !(journal.sound[0] && journal.sound[1]))
        code = repair(&journal, kf_buffer_view(plain));
    if (code != KF_OK) {
        kf_key_seal_clear(&journal.seal);
        return kf_fail_plain(error, code);
    }
    *ret_journal = journal;
    *slots = (kf_key_slots){{-1, -1}};
    return KF_OK;
}

kf_code kf_key_journal_write(kf_key_journal *journal, kf_view plain, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer file = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, close_file(journal, journal->sequence + 1, plain, &file)));
    if (file.size > KF_SEALED_FILE_MAX)
        return kf_fail(error, KF_ERR_KEY_STORE, "the key store is full (%zu bytes)", file.size);
    /* Never over the only whole copy first. */
    size_t first = journal->sound[0] && !journal->sound[1] ? 1 : 0;
    kf_code code = write_slot(journal->slots.descriptors[first], kf_buffer_view(&file));
    if (code != KF_OK) {
        int reason = errno;
        journal->sound[first] = false;
        /* So that the refused state cannot come back at the next start. */
        if (ftruncate(journal->slots.descriptors[first], 0) != 0)
            kf_log(KF_LOG_ERROR, "key store: %s cannot be cut: %s", slot_names[first], strerror(errno));
        return kf_fail(error, KF_ERR_KEY_STORE, "the key store cannot be written: %s; nothing was changed",
                       strerror(reason));
    }
    journal->sequence++;
    journal->sound[first] = true;
    size_t second = 1 - first;
    journal->sound[second] = write_slot(journal->slots.descriptors[second], kf_buffer_view(&file)) == KF_OK;
    if (!journal->sound[second])
        kf_log(KF_LOG_WARNING, "key store: %s cannot be written: %s; the other copy is whole",
               slot_names[second], strerror(errno));
    return KF_OK;
}

void kf_key_journal_close(kf_key_journal *journal)
{
    kf_key_slots_close(&journal->slots);
    kf_key_seal_clear(&journal->seal);
}
