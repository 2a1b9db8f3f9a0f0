/* Crowds: what is said of the first holds for all, and nothing is left out. */
#include "worker/tasks/crowds.h"
#include "tests/lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PLACES 3000
#define WIDTH 128
#define HEAD 64
#define SCALE 0.01

typedef struct {
    codes_view_t view;
    int8_t *code;
    float *residual_head;
    float *residual;
    crowds_t crowds;
} fixture_t;

/* Groups of 20 codes that differ by a few steps; every seventh residual is none. */
static int set_up(void **state)
{
    random_t random = {4};
    fixture_t *self = calloc(1, sizeof *self);
    self->code = aligned_alloc(64, PLACES * WIDTH);
    self->residual_head = malloc(PLACES * sizeof(float));
    self->residual = malloc(PLACES * sizeof(float));
    for (size_t place = 0; place < PLACES; place++) {
        for (size_t i = 0; i < WIDTH; i++)
            self->code[place * WIDTH + i] =
                (int8_t)(place % 20 ? self->code[(place - place % 20) * WIDTH + i] +
                                          (int)random_below(&random, 9) - 4
                                    : (int)random_below(&random, 120) - 60);
        self->residual_head[place] = place % 7 == 6 ? INFINITY : (float)random_unit(&random);
        self->residual[place] = self->residual_head[place] + 0.5f;
    }
    self->view = (codes_view_t){.codes = {.head = HEAD, .width = WIDTH, .scale = SCALE},
                                .places = PLACES,
                                .code = self->code,
                                .residual_head = self->residual_head,
                                .residual = self->residual};
    assert_int_equal(crowds_init(&self->crowds, &self->view, &int8_scalar, NULL), OK);
    *state = self;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *self = *state;
    crowds_clear(&self->crowds);
    free(self->code);
    free(self->residual_head);
    free(self->residual);
    free(self);
    return 0;
}

static double apart(const fixture_t *self, uint32_t x, uint32_t y, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; i++) {
        double step = (double)self->code[x * WIDTH + i] - (double)self->code[y * WIDTH + i];
        sum += step * step;
    }
    return SCALE * sqrt(sum);
}

/* Every eleventh place is added alone. */
static int is_alone(uint32_t place) { return place % 11 == 10; }

/* Adds places from `place` on until there is no room; checks what was made of them. */
static uint32_t fill_and_check(fixture_t *self, uint32_t place, double radius, size_t recent)
{
    crowds_t *crowds = &self->crowds;
    uint32_t next = place, found = 0;
    int *seen = calloc(PLACES, sizeof *seen);
    crowds_begin(crowds, radius, recent);
    while (next < PLACES && crowds_add(crowds, next, is_alone(next)))
        next++;
    for (size_t i = 0; i < crowds->count; i++) {
        const uint32_t *of = crowds_places(crowds, i);
        const int32_t *square = crowds->square + i * CROWD_MOST;
        assert_in_range(crowds->size[i], 1, is_alone(of[0]) ? 1 : CROWD_MOST);
        for (uint32_t m = 0; m < crowds->size[i]; m++, found++) {
            double head = apart(self, of[m], of[0], HEAD), whole = apart(self, of[m], of[0], WIDTH);
            assert_in_range(of[m], m ? of[m - 1] + 1 : place, next - 1); /* in their order */
            assert_int_equal(seen[of[m]]++, 0);
            assert_true(m == 0 || !is_alone(of[m]));
            assert_int_equal(square[m], int8_scalar.dot(self->code + of[m] * WIDTH,
                                                        self->code + of[m] * WIDTH, WIDTH));
            assert_true(head <= radius);
            assert_true(crowds->residual_head[i] >= (double)self->residual_head[of[m]] + head);
            assert_true(crowds->residual[i] >= (double)self->residual[of[m]] + whole);
        }
    }
    assert_int_equal(found, next - place);
    free(seen);
    return next - place;
}

static void what_is_said_of_the_first_holds_for_all(void **state)
{
    fixture_t *self = *state;
    for (size_t recent = 1; recent < 64; recent *= 4)
        for (double radius = 0.5; radius < 9; radius *= 2) {
            uint32_t taken = fill_and_check(self, 0, radius, recent);
            assert_true(taken > self->crowds.count); /* some crowd has two */
            if (taken < PLACES)
                assert_true(fill_and_check(self, taken, radius, recent) > 0);
        }
}

/* Groups of 20 whose members come one of each group in turn. */
static void a_place_joins_any_of_the_recent_crowds(void **state)
{
    fixture_t *self = *state;
    int8_t *kept = malloc((size_t)10 * WIDTH);
    for (size_t group = 0; group < 10; group++)
        memcpy(kept + group * WIDTH, self->code + group * 20 * WIDTH, WIDTH);
    for (size_t place = 0; place < 500; place++)
        memcpy(self->code + place * WIDTH, kept + place % 10 * WIDTH, WIDTH);
    for (size_t recent = 5; recent <= 10; recent += 5) {
        crowds_begin(&self->crowds, 0.5, recent);
        for (uint32_t place = 0; place < 100; place++)
            if (place % 7 != 6) /* those have no residual */
                assert_int_equal(crowds_add(&self->crowds, place, 0), 1);
        assert_true(recent == 10 ? self->crowds.count == 10 : self->crowds.count > 50);
    }
    free(kept);
}

static void without_a_radius_everyone_is_alone(void **state)
{
    fixture_t *self = *state;
    for (size_t i = 0; i < WIDTH; i++) /* two of one code */
        self->code[WIDTH + i] = self->code[i];
    assert_int_equal(fill_and_check(self, 0, 0, 5), CODE_TILE);
    assert_int_equal(self->crowds.count, CODE_TILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_said_of_the_first_holds_for_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_joins_any_of_the_recent_crowds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_radius_everyone_is_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("crowds", tests, NULL, NULL);
}
