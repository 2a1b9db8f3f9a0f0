#include "cli/gateway_call.h"

#include "cli/http_client.h"

#include <stdlib.h>

static char *path_of(const char *path, const char *id, const char *query)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (!stream)
        return NULL;
    fprintf(stream, "/api/v1%s", path);
    http_client_escape(id, stream);
    fputs(query, stream);
    return fclose(stream) ? NULL : text;
}

static int ask(const cli_t *cli, const char *method, char *path, const char *body, const char *key,
               FILE *sink, http_answer_t *answer, error_t *error)
{
    if (!path)
        return error_set(error, ERR_MEMORY, "no memory for a request");
    http_question_t question = {
        .url = config_text(cli->config, "url"),
        .method = method,
        .path = path,
        .body = body,
        .key = key,
        .sink = sink,
    };
    return http_client_call(&question, answer, error);
}

int gateway_call(const cli_t *cli, const char *method, const char *path, const char *id,
                 const char *body, const char *key, json_t **answer, error_t *error)
{
    http_answer_t raw = {0};
    char *whole = path_of(path, id, "");
    int code = ask(cli, method, whole, body, key, NULL, &raw, error);
    *answer = code ? NULL : json_loadb(raw.body, raw.length, 0, NULL);
    if (!code && !json_is_object(*answer)) {
        json_decref(*answer);
        *answer = NULL;
        code = error_field(error, ERR_PROTOCOL, "url", "%s does not answer as a gateway does",
                           config_text(cli->config, "url"));
    }
    http_answer_clear(&raw);
    free(whole);
    return code;
}

int gateway_fetch(const cli_t *cli, const char *path, const char *id, const char *query, FILE *sink,
                  error_t *error)
{
    http_answer_t raw = {0};
    char *whole = path_of(path, id, query);
    int code = ask(cli, "GET", whole, NULL, NULL, sink, &raw, error);
    http_answer_clear(&raw);
    free(whole);
    return code;
}

void print_json(const json_t *value, FILE *out)
{
    json_dumpf(value, out, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
    fputc('\n', out);
}

const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
