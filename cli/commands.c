#include "cli/cli.h"

#include <string.h>

#define CLIENT CONFIG_CLIENT

static const cli_command_t COMMANDS[] = {
    {"run", CONFIG_RUN, cli_run, "", 0, 0, "cluster an index here, without a server",
     "Example:\n"
     "  stage4 run --indices DIR --embedding-type events --param min_cluster_size=3 \\\n"
     "    --partition-by domain --output clusters.jsonl\n"
     "\n"
     "Parameters of hdbscan: min_cluster_size, min_samples, cluster_selection_epsilon,\n"
     "cluster_selection_method (eom, leaf), allow_single_cluster, max_cluster_size,\n"
     "mode (exact, approximate), target_recall, decay, decay_days;\n"
     "of two-stage: those of hdbscan without mode, and cells;\n"
     "of kmeans: k, init (k-means++, random), n_init, max_iterations, tolerance, seed;\n"
     "of agglomerative: linkage (average, complete, single, ward), distance_threshold or\n"
     "n_clusters, min_cluster_size, and min_weight with what pairs has;\n"
     "of pairs: min_weight, decay (none, exponential, half_life, linear), decay_days, max_pairs,\n"
     "weight_table, weight_days (weights of your own: [[0,0.5,1],[0,0.2,0.9]]).\n"
     "The value of --filter is a number, true, false or null when it reads as one, else a text;\n"
     "a text of digits is written in double quotes: --filter 'source_id=\"17\"'.\n"
     "With --state DIR a run that was ended goes on when the same command is given again.\n"},
    {"serve", CONFIG_SERVE, cli_serve, "", 0, 0,
     "REST gateway, coordinator and workers in one process", NULL},
    {"submit", CONFIG_SUBMIT, cli_submit, "", 0, 0, "give a job to a gateway", NULL},
    {"status", CLIENT, cli_status, "[JOB]", 0, 1, "one job, or all jobs, of a gateway", NULL},
    {"pause", CLIENT, cli_pause, "JOB", 1, 1, "let a job rest; its finished tasks are kept", NULL},
    {"resume", CLIENT, cli_resume, "JOB", 1, 1, "let a paused job go on", NULL},
    {"cancel", CLIENT, cli_cancel, "JOB", 1, 1, "give a job up", NULL},
    {"retry", CLIENT, cli_retry, "JOB", 1, 1, "let a failed or cancelled job run again",
     "A failed job goes on from what it has: finished tasks are kept, and are not computed "
     "again.\n"},
    {"results", CLIENT | CONFIG_RESULTS, cli_results, "JOB", 1, 1,
     "the clusters of a job as JSONL (--json: what is known of the job instead)", NULL},
    {"dendrogram", CLIENT | CONFIG_RESULTS, cli_dendrogram, "JOB", 1, 1,
     "the trees of an agglomerative job, one line a partition",
     "A line's Z is scipy's linkage matrix; leaf i is the item leaf_ids[i]:\n"
     "  stage4 dendrogram JOB | python3 -c 'import json, sys, numpy, scipy.cluster.hierarchy as h\n"
     "  for line in sys.stdin: print(h.cophenet(numpy.array(json.loads(line)[\"Z\"])))'\n"},
    {"pairs", CLIENT | CONFIG_RESULTS, cli_pairs, "JOB", 1, 1,
     "the pairs that a pairs job found, one a line", NULL},
    {"clusters", CLIENT | CONFIG_CLUSTERS, cli_clusters, "[CLUSTER]", 0, 1,
     "find clusters by what they are about, or print one", NULL},
    {"inspect", CONFIG_INSPECT, cli_inspect, "", 0, 0,
     "what is in the indices: counts, dates, domains, types, and what is wrong", NULL},
    {"version", CLIENT, cli_version, "", 0, 0, "versions of the program and its libraries", NULL},
    {"help", CLIENT, cli_help, "[COMMAND]", 0, 1,
     "this text, that of a command, all `settings`, or a job's `states`", NULL},
    {NULL, 0, NULL, NULL, 0, 0, NULL, NULL},
};

const cli_command_t *cli_commands(void) { return COMMANDS; }

const cli_command_t *cli_find(const char *name)
{
    for (const cli_command_t *command = COMMANDS; command->name; command++)
        if (!strcmp(command->name, name))
            return command;
    return NULL;
}
