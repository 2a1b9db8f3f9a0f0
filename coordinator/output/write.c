#include "coordinator/output/write.h"

#include "coordinator/output/jsonl_file.h"
#include "coordinator/output/dendrogram_lines.h"
#include "coordinator/output/level_files.h"
#include "coordinator/output/line_maker.h"
#include "coordinator/output/member_rows.h"
#include "coordinator/output/pairs_lines.h"
#include "coordinator/output/write_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything that is open while one job is written. */
typedef struct {
    const write_input_t *input;
    outcome_view_t *outcome;
    level_files_t files;
    entity_join_t *entities;
    cluster_source_t source;
    line_maker_t *lines;
    member_rows_t rows;
    jsonl_file_t *file;
    side_file_t *side; /* NULL: the job gives nothing beside its clusters */
    char name[JSONL_NAME_SIZE];
    write_report_t report;
    int begun; /* the result store has rows of ours that are not committed */
} writing_t;

static int check_fingerprints(const writing_t *self, error_t *error)
{
    sha256_t index = flat_index_fingerprint(self->files.index);
    sha256_t metadata = catalog_fingerprint(self->files.catalog);
    sha256_t index_then = outcome_index_fingerprint(self->outcome);
    sha256_t metadata_then = outcome_metadata_fingerprint(self->outcome);
    int same = sha256_equal(&index, &index_then);
    if (same && sha256_equal(&metadata, &metadata_then))
        return OK;
    return error_set(error, ERR_CHANGED,
                     "%s/%s%s is not the file that was clustered; submit the job again",
                     self->input->indices_folder, level_plural(self->input->spec->level),
                     same ? "_metadata.json" : ".index");
}

/* Documents and events get their entities from another level. That it is missing or unusable is
 * worth a word in the report, not the job. */
static int open_entities(writing_t *self, error_t *error)
{
    const write_input_t *input = self->input;
    level_t level = input->spec->level;
    error_t why = ERROR_INIT;
    const char *from = "the members' own metadata";
    if (level == LEVEL_DOCUMENTS || level == LEVEL_EVENTS) {
        int code = entity_join_open(input->indices_folder, input->cache_folder,
                                    input->spec->dimension, &self->entities, &why);
        if (code == ERR_MEMORY)
            return error_set(error, code, "%s", why.message);
        from = self->entities ? "the entities level" : "none: there is no entities level";
        if (code != OK && error_wrap(&why, "none"))
            from = why.message;
    }
    snprintf(self->report.entities, sizeof self->report.entities, "%s", from);
    return OK;
}

static int open_all(writing_t *self, error_t *error)
{
    const write_input_t *input = self->input;
    int code = jsonl_name(input->spec->level, input->job_id, self->name, error);
    if (code == OK)
        code = outcome_view_open(input->spool, input->job_id, &input->state_sha, &self->outcome,
                                 error);
    if (code == OK)
        code = level_files_open(&self->files, input->indices_folder, input->cache_folder,
                                input->spec->level, outcome_dimension(self->outcome), error);
    if (code == OK)
        code = check_fingerprints(self, error);
    if (code == OK)
        code = open_entities(self, error);
    if (code == OK)
        code = jsonl_file_new(input->output_folder, self->name, &self->file, error);
    self->source = (cluster_source_t){input->spec, job_spec_identity(input->spec),
                                      self->files.catalog, self->entities, self->outcome};
    return code;
}

static void close_all(writing_t *self)
{
    if (self->begun)
        self->input->results->verbs->rollback_job(self->input->results);
    jsonl_file_destroy(&self->file);
    side_file_destroy(&self->side);
    member_rows_clear(&self->rows);
    line_maker_destroy(&self->lines);
    write_report_clear(&self->report);
    entity_join_close(&self->entities);
    level_files_close(&self->files);
    outcome_view_close(&self->outcome);
}

/* The first entities, joined for the store's search. */
static int join_entities(const cluster_t *cluster, char **out, error_t *error)
{
    size_t length = 0;
    FILE *stream = open_memstream(out, &length);
    if (!stream)
        return error_set(error, ERR_MEMORY, "no memory for a cluster's entities");
    for (size_t i = 0; i < cluster->entities.count && i < PRIMARY_ENTITY_LIMIT; i++) {
        string_view_t text = cluster->entities.entries[i].text;
        fprintf(stream, "%s%.*s", i ? "\n" : "", (int)text.length, text.text);
    }
    return fclose(stream) ? error_set(error, ERR_MEMORY, "no memory for a cluster's entities") : OK;
}

/* A view as a string of its own; NULL when out of memory. */
static char *copy_view(string_view_t view)
{
    return strndup(view.length ? view.text : "", view.length);
}

static int store_cluster(writing_t *self, const made_line_t *made, error_t *error)
{
    const cluster_t *cluster = &made->cluster;
    result_store_t *results = self->input->results;
    char *entities = NULL;
    char *domain = copy_view(tally_first(&cluster->domains));
    char *type = copy_view(tally_first(&cluster->types));
    int code = join_entities(cluster, &entities, error);
    if (code == OK)
        code = member_rows_fill(&self->rows, cluster, &self->source, error);
    if (code == OK && (!domain || !type))
        code = error_set(error, ERR_MEMORY, "no memory for a cluster's row");
    if (code == OK) {
        cluster_row_t row = {.cluster_id = cluster->id,
                             .level = self->input->spec->level,
                             .label = cluster->label,
                             .domain = domain,
                             .type = type,
                             .entities = entities,
                             .time_start_ms = cluster->time_start_ms,
                             .time_end_ms = cluster->time_end_ms,
                             .intra_similarity = cluster->from.intra_similarity,
                             .size = cluster->from.size,
                             .json = made->line.bytes,
                             .json_length = made->line.length,
                             .members = self->rows.rows,
                             .member_count = self->rows.count};
        code = results->verbs->add_cluster(results, &row, error);
    }
    free(entities);
    free(domain);
    free(type);
    return code;
}

static int write_clusters(writing_t *self, error_t *error)
{
    const made_line_t *made = NULL;
    int code = line_maker_new(&self->source, &self->lines, error);
    if (code == OK)
        code = line_maker_next(self->lines, &made, error);
    while (code == OK && made) {
        code = jsonl_file_add(self->file, made->line.bytes, made->line.length, error);
        if (code == OK && !self->input->results->verbs->keeps_nothing)
            code = store_cluster(self, made, error);
        if (code == OK)
            code = write_report_add(&self->report, &made->cluster, error);
        if (code == OK)
            code = line_maker_next(self->lines, &made, error);
    }
    return code;
}

/* Trees and the like, for the algorithms that give them. */
static int write_side(writing_t *self, error_t *error)
{
    const write_input_t *input = self->input;
    static const struct {
        const char *kind;
        int (*lines)(const cluster_source_t *source, side_file_t *out, error_t *error);
    } SIDES[ALGORITHM_COUNT] = {[ALGORITHM_AGGLOMERATIVE] = {"dendrogram", dendrogram_lines},
                                [ALGORITHM_PAIRS] = {"pairs", pairs_lines}};
    if (!SIDES[input->spec->algorithm].kind)
        return OK;
    int code =
        side_file_new(input->output_folder, input->spec->level, input->job_id,
                      SIDES[input->spec->algorithm].kind, input->results, &self->side, error);
    if (code == OK)
        code = SIDES[input->spec->algorithm].lines(&self->source, self->side, error);
    return code == OK ? side_file_sync(self->side, &self->report.side, error) : code;
}

static int store_noise(writing_t *self, error_t *error)
{
    result_store_t *results = self->input->results;
    uint32_t slots = outcome_slots(self->outcome);
    uint32_t next = 0;
    self->report.items = slots;
    while (next < slots) {
        int code = member_rows_noise(&self->rows, &self->source, &next, error);
        if (code == OK && self->rows.count)
            code = results->verbs->add_noise(results, self->rows.rows, self->rows.count, error);
        if (code != OK)
            return code;
        self->report.noise += (uint32_t)self->rows.count;
    }
    return OK;
}

/* The commit point. */
static int commit(writing_t *self, const char *report_json, error_t *error)
{
    const write_input_t *input = self->input;
    result_job_row_t row = {.job_id = input->job_id,
                            .epoch = input->epoch,
                            .level = input->spec->level,
                            .algorithm = algorithm_name(input->spec->algorithm),
                            .spec_json = input->spec_json,
                            .report_json = report_json,
                            .output_name = self->name,
                            .as_of_ms = input->spec->as_of_ms,
                            .finished_ms = input->finished_ms,
                            .item_count = self->report.items,
                            .noise_count = self->report.noise};
    int code = input->results->verbs->commit_job(input->results, &row, error);
    if (code == OK)
        self->begun = 0;
    return code;
}

static int make_report(writing_t *self, char **report_json, error_t *error)
{
    const char *found;
    size_t length;
    self->report.output_name = self->name;
    int code = jsonl_file_sync(self->file, &self->report.sha256, &self->report.bytes, error);
    if (code == OK)
        code = outcome_report(self->outcome, &found, &length, error);
    if (code == OK)
        code = write_report_json(&self->report, found, length, report_json, error);
    return code;
}

/* The files must still be what was read from them all along. */
static int check_unchanged(const writing_t *self, error_t *error)
{
    int code = flat_index_check(self->files.index, error);
    return code == OK ? catalog_check(self->files.catalog, error) : code;
}

int write_outcome(const write_input_t *input, char **report_json, error_t *error)
{
    writing_t self = {.input = input};
    *report_json = NULL;
    int code = open_all(&self, error);
    if (code == OK)
        code = input->results->verbs->begin_job(input->results, input->job_id, input->epoch, error);
    self.begun = code == OK;
    if (code == OK)
        code = write_clusters(&self, error);
    if (code == OK)
        code = store_noise(&self, error);
    if (code == OK)
        code = write_side(&self, error);
    if (code == OK)
        code = check_unchanged(&self, error);
    if (code == OK)
        code = make_report(&self, report_json, error);
    if (code == OK)
        code = commit(&self, *report_json, error);
    if (code == OK && self.side)
        code = side_file_show(self.side, error);
    if (code == OK)
        code = jsonl_file_show(self.file, error);
    if (code == OK)
        code = jsonl_link_daily(input->output_folder, input->spec->level, input->spec->as_of_ms,
                                self.name, error);
    if (code != OK) {
        free(*report_json);
        *report_json = NULL;
    }
    close_all(&self);
    return code;
}

int write_discard(const char *output_folder, const char *job_id, error_t *error)
{
    int code = OK;
    for (int level = 0; code == OK && level < LEVEL_COUNT; level++) {
        char name[JSONL_NAME_SIZE];
        code = jsonl_name((level_t)level, job_id, name, error);
        if (code == OK)
            code = jsonl_discard(output_folder, name, error);
        if (code == OK)
            code = side_file_discard(output_folder, (level_t)level, job_id, error);
    }
    return code;
}

int write_remove(const char *output_folder, const char *job_id, error_t *error)
{
    int code = OK;
    for (int level = 0; code == OK && level < LEVEL_COUNT; level++) {
        char name[JSONL_NAME_SIZE];
        code = jsonl_name((level_t)level, job_id, name, error);
        if (code == OK)
            code = jsonl_remove(output_folder, name, error);
        if (code == OK)
            code = side_file_remove(output_folder, (level_t)level, job_id, error);
    }
    return code == OK ? write_discard(output_folder, job_id, error) : code;
}
