#include "vault/derivation_cap.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* One more second than a minute has: the oldest may be as good as a whole one old, the newest has just begun.
 */
#define SECONDS 61

struct kf_derivation_cap {
    pthread_mutex_t lock;
    uint64_t (*clock)(void);
    uint32_t limit;
    uint64_t started;
    uint64_t now;             /* the second that counts[now % SECONDS] is of */
    uint32_t counts[SECONDS]; /* of the last seconds */
    uint64_t used;            /* their sum */
};

static uint64_t machine_seconds(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_BOOTTIME, &now) == 0 ? (uint64_t)now.tv_sec : 0;
}

kf_code kf_derivation_cap_new(uint32_t per_minute, uint64_t (*clock)(void), kf_derivation_cap **ret_cap,
                              kf_error *error)
{
    if (per_minute < KF_DERIVATIONS_MIN || per_minute > KF_DERIVATIONS_MAX)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%u derivations a minute: %u to %u are possible",
                       (unsigned)per_minute, KF_DERIVATIONS_MIN, KF_DERIVATIONS_MAX);
    kf_derivation_cap *cap = calloc(1, sizeof *cap);
    if (cap == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    (void)pthread_mutex_init(&cap->lock, NULL);
    cap->clock = clock != NULL ? clock : machine_seconds;
    cap->limit = per_minute;
    cap->now = cap->clock();
    cap->started = cap->now;
    /* All but the present second's share, which is free at once. */
    for (uint64_t back = 1; back < SECONDS - 1; back++) {
        uint32_t share = (uint32_t)((back + 1) * per_minute / 60 - back * per_minute / 60);
        cap->counts[(cap->now + SECONDS - back) % SECONDS] = share;
        cap->used += share;
    }
    *ret_cap = cap;
    return KF_OK;
}

void kf_derivation_cap_free(kf_derivation_cap **cap)
{
    if (*cap == NULL) return;
    (void)pthread_mutex_destroy(&(*cap)->lock);
    free(*cap);
    *cap = NULL;
}

static void move_on(kf_derivation_cap *cap)
{
    uint64_t now = cap->clock();
    for (unsigned passed = 0; cap->now < now && passed < SECONDS; passed++) {
        cap->now++;
        cap->used -= cap->counts[cap->now % SECONDS];
        cap->counts[cap->now % SECONDS] = 0;
    }
    if (cap->now < now) cap->now = now; /* all are zero by then */
}

/* Until the sum is below `limit` again. */
static unsigned seconds_to_wait(const kf_derivation_cap *cap, uint64_t limit)
{
    uint64_t used = cap->used;
    unsigned seconds = 0;
    while (used >= limit && seconds < SECONDS) {
        seconds++;
        used -= cap->counts[(cap->now + seconds) % SECONDS];
    }
    return seconds;
}

static kf_code need_room(kf_derivation_cap *cap, uint64_t limit, kf_error *error)
{
    move_on(cap);
    if (cap->used < limit) return KF_OK;
    return kf_fail(error, KF_ERR_RATE,
                   "the vault has derived the %u card keys that it may in a minute; send this again in %u s; "
                   "vault: derivations_per_minute in the monitor's configuration sets the limit",
                   (unsigned)cap->limit, seconds_to_wait(cap, limit));
}

kf_code kf_derivation_cap_take(kf_derivation_cap *cap, kf_error *error)
{
    (void)pthread_mutex_lock(&cap->lock);
    kf_code code = need_room(cap, cap->limit, error);
    if (code == KF_OK) {
        cap->counts[cap->now % SECONDS]++;
        cap->used++;
    }
    (void)pthread_mutex_unlock(&cap->lock);
    return code;
}

/* What a new one takes for used leaves room for cards in the same measure as it leaves keys. */
static uint64_t room_limit(const kf_derivation_cap *cap)
{
    uint64_t age = cap->now - cap->started;
    uint64_t taken_for_used = age < 59 ? (uint64_t)cap->limit * (59 - age) / 60 : 0;
    return cap->limit - (cap->limit - taken_for_used) / 10;
}

kf_code kf_derivation_cap_check_room(kf_derivation_cap *cap, bool begun, kf_error *error)
{
    (void)pthread_mutex_lock(&cap->lock);
    move_on(cap);
    kf_code code = need_room(cap, (begun ? cap->limit : room_limit(cap)) - KF_DERIVATIONS_A_STEP + 1, error);
    (void)pthread_mutex_unlock(&cap->lock);
    return code;
}
