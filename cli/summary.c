#include "cli/summary.h"

#include "cli/progress.h"
#include "cli/text_table.h"

#include <string.h>

#define SHOWN_PHASES 12

static json_int_t integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static double share(json_int_t part, json_int_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_counts(const json_t *report, FILE *out)
{
    json_int_t items = integer(report, "items");
    json_int_t noise = integer(report, "noise");
    json_int_t left_out = integer(report, "rows_left_out");
    const json_t *sizes = json_object_get(report, "cluster_sizes");
    fprintf(out, "clusters   %lld, of %lld items in %lld partition%s\n",
            (long long)integer(report, "clusters"), (long long)items,
            (long long)integer(report, "partition_count"),
            integer(report, "partition_count") == 1 ? "" : "s");
    fprintf(out, "noise      %lld items (%.1f %%)\n", (long long)noise, share(noise, items));
    if (json_object_get(report, "search"))
        fprintf(out, "search     %s\n", json_string_value(json_object_get(report, "search")));
    if (json_is_object(sizes))
        fprintf(out, "sizes      %lld smallest, %lld median, %lld largest\n",
                (long long)integer(sizes, "min"), (long long)integer(sizes, "median"),
                (long long)integer(sizes, "max"));
    if (left_out)
        fprintf(out, "left out   %lld rows that cannot be used; the report lists them\n",
                (long long)left_out);
}

static void print_largest(const json_t *report, FILE *out)
{
    static const text_column_t COLUMNS[] = {{"size", 1, 0}, {"similarity", 1, 0}, {"label", 0, 80}};
    size_t i;
    json_t *cluster;
    text_table_t *table = text_table_new(COLUMNS, 3);
    json_array_foreach(json_object_get(report, "largest"), i, cluster)
    {
        char size[32];
        char similarity[32];
        const char *cells[] = {size, similarity,
                               json_string_value(json_object_get(cluster, "label"))};
        snprintf(size, sizeof size, "%lld", (long long)integer(cluster, "size"));
        snprintf(similarity, sizeof similarity, "%.3f",
                 json_number_value(json_object_get(cluster, "intra_cluster_similarity")));
        if (table)
            text_table_add(table, cells);
    }
    if (table && text_table_rows(table)) {
        fputs("\nlargest clusters\n", out);
        text_table_print(table, "  ", out);
    }
    text_table_destroy(&table);
}

static void print_phase(const char *name, double seconds, double whole, FILE *out)
{
    char words[32];
    duration_words(seconds, words);
    fprintf(out, "  %10s  %3.0f %%  ", words, whole > 0 ? 100 * seconds / whole : 0);
    text_print(name, 60, out);
    fputc('\n', out);
}

static void print_times(const json_t *report, FILE *out)
{
    const json_t *times = json_object_get(report, "times");
    double whole = json_number_value(json_object_get(report, "seconds"));
    double rest = 0;
    char words[32];
    duration_words(whole, words);
    fprintf(out, "\ntime       %s\n", words);
    for (size_t i = 0; i < json_array_size(times); i++) {
        const json_t *time = json_array_get(times, i);
        double seconds = json_number_value(json_object_get(time, "seconds"));
        const char *name = json_string_value(json_object_get(time, "phase"));
        if (i < SHOWN_PHASES)
            print_phase(name ? name : "", seconds, whole, out);
        else
            rest += seconds;
    }
    if (rest > 0)
        print_phase("further phases", rest, whole, out);
}

void summary_print(const json_t *report, const char *output, FILE *out)
{
    const json_t *file = json_object_get(report, "output");
    const char *name = output ? output : json_string_value(json_object_get(file, "name"));
    const char *sha256 = json_string_value(json_object_get(file, "sha256"));
    print_counts(report, out);
    print_largest(report, out);
    print_times(report, out);
    fputs("\noutput     ", out);
    text_print(name ? name : "", 0, out);
    fprintf(out, ", %lld bytes\nsha256     %s\n", (long long)integer(file, "bytes"),
            sha256 ? sha256 : "");
}
