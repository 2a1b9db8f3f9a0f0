/* Lists of what is probed are those of measuring every member of the cells. */
#include "coded_fixture.h"
#include "naive.h"

#define CELLS 7

/* Slots by remainder, so that members are not successive; cell 3 is empty. */
static uint32_t cell_of(uint32_t slot) { return slot % CELLS == 3 ? 2 : slot % CELLS; }

typedef struct {
    uint32_t cell_begin[CELLS + 1];
    uint32_t *member;
    uint32_t group_begin[5];
    uint32_t *row;
    uint32_t probe_begin[5];
    uint32_t probe[16];
} input_t;

/* Group g: every (g + 2)-th slot; probes of one cell, of none, of all, and of three. */
static void make_input(input_t *self, const fixture_t *fixture)
{
    static const uint32_t PROBES[] = {2, 0, 1, 2, 3, 4, 5, 6, 5, 0, 3};
    static const uint32_t BEGIN[] = {0, 1, 1, 8, 11};
    uint32_t members = 0, rows = 0;
    self->member = malloc((fixture->slots + 1) * sizeof *self->member);
    self->row = malloc((4 * (size_t)fixture->slots + 1) * sizeof *self->row);
    for (uint32_t c = 0; c < CELLS; c++) {
        self->cell_begin[c] = members;
        for (uint32_t slot = 0; slot < fixture->slots; slot++)
            if (cell_of(slot) == c)
                self->member[members++] = slot;
    }
    self->cell_begin[CELLS] = members;
    for (uint32_t g = 0; g < 4; g++) {
        self->group_begin[g] = rows;
        for (uint32_t slot = 0; slot < fixture->slots; slot += g + 2)
            self->row[rows++] = slot;
    }
    self->group_begin[4] = rows;
    memcpy(self->probe_begin, BEGIN, sizeof BEGIN);
    memcpy(self->probe, PROBES, sizeof PROBES);
}

static void put_input(const input_t *self, fixture_t *fixture)
{
    columns_writer_t *writer = columns_writer_new("probes");
    columns_put(writer, "cell_begin", COLUMN_U32, self->cell_begin, CELLS + 1);
    columns_put(writer, "member", COLUMN_U32, self->member, self->cell_begin[CELLS]);
    columns_put(writer, "group_begin", COLUMN_U32, self->group_begin, 5);
    columns_put(writer, "row", COLUMN_U32, self->row, self->group_begin[4]);
    columns_put(writer, "probe_begin", COLUMN_U32, self->probe_begin, 5);
    columns_put(writer, "probe", COLUMN_U32, self->probe, self->probe_begin[4]);
    fixture_finish_input(fixture, "probes", writer);
}

static int is_probed(const input_t *self, uint32_t group, uint32_t slot)
{
    for (uint32_t p = self->probe_begin[group]; p < self->probe_begin[group + 1]; p++)
        if (self->probe[p] == cell_of(slot))
            return 1;
    return 0;
}

static void check_list(const input_t *self, const fixture_t *fixture, uint32_t group, uint32_t row,
                       uint32_t k, const uint32_t *neighbour, const float *d2)
{
    naive_neighbour_t *all = malloc((fixture->slots + 1) * sizeof *all);
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < fixture->slots; slot++)
        if (slot != row && is_probed(self, group, slot))
            all[count++] = (naive_neighbour_t){naive_between(fixture, row, slot), slot};
    qsort(all, count, sizeof *all, naive_order);
    for (uint32_t m = 0; m < k; m++) {
        assert_int_equal(neighbour[m], m < count ? all[m].slot : SLOT_NONE);
        assert_true(d2[m] == (m < count ? all[m].d2 : INFINITY));
    }
    free(all);
}

static void check(fixture_t *fixture, uint32_t k)
{
    size_t length, at = 0;
    input_t input;
    put_codes(fixture);
    make_input(&input, fixture);
    put_input(&input, fixture);
    turn_to(fixture, TASK_PROBE, 5);
    fixture_param(fixture, "k", k);
    fixture->task.segment_count = 0;
    fixture_segment(fixture, 0, 2, 4);
    fixture_segment(fixture, 0, 0, 2);
    uint8_t *payload = fixture_run(fixture, &length);
    columns_t *columns = fixture_result(payload, length, "probed");
    size_t rows = input.group_begin[4];
    const uint32_t *neighbour = fixture_column(columns, "neighbour", COLUMN_U32, rows * k);
    const float *d2 = fixture_column(columns, "d2", COLUMN_F32, rows * k);
    static const uint32_t ORDER[] = {2, 3, 0, 1};
    for (size_t o = 0; o < 4; o++)
        for (uint32_t i = input.group_begin[ORDER[o]]; i < input.group_begin[ORDER[o] + 1];
             i++, at++)
            check_list(&input, fixture, ORDER[o], input.row[i], k, neighbour + at * k, d2 + at * k);
    columns_close(&columns);
    free(payload);
    free(input.member);
    free(input.row);
}

static void hostile_geometry_gives_the_measured_lists(void **state)
{
    static const uint32_t SLOTS[] = {1, 9, 65, 300};
    (void)state;
    for (size_t shape = 0; shape < SHAPE_COUNT; shape++)
        for (size_t s = 0; s < sizeof SLOTS / sizeof *SLOTS; s++) {
            fixture_t fixture;
            made_init(&fixture, SHAPES[shape].fill, SLOTS[s], s % 2 ? 64 : 100);
            print_message("%s, %u\n", SHAPES[shape].name, SLOTS[s]);
            check(&fixture, 1 + (uint32_t)(s + shape) % 9);
            fixture_clear(&fixture);
        }
}

/* More rows than an item takes, more columns than a tile. */
static void every_back_end_gives_the_measured_lists(void **state)
{
    const dist2_backend_t *backends;
    size_t count = dist2_backends(&backends);
    (void)state;
    for (size_t b = 0; b < count; b++) {
        fixture_t fixture;
        made_init(&fixture, around_centres, 1700, 64);
        fixture_compute(&fixture, 1 + (uint32_t)b, &backends[b], SCREEN_AUTO);
        check(&fixture, 12);
        fixture_clear(&fixture);
    }
}

static void probes_that_are_not_there_are_refused(void **state)
{
    fixture_t fixture;
    input_t input;
    (void)state;
    made_init(&fixture, around_centres, 100, 64);
    put_codes(&fixture);
    make_input(&input, &fixture);
    turn_to(&fixture, TASK_PROBE, 4);
    fixture_param(&fixture, "k", 3);
    fixture.task.segment_count = 0;
    fixture_segment(&fixture, 0, 0, 4);
    fixture_refused(&fixture); /* none at all */
    uint32_t *const WRONG[] = {&input.cell_begin[2],  &input.member[7],      &input.row[5],
                               &input.group_begin[1], &input.probe_begin[3], &input.probe[2]};
    turn_to(&fixture, TASK_PROBE, 5);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        uint32_t right = *WRONG[i];
        *WRONG[i] = 100;
        put_input(&input, &fixture);
        turn_to(&fixture, TASK_PROBE, 5);
        fixture_refused(&fixture);
        *WRONG[i] = right;
    }
    put_input(&input, &fixture);
    fixture.segments[0].end = 5;
    fixture_refused(&fixture);
    free(input.member);
    free(input.row);
    fixture_clear(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_geometry_gives_the_measured_lists),
        cmocka_unit_test(every_back_end_gives_the_measured_lists),
        cmocka_unit_test(probes_that_are_not_there_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
