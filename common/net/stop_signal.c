#include "common/net/stop_signal.h"

#include "common/net/pipe.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <ucontext.h>
#include <unistd.h>

struct stop_signal {
    atomic_int *stop;
    int descriptor;
    net_actor_t *actor;
};

static void on_signal(stop_signal_t *self)
{
    struct signalfd_siginfo info;
    if (read(self->descriptor, &info, sizeof info) != sizeof info)
        return;
    int none = 0;
    if (!atomic_compare_exchange_strong(self->stop, &none, (int)info.ssi_signo))
        _exit(128 + (int)info.ssi_signo);
}

static void watch(net_pipe_t *pipe, void *argument)
{
    stop_signal_t *self = argument;
    void *item;
    zmq_pollitem_t polls[] = {{zsock_resolve(net_pipe_socket(pipe)), 0, ZMQ_POLLIN, 0},
                              {NULL, self->descriptor, ZMQ_POLLIN, 0}};
    while (!polls[0].revents) {
        if (zmq_poll(polls, 2, -1) > 0 && polls[1].revents)
            on_signal(self);
    }
    while (net_pipe_take(pipe, -1, &item) > 0)
        ;
}

static void discard(void *item) { (void)item; }

/* Libraries may have started threads before main() (OpenBLAS does), and a signal may be delivered
 * to one of those: it shuts its ears from then on and says it again, until only the descriptor is
 * left to hear it. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    (void)info;
    sigaddset(&interrupted->uc_sigmask, number);
    kill(getpid(), number);
}

static void block(const sigset_t *signals)
{
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN); /* a reader of our log that goes away must not end us */
}

int stop_signal_new(atomic_int *stop, stop_signal_t **out, error_t *error)
{
    *out = NULL;
    stop_signal_t *self = calloc(1, sizeof *self);
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to watch for signals");
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    block(&signals);
    self->stop = stop;
    self->descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    int code = OK;
    if (self->descriptor < 0)
        code = error_set(error, ERR_INTERNAL, "cannot watch for signals: %s", strerror(errno));
    else
        code = net_actor_new(watch, self, discard, &self->actor, error);
    if (code)
        stop_signal_destroy(&self);
    *out = self;
    return code;
}

void stop_signal_destroy(stop_signal_t **self)
{
    if (!self || !*self)
        return;
    net_actor_destroy(&(*self)->actor);
    if ((*self)->descriptor >= 0)
        close((*self)->descriptor);
    free(*self);
    *self = NULL;
}
