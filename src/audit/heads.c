#include "audit/heads.h"

#include <stdio.h>
#include <string.h>

static kf_code read_head(kf_rows *rows, size_t column, kf_signed_head *ret_head, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(kf_rows_blob(rows, column));
    KF_TRY(kf_rows_status(rows, error));
    if (kf_signed_head_take(&cursor, ret_head) == KF_OK && kf_cursor_at_end(&cursor)) return KF_OK;
    return kf_fail(error, KF_ERR_AUDIT, "a signed head in the database cannot be read: it was changed");
}

static kf_code next_number(kf_database *database, int64_t *ret_number, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    KF_TRY(kf_database_query(database, "SELECT COALESCE(MAX(number), 0) + 1 FROM audit_heads", KF_NO_VALUES,
                             &rows, error));
    KF_TRY(kf_rows_need(rows, "audit_heads", error));
    *ret_number = kf_rows_integer(rows, 0);
    return kf_rows_status(rows, error);
}

typedef struct keeping {
    const char *unit;
    const kf_signed_head *head;
} keeping;

/* But for the time. */
static bool says_the_same(const kf_signed_head *left, const kf_signed_head *right)
{
    return left->seq == right->seq && left->revision == right->revision &&
           left->receipts == right->receipts && left->written == right->written &&
           memcmp(left->hash, right->hash, sizeof left->hash) == 0 &&
           memcmp(left->vault, right->vault, sizeof left->vault) == 0;
}

static kf_code insert_head(kf_database *database, void *context, kf_error *error)
{
    const keeping *kept = context;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_signed_head newest;
    bool found = false;
    int64_t number = 0;
    KF_TRY(kf_audit_heads_newest(database, kept->unit, &found, &newest, error));
    kf_signed_head_put(&bytes, kept->head);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&bytes)));
    if (found && says_the_same(&newest, kept->head)) return KF_OK;
    KF_TRY(next_number(database, &number, error));
    return kf_database_execute(
        database, "INSERT INTO audit_heads (number, unit, seq, head) VALUES ($1, $2, $3, $4)",
        KF_VALUES(kf_value_integer(number), kf_value_text(kept->unit), kf_value_integer(kept->head->seq),
                  kf_value_blob(kf_buffer_view(&bytes))),
        NULL, error);
}

kf_code kf_audit_heads_keep(kf_database *database, const char *unit, const kf_signed_head *head,
                            kf_error *error)
{
    keeping kept = {unit, head};
    if (kf_database_in_transaction(database)) return insert_head(database, &kept, error);
    return kf_database_write(database, insert_head, &kept, error);
}

kf_code kf_audit_heads_newest(kf_database *database, const char *unit, bool *ret_found,
                              kf_signed_head *ret_head, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    bool found = false;
    KF_TRY(kf_database_query(database,
                             "SELECT head FROM audit_heads WHERE unit = $1 ORDER BY number DESC LIMIT 1",
                             KF_VALUES(kf_value_text(unit)), &rows, error));
    KF_TRY(kf_rows_next(rows, &found, error));
    if (found) KF_TRY(read_head(rows, 0, ret_head, error));
    *ret_found = found;
    return KF_OK;
}

kf_code kf_audit_heads_set_aside(kf_database *database, const char *unit, kf_error *error)
{
    return kf_database_execute(database, "UPDATE audit_heads SET unit = $1 WHERE unit = $2",
                               KF_VALUES(kf_value_text(unit), kf_value_text(KF_AUDIT_OWN)), NULL, error);
}

kf_code kf_audit_heads_list(kf_database *database, const kf_heads_range *range, kf_kept_head *ret_heads,
                            size_t *ret_count, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    size_t count = 0;
    bool more = false;
    KF_TRY(kf_database_query(database,
                             "SELECT number, head FROM audit_heads WHERE unit = $1 AND number > $2 "
                             "ORDER BY number LIMIT $3",
                             KF_VALUES(kf_value_text(range->unit), kf_value_integer(range->after),
                                       kf_value_integer((int64_t)range->limit)),
                             &rows, error));
    KF_TRY(kf_rows_next(rows, &more, error));
    while (more && count < range->limit) {
        ret_heads[count].number = kf_rows_integer(rows, 0);
        KF_TRY(read_head(rows, 1, &ret_heads[count].head, error));
        count++;
        KF_TRY(kf_rows_next(rows, &more, error));
    }
    *ret_count = count;
    return KF_OK;
}

#define PEER_COLUMNS "SELECT unit, public_key, newest, seen_ms, finding FROM audit_peers"

static kf_code read_peer(kf_rows *rows, kf_audit_peer *ret_peer, kf_error *error)
{
    kf_audit_peer peer;
    memset(&peer, 0, sizeof peer);
    kf_view key = kf_rows_blob(rows, 1);
    if (key.size != sizeof peer.public_key)
        return kf_fail(error, KF_ERR_AUDIT, "the audit key of %s in the database is damaged",
                       kf_rows_text(rows, 0));
    peer.found = true;
    memcpy(peer.public_key, key.data, sizeof peer.public_key);
    KF_TRY(read_head(rows, 2, &peer.newest, error));
    peer.seen_ms = kf_rows_integer(rows, 3);
    (void)snprintf(peer.finding, sizeof peer.finding, "%s", kf_rows_text(rows, 4));
    KF_TRY(kf_rows_status(rows, error));
    *ret_peer = peer;
    return KF_OK;
}

kf_code kf_audit_peer_find(kf_database *database, const char *unit, kf_audit_peer *ret_peer, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    bool found = false;
    KF_TRY(kf_database_query(database, PEER_COLUMNS " WHERE unit = $1", KF_VALUES(kf_value_text(unit)), &rows,
                             error));
    KF_TRY(kf_rows_next(rows, &found, error));
    if (found) return read_peer(rows, ret_peer, error);
    memset(ret_peer, 0, sizeof *ret_peer);
    return KF_OK;
}

kf_code kf_audit_peers_list(kf_database *database, kf_audit_take_peer take, void *context, kf_error *error)
{
    KF_CLEANUP(kf_rows_free) kf_rows *rows = NULL;
    bool more = false;
    KF_TRY(kf_database_query(database, PEER_COLUMNS " ORDER BY unit", KF_NO_VALUES, &rows, error));
    KF_TRY(kf_rows_next(rows, &more, error));
    while (more) {
        kf_audit_peer_row row = {.unit = kf_rows_text(rows, 0)};
        KF_TRY(read_peer(rows, &row.peer, error));
        KF_TRY(kf_fail_plain(error, take(&row, context)));
        KF_TRY(kf_rows_next(rows, &more, error));
    }
    return KF_OK;
}

kf_code kf_audit_peer_forget(kf_database *database, const char *unit, kf_error *error)
{
    return kf_database_execute(database, "DELETE FROM audit_peers WHERE unit = $1",
                               KF_VALUES(kf_value_text(unit)), NULL, error);
}

/* What must never go down, and the row that must stay the same. */
static void compare(const kf_audit_peer *known, const kf_shown_head *shown, char *ret_finding, size_t size)
{
    const kf_signed_head *before = &known->newest;
    const kf_signed_head *now = shown->head;
    ret_finding[0] = '\0';
    if (memcmp(known->public_key, shown->public_key, sizeof known->public_key) != 0 ||
        memcmp(before->vault, now->vault, sizeof before->vault) != 0)
        (void)snprintf(ret_finding, size,
                       "it is another vault, or its key store was restored: heads are signed by another key");
    else if (now->revision < before->revision)
        (void)snprintf(
            ret_finding, size,
            "its key store has revision %llu, revision %llu was seen before: old key files were put "
            "back",
            (unsigned long long)now->revision, (unsigned long long)before->revision);
    else if (now->seq < before->seq || now->written < before->written || now->receipts < before->receipts)
        (void)snprintf(
            ret_finding, size,
            "its audit log ends at row %lld with receipt %llu, row %lld with receipt %llu was seen "
            "before: an old database was put back",
            (long long)now->seq, (unsigned long long)now->receipts, (long long)before->seq,
            (unsigned long long)before->receipts);
    else if (now->seq == before->seq && memcmp(now->hash, before->hash, sizeof now->hash) != 0)
        (void)snprintf(ret_finding, size, "row %lld of its audit log is another than was seen before",
                       (long long)now->seq);
}

static kf_code write_peer(kf_database *database, const kf_shown_head *shown, bool found, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_signed_head_put(&bytes, shown->head);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&bytes)));
    const char *sql = found
                          ? "UPDATE audit_peers SET public_key = $2, newest = $3, seen_ms = $4, finding = '' "
                            "WHERE unit = $1"
                          : "INSERT INTO audit_peers (unit, public_key, newest, seen_ms, finding) "
                            "VALUES ($1, $2, $3, $4, '')";
    return kf_database_execute(database, sql,
                               KF_VALUES(kf_value_text(shown->unit),
                                         kf_value_blob(kf_view_of(shown->public_key, KF_ED25519_PUBLIC_SIZE)),
                                         kf_value_blob(kf_buffer_view(&bytes)),
                                         kf_value_integer(shown->now_ms)),
                               NULL, error);
}

kf_code kf_audit_peer_show(kf_database *database, const kf_shown_head *shown, kf_audit_peer *ret_peer,
                           bool *ret_new, kf_error *error)
{
    kf_audit_peer peer;
    char finding[sizeof peer.finding] = "";
    if (kf_signed_head_verify(shown->head, shown->public_key) != KF_OK)
        return kf_fail(error, KF_ERR_AUTHENTICATION,
                       "the head that %s shows is not signed by the key it names", shown->unit);
    KF_TRY(kf_audit_peer_find(database, shown->unit, &peer, error));
    if (peer.found) compare(&peer, shown, finding, sizeof finding);
    *ret_new = strcmp(finding, peer.finding) != 0;
    if (finding[0] == '\0') {
        if (!peer.found || shown->head->seq > peer.newest.seq || shown->head->revision > peer.newest.revision)
            KF_TRY(kf_audit_heads_keep(database, shown->unit, shown->head, error));
        KF_TRY(write_peer(database, shown, peer.found, error));
    } else if (*ret_new) {
        KF_TRY(kf_database_execute(database, "UPDATE audit_peers SET finding = $2 WHERE unit = $1",
                                   KF_VALUES(kf_value_text(shown->unit), kf_value_text(finding)), NULL,
                                   error));
    }
    memcpy(peer.finding, finding, sizeof finding);
    *ret_peer = peer;
    return KF_OK;
}
