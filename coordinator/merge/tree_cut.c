/* tree_cut.c - from the spanning forest to clusters: what exact and approximate jobs have in common.
 */
#include "coordinator/merge/hierarchy.h"
#include "coordinator/merge/steps.h"
#include "coordinator/merge/validity.h"

#include <stdlib.h>

/* With one cluster there is nothing that it could be separated from. */
static int report_validity(step_t *self, const edge_t *forest, size_t count,
                           const clustering_t *clustering, error_t *error)
{
    double mean;
    if (clustering->cluster_count < 2)
        return OK;
    double *validity = malloc(clustering->cluster_count * sizeof *validity);
    if (validity == NULL)
        return error_set(error, ERR_MEMORY, "out of memory to measure %u clusters",
                         clustering->cluster_count);
    int code = validity_measure(forest, count, self->input->spec->metric, clustering, validity,
                                &mean, error);
    if (code == OK)
        quality_report(self, "tree_validity", json_real(mean));
    free(validity);
    return code;
}

static void report_forest(step_t *self, const edge_t *forest, size_t count)
{
    double weight = 0;
    for (size_t i = 0; i < count; i++)
        weight += metric_distance(self->input->spec->metric, forest[i].weight);
    step_report(self, "mst_weight", json_real(weight));
    step_report(self, "mst_edges", json_integer((json_int_t)count));
}

int tree_cut(step_t *self, edge_t *forest, size_t count, advance_output_t *out, error_t *error)
{
    const plan_t *plan = &self->checkpoint.plan;
    hierarchy_options_t options;
    clustering_t clustering = {0};
    hierarchy_options_init(&options, self->input->spec);
    int code = clustering_init(&clustering, plan->count, error);
    if (code == OK)
        code = hierarchy_cluster_all(forest, count, plan->partition_begin, plan->partition_count,
                                     &options, &clustering, error);
    report_forest(self, forest, count); /* after the sort: a sum in a fixed order */
    if (code == OK)
        code = report_validity(self, forest, count, &clustering, error);
    if (code == OK)
        code = summarise_begin(self, &clustering, out, error);
    clustering_clear(&clustering);
    return code;
}
