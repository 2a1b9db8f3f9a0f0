#include "worker/tasks/rotation_view.h"

#include "worker/compute/int8.h"
#include "worker/tasks/fine_cells.h"

#include <string.h>

static int read_widths(rotation_view_t *self, const task_state_t *state, error_t *error)
{
    const void *widths;
    int code = columns_get(self->columns, "width", COLUMN_U32, 2, &widths, NULL, error);
    if (code)
        return code;
    const uint32_t *width = widths;
    if (width[0] < INT8_STEP || width[0] % INT8_STEP || width[1] % INT8_STEP ||
        width[0] > width[1] || width[1] > INT8_WIDTH_LIMIT)
        return error_set(error, ERR_PROTOCOL, "rotation: codes of %u of %u numbers", width[0],
                         width[1]);
    self->codes = (codes_t){.dimension = state->dimension, .head = width[0], .width = width[1]};
    self->codes.screen = state->screen;
    return OK;
}

static int read_fine_cells(rotation_view_t *self, error_t *error)
{
    const void *begin, *fine;
    int code = columns_get(self->columns, "fine_begin", COLUMN_U32, self->cell_count + 1, &begin,
                           NULL, error);
    if (code)
        return code;
    self->fine_begin = begin;
    for (size_t cell = 0; cell < self->cell_count; cell++)
        if (self->fine_begin[0] || self->fine_begin[cell + 1] <= self->fine_begin[cell] ||
            self->fine_begin[cell + 1] - self->fine_begin[cell] > FINE_MOST)
            return error_set(error, ERR_PROTOCOL, "rotation: fine cells %u to %u",
                             self->fine_begin[cell], self->fine_begin[cell + 1]);
    code = columns_get(self->columns, "fine", COLUMN_F32,
                       self->fine_begin[self->cell_count] * self->codes.head, &fine, NULL, error);
    self->fine = code ? NULL : fine;
    return code;
}

int rotation_view_open(rotation_view_t *self, const task_state_t *state, error_t *error)
{
    const void *values[5] = {NULL};
    size_t cells = 0;
    *self = (rotation_view_t){0};
    int code = task_state_input(state, "rotation", &self->columns, error);
    if (!code)
        code = read_widths(self, state, error);
    if (code)
        return code;
    size_t width = self->codes.width;
    code = columns_get(self->columns, "basis", COLUMN_F32, width * state->dimension, &values[0],
                       NULL, error);
    if (!code)
        code = columns_get(self->columns, "offset", COLUMN_F32, width, &values[1], NULL, error);
    if (!code)
        code = columns_get(self->columns, "scale", COLUMN_F64, 1, &values[2], NULL, error);
    if (!code)
        code = columns_get(self->columns, "stretch", COLUMN_F64, 1, &values[3], NULL, error);
    if (!code)
        code = columns_get(self->columns, "cell", COLUMN_F32, SIZE_MAX, &values[4], &cells, error);
    if (code)
        return code;
    memcpy(&self->codes.scale, values[2], sizeof self->codes.scale);
    memcpy(&self->codes.stretch, values[3], sizeof self->codes.stretch);
    self->basis = values[0];
    self->offset = values[1];
    self->cells = values[4];
    self->cell_count = cells / self->codes.head;
    return read_fine_cells(self, error);
}

void rotation_view_close(rotation_view_t *self) { columns_close(&self->columns); }
