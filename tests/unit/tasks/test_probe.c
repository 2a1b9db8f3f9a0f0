/* Lists of what is searched are those of measuring every member of the cells. */
#include "coded_fixture.h"
#include "naive.h"

#define CELLS 7
#define GROUPS 4

/* Slots by remainder, so that members are not successive; cell 3 is empty. */
static uint32_t cell_of(uint32_t slot) { return slot % CELLS == 3 ? 2 : slot % CELLS; }

typedef struct {
    uint32_t cell_begin[CELLS + 1];
    uint32_t *member;
    uint32_t group_begin[GROUPS + 1];
    uint32_t *row;
    uint32_t centre_begin[2];
    float *centre;
    uint32_t *label;
} input_t;

/* Group g: every (g + 2)-th slot. A centre is near a member, whichever it is: cells need not be those
 * of the nearest centre for the search to be true. */
static void make_input(input_t *self, const fixture_t *fixture)
{
    uint32_t members = 0, rows = 0;
    self->member = malloc((fixture->slots + 1) * sizeof *self->member);
    self->label = malloc((fixture->slots + 1) * sizeof *self->label);
    self->row = malloc((GROUPS * (size_t)fixture->slots + 1) * sizeof *self->row);
    self->centre = malloc(CELLS * (size_t)fixture->dimension * sizeof *self->centre);
    self->centre_begin[0] = 0;
    self->centre_begin[1] = CELLS;
    for (uint32_t c = 0; c < CELLS; c++) {
        self->cell_begin[c] = members;
        for (uint32_t slot = 0; slot < fixture->slots; slot++)
            if (cell_of(slot) == c)
                self->member[members++] = slot;
        for (uint32_t d = 0; d < fixture->dimension; d++)
            self->centre[c * fixture->dimension + d] =
                0.9f * fixture->values[c % fixture->slots * fixture->dimension + d];
    }
    self->cell_begin[CELLS] = members;
    for (uint32_t slot = 0; slot < fixture->slots; slot++)
        self->label[slot] = cell_of(slot);
    for (uint32_t g = 0; g < GROUPS; g++) {
        self->group_begin[g] = rows;
        for (uint32_t slot = 0; slot < fixture->slots; slot += g + 2)
            self->row[rows++] = slot;
    }
    self->group_begin[GROUPS] = rows;
}

static void clear_input(input_t *self)
{
    free(self->member);
    free(self->row);
    free(self->centre);
    free(self->label);
}

static void put_input(const input_t *self, fixture_t *fixture)
{
    columns_writer_t *writer = columns_writer_new("probes");
    columns_put(writer, "cell_begin", COLUMN_U32, self->cell_begin, CELLS + 1);
    columns_put(writer, "member", COLUMN_U32, self->member, self->cell_begin[CELLS]);
    columns_put(writer, "group_begin", COLUMN_U32, self->group_begin, GROUPS + 1);
    columns_put(writer, "row", COLUMN_U32, self->row, self->group_begin[GROUPS]);
    fixture_finish_input(fixture, "probes", writer);
    writer = columns_writer_new("centres");
    columns_put(writer, "centre", COLUMN_F32, self->centre, CELLS * (size_t)fixture->dimension);
    columns_put(writer, "centre_begin", COLUMN_U32, self->centre_begin, 2);
    fixture_finish_input(fixture, "centres", writer);
    writer = columns_writer_new("assigned");
    columns_put(writer, "label", COLUMN_U32, self->label, fixture->slots);
    fixture_finish_input(fixture, "assigned", writer);
}

/* As naive_between reads them. */
static float excess(const input_t *self, const fixture_t *fixture, uint32_t slot, uint32_t cell)
{
    size_t d = fixture->dimension;
    const float *vector = fixture->values + slot * d;
    dist2_fn one = dist2_best()->one;
    return one(vector, self->centre + cell * d, d) -
           one(vector, self->centre + cell_of(slot) * d, d);
}

static int is_searched(const input_t *self, const fixture_t *fixture, uint32_t row, uint32_t cell,
                       float margin)
{
    return cell == cell_of(row) || isinf(margin) || excess(self, fixture, row, cell) <= margin;
}

static uint32_t check_list(const input_t *self, const fixture_t *fixture, float margin,
                           uint32_t row, uint32_t k, const uint32_t *neighbour, const float *d2)
{
    naive_neighbour_t *all = malloc((fixture->slots + 1) * sizeof *all);
    uint32_t count = 0, cells = 0;
    for (uint32_t c = 0; c < CELLS; c++)
        cells += is_searched(self, fixture, row, c, margin);
    for (uint32_t slot = 0; slot < fixture->slots; slot++)
        if (slot != row && is_searched(self, fixture, row, cell_of(slot), margin))
            all[count++] = (naive_neighbour_t){naive_between(fixture, row, slot), slot};
    qsort(all, count, sizeof *all, naive_order);
    for (uint32_t m = 0; m < k; m++) {
        assert_int_equal(neighbour[m], m < count ? all[m].slot : SLOT_NONE);
        assert_true(d2[m] == (m < count ? all[m].d2 : INFINITY));
    }
    free(all);
    return cells;
}

static void check_rows(const input_t *input, const fixture_t *fixture, const columns_t *columns,
                       float margin, uint32_t k)
{
    static const uint32_t ORDER[GROUPS] = {2, 3, 0, 1};
    size_t rows = input->group_begin[GROUPS], at = 0;
    const uint32_t *neighbour = fixture_column(columns, "neighbour", COLUMN_U32, rows * k);
    const uint32_t *searched = fixture_column(columns, "searched", COLUMN_U32, rows);
    const float *d2 = fixture_column(columns, "d2", COLUMN_F32, rows * k);
    const float *told =
        isinf(margin) ? fixture_column(columns, "excess", COLUMN_F32, rows * k) : NULL;
    assert_int_equal(columns_has(columns, "excess"), isinf(margin) != 0);
    for (size_t o = 0; o < GROUPS; o++)
        for (uint32_t i = input->group_begin[ORDER[o]]; i < input->group_begin[ORDER[o] + 1];
             i++, at++) {
            uint32_t row = input->row[i];
            uint32_t cells =
                check_list(input, fixture, margin, row, k, neighbour + at * k, d2 + at * k);
            assert_int_equal(searched[at], cells);
            for (uint32_t m = 0; m < k && told != NULL; m++) {
                uint32_t slot = neighbour[at * k + m];
                uint32_t cell = slot == SLOT_NONE ? CELLS : cell_of(slot);
                assert_true(told[at * k + m] == (slot == SLOT_NONE ? INFINITY
                                                 : cell == cell_of(row)
                                                     ? 0
                                                     : excess(input, fixture, row, cell)));
            }
        }
}

/* A margin that divides the rows: half of them look in another cell. */
static float middle_margin(const input_t *input, const fixture_t *fixture)
{
    float least = INFINITY, most = -INFINITY;
    for (uint32_t slot = 0; slot < fixture->slots; slot++)
        for (uint32_t c = 0; c < CELLS; c++) {
            float value = excess(input, fixture, slot, c);
            least = value < least ? value : least;
            most = value > most ? value : most;
        }
    return least + (most - least) / 2;
}

static void check(fixture_t *fixture, uint32_t k)
{
    input_t input;
    size_t codes;
    put_codes(fixture);
    codes = fixture->task.param_count;
    make_input(&input, fixture);
    put_input(&input, fixture);
    const float MARGINS[] = {INFINITY, 0, middle_margin(&input, fixture)};
    for (size_t i = 0; i < 3; i++) {
        size_t length;
        turn_to(fixture, TASK_PROBE, 7);
        fixture->task.param_count = codes;
        fixture_param(fixture, "k", k);
        if (!isinf(MARGINS[i]))
            fixture_param(fixture, "margin", MARGINS[i]);
        fixture->task.segment_count = 0;
        fixture_segment(fixture, 0, 2, 4);
        fixture_segment(fixture, 0, 0, 2);
        uint8_t *payload = fixture_run(fixture, &length);
        columns_t *columns = fixture_result(payload, length, "probed");
        check_rows(&input, fixture, columns, MARGINS[i], k);
        columns_close(&columns);
        free(payload);
    }
    clear_input(&input);
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
    uint32_t *const WRONG[] = {&input.cell_begin[2],  &input.member[7],       &input.row[5],
                               &input.group_begin[1], &input.centre_begin[0], &input.label[8],
                               &input.centre_begin[1]};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        uint32_t right = *WRONG[i];
        *WRONG[i] = 100;
        turn_to(&fixture, TASK_PROBE, 4);
        put_input(&input, &fixture);
        fixture_refused(&fixture);
        *WRONG[i] = right;
    }
    turn_to(&fixture, TASK_PROBE, 4);
    put_input(&input, &fixture);
    fixture.segments[0].end = 5;
    fixture_refused(&fixture);
    clear_input(&input);
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
