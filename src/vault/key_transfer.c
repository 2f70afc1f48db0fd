#include "vault/key_transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/key_block.h>

#include "crypto/random.h"
#include "vault/key_envelope.h"

#define BLOCK_CATEGORY "10"
#define BLOCK_PURPOSE "11"
#define BLOCK_VERSION "12"
#define BLOCK_REVISION "13"
#define BLOCK_AFTER "14"
#define BLOCK_POLICY "15"
#define BLOCK_TEMPLATE "16"
#define BLOCK_STATE "17"
#define BLOCK_TIMES "18"
#define BLOCK_PAIR "19"
#define BLOCK_CHECK_VALUE "KC"
#define BLOCK_TRANSPORT_CHECK_VALUE "KP"

static const char *usage_of(kf_key_purpose purpose)
{
    switch (purpose) {
    case KF_PURPOSE_PAYMENT: return "E0";
    case KF_PURPOSE_CARD_MANAGER: return "E5";
    case KF_PURPOSE_ADM: return "B3";
    case KF_PURPOSE_TRANSPORT: return "K1";
    case KF_PURPOSE_GROUP: return NULL;
    }
    return NULL;
}

static char algorithm_letter(kf_algorithm algorithm)
{
    return algorithm == KF_AES ? 'A' : algorithm == KF_TDES ? 'T' : '4';
}

static kf_code add_number(kf_key_block_header *header, const char *id, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    return kf_key_block_add_optional(header, id, text);
}

/* X9.143 6.3.6.6, 6.3.6.7: method, then the check value. */
static kf_code add_check_value(kf_key_block_header *header, const char *id, kf_algorithm algorithm,
                               kf_kcv kcv)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%s%s", algorithm == KF_TDES ? "00" : "01", kf_kcv_show(kcv).text);
    return kf_key_block_add_optional(header, id, text);
}

static kf_code add_policy(kf_key_block_header *header, const kf_key_policy *policy)
{
    kf_key_policy short_policy = *policy;
    memset(short_policy.diversification, 0, sizeof short_policy.diversification);
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_key_policy_put(&bytes, &short_policy);
    KF_CLEANUP(kf_buffer_clear) kf_buffer digits = KF_BUFFER_INIT;
    kf_buffer_append_hex(&digits, kf_buffer_view(&bytes));
    const char *text = kf_buffer_text(&digits);
    if (kf_buffer_status(&bytes) != KF_OK || text == NULL) return KF_ERR_MEMORY;
    KF_TRY(kf_key_block_add_optional(header, BLOCK_POLICY, text));
    return kf_key_block_add_optional(header, BLOCK_TEMPLATE, policy->diversification);
}

typedef struct block_plan {
    const kf_key_entry *entry;
    const kf_key_entry *transport;
    uint64_t after;
} block_plan;

static kf_code fill_optional_blocks(const block_plan *plan, kf_key_block_header *header)
{
    const kf_key_entry *entry = plan->entry;
    char times[72];
    (void)snprintf(times, sizeof times, "%" PRIu64 ",%" PRIu64 ",%" PRIu64, entry->created, entry->valid_from,
                   entry->valid_until);
    KF_TRY(add_check_value(header, BLOCK_CHECK_VALUE, entry->algorithm, entry->kcv));
    KF_TRY(add_check_value(header, BLOCK_TRANSPORT_CHECK_VALUE, KF_AES, plan->transport->kcv));
    KF_TRY(kf_key_block_add_optional(header, BLOCK_CATEGORY, entry->category));
    KF_TRY(kf_key_block_add_optional(header, BLOCK_PURPOSE, kf_key_purpose_name(entry->purpose)));
    KF_TRY(add_number(header, BLOCK_VERSION, entry->version));
    KF_TRY(add_number(header, BLOCK_REVISION, entry->revision));
    KF_TRY(add_number(header, BLOCK_AFTER, plan->after));
    KF_TRY(add_policy(header, &entry->policy));
    KF_TRY(kf_key_block_add_optional(header, BLOCK_STATE, kf_key_state_name(entry->state)));
    KF_TRY(kf_key_block_add_optional(header, BLOCK_TIMES, times));
    return kf_key_block_add_optional(header, BLOCK_PAIR, plan->transport->category);
}

static kf_code fill_header(const block_plan *plan, kf_key_block_header *header, kf_error *error)
{
    const kf_key_entry *entry = plan->entry;
    const char *usage = usage_of(entry->purpose);
    if (usage == NULL || !entry->policy.exportable)
        return kf_fail(error, KF_ERR_KEY_POLICY, "base key %s does not leave this unit",
                       kf_key_label_of(entry).text);
    header->version = 'D';
    memcpy(header->usage, usage, sizeof header->usage);
    header->algorithm = algorithm_letter(entry->algorithm);
    header->mode = 'X';
    (void)snprintf(header->key_version, sizeof header->key_version, "%02u", (unsigned)(entry->version % 100));
    header->exportability = 'E';
    memcpy(header->reserved, "00", sizeof header->reserved);
    return kf_fail_plain(error, fill_optional_blocks(plan, header));
}

static bool goes_in_envelope(const kf_key_store *store, const kf_key_entry *transport)
{
    return kf_key_store_has_token(store) && !transport->policy.key_blocks;
}

/* The one in force that the other side is sure to have: entered on both sides, or sent over, under the one
 * before, no later than revision `after`. */
static const kf_key_entry *transport_at(const kf_key_store *store, const char *pair, uint64_t after,
                                        uint64_t now_seconds)
{
    for (uint32_t version = kf_key_store_latest(store, KF_PURPOSE_TRANSPORT, pair); version > 0; version--) {
        const kf_key_entry *entry = kf_key_store_find(store, KF_PURPOSE_TRANSPORT, pair, version, 0);
        bool there = entry != NULL && (!entry->policy.exportable || entry->revision <= after);
        if (there && entry->state == KF_KEY_ACTIVE && entry->valid_from <= now_seconds &&
            (entry->valid_until == 0 || now_seconds < entry->valid_until))
            return entry;
    }
    return NULL;
}

bool kf_key_transfer_translates(const kf_key_store *store, const char *pair, uint64_t now_seconds)
{
    const kf_key_entry *transport = kf_key_store_find(store, KF_PURPOSE_TRANSPORT, pair, 0, now_seconds);
    return kf_key_store_has_token(store) && transport != NULL && transport->policy.key_blocks;
}

static kf_code key_for_block(const kf_key_store *store, const kf_key_entry *transport,
                             const kf_key_entry *entry, kf_secret **ret_key, kf_error *error)
{
    if (entry->state == KF_KEY_DESTROYED) return kf_fail_plain(error, kf_random_secret(entry->size, ret_key));
    if (entry->purpose == KF_PURPOSE_TRANSPORT) return kf_key_store_expose_key(store, entry, ret_key, error);
    return kf_key_store_translate(store, transport, entry, ret_key, error);
}

kf_code kf_key_transfer_wrap(const kf_key_store *store, const kf_key_entry *entry, const char *pair,
                             uint64_t after, uint64_t now_seconds, kf_buffer *text, kf_error *error)
{
    const kf_key_entry *transport = transport_at(store, pair, after, now_seconds);
    if (transport == NULL)
        return kf_fail(
            error, KF_ERR_NO_KEY,
            "there is no transport key %s in force: enter one on both sides (keyfill key transport)", pair);
    const kf_key_envelope_plan envelope = {entry, transport, after};
    if (goes_in_envelope(store, transport)) return kf_key_envelope_wrap(store, &envelope, text, error);
    KF_CLEANUP(kf_secret_free) kf_secret *transport_key = NULL;
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    KF_TRY(kf_key_store_expose_key(store, transport, &transport_key, error));
    KF_TRY(key_for_block(store, transport, entry, &key, error));
    KF_CLEANUP(kf_key_block_header_clear) kf_key_block_header header;
    memset(&header, 0, sizeof header);
    block_plan plan = {entry, transport, after};
    KF_TRY(fill_header(&plan, &header, error));
    return kf_key_block_wrap(transport_key, &header, key, 0, text, error);
}

static kf_code need(const kf_key_block_header *header, const char *id, const char **ret_data, kf_error *error)
{
    const char *data = kf_key_block_optional(header, id);
    if (data == NULL)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "the key block lacks the optional block %s", id);
    *ret_data = data;
    return KF_OK;
}

/* Decimal digits, ended by `end`; moves behind it. */
static kf_code read_number(const char **text, char end, uint64_t *ret_number)
{
    uint64_t number = 0;
    const char *c = *text;
    if (*c < '0' || *c > '9') return KF_ERR_KEY_BLOCK;
    for (; *c >= '0' && *c <= '9'; c++) {
        unsigned digit = (unsigned)(*c - '0');
        if (number > (UINT64_MAX - digit) / 10) return KF_ERR_KEY_BLOCK;
        number = number * 10 + digit;
    }
    if (*c != end) return KF_ERR_KEY_BLOCK;
    *text = end == '\0' ? c : c + 1;
    *ret_number = number;
    return KF_OK;
}

static kf_code need_number(const kf_key_block_header *header, const char *id, uint64_t *ret_number,
                           kf_error *error)
{
    const char *text = "";
    KF_TRY(need(header, id, &text, error));
    if (read_number(&text, '\0', ret_number) != KF_OK)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "optional block %s of the key block is no decimal number",
                       id);
    return KF_OK;
}

static kf_code read_times(const kf_key_block_header *header, kf_key_entry *entry, kf_error *error)
{
    const char *text = "";
    KF_TRY(need(header, BLOCK_TIMES, &text, error));
    if (read_number(&text, ',', &entry->created) != KF_OK ||
        read_number(&text, ',', &entry->valid_from) != KF_OK ||
        read_number(&text, '\0', &entry->valid_until) != KF_OK)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "optional block %s of the key block holds no three times",
                       BLOCK_TIMES);
    return KF_OK;
}

static kf_code read_policy(const kf_key_block_header *header, kf_key_policy *policy, kf_error *error)
{
    const char *digits = "";
    const char *line = "";
    KF_TRY(need(header, BLOCK_POLICY, &digits, error));
    KF_TRY(need(header, BLOCK_TEMPLATE, &line, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_code code = kf_hex_decode_append(digits, &bytes);
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&bytes));
    if (code == KF_OK) code = kf_key_policy_take(&cursor, policy);
    if (code != KF_OK || !kf_cursor_at_end(&cursor) || policy->diversification[0] != '\0' ||
        strlen(line) > KF_DIVERSIFICATION_TEXT_MAX)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "the policy in the key block is malformed");
    memcpy(policy->diversification, line, strlen(line) + 1);
    return KF_OK;
}

/* "01A1B2C3": the method that the algorithm has, and at least the digits we keep. */
static kf_code read_check_value(const kf_key_block_header *header, kf_key_entry *entry, kf_error *error)
{
    const char *text = "";
    KF_TRY(need(header, BLOCK_CHECK_VALUE, &text, error));
    const char *method = entry->algorithm == KF_TDES ? "00" : "01";
    char digits[2 * KF_KCV_SIZE + 1] = "";
    if (strlen(text) >= 2 + sizeof digits - 1) memcpy(digits, text + 2, sizeof digits - 1);
    if (strncmp(text, method, 2) != 0 || kf_hex_decode(digits, entry->kcv.bytes, KF_KCV_SIZE) != KF_OK)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "the check value %.32s in the key block is not of method %s",
                       text, method);
    return KF_OK;
}

static kf_code read_names(const kf_key_block_header *header, kf_key_entry *entry, kf_error *error)
{
    const char *category = "";
    const char *purpose = "";
    const char *state = "";
    const char *pair = "";
    uint64_t version = 0;
    KF_TRY(need(header, BLOCK_CATEGORY, &category, error));
    KF_TRY(need(header, BLOCK_PURPOSE, &purpose, error));
    KF_TRY(need(header, BLOCK_STATE, &state, error));
    KF_TRY(need(header, BLOCK_PAIR, &pair, error));
    KF_TRY(need_number(header, BLOCK_VERSION, &version, error));
    if (kf_category_check(category, NULL) != KF_OK || kf_category_check(pair, NULL) != KF_OK ||
        kf_key_purpose_from_name(purpose, &entry->purpose) != KF_OK ||
        kf_key_state_from_name(state, &entry->state) != KF_OK || version < 1 || version > UINT32_MAX)
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "the key block names a category, purpose, state or version that does not exist");
    memcpy(entry->category, category, strlen(category) + 1);
    memcpy(entry->origin, pair, strlen(pair) + 1);
    entry->version = (uint32_t)version;
    return KF_OK;
}

static kf_code check_header(const kf_key_block_header *header, const kf_key_entry *entry, kf_error *error)
{
    const char *usage = usage_of(entry->purpose);
    char key_version[4];
    (void)snprintf(key_version, sizeof key_version, "%02u", (unsigned)(entry->version % 100));
    if (header->version != 'D' || usage == NULL || strcmp(header->usage, usage) != 0 || header->mode != 'X' ||
        header->exportability != 'E' || strcmp(header->key_version, key_version) != 0)
        return kf_fail(
            error, KF_ERR_KEY_BLOCK,
            "the key block (version %c, usage %s, mode %c, exportability %c) does not fit a %s key",
            header->version, header->usage, header->mode, header->exportability,
            kf_key_purpose_name(entry->purpose));
    return KF_OK;
}

static kf_code read_header(const kf_key_block_header *header, size_t key_size, kf_key_arrival *arrival,
                           kf_error *error)
{
    kf_key_entry *entry = &arrival->entry;
    entry->algorithm = header->algorithm == 'A' ? KF_AES : header->algorithm == 'T' ? KF_TDES : KF_SM4;
    entry->size = key_size;
    if (header->algorithm != algorithm_letter(entry->algorithm))
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "the key block holds a key of algorithm %c, which base keys do not have",
                       header->algorithm);
    KF_TRY(read_names(header, entry, error));
    KF_TRY(check_header(header, entry, error));
    KF_TRY(read_check_value(header, entry, error));
    KF_TRY(read_policy(header, &entry->policy, error));
    KF_TRY(read_times(header, entry, error));
    KF_TRY(need_number(header, BLOCK_REVISION, &entry->revision, error));
    return need_number(header, BLOCK_AFTER, &arrival->after, error);
}

static kf_code compare(const kf_key_message *message, const kf_key_arrival *arrival, kf_error *error)
{
    const kf_key_entry *entry = &arrival->entry;
    if (strcmp(message->category, entry->category) != 0)
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "the message says category %s, the key block inside is for %s", message->category,
                       entry->category);
    if (entry->purpose == KF_PURPOSE_TRANSPORT && strcmp(entry->category, entry->origin) != 0)
        return kf_fail(error, KF_ERR_KEY_BLOCK, "transport key %s does not come over pair %s",
                       entry->category, entry->origin);
    if (strcmp(message->pair, entry->origin) != 0)
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "the message says transport key %s, the key block inside says %s", message->pair,
                       entry->origin);
    if (message->purpose != entry->purpose || message->version != entry->version ||
        message->revision != entry->revision)
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "the message says revision %" PRIu64
                       " of %s version %u, the key block inside is revision %" PRIu64 " of %s version %u",
                       message->revision, kf_key_purpose_name(message->purpose), message->version,
                       entry->revision, kf_key_purpose_name(entry->purpose), entry->version);
    if (message->after != arrival->after)
        return kf_fail(error, KF_ERR_KEY_BLOCK,
                       "after: the message says that revision %" PRIu64 " follows on %" PRIu64
                       ", the key block inside says on %" PRIu64,
                       message->revision, message->after, arrival->after);
    return KF_OK;
}

typedef struct opened_block {
    kf_key_block_header header;
    kf_secret *key;
} opened_block;

/* Every transport key of the pair that may still prove something, newest first: while one replaces another,
 * blocks under both are on the way. */
static kf_code open_block(const kf_key_store *store, const kf_key_message *message, opened_block *ret_opened,
                          kf_error *error)
{
    uint32_t version = kf_key_store_latest(store, KF_PURPOSE_TRANSPORT, message->pair);
    kf_code result = KF_ERR_NO_KEY;
    for (; version > 0 && result != KF_OK; version--) {
        const kf_key_entry *transport =
            kf_key_store_find(store, KF_PURPOSE_TRANSPORT, message->pair, version, 0);
        if (transport == NULL ||
            (transport->state != KF_KEY_ACTIVE && transport->state != KF_KEY_DEACTIVATED))
            continue;
        KF_CLEANUP(kf_secret_free) kf_secret *transport_key = NULL;
        KF_TRY(kf_key_store_expose_key(store, transport, &transport_key, error));
        result =
            kf_key_block_unwrap(transport_key, message->block, &ret_opened->header, &ret_opened->key, error);
        if (result != KF_OK && result != KF_ERR_AUTHENTICATION) return result;
    }
    if (result == KF_ERR_NO_KEY)
        return kf_fail(error, result,
                       "there is no transport key %s here: enter it (keyfill key transport enter)",
                       message->pair);
    if (result == KF_ERR_AUTHENTICATION)
        return kf_fail(error, result,
                       "the key block does not verify under transport key %s: it was changed, or the other "
                       "side has another transport key (compare KCVs)",
                       message->pair);
    return result;
}

static kf_code unwrap_envelope(const kf_key_store *store, const kf_key_message *message,
                               kf_key_arrival *ret_arrival, kf_error *error)
{
    kf_key_arrival arrival;
    KF_TRY(kf_key_envelope_open(store, message->pair, message->block, &arrival, error));
    kf_code code = compare(message, &arrival, error);
    if (code != KF_OK) {
        kf_key_arrival_clear(&arrival);
        return code;
    }
    *ret_arrival = arrival;
    return KF_OK;
}

kf_code kf_key_transfer_unwrap(const kf_key_store *store, const kf_key_message *message,
                               kf_key_arrival *ret_arrival, kf_error *error)
{
    opened_block opened;
    memset(&opened, 0, sizeof opened);
    KF_TRY(kf_category_check(message->pair, error));
    if (kf_key_is_envelope(message->block)) return unwrap_envelope(store, message, ret_arrival, error);
    KF_TRY(open_block(store, message, &opened, error));
    kf_key_arrival arrival;
    memset(&arrival, 0, sizeof arrival);
    arrival.key = opened.key;
    kf_code code = read_header(&opened.header, kf_secret_size(opened.key), &arrival, error);
    if (code == KF_OK) code = compare(message, &arrival, error);
    kf_key_block_header_clear(&opened.header);
    if (code != KF_OK) {
        kf_key_arrival_clear(&arrival);
        return code;
    }
    if (arrival.entry.state == KF_KEY_DESTROYED) kf_secret_free(&arrival.key);
    *ret_arrival = arrival;
    return KF_OK;
}

void kf_key_arrival_clear(kf_key_arrival *arrival)
{
    kf_secret_free(&arrival->key);
    kf_buffer_clear(&arrival->wrapped);
}
