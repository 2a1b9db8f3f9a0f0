/* k-means step by step beside FAISS's Clustering and beside a plain float64 model, from the same
 * centres, on real vectors. */
#include "unit/tasks/coded_fixture.h"

#include "coordinator/merge/centres.h"
#include "tests/lib/faiss_kmeans.h"

typedef struct {
    fixture_t fixture;
    centres_t centres; /* ours */
    double *model;     /* the plain model's */
    uint32_t k;
    metric_t metric;
    int coded;
} peers_t;

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", TEST_DATA, name);
    return path;
}

static const plan_t *plan_of(const peers_t *self, plan_t *plan)
{
    *plan = (plan_t){.count = self->fixture.slots,
                     .partition_count = 1,
                     .partition_begin = (uint32_t *)(uintptr_t)self->fixture.begin,
                     .dimension = self->fixture.dimension};
    return plan;
}

/* The centres are still to be set. */
static void begin(peers_t *self, const char *path, uint32_t k, metric_t metric, int coded)
{
    plan_t plan;
    *self = (peers_t){.k = k, .metric = metric, .coded = coded};
    fixture_init_file(&self->fixture, path);
    if (coded)
        put_codes(&self->fixture);
    assert_int_equal(centres_init(&self->centres, plan_of(self, &plan), k, NULL), OK);
    self->model = malloc((size_t)k * self->fixture.dimension * sizeof *self->model);
}

static void end(peers_t *self)
{
    fixture_clear(&self->fixture);
    centres_clear(&self->centres);
    free(self->model);
}

/* One assign task and one move, as the coordinator does it. */
static void step_ours(peers_t *self)
{
    const uint32_t begin_of[] = {0, self->k};
    fixture_t *fixture = &self->fixture;
    columns_writer_t *writer = columns_writer_new("centres");
    payload_t result = {0};
    size_t length;
    columns_put(writer, "centre", COLUMN_F32, self->centres.centre,
                (size_t)self->k * fixture->dimension);
    columns_put(writer, "centre_begin", COLUMN_U32, begin_of, 2);
    fixture_finish_input(fixture, "centres", writer);
    every_partition(fixture);
    turn_to(fixture, TASK_ASSIGN, fixture->input_count);
    result.bytes = fixture_run(fixture, &length);
    result.columns = fixture_result(result.bytes, length, "assign");
    memset(self->centres.sum, 0, (size_t)self->k * fixture->dimension * sizeof(double));
    memset(self->centres.count, 0, self->k * sizeof *self->centres.count);
    assert_int_equal(centres_add(&self->centres, &result, NULL), OK);
    centres_move(&self->centres, self->metric, 0);
    payload_close(&result);
}

static double distance2(const float *vector, const double *centre, size_t dimension)
{
    double sum = 0;
    for (size_t d = 0; d < dimension; d++)
        sum += ((double)vector[d] - centre[d]) * ((double)vector[d] - centre[d]);
    return sum;
}

/* Sum of squared distances to the nearest of the centres; moves them when `moved` is given. */
static double plain_step(const peers_t *self, const double *centre, double *moved)
{
    const fixture_t *fixture = &self->fixture;
    size_t dimension = fixture->dimension, values = self->k * dimension;
    double *sum = calloc(values, sizeof *sum), inertia = 0;
    uint32_t *count = calloc(self->k, sizeof *count);
    for (uint32_t slot = 0; slot < fixture->slots; slot++) {
        const float *vector = fixture->values + slot * dimension;
        uint32_t nearest = 0;
        double least = INFINITY;
        for (uint32_t c = 0; c < self->k; c++) {
            double distance = distance2(vector, centre + c * dimension, dimension);
            nearest = distance < least ? c : nearest;
            least = distance < least ? distance : least;
        }
        inertia += least;
        count[nearest]++;
        for (size_t d = 0; d < dimension; d++)
            sum[nearest * dimension + d] += (double)vector[d];
    }
    for (uint32_t c = 0; moved && c < self->k; c++) {
        double scale = count[c], square = 0;
        for (size_t d = 0; d < dimension; d++)
            square += sum[c * dimension + d] * sum[c * dimension + d];
        if (self->metric == METRIC_COSINE)
            scale = sqrt(square);
        for (size_t d = 0; d < dimension && count[c]; d++)
            moved[c * dimension + d] = sum[c * dimension + d] / scale;
    }
    free(sum);
    free(count);
    return inertia;
}

static double inertia_of(const peers_t *self, const float *centre)
{
    size_t values = (size_t)self->k * self->fixture.dimension;
    double *copy = malloc(values * sizeof *copy);
    for (size_t i = 0; i < values; i++)
        copy[i] = (double)centre[i];
    double inertia = plain_step(self, copy, NULL);
    free(copy);
    return inertia;
}

/* A float32 product may send a row that is as near to two centres to the other one, and from there
 * the two go slightly different ways: to the same end but for the fourth digit. */
static void faiss_and_ours_come_down_together(void **state)
{
    static const struct {
        const char *name;
        uint32_t k;
        int coded;
    } RUNS[] = {{"wiki2015/events.index", 20, 1},
                {"wiki2015/documents.index", 12, 0},
                {"wiki2015/storylines.index", 5, 1}};
    (void)state;
    for (size_t r = 0; r < 2 * sizeof RUNS / sizeof *RUNS; r++) {
        metric_t metric = r % 2 ? METRIC_EUCLIDEAN : METRIC_COSINE;
        peers_t peers;
        faiss_kmeans_t *faiss = faiss_kmeans_new(768, RUNS[r / 2].k, metric == METRIC_COSINE, 7);
        assert_non_null(faiss);
        begin(&peers, path_of(RUNS[r / 2].name), RUNS[r / 2].k, metric, RUNS[r / 2].coded);
        const fixture_t *fixture = &peers.fixture;
        assert_true(faiss_kmeans_step(faiss, fixture->values, fixture->slots));
        memcpy(peers.centres.centre, faiss_kmeans_centres(faiss),
               (size_t)peers.k * 768 * sizeof(float));
        double first = inertia_of(&peers, peers.centres.centre);
        for (int step = 0; step < 8; step++) {
            step_ours(&peers);
            assert_true(faiss_kmeans_step(faiss, fixture->values, fixture->slots));
        }
        double ours = inertia_of(&peers, peers.centres.centre);
        double theirs = inertia_of(&peers, faiss_kmeans_centres(faiss));
        print_message("%s, %s: %.4f; FAISS %.4f; at the start %.4f\n", RUNS[r / 2].name,
                      metric_name(metric), ours, theirs, first);
        assert_true(fabs(ours - theirs) <= 1e-4 * theirs);
        assert_true(ours < 0.999 * first);
        faiss_kmeans_destroy(&faiss);
        end(&peers);
    }
}

/* float32 sums or distances would show here: ours are float64 of canonical assignments. */
static void the_plain_model_and_ours_are_the_same(void **state)
{
    (void)state;
    for (int run = 0; run < 4; run++) {
        peers_t peers;
        begin(&peers, path_of("wiki2015/storylines.index"), 9,
              run % 2 ? METRIC_EUCLIDEAN : METRIC_COSINE, run / 2);
        size_t values = (size_t)peers.k * 768;
        for (size_t i = 0; i < values; i++) {
            peers.centres.centre[i] = peers.fixture.values[i / 768 * 768 * 5 + i % 768];
            peers.model[i] = (double)peers.centres.centre[i];
        }
        for (int step = 0; step < 6; step++) {
            step_ours(&peers);
            plain_step(&peers, peers.model, peers.model);
        }
        double most = 0;
        for (size_t i = 0; i < values; i++) {
            double apart = fabs(peers.model[i] - (double)peers.centres.centre[i]);
            most = apart > most ? apart : most;
        }
        assert_true(most < 1e-6);
        end(&peers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faiss_and_ours_come_down_together),
        cmocka_unit_test(the_plain_model_and_ours_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
