#include "naive.h"

#include "proto/job_spec.h"

/* Every second slot is in a cluster: the first alone, then four, then all others. */
static void put_inputs(fixture_t *self, uint32_t sampled)
{
    uint32_t count = self->slots / 2;
    const uint32_t begin[] = {0, 1, 5, count};
    uint32_t *member = malloc((count + 1) * sizeof *member);
    uint32_t *cluster = malloc((count + 1) * sizeof *cluster);
    for (uint32_t i = 0; i < count; i++) {
        member[i] = 2 * i;
        cluster[i] = i < 1 ? 0 : i < 5 ? 1 : 2;
    }
    columns_writer_t *writer = columns_writer_new("members");
    columns_put(writer, "cluster_begin", COLUMN_U32, begin, 4);
    columns_put(writer, "member", COLUMN_U32, member, count);
    fixture_finish_input(self, "members", writer);
    writer = columns_writer_new("sample");
    columns_put(writer, "slot", COLUMN_U32, member, sampled);
    columns_put(writer, "cluster", COLUMN_U32, cluster, sampled);
    fixture_finish_input(self, "sample", writer);
    self->task.kind = TASK_SILHOUETTE;
    free(member);
    free(cluster);
}

static double mean_to(const fixture_t *self, uint32_t slot, uint32_t begin, uint32_t end,
                      metric_t metric)
{
    double sum = 0, others = 0;
    for (uint32_t i = begin; i < end; i++) {
        sum += metric_distance(metric, naive_between(self, slot, 2 * i));
        others += slot != 2 * i;
    }
    return others > 0 ? sum / others : -1;
}

static void means_are_those_of_the_naive_model(void **state)
{
    (void)state;
    for (int run = 0; run < 4; run++) {
        metric_t metric = run % 2 ? METRIC_EUCLIDEAN : METRIC_COSINE;
        size_t length;
        fixture_t fixture;
        fixture_init(&fixture, 400, 40, 6);
        fixture_compute(&fixture, run / 2 ? 3 : 1, NULL, SCREEN_AUTO);
        put_inputs(&fixture, 90);
        fixture_param(&fixture, "euclidean", metric == METRIC_EUCLIDEAN);
        fixture_segment(&fixture, 0, 0, 3);
        uint8_t *payload = fixture_run(&fixture, &length);
        columns_t *columns = fixture_result(payload, length, "silhouette");
        const double *own = fixture_column(columns, "own", COLUMN_F64, 90);
        const double *other = fixture_column(columns, "other", COLUMN_F64, 90);
        for (uint32_t s = 0; s < 90; s++) {
            const double mean[] = {mean_to(&fixture, 2 * s, 0, 1, metric),
                                   mean_to(&fixture, 2 * s, 1, 5, metric),
                                   mean_to(&fixture, 2 * s, 5, 200, metric)};
            int cluster = s < 1 ? 0 : s < 5 ? 1 : 2;
            assert_true(own[s] == mean[cluster]);
            assert_true(other[s] == fmin(mean[(cluster + 1) % 3], mean[(cluster + 2) % 3]));
        }
        columns_close(&columns);
        free(payload);
        fixture_clear(&fixture);
    }
}

static double simplified_of(const fixture_t *self, const float *centroid, uint32_t i,
                            uint32_t cluster)
{
    size_t d = self->dimension;
    double own = 0, other = INFINITY;
    for (uint32_t c = 0; c < 3; c++) {
        float d2 = dist2_best()->one(self->values + 2 * i * d, centroid + c * d, d);
        double away = metric_distance(METRIC_EUCLIDEAN, d2);
        own = c == cluster ? away : own;
        other = c == cluster ? other : fmin(other, away);
    }
    return (other - own) / fmax(own, other);
}

static void simplified_ones_are_by_centroids(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads < 4; threads += 2) {
        size_t length;
        fixture_t fixture;
        double sums[3] = {0};
        fixture_init(&fixture, 400, 40, 6);
        fixture_compute(&fixture, threads, NULL, SCREEN_AUTO);
        put_inputs(&fixture, 90);
        const float *centroid = fixture.values + 7 * 40; /* any three */
        columns_writer_t *writer = columns_writer_new("centroids");
        columns_put(writer, "centroid", COLUMN_F32, centroid, 3 * 40);
        fixture_finish_input(&fixture, "centroids", writer);
        fixture_param(&fixture, "euclidean", 1);
        fixture_segment(&fixture, 0, 0, 3);
        for (uint32_t i = 1; i < 200; i++) /* a cluster of one has none */
            sums[i < 5 ? 1 : 2] += simplified_of(&fixture, centroid, i, i < 5 ? 1 : 2);
        uint8_t *payload = fixture_run(&fixture, &length);
        columns_t *columns = fixture_result(payload, length, "simplified");
        const double *sum = fixture_column(columns, "sum", COLUMN_F64, 3);
        for (int c = 0; c < 3; c++)
            assert_float_equal(sum[c], sums[c], 1e-9);
        columns_close(&columns);
        free(payload);
        writer = columns_writer_new("centroids");
        columns_put(writer, "centroid", COLUMN_F32, centroid, 2 * 40);
        fixture_finish_input(&fixture, "centroids", writer);
        fixture_refused(&fixture); /* one is missing */
        fixture_clear(&fixture);
    }
}

static void clusters_of_other_tasks_are_left_to_them(void **state)
{
    (void)state;
    size_t length;
    fixture_t fixture;
    fixture_init(&fixture, 60, 16, 6);
    put_inputs(&fixture, 30);
    fixture_segment(&fixture, 0, 1, 2);
    uint8_t *payload = fixture_run(&fixture, &length);
    columns_t *columns = fixture_result(payload, length, "silhouette");
    const double *own = fixture_column(columns, "own", COLUMN_F64, 30);
    const double *other = fixture_column(columns, "other", COLUMN_F64, 30);
    for (uint32_t s = 0; s < 30; s++) {
        int here = s >= 1 && s < 5;
        assert_int_equal(own[s] >= 0, here);
        assert_int_equal(isinf(other[s]), here);
    }
    columns_close(&columns);
    free(payload);
    fixture_clear(&fixture);
}

static void samples_that_are_not_there_are_refused(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 60, 16, 6);
    put_inputs(&fixture, 30);
    fixture_segment(&fixture, 0, 0, 4);
    fixture_refused(&fixture); /* there are three clusters */
    fixture.segments[0].end = 3;
    for (int wrong = 0; wrong < 2; wrong++) {
        columns_writer_t *writer = columns_writer_new("sample");
        columns_put(writer, "slot", COLUMN_U32, (const uint32_t[]){wrong ? 60 : 0}, 1);
        columns_put(writer, "cluster", COLUMN_U32, (const uint32_t[]){wrong ? 0 : 3}, 1);
        fixture_finish_input(&fixture, "sample", writer);
        fixture_refused(&fixture);
    }
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_are_those_of_the_naive_model),
        cmocka_unit_test(simplified_ones_are_by_centroids),
        cmocka_unit_test(clusters_of_other_tasks_are_left_to_them),
        cmocka_unit_test(samples_that_are_not_there_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
