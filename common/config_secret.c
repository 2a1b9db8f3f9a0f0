#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int read_secret(const char *path, const char *field, char out[CONFIG_SECRET_SIZE],
                       error_t *error)
{
    size_t used = 0;
    ssize_t got = 1;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return error_field(error, ERR_USAGE, field, "%s: cannot read %s: %s", field, path,
                           strerror(errno));
    while (got > 0 && used < CONFIG_SECRET_SIZE) {
        got = read(file, out + used, CONFIG_SECRET_SIZE - used);
        used += got > 0 ? (size_t)got : 0;
    }
    close(file);
    if (got < 0)
        return error_field(error, ERR_USAGE, field, "%s: cannot read %s", field, path);
    if (used == CONFIG_SECRET_SIZE)
        return error_field(error, ERR_USAGE, field, "%s: %s holds more than %d bytes", field, path,
                           CONFIG_SECRET_SIZE - 1);
    out[used] = 0;
    out[strcspn(out, "\r\n")] = 0; /* editors end a file with a line feed */
    return *out ? OK : error_field(error, ERR_USAGE, field, "%s: %s is empty", field, path);
}

int config_secret(const config_t *self, const char *name, char out[CONFIG_SECRET_SIZE],
                  error_t *error)
{
    char file_name[80];
    *out = 0;
    snprintf(file_name, sizeof file_name, "%s_file", name);
    const char *value = config_text(self, name);
    const char *path = config_text(self, file_name);
    if (value && path)
        return error_field(error, ERR_USAGE, name, "%s and %s are both set; one of them is wanted",
                           name, file_name);
    if (path)
        return read_secret(path, file_name, out, error);
    if (value && strlen(value) >= CONFIG_SECRET_SIZE)
        return error_field(error, ERR_USAGE, name, "%s has more than %d bytes", name,
                           CONFIG_SECRET_SIZE - 1);
    if (value)
        strcpy(out, value);
    return OK;
}
