#include "gateway/http/message.h"

#include <stdlib.h>
#include <string.h>

void http_response_clear(http_response_t *self)
{
    free(self->body);
    if (self->stream.next && self->stream.release)
        self->stream.release(self->stream.state);
    memset(self, 0, sizeof *self);
}

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } ROWS[] = {
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++)
        if (ROWS[i].status == status)
            return ROWS[i].text;
    return "Unknown";
}
