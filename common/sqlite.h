/* sqlite.h - a thin layer over SQLite; the only file that knows it.
 *
 * A database is opened in WAL mode with synchronous=FULL: a commit is on disk when it returns, and
 * readers of other handles and processes see all of it or nothing. A handle is used by one thread
 * at a time. Several parts (ledger, results) may keep their tables in one file, each with its own
 * numbered migrations.
 *
 * SQLite's codes become ours: ERR_IO for a full, read-only, unreadable or damaged file (with the
 * path and what to do), ERR_UNAVAILABLE when another process kept it locked for BUSY_MS,
 * ERR_CONFLICT for a violated key, ERR_TOO_LARGE, ERR_MEMORY. */
#ifndef STAGE4_COMMON_SQLITE_H
#define STAGE4_COMMON_SQLITE_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

#define DATABASE_BUSY_MS 10000

typedef struct database database_t;
typedef struct statement statement_t;

/* Creates the file when it is missing, unless read_only (then ERR_UNAVAILABLE). */
int database_open(const char *path, int read_only, database_t **out, error_t *error);
void database_close(database_t **self); /* every statement must be gone */
const char *database_path(const database_t *self);

/* Brings the tables of `part` from the version in the file to `count`: migrations[v] leads from v
 * to v + 1. All of it happens or none. ERR_CONFLICT when the file was made by a newer program. On a
 * read-only handle nothing is migrated: ERR_UNAVAILABLE when the file is not at `count` yet. */
int database_migrate(database_t *self, const char *part, const char *const *migrations,
                     size_t count, error_t *error);

/* Runs constant SQL (never text from outside), several statements separated by ';'. */
int database_execute(database_t *self, const char *sql, error_t *error);

int database_begin(database_t *self, error_t *error);      /* takes the write lock */
int database_begin_read(database_t *self, error_t *error); /* one snapshot for several reads */
void database_rollback(database_t *self);                  /* nothing when none is open */
/* Ends the transaction: commits when `code` is OK, else rolls back. Gives `code`, or why the commit
 * failed (then it was rolled back). */
int database_end(database_t *self, int code, error_t *error);
int64_t database_changes(const database_t *self);  /* rows the last statement changed */
int64_t database_last_row(const database_t *self); /* number of the row inserted last */

int statement_new(database_t *database, const char *sql, statement_t **out, error_t *error);
void statement_destroy(statement_t **self);

/* Parameters count from 1. Text and blobs are borrowed until the statement is reset or run again; a
 * failed bind is reported by the next step. NULL text binds NULL. */
void statement_bind_text(statement_t *self, int parameter, const char *text);
void statement_bind_bytes(statement_t *self, int parameter, const char *text, size_t length);
void statement_bind_blob(statement_t *self, int parameter, const void *bytes, size_t length);
void statement_bind_int(statement_t *self, int parameter, int64_t value);
void statement_bind_real(statement_t *self, int parameter, double value);

/* *row: 1 when there is a row to read, 0 at the end (the statement is reset then). */
int statement_step(statement_t *self, int *row, error_t *error);
/* Steps to the end, then forgets the parameters: for statements without a result. */
int statement_run(statement_t *self, error_t *error);
void statement_reset(statement_t *self); /* after reading less than all rows; forgets parameters */

/* Columns count from 0; pointers live until the next step or reset. Text is never NULL ("" for
 * NULL); statement_is_null tells the difference. */
const char *statement_text(const statement_t *self, int column);
size_t statement_length(const statement_t *self, int column);
const void *statement_blob(const statement_t *self, int column);
int64_t statement_int(const statement_t *self, int column);
double statement_real(const statement_t *self, int column);
int statement_is_null(const statement_t *self, int column);

#endif
