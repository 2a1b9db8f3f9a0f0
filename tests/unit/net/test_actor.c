/* Actors: order, the end of the stream, and nothing leaked (the sanitizer build says so). */
#include "common/clock.h"
#include "common/net/actor.h"
#include "common/net/socket.h"
#include "common/net/stop_signal.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void double_them(net_pipe_t *pipe, void *argument)
{
    void *item;
    while (net_pipe_take(pipe, -1, &item) > 0) {
        *(int *)item *= *(int *)argument;
        net_pipe_put(pipe, item);
    }
}

static void items_come_back_in_order(void **state)
{
    (void)state;
    int factor = 2;
    net_actor_t *actor;
    assert_int_equal(net_actor_new(double_them, &factor, free, &actor, NULL), OK);
    for (int i = 0; i < 100; i++) {
        int *item = malloc(sizeof *item);
        *item = i;
        assert_int_equal(net_pipe_put(net_actor_pipe(actor), item), OK);
    }
    for (int i = 0; i < 100; i++) {
        void *item;
        net_poll_t wait = {.pipe = net_actor_pipe(actor)};
        net_poll(&wait, 1, 5000);
        assert_true(wait.ready);
        assert_int_equal(net_pipe_take(net_actor_pipe(actor), 0, &item), 1);
        assert_int_equal(*(int *)item, 2 * i);
        free(item);
    }
    void *item;
    assert_int_equal(net_pipe_take(net_actor_pipe(actor), 10, &item), 0);
    net_actor_destroy(&actor);
    assert_null(actor);
}

static void items_on_the_way_are_discarded_with_the_actor(void **state)
{
    (void)state;
    int factor = 3;
    net_actor_t *actor;
    assert_int_equal(net_actor_new(double_them, &factor, free, &actor, NULL), OK);
    for (int i = 0; i < 50; i++)
        net_pipe_put(net_actor_pipe(actor), calloc(1, sizeof(int)));
    net_actor_destroy(&actor);
}

static void *sleep_on(void *argument)
{
    for (;;)
        pause();
    return argument;
}

/* A thread that a library started before main() has not inherited our mask. */
static int child_with_a_flag(int second)
{
    atomic_int stop = 0;
    stop_signal_t *signals;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, sleep_on, NULL);
    if (stop_signal_new(&stop, &signals, NULL))
        return 1;
    kill(getpid(), SIGTERM);
    int64_t until = clock_monotonic_ms() + 5000;
    while (!atomic_load(&stop) && clock_monotonic_ms() < until)
        usleep(1000);
    if (second) {
        kill(getpid(), SIGTERM);
        sleep(5);
    }
    stop_signal_destroy(&signals);
    return atomic_load(&stop) == SIGTERM ? 77 : 1;
}

/* czmq must not be started before the fork: a child has its threads no more. */
static int status_of(int second)
{
    pid_t child = fork();
    if (child == 0)
        _exit(child_with_a_flag(second));
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void sigterm_raises_the_flag(void **state)
{
    (void)state;
    assert_int_equal(status_of(0), 77);
}

static void a_second_signal_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(status_of(1), 128 + SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigterm_raises_the_flag),
        cmocka_unit_test(a_second_signal_ends_the_process),
        cmocka_unit_test(items_come_back_in_order),
        cmocka_unit_test(items_on_the_way_are_discarded_with_the_actor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
