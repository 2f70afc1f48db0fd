#include "kmu/records.h"

/* `record` is the vault's sealed record; the columns beside it are copies for searching. `request` is the
 * open request that works on the card. A number's row outlives its card: its generations never repeat.
 * `request_answers` holds what each message was answered; "" for the one that ended its request in failure.
 */
static const kf_migration migrations[] = {
    {1,
     "CREATE TABLE cards ("
     " identity TEXT PRIMARY KEY, iccid TEXT NOT NULL, number TEXT NOT NULL, category TEXT NOT NULL,"
     " state TEXT NOT NULL, generation BIGINT NOT NULL, base_key_version BIGINT NOT NULL, sequence BIGINT "
     "NOT NULL,"
     " record BYTEA NOT NULL, request TEXT NOT NULL, request_caller TEXT NOT NULL, request_terminal TEXT NOT "
     "NULL,"
     " request_time BIGINT NOT NULL, updated BIGINT NOT NULL);"
     "CREATE INDEX cards_iccid ON cards (iccid);"
     "CREATE INDEX cards_number ON cards (number);"
     "CREATE TABLE numbers ("
     " number TEXT PRIMARY KEY, identity TEXT NOT NULL, last_generation BIGINT NOT NULL, updated BIGINT NOT "
     "NULL);"
     "CREATE INDEX numbers_identity ON numbers (identity);"
     "CREATE TABLE requests ("
     " caller TEXT NOT NULL, id TEXT NOT NULL, body_digest BYTEA NOT NULL, body BYTEA NOT NULL,"
     " operation TEXT NOT NULL, terminal TEXT NOT NULL, profile TEXT NOT NULL, module TEXT NOT NULL,"
     " iccid TEXT NOT NULL, card TEXT NOT NULL, state TEXT NOT NULL, step BIGINT NOT NULL, attempt BIGINT "
     "NOT NULL,"
     " first_answer TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, created BIGINT NOT NULL,"
     " updated BIGINT NOT NULL, PRIMARY KEY (caller, id));"
     "CREATE TABLE request_answers ("
     " caller TEXT NOT NULL, id TEXT NOT NULL, message_digest BYTEA NOT NULL, answer TEXT NOT NULL,"
     " PRIMARY KEY (caller, id, message_digest));"
     "CREATE TABLE categories (name TEXT PRIMARY KEY, text TEXT NOT NULL, updated BIGINT NOT NULL);"
     "CREATE TABLE profiles (name TEXT PRIMARY KEY, text TEXT NOT NULL, digest BYTEA NOT NULL, updated "
     "BIGINT NOT NULL);"
     "CREATE TABLE modules ("
     " name TEXT PRIMARY KEY, digest BYTEA NOT NULL, package TEXT NOT NULL, version TEXT NOT NULL,"
     " content BYTEA NOT NULL, updated BIGINT NOT NULL);"
     "CREATE TABLE base_keys ("
     " purpose TEXT NOT NULL, category TEXT NOT NULL, version BIGINT NOT NULL, algorithm TEXT NOT NULL, size "
     "BIGINT NOT NULL,"
     " kcv TEXT NOT NULL, state TEXT NOT NULL, revision BIGINT NOT NULL, origin TEXT NOT NULL, "
     "diversification TEXT NOT NULL,"
     " PRIMARY KEY (purpose, category, version))"},
    {2, "CREATE INDEX requests_by_age ON requests (updated)"},
    /* A row with the terminal "" is the host's own. `categories` and `numbers`: bounds.c. */
    {3,
     "CREATE TABLE hosts ("
     " host TEXT NOT NULL, terminal TEXT NOT NULL, enabled BIGINT NOT NULL, categories TEXT NOT NULL,"
     " numbers TEXT NOT NULL, daily BIGINT NOT NULL, updated BIGINT NOT NULL, PRIMARY KEY (host, terminal));"
     "CREATE TABLE host_use ("
     " host TEXT NOT NULL, terminal TEXT NOT NULL, day BIGINT NOT NULL, used BIGINT NOT NULL,"
     " PRIMARY KEY (host, terminal))"},
    /* Which base key the card's present and pending key come from; NULL: not yet read from the record
     * (kf_card_uses_complete). A base key's category is the card's, or "default". */
    {4, "ALTER TABLE cards ADD COLUMN base_key TEXT;"
        "ALTER TABLE cards ADD COLUMN pending_base_key TEXT;"
        "ALTER TABLE cards ADD COLUMN pending_version BIGINT;"
        "CREATE INDEX cards_by_base_key ON cards (base_key, base_key_version, identity);"
        "CREATE INDEX cards_by_pending_key ON cards (pending_base_key, pending_version);"
        "CREATE INDEX cards_by_category ON cards (category, base_key_version, identity)"},
};

const kf_migrations kf_kmu_migrations = {"kmu", migrations, sizeof migrations / sizeof migrations[0]};
