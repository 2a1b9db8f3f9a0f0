/* clusters.c - `stage4 results`, `dendrogram`, `pairs` and `clusters`: what is read from a gateway's result store.
 */
#include "cli/cli.h"

#include "cli/gateway_call.h"
#include "cli/target.h"
#include "cli/text_table.h"

#include <stdlib.h>

static const char *first_argument(const cli_t *cli)
{
    const char *const *words;
    return config_positional(cli->config, &words) ? words[0] : NULL;
}

static int print_job_row(const cli_t *cli, const char *job_id, error_t *error)
{
    json_t *answer = NULL;
    int code = gateway_call(cli, "GET", "/cluster/results/", job_id, NULL, NULL, &answer, error);
    if (!code)
        print_json(json_object_get(answer, "job"), cli->out);
    json_decref(answer);
    return code;
}

/* A job's text to --output, or to standard output. */
static int fetch_text(const cli_t *cli, const char *path, const char *query, error_t *error)
{
    const char *output = config_text(cli->config, "output");
    target_t *target = NULL;
    int code = output ? target_check("output", output, error) : OK;
    if (!code && output)
        code = target_open(output, &target, error);
    if (code)
        return code;
    code = gateway_fetch(cli, path, first_argument(cli), query,
                         target ? target_stream(target) : cli->out, error);
    return target ? target_close(&target, code, error) : code;
}

int cli_results(const cli_t *cli, error_t *error)
{
    if (config_switch(cli->config, "json"))
        return print_job_row(cli, first_argument(cli), error);
    return fetch_text(cli, "/cluster/results/", "?format=jsonl", error);
}

int cli_dendrogram(const cli_t *cli, error_t *error)
{
    return fetch_text(cli, "/cluster/dendrogram/", "", error);
}

int cli_pairs(const cli_t *cli, error_t *error)
{
    return fetch_text(cli, "/cluster/pairs/", "", error);
}

/* ---- clusters ---- */

typedef struct {
    const char *option;
    const char *field; /* of the search's body */
} filter_name_t;

static const filter_name_t TEXTS[] = {
    {"embedding_type", "embedding_type"},
    {"job_id", "job_id"},
    {"domain", "domain"},
    {"event_type", "event_type"},
    {"entity_type", "entity_type"},
    {"document_id", "document_id"},
    {"member_id", "member_id"},
    {"entity", "entity"},
    {"text", "text"},
    {"date_from", "from"},
    {"date_to", "to"},
    {"cursor", "cursor"},
};
static const char *const NUMBERS[] = {"size_min", "size_max", "limit"};

/* What was asked for, as a search's body. The caller's; NULL when a text is not UTF-8. */
static char *search_body(const config_t *config)
{
    json_t *body = json_object();
    int sound = body != NULL;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS && sound; i++) {
        const char *text = config_text(config, TEXTS[i].option);
        if (text)
            sound = !json_object_set_new(body, TEXTS[i].field, json_string(text));
    }
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS && sound; i++) {
        int64_t value = config_integer(config, NUMBERS[i]);
        if (value > 0)
            sound = !json_object_set_new(body, NUMBERS[i], json_integer(value));
    }
    char *text = sound ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static int add_row(text_table_t *table, const json_t *cluster)
{
    char size[32];
    char similarity[32];
    char days[32] = "";
    json_t *span = json_object_get(cluster, "temporal_span");
    const char *start = json_string_value(json_array_get(span, 0));
    const char *end = json_string_value(json_array_get(span, 1));
    const char *cells[] = {text_of(cluster, "cluster_id"), size, similarity, days,
                           text_of(cluster, "cluster_label")};
    snprintf(size, sizeof size, "%lld",
             (long long)json_integer_value(json_object_get(cluster, "cluster_size")));
    snprintf(similarity, sizeof similarity, "%.3f",
             json_number_value(json_object_get(cluster, "intra_cluster_similarity")));
    if (start && end)
        snprintf(days, sizeof days, "%.10s - %.10s", start, end);
    return text_table_add(table, cells);
}

static int print_table(const json_t *answer, FILE *out, error_t *error)
{
    static const text_column_t COLUMNS[] = {
        {"cluster", 0, 0}, {"size", 1, 0}, {"similarity", 1, 0}, {"days", 0, 0}, {"label", 0, 80}};
    size_t i;
    json_t *cluster;
    text_table_t *table = text_table_new(COLUMNS, 5);
    int sound = table != NULL;
    json_array_foreach(json_object_get(answer, "clusters"), i, cluster)
    {
        sound = sound && add_row(table, cluster);
    }
    if (sound && text_table_rows(table))
        text_table_print(table, "", out);
    text_table_destroy(&table);
    if (!sound)
        return error_set(error, ERR_MEMORY, "no memory for a table");
    fprintf(out, "%zu of %lld clusters\n", json_array_size(json_object_get(answer, "clusters")),
            (long long)json_integer_value(json_object_get(answer, "total")));
    if (*text_of(answer, "next_cursor"))
        fprintf(out, "more with --cursor %s\n", text_of(answer, "next_cursor"));
    return OK;
}

static int search(const cli_t *cli, error_t *error)
{
    json_t *answer = NULL;
    char *body = search_body(cli->config);
    if (!body)
        return error_set(error, ERR_USAGE, "a filter is not valid UTF-8");
    int code = gateway_call(cli, "POST", "/clusters/search", "", body, NULL, &answer, error);
    free(body);
    if (!code && config_switch(cli->config, "json"))
        print_json(answer, cli->out);
    else if (!code)
        code = print_table(answer, cli->out, error);
    json_decref(answer);
    return code;
}

int cli_clusters(const cli_t *cli, error_t *error)
{
    const char *cluster_id = first_argument(cli);
    if (!cluster_id)
        return search(cli, error);
    int code = gateway_fetch(cli, "/clusters/", cluster_id, "", cli->out, error);
    if (!code)
        fputc('\n', cli->out);
    return code;
}
