/* log.h - one JSON object a line on a stream, for people and machines that watch a daemon.
 *
 * {"time":"...","level":"info","service":"stage4-worker","event":"task_done","task":3}
 * The event is a constant, snake_case; what varies goes into fields. No personal data and no
 * secret goes into a field. A log_t is safe to use from several threads. */
#ifndef STAGE4_COMMON_LOG_H
#define STAGE4_COMMON_LOG_H

#include <stdint.h>
#include <stdio.h>

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_OFF } log_level_t;

typedef struct log log_t;

/* Borrows `stream` and copies `service`. NULL when out of memory. */
log_t *log_new(FILE *stream, log_level_t lowest, const char *service);
void log_destroy(log_t **self);
/* "debug" "info" "warning" "error" "off", in any case. 1 when known, else 0. */
int log_level_parse(const char *name, log_level_t *out);

typedef struct {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_INTEGER, LOG_FIELD_REAL } type;
    const char *text;
    int64_t integer;
    double real;
} log_field_t;

#define LOG_TEXT(key, value) ((log_field_t){(key), LOG_FIELD_TEXT, (value), 0, 0})
#define LOG_INT(key, value) ((log_field_t){(key), LOG_FIELD_INTEGER, NULL, (int64_t)(value), 0})
#define LOG_REAL(key, value) ((log_field_t){(key), LOG_FIELD_REAL, NULL, 0, (value)})

/* Nothing happens when self is NULL. */
void log_write(log_t *self, log_level_t level, const char *event, const log_field_t *fields,
               size_t count);

/* log_event(log, LOG_INFO, "task_done", LOG_INT("task", 3), LOG_TEXT("job", id)); */
#define log_event(self, level, event, ...)                                                         \
    log_write((self), (level), (event), (const log_field_t[]){__VA_ARGS__},                        \
              sizeof((log_field_t[]){__VA_ARGS__}) / sizeof(log_field_t))

#endif
