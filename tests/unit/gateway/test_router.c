/* The way from a request to its route, and every refusal on it. Nothing is there behind the
 * gateway: what gets through to a handler that needs somebody is 503. */
#include "gateway/routes/router.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static gateway_context_t context_new(void)
{
    gateway_context_t context = {.indices_folder = TEST_DATA "/wiki2015",
                                 .coordinator_timeout_ms = 30};
    assert_int_equal(coordinator_client_new("tcp://127.0.0.1:1", &context.coordinator, NULL), OK);
    const result_store_options_t store = {.kind = "sqlite", .path = "/nonexistent/stage4.db"};
    assert_int_equal(store_pool_new(&store, NULL, &context.stores, NULL), OK);
    return context;
}

static int set_up(void **state)
{
    gateway_context_t *context = malloc(sizeof *context);
    *context = context_new();
    *state = context;
    return 0;
}

static int tear_down(void **state)
{
    gateway_context_t *context = *state;
    coordinator_client_destroy(&context->coordinator);
    store_pool_destroy(&context->stores);
    free(context);
    return 0;
}

static http_request_t plain(const char *method, const char *path)
{
    return (http_request_t){.method = method,
                            .path = path,
                            .query = "",
                            .content_type = "",
                            .idempotency_key = "",
                            .forwarded_prefix = "",
                            .body = ""};
}

/* Asks, and gives the status; the field of a problem goes to `field`, its detail to `detail`. */
static int ask(const gateway_context_t *context, const http_request_t *request, char field[80],
               char detail[600], char allow[64])
{
    http_response_t response;
    memset(&response, 0, sizeof response);
    router_answer(context, request, &response);
    int status = response.status ? response.status : 200;
    json_t *body = response.body ? json_loadb(response.body, response.body_length, 0, NULL) : NULL;
    const char *text = json_string_value(json_object_get(body, "field"));
    snprintf(field, 80, "%s", text ? text : "");
    text = json_string_value(json_object_get(body, "detail"));
    snprintf(detail, 600, "%s", text ? text : "");
    snprintf(allow, 64, "%s", response.allow);
    if (status >= 400 && !strstr(request->path, "/health"))
        assert_string_equal(response.content_type, "application/problem+json");
    json_decref(body);
    http_response_clear(&response);
    return status;
}

static void every_route_answers_under_every_prefix(void **state)
{
    static const char *const PREFIXES[] = {"", "/api/v1", "/api/v1/clustering"};
    size_t count;
    const route_t *routes = router_routes(&count);
    assert_true(count >= 14);
    for (size_t i = 0; i < count; i++) {
        for (size_t p = 0; p < 3; p++) {
            char path[160], field[80], detail[600], allow[64];
            const char *brace = strchr(routes[i].pattern, '{');
            int length = brace ? (int)(brace - routes[i].pattern) : (int)strlen(routes[i].pattern);
            snprintf(path, sizeof path, "%s%.*s%s", PREFIXES[p], length, routes[i].pattern,
                     brace ? "some-id" : "");
            http_request_t request = plain(routes[i].method, path);
            if (routes[i].takes_json) {
                request.content_type = "application/json; charset=utf-8";
                request.body = "{\"embedding_type\":\"events\"}";
                request.body_length = strlen(request.body);
            }
            int status = ask(*state, &request, field, detail, allow);
            if (status != 200 && status != 503)
                fail_msg("%s %s: %d %s", routes[i].method, path, status, detail);
        }
    }
}

static const struct {
    const char *method, *path, *query, *content_type, *body, *key;
    int status;
    const char *field, *says;
} REFUSED[] = {
    {"GET", "/nowhere", "", "", "", "", 404, "", "GET / lists"},
    {"GET", "/api/v1/nowhere", "", "", "", "", 404, "", ""},
    {"GET", "/api/v1/clusteringx/clusters", "", "", "", "", 404, "", ""},
    {"GET", "/clusters/", "", "", "", "", 404, "", ""},
    {"GET", "/clusters/a/b", "", "", "", "", 404, "", ""},
    {"GET", "//clusters", "", "", "", "", 404, "", ""},
    {"GET", "/clusters/../health", "", "", "", "", 404, "", ""},
    {"DELETE", "/clusters", "", "", "", "", 405, "", "GET, HEAD, OPTIONS"},
    {"GET", "/cluster/batch", "", "", "", "", 405, "", "POST, OPTIONS"},
    {"GET", "/clusters/search", "", "", "", "", 405, "", "POST, OPTIONS"},
    {"POST", "/clusters/some-id", "", "", "", "", 405, "", "GET, HEAD, OPTIONS"},
    {"GET", "/clusters/a%2fb", "", "", "", "", 400, "id", "letters"},
    {"GET", "/clusters/a%00b", "", "", "", "", 400, "id", "letters"},
    {"GET", "/clusters/%", "", "", "", "", 400, "id", "letters"},
    {"GET", "/clusters/%C3%A9", "", "", "", "", 400, "id", "letters"},
    {"GET", "/cluster/status/0123456789012345678901234567890123456789", "", "", "", "", 404,
     "job_id", "no job"},
    {"GET", "/cluster/status/..", "", "", "", "", 404, "job_id", "no job"},
    {"GET", "/clusters", "limt=1", "", "", "", 400, "limt", "\"limit\"?"},
    {"GET", "/clusters", "limit=x", "", "", "", 400, "limit", "\"x\""},
    {"GET", "/clusters", "limit=1&limit=1", "", "", "", 400, "limit", "twice"},
    {"GET", "/clusters", "text=%ff", "", "", "", 400, "text", "UTF-8"},
    {"GET", "/health", "x=1", "", "", "", 400, "x", "has none"},
    {"GET", "/cluster/jobs", "limit=0", "", "", "", 400, "limit", "1 to 1000"},
    {"GET", "/cluster/jobs", "limit=1x", "", "", "", 400, "limit", "1 to 1000"},
    {"GET", "/cluster/results/j", "format=xml", "", "", "", 400, "format", "jsonl"},
    {"GET", "/cluster/results/j", "format=jsonl&limit=1", "", "", "", 400, "format", "no other"},
    {"POST", "/cluster/batch", "", "", "{}", "", 415, "Content-Type", "application/json"},
    {"POST", "/cluster/batch", "", "text/plain", "{}", "", 415, "Content-Type", ""},
    {"POST", "/cluster/batch", "", "application/jsonx", "{}", "", 415, "Content-Type", ""},
    {"POST", "/cluster/batch", "", "application/json", "", "", 400, "", "empty"},
    {"POST", "/cluster/batch", "", "application/json", "{", "", 400, "", "not valid JSON"},
    {"POST", "/cluster/batch", "", "application/json", "{}", "", 400, "embedding_type", "missing"},
    {"POST", "/cluster/batch", "", "application/json", "{\"embedding_type\":\"events\"}", "a b",
     400, "Idempotency-Key", "79"},
    {"POST", "/clusters/search", "", "application/json", "{\"sise\":1}", "", 400, "sise", "known"},
    {"POST", "/cluster/pause/j", "", "application/json", "{}", "", 400, "", "no body"},
};

static void what_is_refused_says_why(void **state)
{
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        char field[80], detail[600], allow[64];
        http_request_t request = plain(REFUSED[i].method, REFUSED[i].path);
        request.query = REFUSED[i].query;
        request.content_type = REFUSED[i].content_type;
        request.body = REFUSED[i].body;
        request.body_length = strlen(REFUSED[i].body);
        request.idempotency_key = REFUSED[i].key;
        int status = ask(*state, &request, field, detail, allow);
        if (status != REFUSED[i].status || strcmp(field, REFUSED[i].field) != 0 ||
            !strstr(detail, REFUSED[i].says))
            fail_msg("%s %s?%s: %d \"%s\" \"%s\"", REFUSED[i].method, REFUSED[i].path,
                     REFUSED[i].query, status, field, detail);
        if (status == 405)
            assert_non_null(strstr(allow, "OPTIONS"));
    }
}

static void options_lists_the_methods(void **state)
{
    char field[80], detail[600], allow[64];
    http_request_t request = plain("OPTIONS", "/api/v1/clusters");
    assert_int_equal(ask(*state, &request, field, detail, allow), 204);
    assert_string_equal(allow, "GET, HEAD, OPTIONS");
    request = plain("OPTIONS", "/nowhere");
    assert_int_equal(ask(*state, &request, field, detail, allow), 404);
}

static void health_names_what_is_missing(void **state)
{
    http_response_t response;
    http_request_t request = plain("GET", "/health");
    memset(&response, 0, sizeof response);
    router_answer(*state, &request, &response);
    assert_int_equal(response.status, 503);
    json_t *body = json_loadb(response.body, response.body_length, 0, NULL);
    json_t *dependencies = json_object_get(body, "dependencies");
    const char *status = NULL;
    assert_int_equal(json_unpack(dependencies, "{s:{s:s}}", "coordinator", "status", &status), 0);
    assert_string_equal(status, "unhealthy");
    assert_int_equal(json_unpack(dependencies, "{s:{s:s}}", "stage3_indices", "status", &status),
                     0);
    assert_string_equal(status, "healthy");
    assert_null(strstr(response.body, "/nonexistent"));
    json_decref(body);
    http_response_clear(&response);
}

static void the_description_is_in_the_program(void **state)
{
    http_response_t response;
    http_request_t request = plain("GET", "/openapi.yaml");
    memset(&response, 0, sizeof response);
    router_answer(*state, &request, &response);
    assert_string_equal(response.content_type, "application/yaml");
    assert_int_equal(strncmp(response.body, "openapi: 3", 10), 0);
    http_response_clear(&response);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_route_answers_under_every_prefix),
        TEST(what_is_refused_says_why),
        TEST(options_lists_the_methods),
        TEST(health_names_what_is_missing),
        TEST(the_description_is_in_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
