/* Numbers that the host gives out. A number is `free`, then `reserved` for one request, then `bound` to a
 * card, and `released` when that card was cleared: a released number is not given out again unless somebody
 * types it in. A number whose fill broke off after the key management unit had noted it is `kept` for its
 * card.
 *
 * All of it runs inside the caller's transaction: what is reserved is durable before it is used. */
#ifndef KEYFILL_HOST_NUMBERS_H
#define KEYFILL_HOST_NUMBERS_H

#include "host/host.h"

#define KF_NUMBERS_IMPORT_MAX 100000 /* numbers at once */
#define KF_NUMBERS_LIST_MAX 1000

#define KF_NUMBER_SOURCE_POOL "pool"
#define KF_NUMBER_SOURCE_ISSUING_SERVER "issuing-server"

typedef struct kf_number_range {
    const char *first;    /* both of as many digits */
    const char *last;     /* included */
    const char *category; /* "": any */
} kf_number_range;

/* KF_ERR_NUMBER names one that is none; KF_ERR_CONFLICT the first number that is there already; nothing is
 * added then (the caller rolls back). */
kf_code kf_numbers_add(kf_database *database, const char *number, const char *category,
                       kf_error *error) KF_MUST_USE;
kf_code kf_numbers_add_range(kf_database *database, const kf_number_range *range, int64_t *ret_added,
                             kf_error *error) KF_MUST_USE;

typedef struct kf_number_claim {
    const char *request;        /* its key */
    const char *category;       /* "": not known */
    const char *card_reference; /* what the terminal read */
} kf_number_claim;

typedef struct kf_reserved_number {
    char number[KF_NUMBER_MAX + 1];
    char category[KF_CATEGORY_MAX + 1]; /* "" where the pool does not say */
} kf_reserved_number;

/* The number that is kept, or was reserved earlier, for this card: KF_ERR_NOT_FOUND without one. */
kf_code kf_numbers_reserve_kept(kf_database *database, const kf_number_claim *claim,
                                kf_reserved_number *ret_number, kf_error *error) KF_MUST_USE;
/* The kept number; or the lowest free one of the category, or
 * of no category. Where no category is known: the lowest of no category, or of the only category that there
 * is. KF_ERR_NO_NUMBER says what is lacking.
 */
kf_code kf_numbers_reserve_free(kf_database *database, const kf_number_claim *claim,
                                kf_reserved_number *ret_number, kf_error *error) KF_MUST_USE;
/* A number that was typed in, read or ordered: where it is one of ours it is taken out of the pool for this
 * request. KF_ERR_NUMBER_TAKEN where it is another card's or request's. */
kf_code kf_numbers_reserve_this(kf_database *database, const char *number, const kf_number_claim *claim,
                                kf_error *error) KF_MUST_USE;
/* The same for a number that the issuing server reserved for the request. */
kf_code kf_numbers_reserve_issued(kf_database *database, const char *number, const kf_number_claim *claim,
                                  kf_error *error) KF_MUST_USE;

/* What became of a number. Each of the following gives whether there was one, and whether it is the issuing
 * server's. */
typedef struct kf_number_change {
    bool found;
    bool of_issuing_server;
    char number[KF_NUMBER_MAX + 1];
    char category[KF_CATEGORY_MAX + 1];
    char request[KF_REQUEST_KEY_SIZE];
    char iccid[KF_NUMBER_MAX + 4];
} kf_number_change;

typedef struct kf_number_card {
    const char *number;
    const char *proven_card;
    const char *iccid; /* NULL: not known */
} kf_number_card;

/* A fill is over: the key management unit says that `number` is this card's now, whatever is noted here. */
kf_code kf_numbers_bind(kf_database *database, const kf_number_card *card, kf_number_change *ret_change,
                        kf_error *error) KF_MUST_USE;
/* Back to where it came from: nothing has been written. What is kept for a card stays so. */
kf_code kf_numbers_return(kf_database *database, const char *request, kf_number_change *ret_change,
                          kf_error *error) KF_MUST_USE;
kf_code kf_numbers_keep(kf_database *database, const char *request, kf_number_change *ret_change,
                        kf_error *error) KF_MUST_USE;
/* The key management unit knows it as another card's: never given out again. */
kf_code kf_numbers_withdraw(kf_database *database, const char *request, kf_number_change *ret_change,
                            kf_error *error) KF_MUST_USE;
/* The card was cleared. */
kf_code kf_numbers_release_card(kf_database *database, const char *proven_card, kf_number_change *ret_change,
                                kf_error *error) KF_MUST_USE;

typedef struct kf_number_query {
    const char *state; /* NULL: all */
    const char *after; /* "" from the start */
    int64_t limit;
} kf_number_query;

/* {"numbers": [{"number", "category"?, "source", "state", "request"?, "card"?, "iccid"?}], "counts": {STATE:
 * n}} */
kf_code kf_numbers_list(kf_database *database, const kf_number_query *query, json_t **ret_json,
                        kf_error *error) KF_MUST_USE;

#endif
