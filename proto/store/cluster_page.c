#include "proto/store/result_store.h"

#include <stdlib.h>

void cluster_page_clear(cluster_page_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->json[i]);
    free(self->json);
    free(self->next_cursor);
    *self = (cluster_page_t){0};
}
