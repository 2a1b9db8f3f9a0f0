#include "worker/tasks/probes.h"

static int read_list(columns_t *columns, const char *name, const uint32_t **out, size_t *count,
                     error_t *error)
{
    const void *values;
    int code = columns_get(columns, name, COLUMN_U32, SIZE_MAX, &values, count, error);
    if (!code)
        *out = values;
    return code;
}

/* begin[0 .. count] rises from 0 to `end`. */
static int check_begin(const char *name, const uint32_t *begin, size_t count, size_t end,
                       error_t *error)
{
    int good = begin[0] == 0 && begin[count] == end;
    for (size_t i = 0; i < count && good; i++)
        good = begin[i] <= begin[i + 1];
    return good ? OK : error_set(error, ERR_PROTOCOL, "probes: %s does not rise to %zu", name, end);
}

static int check_below(const char *name, const uint32_t *values, size_t count, size_t limit,
                       error_t *error)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] >= limit)
            return error_set(error, ERR_PROTOCOL, "probes: %s %zu is %u, of %zu", name, i,
                             values[i], limit);
    return OK;
}

static int check(const probes_t *self, size_t members, size_t rows, size_t slots, error_t *error)
{
    int code = check_begin("cell_begin", self->cell_begin, self->cells, members, error);
    if (!code)
        code = check_begin("group_begin", self->group_begin, self->groups, rows, error);
    if (!code)
        code = check_below("member", self->member, members, slots, error);
    return code ? code : check_below("row", self->row, rows, slots, error);
}

int probes_open(probes_t *self, const task_state_t *state, error_t *error)
{
    size_t begins[2] = {0}, members = 0, rows = 0;
    *self = (probes_t){0};
    int code = task_state_input(state, "probes", &self->columns, error);
    if (!code)
        code = read_list(self->columns, "cell_begin", &self->cell_begin, &begins[0], error);
    if (!code)
        code = read_list(self->columns, "member", &self->member, &members, error);
    if (!code)
        code = read_list(self->columns, "group_begin", &self->group_begin, &begins[1], error);
    if (!code)
        code = read_list(self->columns, "row", &self->row, &rows, error);
    if (code)
        return code;
    if (!begins[0] || !begins[1])
        return error_set(error, ERR_PROTOCOL, "probes: %zu and %zu begins", begins[0], begins[1]);
    self->cells = begins[0] - 1;
    self->groups = begins[1] - 1;
    return check(self, members, rows, state->plan.slots, error);
}

void probes_close(probes_t *self) { columns_close(&self->columns); }
