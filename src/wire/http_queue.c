#include "wire/http_exchange.h"

void kf_http_queue_init(kf_http_queue *queue, size_t limit)
{
    *queue = (kf_http_queue){.limit = limit};
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_cond_init(&queue->filled, NULL);
}

void kf_http_queue_destroy(kf_http_queue *queue)
{
    (void)pthread_cond_destroy(&queue->filled);
    (void)pthread_mutex_destroy(&queue->lock);
}

bool kf_http_queue_put(kf_http_queue *queue, kf_http_exchange *exchange)
{
    (void)pthread_mutex_lock(&queue->lock);
    bool taken = !queue->closed && queue->count < queue->limit;
    if (taken) {
        /* Suspended before a worker can see it, because the worker resumes it. */
        exchange->stage = KF_HTTP_ANSWERING;
        MHD_suspend_connection(exchange->connection);
        exchange->next = NULL;
        if (queue->last != NULL)
            queue->last->next = exchange;
        else
            queue->first = exchange;
        queue->last = exchange;
        queue->count++;
        (void)pthread_cond_signal(&queue->filled);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return taken;
}

kf_http_exchange *kf_http_queue_take(kf_http_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    while (queue->first == NULL && !queue->closed)
        (void)pthread_cond_wait(&queue->filled, &queue->lock);
    kf_http_exchange *exchange = queue->first;
    if (exchange != NULL) {
        queue->first = exchange->next;
        if (queue->first == NULL) queue->last = NULL;
        queue->count--;
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return exchange;
}

void kf_http_queue_close(kf_http_queue *queue)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    (void)pthread_cond_broadcast(&queue->filled);
    (void)pthread_mutex_unlock(&queue->lock);
}
