#include "coordinator/output/side_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (256u << 10)

static const char *const KINDS[] = {"dendrogram", "pairs"};

struct side_file {
    const char *kind;
    result_store_t *results;
    jsonl_file_t *file;
    char name[JSONL_NAME_SIZE];
    uint32_t pieces; /* in the store */
    size_t used;
    char piece[PIECE_BYTES];
};

/* "clustered_events_<job_id>.dendrogram.jsonl" */
static int name_of(level_t level, const char *job_id, const char *kind, char out[JSONL_NAME_SIZE],
                   error_t *error)
{
    char name[JSONL_NAME_SIZE];
    int code = jsonl_name(level, job_id, name, error);
    if (code == OK)
        snprintf(out, JSONL_NAME_SIZE, "%.*s.%s.jsonl", (int)(strlen(name) - strlen(".jsonl")),
                 name, kind);
    return code;
}

int side_file_new(const char *folder, level_t level, const char *job_id, const char *kind,
                  result_store_t *results, side_file_t **out, error_t *error)
{
    side_file_t *self = calloc(1, sizeof *self);
    *out = self;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to write a %s", kind);
    self->kind = kind;
    self->results = results;
    int code = name_of(level, job_id, kind, self->name, error);
    if (code == OK)
        code = jsonl_file_new(folder, self->name, &self->file, error);
    if (code != OK)
        side_file_destroy(out);
    return code;
}

void side_file_destroy(side_file_t **self)
{
    if (!*self)
        return;
    jsonl_file_destroy(&(*self)->file);
    free(*self);
    *self = NULL;
}

/* The stores take text, so no character is cut in two: what is left of the last one waits. */
static int store_piece(side_file_t *self, int last, error_t *error)
{
    size_t length = self->used;
    while (!last && length > 0 && ((unsigned char)self->piece[length - 1] & 0x80))
        length--;
    if (length == 0)
        length = self->used;
    int code = self->results->verbs->add_text(self->results, self->kind, self->pieces++,
                                              self->piece, length, error);
    memmove(self->piece, self->piece + length, self->used - length);
    self->used -= length;
    return code;
}

static int store_bytes(side_file_t *self, const char *bytes, size_t length, error_t *error)
{
    int code = OK;
    while (code == OK && length > 0) {
        size_t room = PIECE_BYTES - self->used;
        size_t taken = length < room ? length : room;
        memcpy(self->piece + self->used, bytes, taken);
        self->used += taken;
        bytes += taken;
        length -= taken;
        if (self->used == PIECE_BYTES)
            code = store_piece(self, 0, error);
    }
    return code;
}

int side_file_add(side_file_t *self, const char *line, size_t length, error_t *error)
{
    int code = jsonl_file_add(self->file, line, length, error);
    if (code == OK)
        code = store_bytes(self, line, length, error);
    return code == OK ? store_bytes(self, "\n", 1, error) : code;
}

int side_file_sync(side_file_t *self, side_report_t *report, error_t *error)
{
    int code = self->used > 0 || self->pieces == 0 ? store_piece(self, 1, error) : OK;
    report->kind = self->kind;
    memcpy(report->name, self->name, sizeof report->name);
    return code == OK ? jsonl_file_sync(self->file, &report->sha256, &report->bytes, error) : code;
}

int side_file_show(side_file_t *self, error_t *error) { return jsonl_file_show(self->file, error); }

static int each_kind(const char *folder, level_t level, const char *job_id,
                     int (*act)(const char *folder, const char *name, error_t *error),
                     error_t *error)
{
    int code = OK;
    for (size_t i = 0; code == OK && i < sizeof KINDS / sizeof *KINDS; i++) {
        char name[JSONL_NAME_SIZE];
        code = name_of(level, job_id, KINDS[i], name, error);
        if (code == OK)
            code = act(folder, name, error);
    }
    return code;
}

int side_file_discard(const char *folder, level_t level, const char *job_id, error_t *error)
{
    return each_kind(folder, level, job_id, jsonl_discard, error);
}

int side_file_remove(const char *folder, level_t level, const char *job_id, error_t *error)
{
    return each_kind(folder, level, job_id, jsonl_remove, error);
}
