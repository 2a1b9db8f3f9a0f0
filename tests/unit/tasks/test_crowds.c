/* Crowds: what is said of the first holds for all, and nothing is left out. */
#include "worker/tasks/crowds.h"
#include "tests/lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdlib.h>
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

/* Adds places from `place` on until there is no room; checks what was made of them. */
static uint32_t fill_and_check(fixture_t *self, uint32_t place, double radius)
{
    crowds_t *crowds = &self->crowds;
    uint32_t next = place;
    crowds_begin(crowds, radius);
    while (next < PLACES && crowds_add(crowds, next))
        next++;
    assert_int_equal(crowds->begin[crowds->count], next - place);
    for (size_t i = 0; i < crowds->count; i++) {
        uint32_t first = crowds->place[crowds->begin[i]];
        assert_true(crowds->begin[i + 1] - crowds->begin[i] <= CROWD_MOST);
        for (uint32_t m = crowds->begin[i]; m < crowds->begin[i + 1]; m++) {
            uint32_t of = crowds->place[m];
            double head = apart(self, of, first, HEAD), whole = apart(self, of, first, WIDTH);
            assert_int_equal(of, place + m);
            assert_int_equal(crowds->square[m], int8_scalar.dot(self->code + of * WIDTH,
                                                                self->code + of * WIDTH, WIDTH));
            assert_true(head <= radius);
            assert_true(crowds->residual_head[i] >= (double)self->residual_head[of] + head);
            assert_true(crowds->residual[i] >= (double)self->residual[of] + whole);
        }
    }
    return next - place;
}

static void what_is_said_of_the_first_holds_for_all(void **state)
{
    fixture_t *self = *state;
    for (double radius = 0.5; radius < 9; radius *= 2) {
        uint32_t taken = fill_and_check(self, 0, radius);
        assert_true(taken > self->crowds.count); /* some crowd has two */
        if (taken < PLACES)
            assert_true(fill_and_check(self, taken, radius) > 0);
    }
}

static void without_a_radius_everyone_is_alone(void **state)
{
    fixture_t *self = *state;
    for (size_t i = 0; i < WIDTH; i++) /* two of one code */
        self->code[WIDTH + i] = self->code[i];
    assert_int_equal(fill_and_check(self, 0, 0), CODE_TILE);
    assert_int_equal(self->crowds.count, CODE_TILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_said_of_the_first_holds_for_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_radius_everyone_is_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("crowds", tests, NULL, NULL);
}
