/* exposition.h - the text in which Prometheus reads metrics, format version 0.0.4.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/. A family is begun once, then come
 * its samples. `labels` is what stands between the braces, "state=\"queued\"", or "" for none;
 * values in it must not need escaping (names of our own tables). Times are in seconds. */
#ifndef STAGE4_COMMON_EXPOSITION_H
#define STAGE4_COMMON_EXPOSITION_H

#include <stdint.h>
#include <stdio.h>

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Of durations: how many took up to .005 s, ... up to 3,600 s, and longer. */
#define HISTOGRAM_BOUNDS 16

typedef struct {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* each for itself; the text adds them up */
    double sum;
} histogram_t;

void histogram_add(histogram_t *self, double seconds);

/* `type`: "counter", "gauge" or "histogram". */
void exposition_family(FILE *out, const char *name, const char *type, const char *help);
void exposition_value(FILE *out, const char *name, const char *labels, double value);
void exposition_histogram(FILE *out, const char *name, const char *labels,
                          const histogram_t *histogram);
/* A family of one sample without labels. */
void exposition_single(FILE *out, const char *name, const char *type, const char *help,
                       double value);
/* Processor time, resident memory and open files of this process, as `prefix`_cpu_seconds_total and so on. */
void exposition_process(FILE *out, const char *prefix);

#endif
