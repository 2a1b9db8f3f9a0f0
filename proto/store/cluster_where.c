#include "proto/store/cluster_where.h"

#include "common/clock.h"
#include "proto/store/text_fold.h"

#include <stdio.h>
#include <string.h>

#define WORD_LIMIT 16

static void where_sql(where_t *self, const char *piece)
{
    self->length +=
        (size_t)snprintf(self->sql + self->length, sizeof self->sql - self->length, "%s", piece);
}

static void where_text(where_t *self, const char *text, size_t length)
{
    self->values[self->value_count].text = text;
    self->values[self->value_count++].text_length = length;
}

static void where_number(where_t *self, int64_t number)
{
    self->values[self->value_count].text = NULL;
    self->values[self->value_count++].number = number;
}

static void where_bound(where_t *self, const char *piece, int given, int64_t number)
{
    if (!given)
        return;
    where_sql(self, piece);
    where_number(self, number);
}

/* A piece whose '#' are the writing and whose '?' are the text. */
static void where_piece(where_t *self, const char *piece, int64_t writing, const char *text,
                        size_t length)
{
    for (const char *c = piece; *c; c++) {
        char copy[2] = {*c == '#' ? '?' : *c, 0};
        where_sql(self, copy);
        if (*c == '#')
            where_number(self, writing);
        else if (*c == '?')
            where_text(self, text, length);
    }
}

static void where_given(where_t *self, const char *piece, int64_t writing, const char *text)
{
    if (text)
        where_piece(self, piece, writing, text, strlen(text));
}

/* Every word of the text must be part of the label; there are no wildcards. */
static int where_words(where_t *self, const char *piece, const char *text, error_t *error)
{
    if (!text)
        return OK;
    if (strlen(text) >= sizeof self->words)
        return error_field(error, ERR_USAGE, "text", "a search text has at most %d bytes",
                           SEARCH_TEXT_SIZE - 1);
    snprintf(self->words, sizeof self->words, "%s", text);
    text_fold(self->words);
    const char *word = self->words;
    for (size_t count = 0;; count++) {
        word += strspn(word, " \t\r\n");
        size_t length = strcspn(word, " \t\r\n");
        if (!length)
            return OK;
        if (count == WORD_LIMIT)
            return error_field(error, ERR_USAGE, "text", "a search text has at most %d words",
                               WORD_LIMIT);
        where_piece(self, piece, 0, word, length);
        word += length;
    }
}

int cluster_where(where_t *self, const cluster_dialect_t *dialect, const cluster_query_t *query,
                  int64_t writing, error_t *error)
{
    self->length = 0;
    self->value_count = 0;
    where_sql(self, " FROM result_cluster c WHERE c.writing = ?");
    where_number(self, writing);
    where_given(self, " AND c.domain = ?", writing, query->domain);
    where_given(self, " AND c.type = ?", writing, query->type);
    where_bound(self, " AND c.size >= ?", query->size_min > 0, query->size_min);
    where_bound(self, " AND c.size <= ?", query->size_max > 0, query->size_max);
    where_bound(self, " AND c.time_end_ms >= ?", query->time_from_ms != TIME_NONE,
                query->time_from_ms);
    where_bound(self, " AND c.time_start_ms <= ?", query->time_to_ms != TIME_NONE,
                query->time_to_ms);
    where_given(self, dialect->document, writing, query->document_id);
    where_given(self, dialect->entity, writing, query->entity);
    where_given(self, dialect->member, writing, query->member_id);
    return where_words(self, dialect->word, query->text, error);
}

void cluster_where_after(where_t *self, const cluster_cursor_t *cursor)
{
    where_sql(self, " AND (c.size < ? OR (c.size = ? AND c.cluster_id > ?))");
    where_number(self, cursor->size);
    where_number(self, cursor->size);
    where_text(self, cursor->cluster_id, strlen(cursor->cluster_id));
}

void cluster_where_first(where_t *self, uint32_t count)
{
    where_sql(self, " ORDER BY c.size DESC, c.cluster_id LIMIT ?");
    where_number(self, count);
}
