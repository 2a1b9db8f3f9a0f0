/* Lists that several threads offer to hold what one thread would have put there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/lib/random.h"
#include "worker/compute/pool.h"
#include "worker/tasks/shared_lists.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LISTS 7
#define OFFERS 4000
#define K 9

typedef struct {
    shared_lists_t *lists;
    float d2[LISTS][OFFERS];
    float bound[LISTS];
} made_t;

/* Few distances, so that ties are decided by the slot; item i offers slot i to every list. */
static void offer(void *context, size_t item, uint32_t thread)
{
    made_t *self = context;
    (void)thread;
    for (size_t list = 0; list < LISTS; list++)
        shared_lists_offer(self->lists, list, self->d2[list][item], (uint32_t)item);
}

/* The place of a slot among all that are within the bound. */
static size_t rank_of(const made_t *self, size_t list, size_t slot)
{
    size_t rank = 0;
    const float *d2 = self->d2[list];
    for (size_t other = 0; other < OFFERS; other++)
        rank += d2[other] < d2[slot] || (d2[other] == d2[slot] && other < slot);
    return rank;
}

static void check_list(const made_t *self, size_t list)
{
    size_t within = 0, count = shared_lists_count(self->lists, list);
    for (size_t slot = 0; slot < OFFERS; slot++)
        within += self->d2[list][slot] <= self->bound[list];
    assert_int_equal(count, within < K ? within : K);
    for (size_t i = 0; i < count; i++) {
        float d2;
        uint32_t slot;
        shared_lists_entry(self->lists, list, i, &d2, &slot);
        assert_true(d2 == self->d2[list][slot]);
        assert_int_equal(rank_of(self, list, slot), i);
    }
}

static void the_k_best_are_kept_whoever_offers_first(void **state)
{
    made_t *self = malloc(sizeof *self);
    random_t random = {5};
    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        pool_t *pool;
        assert_int_equal(pool_new(threads, &pool, NULL), OK);
        assert_int_equal(shared_lists_new(LISTS, K, &self->lists, NULL), OK);
        for (size_t list = 0; list < LISTS; list++) {
            for (size_t i = 0; i < OFFERS; i++)
                self->d2[list][i] = (float)random_below(&random, list ? 300 : 2) / 16;
            self->bound[list] = list < 3 ? 1e9f : (float)list / 64;
            shared_lists_bound(self->lists, list, self->bound[list]);
        }
        pool_run(pool, OFFERS, offer, self);
        for (size_t list = 0; list < LISTS; list++)
            check_list(self, list);
        shared_lists_destroy(&self->lists);
        pool_destroy(&pool);
    }
    free(self);
}

static void what_is_over_the_bound_or_no_distance_is_not_taken(void **state)
{
    shared_lists_t *lists;
    (void)state;
    assert_int_equal(shared_lists_new(2, 3, &lists, NULL), OK);
    shared_lists_bound(lists, 1, 0.25f);
    assert_true(isinf(shared_lists_wants(lists, 0)));
    assert_true(shared_lists_wants(lists, 1) == 0.25f);
    shared_lists_offer(lists, 0, NAN, 1);
    shared_lists_offer(lists, 0, INFINITY, 1);
    shared_lists_offer(lists, 1, nextafterf(0.25f, 1), 1);
    assert_int_equal(shared_lists_count(lists, 0) + shared_lists_count(lists, 1), 0);
    shared_lists_offer(lists, 1, 0.25f, 7);
    assert_int_equal(shared_lists_count(lists, 1), 1);
    shared_lists_destroy(&lists);
    assert_null(lists);
}

/* Then nothing can be nearer than what is there, but a smaller slot comes before it. */
static void a_list_full_of_duplicates_takes_smaller_slots_only(void **state)
{
    shared_lists_t *lists;
    float d2;
    uint32_t slot;
    (void)state;
    assert_int_equal(shared_lists_new(1, 2, &lists, NULL), OK);
    shared_lists_offer(lists, 0, 0, 10);
    shared_lists_offer(lists, 0, 0, 20);
    assert_false(shared_lists_would_take(lists, 0, 0, 21));
    assert_true(shared_lists_would_take(lists, 0, 0, 15));
    shared_lists_offer(lists, 0, 0, 21);
    shared_lists_offer(lists, 0, 0, 15);
    shared_lists_entry(lists, 0, 1, &d2, &slot);
    assert_int_equal(slot, 15);
    shared_lists_destroy(&lists);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_k_best_are_kept_whoever_offers_first),
        cmocka_unit_test(what_is_over_the_bound_or_no_distance_is_not_taken),
        cmocka_unit_test(a_list_full_of_duplicates_takes_smaller_slots_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
