/* Lines made by several threads come in the order of their clusters, and are what one thread makes. */
#include "coordinator/output/line_maker.h"

#include "common/input/flat_index.h"
#include "coordinator/output/cluster_build.h"
#include "coordinator/output/cluster_line.h"
#include "lib/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WIKI TEST_DATA "/wiki2015"
#define CLUSTERS 150u /* pieces are taken from every thread several times over */
#define SUMMARIES 3u
#define DIMENSION 4u

typedef struct {
    test_folder_t folder;
    spool_t *spool;
    catalog_t *catalog;
    uint32_t begin[CLUSTERS + 1];
    job_spec_t spec;
    outcome_view_t *view;
    cluster_source_t source;
} fixture_t;

static sha256_t put(fixture_t *self, columns_writer_t *writer)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    sha256_t name;
    assert_int_equal(columns_writer_finish(&writer, &bytes, &length, NULL), OK);
    assert_int_equal(spool_put(self->spool, "job", bytes, length, &name, NULL), OK);
    free(bytes);
    return name;
}

static sha256_t put_plan(fixture_t *self, uint32_t slots)
{
    const uint32_t begin[2] = {0, slots}, dimension = DIMENSION;
    const char *name = "";
    columns_writer_t *writer = columns_writer_new("plan");
    columns_put(writer, "rows", COLUMN_U32, catalog_id_order(self->catalog), slots);
    columns_put(writer, "partition_begin", COLUMN_U32, begin, 2);
    columns_put_strings(writer, "partition_name", &name, 1);
    columns_put(writer, "dimension", COLUMN_U32, &dimension, 1);
    return put(self, writer);
}

/* Cluster c has 1 + c % 7 members, but one that has more than a whole piece. */
static uint32_t size_of(uint32_t cluster) { return cluster == 40 ? 900 : 1 + cluster % 7; }

static sha256_t put_labels(fixture_t *self, uint32_t slots)
{
    columns_writer_t *writer = columns_writer_new("labels");
    int32_t *label = columns_make(writer, "label", COLUMN_I32, slots);
    for (uint32_t c = 0; c < CLUSTERS; c++)
        for (uint32_t slot = self->begin[c]; slot < self->begin[c + 1]; slot++)
            label[slot] = (int32_t)c;
    columns_make(writer, "strength", COLUMN_F32, slots);
    columns_make(writer, "outlier", COLUMN_F32, slots);
    columns_make(writer, "cluster_partition", COLUMN_U32, CLUSTERS);
    columns_make(writer, "persistence", COLUMN_F64, CLUSTERS);
    return put(self, writer);
}

static sha256_t put_members(fixture_t *self, uint32_t slots)
{
    columns_writer_t *writer = columns_writer_new("members");
    columns_put(writer, "cluster_begin", COLUMN_U32, self->begin, CLUSTERS + 1);
    uint32_t *member = columns_make(writer, "member", COLUMN_U32, slots);
    for (uint32_t slot = 0; slot < slots; slot++)
        member[slot] = slot;
    return put(self, writer);
}

static sha256_t put_summary(fixture_t *self, uint32_t first, uint32_t last)
{
    uint32_t members = self->begin[last] - self->begin[first];
    columns_writer_t *writer = columns_writer_new("summary");
    float *centroid =
        columns_make(writer, "centroid", COLUMN_F32, (size_t)(last - first) * DIMENSION);
    for (uint32_t i = 0; i < (last - first) * DIMENSION; i++)
        centroid[i] = (float)(first * DIMENSION + i) / 3.0f;
    columns_make(writer, "similarity_mean", COLUMN_F64, last - first);
    float *similarity = columns_make(writer, "similarity", COLUMN_F32, members);
    for (uint32_t i = 0; i < members; i++)
        similarity[i] = (float)(self->begin[first] + i) / 7.0f;
    columns_make(writer, "typical", COLUMN_U32, (size_t)(last - first) * TYPICAL_COUNT);
    return put(self, writer);
}

/* Without the last summary when `lost`. */
static sha256_t put_outcome(fixture_t *self, int lost)
{
    uint32_t slots = self->begin[CLUSTERS], segments[SUMMARIES + 1] = {0};
    sha256_t summaries[SUMMARIES], plan = put_plan(self, slots), labels = put_labels(self, slots);
    sha256_t members = put_members(self, slots);
    const char *report = "{}";
    for (uint32_t s = 0; s < SUMMARIES; s++) {
        segments[s + 1] = CLUSTERS * (s + 1) / SUMMARIES;
        summaries[s] = put_summary(self, segments[s], segments[s + 1]);
    }
    if (lost)
        memset(&summaries[SUMMARIES - 1], 0, sizeof *summaries);
    columns_writer_t *writer = columns_writer_new("outcome");
    columns_put(writer, "plan", COLUMN_U8, plan.bytes, 32);
    columns_put(writer, "labels", COLUMN_U8, labels.bytes, 32);
    columns_put(writer, "members", COLUMN_U8, members.bytes, 32);
    columns_put(writer, "summary", COLUMN_U8, summaries, sizeof summaries);
    columns_put(writer, "segment_begin", COLUMN_U32, segments, SUMMARIES + 1);
    columns_put_strings(writer, "report", &report, 1);
    return put(self, writer);
}

static void open_outcome(fixture_t *self, int lost)
{
    sha256_t state = put_outcome(self, lost);
    outcome_view_close(&self->view);
    assert_int_equal(outcome_view_open(self->spool, "job", &state, &self->view, NULL), OK);
    self->source = (cluster_source_t){&self->spec, job_spec_identity(&self->spec), self->catalog,
                                      NULL, self->view};
}

static int set_up(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    char path[512];
    self->folder = folder_new();
    *state = self;
    job_spec_init(&self->spec);
    self->spec.level = LEVEL_ENTITIES;
    for (uint32_t c = 0; c < CLUSTERS; c++)
        self->begin[c + 1] = self->begin[c] + size_of(c);
    flat_index_t *index;
    assert_int_equal(flat_index_open(WIKI "/entities.index", 768, &index, NULL), OK);
    assert_int_equal(catalog_open(WIKI "/entities_metadata.json", LEVEL_ENTITIES,
                                  flat_index_rows(index), NULL, 0, &self->catalog, NULL),
                     OK);
    flat_index_close(&index);
    assert_true(catalog_valid_rows(self->catalog) >= self->begin[CLUSTERS]);
    return spool_open(folder_path(&self->folder, "spool", path), &self->spool, NULL);
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    outcome_view_close(&self->view);
    catalog_close(&self->catalog);
    spool_close(&self->spool);
    job_spec_clear(&self->spec);
    folder_destroy(&self->folder);
    free(self);
    return 0;
}

static void lines_come_in_order_and_as_one_thread_makes_them(void **state)
{
    fixture_t *self = *state;
    line_maker_t *maker;
    cluster_t cluster = {0};
    json_text_t line = {0};
    const made_line_t *made;
    open_outcome(self, 0);
    assert_int_equal(line_maker_new(&self->source, &maker, NULL), OK);
    for (uint32_t i = 0; i < CLUSTERS; i++) {
        assert_int_equal(line_maker_next(maker, &made, NULL), OK);
        assert_non_null(made);
        assert_int_equal(cluster_build(&cluster, &self->source, i, NULL), OK);
        assert_int_equal(cluster_line(&cluster, &self->source, &line, NULL), OK);
        assert_string_equal(made->cluster.id, cluster.id);
        assert_int_equal(made->line.length, line.length);
        assert_memory_equal(made->line.bytes, line.bytes, line.length);
    }
    assert_int_equal(line_maker_next(maker, &made, NULL), OK);
    assert_null(made);
    line_maker_destroy(&maker);
    cluster_clear(&cluster);
    json_text_clear(&line);
}

static void a_summary_that_is_lost_is_an_error_at_its_place(void **state)
{
    fixture_t *self = *state;
    line_maker_t *maker;
    const made_line_t *made;
    error_t error = ERROR_INIT;
    uint32_t count = 0;
    open_outcome(self, 1);
    assert_int_equal(line_maker_new(&self->source, &maker, NULL), OK);
    while (line_maker_next(maker, &made, &error) == OK && made)
        count++;
    assert_int_equal(error.code, ERR_NOT_FOUND);
    assert_in_range(count, CLUSTERS / SUMMARIES, CLUSTERS * (SUMMARIES - 1) / SUMMARIES);
    line_maker_destroy(&maker);
}

static void one_may_leave_before_the_end(void **state)
{
    fixture_t *self = *state;
    line_maker_t *maker;
    const made_line_t *made;
    open_outcome(self, 0);
    assert_int_equal(line_maker_new(&self->source, &maker, NULL), OK);
    assert_int_equal(line_maker_next(maker, &made, NULL), OK);
    line_maker_destroy(&maker);
    assert_null(maker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_in_order_and_as_one_thread_makes_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_summary_that_is_lost_is_an_error_at_its_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_may_leave_before_the_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
