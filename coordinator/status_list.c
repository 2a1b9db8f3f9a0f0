/* The list of jobs. Those that have not ended are all in the book, so a list of such a state comes from
 * there; that of a state in which jobs have ended comes from the ledger, and so does the list of all
 * jobs, where the book has the newer word. */
#include "coordinator/status.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define LIST_LIMIT_DEFAULT 50
#define LIST_LIMIT 1000

static int wrong(error_t *error, const char *field, const char *right)
{
    return error_field(error, ERR_USAGE, field, "%s must be %s", field, right);
}

/* As job_book_new_id makes them: a cursor is the last id of a page. */
static int is_job_id(const char *text)
{
    return strlen(text) == 30 && !strncmp(text, "job_", 4) &&
           strspn(text + 4, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == 26;
}

static int read_member(store_work_t *work, const char *key, json_t *value, error_t *error)
{
    job_state_t state;
    if (!strcmp(key, "state")) {
        if (!json_is_string(value) || !job_state_parse(json_string_value(value), &state))
            return wrong(error, "state", "a job's state, such as \"running\"");
        work->query.state = (int)state;
    } else if (!strcmp(key, "limit")) {
        json_int_t limit = json_integer_value(value);
        if (limit < 1 || limit > LIST_LIMIT)
            return wrong(error, "limit", "a number from 1 to 1000");
        work->query.limit = (size_t)limit + 1;
    } else if (!strcmp(key, "cursor")) {
        if (!json_is_string(value) || !is_job_id(json_string_value(value)))
            return wrong(error, "cursor", "what the page before gave as next_cursor");
        snprintf(work->cursor, sizeof work->cursor, "%s", json_string_value(value));
    } else {
        return error_field(error, ERR_USAGE, key, "%.60s is not known; state, limit and cursor are",
                           key);
    }
    return OK;
}

int status_list_read(const char *body, size_t length, store_work_t *work, error_t *error)
{
    const char *key;
    json_t *value;
    int code = OK;
    work->query = (ledger_query_t){.state = -1, .limit = LIST_LIMIT_DEFAULT + 1};
    if (!body || !length)
        return OK;
    json_t *object = json_loadb(body, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object))
        code = error_field(error, ERR_USAGE, "body", "the body must be a JSON object");
    else
        json_object_foreach(object, key, value)
        {
            if (!json_is_null(value) && (code = read_member(work, key, value, error)))
                break;
        }
    json_decref(object);
    return code;
}

/* One job more than is shown is looked for: is there a next page? */
typedef struct {
    const shell_t *shell;
    const store_work_t *work;
    json_t *jobs;
    size_t seen;
    const char *last; /* that belongs to this page */
} page_t;

static int is_room(page_t *page, const char *job_id)
{
    if (page->seen++ >= page->work->query.limit - 1)
        return 0;
    page->last = job_id;
    return 1;
}

/* 1 when the core tells of it (the ledger has it), and the state is the one asked for. */
static int is_listed(const page_t *page, const job_record_t *record, job_state_t *state)
{
    core_job_view_t view;
    const store_work_t *work = page->work;
    if (!core_job(page->shell->core, record->job_id, &view))
        return 0;
    *state = view.state;
    return (work->query.state < 0 || (int)view.state == work->query.state) &&
           (!work->cursor[0] || strcmp(record->job_id, work->cursor) < 0);
}

static void add_record(page_t *page, const job_record_t *record)
{
    job_state_t state;
    if (is_listed(page, record, &state) && is_room(page, record->job_id))
        json_array_append_new(page->jobs, status_entry(page->shell, record, state));
}

/* What has not ended and is in no book was refused. */
static int add_row(page_t *page, const ledger_job_t *row, error_t *error)
{
    job_record_t seen;
    const job_record_t *record = job_book_find(&page->shell->jobs, row->job_id);
    job_state_t state = row->state;
    if (!is_room(page, row->job_id))
        return OK;
    if (record && !is_listed(page, record, &state))
        return OK;
    if (!record && !job_state_ended(state))
        return OK;
    int code = shell_record_of_row(row, &seen, error);
    if (code)
        return code;
    json_array_append_new(page->jobs, status_entry(page->shell, record ? record : &seen, state));
    job_spec_clear(&seen.spec);
    return OK;
}

static json_int_t total_of(const shell_t *shell, int wanted)
{
    size_t total = 0;
    for (int state = 0; state < JOB_STATE_COUNT; state++)
        if (wanted < 0 || state == wanted)
            total += core_job_count(shell->core, (job_state_t)state);
    return (json_int_t)total;
}

int status_list_page(const shell_t *shell, const store_work_t *work, char **json, error_t *error)
{
    page_t page = {.shell = shell, .work = work, .jobs = json_array()};
    int living = work->query.state >= 0 && !job_state_ended((job_state_t)work->query.state);
    int code = OK;
    for (size_t i = shell->jobs.count; living && i > 0; i--)
        add_record(&page, shell->jobs.items[i - 1]);
    for (size_t i = 0; !code && i < work->page_count; i++)
        code = add_row(&page, &work->page[i], error);
    json_t *object = json_pack("{s:o, s:o, s:I}", "next_cursor",
                               page.seen < work->query.limit ? json_null() : json_string(page.last),
                               "jobs", page.jobs, "total", total_of(shell, work->query.state));
    if (!code && object)
        *json = json_dumps(object, STATUS_DUMP);
    json_decref(object);
    if (!code && !*json)
        code = error_set(error, ERR_MEMORY, "no memory for an answer");
    return code;
}
