/* The queue of calls: queue.h. */
#include "control/admin/queue.h"

#include <stddef.h>

void tp_admin_queue_init(struct tp_admin_queue *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
    queue->first = NULL;
    queue->last = &queue->first;
    queue->closed = false;
}

void tp_admin_queue_fini(struct tp_admin_queue *queue)
{
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
}

bool tp_admin_queue_push(struct tp_admin_queue *queue, struct tp_admin_job *job)
{
    bool taken;

    pthread_mutex_lock(&queue->lock);
    taken = !queue->closed;
    if (taken) {
        job->next = NULL;
        *queue->last = job;
        queue->last = &job->next;
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

struct tp_admin_job *tp_admin_queue_pop(struct tp_admin_queue *queue)
{
    struct tp_admin_job *job;

    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->closed)
        pthread_cond_wait(&queue->filled, &queue->lock);
    job = queue->first;
    if (job) {
        queue->first = job->next;
        if (!queue->first)
            queue->last = &queue->first;
    }
    pthread_mutex_unlock(&queue->lock);
    return job;
}

void tp_admin_queue_close(struct tp_admin_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}
