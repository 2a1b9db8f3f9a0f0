#include "worker/compute/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct {
    pool_t *pool;
    uint32_t number;
    pthread_t handle;
} pool_thread_t;

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t start;
    pthread_cond_t idle;
    uint64_t round; /* grows with every pool_run */
    uint32_t busy;  /* threads that have not finished this round */
    int stop;
    uint32_t threads;
    uint32_t started; /* entries of `others` that run */
    pool_thread_t *others;
    pool_fn work;
    void *context;
    size_t items;
    atomic_size_t next;
};

static void drain(pool_t *self, uint32_t thread)
{
    size_t item;
    while ((item = atomic_fetch_add(&self->next, 1)) < self->items)
        self->work(self->context, item, thread);
}

static void *thread_main(void *argument)
{
    pool_thread_t *thread = argument;
    pool_t *self = thread->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&self->lock);
    for (;;) {
        while (!self->stop && self->round == seen)
            pthread_cond_wait(&self->start, &self->lock);
        if (self->stop)
            break;
        seen = self->round;
        pthread_mutex_unlock(&self->lock);
        drain(self, thread->number);
        pthread_mutex_lock(&self->lock);
        if (--self->busy == 0)
            pthread_cond_signal(&self->idle);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static int start_threads(pool_t *self, error_t *error)
{
    for (uint32_t i = 0; i + 1 < self->threads; i++) {
        self->others[i].pool = self;
        self->others[i].number = i + 1;
        if (pthread_create(&self->others[i].handle, NULL, thread_main, &self->others[i]))
            return error_set(error, ERR_UNAVAILABLE, "cannot start compute thread %u of %u", i + 2,
                             self->threads);
        self->started++;
    }
    return OK;
}

int pool_new(uint32_t threads, pool_t **out, error_t *error)
{
    if (threads < 1 || threads > POOL_THREAD_LIMIT)
        return error_field(error, ERR_USAGE, "threads", "%u threads: 1 to %d are possible", threads,
                           POOL_THREAD_LIMIT);
    pool_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a pool of %u threads", threads);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->start, NULL);
    pthread_cond_init(&self->idle, NULL);
    self->threads = threads;
    self->others = calloc(threads, sizeof *self->others);
    int code = self->others ? start_threads(self, error)
                            : error_set(error, ERR_MEMORY, "no memory for %u threads", threads);
    if (code)
        pool_destroy(&self);
    *out = self;
    return code;
}

void pool_destroy(pool_t **self_pointer)
{
    pool_t *self = *self_pointer;
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    self->stop = 1;
    pthread_cond_broadcast(&self->start);
    pthread_mutex_unlock(&self->lock);
    for (uint32_t i = 0; i < self->started; i++)
        pthread_join(self->others[i].handle, NULL);
    pthread_cond_destroy(&self->idle);
    pthread_cond_destroy(&self->start);
    pthread_mutex_destroy(&self->lock);
    free(self->others);
    free(self);
    *self_pointer = NULL;
}

uint32_t pool_threads(const pool_t *self) { return self->threads; }

void pool_run(pool_t *self, size_t items, pool_fn work, void *context)
{
    self->work = work;
    self->context = context;
    self->items = items;
    atomic_store(&self->next, 0);
    if (self->threads == 1 || items < 2) { /* not worth waking anybody */
        drain(self, 0);
        return;
    }
    pthread_mutex_lock(&self->lock);
    self->busy = self->threads - 1;
    self->round++;
    pthread_cond_broadcast(&self->start);
    pthread_mutex_unlock(&self->lock);
    drain(self, 0);
    pthread_mutex_lock(&self->lock);
    while (self->busy)
        pthread_cond_wait(&self->idle, &self->lock);
    pthread_mutex_unlock(&self->lock);
}
