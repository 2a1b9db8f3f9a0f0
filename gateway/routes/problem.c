#include "gateway/routes/problem.h"

#include "proto/json_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_RETRY_S 5
#define DOWN_RETRY_S 2

/* Titles of statuses that no error code has by itself. */
static const char *title_of(int status, int code)
{
    switch (status) {
    case 404:
        return "not found";
    case 405:
        return "method not allowed";
    case 408:
        return "request timeout";
    case 415:
        return "unsupported media type";
    case 505:
        return "http version not supported";
    default:
        return error_title(code);
    }
}

static const char *detail_of(const error_t *error)
{
    switch (error->code) {
    case ERR_INTERNAL:
    case ERR_SHAPE:
        return "this should not have happened; the log has the cause under the X-Request-ID";
    case ERR_IO:
    case ERR_MEMORY:
        return "the service lacks disk or memory; the log has the cause under the X-Request-ID";
    case ERR_PROTOCOL:
        return "the coordinator answered what the gateway does not understand; are both of one "
               "version?";
    default:
        return error->message;
    }
}

static void write_type(FILE *stream, const char *title)
{
    fputs("{\"type\":\"urn:stage4:problem:", stream);
    for (const char *p = title; *p; p++)
        fputc(*p == ' ' || *p == '/' ? '-' : *p, stream);
    fprintf(stream, "\",\"title\":\"%s\"", title);
}

/* Errors quote what came from outside, and may cut it in the middle of a character. */
static void write_member(FILE *stream, const char *key, const char *text)
{
    json_t *valid = json_string(text);
    fprintf(stream, ",\"%s\":", key);
    if (valid) {
        json_write_string(stream, text);
    } else {
        fputc('"', stream);
        for (const unsigned char *p = (const unsigned char *)text; *p; p++)
            fputc(*p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\' ? '?' : *p, stream);
        fputc('"', stream);
    }
    json_decref(valid);
}

void problem_respond(http_response_t *response, const char *path, int status, const error_t *error)
{
    http_response_t problem = {
        .status = status ? status : error_http_status(error->code),
        .content_type = "application/problem+json",
        .pattern = response->pattern,
        .close = response->close,
        .cause = *error,
    };
    const char *title = title_of(problem.status, error->code);
    FILE *stream = open_memstream(&problem.body, &problem.body_length);
    memcpy(problem.allow, response->allow, sizeof problem.allow);
    if (error->code == ERR_BUSY)
        problem.retry_after_s = BUSY_RETRY_S;
    else if (error->code == ERR_UNAVAILABLE)
        problem.retry_after_s = DOWN_RETRY_S;
    if (stream) {
        write_type(stream, title);
        fprintf(stream, ",\"status\":%d", problem.status);
        write_member(stream, "detail", detail_of(error));
        if (error->field[0])
            write_member(stream, "field", error->field);
        if (path[0])
            write_member(stream, "instance", path);
        fputc('}', stream);
        fclose(stream);
    }
    http_response_clear(response);
    *response = problem;
}
