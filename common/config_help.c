#include "common/config.h"

#include <ctype.h>
#include <string.h>

/* "--window-days N" */
static void flag_text(const config_key_t *key, char *out, size_t size)
{
    snprintf(out, size, "--%s%s%s", key->name, key->argument ? " " : "",
             key->argument ? key->argument : "");
    for (char *c = out; *c && *c != ' '; c++)
        if (*c == '_')
            *c = '-';
}

void config_help(unsigned role, FILE *out)
{
    for (const config_key_t *key = config_keys(); key->name; key++) {
        if (!(key->roles & role))
            continue;
        char flag[64];
        flag_text(key, flag, sizeof flag);
        fprintf(out, "  %-28s %s", flag, key->help);
        if (key->fallback && key->type != CONFIG_SWITCH)
            fprintf(out, " [%s]", key->fallback);
        fputc('\n', out);
    }
    fprintf(out, "  %-28s %s\n", "--help", "this text");
}

static void print_roles(unsigned roles, FILE *out)
{
    static const char *const NAMES[] = {"gateway", "coordinator", "worker",  "serve",   "run",
                                        "submit",  "client",      "inspect", "results", "clusters"};
    const char *comma = "";
    for (unsigned i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (roles & (1u << i)) {
            fprintf(out, "%s%s", comma, NAMES[i]);
            comma = ", ";
        }
    }
}

void config_markdown(FILE *out)
{
    fputs("| flag | environment | default | used by | meaning |\n|---|---|---|---|---|\n", out);
    for (const config_key_t *key = config_keys(); key->name; key++) {
        char flag[64];
        flag_text(key, flag, sizeof flag);
        fprintf(out, "| `%s` | `STAGE4_", flag);
        for (const char *c = key->name; *c; c++)
            fputc(toupper((unsigned char)*c), out);
        fputc('`', out);
        if (key->also)
            fprintf(out, ", `%s`", key->also);
        fprintf(out, " | %s | ", key->fallback ? key->fallback : "");
        print_roles(key->roles, out);
        fprintf(out, " | %s |\n", key->help);
    }
}
