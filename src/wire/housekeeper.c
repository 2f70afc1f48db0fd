#include "wire/housekeeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct kf_housekeeper {
    kf_housekeeper_round round;
    void *context;
    pthread_t thread;
    pthread_mutex_t lock; /* over the two below */
    pthread_cond_t changed;
    bool woken;
    bool ending;
};

/* Waits to be woken, or for so long; false at the end. */
static bool wait_for_round(kf_housekeeper *housekeeper, unsigned seconds)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    (void)pthread_mutex_lock(&housekeeper->lock);
    int waited = 0;
    while (!housekeeper->ending && !housekeeper->woken && waited == 0)
        waited = pthread_cond_timedwait(&housekeeper->changed, &housekeeper->lock, &until);
    housekeeper->woken = false;
    bool go_on = !housekeeper->ending;
    (void)pthread_mutex_unlock(&housekeeper->lock);
    return go_on;
}

static void *keep_house(void *context)
{
    kf_housekeeper *housekeeper = context;
    unsigned seconds;
    do {
        seconds = housekeeper->round(housekeeper->context);
    } while (seconds != KF_HOUSEKEEPER_DONE && wait_for_round(housekeeper, seconds));
    return NULL;
}

static kf_code make_waiting(kf_housekeeper *housekeeper)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return KF_ERR_SYSTEM;
    kf_code code = KF_ERR_SYSTEM;
    if (pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
        pthread_mutex_init(&housekeeper->lock, NULL) == 0) {
        code = pthread_cond_init(&housekeeper->changed, &attributes) == 0 ? KF_OK : KF_ERR_SYSTEM;
        if (code != KF_OK) (void)pthread_mutex_destroy(&housekeeper->lock);
    }
    (void)pthread_condattr_destroy(&attributes);
    return code;
}

static void destroy(kf_housekeeper *housekeeper)
{
    (void)pthread_cond_destroy(&housekeeper->changed);
    (void)pthread_mutex_destroy(&housekeeper->lock);
    free(housekeeper);
}

kf_code kf_housekeeper_start(kf_housekeeper_round round, void *context, kf_housekeeper **ret_housekeeper,
                             kf_error *error)
{
    kf_housekeeper *housekeeper = calloc(1, sizeof *housekeeper);
    if (housekeeper == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    housekeeper->round = round;
    housekeeper->context = context;
    kf_code code = make_waiting(housekeeper);
    if (code != KF_OK) {
        free(housekeeper);
        return kf_fail_plain(error, code);
    }
    if (pthread_create(&housekeeper->thread, NULL, keep_house, housekeeper) != 0) {
        destroy(housekeeper);
        return kf_fail(error, KF_ERR_SYSTEM, "a thread cannot be started");
    }
    *ret_housekeeper = housekeeper;
    return KF_OK;
}

void kf_housekeeper_wake(kf_housekeeper *housekeeper)
{
    if (housekeeper == NULL) return;
    (void)pthread_mutex_lock(&housekeeper->lock);
    housekeeper->woken = true;
    (void)pthread_cond_signal(&housekeeper->changed);
    (void)pthread_mutex_unlock(&housekeeper->lock);
}

void kf_housekeeper_stop(kf_housekeeper **housekeeper)
{
    kf_housekeeper *stopping = *housekeeper;
    if (stopping == NULL) return;
    *housekeeper = NULL;
    (void)pthread_mutex_lock(&stopping->lock);
    stopping->ending = true;
    (void)pthread_cond_signal(&stopping->changed);
    (void)pthread_mutex_unlock(&stopping->lock);
    (void)pthread_join(stopping->thread, NULL);
    destroy(stopping);
}
