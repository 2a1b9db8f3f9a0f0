#include "common/input/catalog_stream.h"
#include "common/clock.h"
#include "common/input/catalog_fields.h"
#include "common/input/non_finite.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#define PIECE_BYTES (256u << 10)
#define RAW_STRING_LIMIT (6u * STRING_LENGTH_LIMIT) /* every byte written as \u00xx */

/* A string of the entry that is being read; yajl's own copy is gone with the callback. */
typedef struct {
    char *text;
    size_t length;
    size_t capacity;
} kept_t;

typedef struct {
    const source_file_t *file;
    level_t level;
    catalog_build_t *build;
    yajl_handle yajl;
    uint64_t base; /* file offset of the piece that yajl has */
    uint64_t last_token;
    place_t place;
    field_t field;
    unsigned depth;
    unsigned skipped; /* open maps and lists inside a value that nobody asks for */
    unsigned seen;    /* sections, by field */
    uint32_t id;      /* of the key of metadata_store or id_map */
    uint32_t row;     /* of the key of reverse_id_map */
    unsigned element; /* of temporal_span */
    kept_t kept[FIELD_COUNT];
    entry_facts_t facts;
    int code;
    error_t *error;
} stream_t;

static uint64_t here(const stream_t *self)
{
    return self->base + yajl_get_bytes_consumed(self->yajl);
}

/* For callbacks: 0 stops yajl. */
static int stop(stream_t *self, const char *what)
{
    self->code = error_set(self->error, ERR_INPUT, "%s: %s at byte %" PRIu64, self->file->path,
                           what, here(self));
    return 0;
}

static int stop_with(stream_t *self, int code)
{
    self->code = code;
    return code == OK;
}

static int keep(stream_t *self, field_t field, const char *text, size_t length)
{
    kept_t *kept = &self->kept[field];
    if (length > kept->capacity) {
        char *grown = realloc(kept->text, length);
        if (grown == NULL)
            return stop_with(
                self, error_set(self->error, ERR_MEMORY, "%s: out of memory", self->file->path));
        kept->text = grown;
        kept->capacity = length;
    }
    if (length > 0)
        memcpy(kept->text, text, length);
    utf8_repair(kept->text, length);
    kept->length = length;
    return 1;
}

static string_view_t kept_view(const stream_t *self, field_t field)
{
    return (string_view_t){self->kept[field].length > 0 ? self->kept[field].text : "",
                           self->kept[field].length};
}

static void forget_metadata(stream_t *self)
{
    for (int field = FIRST_KEPT_FIELD + 1; field < FIELD_COUNT; field++)
        self->kept[field].length = 0;
    self->facts.time_ms = self->facts.time_end_ms = TIME_NONE;
    self->facts.metadata_offset = self->facts.metadata_length = 0;
}

static void forget_entry(stream_t *self)
{
    self->kept[FIELD_SOURCE_ID].length = 0;
    self->facts.other_level = 0;
    forget_metadata(self);
}

static int finish_entry(stream_t *self)
{
    entry_facts_t *facts = &self->facts;
    facts->source_id = kept_view(self, FIELD_SOURCE_ID);
    facts->document_id = kept_view(self, FIELD_DOCUMENT_ID);
    facts->text = kept_view(self, FIELD_TEXT);
    facts->domain = kept_view(self, FIELD_DOMAIN);
    facts->type = kept_view(self, FIELD_TYPE);
    return stop_with(self, catalog_build_entry(self->build, self->id, facts, self->error));
}

/* The number of a vector id. yajl passes an escaped half of a surrogate pair on as three malformed
 * bytes: no id that could be written anywhere. */
static int take_id(stream_t *self, const char *text, size_t length, uint32_t *id)
{
    if (utf8_valid_prefix(text, length) != length)
        return stop(self, "has a vector id with half a UTF-16 pair");
    return stop_with(self, catalog_build_id(self->build, text, length, id, self->error));
}

/* A plain row number; NO_ROW for anything else. */
static uint32_t parse_row(const char *text, size_t length)
{
    uint64_t value = 0;
    if (length == 0 || length > 10 || (length > 1 && text[0] == '0'))
        return NO_ROW;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return NO_ROW;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    return value < NO_ROW ? (uint32_t)value : NO_ROW;
}

/* A value of the wrong kind, where its place says what that means. */
static int wrong_value(stream_t *self)
{
    switch (self->place) {
    case PLACE_START:
        return stop(self, "holds no JSON object");
    case PLACE_TOP:
        if (self->field != FIELD_NONE)
            return stop(self,
                        "metadata_store, id_map and reverse_id_map must be objects; one is not");
        return 1;
    case PLACE_STORE:
        forget_entry(self);
        return finish_entry(self);
    case PLACE_ID_MAP:
        catalog_build_position(self->build, self->id, NO_ROW);
        return 1;
    case PLACE_REVERSE_MAP:
        catalog_build_reverse_bad(self->build, self->row);
        return 1;
    default: /* null, a number, a list where text was expected: as if absent */
        self->kept[self->field].length = 0;
        if (self->field == FIELD_METADATA)
            forget_metadata(self);
        return 1;
    }
}

static int take_other_level(stream_t *self, const char *text, size_t length)
{
    const char *plural = level_plural(self->level);
    const char *singular = level_singular(self->level);
    self->facts.other_level = !(length == strlen(plural) && memcmp(text, plural, length) == 0) &&
                              !(length == strlen(singular) && memcmp(text, singular, length) == 0);
    return 1;
}

static int take_reverse(stream_t *self, const char *text, size_t length)
{
    uint32_t id;
    if (!take_id(self, text, length, &id))
        return 0;
    catalog_build_reverse(self->build, self->row, id);
    return 1;
}

static int take_event(stream_t *self, const char *text, size_t length)
{
    if (utf8_valid_prefix(text, length) != length)
        return 1; /* no document is called so */
    return stop_with(self, catalog_build_event(self->build, text, length, self->error));
}

static int take_string(stream_t *self, const char *text, size_t length)
{
    entry_facts_t *facts = &self->facts;
    if (self->place == PLACE_REVERSE_MAP)
        return take_reverse(self, text, length);
    if (self->place == PLACE_SPAN) {
        if (self->element < 2)
            time_parse(text, length, self->element == 0 ? &facts->time_ms : &facts->time_end_ms);
        self->element++;
        return 1;
    }
    if (self->place == PLACE_EVENTS)
        return take_event(self, text, length);
    if (self->place != PLACE_ENTRY && self->place != PLACE_METADATA)
        return wrong_value(self);
    if (self->field == FIELD_EMBEDDING_TYPE)
        return take_other_level(self, text, length);
    if (self->field == FIELD_TIME)
        time_parse(text, length, &facts->time_ms);
    if (self->field == FIELD_TEXT)
        length = utf8_cut(text, length, TEXT_LIMIT);
    return self->field < FIRST_KEPT_FIELD || keep(self, self->field, text, length);
}

/* Every callback begins here. */
static int is_skipped(stream_t *self)
{
    self->last_token = here(self);
    return self->skipped > 0;
}

static int on_plain(stream_t *self)
{
    if (is_skipped(self))
        return 1;
    self->element++;
    return wrong_value(self);
}

static int on_null(void *context) { return on_plain(context); }

static int on_boolean(void *context, int value)
{
    (void)value;
    return on_plain(context);
}

static int on_number(void *context, const char *text, size_t length)
{
    stream_t *self = context;
    if (self->place != PLACE_ID_MAP || self->skipped > 0)
        return on_plain(self);
    is_skipped(self);
    catalog_build_position(self->build, self->id, parse_row(text, length));
    return 1;
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
    stream_t *self = context;
    if (length > STRING_LENGTH_LIMIT)
        return stop(self, "has a string longer than 1 MiB");
    return is_skipped(self) ? 1 : take_string(self, (const char *)text, length);
}

static int on_key(void *context, const unsigned char *bytes, size_t length)
{
    stream_t *self = context;
    const char *text = (const char *)bytes;
    if (length > CATALOG_KEY_LIMIT)
        return stop(self, "has a key longer than 64 KiB");
    if (is_skipped(self))
        return 1;
    self->field = catalog_field(self->place, self->level, text, length);
    if (self->field == FIELD_VECTOR_ID)
        return take_id(self, text, length, &self->id);
    if (self->field == FIELD_POSITION)
        self->row = parse_row(text, length);
    return 1;
}

static int on_start(stream_t *self, int is_map)
{
    if (++self->depth > CATALOG_DEPTH_LIMIT)
        return stop(self, "is nested deeper than 64 levels");
    if (is_skipped(self)) {
        self->skipped++;
        return 1;
    }
    place_t to = catalog_enter(self->place, self->field, is_map);
    if (to == self->place) {
        self->skipped = 1;
        self->element++;
        return wrong_value(self);
    }
    if (self->place == PLACE_TOP)
        self->seen |= 1u << self->field;
    self->place = to;
    self->field = FIELD_NONE;
    self->element = 0;
    if (to == PLACE_ENTRY)
        forget_entry(self);
    if (to == PLACE_METADATA) {
        forget_metadata(self);
        self->facts.metadata_offset = here(self) - 1;
    }
    return 1;
}

static int on_end(stream_t *self)
{
    self->depth--;
    if (is_skipped(self)) {
        self->skipped--;
        return 1;
    }
    place_t from = self->place;
    self->place = catalog_leave(from);
    self->field = FIELD_NONE;
    if (from == PLACE_METADATA)
        self->facts.metadata_length = here(self) - self->facts.metadata_offset;
    return from == PLACE_ENTRY ? finish_entry(self) : 1;
}

static int on_start_map(void *context) { return on_start(context, 1); }
static int on_start_array(void *context) { return on_start(context, 0); }
static int on_end_map(void *context) { return on_end(context); }
static int on_end_array(void *context) { return on_end(context); }

static const yajl_callbacks CALLBACKS = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
};

/* yajl's own words, without the line break. */
static int syntax_error(stream_t *self, uint64_t at)
{
    unsigned char *words = yajl_get_error(self->yajl, 0, NULL, 0);
    const char *text = words != NULL ? (const char *)words : "malformed JSON";
    int length = (int)strcspn(text, "\n");
    int code = error_set(self->error, ERR_INPUT, "%s: %.*s at byte %" PRIu64, self->file->path,
                         length, text, at);
    if (words != NULL)
        yajl_free_error(self->yajl, words);
    return code;
}

/* Whether the text around a syntax error looks like NaN or Infinity. */
static int may_be_non_finite(const char *text, size_t length, size_t at)
{
    size_t from = at > 2 ? at - 2 : 0;
    for (size_t i = from; i < length && i < at + 2; i++) {
        if (text[i] == 'N' || text[i] == 'I')
            return 1;
    }
    return 0;
}

static int parse_piece(stream_t *self, const char *text, size_t length, int *retry)
{
    yajl_status status = yajl_parse(self->yajl, (const unsigned char *)text, length);
    if (status == yajl_status_client_canceled)
        return self->code;
    if (status != yajl_status_ok) {
        size_t at = yajl_get_bytes_consumed(self->yajl);
        *retry = may_be_non_finite(text, length, at);
        return syntax_error(self, self->base + at);
    }
    self->base += length;
    if (self->base - self->last_token > RAW_STRING_LIMIT + PIECE_BYTES)
        return error_set(self->error, ERR_INPUT,
                         "%s: has a string longer than 1 MiB, or as much white space, after byte "
                         "%" PRIu64,
                         self->file->path, self->last_token);
    return catalog_build_check_memory(self->build, self->error);
}

static int finish(stream_t *self)
{
    static const struct {
        field_t field;
        const char *key;
    } sections[] = {{FIELD_STORE, "metadata_store"},
                    {FIELD_ID_MAP, "id_map"},
                    {FIELD_REVERSE_MAP, "reverse_id_map"}};
    yajl_status status = yajl_complete_parse(self->yajl);
    if (status == yajl_status_client_canceled)
        return self->code;
    if (status != yajl_status_ok)
        return error_set(self->error, ERR_INPUT,
                         "%s: the JSON ends too early, at byte %" PRIu64 "; is the file cut off?",
                         self->file->path, self->base);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if ((self->seen & 1u << sections[i].field) == 0)
            return error_set(self->error, ERR_INPUT, "%s: has no \"%s\"", self->file->path,
                             sections[i].key);
    }
    return OK;
}

/* Reads pieces and passes on whole characters; what a piece cuts off is read again with the next.
 */
static int stream_pieces(stream_t *self, char *buffer, int non_finite, int *retry)
{
    non_finite_scan_t scan = {0, 0};
    uint64_t size = self->file->size;
    int code = OK;
    while (code == OK && self->base < size) {
        uint64_t left = size - self->base;
        int last = left <= PIECE_BYTES;
        size_t length = last ? (size_t)left : PIECE_BYTES;
        code = source_file_read(self->file, self->base, buffer, length, self->error);
        if (code != OK)
            return code;
        size_t usable = utf8_valid_prefix(buffer, length);
        if (usable < length && (last || length - usable >= 4))
            return error_set(self->error, ERR_INPUT, "%s: malformed UTF-8 at byte %" PRIu64,
                             self->file->path, self->base + usable);
        if (non_finite)
            usable = non_finite_blank(&scan, buffer, usable, last);
        code = parse_piece(self, buffer, usable, retry);
    }
    return code == OK ? finish(self) : code;
}

int catalog_stream(const source_file_t *file, level_t level, catalog_build_t *build, int non_finite,
                   int *retry, error_t *error)
{
    stream_t self = {.file = file, .level = level, .build = build, .error = error};
    *retry = 0;
    if (file->size == 0)
        return error_set(error, ERR_INPUT, "%s: is empty; the metadata of an index was expected",
                         file->path);
    int code = error_set(error, ERR_MEMORY, "%s: out of memory", file->path);
    char *buffer = malloc(PIECE_BYTES);
    self.yajl = yajl_alloc(&CALLBACKS, NULL, &self);
    if (buffer == NULL || self.yajl == NULL)
        goto done;
    yajl_config(self.yajl, yajl_dont_validate_strings, 1); /* done by utf8_valid_prefix */
    code = stream_pieces(&self, buffer, non_finite, retry);
    *retry = *retry && !non_finite;
done:
    for (int i = 0; i < FIELD_COUNT; i++)
        free(self.kept[i].text);
    if (self.yajl != NULL)
        yajl_free(self.yajl);
    free(buffer);
    return code;
}
