#include "common/input/id_order.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Ids of one index begin alike ("event_emb_wt_"): what all share is left out, and the next eight
 * bytes as a number decide nearly every comparison. */
typedef struct {
    uint64_t key;
    uint32_t row;
} keyed_row_t;

typedef struct {
    const catalog_t *catalog;
    size_t shared;
} order_context_t;

static size_t common_prefix(string_view_t a, const char *text, size_t length)
{
    size_t most = a.length < length ? a.length : length;
    size_t i = 0;
    while (i < most && a.text[i] == text[i])
        i++;
    return i;
}

static size_t prefix_of_all(const catalog_t *catalog, const uint32_t *rows, uint32_t count)
{
    string_view_t first = catalog_vector_id(catalog, rows[0]);
    size_t shared = first.length;
    for (uint32_t i = 1; i < count; i++) {
        string_view_t id = catalog_vector_id(catalog, rows[i]);
        shared = common_prefix(id, first.text, shared);
    }
    return shared;
}

static uint64_t key_of(string_view_t id, size_t shared)
{
    uint64_t key = 0;
    size_t left = id.length - shared;
    memcpy(&key, id.text + shared, left < sizeof key ? left : sizeof key);
    return be64toh(key);
}

static int compare_keyed(const void *a, const void *b, void *context)
{
    const keyed_row_t *left = a;
    const keyed_row_t *right = b;
    const order_context_t *order = context;
    if (left->key != right->key)
        return left->key < right->key ? -1 : 1;
    string_view_t x = catalog_vector_id(order->catalog, left->row);
    string_view_t y = catalog_vector_id(order->catalog, right->row);
    size_t common = x.length < y.length ? x.length : y.length;
    int result = memcmp(x.text, y.text, common);
    return result != 0 ? result : (x.length > y.length) - (x.length < y.length);
}

int sort_rows_by_id(const catalog_t *catalog, uint32_t *rows)
{
    uint32_t count = catalog_valid_rows(catalog);
    if (count == 0)
        return 1;
    keyed_row_t *keyed = malloc(count * sizeof *keyed);
    if (keyed == NULL)
        return 0;
    order_context_t order = {catalog, prefix_of_all(catalog, rows, count)};
    for (uint32_t i = 0; i < count; i++)
        keyed[i] =
            (keyed_row_t){key_of(catalog_vector_id(catalog, rows[i]), order.shared), rows[i]};
    qsort_r(keyed, count, sizeof *keyed, compare_keyed, &order);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = keyed[i].row;
    free(keyed);
    return 1;
}
