#include "common/exposition.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const double BOUNDS[HISTOGRAM_BOUNDS] = {.005, .01, .025, .05, .1, .25, .5,  1,
                                                2.5,  5,   10,   30,  60, 300, 900, 3600};

void histogram_add(histogram_t *self, double seconds)
{
    size_t i = 0;
    while (i < HISTOGRAM_BOUNDS && seconds > BOUNDS[i])
        i++;
    self->counts[i]++;
    self->sum += seconds;
}

void exposition_family(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void exposition_value(FILE *out, const char *name, const char *labels, double value)
{
    int some = labels[0] != '\0';
    fprintf(out, "%s%s%s%s %.17g\n", name, some ? "{" : "", labels, some ? "}" : "", value);
}

void exposition_histogram(FILE *out, const char *name, const char *labels,
                          const histogram_t *histogram)
{
    const char *comma = labels[0] ? "," : "";
    const char *open = labels[0] ? "{" : "";
    const char *close = labels[0] ? "}" : "";
    unsigned long long count = 0;
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        count += histogram->counts[i];
        fprintf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels, comma, BOUNDS[i], count);
    }
    count += histogram->counts[HISTOGRAM_BOUNDS];
    fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma, count);
    fprintf(out, "%s_sum%s%s%s %.17g\n", name, open, labels, close, histogram->sum);
    fprintf(out, "%s_count%s%s%s %llu\n", name, open, labels, close, count);
}

void exposition_single(FILE *out, const char *name, const char *type, const char *help,
                       double value)
{
    exposition_family(out, name, type, help);
    exposition_value(out, name, "", value);
}

/* ---- this process ---- */

static double cpu_seconds(void)
{
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use))
        return 0;
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* Of /proc/self/statm: pages of the program, pages resident, and more. 0 when the kernel does not
 * tell. */
static double resident_bytes(void)
{
    char line[256] = "";
    char *pages = line;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fgets(line, sizeof line, file))
        pages = strchr(line, ' ');
    fclose(file);
    return pages ? (double)strtoull(pages, NULL, 10) * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double open_files(void)
{
    double count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count - 1; /* the folder itself was one */
}

void exposition_process(FILE *out, const char *prefix)
{
    static const struct {
        const char *name;
        const char *type;
        const char *help;
        double (*value)(void);
    } FACTS[] = {
        {"cpu_seconds_total", "counter", "User and system time.", cpu_seconds},
        {"resident_memory_bytes", "gauge", "Resident memory.", resident_bytes},
        {"open_fds", "gauge", "Open files and sockets.", open_files},
    };
    for (size_t i = 0; i < sizeof FACTS / sizeof *FACTS; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s_%s", prefix, FACTS[i].name);
        exposition_single(out, name, FACTS[i].type, FACTS[i].help, FACTS[i].value());
    }
}
