/* id_order.h - rows in the order of the bytes of their vector_id. */
#ifndef STAGE4_COMMON_INPUT_ID_ORDER_H
#define STAGE4_COMMON_INPUT_ID_ORDER_H

#include "common/input/catalog_parts.h"

/* Sorts the valid rows that stand in `rows`, catalog_valid_rows of them. 1, or 0 when out of
 * memory. */
int sort_rows_by_id(const catalog_t *catalog, uint32_t *rows);

#endif
