#include "cli/cli.h"

#include "worker/compute/compute.h"

#include <jansson.h>
#include <string.h>

/* One library a line, "name version"; the build writes it. */
static const char LIBRARIES[] = LIBRARY_VERSIONS;

static json_t *libraries(void)
{
    json_t *list = json_object();
    for (const char *line = LIBRARIES; *line;) {
        size_t name = strcspn(line, " ");
        size_t length = strcspn(line, "\n");
        char key[40];
        snprintf(key, sizeof key, "%.*s", (int)name, line);
        json_object_set_new(list, key, json_stringn(line + name + 1, length - name - 1));
        line += length + (line[length] == '\n');
    }
    return list;
}

static void print_json(const char *compute, FILE *out)
{
    json_t *answer = json_pack("{s:s, s:s, s:o}", "version", STAGE4_VERSION, "compute", compute,
                               "libraries", libraries());
    json_dumpf(answer, out, JSON_INDENT(2) | JSON_SORT_KEYS);
    fputc('\n', out);
    json_decref(answer);
}

int cli_version(const cli_t *cli, error_t *error)
{
    compute_t *compute = NULL;
    compute_options_t options = {.threads = 1, .screen = SCREEN_AUTO};
    int code = compute_new(&options, &compute, error);
    if (code)
        return code;
    if (config_switch(cli->config, "json"))
        print_json(compute_describe(compute), cli->out);
    else
        fprintf(cli->out, "stage4 %s\ncompute %s\n%s", STAGE4_VERSION, compute_describe(compute),
                LIBRARIES);
    compute_destroy(&compute);
    return OK;
}
