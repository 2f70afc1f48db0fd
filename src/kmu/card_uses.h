/* Which base keys the cards' keys come from: counts beside the keys, and lists of the cards to be refilled.
 */
#ifndef KEYFILL_KMU_CARD_USES_H
#define KEYFILL_KMU_CARD_USES_H

#include "kmu/kmu.h"

#define KF_CARD_LIST_MAX 1000 /* cards in one answer */

/* Reads from the records what rows of before the columns do not say yet; at start. */
kf_code kf_card_uses_complete(kf_database *database, kf_error *error) KF_MUST_USE;

/* Whether the query says cards=true. KF_ERR_FIELD for anything but true and false. */
kf_code kf_card_uses_wanted(const kf_http_request *request, bool *ret_wanted, kf_error *error) KF_MUST_USE;
/* Adds to each payment key of GET /v1/keys `cards` (whose key comes from it) and `cards_pending` (that are
 * getting one, or may have got it when something broke). A query of an index for each key, so that requests
 * go on between them. */
kf_code kf_card_uses_annotate(kf_database *database, json_t *keys, kf_error *error) KF_MUST_USE;

/* GET /v1/cards?category=&base_key=&key_version=&after=&limit=: cards with a key, in the order of their
 * identities; `next` goes into `after`. */
kf_code kf_handle_card_list(void *context, const kf_http_request *request, kf_http_response *response,
                            kf_error *error);

#endif
