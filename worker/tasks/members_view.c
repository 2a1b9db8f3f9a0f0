#include "worker/tasks/members_view.h"

static int check_cluster(const members_view_t *self, size_t cluster, uint32_t slots, error_t *error)
{
    if (self->begin[cluster] >= self->begin[cluster + 1])
        return error_set(error, ERR_PROTOCOL, "members: cluster %zu is empty", cluster);
    for (uint32_t i = self->begin[cluster]; i < self->begin[cluster + 1]; i++) {
        if (self->member[i] >= slots ||
            (i > self->begin[cluster] && self->member[i] <= self->member[i - 1]))
            return error_set(error, ERR_PROTOCOL,
                             "members: cluster %zu has slot %u; slots must rise, below %u", cluster,
                             self->member[i], slots);
    }
    return OK;
}

int members_view_open(members_view_t *self, const task_state_t *state, error_t *error)
{
    const void *begin, *member;
    size_t count;
    *self = (members_view_t){0};
    int code = task_state_input(state, "members", &self->columns, error);
    if (!code)
        code = columns_get(self->columns, "cluster_begin", COLUMN_U32, SIZE_MAX, &begin, &count,
                           error);
    if (code)
        return code;
    if (!count)
        return error_set(error, ERR_PROTOCOL, "members: cluster_begin is empty");
    self->begin = begin;
    self->clusters = count - 1;
    code = columns_get(self->columns, "member", COLUMN_U32, SIZE_MAX, &member, &count, error);
    if (code)
        return code;
    self->member = member;
    if (self->begin[0] != 0 || self->begin[self->clusters] != count)
        return error_set(error, ERR_PROTOCOL, "members: clusters cover %u to %u of %zu members",
                         self->begin[0], self->begin[self->clusters], count);
    for (size_t c = 0; c < self->clusters && !code; c++)
        if (self->begin[c + 1] > count)
            code = error_set(error, ERR_PROTOCOL, "members: cluster %zu ends at %u of %zu", c,
                             self->begin[c + 1], count);
        else
            code = check_cluster(self, c, state->plan.slots, error);
    return code;
}

void members_view_close(members_view_t *self) { columns_close(&self->columns); }

int members_view_clusters(const members_view_t *self, const task_t *task, size_t *count,
                          error_t *error)
{
    *count = 0;
    for (uint32_t s = 0; s < task->segment_count; s++) {
        const segment_t *segment = &task->segments[s];
        if (segment->begin > segment->end || segment->end > self->clusters)
            return error_set(error, ERR_PROTOCOL, "segment of clusters %u to %u: there are %zu",
                             segment->begin, segment->end, self->clusters);
        *count += segment->end - segment->begin;
    }
    return OK;
}
