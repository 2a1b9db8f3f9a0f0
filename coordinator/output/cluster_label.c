#include "coordinator/output/cluster_label.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>

#define LABEL_NAMES 3
#define ELLIPSIS "\xE2\x80\xA6"

void label_cut(string_view_t text, char out[LABEL_SIZE])
{
    size_t used = 0;
    size_t characters = 0;
    size_t last_word = 0; /* bytes up to the end of the last whole word */
    int blank = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.text[i];
        if (byte <= ' ') {
            blank = used > 0;
            continue;
        }
        characters += (byte & 0xC0) != 0x80;
        if (blank) {
            last_word = used;
            out[used++] = ' ';
            characters++;
            blank = 0;
        }
        if (characters > LABEL_CHARACTERS - 1 || used + 8 > LABEL_SIZE) {
            /* A single word that long is cut where it is. */
            used = last_word ? last_word : used;
            memcpy(out + used, ELLIPSIS, sizeof ELLIPSIS);
            return;
        }
        out[used++] = (char)byte;
    }
    out[used] = 0;
}

static string_view_t typical_text(const cluster_t *self, const cluster_source_t *source)
{
    for (size_t i = 0; i < TYPICAL_COUNT && self->from.typical[i] != SLOT_NONE; i++) {
        uint32_t row = outcome_row(source->outcome, self->from.typical[i]);
        string_view_t text = row < catalog_rows(source->catalog)
                                 ? catalog_text(source->catalog, row)
                                 : (string_view_t){"", 0};
        if (text.length)
            return text;
    }
    return (string_view_t){"", 0};
}

/* "Yemen, Aden, Houthis (2015-09-12 to 2015-09-18)" */
static void label_names(const cluster_t *self, const tally_t *names, char out[LABEL_SIZE])
{
    char start[32] = "";
    char end[32] = "";
    size_t used = 0;
    for (size_t i = 0; i < names->count && i < LABEL_NAMES; i++) {
        char name[LABEL_SIZE];
        label_cut(names->entries[i].text, name);
        if (used + strlen(name) + 40 > LABEL_SIZE)
            break;
        used += (size_t)snprintf(out + used, LABEL_SIZE - used, "%s%s", i ? ", " : "", name);
    }
    if (self->time_start_ms == TIME_NONE)
        return;
    time_format(self->time_start_ms, start);
    time_format(self->time_end_ms, end);
    if (strncmp(start, end, 10))
        snprintf(out + used, LABEL_SIZE - used, " (%.10s to %.10s)", start, end);
    else
        snprintf(out + used, LABEL_SIZE - used, " (%.10s)", start);
}

void cluster_label(const cluster_t *self, const cluster_source_t *source, char out[LABEL_SIZE])
{
    string_view_t text = source->spec->level == LEVEL_ENTITIES ? tally_first(&self->mentions)
                                                               : typical_text(self, source);
    if (text.length)
        label_cut(text, out);
    else if (self->entities.count)
        label_names(self, &self->entities, out);
    else if (self->categories.count)
        label_names(self, &self->categories, out);
    else
        snprintf(out, LABEL_SIZE, "%s", self->id);
}
