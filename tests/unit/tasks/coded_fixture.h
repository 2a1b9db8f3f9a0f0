/* coded_fixture.h - friendly and hostile geometry, and the inputs that make tasks compare by codes.
 */
#ifndef STAGE4_TESTS_CODED_FIXTURE_H
#define STAGE4_TESTS_CODED_FIXTURE_H

#include "task_fixture.h"

#include "worker/compute/int8.h"

typedef void (*shape_fn)(float *vector, uint32_t slot, size_t dimension, uint64_t *state);

static inline void around_centres(float *vector, uint32_t slot, size_t dimension, uint64_t *state)
{
    uint64_t centre = slot % 9;
    for (size_t d = 0; d < dimension; d++)
        vector[d] = fixture_unit(&centre) + 0.4f * fixture_unit(state);
    fixture_normalise(vector, dimension);
}

static inline void all_equal(float *vector, uint32_t slot, size_t dimension, uint64_t *state)
{
    uint64_t one = 77;
    (void)slot;
    (void)state;
    for (size_t d = 0; d < dimension; d++)
        vector[d] = fixture_unit(&one);
    fixture_normalise(vector, dimension);
}

static inline void many_duplicates(float *vector, uint32_t slot, size_t dimension, uint64_t *state)
{
    uint64_t one = 1 + slot % 5;
    (void)state;
    for (size_t d = 0; d < dimension; d++)
        vector[d] = fixture_unit(&one);
    fixture_normalise(vector, dimension);
}

/* Corners of a simplex: every pair is as far apart as every other. */
static inline void equidistant(float *vector, uint32_t slot, size_t dimension, uint64_t *state)
{
    (void)state;
    memset(vector, 0, dimension * sizeof *vector);
    vector[slot % dimension] = 1;
}

static inline void one_dimension_dominates(float *vector, uint32_t slot, size_t dimension,
                                           uint64_t *state)
{
    for (size_t d = 0; d < dimension; d++)
        vector[d] = 1e-4f * fixture_unit(state);
    vector[slot % 2 ? 3 : 4] = 1;
}

/* Crowds so tight that all of a crowd has one code. */
static inline void crowds_of_1e_7(float *vector, uint32_t slot, size_t dimension, uint64_t *state)
{
    uint64_t centre = slot % 3;
    for (size_t d = 0; d < dimension; d++)
        vector[d] = fixture_unit(&centre);
    fixture_normalise(vector, dimension);
    for (size_t d = 0; d < dimension; d++)
        vector[d] += 1e-7f * fixture_unit(state);
}

/* Beside a few large vectors the others quantise to zero. */
static inline void most_become_zero(float *vector, uint32_t slot, size_t dimension, uint64_t *state)
{
    for (size_t d = 0; d < dimension; d++)
        vector[d] = (slot % 50 ? 1e-5f : 10.0f) * fixture_unit(state);
}

static inline void lengths_of_all_sizes(float *vector, uint32_t slot, size_t dimension,
                                        uint64_t *state)
{
    for (size_t d = 0; d < dimension; d++)
        vector[d] = ldexpf(fixture_unit(state), (int)(slot % 40) - 20);
}

static inline void on_a_line_with_ties(float *vector, uint32_t slot, size_t dimension,
                                       uint64_t *state)
{
    (void)state;
    memset(vector, 0, dimension * sizeof *vector);
    vector[7] = (float)(slot * 7 % 31) / 32;
}

static inline void zeros(float *vector, uint32_t slot, size_t dimension, uint64_t *state)
{
    (void)slot;
    (void)state;
    memset(vector, 0, dimension * sizeof *vector);
}

static const struct {
    const char *name;
    shape_fn fill;
} SHAPES[] = {
    {"around centres", around_centres},
    {"all equal", all_equal},
    {"many duplicates", many_duplicates},
    {"equidistant", equidistant},
    {"one dimension dominates", one_dimension_dominates},
    {"crowds of 1e-7", crowds_of_1e_7},
    {"most become zero", most_become_zero},
    {"lengths of all sizes", lengths_of_all_sizes},
    {"on a line with ties", on_a_line_with_ties},
    {"zeros", zeros},
};
#define SHAPE_COUNT (sizeof SHAPES / sizeof *SHAPES)

static inline void made_init(fixture_t *self, shape_fn fill, uint32_t slots, uint32_t dimension)
{
    uint64_t state = slots * 31 + dimension;
    memset(self, 0, sizeof *self);
    self->slots = slots;
    self->dimension = dimension;
    self->values = malloc((size_t)slots * dimension * sizeof *self->values);
    self->rows = malloc(slots * sizeof *self->rows);
    for (uint32_t slot = 0; slot < slots; slot++) {
        self->rows[slot] = slots - 1 - slot;
        fill(self->values + (size_t)slot * dimension, slot, dimension, &state);
    }
    fixture_write_index(self);
    fixture_open_index(self, self->path);
    fixture_common(self);
    fixture_plan(self);
    fixture_compute(self, 2, NULL, SCREEN_AUTO);
}

/* Sets the kind and takes away the inputs after the first `inputs`. */
static inline void turn_to(fixture_t *self, task_kind_t kind, size_t inputs)
{
    self->task.kind = kind;
    self->task.input_count = inputs;
}

static inline void every_partition(fixture_t *self)
{
    self->task.segment_count = 0;
    for (uint32_t p = 0; p < self->partitions; p++)
        fixture_segment(self, p, self->begin[p], self->begin[p + 1]);
}

static inline void put_rotation(fixture_t *self)
{
    size_t length;
    every_partition(self);
    turn_to(self, TASK_ROTATE, 1);
    uint8_t *rotation = fixture_run(self, &length);
    fixture_put(self, "rotation", rotation, length);
}

/* Places: within a partition without a window slots are turned round. */
static inline uint32_t slot_at(const fixture_t *self, uint32_t place)
{
    for (uint32_t p = 0; p < self->partitions; p++)
        if (place < self->begin[p + 1])
            return self->day ? place : self->begin[p + 1] - 1 - (place - self->begin[p]);
    return place;
}

static inline void put_order(fixture_t *self)
{
    uint32_t *slot = malloc((self->slots + 1) * sizeof *slot);
    for (uint32_t place = 0; place < self->slots; place++)
        slot[place] = slot_at(self, place);
    columns_writer_t *writer = columns_writer_new("order");
    columns_put(writer, "slot", COLUMN_U32, slot, self->slots);
    fixture_finish_input(self, "order", writer);
    free(slot);
}

/* Inputs plan, rotation, order, codes. */
static inline void put_codes(fixture_t *self)
{
    size_t length;
    uint8_t *rotation_bytes;
    put_rotation(self);
    turn_to(self, TASK_ENCODE, 2);
    uint8_t *coded_bytes = fixture_run(self, &length);
    columns_t *coded = fixture_result(coded_bytes, length, "coded");
    rotation_bytes = self->inputs[1].bytes;
    columns_t *rotation = fixture_result(rotation_bytes, self->inputs[1].length, "rotation");
    const uint32_t *width = fixture_column(rotation, "width", COLUMN_U32, 2);
    const uint8_t *code = fixture_column(coded, "code", COLUMN_U8, (size_t)self->slots * width[1]);
    const float *head = fixture_column(coded, "residual_head", COLUMN_F32, self->slots);
    const float *whole = fixture_column(coded, "residual", COLUMN_F32, self->slots);
    uint8_t *placed = malloc((size_t)self->slots * width[1] + 1);
    float *placed_head = malloc((self->slots + 1) * sizeof *placed_head);
    float *placed_whole = malloc((self->slots + 1) * sizeof *placed_whole);
    for (uint32_t place = 0; place < self->slots; place++) {
        uint32_t slot = slot_at(self, place);
        memcpy(placed + (size_t)place * width[1], code + (size_t)slot * width[1], width[1]);
        placed_head[place] = head[slot];
        placed_whole[place] = whole[slot];
    }
    put_order(self);
    columns_writer_t *writer = columns_writer_new("codes");
    columns_put(writer, "width", COLUMN_U32, width, 2);
    columns_put(writer, "scale", COLUMN_F64, fixture_column(rotation, "scale", COLUMN_F64, 1), 1);
    columns_put(writer, "stretch", COLUMN_F64, fixture_column(rotation, "stretch", COLUMN_F64, 1),
                1);
    columns_put(writer, "code", COLUMN_U8, placed, (size_t)self->slots * width[1]);
    columns_put(writer, "residual_head", COLUMN_F32, placed_head, self->slots);
    columns_put(writer, "residual", COLUMN_F32, placed_whole, self->slots);
    columns_close(&coded);
    columns_close(&rotation);
    fixture_finish_input(self, "codes", writer);
    free(coded_bytes);
    free(placed);
    free(placed_head);
    free(placed_whole);
}

#endif
