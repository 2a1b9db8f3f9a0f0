#include "proto/job_spec_fields.h"

#include "proto/nearest.h"

#include <string.h>

#define COUNT_MAX 1000000000.0      /* more rows than any index of this service has */
#define SEED_MAX 9007199254740991.0 /* 2^53 - 1: what every reader of JSON keeps exactly */

const char *const ALGORITHM_NAMES[] = {"hdbscan", "kmeans",    "agglomerative",
                                       "pairs",   "two-stage", NULL};
const char *const METRIC_NAMES[] = {"cosine", "euclidean", NULL};
const char *const DECAY_NAMES[] = {"none", "exponential", "half_life", "linear", NULL};
const char *const LINKAGE_NAMES[] = {"average", "complete", "single", "ward", NULL};
static const char *const LEVEL_NAMES[] = {"documents", "events", "entities", "storylines", NULL};
static const char *const SELECTION_NAMES[] = {"eom", "leaf", NULL};
static const char *const QUALITY_NAMES[] = {"silhouette", "simplified_silhouette", "dbcv", NULL};
static const char *const MODE_NAMES[] = {"exact", "approximate", NULL};
static const char *const SEEDING_NAMES[] = {"k-means++", "random", NULL};
static const char *const PARTITION_NAMES[] = {"domain", "event_type", "entity_type", NULL};

#define AT(member) offsetof(job_spec_t, member)

static const field_t JOB_FIELDS[] = {
    {"algorithm", "algorithm", FIELD_CHOICE, 0, AT(algorithm), 0, 0, ALGORITHM_NAMES,
     "How to cluster."},
    {"as_of", "as_of", FIELD_DATE_FROM, FIELD_PRESENTATION, AT(as_of_ms), 0, 0, NULL,
     "The time written into the output; null is the time of submission."},
    {"date_from", "date_from", FIELD_DATE_FROM, 0, AT(date_from_ms), 0, 0, NULL,
     "Leaves out what is dated before this date or date-time."},
    {"date_to", "date_to", FIELD_DATE_TO, 0, AT(date_to_ms), 0, 0, NULL,
     "Leaves out what is dated after this; a date alone counts to the end of that day."},
    {"dimension", "dimension", FIELD_COUNT, 0, AT(dimension), 1, 2048, NULL,
     "The length that every vector of the index must have."},
    {"embedding_type", "embedding_type", FIELD_LEVEL, FIELD_REQUIRED, AT(level), 0, 0, LEVEL_NAMES,
     "The index to cluster; the singular (\"event\") is read as well."},
    {"filter", "filter", FIELD_FILTER, 0, AT(filter), 0, FILTER_LIMIT, NULL,
     "Only items whose metadata have exactly these values."},
    {"include_metadata", "include_metadata", FIELD_FLAG, FIELD_PRESENTATION, AT(include_metadata),
     0, 0, NULL, "Members of a cluster carry their whole Stage 3 metadata."},
    {"max_bad_fraction", "max_bad_fraction", FIELD_REAL, 0, AT(max_bad_fraction), 0, 1, NULL,
     "The job fails when a larger share of the items is unusable."},
    {"metric", "metric", FIELD_CHOICE, 0, AT(metric), 0, 0, METRIC_NAMES, "How to measure."},
    {"params", "params", FIELD_PARAMS, 0, 0, 0, 0, NULL, "Parameters of the algorithm."},
    {"partition_by", "partition_by", FIELD_SET, 0, AT(partition_by), 0, 0, PARTITION_NAMES,
     "Clusters each value of these apart: domain (events, storylines), event_type (events), "
     "entity_type (entities)."},
    {"priority", "priority", FIELD_COUNT, FIELD_PRESENTATION, AT(priority), 0, 9, NULL,
     "Higher ones start first, and are given workers first; equal ones take turns."},
    {"quality", "quality", FIELD_SET, FIELD_PRESENTATION, AT(quality), 0, 0, QUALITY_NAMES,
     "Measures that take time, for the report: the silhouette of up to 1,000 members, the "
     "simplified one (by centroids) of all, the density-based validity (all pairs inside clusters; "
     "left out where one is too large)."},
    {"retention_days", "retention_days", FIELD_DAYS, FIELD_PRESENTATION, AT(retention_days), 0,
     36500, NULL,
     "Days after its end that the job and all that came out of it are kept; 0 is for ever, null is "
     "what the service is set to."},
    {"window_days", "window_days", FIELD_DAYS, 0, AT(window_days), 0, 36500, NULL,
     "Only items at most so many days apart can be neighbours; null is no window."},
};

#define DECAY_WORDS                                                                                \
    "How the weight falls with the days apart: not, e^(-d/decay_days), 2^(-d/decay_days), or "     \
    "to 0 at decay_days."

/* Rows that hdbscan and two-stage share. */
#define SINGLE_FIELD                                                                               \
    {                                                                                              \
        "allow_single_cluster", "params.allow_single_cluster", FIELD_FLAG, 0,                      \
            AT(allow_single_cluster), 0, 0, NULL, "The whole partition may be one cluster."        \
    }
#define EPSILON_FIELD                                                                              \
    {                                                                                              \
        "cluster_selection_epsilon", "params.cluster_selection_epsilon", FIELD_REAL, 0,            \
            AT(cluster_selection_epsilon), 0, 2, NULL,                                             \
            "Clusters are not split below this distance of the metric."                            \
    }
#define METHOD_FIELD                                                                               \
    {                                                                                              \
        "cluster_selection_method", "params.cluster_selection_method", FIELD_CHOICE, 0,            \
            AT(selection), 0, 0, SELECTION_NAMES,                                                  \
            "Excess of mass, or the leaves of the condensed tree."                                 \
    }
#define LARGEST_FIELD                                                                              \
    {                                                                                              \
        "max_cluster_size", "params.max_cluster_size", FIELD_COUNT, 0, AT(max_cluster_size), 0,    \
            COUNT_MAX, NULL, "Larger clusters are split (eom only); 0 is no limit."                \
    }
#define SMALLEST_FIELD                                                                             \
    {                                                                                              \
        "min_cluster_size", "params.min_cluster_size", FIELD_COUNT, 0, AT(min_cluster_size), 2,    \
            COUNT_MAX, NULL, "The smallest number of items that is a cluster."                     \
    }
#define SAMPLES_FIELD                                                                              \
    {                                                                                              \
        "min_samples", "params.min_samples", FIELD_COUNT, 0, AT(min_samples), 0, COUNT_MAX, NULL,  \
            "Neighbours that make a dense place, the item itself counted; 0 is as "                \
            "min_cluster_size."                                                                    \
    }
#define RECALL_FIELD                                                                               \
    {                                                                                              \
        "target_recall", "params.target_recall", FIELD_REAL, 0, AT(target_recall), 0, 1, NULL,     \
            "The share of true neighbours that is found at least, measured on a sample."           \
    }

static const field_t HDBSCAN_FIELDS[] = {
    SINGLE_FIELD,
    EPSILON_FIELD,
    METHOD_FIELD,
    {"decay", "params.decay", FIELD_CHOICE, 0, AT(decay), 0, 0, DECAY_NAMES, DECAY_WORDS},
    {"decay_days", "params.decay_days", FIELD_REAL_NONE, 0, AT(decay_days), 0, 36500, NULL,
     "The days of the decay."},
    LARGEST_FIELD,
    SMALLEST_FIELD,
    SAMPLES_FIELD,
    {"mode", "params.mode", FIELD_CHOICE, 0, AT(mode), 0, 0, MODE_NAMES,
     "All neighbours, or as many as target_recall asks for, without windows; the report's "
     "\"search\" "
     "says when a job is so small that all of them take less time."},
    RECALL_FIELD,
};

static const field_t TWO_STAGE_FIELDS[] = {
    SINGLE_FIELD,
    {"cells", "params.cells", FIELD_COUNT, 0, AT(cells), 0, 4096, NULL,
     "k-means cells of each partition; 0 is the square root of the largest one's size."},
    EPSILON_FIELD,
    METHOD_FIELD,
    LARGEST_FIELD,
    SMALLEST_FIELD,
    SAMPLES_FIELD,
    RECALL_FIELD,
};

static const field_t KMEANS_FIELDS[] = {
    {"init", "params.init", FIELD_CHOICE, 0, AT(init), 0, 0, SEEDING_NAMES,
     "How the first centres are drawn: far from each other, or all items alike."},
    {"k", "params.k", FIELD_COUNT, FIELD_REQUIRED, AT(k), 1, 1000000, NULL,
     "The number of clusters, for each partition."},
    {"max_iterations", "params.max_iterations", FIELD_COUNT, 0, AT(max_iterations), 1, 10000, NULL,
     "Rounds, if the centres have not settled before."},
    {"n_init", "params.n_init", FIELD_COUNT, 0, AT(n_init), 1, 1000, NULL,
     "Runs from other first centres (seed, seed + 1, ...); of each partition the best is kept."},
    {"seed", "params.seed", FIELD_SEED, 0, AT(seed), 0, SEED_MAX, NULL,
     "Where the seeding's random numbers start."},
    {"tolerance", "params.tolerance", FIELD_REAL, 0, AT(tolerance), 0, 1, NULL,
     "Settled: the squared move of all centres, relative to the mean variance."},
};

static const field_t AGGLOMERATIVE_FIELDS[] = {
    {"decay", "params.decay", FIELD_CHOICE, 0, AT(decay), 0, 0, DECAY_NAMES, DECAY_WORDS},
    {"decay_days", "params.decay_days", FIELD_REAL_NONE, 0, AT(decay_days), 0, 36500, NULL,
     "The days of the decay."},
    {"distance_threshold", "params.distance_threshold", FIELD_REAL_NONE, 0, AT(distance_threshold),
     0, 1e9, NULL,
     "Clusters are joined up to this distance, itself included; this or n_clusters is required."},
    {"linkage", "params.linkage", FIELD_CHOICE, 0, AT(linkage), 0, 0, LINKAGE_NAMES,
     "The distance of two clusters: mean, largest or smallest of their pairs, or Ward's."},
    {"max_pairs", "params.max_pairs", FIELD_COUNT, 0, AT(max_pairs), 1, 100000000, NULL,
     "More pairs over min_weight are refused, as soon as that is foreseen."},
    {"min_cluster_size", "params.min_cluster_size", FIELD_COUNT, 0, AT(smallest_cluster), 1,
     COUNT_MAX, NULL, "Clusters of fewer items are noise."},
    {"min_weight", "params.min_weight", FIELD_REAL_NONE, 0, AT(min_weight), 0, 1, NULL,
     "Average linkage over pairs of at least this weight (similarity times decay), all others "
     "weighing 0; null counts all distances."},
    {"n_clusters", "params.n_clusters", FIELD_COUNT, 0, AT(n_clusters), 0, COUNT_MAX, NULL,
     "Joins until so many clusters are left, in each partition; 0 is no such number."},
    {"weight_days", "params.weight_days", FIELD_COUNT, 0, AT(weight_days), 1, 36500, NULL,
     "Days from one row of weight_table to the next; the last one goes on."},
    {"weight_table", "params.weight_table", FIELD_TABLE, 0, AT(weight_table), 0, 0, NULL,
     "What a pair weighs instead of its similarity: a row of weights for each weight_days days "
     "apart, in a row those of similarities from 0 to 1 in equal steps, linear between."},
};

static const field_t PAIRS_FIELDS[] = {
    {"decay", "params.decay", FIELD_CHOICE, 0, AT(decay), 0, 0, DECAY_NAMES, DECAY_WORDS},
    {"decay_days", "params.decay_days", FIELD_REAL_NONE, 0, AT(decay_days), 0, 36500, NULL,
     "The days of the decay."},
    {"max_pairs", "params.max_pairs", FIELD_COUNT, 0, AT(max_pairs), 1, 100000000, NULL,
     "More pairs are refused, as soon as that is foreseen."},
    {"min_weight", "params.min_weight", FIELD_REAL_NONE, FIELD_REQUIRED, AT(min_weight), 0, 1, NULL,
     "Pairs of at least this weight: cosine similarity times the decay; over 0."},
    {"weight_days", "params.weight_days", FIELD_COUNT, 0, AT(weight_days), 1, 36500, NULL,
     "Days from one row of weight_table to the next; the last one goes on."},
    {"weight_table", "params.weight_table", FIELD_TABLE, 0, AT(weight_table), 0, 0, NULL,
     "What a pair weighs instead of its similarity: a row of weights for each weight_days days "
     "apart, in a row those of similarities from 0 to 1 in equal steps, linear between."},
};

#define TABLE(rows)                                                                                \
    {                                                                                              \
        (rows), sizeof(rows) / sizeof(rows)[0]                                                     \
    }

field_table_t job_fields(void) { return (field_table_t)TABLE(JOB_FIELDS); }

field_table_t algorithm_fields(algorithm_t algorithm)
{
    static const field_table_t TABLES[ALGORITHM_COUNT] = {
        [ALGORITHM_HDBSCAN] = TABLE(HDBSCAN_FIELDS),
        [ALGORITHM_KMEANS] = TABLE(KMEANS_FIELDS),
        [ALGORITHM_AGGLOMERATIVE] = TABLE(AGGLOMERATIVE_FIELDS),
        [ALGORITHM_PAIRS] = TABLE(PAIRS_FIELDS),
        [ALGORITHM_TWO_STAGE] = TABLE(TWO_STAGE_FIELDS),
    };
    return TABLES[algorithm];
}

const field_t *field_find(field_table_t table, const char *name)
{
    for (size_t i = 0; i < table.count; i++)
        if (strcmp(table.fields[i].name, name) == 0)
            return table.fields + i;
    return NULL;
}

/* A parameter beside "params" instead of inside, or of the other algorithm, deserves its own words.
 */
static const char *known_elsewhere(const char *name, algorithm_t *algorithm)
{
    for (int i = 0; ALGORITHM_NAMES[i]; i++) {
        if (field_find(algorithm_fields((algorithm_t)i), name)) {
            *algorithm = (algorithm_t)i;
            return ALGORITHM_NAMES[i];
        }
    }
    return NULL;
}

int field_unknown(field_table_t table, const char *prefix, const char *name, error_t *error)
{
    const char *names[32];
    char path[64], hint[320];
    algorithm_t algorithm;
    snprintf(path, sizeof path, "%s%.48s", prefix, name);
    const char *owner = known_elsewhere(name, &algorithm);
    if (owner && prefix[0])
        return error_field(error, ERR_USAGE, path, "%s is a parameter of the algorithm %s", path,
                           owner);
    if (owner)
        return error_field(error, ERR_USAGE, path, "%s belongs inside \"params\"", path);
    for (size_t i = 0; i < table.count; i++)
        names[i] = table.fields[i].name;
    nearest_hint(name, names, table.count, hint, sizeof hint);
    return error_field(error, ERR_USAGE, path, "%s is not a known field%s", path, hint);
}
