#include "common/arenas.h"
#include "cli/cli.h"
#include "common/net/stop_signal.h"

#include <signal.h>

int main(int argc, char **argv)
{
    atomic_int stop = 0;
    stop_signal_t *signals = NULL;
    error_t error = ERROR_INIT;
    arenas_few();
    if (stop_signal_new(&stop, &signals, &error)) {
        fprintf(stderr, "stage4: %s\n", error.message);
        return error_exit_code(error.code);
    }
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error like a full disk */
    int status = cli_main(argc, argv, &stop, stdout, stderr);
    stop_signal_destroy(&signals);
    return status;
}
