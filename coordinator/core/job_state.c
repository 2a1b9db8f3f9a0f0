#include "coordinator/core/job_state.h"

#include <stddef.h>
#include <string.h>

typedef struct {
    const char *name;
    int ended;
    const char *words;
} state_row_t;

static const state_row_t STATES[JOB_STATE_COUNT] = {
#define X(state, wire, ended, words) [state] = {wire, ended, words},
    JOB_STATES(X)
#undef X
};

typedef struct {
    const char *name;
    int asked;
    const char *when;
} move_row_t;

static const move_row_t MOVES[JOB_MOVE_COUNT] = {
#define X(move, wire, asked, when) [move] = {wire, asked, when},
    JOB_MOVES(X)
#undef X
};

/* 0 where a move is illegal, else the next state + 1. A control that asks for what already is the
 * case is legal and stays: a user who repeats himself is not wrong. */
#define GOES(state) ((unsigned char)((state) + 1))
static const unsigned char NEXT[JOB_STATE_COUNT][JOB_MOVE_COUNT] = {
    [JOB_QUEUED] = {[MOVE_START] = GOES(JOB_PLANNING),
                    [MOVE_PAUSE] = GOES(JOB_PAUSED),
                    [MOVE_RESUME] = GOES(JOB_QUEUED),
                    [MOVE_CANCEL] = GOES(JOB_CANCELLING),
                    [MOVE_REWIND] = GOES(JOB_QUEUED)},
    [JOB_PLANNING] = {[MOVE_TASKS] = GOES(JOB_RUNNING),
                      [MOVE_LAST] = GOES(JOB_WRITING),
                      [MOVE_PAUSE] = GOES(JOB_PAUSING),
                      [MOVE_RESUME] = GOES(JOB_PLANNING),
                      [MOVE_CANCEL] = GOES(JOB_CANCELLING),
                      [MOVE_FAIL] = GOES(JOB_FAILED),
                      [MOVE_REWIND] = GOES(JOB_PLANNING),
                      [MOVE_WAIT] = GOES(JOB_QUEUED)},
    [JOB_RUNNING] = {[MOVE_STAGE_DONE] = GOES(JOB_MERGING),
                     [MOVE_PAUSE] = GOES(JOB_PAUSING),
                     [MOVE_RESUME] = GOES(JOB_RUNNING),
                     [MOVE_CANCEL] = GOES(JOB_CANCELLING),
                     [MOVE_FAIL] = GOES(JOB_FAILED),
                     [MOVE_REWIND] = GOES(JOB_PLANNING)},
    [JOB_MERGING] = {[MOVE_TASKS] = GOES(JOB_RUNNING),
                     [MOVE_LAST] = GOES(JOB_WRITING),
                     [MOVE_PAUSE] = GOES(JOB_PAUSING),
                     [MOVE_RESUME] = GOES(JOB_MERGING),
                     [MOVE_CANCEL] = GOES(JOB_CANCELLING),
                     [MOVE_FAIL] = GOES(JOB_FAILED),
                     [MOVE_REWIND] = GOES(JOB_PLANNING)},
    [JOB_WRITING] = {[MOVE_WRITTEN] = GOES(JOB_COMPLETED),
                     [MOVE_RESUME] = GOES(JOB_WRITING),
                     [MOVE_FAIL] = GOES(JOB_FAILED),
                     [MOVE_REWIND] = GOES(JOB_PLANNING)},
    [JOB_PAUSING] = {[MOVE_IDLE] = GOES(JOB_PAUSED),
                     [MOVE_PAUSE] = GOES(JOB_PAUSING),
                     [MOVE_RESUME] = GOES(JOB_PLANNING),
                     [MOVE_CANCEL] = GOES(JOB_CANCELLING),
                     [MOVE_FAIL] = GOES(JOB_FAILED),
                     [MOVE_REWIND] = GOES(JOB_PAUSING)},
    [JOB_PAUSED] = {[MOVE_PAUSE] = GOES(JOB_PAUSED),
                    [MOVE_RESUME] = GOES(JOB_QUEUED),
                    [MOVE_CANCEL] = GOES(JOB_CANCELLING),
                    [MOVE_REWIND] = GOES(JOB_PAUSED)},
    [JOB_CANCELLING] = {[MOVE_PURGED] = GOES(JOB_CANCELLED), [MOVE_CANCEL] = GOES(JOB_CANCELLING)},
    [JOB_COMPLETED] = {[MOVE_EXPIRE] = GOES(JOB_REMOVING)},
    [JOB_CANCELLED] = {[MOVE_RETRY] = GOES(JOB_QUEUED), [MOVE_EXPIRE] = GOES(JOB_REMOVING)},
    [JOB_FAILED] = {[MOVE_RETRY] = GOES(JOB_QUEUED), [MOVE_EXPIRE] = GOES(JOB_REMOVING)},
};
#undef GOES

static int known_state(job_state_t state) { return (int)state >= 0 && state < JOB_STATE_COUNT; }
static int known_move(job_move_t move) { return (int)move >= 0 && move < JOB_MOVE_COUNT; }

const char *job_state_name(job_state_t state)
{
    return known_state(state) ? STATES[state].name : "unknown";
}

const char *job_state_words(job_state_t state)
{
    return known_state(state) ? STATES[state].words : "unknown";
}

int job_state_ended(job_state_t state) { return known_state(state) && STATES[state].ended; }

int job_state_parse(const char *name, job_state_t *out)
{
    for (int state = 0; state < JOB_STATE_COUNT; state++) {
        if (strcmp(STATES[state].name, name) == 0) {
            *out = (job_state_t)state;
            return 1;
        }
    }
    return 0;
}

const char *job_move_name(job_move_t move)
{
    return known_move(move) ? MOVES[move].name : "unknown";
}

int job_move_asked(job_move_t move) { return known_move(move) && MOVES[move].asked; }

int job_state_next(job_state_t state, job_move_t move, job_state_t *next)
{
    if (!known_state(state) || !known_move(move) || NEXT[state][move] == 0)
        return 0;
    *next = (job_state_t)(NEXT[state][move] - 1);
    return 1;
}

int job_state_offers(job_state_t state, job_move_t move)
{
    job_state_t next;
    return job_move_asked(move) && job_state_next(state, move, &next) && next != state;
}

void job_state_offers_words(job_state_t state, char out[JOB_OFFERS_SIZE])
{
    size_t used = 0;
    *out = 0;
    for (int move = 0; move < JOB_MOVE_COUNT; move++)
        if (job_state_offers(state, (job_move_t)move))
            used += (size_t)snprintf(out + used, JOB_OFFERS_SIZE - used, "%s%s", used ? " or " : "",
                                     MOVES[move].name);
}

static void print_moves(FILE *stream, job_state_t state)
{
    const char *between = "";
    for (int move = 0; move < JOB_MOVE_COUNT; move++) {
        job_state_t next;
        if (!job_state_next(state, (job_move_t)move, &next))
            continue;
        fprintf(stream, "%s%s → %s", between, MOVES[move].name,
                next == state ? "stays" : STATES[next].name);
        between = ", ";
    }
}

void job_state_markdown(FILE *stream)
{
    fputs("| state | what a person reads | ended | moves |\n|---|---|---|---|\n", stream);
    for (int state = 0; state < JOB_STATE_COUNT; state++) {
        fprintf(stream, "| `%s` | %s | %s | ", STATES[state].name, STATES[state].words,
                STATES[state].ended ? "yes" : "");
        print_moves(stream, (job_state_t)state);
        fputs(" |\n", stream);
    }
    fputs("\n| move | by | when |\n|---|---|---|\n", stream);
    for (int move = 0; move < JOB_MOVE_COUNT; move++)
        fprintf(stream, "| %s | %s | %s |\n", MOVES[move].name, MOVES[move].asked ? "user" : "",
                MOVES[move].when);
}
