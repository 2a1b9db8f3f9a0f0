/* task_fixture.h - seeded vectors in a real index file, a plan over them, and tasks to run.
 *
 * Everything is made from a seed. Slots are the index's rows in reverse, so that a slot taken for a
 * row shows. */
#ifndef STAGE4_TESTS_TASK_FIXTURE_H
#define STAGE4_TESTS_TASK_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "proto/columns.h"
#include "proto/payload.h"
#include "worker/compute/compute.h"
#include "worker/tasks/task_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE_INPUTS 8

typedef struct {
    char name[24];
    sha256_t sha256;
    uint8_t *bytes;
    size_t length;
} fixture_input_t;

typedef struct {
    uint32_t slots;
    uint32_t dimension;
    float *values; /* by slot */
    uint32_t *rows;
    int32_t *day; /* NULL: no window */
    uint32_t partitions;
    uint32_t begin[9];
    int32_t window[8];
    char path[64];
    flat_index_t *index;
    kept_vectors_t *vectors; /* NULL: the index is read every time */
    compute_t *compute;
    fixture_input_t inputs[FIXTURE_INPUTS];
    size_t input_count;
    segment_t segments[16];
    task_t task;
    atomic_uint_fast64_t work_done;
    atomic_int stop;
} fixture_t;

static inline uint32_t fixture_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static inline float fixture_unit(uint64_t *state)
{
    return (float)((int32_t)fixture_random(state) - (1 << 30)) * 0x1p-30f;
}

static inline void fixture_normalise(float *vector, size_t dimension)
{
    double norm2 = 0;
    for (size_t d = 0; d < dimension; d++)
        norm2 += (double)vector[d] * vector[d];
    for (size_t d = 0; d < dimension; d++)
        vector[d] = (float)(vector[d] / sqrt(norm2));
}

/* Unit vectors around a few centres, a third of them copies of an earlier one. */
static inline void fixture_values(fixture_t *self, uint64_t seed)
{
    size_t dimension = self->dimension;
    uint64_t state = seed * 2 + 1;
    for (uint32_t slot = 0; slot < self->slots; slot++) {
        float *vector = self->values + slot * dimension;
        if (slot && fixture_random(&state) % 3 == 0) {
            uint32_t copied = fixture_random(&state) % slot;
            memcpy(vector, self->values + copied * dimension, dimension * sizeof *vector);
            continue;
        }
        uint64_t centre = seed + fixture_random(&state) % 7;
        for (size_t d = 0; d < dimension; d++)
            vector[d] = fixture_unit(&centre) + 0.5f * fixture_unit(&state);
        fixture_normalise(vector, dimension);
    }
}

static inline void fixture_write_index(fixture_t *self)
{
    snprintf(self->path, sizeof self->path, "/tmp/stage4-test-XXXXXX");
    int file = mkstemp(self->path);
    assert_true(file >= 0);
    FILE *stream = fdopen(file, "wb");
    int32_t dimension = (int32_t)self->dimension;
    int64_t rows = self->slots;
    int64_t unused = 1 << 20;
    uint8_t trained = 1;
    int32_t metric = 0;
    uint64_t floats = (uint64_t)self->slots * self->dimension;
    fwrite("IxFI", 4, 1, stream);
    fwrite(&dimension, sizeof dimension, 1, stream);
    fwrite(&rows, sizeof rows, 1, stream);
    fwrite(&unused, sizeof unused, 1, stream);
    fwrite(&unused, sizeof unused, 1, stream);
    fwrite(&trained, sizeof trained, 1, stream);
    fwrite(&metric, sizeof metric, 1, stream);
    fwrite(&floats, sizeof floats, 1, stream);
    for (uint32_t row = 0; row < self->slots; row++)
        fwrite(self->values + (size_t)(self->slots - 1 - row) * self->dimension, sizeof(float),
               self->dimension, stream);
    assert_int_equal(fclose(stream), 0);
}

static inline void fixture_open_index(fixture_t *self, const char *path)
{
    error_t error = ERROR_INIT;
    if (flat_index_open(path, self->dimension, &self->index, &error))
        fail_msg("%s", error.message);
}

/* Names an input of the task; takes the bytes over. An input of that name is replaced. */
static inline void fixture_put(fixture_t *self, const char *name, uint8_t *bytes, size_t length)
{
    size_t i = 0;
    while (i < self->input_count && strcmp(self->inputs[i].name, name))
        i++;
    if (i == self->input_count)
        self->input_count++;
    fixture_input_t *input = &self->inputs[i];
    free(input->bytes);
    snprintf(input->name, sizeof input->name, "%s", name);
    input->bytes = bytes;
    input->length = length;
    input->sha256 = sha256_of(bytes, length);
    snprintf(self->task.inputs[i].name, sizeof self->task.inputs[i].name, "%s", name);
    self->task.inputs[i].sha256 = input->sha256;
    self->task.input_count = self->input_count;
}

static inline void fixture_finish_input(fixture_t *self, const char *name, columns_writer_t *writer)
{
    uint8_t *bytes;
    size_t length;
    error_t error = ERROR_INIT;
    if (columns_writer_finish(&writer, &bytes, &length, &error))
        fail_msg("%s", error.message);
    fixture_put(self, name, bytes, length);
}

/* Writes the plan as the fields of the fixture say; again after changing them. */
static inline void fixture_plan(fixture_t *self)
{
    columns_writer_t *writer = columns_writer_new("plan");
    const char *names[8] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    columns_put(writer, "rows", COLUMN_U32, self->rows, self->slots);
    if (self->day)
        columns_put(writer, "day", COLUMN_I32, self->day, self->slots);
    columns_put(writer, "partition_begin", COLUMN_U32, self->begin, self->partitions + 1);
    columns_put(writer, "partition_window", COLUMN_I32, self->window, self->partitions);
    columns_put_strings(writer, "partition_name", names, self->partitions);
    columns_put(writer, "dimension", COLUMN_U32, &self->dimension, 1);
    fixture_finish_input(self, "plan", writer);
}

static inline void fixture_compute(fixture_t *self, uint32_t threads, const dist2_backend_t *dist2,
                                   int screen)
{
    error_t error = ERROR_INIT;
    const compute_options_t options = {.threads = threads, .dist2 = dist2, .screen = screen};
    compute_destroy(&self->compute);
    if (compute_new(&options, &self->compute, &error))
        fail_msg("%s", error.message);
}

static inline void fixture_common(fixture_t *self)
{
    self->task.dimension = self->dimension;
    self->task.segments = self->segments;
    self->task.work = 1000;
    self->partitions = 1;
    self->begin[1] = self->slots;
    for (size_t p = 0; p < 8; p++)
        self->window[p] = -1;
}

/* One partition over all slots, two threads, the best back end. */
static inline void fixture_init(fixture_t *self, uint32_t slots, uint32_t dimension, uint64_t seed)
{
    memset(self, 0, sizeof *self);
    self->slots = slots;
    self->dimension = dimension;
    self->values = malloc((size_t)slots * dimension * sizeof *self->values);
    self->rows = malloc(slots * sizeof *self->rows);
    for (uint32_t slot = 0; slot < slots; slot++)
        self->rows[slot] = slots - 1 - slot;
    fixture_values(self, seed);
    fixture_write_index(self);
    fixture_open_index(self, self->path);
    fixture_common(self);
    fixture_plan(self);
    fixture_compute(self, 2, NULL, SCREEN_AUTO);
}

/* As fixture_init, with the real vectors of an index file. */
static inline void fixture_init_file(fixture_t *self, const char *path)
{
    memset(self, 0, sizeof *self);
    self->dimension = 768;
    fixture_open_index(self, path);
    self->slots = flat_index_rows(self->index);
    self->values = malloc((size_t)self->slots * self->dimension * sizeof *self->values);
    self->rows = malloc(self->slots * sizeof *self->rows);
    for (uint32_t slot = 0; slot < self->slots; slot++)
        self->rows[slot] = self->slots - 1 - slot;
    assert_int_equal(flat_index_read_list(self->index, self->rows, self->slots, self->values, NULL),
                     OK);
    fixture_common(self);
    fixture_plan(self);
    fixture_compute(self, 2, NULL, SCREEN_AUTO);
}

static inline void fixture_clear(fixture_t *self)
{
    for (size_t i = 0; i < self->input_count; i++)
        free(self->inputs[i].bytes);
    free(self->values);
    free(self->rows);
    free(self->day);
    kept_vectors_destroy(&self->vectors);
    flat_index_close(&self->index);
    compute_destroy(&self->compute);
    if (self->path[0])
        unlink(self->path);
}

/* Days that rise slowly from slot to slot within each partition; every partition gets the window.
 */
static inline void fixture_days(fixture_t *self, int32_t window)
{
    uint64_t state = 99;
    free(self->day);
    self->day = malloc(self->slots * sizeof *self->day);
    for (uint32_t p = 0; p < self->partitions; p++) {
        int32_t day = 16000;
        self->window[p] = window;
        for (uint32_t slot = self->begin[p]; slot < self->begin[p + 1]; slot++) {
            day += (int32_t)(fixture_random(&state) % 4 == 0);
            self->day[slot] = day;
        }
    }
    fixture_plan(self);
}

static inline void fixture_segment(fixture_t *self, uint32_t partition, uint32_t begin,
                                   uint32_t end)
{
    assert_true(self->task.segment_count < 16);
    self->segments[self->task.segment_count++] = (segment_t){partition, begin, end};
}

static inline void fixture_param(fixture_t *self, const char *name, double value)
{
    size_t i = 0;
    while (i < self->task.param_count && strcmp(self->task.params[i].name, name))
        i++;
    if (i == self->task.param_count)
        self->task.param_count++;
    snprintf(self->task.params[i].name, sizeof self->task.params[i].name, "%s", name);
    self->task.params[i].value = value;
}

static inline int fixture_input(void *context, const sha256_t *sha256, const void **bytes,
                                size_t *length, error_t *error)
{
    fixture_t *self = context;
    for (size_t i = 0; i < self->input_count; i++) {
        if (sha256_equal(sha256, &self->inputs[i].sha256)) {
            *bytes = self->inputs[i].bytes;
            *length = self->inputs[i].length;
            return OK;
        }
    }
    return error_set(error, ERR_NOT_FOUND, "no such input");
}

static inline int fixture_try(fixture_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    const task_context_t context = {self->compute,    self->index, fixture_input, self,
                                    &self->work_done, &self->stop, self->vectors};
    atomic_store(&self->work_done, 0);
    return task_run(&self->task, &context, payload, length, error);
}

static inline uint8_t *fixture_run(fixture_t *self, size_t *length)
{
    uint8_t *payload = NULL;
    error_t error = ERROR_INIT;
    if (fixture_try(self, &payload, length, &error))
        fail_msg("%s", error.message);
    assert_int_equal(atomic_load(&self->work_done), self->task.work);
    return payload;
}

/* The task must fail with ERR_PROTOCOL and say why. */
static inline void fixture_refused(fixture_t *self)
{
    uint8_t *payload = NULL;
    size_t length;
    error_t error = ERROR_INIT;
    assert_int_equal(fixture_try(self, &payload, &length, &error), ERR_PROTOCOL);
    assert_null(payload);
    assert_true(strlen(error.message) > 10);
}

static inline columns_t *fixture_result(const uint8_t *payload, size_t length, const char *kind)
{
    columns_t *columns;
    error_t error = ERROR_INIT;
    if (columns_open(payload, length, kind, &columns, &error))
        fail_msg("%s", error.message);
    return columns;
}

static inline const void *fixture_column(const columns_t *columns, const char *name,
                                         column_type_t type, size_t count)
{
    const void *values;
    error_t error = ERROR_INIT;
    if (columns_get(columns, name, type, count, &values, NULL, &error))
        fail_msg("%s", error.message);
    return values;
}

#endif
