#include "cli/inspect.h"
#include "cli/inspect_level.h"
#include "cli/text_table.h"
#include "common/clock.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TOP_TALLIES 10

static const char *metric_name(const flat_index_t *index)
{
    return flat_index_metric(index) == INDEX_L2 ? "L2" : "inner product";
}

/* "2015-09-12", or "-" for a time that is not known. */
static void date_of(int64_t time_ms, char out[32])
{
    strcpy(out, "-");
    if (time_ms == TIME_NONE)
        return;
    time_format(time_ms, out);
    char *time = strchr(out, 'T');
    if (time != NULL)
        *time = '\0';
}

static int print_overview_row(text_table_t *table, const level_facts_t *facts)
{
    char rows[32], valid[32], dimension[32], dates[80], undated[32], documents[32];
    char first[32], last[32];
    date_of(facts->first_ms, first);
    date_of(facts->last_ms, last);
    snprintf(rows, sizeof rows, "%" PRIu32, flat_index_rows(facts->index));
    snprintf(valid, sizeof valid, "%" PRIu64, facts->valid);
    snprintf(dimension, sizeof dimension, "%" PRIu32, flat_index_dimension(facts->index));
    snprintf(dates, sizeof dates, "%s to %s", first, last);
    snprintf(undated, sizeof undated, "%" PRIu64, facts->undated);
    snprintf(documents, sizeof documents, "%" PRIu64, facts->documents);
    const char *const cells[] = {level_plural(facts->level),
                                 rows,
                                 valid,
                                 dimension,
                                 metric_name(facts->index),
                                 documents,
                                 undated,
                                 facts->first_ms == TIME_NONE ? "none" : dates};
    return text_table_add(table, cells);
}

static int print_overview(const level_facts_t *levels, FILE *out)
{
    static const text_column_t columns[] = {
        {"level", 0, 0},  {"rows", 1, 0},      {"valid", 1, 0},   {"dimension", 1, 0},
        {"metric", 0, 0}, {"documents", 1, 0}, {"undated", 1, 0}, {"dates", 0, 0}};
    text_table_t *table = text_table_new(columns, sizeof columns / sizeof *columns);
    int done = table != NULL;
    for (int i = 0; done && i < LEVEL_COUNT; i++)
        done = levels[i].code != OK || print_overview_row(table, &levels[i]);
    if (done && text_table_rows(table) > 0)
        text_table_print(table, "", out);
    text_table_destroy(&table);
    return done;
}

static int print_tallies(const char *title, const tallies_t *tallies, FILE *out)
{
    const text_column_t columns[] = {{title, 0, 48}, {"rows", 1, 0}};
    if (tallies->count == 0)
        return 1;
    text_table_t *table = text_table_new(columns, 2);
    int done = table != NULL;
    for (size_t i = 0; done && i < tallies->count && i < TOP_TALLIES; i++) {
        char name[256], count[32];
        snprintf(name, sizeof name, "%.*s", (int)tallies->rows[i].name.length,
                 tallies->rows[i].name.text);
        snprintf(count, sizeof count, "%" PRIu64, tallies->rows[i].count);
        const char *const cells[] = {name, count};
        done = text_table_add(table, cells);
    }
    if (done)
        text_table_print(table, "  ", out);
    if (done && tallies->count > TOP_TALLIES)
        fprintf(out, "  and %zu more\n", tallies->count - TOP_TALLIES);
    text_table_destroy(&table);
    return done;
}

static void print_problem(problem_kind_t kind, const problem_facts_t *problems, FILE *out)
{
    fprintf(out, "    %s: %" PRIu64, problem_name(kind), problems->count);
    for (size_t i = 0; i < problems->example_count; i++) {
        const problem_t *problem = &problems->examples[i];
        fputs(i == 0 ? " (" : ", ", out);
        if (problem->row != UINT32_MAX)
            fprintf(out, "row %" PRIu32 "%s", problem->row, problem->vector_id[0] ? " " : "");
        text_print(problem->vector_id, 64, out);
    }
    if (problems->example_count > 0)
        fputs(problems->count > problems->example_count ? ", ...)" : ")", out);
    fputc('\n', out);
}

static void print_problems(const level_facts_t *facts, FILE *out)
{
    uint64_t total = 0;
    for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++)
        total += facts->problems[kind].count;
    fprintf(out, total == 0 ? "  problems: none\n" : "  problems:\n");
    for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++) {
        if (facts->problems[kind].count > 0)
            print_problem((problem_kind_t)kind, &facts->problems[kind], out);
    }
}

static int print_level(const level_facts_t *facts, FILE *out)
{
    sha256_t value;
    char digits[65];
    fprintf(out, "\n%s\n", level_plural(facts->level));
    if (facts->missing || facts->code != OK) {
        fprintf(out, facts->missing ? "  missing: " : "  cannot be used: ");
        text_print(facts->error.message, 0, out);
        fputc('\n', out);
        return 1;
    }
    if (!print_tallies("domain", &facts->domains, out) ||
        !print_tallies("type", &facts->types, out))
        return 0;
    print_problems(facts, out);
    value = flat_index_fingerprint(facts->index);
    sha256_hex(&value, digits);
    fprintf(out, "  index fingerprint     %s\n", digits);
    value = catalog_fingerprint(facts->catalog);
    sha256_hex(&value, digits);
    fprintf(out, "  metadata fingerprint  %s\n", digits);
    return 1;
}

static int print_text(const char *folder, const level_facts_t *levels, FILE *out)
{
    fputs("Indices in ", out);
    text_print(folder, 0, out);
    fputs("\n\n", out);
    int done = print_overview(levels, out);
    for (int i = 0; done && i < LEVEL_COUNT; i++)
        done = print_level(&levels[i], out);
    return done;
}

static json_t *time_json(int64_t time_ms)
{
    char text[32];
    if (time_ms == TIME_NONE)
        return json_null();
    time_format(time_ms, text);
    return json_string(text);
}

static json_t *fingerprint_json(sha256_t value)
{
    char digits[65];
    sha256_hex(&value, digits);
    return json_string(digits);
}

/* All of them: a machine can choose for itself. */
static json_t *tallies_json(const tallies_t *tallies)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tallies->count; i++) {
        const tally_t *row = &tallies->rows[i];
        json_array_append_new(list, json_pack("{s:s%, s:I}", "name", row->name.text,
                                              row->name.length, "count", (json_int_t)row->count));
    }
    return list;
}

static json_t *problems_json(const level_facts_t *facts)
{
    json_t *object = json_object();
    for (int kind = 0; kind < PROBLEM_KIND_COUNT; kind++) {
        const problem_facts_t *problems = &facts->problems[kind];
        json_t *examples = json_array();
        for (size_t i = 0; i < problems->example_count; i++) {
            const problem_t *problem = &problems->examples[i];
            json_t *row =
                problem->row == UINT32_MAX ? json_null() : json_integer((json_int_t)problem->row);
            json_array_append_new(
                examples, json_pack("{s:o, s:s}", "row", row, "vector_id", problem->vector_id));
        }
        json_object_set_new(
            object, problem_name((problem_kind_t)kind),
            json_pack("{s:I, s:o}", "count", (json_int_t)problems->count, "first", examples));
    }
    return object;
}

static json_t *level_json(const level_facts_t *facts)
{
    if (facts->missing)
        return json_pack("{s:b}", "missing", 1);
    if (facts->code != OK)
        return json_pack("{s:s, s:s}", "error", facts->error.message, "code",
                         error_name(facts->code));
    return json_pack("{s:I, s:I, s:I, s:s, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o}", "rows",
                     (json_int_t)flat_index_rows(facts->index), "valid", (json_int_t)facts->valid,
                     "dimension", (json_int_t)flat_index_dimension(facts->index), "metric",
                     flat_index_metric(facts->index) == INDEX_L2 ? "l2" : "inner_product",
                     "documents", (json_int_t)facts->documents, "first_date",
                     time_json(facts->first_ms), "last_date", time_json(facts->last_ms), "undated",
                     (json_int_t)facts->undated, "domains", tallies_json(&facts->domains), "types",
                     tallies_json(&facts->types), "problems", problems_json(facts),
                     "index_fingerprint", fingerprint_json(flat_index_fingerprint(facts->index)),
                     "metadata_fingerprint", fingerprint_json(catalog_fingerprint(facts->catalog)));
}

static int print_json(const char *folder, const level_facts_t *levels, FILE *out)
{
    json_t *by_level = json_object();
    int done = 1;
    for (int i = 0; i < LEVEL_COUNT; i++)
        done &=
            json_object_set_new(by_level, level_plural((level_t)i), level_json(&levels[i])) == 0;
    json_t *whole = json_pack("{s:s, s:o}", "indices", folder, "levels", by_level);
    done = done && whole != NULL && json_dumpf(whole, out, JSON_COMPACT) == 0;
    fputc('\n', out);
    json_decref(whole);
    return done;
}

/* All four missing, or the first level that is there and cannot be read. */
static int result_of(const char *folder, const level_facts_t *levels, error_t *error)
{
    int missing = 0;
    for (int i = 0; i < LEVEL_COUNT; i++) {
        missing += levels[i].missing;
        if (levels[i].code != OK && !levels[i].missing)
            return error_set(error, levels[i].code, "%s", levels[i].error.message);
    }
    if (missing == LEVEL_COUNT)
        return error_set(error, ERR_NOT_FOUND,
                         "%s: holds none of documents.index, events.index, entities.index and "
                         "storylines.index",
                         folder);
    return OK;
}

int inspect_run(const char *indices_folder, uint32_t dimension, int json, FILE *out, error_t *error)
{
    level_facts_t levels[LEVEL_COUNT];
    for (int i = 0; i < LEVEL_COUNT; i++)
        level_facts_read(indices_folder, (level_t)i, dimension, &levels[i]);
    int done =
        json ? print_json(indices_folder, levels, out) : print_text(indices_folder, levels, out);
    int code = result_of(indices_folder, levels, error);
    if (!done && code == OK)
        code = error_set(error, ERR_INTERNAL, "%s: its description could not be put together",
                         indices_folder);
    for (int i = 0; i < LEVEL_COUNT; i++)
        level_facts_free(&levels[i]);
    return code;
}
