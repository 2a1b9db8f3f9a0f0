#include "worker/tasks/probe_block.h"

#include "worker/compute/int8.h"
#include "worker/tasks/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

static void *aligned(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size / CACHE_LINE + 1) * CACHE_LINE);
}

int probe_block_init(probe_block_t *self, const probe_setting_t *setting, error_t *error)
{
    const codes_t *codes = &setting->view->codes;
    *self = (probe_block_t){.setting = setting};
    self->slot = aligned(PROBE_ROWS, sizeof *self->slot);
    self->row = aligned(PROBE_ROWS, sizeof *self->row);
    self->place = aligned(PROBE_ROWS, sizeof *self->place);
    self->cell = aligned(PROBE_ROWS, sizeof *self->cell);
    self->code = aligned(PROBE_ROWS, codes->width);
    self->head_sum = aligned(PROBE_ROWS, sizeof *self->head_sum);
    self->sum = aligned(PROBE_ROWS, sizeof *self->sum);
    self->square = aligned(PROBE_ROWS, sizeof *self->square);
    self->whole = aligned(PROBE_ROWS, sizeof *self->whole);
    self->limit = aligned(PROBE_ROWS, sizeof *self->limit);
    self->stale = aligned(PROBE_ROWS, sizeof *self->stale);
    self->own = aligned(PROBE_ROWS, sizeof *self->own);
    self->room = aligned(PROBE_ROWS * codes->dimension, sizeof *self->room);
    self->vector = aligned(PROBE_ROWS, sizeof *self->vector);
    if (self->slot && self->row && self->place && self->cell && self->code && self->head_sum &&
        self->sum && self->square && self->whole && self->limit && self->stale && self->own &&
        self->room && self->vector)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for a block of %d rows", PROBE_ROWS);
}

void probe_block_clear(probe_block_t *self)
{
    free(self->slot);
    free(self->row);
    free(self->place);
    free(self->cell);
    free(self->code);
    free(self->head_sum);
    free(self->sum);
    free(self->square);
    free(self->whole);
    free(self->limit);
    free(self->stale);
    free(self->own);
    free(self->room);
    free(self->vector);
    *self = (probe_block_t){0};
}

static void read_codes(probe_block_t *self)
{
    const codes_view_t *view = self->setting->view;
    size_t head = view->codes.head, width = view->codes.width;
    for (size_t i = 0; i < self->count; i++) {
        uint32_t place = self->place[i];
        self->square[i] = self->setting->square[place];
        self->whole[i] = self->setting->whole[place];
        memcpy(self->code + i * width, view->code + (size_t)place * width, width);
    }
    const int8_rows_t heads = {self->code, width, self->count, head, NULL};
    const int8_rows_t codes = {self->code, width, self->count, width, NULL};
    int8_sums(&heads, self->head_sum);
    int8_sums(&codes, self->sum);
}

int probe_block_read(probe_block_t *self, uint32_t partition, const uint32_t *slots, size_t count,
                     uint32_t *neighbour, float *d2, error_t *error)
{
    const probe_setting_t *setting = self->setting;
    self->count = count;
    self->neighbour = neighbour;
    self->d2 = d2;
    self->pairs.count = 0;
    for (size_t i = 0; i < count; i++) {
        self->slot[i] = slots[i];
        self->row[i] = setting->state->plan.rows[slots[i]];
        self->place[i] = setting->view->place_of[slots[i]];
        self->cell[i] = cell_centres_own(setting->cells, partition, slots[i]);
        self->stale[i] = 1;
    }
    for (size_t i = 0; i < count * setting->k; i++) {
        neighbour[i] = SLOT_NONE;
        d2[i] = INFINITY;
    }
    read_codes(self);
    int code = task_state_find(setting->state, self->row, count, self->room, self->vector, error);
    for (size_t i = 0; i < count && !code; i++)
        self->own[i] = compute_dist2(setting->state->context->compute)
                           ->one(self->vector[i], cell_centres_at(setting->cells, self->cell[i]),
                                 setting->state->dimension);
    return code;
}

static void offer(probe_block_t *self, uint32_t row, float d2, uint32_t slot)
{
    size_t k = self->setting->k;
    self->stale[row] |=
        (uint8_t)nearest_offer(self->d2 + row * k, self->neighbour + row * k, k, d2, slot);
}

void probe_block_flush(probe_block_t *self)
{
    probe_pairs_t *pairs = &self->pairs;
    const task_state_t *state = self->setting->state;
    float d2[PROBE_PAIRS];
    compute_dist2(state->context->compute)
        ->pairs(pairs->a, pairs->b, pairs->count, state->dimension, d2);
    for (size_t i = 0; i < pairs->count; i++) {
        uint32_t row = pairs->row[i], other = pairs->other[i];
        offer(self, row, d2[i], pairs->slot[i]);
        if (other != ROW_NONE)
            offer(self, other, d2[i], self->slot[row]);
    }
    pairs->count = 0;
}

int32_t probe_block_settle(probe_block_t *self, uint32_t row)
{
    const probe_setting_t *setting = self->setting;
    const codes_t *codes = &setting->view->codes;
    float farthest = self->d2[row * setting->k + setting->k - 1];
    self->stale[row] = 0;
    self->limit[row] = codes_limit(codes, self->whole[row], codes_reach(codes, farthest),
                                   setting->view->residual[self->place[row]], setting->usual);
    return self->limit[row];
}
