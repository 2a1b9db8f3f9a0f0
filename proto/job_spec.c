#include "proto/job_spec.h"

#include "common/clock.h"
#include "proto/job_spec_fields.h"
#include "proto/json_body.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void job_spec_init(job_spec_t *self)
{
    *self = (job_spec_t){
        .level = LEVEL_DOCUMENTS,
        .algorithm = ALGORITHM_HDBSCAN,
        .metric = METRIC_COSINE,
        .window_days = -1,
        .date_from_ms = TIME_NONE,
        .date_to_ms = TIME_NONE,
        .max_bad_fraction = 0.01,
        .as_of_ms = TIME_NONE,
        .dimension = 768,
        .priority = 5,
        .retention_days = -1,
        .min_cluster_size = 5,
        .selection = SELECTION_EOM,
        .target_recall = 0.95,
        .n_init = 1,
        .max_iterations = 100,
        .tolerance = 1e-4,
        .distance_threshold = -1,
        .smallest_cluster = 1,
        .min_weight = -1,
        .decay_days = -1,
        .max_pairs = 1000000,
        .weight_days = 1,
    };
}

void job_spec_clear(job_spec_t *self)
{
    for (size_t i = 0; i < self->filter_count; i++) {
        free(self->filter[i].key);
        free(self->filter[i].value);
    }
    memset(self, 0, sizeof *self);
}

uint32_t job_spec_min_samples(const job_spec_t *self)
{
    return self->min_samples ? self->min_samples : self->min_cluster_size;
}

const char *algorithm_name(algorithm_t algorithm) { return ALGORITHM_NAMES[algorithm]; }
const char *metric_name(metric_t metric) { return METRIC_NAMES[metric]; }
const char *linkage_name(linkage_method_t method) { return LINKAGE_NAMES[method]; }
const char *decay_name(decay_t decay) { return DECAY_NAMES[decay]; }

double metric_distance(metric_t metric, float dist2)
{
    return metric == METRIC_COSINE ? (double)dist2 / 2 : sqrt((double)dist2);
}

/* Which levels carry which key in their metadata (kickstart 2.3). */
static int check_partition(const job_spec_t *self, error_t *error)
{
    static const struct {
        unsigned key;
        unsigned levels;
        const char *words;
    } ROWS[] = {
        {PARTITION_DOMAIN, 1u << LEVEL_EVENTS | 1u << LEVEL_STORYLINES,
         "domain, which only events and storylines have"},
        {PARTITION_EVENT_TYPE, 1u << LEVEL_EVENTS, "event_type, which only events have"},
        {PARTITION_ENTITY_TYPE, 1u << LEVEL_ENTITIES, "entity_type, which only entities have"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++)
        if (self->partition_by & ROWS[i].key && !(ROWS[i].levels & 1u << self->level))
            return error_field(error, ERR_USAGE, "partition_by",
                               "partition_by names %s; embedding_type is %s", ROWS[i].words,
                               level_plural(self->level));
    return OK;
}

static int check_dates(const job_spec_t *self, error_t *error)
{
    char from[32], to[32];
    if (self->date_from_ms == TIME_NONE || self->date_to_ms == TIME_NONE ||
        self->date_from_ms <= self->date_to_ms)
        return OK;
    time_format(self->date_from_ms, from);
    time_format(self->date_to_ms, to);
    return error_field(error, ERR_USAGE, "date_to", "date_to is %s, before date_from, %s", to,
                       from);
}

int job_spec_in_cells(const job_spec_t *self)
{
    return self->algorithm == ALGORITHM_TWO_STAGE ||
           (self->algorithm == ALGORITHM_HDBSCAN && self->mode == MODE_APPROXIMATE);
}

static int check_decay(const job_spec_t *self, error_t *error)
{
    if ((self->decay != DECAY_NONE) == (self->decay_days > 0) &&
        (self->decay != DECAY_NONE || self->decay_days < 0))
        return OK;
    return error_field(error, ERR_USAGE, "params.decay_days",
                       "params.decay_days %s; a decay needs its days, over 0, and days a decay",
                       self->decay_days < 0    ? "is missing"
                       : self->decay_days == 0 ? "is 0"
                                               : "is given without params.decay");
}

static int check_hdbscan(const job_spec_t *self, error_t *error)
{
    if (self->algorithm == ALGORITHM_TWO_STAGE && self->window_days >= 0)
        return error_field(error, ERR_USAGE, "window_days",
                           "the algorithm two-stage has no windows; leave window_days out or take "
                           "hdbscan");
    if (self->mode == MODE_APPROXIMATE && self->window_days >= 0)
        return error_field(error, ERR_USAGE, "params.mode",
                           "params.mode is \"approximate\", which has no windows; leave "
                           "window_days out or take \"exact\"");
    if (self->mode == MODE_APPROXIMATE && self->decay != DECAY_NONE)
        return error_field(error, ERR_USAGE, "params.decay",
                           "params.mode is \"approximate\", which has no decay; leave decay out or "
                           "take \"exact\"");
    int code = check_decay(self, error);
    if (code != OK)
        return code;
    if (self->max_cluster_size == 0)
        return OK;
    if (self->selection == SELECTION_LEAF)
        return error_field(error, ERR_USAGE, "params.max_cluster_size",
                           "params.max_cluster_size works with cluster_selection_method \"eom\"; "
                           "it is \"leaf\"");
    if (self->max_cluster_size < self->min_cluster_size)
        return error_field(error, ERR_USAGE, "params.max_cluster_size",
                           "params.max_cluster_size is %u; it must be 0 or at least "
                           "min_cluster_size, %u",
                           (unsigned)self->max_cluster_size, (unsigned)self->min_cluster_size);
    return OK;
}

static int check_kmeans(const job_spec_t *self, error_t *error)
{
    if (self->k == 0)
        return error_field(error, ERR_USAGE, "params.k",
                           "params.k is missing: the number of clusters, for each partition");
    return OK;
}

int job_spec_sparse(const job_spec_t *self)
{
    return self->algorithm == ALGORITHM_AGGLOMERATIVE && self->min_weight >= 0;
}

static int check_pairs(const job_spec_t *self, error_t *error)
{
    if (self->weight_table.rows > 0 && self->decay != DECAY_NONE)
        return error_field(error, ERR_USAGE, "params.weight_table",
                           "params.weight_table says what the days do; leave decay out");
    if (!(self->min_weight > 0))
        return error_field(error, ERR_USAGE, "params.min_weight",
                           "params.min_weight must be a number over 0, up to 1");
    if (self->metric != METRIC_COSINE)
        return error_field(error, ERR_USAGE, "metric",
                           "a pair's weight is a cosine similarity; metric is \"%s\"",
                           metric_name(self->metric));
    return check_decay(self, error);
}

static int check_agglomerative(const job_spec_t *self, error_t *error)
{
    int threshold = self->distance_threshold >= 0;
    if (threshold == (self->n_clusters > 0))
        return error_field(
            error, ERR_USAGE, "params.distance_threshold",
            "%s of params.distance_threshold and params.n_clusters %s given; exactly "
            "one says where the tree is cut",
            threshold ? "both" : "none", threshold ? "are" : "is");
    if (job_spec_sparse(self) && self->linkage != LINKAGE_AVERAGE)
        return error_field(error, ERR_USAGE, "params.min_weight",
                           "params.min_weight goes with linkage \"average\"; it is \"%s\"",
                           linkage_name(self->linkage));
    if (job_spec_sparse(self))
        return check_pairs(self, error);
    if (self->weight_table.rows > 0)
        return error_field(error, ERR_USAGE, "params.weight_table",
                           "params.weight_table goes with params.min_weight");
    if (self->decay != DECAY_NONE || self->decay_days >= 0)
        return error_field(error, ERR_USAGE, "params.decay",
                           "params.decay goes with params.min_weight: it is the weight that falls");
    return OK;
}

int job_spec_validate(const job_spec_t *self, error_t *error)
{
    static int (*const CHECKS[ALGORITHM_COUNT])(const job_spec_t *, error_t *) = {
        [ALGORITHM_HDBSCAN] = check_hdbscan,
        [ALGORITHM_KMEANS] = check_kmeans,
        [ALGORITHM_AGGLOMERATIVE] = check_agglomerative,
        [ALGORITHM_PAIRS] = check_pairs,
        [ALGORITHM_TWO_STAGE] = check_hdbscan,
    };
    int code = check_partition(self, error);
    if (code == OK)
        code = check_dates(self, error);
    if (code == OK)
        code = CHECKS[self->algorithm](self, error);
    return code;
}

int job_spec_from_json(const char *json, size_t length, job_spec_t *out, error_t *error)
{
    json_t *body = NULL;
    job_spec_init(out);
    int code = json_body_parse(json, length, &body, error);
    if (code == OK)
        code = fields_set_all(out, job_fields(), "", body, error);
    if (code == OK)
        code = job_spec_validate(out, error);
    json_decref(body);
    if (code != OK) {
        job_spec_clear(out);
        job_spec_init(out);
    }
    return code;
}

/* Members whose row has a flag of `without` are left out. */
static int write_json(const job_spec_t *self, unsigned without, char **json, error_t *error)
{
    job_spec_t resolved = *self; /* borrows the filter */
    field_table_t table = job_fields();
    size_t length = 0;
    const char *separator = "{";
    FILE *stream = open_memstream(json, &length);
    if (!stream)
        return error_set(error, ERR_MEMORY, "out of memory while writing a job");
    resolved.min_samples = job_spec_min_samples(self);
    for (size_t i = 0; i < table.count; i++) {
        if (table.fields[i].flags & without)
            continue;
        fprintf(stream, "%s\"%s\":", separator, table.fields[i].name);
        field_write(stream, &resolved, &table.fields[i]);
        separator = ",";
    }
    fputc('}', stream);
    if (fclose(stream) == 0)
        return OK;
    free(*json);
    *json = NULL;
    return error_set(error, ERR_MEMORY, "out of memory while writing a job");
}

int job_spec_to_json(const job_spec_t *self, char **json, error_t *error)
{
    return write_json(self, 0, json, error);
}

sha256_t job_spec_identity(const job_spec_t *self)
{
    char *json = NULL;
    if (write_json(self, FIELD_PRESENTATION, &json, NULL) != OK || !json)
        abort(); /* a few hundred bytes: nothing that could go on either */
    sha256_t identity = sha256_of(json, strlen(json));
    free(json);
    return identity;
}
