#include "naive.h"

static void put_members(fixture_t *fixture, const uint32_t *begin, size_t clusters,
                        const uint32_t *member)
{
    columns_writer_t *writer = columns_writer_new("members");
    columns_put(writer, "cluster_begin", COLUMN_U32, begin, clusters + 1);
    columns_put(writer, "member", COLUMN_U32, member, begin[clusters]);
    fixture_finish_input(fixture, "members", writer);
}

static const float *vector_of(const fixture_t *fixture, uint32_t slot)
{
    return fixture->values + (size_t)slot * fixture->dimension;
}

static double naive_dot(const float *a, const float *b, size_t dimension)
{
    double sum = 0;
    for (size_t d = 0; d < dimension; d++)
        sum += (double)a[d] * (double)b[d];
    return sum;
}

/* The average over all pairs, pair by pair. */
static double naive_similarity(const fixture_t *fixture, const uint32_t *member, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++)
            sum += naive_dot(vector_of(fixture, member[i]), vector_of(fixture, member[j]),
                             fixture->dimension);
    }
    return count > 1 ? sum / ((double)count * (double)(count - 1) / 2) : 1;
}

static void check_centroid(const fixture_t *fixture, const uint32_t *member, size_t count,
                           const float *centroid)
{
    double *sum = calloc(fixture->dimension, sizeof *sum);
    double norm2 = 0;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t d = 0; d < fixture->dimension; d++)
            sum[d] += (double)vector_of(fixture, member[i])[d];
    }
    for (uint32_t d = 0; d < fixture->dimension; d++)
        norm2 += sum[d] * sum[d];
    for (uint32_t d = 0; d < fixture->dimension; d++)
        assert_true(centroid[d] == (norm2 > 0 ? (float)(sum[d] / sqrt(norm2)) : 0));
    free(sum);
}

/* The typical ones must be the best of the similarities that the payload itself gives. */
static void check_typical(const uint32_t *member, size_t count, const float *similarity,
                          const uint32_t *typical)
{
    naive_neighbour_t *order = malloc(count * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = (naive_neighbour_t){-similarity[i], member[i]};
    qsort(order, count, sizeof *order, naive_order);
    for (size_t i = 0; i < TYPICAL_COUNT; i++)
        assert_int_equal(typical[i], i < count ? order[i].slot : SLOT_NONE);
    free(order);
}

static void check_summary(fixture_t *fixture, const uint32_t *begin, size_t clusters,
                          const uint32_t *member)
{
    size_t length;
    fixture->task.kind = TASK_SUMMARISE;
    put_members(fixture, begin, clusters, member);
    size_t count = 0, members = 0;
    for (uint32_t s = 0; s < fixture->task.segment_count; s++) {
        count += fixture->segments[s].end - fixture->segments[s].begin;
        members += begin[fixture->segments[s].end] - begin[fixture->segments[s].begin];
    }
    uint8_t *payload = fixture_run(fixture, &length);
    columns_t *columns = fixture_result(payload, length, "summary");
    const float *centroid =
        fixture_column(columns, "centroid", COLUMN_F32, count * fixture->dimension);
    const double *mean = fixture_column(columns, "similarity_mean", COLUMN_F64, count);
    const float *similarity = fixture_column(columns, "similarity", COLUMN_F32, members);
    const uint32_t *typical = fixture_column(columns, "typical", COLUMN_U32, count * TYPICAL_COUNT);
    for (uint32_t s = 0; s < fixture->task.segment_count; s++) {
        for (uint32_t c = fixture->segments[s].begin; c < fixture->segments[s].end; c++) {
            size_t size = begin[c + 1] - begin[c];
            check_centroid(fixture, member + begin[c], size, centroid);
            assert_true(fabs(*mean - naive_similarity(fixture, member + begin[c], size)) < 1e-9);
            for (size_t i = 0; i < size; i++)
                assert_true(
                    fabs((double)similarity[i] - naive_dot(vector_of(fixture, member[begin[c] + i]),
                                                           centroid, fixture->dimension)) < 1e-7);
            check_typical(member + begin[c], size, similarity, typical);
            centroid += fixture->dimension;
            similarity += size;
            typical += TYPICAL_COUNT;
            mean++;
        }
    }
    columns_close(&columns);
    free(payload);
}

static void summaries_are_those_of_the_naive_model(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 1500, 35, 2);
    uint32_t member[900];
    for (uint32_t i = 0; i < 900; i++)
        member[i] = i < 100 ? i * 3 : i < 101 ? 5 : 500 + i;
    const uint32_t begin[] = {0, 100, 101, 103, 110, 900};
    fixture_segment(&fixture, 0, 2, 5);
    fixture_segment(&fixture, 0, 0, 2);
    check_summary(&fixture, begin, 5, member);
    fixture_clear(&fixture);
}

static void real_vectors_are_summarised(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init_file(&fixture, TEST_DATA "/wiki2015/events.index");
    uint32_t member[400];
    for (uint32_t i = 0; i < 400; i++)
        member[i] = i;
    const uint32_t begin[] = {0, 4, 30, 400};
    fixture_segment(&fixture, 0, 0, 3);
    check_summary(&fixture, begin, 3, member);
    fixture_clear(&fixture);
}

static void members_that_cancel_out_have_no_centroid(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 8, 16, 2);
    for (uint32_t slot = 0; slot < 8; slot++) {
        for (uint32_t d = 0; d < 16; d++)
            fixture.values[slot * 16 + d] = d == 3 ? (slot % 2 ? -1 : 1) : 0;
    }
    flat_index_close(&fixture.index);
    unlink(fixture.path);
    fixture_write_index(&fixture);
    fixture_open_index(&fixture, fixture.path);
    const uint32_t member[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const uint32_t begin[] = {0, 8};
    fixture_segment(&fixture, 0, 0, 1);
    check_summary(&fixture, begin, 1, member);
    fixture_clear(&fixture);
}

static void unusable_members_are_refused(void **state)
{
    (void)state;
    fixture_t fixture;
    fixture_init(&fixture, 20, 16, 2);
    fixture.task.kind = TASK_SUMMARISE;
    fixture_segment(&fixture, 0, 0, 2);
    fixture_refused(&fixture); /* none */
    const uint32_t member[] = {0, 1, 1, 19};
    put_members(&fixture, (uint32_t[]){0, 3, 4}, 2, member);
    fixture_refused(&fixture); /* a member twice */
    put_members(&fixture, (uint32_t[]){0, 2, 2}, 2, member);
    fixture_refused(&fixture); /* an empty cluster */
    put_members(&fixture, (uint32_t[]){0, 2}, 1, member);
    fixture_refused(&fixture); /* fewer clusters than the segment has */
    put_members(&fixture, (uint32_t[]){0, 2, 3}, 2, (uint32_t[]){0, 1, 20});
    fixture_refused(&fixture); /* not a slot */
    put_members(&fixture, (uint32_t[]){1, 2, 3}, 2, member);
    fixture_refused(&fixture); /* the first does not begin at 0 */
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summaries_are_those_of_the_naive_model),
        cmocka_unit_test(real_vectors_are_summarised),
        cmocka_unit_test(members_that_cancel_out_have_no_centroid),
        cmocka_unit_test(unusable_members_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
