#include "worker/tasks/cell_columns.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64
#define NOTHING UINT32_MAX

static void *aligned(size_t count, size_t size)
{
    return aligned_alloc(CACHE_LINE, (count * size / CACHE_LINE + 1) * CACHE_LINE);
}

int cell_columns_init(cell_columns_t *self, const probe_setting_t *setting, error_t *error)
{
    const codes_t *codes = &setting->view->codes;
    size_t columns = (setting->largest / INT8_COLUMNS + 1) * INT8_COLUMNS;
    size_t capacity = columns < CELL_COLUMNS_ROOM ? columns : CELL_COLUMNS_ROOM;
    *self = (cell_columns_t){.setting = setting, .capacity = capacity};
    self->place = aligned(columns, sizeof *self->place);
    self->start = aligned(columns, sizeof *self->start);
    self->held = aligned(capacity, sizeof *self->held);
    self->vector = aligned(capacity, sizeof *self->vector);
    self->room = aligned(capacity * codes->dimension, sizeof *self->room);
    self->codes = aligned(INT8_COLUMNS, codes->width);
    self->panel = aligned(1, INT8_PANEL_BYTES(codes->width));
    if (self->place && self->start && self->held && self->vector && self->room && self->codes &&
        self->panel)
        return OK;
    return error_set(error, ERR_MEMORY, "no memory for cells of up to %zu members",
                     setting->largest);
}

void cell_columns_clear(cell_columns_t *self)
{
    free(self->place);
    free(self->start);
    free(self->held);
    free(self->vector);
    free(self->room);
    free(self->codes);
    free(self->panel);
    *self = (cell_columns_t){0};
}

void cell_columns_open(cell_columns_t *self, uint32_t cell)
{
    const probe_setting_t *setting = self->setting;
    const uint32_t *begin = setting->probes->cell_begin + cell;
    self->count = begin[1] - begin[0];
    self->slot = setting->probes->member + begin[0];
    for (size_t i = 0; i < self->count; i++) {
        uint32_t place = setting->view->place_of[self->slot[i]];
        self->place[i] = place;
        self->start[i] = codes_start(&setting->view->codes, setting->whole[place],
                                     setting->view->residual[place], setting->usual, 0);
    }
    for (size_t i = self->count; i % INT8_COLUMNS; i++)
        self->start[i] = 0;
    size_t used = self->count < self->capacity ? self->count : self->capacity;
    memset(self->held, 0xff, used * sizeof *self->held); /* to NOTHING */
}

size_t cell_columns_width(const cell_columns_t *self, size_t first)
{
    size_t left = self->count - first;
    return left < INT8_COLUMNS ? left : INT8_COLUMNS;
}

void cell_columns_pack(cell_columns_t *self, size_t first)
{
    const codes_view_t *view = self->setting->view;
    size_t width = view->codes.width, count = cell_columns_width(self, first);
    for (size_t i = 0; i < count; i++)
        memcpy(self->codes + i * width, view->code + self->place[first + i] * width, width);
    const int8_rows_t columns = {self->codes, width, count, width, NULL};
    self->setting->kernel->pack(&columns, self->panel);
}

void cell_columns_lend(cell_columns_t *self, size_t column, const float *vector)
{
    self->held[column % self->capacity] = (uint32_t)column;
    self->vector[column % self->capacity] = vector;
}

int cell_columns_find(cell_columns_t *self, size_t column, const float **out, error_t *error)
{
    const task_state_t *state = self->setting->state;
    size_t at = column % self->capacity;
    int code = OK;
    if (self->held[at] != column) {
        code = task_state_find(state, &state->plan.rows[self->slot[column]], 1,
                               self->room + at * state->dimension, &self->vector[at], error);
        self->held[at] = code ? NOTHING : (uint32_t)column;
    }
    *out = self->vector[at];
    return code;
}
