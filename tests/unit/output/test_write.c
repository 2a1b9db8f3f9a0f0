#include "lib/write_fixture.h"

#include <math.h>
#include <sys/stat.h>

/* Line `number` of the job's file as JSON. */
static json_t *read_line(write_fixture_t *self, const job_t *job, int number)
{
    char name[256];
    size_t length;
    snprintf(name, sizeof name, "clustered_%s_%s.jsonl", level_plural(job->level), job->job_id);
    char *bytes = read_file(self->output, name, &length);
    char *line = bytes;
    while (number-- > 0)
        line = strchr(line, '\n') + 1;
    json_t *value = json_loadb(line, strcspn(line, "\n"), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(value);
    free(bytes);
    return value;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static json_t *metadata_of(level_t level)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s_metadata.json", WIKI, level_plural(level));
    json_t *value = json_load_file(path, 0, NULL);
    assert_non_null(value);
    return value;
}

static json_t *entry_of(const json_t *metadata, const char *vector_id)
{
    json_t *entry = json_object_get(json_object_get(metadata, "metadata_store"), vector_id);
    assert_non_null(entry);
    return entry;
}

static void sizes_fall_and_lists_agree(const json_t *line, json_int_t *last)
{
    json_int_t size = json_integer_value(json_object_get(line, "cluster_size"));
    const json_t *ids = json_object_get(line, "member_ids");
    const json_t *members = json_object_get(line, "members");
    assert_true(size > 0 && size <= *last);
    *last = size;
    assert_int_equal(json_array_size(ids), size);
    assert_int_equal(json_array_size(members), size);
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        assert_string_equal(text_of(member, "id"), json_string_value(json_array_get(ids, i)));
        assert_string_equal(text_of(member, "assignment"), "core");
        if (i)
            assert_true(strcmp(text_of(json_array_get(members, i - 1), "vector_id"),
                               text_of(member, "vector_id")) < 0);
    }
}

static void strings_are_sorted_and_distinct(const json_t *array)
{
    assert_true(json_is_array(array));
    for (size_t i = 1; i < json_array_size(array); i++)
        assert_true(strcmp(json_string_value(json_array_get(array, i - 1)),
                           json_string_value(json_array_get(array, i))) < 0);
}

/* Against the metadata file itself, read by another reader. */
static void span_is_that_of_the_members(const json_t *line, const json_t *metadata,
                                        const char *start_key)
{
    const char *first = NULL;
    const char *last = NULL;
    size_t i;
    json_t *member;
    json_array_foreach(json_object_get(line, "members"), i, member)
    {
        json_t *fields =
            json_object_get(entry_of(metadata, text_of(member, "vector_id")), "metadata");
        json_t *span = json_object_get(fields, start_key);
        const char *start = json_string_value(json_is_array(span) ? json_array_get(span, 0) : span);
        const char *end = json_string_value(json_is_array(span) ? json_array_get(span, 1) : span);
        first = start && (!first || strcmp(start, first) < 0) ? start : first;
        last = end && (!last || strcmp(end, last) > 0) ? end : last;
    }
    const json_t *span = json_object_get(line, "temporal_span");
    if (!first) {
        assert_true(json_is_null(span));
        return;
    }
    assert_string_equal(json_string_value(json_array_get(span, 0)), first);
    assert_string_equal(json_string_value(json_array_get(span, 1)), last);
}

static void every_level_is_written_as_its_schema_says(void **state)
{
    write_fixture_t *self = *state;
    static const struct {
        const char *own[3];
        const char *time;
    } levels[LEVEL_COUNT] = {
        {{"document_ids"}, "publication_date"},
        {{"event_ids"}, "temporal_reference"},
        {{"entity_mentions", "canonical_entity", "entity_type"}, "none"},
        {{"storyline_ids", "event_ids"}, "temporal_span"},
    };
    for (int level = 0; level < LEVEL_COUNT; level++) {
        job_t job = {level_plural((level_t)level), WIKI, (level_t)level, 0, 1};
        json_t *metadata = metadata_of(job.level);
        json_int_t last = 1 << 30;
        write_ok(self, &job);
        for (int i = 0; i < OUTCOME_CLUSTERS; i++) {
            json_t *line = read_line(self, &job, i);
            assert_string_equal(text_of(line, "cluster_type"), level_singular(job.level));
            assert_true(strlen(text_of(line, "cluster_label")) > 0);
            sizes_fall_and_lists_agree(line, &last);
            for (size_t k = 0; k < 3 && levels[level].own[k]; k++)
                assert_non_null(json_object_get(line, levels[level].own[k]));
            strings_are_sorted_and_distinct(json_object_get(line, "document_ids"));
            assert_int_equal(json_array_size(json_object_get(line, "centroid_vector")), 768);
            assert_int_equal(json_array_size(json_object_get(line, "representative_ids")), 4);
            span_is_that_of_the_members(line, metadata, levels[level].time);
            assert_string_equal(text_of(json_object_get(line, "metadata"), "timestamp"),
                                "2015-09-12T00:00:00Z");
            json_decref(line);
        }
        json_decref(metadata);
    }
}

/* In how many of the cluster's documents an entity is mentioned, by going through all of them. */
static int documents_with(const json_t *entities, const json_t *documents, const char *text)
{
    int count = 0;
    size_t i;
    json_t *document;
    json_array_foreach(documents, i, document)
    {
        const char *key;
        json_t *entry;
        int found = 0;
        json_object_foreach(json_object_get(entities, "metadata_store"), key, entry)
        {
            json_t *fields = json_object_get(entry, "metadata");
            found |= !strcmp(text_of(fields, "document_id"), json_string_value(document)) &&
                     !strcmp(text_of(fields, "entity_text"), text);
        }
        count += found;
    }
    return count;
}

static void entities_of_events_come_from_their_documents(void **state)
{
    write_fixture_t *self = *state;
    job_t job = {"events", WIKI, LEVEL_EVENTS, 0, 1};
    write_ok(self, &job);
    json_t *entities = metadata_of(LEVEL_ENTITIES);
    json_t *line = read_line(self, &job, 2);
    json_t *primary = json_object_get(line, "primary_entities");
    int last = 1 << 30;
    assert_int_equal(json_array_size(primary), 10);
    for (size_t i = 0; i < json_array_size(primary); i++) {
        int count = documents_with(entities, json_object_get(line, "document_ids"),
                                   json_string_value(json_array_get(primary, i)));
        assert_true(count > 0 && count <= last);
        if (count == last)
            assert_true(strcmp(json_string_value(json_array_get(primary, i - 1)),
                               json_string_value(json_array_get(primary, i))) < 0);
        last = count;
    }
    json_decref(line);
    json_decref(entities);
}

static void all_metadata_is_passed_through(void **state)
{
    write_fixture_t *self = *state;
    for (int level = 0; level < LEVEL_COUNT; level++) {
        job_t job = {level_plural((level_t)level), WIKI, (level_t)level, 1, 1};
        json_t *metadata = metadata_of(job.level);
        write_ok(self, &job);
        json_t *line = read_line(self, &job, 1);
        size_t i;
        json_t *member;
        json_array_foreach(json_object_get(line, "members"), i, member)
        {
            json_t *entry = entry_of(metadata, text_of(member, "vector_id"));
            assert_true(json_equal(json_object_get(member, "metadata"),
                                   json_object_get(entry, "metadata")));
        }
        json_decref(line);
        json_decref(metadata);
    }
}

/* The mean of the members' vectors, scaled to unit length, in float64 from the index itself. */
static void mean_of(const flat_index_t *index, const json_t *ids, const json_t *members,
                    double mean[OUTCOME_DIMENSION])
{
    float vector[OUTCOME_DIMENSION];
    double norm = 0;
    size_t i;
    json_t *member;
    memset(mean, 0, OUTCOME_DIMENSION * sizeof *mean);
    json_array_foreach(members, i, member)
    {
        json_int_t row = json_integer_value(json_object_get(ids, text_of(member, "vector_id")));
        assert_int_equal(flat_index_read(index, (uint32_t)row, 1, vector, NULL), OK);
        for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
            mean[d] += (double)vector[d];
    }
    for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
        norm += mean[d] * mean[d];
    for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
        mean[d] /= sqrt(norm);
}

static void centroid_and_similarities_are_the_clusters_own(void **state)
{
    write_fixture_t *self = *state;
    job_t job = {"job", WIKI, LEVEL_STORYLINES, 0, 1};
    flat_index_t *index = NULL;
    json_t *metadata = metadata_of(job.level);
    const json_t *ids = json_object_get(metadata, "id_map");
    write_ok(self, &job);
    assert_int_equal(flat_index_open(WIKI "/storylines.index", OUTCOME_DIMENSION, &index, NULL),
                     OK);
    for (int i = 0; i < OUTCOME_CLUSTERS; i++) {
        json_t *line = read_line(self, &job, i);
        const json_t *members = json_object_get(line, "members");
        double mean[OUTCOME_DIMENSION];
        float vector[OUTCOME_DIMENSION];
        size_t m;
        json_t *member;
        mean_of(index, ids, members, mean);
        for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
            assert_true(fabs(json_number_value(
                                 json_array_get(json_object_get(line, "centroid_vector"), d)) -
                             mean[d]) < 1e-6);
        json_array_foreach(members, m, member)
        {
            double dot = 0;
            json_int_t row = json_integer_value(json_object_get(ids, text_of(member, "vector_id")));
            flat_index_read(index, (uint32_t)row, 1, vector, NULL);
            for (size_t d = 0; d < OUTCOME_DIMENSION; d++)
                dot += mean[d] * (double)vector[d];
            assert_true(fabs(json_number_value(json_object_get(member, "similarity")) - dot) <
                        1e-5);
        }
        json_decref(line);
    }
    json_decref(metadata);
    flat_index_close(&index);
}

static void writing_twice_gives_the_same_bytes(void **state)
{
    write_fixture_t *self = *state;
    job_t job = {"twice", WIKI, LEVEL_EVENTS, 1, 1};
    const char *name = "clustered_events_twice.jsonl";
    size_t first_length;
    size_t second_length;
    write_ok(self, &job);
    char *first = read_file(self->output, name, &first_length);
    write_ok(self, &job); /* the same epoch */
    job.epoch = 2;
    write_ok(self, &job); /* after a recovery */
    char *second = read_file(self->output, name, &second_length);
    assert_int_equal(first_length, second_length);
    assert_memory_equal(first, second, first_length);
    assert_int_equal(visible_files(self, 1), 2); /* the file and the daily name */
    free(first);
    free(second);
}

static void two_jobs_differ_in_nothing_but_the_name(void **state)
{
    write_fixture_t *self = *state;
    job_t one = {"one", WIKI, LEVEL_ENTITIES, 0, 1};
    job_t two = {"two", WIKI, LEVEL_ENTITIES, 0, 7};
    size_t first_length;
    size_t second_length;
    write_ok(self, &one);
    write_ok(self, &two);
    char *first = read_file(self->output, "clustered_entities_one.jsonl", &first_length);
    char *second = read_file(self->output, "clustered_entities_two.jsonl", &second_length);
    assert_int_equal(first_length, second_length);
    assert_memory_equal(first, second, first_length);
    free(first);
    free(second);
}

static void the_daily_name_leads_to_the_newest_job(void **state)
{
    write_fixture_t *self = *state;
    job_t one = {"one", WIKI, LEVEL_STORYLINES, 0, 1};
    job_t two = {"two", WIKI, LEVEL_STORYLINES, 0, 1};
    char path[600];
    char target[256] = "";
    snprintf(path, sizeof path, "%s/clustered_storylines_2015-09-12.jsonl", self->output);
    write_ok(self, &one);
    assert_true(readlink(path, target, sizeof target - 1) > 0);
    assert_string_equal(target, "clustered_storylines_one.jsonl");
    write_ok(self, &two);
    memset(target, 0, sizeof target);
    assert_true(readlink(path, target, sizeof target - 1) > 0);
    assert_string_equal(target, "clustered_storylines_two.jsonl");
}

static void the_report_and_the_store_agree_with_the_file(void **state)
{
    write_fixture_t *self = *state;
    job_t job = {"job", WIKI, LEVEL_EVENTS, 0, 1};
    char *text = NULL;
    char *stored = NULL;
    char hex[65];
    size_t length;
    result_statistics_t statistics;
    cluster_page_t page;
    assert_int_equal(write_job(self, &job, &text, NULL), OK);
    json_t *report = json_loads(text, 0, NULL);
    char *bytes = read_file(self->output, "clustered_events_job.jsonl", &length);
    sha256_t sha256 = sha256_of(bytes, length);
    sha256_hex(&sha256, hex);
    const json_t *output = json_object_get(report, "output");
    assert_string_equal(text_of(output, "sha256"), hex);
    assert_string_equal(text_of(output, "name"), "clustered_events_job.jsonl");
    assert_int_equal(json_integer_value(json_object_get(output, "bytes")), length);
    assert_int_equal(json_integer_value(json_object_get(report, "items")), 428);
    assert_int_equal(json_integer_value(json_object_get(report, "noise")), 43);
    assert_int_equal(json_integer_value(json_object_get(report, "clusters")), 3);
    assert_int_equal(json_integer_value(json_object_get(report, "partitions")), 1);
    assert_int_equal(json_array_size(json_object_get(report, "largest")), 3);
    assert_string_equal(text_of(report, "primary_entities"), "the entities level");
    self->results->verbs->statistics(self->results, &statistics, NULL);
    assert_int_equal(statistics.clusters[LEVEL_EVENTS], 3);
    assert_int_equal(statistics.members[LEVEL_EVENTS], 385);
    assert_int_equal(statistics.noise[LEVEL_EVENTS], 43);
    cluster_query_t query = {
        .level = -1, .time_from_ms = TIME_NONE, .time_to_ms = TIME_NONE, .limit = 10};
    assert_int_equal(self->results->verbs->clusters(self->results, &query, &page, NULL), OK);
    char *line = bytes;
    for (size_t i = 0; i < page.count; i++) { /* one partition: the file has the same order */
        assert_int_equal(strcspn(line, "\n"), strlen(page.json[i]));
        assert_memory_equal(line, page.json[i], strlen(page.json[i]));
        line = strchr(line, '\n') + 1;
    }
    assert_int_equal(*line, 0);
    assert_int_equal(self->results->verbs->job(self->results, "job", &stored, NULL), OK);
    assert_non_null(strstr(stored, hex));
    cluster_page_clear(&page);
    json_decref(report);
    free(stored);
    free(bytes);
    free(text);
}

/* ---- the same rows in another order ---- */

static void copy_permuted_index(const char *from, const char *to, size_t rows)
{
    size_t length;
    char *bytes = read_file(from, "", &length);
    size_t row = 768 * sizeof(float);
    size_t header = length - rows * row;
    FILE *file = fopen(to, "wb");
    fwrite(bytes, 1, header, file);
    for (size_t i = 0; i < rows; i++)
        fwrite(bytes + header + (rows - 1 - i) * row, 1, row, file);
    fclose(file);
    free(bytes);
}

static void copy_permuted_metadata(json_t *metadata, const char *to)
{
    json_t *reverse = json_object();
    json_t *ids = json_object_get(metadata, "id_map");
    json_int_t rows = (json_int_t)json_object_size(ids);
    const char *vector_id;
    json_t *position;
    json_object_foreach(ids, vector_id, position)
    {
        char number[24];
        json_int_t place = rows - 1 - json_integer_value(position);
        json_integer_set(position, place);
        snprintf(number, sizeof number, "%lld", (long long)place);
        json_object_set_new(reverse, number, json_string(vector_id));
    }
    json_object_set_new(metadata, "reverse_id_map", reverse);
    assert_int_equal(json_dump_file(metadata, to, JSON_INDENT(2)), 0);
}

static void permuted_rows_give_the_same_clusters(void **state)
{
    write_fixture_t *self = *state;
    char path[600];
    char from[512];
    char permuted[512];
    mkdir(folder_path(&self->folder, "permuted", permuted), 0700);
    json_t *metadata = metadata_of(LEVEL_STORYLINES);
    size_t rows = json_object_size(json_object_get(metadata, "id_map"));
    snprintf(from, sizeof from, "%s/storylines.index", WIKI);
    snprintf(path, sizeof path, "%s/storylines.index", permuted);
    copy_permuted_index(from, path, rows);
    snprintf(path, sizeof path, "%s/storylines_metadata.json", permuted);
    copy_permuted_metadata(metadata, path);
    json_decref(metadata);
    job_t one = {"one", WIKI, LEVEL_STORYLINES, 1, 1};
    job_t two = {"two", permuted, LEVEL_STORYLINES, 1, 1};
    size_t first_length;
    size_t second_length;
    write_ok(self, &one);
    write_ok(self, &two);
    char *first = read_file(self->output, "clustered_storylines_one.jsonl", &first_length);
    char *second = read_file(self->output, "clustered_storylines_two.jsonl", &second_length);
    assert_int_equal(first_length, second_length);
    assert_memory_equal(first, second, first_length);
    free(first);
    free(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_level_is_written_as_its_schema_says),
        TEST(entities_of_events_come_from_their_documents),
        TEST(all_metadata_is_passed_through),
        TEST(centroid_and_similarities_are_the_clusters_own),
        TEST(writing_twice_gives_the_same_bytes),
        TEST(two_jobs_differ_in_nothing_but_the_name),
        TEST(the_daily_name_leads_to_the_newest_job),
        TEST(the_report_and_the_store_agree_with_the_file),
        TEST(permuted_rows_give_the_same_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
