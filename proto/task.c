#include "proto/task.h"

#include <stdlib.h>
#include <string.h>

void task_clear(task_t *self)
{
    free(self->segments);
    memset(self, 0, sizeof *self);
}

const sha256_t *task_input(const task_t *self, const char *name)
{
    for (size_t i = 0; i < self->input_count; i++)
        if (!strcmp(self->inputs[i].name, name))
            return &self->inputs[i].sha256;
    return NULL;
}

double task_param(const task_t *self, const char *name, double absent)
{
    for (size_t i = 0; i < self->param_count; i++)
        if (!strcmp(self->params[i].name, name))
            return self->params[i].value;
    return absent;
}
