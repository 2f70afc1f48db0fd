/* Card categories (region, plan, operator): which numbers and ICCIDs belong to one, what rule they obey,
 * which profile its cards follow. A category is a YAML text; all of them are kept in memory beside the table.
 */
#ifndef KEYFILL_KMU_CATEGORIES_H
#define KEYFILL_KMU_CATEGORIES_H

#include <keyfill/number.h>

#include "kmu/kmu.h"
#include "vault/card_record.h"

#define KF_CATEGORY_TEXT_MAX 16384 /* bytes */
#define KF_CATEGORY_PREFIXES_MAX 256
#define KF_CATEGORIES_MAX 4096

typedef struct kf_category {
    char name[KF_NAME_SIZE];
    char profile[KF_NAME_SIZE];
    kf_number_rule number;
    kf_number_rule iccid;
} kf_category;

/* Reads the text of one category, which is to name `name`. KF_ERR_FIELD, KF_ERR_CATEGORY, KF_ERR_TOO_LONG. */
kf_code kf_category_read(const char *name, kf_view text, kf_category *ret_category,
                         kf_error *error) KF_MUST_USE;

/* Reads the table. The caller frees. */
kf_code kf_categories_load(kf_database *database, kf_categories **ret_categories,
                           kf_error *error) KF_MUST_USE;
void kf_categories_free(kf_categories **categories);

/* Copies the category of that name; KF_ERR_CATEGORY if there is none. */
kf_code kf_categories_by_name(kf_categories *categories, const char *name, kf_category *ret_category,
                              kf_error *error) KF_MUST_USE;
/* By the longest prefix of the number, else of the ICCID (either may be ""). KF_ERR_CATEGORY where none fits.
 */
kf_code kf_categories_by_prefix(kf_categories *categories, const char *number, const char *iccid,
                                kf_category *ret_category, kf_error *error) KF_MUST_USE;

/* Routes. */
kf_code kf_handle_category_list(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error);
kf_code kf_handle_category_put(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error);

#endif
