#include "cli/http_client.h"

#include "cli/problem.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_LIMIT (1ull << 30)

typedef struct {
    CURL *curl;
    FILE *sink;
    char *bytes;
    size_t length;
    size_t capacity;
    int too_large;
    int sink_failed;
} buffer_t;

static int is_success(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status <= 299;
}

/* libcurl's write callback: less than was offered ends the transfer. */
static size_t take_bytes(char *bytes, size_t one, size_t count, void *context)
{
    (void)one;
    buffer_t *self = context;
    if (self->sink && is_success(self->curl)) {
        self->sink_failed = fwrite(bytes, 1, count, self->sink) != count;
        return self->sink_failed ? 0 : count;
    }
    self->too_large = count > ANSWER_LIMIT - self->length;
    if (self->too_large)
        return 0;
    if (self->length + count + 1 > self->capacity) {
        size_t capacity = 2 * (self->length + count) + 4096;
        char *grown = realloc(self->bytes, capacity);
        if (!grown)
            return 0;
        self->bytes = grown;
        self->capacity = capacity;
    }
    memcpy(self->bytes + self->length, bytes, count);
    self->length += count;
    self->bytes[self->length] = 0;
    return count;
}

static int add_header(struct curl_slist **list, const char *name, const char *value, error_t *error)
{
    char line[300];
    if (snprintf(line, sizeof line, "%s: %s", name, value) >= (int)sizeof line)
        return error_field(error, ERR_USAGE, "idempotency_key", "%s is too long", name);
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (!grown)
        return error_set(error, ERR_MEMORY, "no memory for a request");
    *list = grown;
    return OK;
}

static int set_up(CURL *curl, const http_question_t *request, const char *url, buffer_t *buffer,
                  struct curl_slist **headers, error_t *error)
{
    int code = add_header(headers, "Accept", "application/json, application/problem+json", error);
    if (!code && request->body)
        code = add_header(headers, "Content-Type", "application/json", error);
    if (!code && request->key)
        code = add_header(headers, "Idempotency-Key", request->key, error);
    if (code)
        return code;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L); /* no byte for a minute: give up */
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "stage4/" STAGE4_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, buffer);
    if (request->body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    else if (!strcmp(request->method, "POST"))
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    return OK;
}

static int transfer_error(CURLcode result, const char *url, const buffer_t *buffer, error_t *error)
{
    switch (result) {
    case CURLE_COULDNT_CONNECT:
        return error_field(error, ERR_UNAVAILABLE, "url",
                           "no gateway answers at %s; start one with `stage4 serve`, or name "
                           "another with --url",
                           url);
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_field(error, ERR_UNAVAILABLE, "url", "no such host: %s; see --url", url);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return error_field(error, ERR_USAGE, "url", "'%s' is no http or https address; see --url",
                           url);
    case CURLE_OPERATION_TIMEDOUT:
        return error_field(error, ERR_UNAVAILABLE, "url", "%s does not answer in time", url);
    case CURLE_WRITE_ERROR:
        if (buffer->sink_failed)
            return error_field(error, ERR_IO, "output", "cannot write the answer of %s: %s", url,
                               strerror(errno));
        if (buffer->too_large)
            return error_field(error, ERR_TOO_LARGE, "url", "the answer of %s is over 1 GiB", url);
        return error_set(error, ERR_MEMORY, "no memory for the answer of %s", url);
    case CURLE_WEIRD_SERVER_REPLY:
        return error_field(error, ERR_PROTOCOL, "url", "%s does not speak HTTP", url);
    default:
        return error_field(error, ERR_UNAVAILABLE, "url", "%s: %s", url,
                           curl_easy_strerror(result));
    }
}

/* The gateway's address and the path, with one slash between them. */
static char *join(const http_question_t *request)
{
    size_t length = strlen(request->url);
    char *url = NULL;
    while (length && request->url[length - 1] == '/')
        length--;
    return asprintf(&url, "%.*s%s", (int)length, request->url, request->path) < 0 ? NULL : url;
}

static int finish(CURL *curl, const http_question_t *request, buffer_t *buffer, http_answer_t *out,
                  error_t *error)
{
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &out->status);
    if (!buffer->bytes && !(buffer->bytes = calloc(1, 1)))
        return error_set(error, ERR_MEMORY, "no memory for the answer of %s", request->url);
    if (!is_success(curl))
        return problem_read(out->status, buffer->bytes, buffer->length, request->url, error);
    out->body = buffer->bytes;
    out->length = buffer->length;
    buffer->bytes = NULL;
    return OK;
}

int http_client_call(const http_question_t *request, http_answer_t *out, error_t *error)
{
    *out = (http_answer_t){0};
    buffer_t buffer = {.sink = request->sink};
    struct curl_slist *headers = NULL;
    char *url = join(request);
    CURL *curl = curl_easy_init();
    int code = url && curl ? OK : error_set(error, ERR_MEMORY, "no memory for a request");
    if (!code)
        code = set_up(curl, request, url, &buffer, &headers, error);
    buffer.curl = curl;
    CURLcode result = code ? CURLE_OK : curl_easy_perform(curl);
    if (!code && result != CURLE_OK)
        code = transfer_error(result, request->url, &buffer, error);
    if (!code)
        code = finish(curl, request, &buffer, out, error);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(buffer.bytes);
    free(url);
    return code;
}

void http_answer_clear(http_answer_t *self)
{
    free(self->body);
    *self = (http_answer_t){0};
}

void http_client_escape(const char *text, FILE *out)
{
    static const char PLAIN[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++) {
        if (strchr(PLAIN, *text))
            fputc(*text, out);
        else
            fprintf(out, "%%%02X", (unsigned char)*text);
    }
}
