/* pair_weight.h - what a pair of items weighs: f(similarity, |days apart|), never falling with the
 * similarity, so that a bound on the similarity bounds the weight.
 *
 * Kind "weight" (payload.h): the similarity times a factor of the days apart. The table is made
 * once, by the coordinator, so that every worker has the same bits. */
#ifndef STAGE4_PROTO_PAIR_WEIGHT_H
#define STAGE4_PROTO_PAIR_WEIGHT_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    double floor;         /* pairs of less do not count */
    size_t count;         /* 0: days do not matter */
    const double *factor; /* by days apart, 0 .. 1; farther apart than the table reaches: 0 */
    /* Where steps > 0 `factor` is a table instead: `count` rows, row r from r * period days on and the
     * last for all beyond, each of weights at similarities i / steps that do not fall. */
    uint32_t steps;
    uint32_t period;
} pair_weight_t;

/* Cosine similarity of unit vectors, from their canonical dist2. */
static inline double pair_similarity(float dist2) { return 1 - (double)dist2 / 2; }

static inline double pair_factor(const pair_weight_t *self, int64_t days)
{
    size_t apart = (size_t)(days < 0 ? -days : days);
    if (self->count == 0)
        return 1;
    return apart < self->count ? self->factor[apart] : 0;
}

static inline const double *pair_row(const pair_weight_t *self, int64_t days)
{
    size_t row = (size_t)(days < 0 ? -days : days) / self->period;
    return self->factor + (row < self->count ? row : self->count - 1) * (self->steps + 1);
}

/* Linear between two steps, never over the upper one: it does not fall with the similarity. */
static inline double pair_in_row(const pair_weight_t *self, const double *row, double similarity)
{
    double at = similarity * self->steps;
    if (!(at > 0))
        return row[0];
    if (at >= self->steps)
        return row[self->steps];
    uint32_t step = (uint32_t)at;
    double weight = row[step] + (row[step + 1] - row[step]) * (at - step);
    return weight < row[step + 1] ? weight : row[step + 1];
}

static inline double pair_weight(const pair_weight_t *self, float dist2, int64_t days)
{
    if (self->steps > 0)
        return pair_in_row(self, pair_row(self, days), pair_similarity(dist2));
    return pair_similarity(dist2) * pair_factor(self, days);
}

/* The dist2 of a pair whose similarity counts by a factor of 0 to 1: 2 - 2 factor (1 - dist2 / 2),
 * never less than dist2, nor falling where that rises (docs/algorithms.md, 15). Negative
 * similarities are not raised. */
static inline float pair_decayed(double factor, float dist2)
{
    return dist2 < 2 ? (float)((double)dist2 + (2 - (double)dist2) * (1 - factor)) : dist2;
}

#define PAIR_BINS 64

/* Which of PAIR_BINS equal steps from the floor to 1 a weight at or over the floor is in. */
static inline size_t pair_bin(double floor, double weight)
{
    double step = floor < 1 ? (weight - floor) / (1 - floor) * PAIR_BINS : PAIR_BINS - 1;
    return step < PAIR_BINS - 1 ? (size_t)step : PAIR_BINS - 1;
}

#endif
