/* What is found by codes is what is found without, on friendly and on hostile geometry. */
#include "coded_fixture.h"

#include "worker/tasks/plan_view.h"

/* Input "near": bounds within which at least `least` neighbours are, nothing for every 17th place. */
static void put_near(fixture_t *self, uint32_t least)
{
    size_t length;
    every_partition(self);
    fixture_param(self, "k", least);
    turn_to(self, TASK_NEAR, 4);
    uint8_t *bytes = fixture_run(self, &length);
    columns_t *bounds = fixture_result(bytes, length, "bounds");
    const float *bound = fixture_column(bounds, "bound", COLUMN_F32, self->slots);
    float *copy = malloc((self->slots + 1) * sizeof *copy);
    for (uint32_t place = 0; place < self->slots; place++)
        copy[place] = place % 17 == 16 ? INFINITY : bound[place];
    columns_close(&bounds);
    columns_writer_t *writer = columns_writer_new("near");
    columns_put(writer, "bound", COLUMN_F32, copy, self->slots);
    fixture_finish_input(self, "near", writer);
    free(bytes);
    free(copy);
}

typedef struct {
    uint32_t k;
    uint32_t *count; /* by place */
    uint32_t *slot;  /* by place, k each */
    float *d2;
} lists_t;

static lists_t lists_new(uint32_t places, uint32_t k)
{
    return (lists_t){k, calloc(places + 1, sizeof(uint32_t)),
                     malloc(((size_t)places * k + 1) * sizeof(uint32_t)),
                     malloc(((size_t)places * k + 1) * sizeof(float))};
}

static void lists_clear(lists_t *self)
{
    free(self->count);
    free(self->slot);
    free(self->d2);
}

/* The plain way to put an entry among the k best. */
static void lists_add(lists_t *self, uint32_t place, float d2, uint32_t slot)
{
    uint32_t *slots = self->slot + (size_t)place * self->k;
    float *distances = self->d2 + (size_t)place * self->k;
    uint32_t at = self->count[place];
    while (at > 0 && (d2 < distances[at - 1] || (d2 == distances[at - 1] && slot < slots[at - 1])))
        at--;
    if (at == self->k)
        return;
    if (self->count[place] < self->k)
        self->count[place]++;
    for (uint32_t m = self->count[place] - 1; m > at; m--) {
        slots[m] = slots[m - 1];
        distances[m] = distances[m - 1];
    }
    slots[at] = slot;
    distances[at] = d2;
}

/* Rows [begin, end) with columns [from, to) of a partition, as a task of its own. */
static void run_patch(fixture_t *self, lists_t *lists, uint32_t partition, band_t rows,
                      band_t columns)
{
    size_t length, entries;
    uint32_t beside = columns.begin > rows.end ? columns.begin : rows.end;
    uint32_t places = rows.end - rows.begin + (columns.end > beside ? columns.end - beside : 0);
    const void *slots;
    self->task.segment_count = 0;
    fixture_segment(self, partition, rows.begin, rows.end);
    fixture_segment(self, partition, columns.begin, columns.end);
    uint8_t *bytes = fixture_run(self, &length);
    columns_t *part = fixture_result(bytes, length, "knn_part");
    const uint32_t *count = fixture_column(part, "count", COLUMN_U32, places);
    assert_int_equal(columns_get(part, "neighbour", COLUMN_U32, SIZE_MAX, &slots, &entries, NULL),
                     OK);
    const uint32_t *slot = slots;
    const float *d2 = fixture_column(part, "d2", COLUMN_F32, entries);
    for (uint32_t i = 0; i < places; i++) {
        uint32_t rows_count = rows.end - rows.begin;
        uint32_t place = i < rows_count ? rows.begin + i : beside + (i - rows_count);
        for (uint32_t e = 0; e < count[i]; e++, entries--)
            lists_add(lists, place, *d2++, *slot++);
    }
    assert_int_equal(entries, 0);
    columns_close(&part);
    free(bytes);
}

/* All pairs, in patches of several shapes. */
static lists_t run_patches(fixture_t *self, uint32_t k)
{
    lists_t lists = lists_new(self->slots, k);
    fixture_param(self, "k", k);
    turn_to(self, TASK_KNN, 5);
    for (uint32_t p = 0; p < self->partitions; p++) {
        uint32_t begin = self->begin[p], end = self->begin[p + 1];
        uint32_t middle = begin + (end - begin) * 2 / 5, late = end - (end - begin) / 7;
        run_patch(self, &lists, p, (band_t){begin, middle}, (band_t){begin, late});
        run_patch(self, &lists, p, (band_t){begin, middle}, (band_t){late, end});
        run_patch(self, &lists, p, (band_t){middle, end}, (band_t){middle, end});
    }
    return lists;
}

/* With whole lists (least = k) they are the plain ones to the last bit; with fewer, what is within
 * the bounds is. */
static void check_lists(const fixture_t *self, const lists_t *lists, const uint32_t *slot,
                        const float *d2, uint32_t least)
{
    uint32_t k = lists->k;
    for (uint32_t place = 0; place < self->slots; place++) {
        size_t at = (size_t)place * k, of = (size_t)slot_at(self, place) * k;
        uint32_t count = lists->count[place], there = 0;
        while (there < k && slot[of + there] != SLOT_NONE)
            there++;
        assert_true(count >= (there < least ? there : least));
        if (least == k || place % 17 == 16)
            assert_int_equal(count, there);
        assert_memory_equal(lists->slot + at, slot + of, count * sizeof *slot);
        assert_memory_equal(lists->d2 + at, d2 + of, count * sizeof *d2);
        if (count && count < there) /* cut between two distances, not among equal ones */
            assert_true(d2[of + count] > d2[of + count - 1]);
    }
}

/* Lists by codes, brought from places to slots, are the plain ones. */
static void check_neighbours(fixture_t *self, uint32_t k, uint32_t **slots_out, float **d2_out)
{
    size_t length, count = (size_t)self->slots * k;
    every_partition(self);
    fixture_param(self, "k", k);
    turn_to(self, TASK_KNN, 1);
    uint8_t *plain_bytes = fixture_run(self, &length);
    columns_t *plain = fixture_result(plain_bytes, length, "knn");
    *slots_out = malloc(count * sizeof **slots_out + 1);
    *d2_out = malloc(count * sizeof **d2_out + 1);
    memcpy(*slots_out, fixture_column(plain, "neighbour", COLUMN_U32, count),
           count * sizeof **slots_out);
    memcpy(*d2_out, fixture_column(plain, "d2", COLUMN_F32, count), count * sizeof **d2_out);
    columns_close(&plain);
    free(plain_bytes);
    for (uint32_t least = k; least > 0; least = least > 1 ? 1 : 0) {
        put_near(self, least);
        lists_t lists = run_patches(self, k);
        check_lists(self, &lists, *slots_out, *d2_out, least);
        lists_clear(&lists);
    }
}

/* Components of slots that share a remainder, or all of a few neighbours; floors of all kinds. */
static void put_reach_in(fixture_t *self, uint32_t k, const float *d2, uint64_t seed)
{
    uint64_t state = seed * 2 + 1;
    uint32_t *query = malloc((self->slots + 1) * sizeof *query);
    uint32_t *component = malloc((self->slots + 1) * sizeof *component);
    float *core = malloc((self->slots + 1) * sizeof *core);
    float *floor = malloc((self->slots + 1) * sizeof *floor);
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < self->slots; slot++) {
        core[slot] = d2[(size_t)slot * k + (k > 2 ? 1 : 0)];
        component[slot] = seed % 2 ? slot % 7 : slot / 20;
    }
    for (uint32_t slot = 0; slot < self->slots; slot++) {
        if (fixture_random(&state) % 3 == 0)
            continue;
        query[count] = slot;
        floor[count++] =
            fixture_random(&state) % 4 ? d2[(size_t)slot * k + k - 1] * 1.1f : INFINITY;
    }
    columns_writer_t *writer = columns_writer_new("reach_in");
    columns_put(writer, "query", COLUMN_U32, query, count);
    columns_put(writer, "core", COLUMN_F32, core, self->slots);
    columns_put(writer, "component", COLUMN_U32, component, self->slots);
    columns_put(writer, "floor", COLUMN_F32, floor, count);
    self->task.segment_count = 0;
    uint32_t begin = 0;
    for (uint32_t p = 0; p < self->partitions; p++) {
        uint32_t end = begin;
        while (end < count && query[end] < self->begin[p + 1])
            end++;
        fixture_segment(self, p, begin, end);
        begin = end;
    }
    fixture_finish_input(self, "reach_in", writer);
    free(query);
    free(component);
    free(core);
    free(floor);
}

static void check_reach(fixture_t *self, uint32_t k, const float *d2, uint64_t seed)
{
    size_t plain_length, coded_length;
    put_reach_in(self, k, d2, seed);
    turn_to(self, TASK_REACH, 6);
    uint8_t *coded = fixture_run(self, &coded_length);
    snprintf(self->task.inputs[3].name, sizeof self->task.inputs[3].name, "unused");
    uint8_t *plain = fixture_run(self, &plain_length);
    snprintf(self->task.inputs[3].name, sizeof self->task.inputs[3].name, "codes");
    assert_int_equal(plain_length, coded_length);
    assert_memory_equal(plain, coded, plain_length);
    free(plain);
    free(coded);
}

static void check_all(fixture_t *self, uint32_t k)
{
    uint32_t *slots;
    float *d2;
    put_codes(self);
    check_neighbours(self, k, &slots, &d2);
    check_reach(self, k, d2, 1);
    check_reach(self, k, d2, 2);
    free(slots);
    free(d2);
}

static void hostile_geometry_gives_the_plain_answer(void **state)
{
    static const uint32_t SLOTS[] = {1, 2, 5, 63, 65, 400};
    static const uint32_t DIMENSIONS[] = {64, 100, 200};
    (void)state;
    for (size_t shape = 0; shape < SHAPE_COUNT; shape++)
        for (size_t s = 0; s < sizeof SLOTS / sizeof *SLOTS; s++) {
            fixture_t fixture;
            made_init(&fixture, SHAPES[shape].fill, SLOTS[s], DIMENSIONS[(s + shape) % 3]);
            print_message("%s, %u\n", SHAPES[shape].name, SLOTS[s]);
            check_all(&fixture, 1 + (uint32_t)(s + shape) % 9);
            fixture_clear(&fixture);
        }
}

static void lists_longer_than_what_is_near_are_whole(void **state)
{
    (void)state;
    for (uint32_t k = 255; k <= 257; k++) {
        fixture_t fixture;
        made_init(&fixture, around_centres, 256, 64);
        check_all(&fixture, k);
        fixture_clear(&fixture);
    }
}

static void many_rows_of_768_dimensions_give_the_plain_answer(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 3000, 768);
    check_all(&fixture, 31);
    fixture_clear(&fixture);
}

/* Groups so tight that their columns make crowds, in every patch some of each; every ninth row is of no
 * group, and wants what is far. */
static void tight_groups(float *vector, uint32_t slot, size_t dimension, uint64_t *state)
{
    uint64_t centre = slot % 25 + 1;
    for (size_t d = 0; d < dimension; d++)
        vector[d] = slot % 9 == 8 ? fixture_unit(state)
                                  : fixture_unit(&centre) + 0.1f * fixture_unit(state);
    fixture_normalise(vector, dimension);
}

static void crowds_of_columns_give_the_plain_answer(void **state)
{
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    (void)state;
    for (size_t b = 0; b < count; b++) {
        fixture_t fixture;
        made_init(&fixture, tight_groups, 2600, 128);
        fixture.partitions = 2;
        fixture.begin[1] = 100;
        fixture.begin[2] = 2600;
        fixture_plan(&fixture);
        fixture_compute(&fixture, 2, &backends[b], SCREEN_AUTO);
        if (b % 2) /* some vectors are kept, the others read one by one */
            fixture.vectors = kept_vectors_new(fixture.index, (size_t)700 * 128 * sizeof(float));
        check_all(&fixture, 12);
        fixture_clear(&fixture);
    }
}

static void partitions_and_windows_give_the_plain_answer(void **state)
{
    (void)state;
    for (int window = 0; window < 2; window++) {
        fixture_t fixture;
        made_init(&fixture, around_centres, 900, 128);
        fixture.partitions = 3;
        fixture.begin[1] = 10;
        fixture.begin[2] = 500;
        fixture.begin[3] = 900;
        fixture_plan(&fixture);
        if (window)
            fixture_days(&fixture, 7);
        check_all(&fixture, 6);
        fixture_clear(&fixture);
    }
}

static void every_back_end_gives_the_plain_answer(void **state)
{
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    (void)state;
    for (size_t b = 0; b < count; b++)
        for (uint32_t threads = 1; threads <= 3; threads += 2) {
            fixture_t fixture;
            made_init(&fixture, around_centres, 700, 192);
            fixture_compute(&fixture, threads, &backends[b], b ? SCREEN_OWN : SCREEN_NONE);
            if (threads > 1) /* and vectors are read once */
                fixture.vectors = kept_vectors_new(fixture.index, SIZE_MAX);
            check_all(&fixture, 9);
            fixture_clear(&fixture);
        }
}

/* Codes that claim nothing (INFINITY) rule nothing out, whatever their bytes. */
static void rows_without_codes_are_compared_with_all(void **state)
{
    fixture_t fixture;
    uint32_t *slots;
    float *d2;
    (void)state;
    made_init(&fixture, around_centres, 300, 64);
    put_codes(&fixture);
    columns_t *codes = fixture_result(fixture.inputs[3].bytes, fixture.inputs[3].length, "codes");
    float *head = (float *)(uintptr_t)fixture_column(codes, "residual_head", COLUMN_F32, 300);
    float *whole = (float *)(uintptr_t)fixture_column(codes, "residual", COLUMN_F32, 300);
    uint8_t *code =
        (uint8_t *)(uintptr_t)fixture_column(codes, "code", COLUMN_U8, (size_t)300 * 64);
    for (size_t place = 0; place < 300; place += 3) {
        head[place] = whole[place] = place % 2 ? INFINITY : NAN;
        memset(code + place * 64, 0x80, 64);
    }
    columns_close(&codes);
    check_neighbours(&fixture, 5, &slots, &d2);
    check_reach(&fixture, 5, d2, 1);
    free(slots);
    free(d2);
    fixture_clear(&fixture);
}

static void codes_that_do_not_fit_are_refused(void **state)
{
    fixture_t fixture;
    (void)state;
    made_init(&fixture, around_centres, 100, 64);
    put_codes(&fixture);
    every_partition(&fixture);
    fixture_param(&fixture, "k", 3);
    turn_to(&fixture, TASK_KNN, 4);
    columns_t *order = fixture_result(fixture.inputs[2].bytes, fixture.inputs[2].length, "order");
    uint32_t *slot = (uint32_t *)(uintptr_t)fixture_column(order, "slot", COLUMN_U32, 100);
    columns_close(&order);
    slot[3]++; /* now twice */
    fixture_refused(&fixture);
    slot[3] = 100;
    fixture_refused(&fixture);
    slot[3] = slot_at(&fixture, 3);
    columns_t *codes = fixture_result(fixture.inputs[3].bytes, fixture.inputs[3].length, "codes");
    uint32_t *width = (uint32_t *)(uintptr_t)fixture_column(codes, "width", COLUMN_U32, 2);
    columns_close(&codes);
    width[0] = 32;
    fixture_refused(&fixture);
    width[0] = 128;
    fixture_refused(&fixture);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_geometry_gives_the_plain_answer),
        cmocka_unit_test(lists_longer_than_what_is_near_are_whole),
        cmocka_unit_test(many_rows_of_768_dimensions_give_the_plain_answer),
        cmocka_unit_test(crowds_of_columns_give_the_plain_answer),
        cmocka_unit_test(partitions_and_windows_give_the_plain_answer),
        cmocka_unit_test(every_back_end_gives_the_plain_answer),
        cmocka_unit_test(rows_without_codes_are_compared_with_all),
        cmocka_unit_test(codes_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
