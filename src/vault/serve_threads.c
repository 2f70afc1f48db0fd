#include "vault/serve_threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <keyfill/secret.h>

#include "base/file.h"
#include "vault/procedure_requests.h"
#include "vault/requests.h"
#include "vault/serve_parts.h"

#define JOBS_MAX 1024    /* read and not yet answered */
#define ANSWERS_BATCH 16 /* a thread keeps so many back while there is more to do */
#define STACK_SIZE ((size_t)2 * 1024 * 1024)

typedef struct job {
    struct job *next;
    kf_vault_frame frame; /* its payload follows */
    uint8_t bytes[];
} job;

struct kf_vault_threads {
    kf_vault *vault;
    int descriptor;
    size_t count; /* of started threads */
    pthread_t *started;
    /* Held for reading by procedures, for writing by everything else. */
    pthread_rwlock_t vault_lock;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    pthread_cond_t settled; /* a thread has begun to wait for the first time */
    size_t there;           /* threads that have */
    bool serving;
    bool ended; /* nothing more is read */
    bool reading;
    bool writing;
    size_t idle;
    size_t job_count;
    job *first;
    job **last;
    kf_buffer received; /* the reader's */
    kf_buffer outgoing;
    kf_code code;
    kf_error error;
};

/* One thread's own. */
typedef struct serving_thread {
    kf_vault_threads *threads;
    kf_vault face;
    kf_buffer answers;
    size_t answer_count;
} serving_thread;

size_t kf_vault_threads_usual(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 2) return 2;
    return processors < KF_VAULT_THREADS_MAX ? (size_t)processors : KF_VAULT_THREADS_MAX;
}

/* With the lock held. The first failure is the one to tell; nobody reads any more. */
static void fail(kf_vault_threads *threads, kf_code code, const kf_error *error)
{
    if (threads->code == KF_OK) {
        threads->code = code;
        threads->error = *error;
    }
    threads->ended = true;
    (void)shutdown(threads->descriptor, SHUT_RD);
    pthread_cond_broadcast(&threads->changed);
}

/* -- reading -- */

static job *new_job(const kf_vault_frame *frame)
{
    job *made = malloc(sizeof *made + frame->payload.size);
    if (made == NULL) return NULL;
    made->next = NULL;
    made->frame = *frame;
    if (frame->payload.size > 0) memcpy(made->bytes, frame->payload.data, frame->payload.size);
    made->frame.payload = kf_view_of(made->bytes, frame->payload.size);
    return made;
}

static void free_job(job *done)
{
    kf_wipe(done->bytes, done->frame.payload.size);
    free(done);
}

/* What was received as jobs, in order. */
static kf_code take_jobs(kf_vault_threads *threads, job ***tail, size_t *count, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(kf_buffer_view(&threads->received));
    kf_vault_frame frame;
    kf_code code;
    while ((code = kf_vault_frame_take(&cursor, &frame)) == KF_OK) {
        KF_TRY(kf_vault_check_frame(threads->vault, &frame, error));
        job *made = new_job(&frame);
        if (made == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
        **tail = made;
        *tail = &made->next;
        (*count)++;
    }
    if (code != KF_ERR_TRUNCATED)
        return kf_fail(error, code, "a frame that is malformed: %s", kf_code_meaning(code));
    KF_TRY(kf_vault_check_head(threads->vault, cursor.rest, error));
    size_t rest = cursor.rest.size;
    if (rest > 0) memmove(threads->received.data, cursor.rest.data, rest);
    kf_buffer_truncate(&threads->received, rest);
    return KF_OK;
}

/* Lock held on entry and exit; this thread alone is reading. Wakes one that reads on, and one for each job
 * but the first. */
static void read_jobs(kf_vault_threads *threads)
{
    job *made = NULL;
    job **tail = &made;
    size_t count = 0;
    size_t got = 0;
    kf_error error = {KF_OK, ""};
    threads->reading = true;
    pthread_mutex_unlock(&threads->lock);
    kf_code code = kf_vault_read_part(threads->descriptor, &threads->received, &got, &error);
    if (code == KF_OK && got == 0 && threads->received.size > 0)
        code = kf_fail(&error, KF_ERR_MALFORMED, "the front ended in the middle of a frame");
    if (code == KF_OK) code = take_jobs(threads, &tail, &count, &error);
    pthread_mutex_lock(&threads->lock);
    threads->reading = false;
    if (count > 0) {
        *threads->last = made;
        threads->last = tail;
        threads->job_count += count;
    }
    if (code == KF_OK && got == 0) threads->ended = true;
    if (code != KF_OK) fail(threads, code, &error);
    if (threads->ended || count >= threads->idle)
        pthread_cond_broadcast(&threads->changed);
    else
        for (size_t i = 0; i < count; i++)
            pthread_cond_signal(&threads->changed);
}

/* -- answering -- */

/* Lock held on entry and exit. Whoever writes takes along what others have put there meanwhile. */
static void write_outgoing(kf_vault_threads *threads)
{
    if (threads->writing) return;
    threads->writing = true;
    while (threads->outgoing.size > 0 && threads->code == KF_OK) {
        kf_error error = {KF_OK, ""};
        kf_buffer batch = threads->outgoing;
        threads->outgoing = (kf_buffer)KF_BUFFER_INIT;
        pthread_mutex_unlock(&threads->lock);
        kf_code code = kf_buffer_status(&batch);
        if (code == KF_OK) code = kf_descriptor_write(threads->descriptor, kf_buffer_view(&batch));
        if (code != KF_OK)
            code = kf_fail(&error, code, "the front does not take answers: %s", strerror(errno));
        kf_buffer_clear(&batch);
        pthread_mutex_lock(&threads->lock);
        if (code != KF_OK) fail(threads, code, &error);
    }
    threads->writing = false;
}

/* Lock held on entry and exit. */
static void hand_over(serving_thread *worker)
{
    if (worker->answer_count == 0) return;
    kf_buffer_append(&worker->threads->outgoing, kf_buffer_view(&worker->answers));
    kf_buffer_truncate(&worker->answers, 0);
    worker->answer_count = 0;
    write_outgoing(worker->threads);
}

static kf_code answer_job(serving_thread *worker, const job *taken, kf_error *error)
{
    kf_vault_threads *threads = worker->threads;
    kf_vault *vault = threads->vault;
    kf_code code;
    if (kf_vault_request_runs_beside_others(taken->frame.kind)) {
        pthread_rwlock_rdlock(&threads->vault_lock);
        kf_vault_face_refresh(&worker->face);
        code = kf_vault_answer_frame(&worker->face, &taken->frame, &worker->answers, error);
    } else {
        pthread_rwlock_wrlock(&threads->vault_lock);
        code = kf_vault_answer_frame(vault, &taken->frame, &worker->answers, error);
    }
    pthread_rwlock_unlock(&threads->vault_lock);
    worker->answer_count++;
    return code;
}

/* Lock held on entry and exit. */
static void do_job(serving_thread *worker)
{
    kf_vault_threads *threads = worker->threads;
    kf_error error = {KF_OK, ""};
    job *taken = threads->first;
    threads->first = taken->next;
    if (threads->first == NULL) threads->last = &threads->first;
    threads->job_count--;
    pthread_mutex_unlock(&threads->lock);
    kf_code code = answer_job(worker, taken, &error);
    free_job(taken);
    pthread_mutex_lock(&threads->lock);
    if (code != KF_OK) fail(threads, code, &error);
    if (threads->first == NULL || worker->answer_count >= ANSWERS_BATCH) hand_over(worker);
}

static void work(serving_thread *worker)
{
    kf_vault_threads *threads = worker->threads;
    pthread_mutex_lock(&threads->lock);
    while (threads->code == KF_OK) {
        if (threads->first != NULL) {
            do_job(worker);
        } else if (threads->ended) {
            break;
        } else if (threads->serving && !threads->reading && threads->job_count < JOBS_MAX) {
            read_jobs(threads);
        } else {
            threads->idle++;
            pthread_cond_wait(&threads->changed, &threads->lock);
            threads->idle--;
        }
    }
    hand_over(worker);
    pthread_mutex_unlock(&threads->lock);
}

static void work_as_one(kf_vault_threads *threads)
{
    serving_thread worker = {.threads = threads, .answers = KF_BUFFER_INIT};
    kf_vault_face_make(threads->vault, &worker.face);
    work(&worker);
    kf_vault_face_clear(&worker.face);
    kf_buffer_clear(&worker.answers);
}

static void *run_thread(void *context)
{
    kf_vault_threads *threads = context;
    pthread_mutex_lock(&threads->lock);
    threads->there++;
    pthread_cond_signal(&threads->settled);
    pthread_mutex_unlock(&threads->lock);
    work_as_one(threads);
    return NULL;
}

/* -- life -- */

static kf_code start_threads(kf_vault_threads *threads, size_t count)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return KF_ERR_MEMORY;
    /* All of a stack is locked into memory, so it is no larger than need be. */
    int result = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    while (result == 0 && threads->count < count) {
        result = pthread_create(&threads->started[threads->count], &attributes, run_thread, threads);
        if (result == 0) threads->count++;
    }
    pthread_attr_destroy(&attributes);
    /* What a thread does at its start is not among the calls that the closed doors leave. */
    pthread_mutex_lock(&threads->lock);
    while (threads->there < threads->count)
        pthread_cond_wait(&threads->settled, &threads->lock);
    pthread_mutex_unlock(&threads->lock);
    return result == 0 ? KF_OK : KF_ERR_SYSTEM;
}

/* Acts on keys must not wait for a pause between fills. */
static int make_vault_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attributes;
    int result = pthread_rwlockattr_init(&attributes);
    if (result != 0) return result;
    result = pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    if (result == 0) result = pthread_rwlock_init(lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return result;
}

kf_code kf_vault_threads_new(kf_vault *vault, size_t count, kf_vault_threads **ret_threads, kf_error *error)
{
    if (count < 1 || count > KF_VAULT_THREADS_MAX) return kf_fail_plain(error, KF_ERR_ARGUMENT);
    kf_vault_threads *threads = calloc(1, sizeof *threads);
    if (threads == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    threads->vault = vault;
    threads->descriptor = -1;
    threads->last = &threads->first;
    threads->started = calloc(count, sizeof *threads->started);
    if (threads->started == NULL || make_vault_lock(&threads->vault_lock) != 0 ||
        pthread_mutex_init(&threads->lock, NULL) != 0 || pthread_cond_init(&threads->changed, NULL) != 0 ||
        pthread_cond_init(&threads->settled, NULL) != 0) {
        free(threads->started);
        free(threads);
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    kf_code code = start_threads(threads, count - 1);
    if (code != KF_OK) {
        kf_vault_threads_free(&threads);
        return kf_fail(error, code, "no threads for the vault: %s", kf_code_meaning(code));
    }
    *ret_threads = threads;
    return KF_OK;
}

static void end_threads(kf_vault_threads *threads)
{
    pthread_mutex_lock(&threads->lock);
    threads->ended = true;
    pthread_cond_broadcast(&threads->changed);
    pthread_mutex_unlock(&threads->lock);
    for (size_t i = 0; i < threads->count; i++)
        pthread_join(threads->started[i], NULL);
    threads->count = 0;
}

kf_code kf_vault_threads_serve(kf_vault_threads *threads, int descriptor, kf_error *error)
{
    pthread_mutex_lock(&threads->lock);
    threads->descriptor = descriptor;
    threads->serving = true;
    pthread_mutex_unlock(&threads->lock);
    work_as_one(threads);
    end_threads(threads);
    if (threads->code == KF_OK) return KF_OK;
    return kf_fail(error, threads->code, "%s", kf_error_text(&threads->error));
}

void kf_vault_threads_free(kf_vault_threads **threads)
{
    if (*threads == NULL) return;
    end_threads(*threads);
    while ((*threads)->first != NULL) {
        job *left = (*threads)->first;
        (*threads)->first = left->next;
        free_job(left);
    }
    kf_buffer_clear(&(*threads)->received);
    kf_buffer_clear(&(*threads)->outgoing);
    pthread_cond_destroy(&(*threads)->settled);
    pthread_cond_destroy(&(*threads)->changed);
    pthread_mutex_destroy(&(*threads)->lock);
    pthread_rwlock_destroy(&(*threads)->vault_lock);
    free((*threads)->started);
    free(*threads);
    *threads = NULL;
}
