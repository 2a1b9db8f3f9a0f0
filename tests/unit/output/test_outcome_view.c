/* An outcome whose payloads contradict each other is refused, whatever the contradiction. */
#include "coordinator/output/outcome_view.h"
#include "lib/folder.h"
#include "proto/columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

/* Two clusters of two in two partitions, one noise slot, vectors of two numbers. */
typedef struct {
    uint32_t rows[5];
    int32_t label[5];
    float strength[5];
    uint32_t cluster_partition[2];
    uint32_t cluster_begin[3];
    uint32_t member[4];
    uint32_t segment_begin[3];
    float centroid[2]; /* of each */
    double mean;
    float similarity[2];
    uint32_t typical[TYPICAL_COUNT];
    size_t partitions;
} made_t;

static made_t sound(void)
{
    return (made_t){
        .rows = {9, 7, 5, 3, 1},
        .label = {0, 0, -1, 1, 1},
        .strength = {1, 0.5f, 0, 1, 1},
        .cluster_partition = {0, 1},
        .cluster_begin = {0, 2, 4},
        .member = {0, 1, 3, 4},
        .segment_begin = {0, 1, 2},
        .centroid = {1, 0},
        .mean = 0.5,
        .similarity = {0.75f, 0.25f},
        .typical = {0, 1, SLOT_NONE, SLOT_NONE, SLOT_NONE},
        .partitions = 2,
    };
}

static sha256_t put(spool_t *spool, columns_writer_t *writer)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    sha256_t name;
    assert_int_equal(columns_writer_finish(&writer, &bytes, &length, NULL), OK);
    assert_int_equal(spool_put(spool, "job", bytes, length, &name, NULL), OK);
    free(bytes);
    return name;
}

static sha256_t put_plan(spool_t *spool, const made_t *made)
{
    const uint32_t begin[3] = {0, 3, 5};
    const uint32_t dimension = 2;
    const char *names[2] = {"domain=a", "domain=b"};
    columns_writer_t *writer = columns_writer_new("plan");
    columns_put(writer, "rows", COLUMN_U32, made->rows, 5);
    columns_put(writer, "partition_begin", COLUMN_U32, begin, made->partitions + 1);
    columns_put_strings(writer, "partition_name", names, made->partitions);
    columns_put(writer, "dimension", COLUMN_U32, &dimension, 1);
    return put(spool, writer);
}

static sha256_t put_labels(spool_t *spool, const made_t *made)
{
    const double persistence[2] = {0.5, 0.25};
    columns_writer_t *writer = columns_writer_new("labels");
    columns_put(writer, "label", COLUMN_I32, made->label, 5);
    columns_put(writer, "strength", COLUMN_F32, made->strength, 5);
    columns_put(writer, "outlier", COLUMN_F32, made->strength, 5);
    columns_put(writer, "cluster_partition", COLUMN_U32, made->cluster_partition, 2);
    columns_put(writer, "persistence", COLUMN_F64, persistence, 2);
    return put(spool, writer);
}

static sha256_t put_members(spool_t *spool, const made_t *made)
{
    columns_writer_t *writer = columns_writer_new("members");
    columns_put(writer, "cluster_begin", COLUMN_U32, made->cluster_begin, 3);
    columns_put(writer, "member", COLUMN_U32, made->member, 4);
    return put(spool, writer);
}

static sha256_t put_summary(spool_t *spool, const made_t *made)
{
    columns_writer_t *writer = columns_writer_new("summary");
    columns_put(writer, "centroid", COLUMN_F32, made->centroid, 2);
    columns_put(writer, "similarity_mean", COLUMN_F64, &made->mean, 1);
    columns_put(writer, "similarity", COLUMN_F32, made->similarity, 2);
    columns_put(writer, "typical", COLUMN_U32, made->typical, TYPICAL_COUNT);
    return put(spool, writer);
}

static sha256_t put_outcome(spool_t *spool, const made_t *made)
{
    sha256_t plan = put_plan(spool, made);
    sha256_t labels = put_labels(spool, made);
    sha256_t members = put_members(spool, made);
    sha256_t summary = put_summary(spool, made);
    uint8_t summaries[64];
    const char *report = "{}";
    memcpy(summaries, summary.bytes, 32);
    memcpy(summaries + 32, summary.bytes, 32);
    columns_writer_t *writer = columns_writer_new("outcome");
    columns_put(writer, "plan", COLUMN_U8, plan.bytes, 32);
    columns_put(writer, "labels", COLUMN_U8, labels.bytes, 32);
    columns_put(writer, "members", COLUMN_U8, members.bytes, 32);
    columns_put(writer, "summary", COLUMN_U8, summaries, 64);
    columns_put(writer, "segment_begin", COLUMN_U32, made->segment_begin, 3);
    columns_put_strings(writer, "report", &report, 1);
    return put(spool, writer);
}

/* Opens the outcome and goes through its clusters: the first code that is not OK. */
static int walk(const made_t *made, char names[2][16])
{
    test_folder_t folder = folder_new();
    spool_t *spool = NULL;
    outcome_view_t *view = NULL;
    assert_int_equal(spool_open(folder.path, &spool, NULL), OK);
    sha256_t state = put_outcome(spool, made);
    int code = outcome_view_open(spool, "job", &state, &view, NULL);
    for (uint32_t i = 0; code == OK && i < outcome_clusters(view); i++) {
        outcome_cluster_t cluster;
        code = outcome_cluster(view, i, &cluster, NULL);
        if (code == OK)
            snprintf(names[i], 16, "%.*s/%u", (int)cluster.partition_length, cluster.partition,
                     cluster.slots[0]);
    }
    outcome_view_close(&view);
    spool_close(&spool);
    folder_destroy(&folder);
    return code;
}

static void a_sound_outcome_is_walked(void **state)
{
    (void)state;
    made_t made = sound();
    char names[2][16];
    assert_int_equal(walk(&made, names), OK);
    assert_string_equal(names[0], "domain=a/0");
    assert_string_equal(names[1], "domain=b/3");
}

static void every_contradiction_is_refused(void **state)
{
    (void)state;
    char names[2][16];
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        made_t made = sound();                                                                     \
        change;                                                                                    \
        assert_int_equal(walk(&made, names), ERR_PROTOCOL);                                        \
    } while (0)
    REFUSED(made.label[0] = 2);
    REFUSED(made.label[0] = -2);
    REFUSED(made.label[0] = 1);
    REFUSED(made.strength[4] = NAN);
    REFUSED(made.cluster_partition[1] = 2);
    REFUSED(made.partitions = 1);
    REFUSED(made.cluster_begin[0] = 1);
    REFUSED(made.cluster_begin[1] = 0);
    REFUSED(made.cluster_begin[1] = 5);
    REFUSED(made.cluster_begin[2] = 3);
    REFUSED(made.member[0] = 5);
    REFUSED(made.member[0] = 2);
    REFUSED(made.member[3] = UINT32_MAX);
    REFUSED(made.segment_begin[0] = 1);
    REFUSED(made.segment_begin[1] = 3);
    REFUSED(made.segment_begin[1] = 2);
    REFUSED(made.segment_begin[2] = 1);
    REFUSED(made.centroid[1] = INFINITY);
    REFUSED(made.mean = NAN);
    REFUSED(made.similarity[0] = NAN);
    REFUSED(made.typical[1] = 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_outcome_is_walked),
        cmocka_unit_test(every_contradiction_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
