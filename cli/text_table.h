/* text_table.h - rows in aligned columns, for people.
 *
 * Cells are UTF-8 from anywhere: control characters (a terminal would obey them) become spaces,
 * broken bytes '?', and columns are as wide as a terminal shows them. */
#ifndef STAGE4_CLI_TEXT_TABLE_H
#define STAGE4_CLI_TEXT_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TEXT_TABLE_COLUMNS 8

typedef struct text_table text_table_t;

typedef struct {
    const char *title;
    int right;     /* 1: aligned right, for numbers */
    size_t widest; /* longer cells are cut and end in "..."; 0 no limit */
} text_column_t;

/* Borrows `columns` (at most TEXT_TABLE_COLUMNS). NULL when out of memory. */
text_table_t *text_table_new(const text_column_t *columns, size_t count);
void text_table_destroy(text_table_t **self);

/* Copies as many cells as there are columns; NULL is an empty one. 0 when out of memory. */
int text_table_add(text_table_t *self, const char *const *cells);
size_t text_table_rows(const text_table_t *self);
/* A head line, then the rows, each after `indent`. */
void text_table_print(const text_table_t *self, const char *indent, FILE *out);

/* One text, cleaned as a cell is, cut at `widest` columns (0 no limit). Returns its width. */
size_t text_print(const char *text, size_t widest, FILE *out);

#endif
