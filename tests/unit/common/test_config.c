#include "common/config.h"
#include "lib/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

typedef struct {
    test_folder_t folder;
    char file[512]; /* a settings file */
    config_t *config;
    error_t error;
} fixture_t;

/* Settings of whoever runs the tests must not reach them. */
static int set_up(void **state)
{
    for (const config_key_t *key = config_keys(); key->name; key++) {
        char name[80] = "STAGE4_";
        size_t used = strlen(name);
        for (const char *c = key->name; *c; c++)
            name[used++] = (char)toupper((unsigned char)*c);
        unsetenv(name);
        if (key->also)
            unsetenv(key->also);
    }
    fixture_t *self = calloc(1, sizeof *self);
    self->folder = folder_new();
    folder_path(&self->folder, "settings.yaml", self->file);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    config_destroy(&self->config);
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

/* Loads `line`, split at spaces. */
static int load(fixture_t *self, unsigned role, const char *line)
{
    char copy[1024];
    char *argv[32];
    int argc = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word && argc < 32; word = strtok(NULL, " "))
        argv[argc++] = word;
    config_destroy(&self->config);
    self->error = (error_t)ERROR_INIT;
    return config_load(role, argc, argv, &self->config, &self->error);
}

static void write_file(const fixture_t *self, const char *text)
{
    FILE *file = fopen(self->file, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int load_file(fixture_t *self, unsigned role, const char *text)
{
    char line[600];
    write_file(self, text);
    snprintf(line, sizeof line, "--config %s", self->file);
    return load(self, role, line);
}

static void assert_message(const fixture_t *self, const char *part)
{
    if (!strstr(self->error.message, part))
        fail_msg("'%s' is not in '%s'", part, self->error.message);
}

static void a_flag_goes_over_the_environment_over_the_file_over_the_default(void **state)
{
    fixture_t *self = *state;
    char line[600];
    assert_int_equal(load(self, CONFIG_RUN, ""), OK);
    assert_int_equal(config_integer(self->config, "workers"), 1);
    assert_false(config_given(self->config, "workers"));
    assert_int_equal(load_file(self, CONFIG_RUN, "workers: 2\n"), OK);
    assert_int_equal(config_integer(self->config, "workers"), 2);
    assert_true(config_given(self->config, "workers"));
    setenv("STAGE4_WORKERS", "3", 1);
    assert_int_equal(load_file(self, CONFIG_RUN, "workers: 2\n"), OK);
    assert_int_equal(config_integer(self->config, "workers"), 3);
    snprintf(line, sizeof line, "--workers 4 --config %s", self->file);
    assert_int_equal(load(self, CONFIG_RUN, line), OK);
    assert_int_equal(config_integer(self->config, "workers"), 4);
    unsetenv("STAGE4_WORKERS");
}

static int read_secret(fixture_t *self, const char *options, char out[CONFIG_SECRET_SIZE])
{
    assert_int_equal(load(self, CONFIG_COORDINATOR, options), OK);
    return config_secret(self->config, "redis_password", out, &self->error);
}

static void a_secret_is_a_value_or_the_first_line_of_a_file(void **state)
{
    fixture_t *self = *state;
    char secret[CONFIG_SECRET_SIZE];
    char line[600];
    char long_line[2 * CONFIG_SECRET_SIZE];
    assert_int_equal(read_secret(self, "", secret), OK);
    assert_string_equal(secret, "");
    assert_int_equal(read_secret(self, "--redis-password open", secret), OK);
    assert_string_equal(secret, "open");
    setenv("REDIS_PASSWORD", "from outside", 1);
    assert_int_equal(read_secret(self, "", secret), OK);
    assert_string_equal(secret, "from outside");
    unsetenv("REDIS_PASSWORD");
    snprintf(line, sizeof line, "--redis-password-file %s", self->file);
    write_file(self, "in a file \r\nand more\n");
    assert_int_equal(read_secret(self, line, secret), OK);
    assert_string_equal(secret, "in a file ");
    write_file(self, "\n");
    assert_int_equal(read_secret(self, line, secret), ERR_USAGE);
    assert_message(self, "is empty");
    memset(long_line, 'x', sizeof long_line - 1);
    long_line[sizeof long_line - 1] = 0;
    write_file(self, long_line);
    assert_int_equal(read_secret(self, line, secret), ERR_USAGE);
    assert_message(self, "more than 1023 bytes");
    assert_int_equal(read_secret(self, "--redis-password-file /none", secret), ERR_USAGE);
    assert_message(self, "cannot read /none");
    assert_string_equal(self->error.field, "redis_password_file");
    snprintf(line, sizeof line, "--redis-password s3cret --redis-password-file %s", self->file);
    assert_int_equal(read_secret(self, line, secret), ERR_USAGE);
    assert_message(self, "are both set");
    assert_null(strstr(self->error.message, "s3cret"));
}

static void the_file_may_be_named_by_the_environment(void **state)
{
    fixture_t *self = *state;
    write_file(self, "threads: 7\n");
    setenv("STAGE4_CONFIG", self->file, 1);
    int code = load(self, CONFIG_WORKER, "");
    unsetenv("STAGE4_CONFIG");
    assert_int_equal(code, OK);
    assert_int_equal(config_integer(self->config, "threads"), 7);
}

static void a_second_name_in_the_environment_counts_when_the_first_is_not_set(void **state)
{
    fixture_t *self = *state;
    setenv("STAGE3_INDICES_PATH", "/second", 1);
    assert_int_equal(load(self, CONFIG_INSPECT, ""), OK);
    assert_string_equal(config_text(self->config, "indices"), "/second");
    setenv("STAGE4_INDICES", "/first", 1);
    assert_int_equal(load(self, CONFIG_INSPECT, ""), OK);
    assert_string_equal(config_text(self->config, "indices"), "/first");
    setenv("STAGE4_INDICES", "", 1);
    assert_int_equal(load(self, CONFIG_INSPECT, ""), OK);
    assert_string_equal(config_text(self->config, "indices"), "/second");
    unsetenv("STAGE4_INDICES");
    unsetenv("STAGE3_INDICES_PATH");
}

static void flags_take_their_value_after_a_space_or_an_equals_sign(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(
        load(self, CONFIG_RUN, "--window-days=3 --embedding_type events --json first -- --second"),
        OK);
    const char *const *words;
    assert_int_equal(config_integer(self->config, "window_days"), 3);
    assert_string_equal(config_text(self->config, "embedding_type"), "events");
    assert_true(config_switch(self->config, "json"));
    assert_false(config_switch(self->config, "include_metadata"));
    assert_int_equal(config_positional(self->config, &words), 2);
    assert_string_equal(words[0], "first");
    assert_string_equal(words[1], "--second");
    assert_int_equal(load(self, CONFIG_RUN, "--json=no"), OK);
    assert_false(config_switch(self->config, "json"));
}

static void the_last_of_two_equal_flags_counts_and_a_list_adds_up(void **state)
{
    fixture_t *self = *state;
    const char *const *values;
    assert_int_equal(load(self, CONFIG_RUN, "--workers 2 --workers 3 --param k=5 --param=seed=1"),
                     OK);
    assert_int_equal(config_integer(self->config, "workers"), 3);
    assert_int_equal(config_list(self->config, "param", &values), 2);
    assert_string_equal(values[0], "k=5");
    assert_string_equal(values[1], "seed=1");
    assert_int_equal(load_file(self, CONFIG_RUN, "param: [k=6, seed=2]\nfilter: a=b\n"), OK);
    assert_int_equal(config_list(self->config, "param", &values), 2);
    assert_string_equal(values[1], "seed=2");
    assert_int_equal(config_list(self->config, "filter", &values), 1);
    assert_string_equal(values[0], "a=b");
}

static void a_list_on_the_command_line_replaces_the_files(void **state)
{
    fixture_t *self = *state;
    const char *const *values;
    char line[600];
    write_file(self, "param: [k=6, seed=2]\n");
    snprintf(line, sizeof line, "--param k=5 --config %s", self->file);
    assert_int_equal(load(self, CONFIG_RUN, line), OK);
    assert_int_equal(config_list(self->config, "param", &values), 1);
    assert_string_equal(values[0], "k=5");
}

static void an_unknown_option_names_the_nearest(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(load(self, CONFIG_RUN, "--treads 2"), ERR_USAGE);
    assert_message(self, "did you mean --threads?");
    assert_string_equal(self->error.field, "treads");
    assert_int_equal(load(self, CONFIG_RUN, "--window_day=2"), ERR_USAGE);
    assert_message(self, "did you mean --window-days?");
    assert_int_equal(load(self, CONFIG_RUN, "--frobnicate"), ERR_USAGE);
    assert_null(strstr(self->error.message, "did you mean"));
    assert_message(self, "--help");
    assert_int_equal(load(self, CONFIG_RUN, "-x"), ERR_USAGE);
    assert_message(self, "begin with --");
    assert_null(self->config);
}

static void an_option_of_another_program_is_not_known(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(load(self, CONFIG_WORKER, "--http-listen 127.0.0.1:1"), ERR_USAGE);
    assert_message(self, "--http-listen is not known here");
    assert_int_equal(load(self, CONFIG_GATEWAY, "--http-listen 127.0.0.1:1"), OK);
}

static void an_unknown_setting_in_the_file_names_the_line_and_the_nearest(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(load_file(self, CONFIG_RUN, "threads: 1\nworkrs: 2\n"), ERR_USAGE);
    assert_message(self, "line 2");
    assert_message(self, "did you mean 'workers'?");
}

static void the_file_may_have_settings_of_other_programs(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(load_file(self, CONFIG_WORKER, "http_listen: x\nthreads: 3\n"), OK);
    assert_int_equal(config_integer(self->config, "threads"), 3);
}

static void a_wrong_value_says_what_would_be_right(void **state)
{
    static const struct {
        const char *line;
        const char *part;
    } ROWS[] = {
        {"--workers 0", "workers: '0' is no whole number from 1 to 64"},
        {"--workers 65", "from 1 to 64"},
        {"--workers two", "'two' is no whole number"},
        {"--workers 2x", "'2x' is no whole number"},
        {"--workers 99999999999999999999", "is no whole number"},
        {"--workers=", "workers: the value is empty"},
        {"--max-bad-fraction much", "max_bad_fraction: 'much' is no number"},
        {"--max-bad-fraction nan", "'nan' is no number"},
        {"--json=maybe", "json: 'maybe' is not true or false"},
        {"--output", "option --output needs FILE"},
        {"--output=", "output: the value is empty; FILE is wanted"},
    };
    fixture_t *self = *state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_int_equal(load(self, CONFIG_RUN, ROWS[i].line), ERR_USAGE);
        assert_message(self, ROWS[i].part);
    }
    setenv("STAGE4_THREADS", "many", 1);
    int code = load(self, CONFIG_RUN, "");
    unsetenv("STAGE4_THREADS");
    assert_int_equal(code, ERR_USAGE);
    assert_message(self, "environment: threads: 'many'");
}

static void a_file_that_is_no_flat_mapping_is_refused(void **state)
{
    static const char *const TEXTS[] = {
        "threads:\n  deep: 1\n",
        "param: [[k=1]]\n",
        "param: [{k: 1}]\n",
        "- threads\n",
        "threads\n",
        "threads: 1\nthreads: 2\n",
        "threads: [1, 2]\n",
        "threads: &a 1\nworkers: *a\n",
        "threads: [1\n",
        "\tthreads: 1\n",
        "[threads]: 1\n",
        "threads: \"1\\02\"\n",
    };
    fixture_t *self = *state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        if (load_file(self, CONFIG_RUN, TEXTS[i]) != ERR_USAGE)
            fail_msg("taken: %s", TEXTS[i]);
        assert_message(self, "line ");
    }
}

static void an_empty_file_or_value_sets_nothing(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(load_file(self, CONFIG_RUN, ""), OK);
    assert_int_equal(load_file(self, CONFIG_RUN, "# nothing\n"), OK);
    assert_int_equal(load_file(self, CONFIG_RUN, "workers:\nstate: ''\n"), OK);
    assert_int_equal(config_integer(self->config, "workers"), 1);
    assert_null(config_text(self->config, "state"));
}

static void a_file_that_is_not_there_is_refused(void **state)
{
    fixture_t *self = *state;
    assert_int_equal(load(self, CONFIG_RUN, "--config /nowhere/settings.yaml"), ERR_USAGE);
    assert_message(self, "/nowhere/settings.yaml");
}

static void every_default_passes_its_own_check(void **state)
{
    fixture_t *self = *state;
    for (unsigned role = CONFIG_GATEWAY; role <= CONFIG_CLUSTERS; role <<= 1)
        assert_int_equal(load(self, role, ""), OK);
    assert_int_equal(config_integer(self->config, "window_days"), -1);
    assert_null(config_text(self->config, "as_of"));
}

static void every_key_stands_once_and_in_the_help_of_its_programs(void **state)
{
    (void)state;
    for (const config_key_t *key = config_keys(); key->name; key++) {
        assert_non_null(key->help);
        assert_true(key->type == CONFIG_SWITCH ? !key->argument : key->argument != NULL);
        for (const config_key_t *other = key + 1; other->name; other++)
            assert_string_not_equal(key->name, other->name);
    }
    char *text;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    config_help(CONFIG_RUN, stream);
    fclose(stream);
    assert_non_null(strstr(text, "--window-days N"));
    assert_non_null(strstr(text, "[hdbscan]"));
    assert_null(strstr(text, "--http-listen"));
    free(text);
    stream = open_memstream(&text, &length);
    config_markdown(stream);
    fclose(stream);
    assert_non_null(strstr(text, "| `--http-listen HOST:PORT` | `STAGE4_HTTP_LISTEN` | "
                                 "127.0.0.1:8000 | gateway, serve |"));
    free(text);
}

static void help_is_seen_before_the_double_dash(void **state)
{
    (void)state;
    char *with[] = {"--bad", "--help"};
    char *without[] = {"a", "--", "--help"};
    assert_true(config_help_wanted(2, with));
    assert_false(config_help_wanted(3, without));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flag_goes_over_the_environment_over_the_file_over_the_default),
        TEST(a_secret_is_a_value_or_the_first_line_of_a_file),
        TEST(the_file_may_be_named_by_the_environment),
        TEST(a_second_name_in_the_environment_counts_when_the_first_is_not_set),
        TEST(flags_take_their_value_after_a_space_or_an_equals_sign),
        TEST(the_last_of_two_equal_flags_counts_and_a_list_adds_up),
        TEST(a_list_on_the_command_line_replaces_the_files),
        TEST(an_unknown_option_names_the_nearest),
        TEST(an_option_of_another_program_is_not_known),
        TEST(an_unknown_setting_in_the_file_names_the_line_and_the_nearest),
        TEST(the_file_may_have_settings_of_other_programs),
        TEST(a_wrong_value_says_what_would_be_right),
        TEST(a_file_that_is_no_flat_mapping_is_refused),
        TEST(an_empty_file_or_value_sets_nothing),
        TEST(a_file_that_is_not_there_is_refused),
        TEST(every_default_passes_its_own_check),
        TEST(every_key_stands_once_and_in_the_help_of_its_programs),
        TEST(help_is_seen_before_the_double_dash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
