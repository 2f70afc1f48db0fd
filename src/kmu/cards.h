/* Rows of cards and numbers. */
#ifndef KEYFILL_KMU_CARDS_H
#define KEYFILL_KMU_CARDS_H

#include "kmu/kmu.h"
#include "kmu/request_form.h"
#include "vault/card_record.h"

typedef struct kf_card_row {
    bool found;
    kf_card_record record;            /* as the row says, without the MAC's check */
    kf_buffer sealed;                 /* the vault's bytes */
    char request[KF_REQUEST_ID_SIZE]; /* that works on it; "" none */
    char request_caller[KF_ACTOR_SIZE];
    char request_terminal[KF_NAME_SIZE];
    int64_t request_time;
} kf_card_row;

void kf_card_row_clear(kf_card_row *row);

/* By what identifies it; `found` false where there is none. The caller clears the row. */
kf_code kf_card_by_identity(kf_database *database, const char *identity, kf_card_row *ret_row,
                            kf_error *error) KF_MUST_USE;
/* By the identity or ICCID that a card report holds, in this order: a hint, no proof. */
kf_code kf_card_by_report(kf_database *database, const kf_request_form *form, kf_card_row *ret_row,
                          kf_error *error) KF_MUST_USE;

/* Inside a transaction: puts the sealed record in the place of sequence `replaced` (0: there was none), and
 * the number's row beside it. KF_ERR_CONFLICT where another request changed the card, or filled one with the
 * number, meanwhile; KF_ERR_NUMBER_TAKEN. */
typedef struct kf_card_change {
    kf_view sealed;
    uint64_t replaced;
    int64_t now;
} kf_card_change;
kf_code kf_card_write(kf_database *database, const kf_card_change *change, kf_error *error) KF_MUST_USE;

/* Who works on a card. A card that is only reported is never claimed: whoever reports another's would keep it
 * from its request. */
typedef struct kf_card_claim {
    const char *identity;
    const char *request;
    const char *caller;
    const char *terminal;
    int64_t now;
} kf_card_claim;
/* KF_ERR_IN_PROGRESS names another request that is open and not idle; the same terminal's newer request takes
 * over from its older. */
kf_code kf_card_check_claim(const kf_card_row *row, const kf_card_claim *claim, kf_error *error) KF_MUST_USE;
/* Inside a transaction: the card is worked on by this request, if kf_card_check_claim allows. */
kf_code kf_card_take(kf_database *database, const kf_card_claim *claim, kf_error *error) KF_MUST_USE;
/* Inside a transaction: gives it free, if this request has it. */
kf_code kf_card_release(kf_database *database, const kf_card_claim *claim, kf_error *error) KF_MUST_USE;

/* KF_ERR_NUMBER_TAKEN where the number is bound to a card other than `identity` (NULL: any card).
 * `ret_floor`: the highest generation it ever had. */
kf_code kf_number_check_free(kf_database *database, const char *number, const char *identity,
                             uint32_t *ret_floor, kf_error *error) KF_MUST_USE;

kf_code kf_handle_card_lookup(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error);

#endif
