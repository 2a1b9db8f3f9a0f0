/* seed.c - k-means++ (Arthur, Vassilvitskii 2007): the first centres of whole partitions.
 *
 * The next centre is drawn with probability proportional to d2 to the nearest centre so far: the
 * draws are those of random.h, one generator a partition, and the prefix sums float64 in slot
 * order. A partition of more than max(SAMPLE_LEAST, SAMPLE_PER_CENTRE * k) slots is represented by
 * a sample of that many, drawn first with the same generator (selection sampling, Knuth 3.4.2 S,
 * which keeps the slots in order). When no distinct point is left, the smallest unused slots
 * follow. */
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
    /* of the current partition */
    uint32_t begin;
    uint32_t slots;
    size_t sampled;
    uint32_t *sample; /* slots, rising */
    float *nearest;   /* d2 of each sampled slot to the nearest centre so far */
    float *values;    /* the sample's vectors, or a piece a thread when they are too many */
    uint32_t *rows;   /* index rows of the sample */
    int resident;
    float *centre;     /* the newest */
    uint8_t *used;     /* per slot of the partition */
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

/* Takes the newest centre into account for one piece of the sample. */
static void measure_piece(void *context, size_t item, uint32_t thread)
{
    seed_t *self = context;
    const task_state_t *state = self->state;
    size_t first = item * PIECE;
    size_t count = self->sampled - first < PIECE ? self->sampled - first : PIECE;
    float d2[PIECE];
    if (task_state_stopped(state) || atomic_load(&self->failed))
        return;
    float *values = self->values + (self->resident ? first : thread * PIECE) * state->dimension;
    if (!self->resident) {
        int code =
            flat_index_read_list(state->context->index, self->rows + first, count, values, NULL);
        if (code)
            atomic_store(&self->failed, code);
        if (code)
            return;
    }
    compute_dist2(state->context->compute)
        ->many(self->centre, values, state->dimension, count, state->dimension, d2);
    for (size_t i = 0; i < count; i++)
        self->nearest[first + i] = fminf(self->nearest[first + i], d2[i]);
    task_state_advance(state, count);
}

static int take(seed_t *self, uint32_t slot, error_t *error)
{
    const task_state_t *state = self->state;
    self->used[slot - self->begin] = 1;
    self->centres[self->centre_count++] = slot;
    int code = flat_index_read_list(state->context->index, &state->plan.rows[slot], 1, self->centre,
                                    error);
    if (code)
        return code;
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
        int code = take(self, self->sample[position], error);
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
    if (!self->resident)
        return OK;
    return flat_index_read_list(state->context->index, self->rows, self->sampled, self->values,
                                error);
}

static int run_partition(seed_t *self, const segment_t *segment, error_t *error)
{
    random_t random = random_of(self->seed, segment->partition);
    self->begin = segment->begin;
    self->slots = segment->end - segment->begin;
    if (!self->slots)
        return OK;
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
    if (!code)
        code = run_all(&self, payload, length, error);
    free(self.centres);
    free(self.centre);
    return code;
}
