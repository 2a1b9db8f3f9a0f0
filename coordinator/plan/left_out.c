#include "coordinator/plan/left_out.h"

#include "common/input/vector_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void list_problem(left_out_t *self, problem_kind_t kind, uint32_t row, const char *vector_id,
                         size_t length)
{
    if (json_array_size(self->list) >= PROBLEM_LIST_LIMIT)
        return;
    json_t *problem = json_object();
    json_object_set_new(problem, "kind", json_string(problem_name(kind)));
    json_object_set_new(problem, "row", row == UINT32_MAX ? json_null() : json_integer(row));
    json_t *id = json_stringn(vector_id, length); /* NULL when it is not UTF-8 */
    json_object_set_new(problem, "vector_id", id != NULL ? id : json_string("?"));
    json_array_append_new(self->list, problem);
}

static void take_catalog_problems(left_out_t *self, const catalog_t *catalog)
{
    const problem_t *problems;
    size_t count = catalog_problem_list(catalog, &problems);
    for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++)
        self->counts[kind] = catalog_problem_count(catalog, (problem_kind_t)kind);
    for (size_t i = 0; i < count; i++) {
        const char *id = problems[i].vector_id != NULL ? problems[i].vector_id : "";
        list_problem(self, problems[i].kind, problems[i].row, id, strlen(id));
    }
}

static void take_rows(left_out_t *self, const catalog_t *catalog, const uint8_t *states,
                      uint32_t rows)
{
    for (uint32_t row = 0; row < rows; row++) {
        int valid = catalog_row_valid(catalog, row);
        if (states[row] != VECTOR_OK) {
            problem_kind_t kind = states[row] == VECTOR_NORM ? PROBLEM_NORM : PROBLEM_NOT_FINITE;
            string_view_t id = valid ? catalog_vector_id(catalog, row) : (string_view_t){"", 0};
            self->counts[kind]++;
            list_problem(self, kind, row, id.text, id.length);
        }
        if (valid && states[row] == VECTOR_OK)
            self->rows[self->count++] = row;
    }
}

int left_out_find(const uint8_t *states, const catalog_t *catalog, left_out_t *out, error_t *error)
{
    uint32_t rows = catalog_rows(catalog);
    *out = (left_out_t){.list = json_array()};
    out->rows = malloc(((size_t)rows + 1) * sizeof *out->rows);
    if (out->rows == NULL || out->list == NULL) {
        left_out_clear(out);
        return error_set(error, ERR_MEMORY, "out of memory to check %u rows", rows);
    }
    take_catalog_problems(out, catalog);
    take_rows(out, catalog, states, rows);
    out->lost =
        rows - out->count + out->counts[PROBLEM_NO_POSITION] + out->counts[PROBLEM_BAD_POSITION];
    return OK;
}

void left_out_clear(left_out_t *self)
{
    free(self->rows);
    json_decref(self->list);
    *self = (left_out_t){0};
}

static problem_kind_t commonest(const left_out_t *self)
{
    int most = 0;
    for (int kind = 1; kind < PROBLEM_KIND_COUNT; kind++)
        if (self->counts[kind] > self->counts[most])
            most = kind;
    return (problem_kind_t)most;
}

static const json_t *example_of(const left_out_t *self, problem_kind_t kind)
{
    size_t i;
    json_t *problem;
    json_array_foreach(self->list, i, problem)
    {
        if (!strcmp(json_string_value(json_object_get(problem, "kind")), problem_name(kind)))
            return problem;
    }
    return NULL;
}

int left_out_judge(const left_out_t *self, const catalog_t *catalog, double fraction,
                   const char *index_path, error_t *error)
{
    uint32_t rows = catalog_rows(catalog);
    if ((double)self->lost <= fraction * (double)rows)
        return OK;
    problem_kind_t kind = commonest(self);
    const json_t *example = example_of(self, kind);
    const json_t *row = json_object_get(example, "row");
    const char *id = json_string_value(json_object_get(example, "vector_id"));
    char where[32] = "no row";
    if (json_is_integer(row))
        snprintf(where, sizeof where, "row %u", (uint32_t)json_integer_value(row));
    return error_field(error, ERR_INPUT, "max_bad_fraction",
                       "%s: %llu of %u items cannot be used, over max_bad_fraction %g; mostly %s "
                       "(%llu times, e.g. %s, vector_id \"%.80s\")",
                       index_path, (unsigned long long)self->lost, rows, fraction,
                       problem_name(kind), (unsigned long long)self->counts[kind], where,
                       id != NULL ? id : "");
}

json_t *left_out_counts(const left_out_t *self)
{
    json_t *counts = json_object();
    for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++)
        if (self->counts[kind] > 0)
            json_object_set_new(counts, problem_name((problem_kind_t)kind),
                                json_integer((json_int_t)self->counts[kind]));
    return counts;
}
