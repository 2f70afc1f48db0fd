#include "vault/roster.h"

#include <stdio.h>
#include <string.h>

#include <keyfill/hex.h>

#include "crypto/digest.h"
#include "crypto/signing_key.h"
#include "vault/protocol.h"

#define LINE_MAX_BYTES 512

const kf_officer *kf_roster_find(const kf_roster *roster, const char *name)
{
    for (size_t i = 0; i < roster->count; i++)
        if (strcmp(roster->officers[i].name, name) == 0) return &roster->officers[i];
    return NULL;
}

static kf_view key_of(const kf_officer *officer)
{
    return kf_view_of(officer->key, officer->key_size);
}

static kf_code check_key(const kf_officer *officer, kf_error *error)
{
    kf_public_key *key = NULL;
    kf_code code = kf_signing_public_read(key_of(officer), &key);
    kf_public_key_free(&key);
    if (code == KF_ERR_MALFORMED)
        return kf_fail(error, KF_ERR_FIELD,
                       "the key of officer %s is no public key of P-256; keyfill officer new makes one",
                       officer->name);
    return kf_fail_plain(error, code);
}

static kf_code check_officer(const kf_roster *roster, size_t index, kf_error *error)
{
    const kf_officer *officer = &roster->officers[index];
    KF_TRY(kf_category_check(officer->name, error));
    KF_TRY(check_key(officer, error));
    for (size_t i = 0; i < index; i++) {
        if (strcmp(roster->officers[i].name, officer->name) == 0)
            return kf_fail(error, KF_ERR_FIELD, "officer %s stands in the roster twice", officer->name);
        /* One person under two names would be a quorum. */
        if (kf_view_equal(key_of(&roster->officers[i]), key_of(officer)))
            return kf_fail(error, KF_ERR_FIELD, "officers %s and %s have the same key",
                           roster->officers[i].name, officer->name);
    }
    return KF_OK;
}

static kf_code check_quorum(const kf_roster *roster, const char *what, unsigned quorum, kf_error *error)
{
    if (quorum < KF_QUORUM_MIN || quorum > KF_QUORUM_MAX)
        return kf_fail(error, KF_ERR_FIELD, "a quorum of %u for %s: take %d to %d", quorum, what,
                       KF_QUORUM_MIN, KF_QUORUM_MAX);
    if (roster->count < quorum)
        return kf_fail(error, KF_ERR_FIELD,
                       "a roster of %zu for a quorum of %u (%s): nothing could be approved any more",
                       roster->count, quorum, what);
    return KF_OK;
}

kf_code kf_roster_check(const kf_roster *roster, kf_error *error)
{
    if (roster->count > KF_OFFICERS_MAX)
        return kf_fail(error, KF_ERR_FIELD, "%zu officers: at most %d", roster->count, KF_OFFICERS_MAX);
    for (size_t i = 0; i < roster->count; i++)
        KF_TRY(check_officer(roster, i, error));
    KF_TRY(check_quorum(roster, "keys", roster->quorum_keys, error));
    return check_quorum(roster, "roster", roster->quorum_roster, error);
}

static void put_officer(kf_buffer *bytes, const kf_officer *officer)
{
    kf_message_put_text(bytes, officer->name);
    kf_message_put_blob(bytes, key_of(officer));
}

static kf_code take_officer(kf_cursor *bytes, kf_officer *officer)
{
    kf_view key;
    KF_TRY(kf_message_take_text(bytes, officer->name, sizeof officer->name));
    KF_TRY(kf_message_take_blob(bytes, KF_OFFICER_KEY_MAX, &key));
    if (key.size > 0) memcpy(officer->key, key.data, key.size);
    officer->key_size = key.size;
    return KF_OK;
}

void kf_roster_put(kf_buffer *bytes, const kf_roster *roster)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(bytes, roster->revision);
    kf_buffer_append_u8(bytes, roster->quorum_keys);
    kf_buffer_append_u8(bytes, roster->quorum_roster);
    kf_buffer_append_u16(bytes, (uint16_t)roster->count);
    for (size_t i = 0; i < roster->count; i++)
        put_officer(bytes, &roster->officers[i]);
}

kf_code kf_roster_take(kf_cursor *bytes, kf_roster *ret_roster)
{
    kf_roster roster;
    uint16_t count;
    memset(&roster, 0, sizeof roster);
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u64(bytes, &roster.revision));
    KF_TRY(kf_cursor_u8(bytes, &roster.quorum_keys));
    KF_TRY(kf_cursor_u8(bytes, &roster.quorum_roster));
    KF_TRY(kf_cursor_u16(bytes, &count));
    if (count > KF_OFFICERS_MAX) return KF_ERR_MALFORMED;
    for (; roster.count < count; roster.count++)
        KF_TRY(take_officer(bytes, &roster.officers[roster.count]));
    if (kf_roster_check(&roster, NULL) != KF_OK) return KF_ERR_MALFORMED;
    *ret_roster = roster;
    return KF_OK;
}

kf_officer_fingerprint kf_officer_fingerprint_of(const kf_officer *officer)
{
    kf_officer_fingerprint shown = {"?"};
    uint8_t digest[KF_DIGEST_SIZE];
    if (kf_sha256(key_of(officer), digest) == KF_OK)
        (void)snprintf(shown.text, sizeof shown.text, "%02X%02X %02X%02X %02X%02X %02X%02X", digest[0],
                       digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]);
    return shown;
}

void kf_officer_line(const kf_officer *officer, kf_buffer *text)
{
    kf_buffer_format(text, "officer %s ", officer->name);
    kf_buffer_append_base64url(text, key_of(officer));
}

/* The next word of a line; empty at its end or at a comment. */
static kf_view next_word(kf_view *line)
{
    while (line->size > 0 && (line->data[0] == ' ' || line->data[0] == '\t' || line->data[0] == '\r'))
        *line = kf_view_part(*line, 1, line->size - 1);
    size_t size = 0;
    while (size < line->size && line->data[size] != ' ' && line->data[size] != '\t' &&
           line->data[size] != '\r')
        size++;
    kf_view word = kf_view_part(*line, 0, size);
    *line = kf_view_part(*line, size, line->size - size);
    if (size > 0 && word.data[0] == '#') {
        *line = kf_view_of(NULL, 0);
        return kf_view_of(NULL, 0);
    }
    return word;
}

static bool is_word(kf_view word, const char *text)
{
    return kf_view_equal(word, kf_view_of_text(text));
}

static kf_code read_key(kf_view word, kf_officer *officer, kf_error *error)
{
    char digits[2 * KF_OFFICER_KEY_MAX];
    KF_CLEANUP(kf_buffer_clear) kf_buffer key = kf_buffer_with_limit(KF_OFFICER_KEY_MAX);
    if (word.size == 0 || word.size >= sizeof digits)
        return kf_fail(error, KF_ERR_FIELD, "officer %s: the public key is missing or too long",
                       officer->name);
    memcpy(digits, word.data, word.size);
    digits[word.size] = '\0';
    if (kf_base64url_decode_append(digits, &key) != KF_OK)
        return kf_fail(error, KF_ERR_FIELD, "officer %s: the public key is not base64url of at most %d bytes",
                       officer->name, KF_OFFICER_KEY_MAX);
    memcpy(officer->key, key.data, key.size);
    officer->key_size = key.size;
    return check_key(officer, error);
}

kf_code kf_officer_parse(kf_view line, kf_officer *ret_officer, kf_error *error)
{
    kf_officer officer;
    memset(&officer, 0, sizeof officer);
    kf_view rest = line;
    kf_view word = next_word(&rest);
    if (is_word(word, "officer")) word = next_word(&rest);
    if (word.size == 0 || word.size >= sizeof officer.name)
        return kf_fail(error, KF_ERR_FIELD, "an officer's line is: officer NAME KEY");
    memcpy(officer.name, word.data, word.size);
    KF_TRY(kf_category_check(officer.name, error));
    KF_TRY(read_key(next_word(&rest), &officer, error));
    if (next_word(&rest).size != 0)
        return kf_fail(error, KF_ERR_FIELD, "officer %s: there is a word behind the key", officer.name);
    *ret_officer = officer;
    return KF_OK;
}

static kf_code parse_quorum(kf_view rest, kf_roster *roster, kf_error *error)
{
    kf_view which = next_word(&rest);
    kf_view number = next_word(&rest);
    if (number.size != 1 || number.data[0] < '0' || number.data[0] > '9' || next_word(&rest).size != 0 ||
        (!is_word(which, "keys") && !is_word(which, "roster")))
        return kf_fail(error, KF_ERR_FIELD, "a quorum's line is: quorum keys N, or quorum roster N");
    uint8_t quorum = (uint8_t)(number.data[0] - '0');
    *(is_word(which, "keys") ? &roster->quorum_keys : &roster->quorum_roster) = quorum;
    return KF_OK;
}

static kf_code parse_line(kf_view line, kf_roster *roster, kf_error *error)
{
    kf_view rest = line;
    kf_view word = next_word(&rest);
    if (word.size == 0) return KF_OK;
    if (is_word(word, "quorum")) return parse_quorum(rest, roster, error);
    if (!is_word(word, "officer"))
        return kf_fail(error, KF_ERR_FIELD, "a line begins with officer or quorum");
    if (roster->count == KF_OFFICERS_MAX)
        return kf_fail(error, KF_ERR_FIELD, "more than %d officers", KF_OFFICERS_MAX);
    KF_TRY(kf_officer_parse(line, &roster->officers[roster->count], error));
    roster->count++;
    return KF_OK;
}

kf_code kf_roster_parse(kf_view text, kf_roster *ret_roster, kf_error *error)
{
    kf_roster roster = {.revision = 1, .quorum_keys = KF_QUORUM_MIN, .quorum_roster = KF_QUORUM_MIN};
    if (text.size > KF_ROSTER_TEXT_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "the roster has more than %zu bytes", KF_ROSTER_TEXT_MAX);
    unsigned number = 1;
    for (size_t begin = 0; begin < text.size; number++) {
        size_t end = begin;
        while (end < text.size && text.data[end] != '\n')
            end++;
        if (end - begin > LINE_MAX_BYTES)
            return kf_fail(error, KF_ERR_FIELD, "line %u has more than %d bytes", number, LINE_MAX_BYTES);
        if (parse_line(kf_view_part(text, begin, end - begin), &roster, error) != KF_OK)
            return kf_error_prefix(error, "line %u", number);
        begin = end + 1;
    }
    KF_TRY(kf_roster_check(&roster, error));
    *ret_roster = roster;
    return KF_OK;
}

void kf_roster_change_put(kf_buffer *bytes, const kf_roster_change *change)
{
    kf_buffer_append_u8(bytes, KF_MESSAGE_VERSION);
    kf_buffer_append_u64(bytes, change->base);
    kf_buffer_append_u8(bytes, (uint8_t)change->act);
    put_officer(bytes, &change->officer);
    kf_buffer_append_u8(bytes, change->quorum_keys);
    kf_buffer_append_u8(bytes, change->quorum_roster);
}

kf_code kf_roster_change_take(kf_cursor *bytes, kf_roster_change *ret_change)
{
    kf_roster_change change;
    uint8_t act;
    memset(&change, 0, sizeof change);
    KF_TRY(kf_message_take_version(bytes));
    KF_TRY(kf_cursor_u64(bytes, &change.base));
    KF_TRY(kf_cursor_u8(bytes, &act));
    if (act < KF_ROSTER_ADD || act > KF_ROSTER_QUORUM) return KF_ERR_MALFORMED;
    change.act = (kf_roster_act)act;
    KF_TRY(take_officer(bytes, &change.officer));
    KF_TRY(kf_cursor_u8(bytes, &change.quorum_keys));
    KF_TRY(kf_cursor_u8(bytes, &change.quorum_roster));
    KF_TRY(kf_message_end(bytes));
    *ret_change = change;
    return KF_OK;
}

static kf_code change_officer(kf_roster *roster, const kf_roster_change *change, kf_error *error)
{
    const char *name = change->officer.name;
    size_t index = 0;
    while (index < roster->count && strcmp(roster->officers[index].name, name) != 0)
        index++;
    bool found = index < roster->count;
    if (change->act == KF_ROSTER_ADD && found)
        return kf_fail(error, KF_ERR_CONFLICT, "officer %s is in the roster already", name);
    if (change->act != KF_ROSTER_ADD && !found)
        return kf_fail(error, KF_ERR_CONFLICT, "officer %s is not in the roster", name);
    if (change->act == KF_ROSTER_ADD && roster->count == KF_OFFICERS_MAX)
        return kf_fail(error, KF_ERR_FIELD, "a roster holds at most %d officers", KF_OFFICERS_MAX);
    if (change->act == KF_ROSTER_REMOVE) {
        roster->count--;
        for (size_t i = index; i < roster->count; i++)
            roster->officers[i] = roster->officers[i + 1];
        return KF_OK;
    }
    roster->officers[index] = change->officer;
    if (!found) roster->count++;
    return KF_OK;
}

kf_code kf_roster_apply(kf_roster *roster, const kf_roster_change *change, kf_error *error)
{
    if (change->base != roster->revision)
        return kf_fail(error, KF_ERR_CONFLICT,
                       "this changes revision %llu of the roster, which has revision %llu by now: look at it "
                       "(keyfill roster show) and propose again",
                       (unsigned long long)change->base, (unsigned long long)roster->revision);
    kf_roster changed = *roster;
    if (change->act == KF_ROSTER_QUORUM) {
        changed.quorum_keys = change->quorum_keys;
        changed.quorum_roster = change->quorum_roster;
    } else {
        KF_TRY(change_officer(&changed, change, error));
    }
    changed.revision++;
    KF_TRY(kf_roster_check(&changed, error));
    *roster = changed;
    return KF_OK;
}
