/* seed.c - k-means++ (Arthur, Vassilvitskii 2007): the first centres of whole partitions.
 *
 * The next centre is drawn with probability proportional to d2 to the nearest centre so far: the
 * draws are those of random.h, one generator a partition, and the prefix sums float64 in slot
 * order. A partition of more than max(SAMPLE_LEAST, SAMPLE_PER_CENTRE * k) slots is represented by
 * a sample of that many, drawn first with the same generator (selection sampling, Knuth 3.4.2 S,
 * which keeps the slots in order). When no distinct point is left, the smallest unused slots
 * follow. With codes most of the distances are not measured: a point that the codes prove to be
 * farther from the newest centre than from an earlier one keeps its d2. That changes no d2.
 *
 * Or all slots alike: k of the partition's, by selection sampling. */
#include "worker/tasks/coded_sample.h"
#include "worker/tasks/random.h"
#include "worker/tasks/vectors.h"

#include "worker/tasks/task_state.h"

#include <math.h>
#include <stdlib.h>

#define SAMPLE_LEAST 65536
#define SAMPLE_PER_CENTRE 50
#define PIECE 512                        /* slots that one thread measures at a time */
#define RESIDENT_BYTES ((size_t)1 << 28) /* samples up to that size stay in memory */
#define SEED_LIMIT ((uint64_t)1 << 53)   /* parameters are float64 */

typedef struct {
    const task_state_t *state;
    uint64_t k;
    uint64_t seed;
    int uniform; /* all slots alike */
    codes_view_t view;
    int coded; /* there is a view */
    /* of the current partition */
    uint32_t begin;
    uint32_t slots;
    size_t sampled;
    uint32_t *sample; /* slots, rising */
    float *nearest;   /* d2 of each sampled slot to the nearest centre so far */
    float *values;    /* the sample's vectors, or a piece a thread when they are too many */
    uint32_t *rows;   /* index rows of the sample */
    int resident;
    float *centre; /* the newest */
    uint8_t *used; /* per slot of the partition */
    coded_sample_t codes;
    atomic_int failed; /* a piece could not be read: its code */
    /* results */
    uint32_t *centres;
    size_t centre_count;
} seed_t;

static void draw_sample(seed_t *self, random_t *random)
{
    size_t limit = (size_t)self->k * SAMPLE_PER_CENTRE;
    if (limit < SAMPLE_LEAST)
        limit = SAMPLE_LEAST;
    size_t wanted = self->slots < limit ? self->slots : limit;
    self->sampled = 0;
    for (uint32_t i = 0; self->sampled < wanted; i++) {
        uint64_t left = self->slots - i;
        if (left == wanted - self->sampled || random_below(random, left) < wanted - self->sampled)
            self->sample[self->sampled++] = self->begin + i;
    }
    for (size_t i = 0; i < self->sampled; i++) {
        self->rows[i] = self->state->plan.rows[self->sample[i]];
        self->nearest[i] = INFINITY;
    }
}

static void measure_all(seed_t *self, size_t first, size_t count, const float *values)
{
    size_t dimension = self->state->dimension;
    float d2[PIECE];
    compute_dist2(self->state->context->compute)
        ->many(self->centre, values, dimension, count, dimension, d2);
    for (size_t i = 0; i < count; i++)
        self->nearest[first + i] = fminf(self->nearest[first + i], d2[i]);
}

/* `values` of sample number `i` alone. */
static void measure_one(seed_t *self, size_t i, const float *values)
{
    float d2 = compute_dist2(self->state->context->compute)
                   ->one(self->centre, values, self->state->dimension);
    if (!(d2 < self->nearest[i]))
        return;
    self->nearest[i] = d2;
    coded_sample_settle(&self->codes, i, d2);
}

/* Those that the codes do not rule out; `room` for PIECE vectors, where the sample is not resident.
 */
static int measure_near(seed_t *self, size_t first, size_t count, float *room)
{
    size_t dimension = self->state->dimension;
    uint32_t near[PIECE], rows[PIECE];
    size_t found = coded_sample_near(&self->codes, first, count, near);
    for (size_t i = 0; i < found && self->resident; i++)
        measure_one(self, near[i], self->values + near[i] * dimension);
    if (self->resident)
        return OK;
    for (size_t i = 0; i < found; i++)
        rows[i] = self->rows[near[i]];
    int code = flat_index_read_list(self->state->context->index, rows, found, room, NULL);
    for (size_t i = 0; i < found && !code; i++)
        measure_one(self, near[i], room + i * dimension);
    return code;
}

/* Takes the newest centre into account for one piece of the sample. */
static void measure_piece(void *context, size_t item, uint32_t thread)
{
    seed_t *self = context;
    const task_state_t *state = self->state;
    size_t first = item * PIECE;
    size_t count = self->sampled - first < PIECE ? self->sampled - first : PIECE;
    float *values = self->values + (self->resident ? first : thread * PIECE) * state->dimension;
    int code = OK;
    if (task_state_stopped(state) || atomic_load(&self->failed))
        return;
    if (self->coded)
        code = measure_near(self, first, count, values);
    else if (!self->resident)
        code = flat_index_read_list(state->context->index, self->rows + first, count, values, NULL);
    if (!code && !self->coded)
        measure_all(self, first, count, values);
    if (code)
        atomic_store(&self->failed, code);
    task_state_advance(state, count);
}

/* Sample number `position` becomes a centre. */
static int take(seed_t *self, size_t position, error_t *error)
{
    const task_state_t *state = self->state;
    uint32_t slot = self->sample[position];
    self->used[slot - self->begin] = 1;
    self->centres[self->centre_count++] = slot;
    int code = flat_index_read_list(state->context->index, &state->plan.rows[slot], 1, self->centre,
                                    error);
    if (code)
        return code;
    if (self->coded)
        coded_sample_centre(&self->codes, position);
    pool_run(compute_pool(state->context->compute), (self->sampled + PIECE - 1) / PIECE,
             measure_piece, self);
    code = atomic_load(&self->failed);
    if (code) /* read again here, for the message */
        code = flat_index_check(state->context->index, error);
    if (!code && atomic_load(&self->failed))
        code = error_set(error, ERR_IO, "cannot read the sampled vectors from %s",
                         flat_index_path(state->context->index));
    return code ? code : task_state_check_stop(state, error);
}

/* The position in the sample that a draw of [0, total) falls on; `sampled` when all distances are
 * zero. Slots of distance zero are never drawn. */
static size_t draw(const seed_t *self, random_t *random)
{
    double total = 0;
    for (size_t i = 0; i < self->sampled; i++)
        total += (double)self->nearest[i];
    if (!(total > 0))
        return self->sampled;
    double target = random_unit(random) * total;
    double sum = 0;
    size_t last = self->sampled;
    for (size_t i = 0; i < self->sampled; i++) {
        sum += (double)self->nearest[i];
        if (self->nearest[i] > 0)
            last = i;
        if (sum > target && self->nearest[i] > 0)
            return i;
    }
    return last; /* target rounded up to the total */
}

static void take_unused(seed_t *self, size_t wanted)
{
    for (uint32_t i = 0; i < self->slots && wanted; i++) {
        if (self->used[i])
            continue;
        self->used[i] = 1;
        self->centres[self->centre_count++] = self->begin + i;
        wanted--;
    }
}

static int choose_centres(seed_t *self, random_t *random, error_t *error)
{
    size_t wanted = self->k < self->slots ? (size_t)self->k : self->slots;
    size_t position = (size_t)random_below(random, self->sampled);
    while (wanted && position < self->sampled) {
        int code = take(self, position, error);
        if (code)
            return code;
        if (--wanted)
            position = draw(self, random);
    }
    take_unused(self, wanted);
    return OK;
}

static void release(seed_t *self)
{
    free(self->sample);
    free(self->rows);
    free(self->nearest);
    free(self->values);
    free(self->used);
    coded_sample_clear(&self->codes);
    self->sample = self->rows = NULL;
    self->nearest = self->values = NULL;
    self->used = NULL;
}

/* Room for the sample of the current partition, and its vectors when they fit. */
static int prepare(seed_t *self, random_t *random, error_t *error)
{
    const task_state_t *state = self->state;
    size_t vector = state->dimension * sizeof *self->values;
    self->sample = malloc(self->slots * sizeof *self->sample);
    self->rows = malloc(self->slots * sizeof *self->rows);
    self->nearest = malloc(self->slots * sizeof *self->nearest);
    self->used = calloc(self->slots, 1);
    if (!self->sample || !self->rows || !self->nearest || !self->used)
        return error_set(error, ERR_MEMORY, "no memory for %u slots", self->slots);
    draw_sample(self, random);
    self->resident = self->sampled <= RESIDENT_BYTES / vector;
    size_t kept =
        self->resident ? self->sampled : (size_t)compute_threads(state->context->compute) * PIECE;
    self->values = malloc(kept * vector);
    if (!self->values)
        return error_set(error, ERR_MEMORY, "no memory for %zu vectors", kept);
    int code = OK;
    if (self->coded)
        code =
            coded_sample_init(&self->codes, state, &self->view, self->sample, self->sampled, error);
    if (code || !self->resident)
        return code;
    return flat_index_read_list(state->context->index, self->rows, self->sampled, self->values,
                                error);
}

/* k of the slots, all alike, in their order. */
static void choose_uniformly(seed_t *self, random_t *random)
{
    size_t wanted = self->k < self->slots ? (size_t)self->k : self->slots;
    for (uint32_t i = 0; wanted; i++) {
        if (random_below(random, self->slots - i) >= wanted)
            continue;
        self->centres[self->centre_count++] = self->begin + i;
        wanted--;
    }
}

static int run_partition(seed_t *self, const segment_t *segment, error_t *error)
{
    random_t random = random_of(self->seed, segment->partition);
    self->begin = segment->begin;
    self->slots = segment->end - segment->begin;
    if (!self->slots)
        return OK;
    if (self->uniform) {
        choose_uniformly(self, &random);
        return OK;
    }
    int code = prepare(self, &random, error);
    if (!code)
        code = choose_centres(self, &random, error);
    release(self);
    return code;
}

/* A segment must be a whole partition; counts the centres of all of them. */
static int check_segments(const seed_t *self, size_t *centres, error_t *error)
{
    const task_state_t *state = self->state;
    size_t slots;
    int code = task_state_slots(state, &slots, error);
    *centres = 0;
    for (uint32_t s = 0; s < state->task->segment_count && !code; s++) {
        const segment_t *segment = &state->task->segments[s];
        uint32_t begin = state->plan.partition_begin[segment->partition];
        uint32_t end = state->plan.partition_begin[segment->partition + 1];
        if (segment->begin != begin || segment->end != end)
            code = error_set(error, ERR_PROTOCOL,
                             "seed segment of slots %u to %u: partition %u has %u to %u",
                             segment->begin, segment->end, segment->partition, begin, end);
        size_t size = segment->end - segment->begin;
        *centres += self->k < size ? (size_t)self->k : size;
    }
    return code;
}

static int run_all(seed_t *self, uint8_t **payload, size_t *length, error_t *error)
{
    size_t centres;
    int code = check_segments(self, &centres, error);
    if (code)
        return code;
    self->centres = malloc((centres + 1) * sizeof *self->centres);
    self->centre = malloc(self->state->dimension * sizeof *self->centre);
    if (!self->centres || !self->centre)
        return error_set(error, ERR_MEMORY, "no memory for %zu centres", centres);
    const task_t *task = self->state->task;
    for (uint32_t s = 0; s < task->segment_count && !code; s++)
        code = run_partition(self, &task->segments[s], error);
    if (code)
        return code;
    columns_writer_t *writer = columns_writer_new("seeds");
    columns_put(writer, "centre_slot", COLUMN_U32, self->centres, self->centre_count);
    return columns_writer_finish(&writer, payload, length, error);
}

int task_seed(task_state_t *state, uint8_t **payload, size_t *length, error_t *error)
{
    seed_t self = {.state = state};
    int code = task_state_whole(state, "k", 1, UINT32_MAX, &self.k, error);
    if (!code)
        code = task_state_whole(state, "seed", 0, SEED_LIMIT, &self.seed, error);
    self.uniform = task_param(state->task, "uniform", 0) > 0;
    self.coded = !self.uniform && codes_view_given(state);
    if (!code && self.coded)
        code = codes_view_open(&self.view, state, error);
    if (!code)
        code = run_all(&self, payload, length, error);
    if (self.coded)
        codes_view_close(&self.view);
    free(self.centres);
    free(self.centre);
    return code;
}
