#include "cli/inspect_level.h"
#include "common/clock.h"
#include "common/input/vector_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_views(string_view_t a, string_view_t b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = memcmp(a.text, b.text, common);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int by_bytes(const void *a, const void *b)
{
    return compare_views(*(const string_view_t *)a, *(const string_view_t *)b);
}

static int by_count(const void *a, const void *b)
{
    const tally_t *left = a, *right = b;
    if (left->count != right->count)
        return left->count > right->count ? -1 : 1;
    return compare_views(left->name, right->name);
}

/* Distinct values of sorted `views` with their numbers; `out` may be NULL. */
static size_t tally(const string_view_t *views, size_t count, tally_t *out)
{
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        int same = i > 0 && compare_views(views[i - 1], views[i]) == 0;
        distinct += !same;
        if (out != NULL && same)
            out[distinct - 1].count++;
        else if (out != NULL)
            out[distinct - 1] = (tally_t){views[i], 1};
    }
    return distinct;
}

/* What `column` says of the valid rows that have it, sorted. NULL when out of memory. */
static string_view_t *sorted_column(const catalog_t *catalog,
                                    string_view_t (*column)(const catalog_t *, uint32_t),
                                    size_t *count)
{
    uint32_t rows = catalog_rows(catalog);
    string_view_t *views = malloc((rows + (size_t)1) * sizeof *views);
    *count = 0;
    for (uint32_t row = 0; views != NULL && row < rows; row++) {
        string_view_t view = column(catalog, row);
        if (view.length > 0)
            views[(*count)++] = view;
    }
    if (views != NULL)
        qsort(views, *count, sizeof *views, by_bytes);
    return views;
}

static int no_memory(level_facts_t *facts)
{
    return error_set(&facts->error, ERR_MEMORY, "%s: out of memory", level_plural(facts->level));
}

static int tally_column(level_facts_t *facts, string_view_t (*column)(const catalog_t *, uint32_t),
                        tallies_t *out)
{
    size_t count;
    string_view_t *views = sorted_column(facts->catalog, column, &count);
    if (views == NULL)
        return no_memory(facts);
    out->count = tally(views, count, NULL);
    out->rows = malloc((out->count + 1) * sizeof *out->rows);
    if (out->rows != NULL) {
        tally(views, count, out->rows);
        qsort(out->rows, out->count, sizeof *out->rows, by_count);
    }
    free(views);
    return out->rows != NULL ? OK : no_memory(facts);
}

static int count_documents(level_facts_t *facts)
{
    const catalog_t *catalog = facts->catalog;
    uint32_t rows = catalog_rows(catalog);
    size_t total = 0, used = 0;
    for (uint32_t row = 0; row < rows; row++)
        total += catalog_document_count(catalog, row);
    string_view_t *documents = malloc((total + 1) * sizeof *documents);
    if (documents == NULL)
        return no_memory(facts);
    for (uint32_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < catalog_document_count(catalog, row); i++)
            documents[used++] = catalog_document(catalog, row, i);
    }
    qsort(documents, used, sizeof *documents, by_bytes);
    facts->documents = tally(documents, used, NULL);
    free(documents);
    return OK;
}

static void count_dates(level_facts_t *facts)
{
    for (uint32_t row = 0; row < catalog_rows(facts->catalog); row++) {
        if (!catalog_row_valid(facts->catalog, row))
            continue;
        int64_t begin = catalog_time_ms(facts->catalog, row);
        int64_t end = catalog_time_end_ms(facts->catalog, row);
        if (begin == TIME_NONE) {
            facts->undated++;
            continue;
        }
        if (facts->first_ms == TIME_NONE || begin < facts->first_ms)
            facts->first_ms = begin;
        if (facts->last_ms == TIME_NONE || end > facts->last_ms)
            facts->last_ms = end;
    }
}

static void add_example(level_facts_t *facts, problem_t problem)
{
    problem_facts_t *problems = &facts->problems[problem.kind];
    if (problems->example_count < PROBLEM_EXAMPLES)
        problems->examples[problems->example_count++] = problem;
}

static void count_metadata_problems(level_facts_t *facts)
{
    const problem_t *list;
    size_t count = catalog_problem_list(facts->catalog, &list);
    for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++)
        facts->problems[kind].count = catalog_problem_count(facts->catalog, (problem_kind_t)kind);
    for (size_t i = 0; i < count; i++)
        add_example(facts, list[i]);
}

static int count_vector_problems(level_facts_t *facts)
{
    uint32_t rows = flat_index_rows(facts->index);
    uint8_t *states = malloc((size_t)rows + 1);
    if (states == NULL)
        return no_memory(facts);
    int code = vector_check(facts->index, states, &facts->error);
    for (uint32_t row = 0; code == OK && row < rows; row++) {
        if (states[row] == VECTOR_OK) {
            facts->valid += (uint64_t)catalog_row_valid(facts->catalog, row);
            continue;
        }
        problem_kind_t kind = states[row] == VECTOR_NORM ? PROBLEM_NORM : PROBLEM_NOT_FINITE;
        facts->problems[kind].count++;
        add_example(facts, (problem_t){kind, row, ""});
    }
    free(states);
    return code;
}

static int read_level(const char *folder, uint32_t dimension, level_facts_t *facts)
{
    char *index_path = NULL, *metadata_path = NULL;
    const char *name = level_plural(facts->level);
    int code = OK;
    if (asprintf(&index_path, "%s/%s.index", folder, name) < 0)
        index_path = NULL;
    if (asprintf(&metadata_path, "%s/%s_metadata.json", folder, name) < 0)
        metadata_path = NULL;
    if (index_path == NULL || metadata_path == NULL) {
        code = no_memory(facts);
        goto done;
    }
    code = flat_index_open(index_path, dimension, &facts->index, &facts->error);
    facts->missing = code == ERR_NOT_FOUND;
    if (code != OK)
        goto done;
    code = catalog_open(metadata_path, facts->level, flat_index_rows(facts->index), NULL, 0,
                        &facts->catalog, &facts->error);
    if (code != OK)
        goto done;
    count_dates(facts);
    count_metadata_problems(facts);
    if ((code = count_vector_problems(facts)) == OK && (code = count_documents(facts)) == OK &&
        (code = tally_column(facts, catalog_domain_long, &facts->domains)) == OK)
        code = tally_column(facts, catalog_type, &facts->types);
done:
    free(index_path);
    free(metadata_path);
    return code;
}

void level_facts_read(const char *folder, level_t level, uint32_t dimension, level_facts_t *out)
{
    *out = (level_facts_t){.level = level, .first_ms = TIME_NONE, .last_ms = TIME_NONE};
    out->code = read_level(folder, dimension, out);
}

void level_facts_free(level_facts_t *self)
{
    flat_index_close(&self->index);
    catalog_close(&self->catalog);
    free(self->domains.rows);
    free(self->types.rows);
}
