#include "cli/text_table.h"

#include "common/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct text_table {
    const text_column_t *columns;
    size_t column_count;
    char **cells; /* rows x columns */
    size_t row_count;
};

text_table_t *text_table_new(const text_column_t *columns, size_t count)
{
    text_table_t *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->columns = columns;
    self->column_count = count;
    return self;
}

void text_table_destroy(text_table_t **table)
{
    text_table_t *self = *table;
    if (!self)
        return;
    for (size_t i = 0; i < self->row_count * self->column_count; i++)
        free(self->cells[i]);
    free(self->cells);
    free(self);
    *table = NULL;
}

int text_table_add(text_table_t *self, const char *const *cells)
{
    size_t used = self->row_count * self->column_count;
    char **grown = realloc(self->cells, (used + self->column_count) * sizeof *grown);
    if (!grown)
        return 0;
    self->cells = grown;
    for (size_t i = 0; i < self->column_count; i++) {
        grown[used + i] = strdup(cells[i] ? cells[i] : "");
        if (!grown[used + i]) {
            while (i--)
                free(grown[used + i]);
            return 0;
        }
    }
    self->row_count++;
    return 1;
}

size_t text_table_rows(const text_table_t *self) { return self->row_count; }

static uint32_t code_point(const char *text, size_t length)
{
    static const unsigned char MASK[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t value = (unsigned char)text[0] & MASK[length];
    for (size_t i = 1; i < length; i++)
        value = value << 6 | ((unsigned char)text[i] & 0x3f);
    return value;
}

typedef struct {
    uint32_t first, last;
    size_t width;
} width_range_t;

/* What terminals show as no column or as two: combining marks and joiners, and the East Asian wide
 * blocks and pictographs of Unicode's EastAsianWidth.txt. */
static size_t columns_of(uint32_t point)
{
    static const width_range_t RANGES[] = {
        {0x0300, 0x036f, 0}, {0x200b, 0x200f, 0},   {0x20d0, 0x20ff, 0},   {0xfe00, 0xfe0f, 0},
        {0xfe20, 0xfe2f, 0}, {0x1100, 0x115f, 2},   {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},
        {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},
        {0xffe0, 0xffe6, 2}, {0x1f300, 0x1f64f, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2},
    };
    for (size_t i = 0; i < sizeof RANGES / sizeof *RANGES; i++)
        if (point >= RANGES[i].first && point <= RANGES[i].last)
            return RANGES[i].width;
    return 1;
}

/* Controls, and what turns the writing direction round: a label must not move the cursor. */
static int is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) ||
           (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* Writes (out may be NULL) what fits into `limit` columns; returns the columns taken. */
static size_t print_within(const char *text, size_t limit, FILE *out)
{
    size_t left = strlen(text);
    size_t width = 0;
    while (left) {
        size_t length = utf8_sequence(text, left);
        uint32_t point = length ? code_point(text, length) : '?';
        size_t columns = columns_of(point);
        if (width + columns > limit)
            break;
        if (out && (!length || is_control(point)))
            fputc(length ? ' ' : '?', out);
        else if (out)
            fwrite(text, 1, length, out);
        width += columns;
        text += length ? length : 1;
        left -= length ? length : 1;
    }
    return width;
}

size_t text_print(const char *text, size_t widest, FILE *out)
{
    if (!widest || print_within(text, SIZE_MAX / 2, NULL) <= widest)
        return print_within(text, SIZE_MAX / 2, out);
    size_t width = print_within(text, widest > 3 ? widest - 3 : 0, out);
    if (out)
        fputs("...", out);
    return width + 3;
}

static void pad(size_t count, FILE *out)
{
    while (count--)
        fputc(' ', out);
}

static void print_row(const text_table_t *self, const char *const *cells, const size_t *widths,
                      const char *indent, FILE *out)
{
    size_t gap = 0; /* spaces before the next cell: none are left at the end of a line */
    fputs(indent, out);
    for (size_t i = 0; i < self->column_count; i++) {
        const text_column_t *column = &self->columns[i];
        size_t width = text_print(cells[i], column->widest, NULL);
        size_t rest = widths[i] - width;
        if (width)
            pad(gap + (column->right ? rest : 0), out);
        text_print(cells[i], column->widest, out);
        gap = (width ? 2 : gap + 2) + (column->right && width ? 0 : rest);
    }
    fputc('\n', out);
}

void text_table_print(const text_table_t *self, const char *indent, FILE *out)
{
    size_t widths[TEXT_TABLE_COLUMNS] = {0};
    const char *titles[TEXT_TABLE_COLUMNS];
    for (size_t i = 0; i < self->column_count; i++) {
        titles[i] = self->columns[i].title;
        widths[i] = text_print(titles[i], self->columns[i].widest, NULL);
        for (size_t row = 0; row < self->row_count; row++) {
            size_t width = text_print(self->cells[row * self->column_count + i],
                                      self->columns[i].widest, NULL);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    print_row(self, titles, widths, indent, out);
    for (size_t row = 0; row < self->row_count; row++)
        print_row(self, (const char *const *)&self->cells[row * self->column_count], widths, indent,
                  out);
}
