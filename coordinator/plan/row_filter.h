/* row_filter.h - the rows that a job's filter and dates let through.
 *
 * domain, event_type, entity_type and document_id are looked up in the catalog's columns (a domain
 * by its long form, so "diplomatic" finds "diplomatic_relations" too); any other key in the row's
 * metadata as it stands in the file: equal string, number (1 equals 1.0), boolean or null (an
 * absent key counts as null); an array matches when one of its elements does. Dates are inclusive;
 * an item with a span matches when the span touches the range; an item without a date does not
 * match. */
#ifndef STAGE4_COORDINATOR_PLAN_ROW_FILTER_H
#define STAGE4_COORDINATOR_PLAN_ROW_FILTER_H

#include "common/input/catalog.h"
#include "proto/job_spec.h"

#include <stdatomic.h>

/* Keeps the rows that match, in order; *count becomes their number. */
int row_filter(const job_spec_t *spec, const catalog_t *catalog, const atomic_int *stop,
               uint32_t *rows, uint32_t *count, error_t *error);

#endif
