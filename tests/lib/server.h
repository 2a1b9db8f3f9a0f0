/* server.h - the distribution's own redis-server and PostgreSQL, started for a test on a free port
 * in a temporary folder. Whatever service the machine runs is not touched. */
#ifndef STAGE4_TESTS_LIB_SERVER_H
#define STAGE4_TESTS_LIB_SERVER_H

#include "lib/folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER_ARGUMENTS 40
#define SERVER_WAIT_MS 20000

typedef struct {
    test_folder_t folder;
    uint16_t port;
    pid_t process; /* 0: not running */
    int as_user;   /* 1: drop root's rights first */
    char *arguments[SERVER_ARGUMENTS + 1];
    size_t argument_count;
} test_server_t;

static inline uint16_t server_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) ||
        getsockname(descriptor, (struct sockaddr *)&address, &length))
        abort();
    close(descriptor);
    return ntohs(address.sin_port);
}

static inline int server_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

static inline void server_argument(test_server_t *self, const char *text)
{
    if (self->argument_count == SERVER_ARGUMENTS)
        abort();
    self->arguments[self->argument_count++] = strdup(text);
    self->arguments[self->argument_count] = NULL;
}

/* The user that PostgreSQL runs as when the tests run as root: it refuses to be root. */
static inline const struct passwd *server_user(void)
{
    const struct passwd *user = getpwnam("postgres");
    return user ? user : getpwnam("nobody");
}

/* A program of the server's in a child of its own, which ends with the test. */
static inline pid_t server_spawn(const test_server_t *self, char *const *arguments)
{
    char log[512];
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    const struct passwd *user = server_user();
    if (self->as_user && geteuid() == 0 && (setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(126);
    int out = open(folder_path(&self->folder, "log", log), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(out, 1);
    dup2(out, 2);
    if (chdir(self->folder.path))
        _exit(126);
    execv(arguments[0], arguments);
    _exit(127);
}

static inline int server_up(test_server_t *self, int (*ready)(const test_server_t *self))
{
    for (int waited = 0; waited < SERVER_WAIT_MS; waited += 10) {
        if (ready(self))
            return 1;
        if (waitpid(self->process, NULL, WNOHANG) == self->process) {
            self->process = 0;
            return 0;
        }
        usleep(10000);
    }
    return 0;
}

/* SIGKILL leaves everything as a power cut of the process would. */
static inline void server_stop(test_server_t *self, int signal_number)
{
    if (!self->process)
        return;
    kill(self->process, signal_number);
    waitpid(self->process, NULL, 0);
    self->process = 0;
}

static inline void server_destroy(test_server_t *self)
{
    server_stop(self, SIGKILL);
    for (size_t i = 0; i < self->argument_count; i++)
        free(self->arguments[i]);
    self->argument_count = 0;
    folder_destroy(&self->folder);
}

static inline void server_show_log(const test_server_t *self)
{
    char path[512];
    char text[2000] = "";
    FILE *log = fopen(folder_path(&self->folder, "log", path), "r");
    if (!log)
        return;
    fseek(log, 0, SEEK_END);
    long size = ftell(log);
    fseek(log, size > 1900 ? size - 1900 : 0, SEEK_SET);
    text[fread(text, 1, 1900, log)] = 0;
    fclose(log);
    fprintf(stderr, "---- the server's log ends with\n%s\n", text);
}

/* ---- Redis ---- */

#define REDIS_PROGRAM "/usr/bin/redis-server"
#define REDIS_PASSWORD "a password of a test"

/* Answers, and has read its file. */
static inline int redis_ready(const test_server_t *self)
{
    static const char ASK[] = "AUTH \"" REDIS_PASSWORD "\"\r\nPING\r\n";
    char answer[128] = "";
    int descriptor = server_connect(self->port);
    if (descriptor < 0)
        return 0;
    struct timeval limit = {.tv_sec = 1};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    size_t used = 0;
    ssize_t got = write(descriptor, ASK, sizeof ASK - 1);
    while (got > 0 && used < sizeof answer - 1 && !strstr(answer, "PONG")) {
        got = read(descriptor, answer + used, sizeof answer - 1 - used);
        used += got > 0 ? (size_t)got : 0;
        if (strstr(answer, "LOADING"))
            break;
    }
    close(descriptor);
    return strstr(answer, "PONG") != NULL;
}

static inline int redis_start(test_server_t *self)
{
    self->process = server_spawn(self, self->arguments);
    if (server_up(self, redis_ready))
        return 1;
    server_show_log(self);
    return 0;
}

/* append: "yes" or "no"; fsync: "always", "everysec" or "no". `where` NULL: a folder of its own. */
static inline int redis_new_server(test_server_t *self, const char *where, const char *append,
                                   const char *fsync)
{
    char port[16];
    *self = (test_server_t){.port = server_free_port()};
    if (where)
        snprintf(self->folder.path, sizeof self->folder.path, "%s", where);
    else
        self->folder = folder_new();
    snprintf(port, sizeof port, "%u", (unsigned)self->port);
    const char *const arguments[] = {REDIS_PROGRAM,
                                     "--port",
                                     port,
                                     "--bind",
                                     "127.0.0.1",
                                     "--dir",
                                     self->folder.path,
                                     "--appendonly",
                                     append,
                                     "--appendfsync",
                                     fsync,
                                     "--requirepass",
                                     REDIS_PASSWORD,
                                     "--save",
                                     "",
                                     "--daemonize",
                                     "no",
                                     "--auto-aof-rewrite-percentage",
                                     "0"};
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        server_argument(self, arguments[i]);
    return redis_start(self);
}

static inline int redis_installed(void) { return access(REDIS_PROGRAM, X_OK) == 0; }

/* ---- PostgreSQL ---- */

#define POSTGRES_ADMIN "postgres"
#define POSTGRES_ADMIN_PASSWORD "an administrator of a test"

static inline int postgres_program(const char *name, char out[512])
{
    glob_t found;
    char pattern[128];
    snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/*/bin/%s", name);
    int there = glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0;
    if (there)
        snprintf(out, 512, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return there;
}

static inline int postgres_installed(void)
{
    char path[512];
    return postgres_program("postgres", path) && postgres_program("initdb", path);
}

static inline int postgres_ready(const test_server_t *self)
{
    /* A start-up packet: a server that takes connections asks for a password, one that is starting
     * up says so (SQLSTATE 57P03). */
    static const unsigned char ASK[] = {0, 0, 0, 16, 0, 3, 0, 0, 'u', 's', 'e', 'r', 0, 'x', 0, 0};
    char answer[512];
    int descriptor = server_connect(self->port);
    if (descriptor < 0)
        return 0;
    struct timeval limit = {.tv_sec = 1};
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssize_t got = write(descriptor, ASK, sizeof ASK) == sizeof ASK
                      ? read(descriptor, answer, sizeof answer)
                      : -1;
    close(descriptor);
    return got > 0 && !memmem(answer, (size_t)got, "57P03", 5);
}

/* After a kill -9 the server refuses to start until the last of its old processes has noticed, and
 * let go of the shared memory. */
static inline int postgres_start(test_server_t *self)
{
    for (int i = 0; i < 50; i++) {
        self->process = server_spawn(self, self->arguments);
        if (server_up(self, postgres_ready))
            return 1;
        if (self->process)
            break; /* it hangs */
        usleep(100000);
    }
    server_show_log(self);
    return 0;
}

static inline int postgres_make_files(const test_server_t *self, const char *data)
{
    char path[512];
    char secret[512];
    char secret_option[600];
    int status = -1;
    postgres_program("initdb", path);
    FILE *file = fopen(folder_path(&self->folder, "secret", secret), "w");
    fputs(POSTGRES_ADMIN_PASSWORD "\n", file);
    fclose(file);
    const struct passwd *user = server_user();
    if (geteuid() == 0 && (chown(self->folder.path, user->pw_uid, user->pw_gid) ||
                           chown(secret, user->pw_uid, user->pw_gid)))
        return 0;
    snprintf(secret_option, sizeof secret_option, "--pwfile=%s", secret);
    char *arguments[] = {path,
                         "-D",
                         (char *)data,
                         "-U",
                         POSTGRES_ADMIN,
                         "-A",
                         "scram-sha-256",
                         secret_option,
                         "-E",
                         "UTF8",
                         "--locale=C",
                         "--no-sync",
                         "--no-instructions",
                         NULL};
    pid_t child = server_spawn(self, arguments);
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* `where` NULL: a folder of its own. durable: 0 leaves fsync out, for tests that kill nothing. */
static inline int postgres_new_server(test_server_t *self, const char *where, int durable)
{
    char port[16];
    char data[300];
    char path[512];
    *self = (test_server_t){.port = server_free_port(), .as_user = 1};
    if (where)
        snprintf(self->folder.path, sizeof self->folder.path, "%s", where);
    else
        self->folder = folder_new();
    snprintf(data, sizeof data, "%s/data", self->folder.path);
    snprintf(port, sizeof port, "%u", (unsigned)self->port);
    if (!postgres_program("postgres", path) || !postgres_make_files(self, data)) {
        server_show_log(self);
        return 0;
    }
    const char *const arguments[] = {path,
                                     "-D",
                                     data,
                                     "-p",
                                     port,
                                     "-c",
                                     "listen_addresses=127.0.0.1",
                                     "-c",
                                     "unix_socket_directories=",
                                     "-c",
                                     durable ? "fsync=on" : "fsync=off",
                                     "-c",
                                     "max_wal_size=2GB",
                                     "-c",
                                     "shared_buffers=64MB"};
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        server_argument(self, arguments[i]);
    return postgres_start(self);
}

#endif
