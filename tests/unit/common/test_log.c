/* A log line is one JSON object, whatever goes into it; jansson is the judge. */
#include "common/log.h"

#include "lib/random.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

typedef struct {
    char *text;
    size_t length;
    FILE *stream;
    log_t *log;
} sink_t;

static sink_t *sink_new(log_level_t lowest)
{
    sink_t *sink = calloc(1, sizeof *sink);
    assert_non_null(sink);
    sink->stream = open_memstream(&sink->text, &sink->length);
    sink->log = log_new(sink->stream, lowest, "stage4-\"test\"");
    assert_non_null(sink->log);
    return sink;
}

static void sink_destroy(sink_t *sink)
{
    log_destroy(&sink->log);
    assert_null(sink->log);
    fclose(sink->stream);
    free(sink->text);
    free(sink);
}

static json_t *line_of(const sink_t *sink)
{
    json_error_t error;
    assert_true(sink->length > 0 && sink->text[sink->length - 1] == '\n');
    assert_ptr_equal(strchr(sink->text, '\n'), sink->text + sink->length - 1);
    json_t *line = json_loadb(sink->text, sink->length, 0, &error);
    assert_non_null(line);
    return line;
}

static void a_line_holds_what_was_said(void **state)
{
    (void)state;
    sink_t *sink = sink_new(LOG_INFO);
    log_event(sink->log, LOG_WARNING, "task_done", LOG_INT("task", INT64_MIN),
              LOG_TEXT("job", "a\"b\\c\n\x01\x7f\tZürich"), LOG_REAL("seconds", 0.25),
              LOG_REAL("rate", NAN), LOG_TEXT("none", NULL));
    json_t *line = line_of(sink);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(line, "service")), "stage4-\"test\"");
    assert_string_equal(json_string_value(json_object_get(line, "event")), "task_done");
    assert_string_equal(json_string_value(json_object_get(line, "job")),
                        "a\"b\\c\n\x01\x7f\tZürich");
    assert_true(json_integer_value(json_object_get(line, "task")) == INT64_MIN);
    assert_true(json_real_value(json_object_get(line, "seconds")) == 0.25);
    assert_true(json_is_null(json_object_get(line, "rate")));
    assert_string_equal(json_string_value(json_object_get(line, "none")), "");
    assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))) >= 20, 1);
    json_decref(line);
    sink_destroy(sink);
}

static void any_bytes_make_a_valid_line(void **state)
{
    random_t random = {2};
    (void)state;
    for (int i = 0; i < 2000; i++) {
        char text[33];
        size_t length = random_below(&random, 32);
        for (size_t k = 0; k < length; k++)
            text[k] = (char)(1 + random_below(&random, 255));
        text[length] = '\0';
        sink_t *sink = sink_new(LOG_DEBUG);
        log_event(sink->log, LOG_DEBUG, "noise", LOG_TEXT("text", text));
        json_decref(line_of(sink));
        sink_destroy(sink);
    }
}

static void what_is_below_the_level_is_dropped(void **state)
{
    (void)state;
    sink_t *sink = sink_new(LOG_WARNING);
    log_event(sink->log, LOG_INFO, "quiet", LOG_INT("n", 1));
    log_write(NULL, LOG_ERROR, "nobody", NULL, 0);
    fflush(sink->stream);
    assert_int_equal(sink->length, 0);
    log_write(sink->log, LOG_ERROR, "loud", NULL, 0);
    json_decref(line_of(sink));
    sink_destroy(sink);
    sink = sink_new(LOG_OFF);
    log_write(sink->log, LOG_ERROR, "off", NULL, 0);
    fflush(sink->stream);
    assert_int_equal(sink->length, 0);
    sink_destroy(sink);
}

static void *shout(void *argument)
{
    for (int i = 0; i < 500; i++)
        log_event(argument, LOG_INFO, "shout", LOG_TEXT("text", "aaaaaaaaaaaaaaaa"),
                  LOG_INT("i", i));
    return NULL;
}

static void lines_of_several_threads_stay_whole(void **state)
{
    pthread_t threads[4];
    (void)state;
    sink_t *sink = sink_new(LOG_INFO);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, shout, sink->log), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    fflush(sink->stream);
    size_t lines = 0;
    for (char *at = sink->text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1, lines++) {
        json_error_t error;
        json_t *line = json_loadb(at, (size_t)(end - at), 0, &error);
        assert_non_null(line);
        json_decref(line);
    }
    assert_int_equal(lines, 2000);
    sink_destroy(sink);
}

static void level_names_are_read(void **state)
{
    log_level_t level = LOG_ERROR;
    (void)state;
    assert_true(log_level_parse("debug", &level) && level == LOG_DEBUG);
    assert_true(log_level_parse("off", &level) && level == LOG_OFF);
    assert_false(log_level_parse("loud", &level));
    assert_int_equal(level, LOG_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_holds_what_was_said),
        cmocka_unit_test(any_bytes_make_a_valid_line),
        cmocka_unit_test(what_is_below_the_level_is_dropped),
        cmocka_unit_test(lines_of_several_threads_stay_whole),
        cmocka_unit_test(level_names_are_read),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
