#include <pthread.h>
#include <stdlib.h>

#include "vault/front.h"

struct kf_owed_receipts {
    pthread_mutex_t lock;
    kf_buffer receipts; /* as kf_vault_answer has them; bounded by the acts in flight */
};

kf_code kf_owed_receipts_new(kf_owed_receipts **ret_owed, kf_error *error)
{
    kf_owed_receipts *owed = calloc(1, sizeof *owed);
    if (owed == NULL || pthread_mutex_init(&owed->lock, NULL) != 0) {
        free(owed);
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    *ret_owed = owed;
    return KF_OK;
}

void kf_owed_receipts_free(kf_owed_receipts **owed)
{
    if (owed == NULL || *owed == NULL) return;
    kf_buffer_clear(&(*owed)->receipts);
    (void)pthread_mutex_destroy(&(*owed)->lock);
    free(*owed);
    *owed = NULL;
}

typedef struct receipts_work {
    const kf_buffer *receipts;
    const char *detail;
} receipts_work;

static kf_code append_receipts(kf_database *database, void *context, kf_error *error)
{
    const receipts_work *work = context;
    return kf_front_audit_receipts(database, work->receipts, work->detail, error);
}

kf_code kf_front_settle(const kf_front *front, kf_error *error)
{
    kf_owed_receipts *owed = front->owed;
    if (owed == NULL) return KF_OK;
    (void)pthread_mutex_lock(&owed->lock);
    kf_code code = kf_fail_plain(error, kf_buffer_status(&owed->receipts));
    if (code == KF_OK && owed->receipts.size > 0) {
        receipts_work work = {&owed->receipts, "written late: the database had refused it"};
        code = kf_database_write(front->database, append_receipts, &work, error);
        if (code == KF_OK) kf_buffer_clear(&owed->receipts);
    }
    (void)pthread_mutex_unlock(&owed->lock);
    return code;
}

kf_code kf_front_keep_receipts(const kf_front *front, const kf_buffer *receipts, const char *detail,
                               kf_error *error)
{
    if (receipts->size == 0) return KF_OK;
    receipts_work work = {receipts, detail};
    kf_code code = kf_database_write(front->database, append_receipts, &work, error);
    if (code == KF_OK || front->owed == NULL) return code;
    (void)pthread_mutex_lock(&front->owed->lock);
    kf_buffer_append(&front->owed->receipts, kf_buffer_view(receipts));
    (void)pthread_mutex_unlock(&front->owed->lock);
    return code;
}
