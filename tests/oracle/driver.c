/* driver.c - one job in one thread, its labels as a table: what test_hdbscan.py checks.
 *
 *   driver INDICES LEVEL [name=value ...] > labels.tsv
 *
 * `name=value` are parameters of hdbscan; metric=, algorithm= and window_days= are known as well.
 * One line an item: row, label, strength, outlier, vector slot order. The report goes to stderr. */
#include "tests/lib/inline_cluster.h"

#include <stdio.h>

static int take_argument(job_spec_t *spec, char *argument, error_t *error)
{
    char *value = strchr(argument, '=');
    if (value == NULL)
        return error_set(error, ERR_USAGE, "%s is not name=value", argument);
    *value++ = 0;
    if (!strcmp(argument, "metric"))
        spec->metric = !strcmp(value, "euclidean") ? METRIC_EUCLIDEAN : METRIC_COSINE;
    else if (!strcmp(argument, "algorithm"))
        spec->algorithm = !strcmp(value, "kmeans") ? ALGORITHM_KMEANS : ALGORITHM_HDBSCAN;
    else if (!strcmp(argument, "window_days"))
        spec->window_days = (int32_t)strtol(value, NULL, 10);
    else
        return job_spec_set_param(spec, argument, value, error);
    return OK;
}

int main(int count, char **arguments)
{
    job_spec_t spec;
    inline_cluster_t cluster = {0};
    error_t error = ERROR_INIT;
    job_spec_init(&spec);
    if (count < 3 || !level_parse(arguments[2], &spec.level)) {
        fprintf(stderr, "usage: driver INDICES LEVEL [name=value ...]\n");
        return 2;
    }
    int code = OK;
    for (int i = 3; i < count && code == OK; i++)
        code = take_argument(&spec, arguments[i], &error);
    if (code == OK)
        code = inline_cluster_run(&cluster, &spec, arguments[1], &error);
    for (uint32_t i = 0; code == OK && i < cluster.plan.count; i++)
        printf("%u\t%d\t%.9g\t%.9g\n", cluster.plan.rows[i], cluster.label[i],
               (double)cluster.strength[i], (double)cluster.outlier[i]);
    if (code == OK)
        fprintf(stderr, "%s\n", cluster.report);
    else
        fprintf(stderr, "driver: %s\n", error.message);
    inline_cluster_clear(&cluster);
    job_spec_clear(&spec);
    return code == OK ? 0 : error_exit_code(code);
}
