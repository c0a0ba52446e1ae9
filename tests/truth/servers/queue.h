// A queue of jobs behind a mutex and a condition variable. It links the jobs, and allocates nothing.
#ifndef QUEUE_H
#define QUEUE_H

#include "truth.h"

struct job {
    struct job *next;
    int fd; // -1: of no request
    int done;
    struct request request;
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t waiting;
    struct job *first, *last;
};

#define QUEUE {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, NULL}

static inline void put(struct queue *queue, struct job *job) {
    job->next = NULL;
    pthread_mutex_lock(&queue->mutex);
    if (queue->first == NULL)
        queue->first = job;
    else
        queue->last->next = job;
    queue->last = job;
    pthread_cond_signal(&queue->waiting);
    pthread_mutex_unlock(&queue->mutex);
}

static inline struct job *get(struct queue *queue) {
    pthread_mutex_lock(&queue->mutex);
    while (queue->first == NULL)
        pthread_cond_wait(&queue->waiting, &queue->mutex);
    struct job *job = queue->first;
    queue->first = job->next;
    pthread_mutex_unlock(&queue->mutex);
    return job;
}

#endif
