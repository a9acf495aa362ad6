/*
 * Calls on their way from the HTTP thread to the threads that handle them. A call is in it once; it cannot be
 * over-full, because the HTTP library's connection limit bounds it.
 */
#ifndef TP_CONTROL_ADMIN_QUEUE_H
#define TP_CONTROL_ADMIN_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

struct tp_admin_job {
    struct tp_admin_job *next;
};

struct tp_admin_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct tp_admin_job *first, **last;
    bool closed;
};

void tp_admin_queue_init(struct tp_admin_queue *queue);
void tp_admin_queue_fini(struct tp_admin_queue *queue);

/* False: closed; the job was not taken. */
bool tp_admin_queue_push(struct tp_admin_queue *queue, struct tp_admin_job *job);
/* Waits for a job. NULL: closed, and all jobs are out. */
struct tp_admin_job *tp_admin_queue_pop(struct tp_admin_queue *queue);
/* Take no more; wakes everybody who waits. */
void tp_admin_queue_close(struct tp_admin_queue *queue);

#endif
