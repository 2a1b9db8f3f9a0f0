/* metrics.c - GET /metrics: what the coordinator tells of itself, then what this gateway counts. */
#include "common/exposition.h"
#include "gateway/routes/handlers.h"

#include <stdlib.h>
#include <string.h>

#define METRICS_TIMEOUT_MS 2000 /* a scrape that takes longer has failed anyway */

/* NULL when it does not answer. */
static char *ask_coordinator(const gateway_context_t *context)
{
    char *text = NULL;
    int timeout_ms = context->coordinator_timeout_ms;
    if (timeout_ms > METRICS_TIMEOUT_MS)
        timeout_ms = METRICS_TIMEOUT_MS;
    coordinator_client_call(context->coordinator, VERB_METRICS, NULL, NULL, NULL, 0, timeout_ms,
                            &text, NULL);
    return text;
}

static void tell_cache(const gateway_context_t *context, FILE *out)
{
    static const char NAME[] = "clustering_result_cache_total";
    if (!context->cache)
        return;
    exposition_family(out, NAME, "counter", "Answers asked of the result cache, by how it ended.");
    exposition_value(out, NAME, "outcome=\"hit\"", (double)atomic_load(&context->cache->hits));
    exposition_value(out, NAME, "outcome=\"miss\"", (double)atomic_load(&context->cache->misses));
}

/* Without a coordinator there is still what this process knows, and the fact itself. */
int service_metrics(const gateway_context_t *context, const route_request_t *request,
                    http_response_t *response, error_t *error)
{
    (void)request;
    FILE *out = open_memstream(&response->body, &response->body_length);
    if (!out)
        return error_set(error, ERR_MEMORY, "out of memory");
    char *coordinator = ask_coordinator(context);
    if (coordinator)
        fputs(coordinator, out);
    exposition_single(out, "clustering_coordinator_up", "gauge", "1: the coordinator answers.",
                      coordinator != NULL);
    free(coordinator);
    request_counts_tell(context->counts, out);
    tell_cache(context, out);
    exposition_process(out, "process");
    if (fclose(out))
        return error_set(error, ERR_MEMORY, "out of memory");
    response->content_type = EXPOSITION_TYPE;
    return OK;
}
