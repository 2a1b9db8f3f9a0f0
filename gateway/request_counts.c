#include "gateway/request_counts.h"

#include "common/exposition.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES 64   /* more than there are in router.c */
#define STATUSES 24 /* different ones of one route */

typedef struct {
    const char *pattern;
    histogram_t durations;
    struct {
        int status;
        uint64_t count;
    } statuses[STATUSES];
} route_counts_t;

struct request_counts {
    pthread_mutex_t lock;
    size_t count;
    route_counts_t routes[ROUTES];
};

int request_counts_new(request_counts_t **out, error_t *error)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return error_set(error, ERR_MEMORY, "no memory to count requests");
    pthread_mutex_init(&(*out)->lock, NULL);
    return OK;
}

void request_counts_destroy(request_counts_t **self)
{
    if (!*self)
        return;
    pthread_mutex_destroy(&(*self)->lock);
    free(*self);
    *self = NULL;
}

static route_counts_t *route_of(request_counts_t *self, const char *pattern)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->routes[i].pattern, pattern) == 0)
            return &self->routes[i];
    if (self->count == ROUTES)
        return NULL;
    self->routes[self->count].pattern = pattern;
    return &self->routes[self->count++];
}

static void count_status(route_counts_t *route, int status)
{
    for (size_t i = 0; i < STATUSES; i++) {
        if (route->statuses[i].count > 0 && route->statuses[i].status != status)
            continue;
        route->statuses[i].status = status;
        route->statuses[i].count++;
        return;
    }
}

void request_counts_add(request_counts_t *self, const char *pattern, int status, double seconds)
{
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    route_counts_t *route = route_of(self, pattern);
    if (route) {
        count_status(route, status);
        histogram_add(&route->durations, seconds);
    }
    pthread_mutex_unlock(&self->lock);
}

static void tell_statuses(const request_counts_t *self, FILE *out)
{
    static const char NAME[] = "clustering_http_requests_total";
    exposition_family(out, NAME, "counter", "Requests answered, by route and status.");
    for (size_t i = 0; i < self->count; i++) {
        const route_counts_t *route = &self->routes[i];
        for (size_t k = 0; k < STATUSES && route->statuses[k].count > 0; k++) {
            char labels[160];
            snprintf(labels, sizeof labels, "route=\"%s\",status=\"%d\"", route->pattern,
                     route->statuses[k].status);
            exposition_value(out, NAME, labels, (double)route->statuses[k].count);
        }
    }
}

static void tell_durations(const request_counts_t *self, FILE *out)
{
    static const char NAME[] = "clustering_http_request_duration_seconds";
    exposition_family(out, NAME, "histogram", "From a request to its answer, by route.");
    for (size_t i = 0; i < self->count; i++) {
        char labels[160];
        snprintf(labels, sizeof labels, "route=\"%s\"", self->routes[i].pattern);
        exposition_histogram(out, NAME, labels, &self->routes[i].durations);
    }
}

void request_counts_tell(request_counts_t *self, FILE *out)
{
    if (!self)
        return;
    pthread_mutex_lock(&self->lock);
    tell_statuses(self, out);
    tell_durations(self, out);
    pthread_mutex_unlock(&self->lock);
}
