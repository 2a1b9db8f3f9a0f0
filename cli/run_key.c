#include "cli/run_key.h"

#include "common/sha256.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* With its NUL, so that no two texts run into each other. */
static void add_text(sha256_stream_t *hash, const char *text)
{
    sha256_stream_add(hash, text, strlen(text) + 1);
}

static void add_file(sha256_stream_t *hash, const char *folder, level_t level, const char *suffix)
{
    char path[4096];
    char line[128] = "";
    struct stat state;
    snprintf(path, sizeof path, "%s/%s%s", folder, level_plural(level), suffix);
    if (!stat(path, &state))
        snprintf(line, sizeof line, "%lld %lld.%09ld", (long long)state.st_size,
                 (long long)state.st_mtim.tv_sec, state.st_mtim.tv_nsec);
    add_text(hash, path);
    add_text(hash, line);
}

void run_key(const char *indices_folder, level_t level, const char *spec_json, const char *output,
             char out[65])
{
    sha256_stream_t *hash = sha256_stream_new();
    add_text(hash, spec_json);
    add_text(hash, output);
    add_file(hash, indices_folder, level, ".index");
    add_file(hash, indices_folder, level, "_metadata.json");
    sha256_t value = sha256_stream_finish(&hash);
    sha256_hex(&value, out);
}
