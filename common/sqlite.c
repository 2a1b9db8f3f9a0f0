#include "common/sqlite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct database {
    sqlite3 *handle;
    int read_only;
    char path[]; /* for messages */
};

struct statement {
    database_t *database;
    sqlite3_stmt *handle;
    int bind_failure; /* the first SQLite code of a bind, reported by the next step */
};

/* What a SQLite result means to a user. */
typedef struct {
    int sqlite;
    int code;
    const char *advice;
} meaning_t;

static const meaning_t MEANINGS[] = {
    {SQLITE_FULL, ERR_IO, "; free some space there, or point the state folder somewhere else"},
    {SQLITE_READONLY, ERR_IO, "; the file and its folder must be writable by the service's user"},
    {SQLITE_CANTOPEN, ERR_IO, "; its folder must exist and be writable by the service's user"},
    {SQLITE_CORRUPT, ERR_IO,
     "; the file is damaged: restore it from a backup, or move it away and "
     "start anew"},
    {SQLITE_NOTADB, ERR_IO,
     "; this is no SQLite file: move it away, or point the state folder "
     "somewhere else"},
    {SQLITE_PERM, ERR_IO, "; the file must be readable and writable by the service's user"},
    {SQLITE_IOERR, ERR_IO, "; look for a full or failing disk"},
    {SQLITE_BUSY, ERR_UNAVAILABLE, "; another process keeps it locked"},
    {SQLITE_LOCKED, ERR_UNAVAILABLE, "; another process keeps it locked"},
    {SQLITE_CONSTRAINT, ERR_CONFLICT, ""},
    {SQLITE_TOOBIG, ERR_TOO_LARGE, ""},
    {SQLITE_NOMEM, ERR_MEMORY, ""},
};

static const meaning_t *meaning_of(int result)
{
    for (size_t i = 0; i < sizeof MEANINGS / sizeof *MEANINGS; i++)
        if ((result & 0xff) == MEANINGS[i].sqlite)
            return &MEANINGS[i];
    return NULL;
}

static int fail(const database_t *self, int result, error_t *error)
{
    const meaning_t *meaning = meaning_of(result);
    if (meaning)
        return error_set(error, meaning->code, "%s: %s%s", self->path, sqlite3_errstr(result),
                         meaning->advice);
    return error_set(error, ERR_INTERNAL, "%s: %s (%s)", self->path, sqlite3_errstr(result),
                     sqlite3_errmsg(self->handle));
}

int database_execute(database_t *self, const char *sql, error_t *error)
{
    int result = sqlite3_exec(self->handle, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? OK : fail(self, result, error);
}

static int open_handle(database_t *self, error_t *error)
{
    if (self->read_only && access(self->path, F_OK))
        return error_set(error, ERR_UNAVAILABLE, "%s is not there yet; the coordinator creates it",
                         self->path);
    int flags = self->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int result = sqlite3_open_v2(self->path, &self->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK)
        return fail(self, result, error);
    sqlite3_extended_result_codes(self->handle, 1);
    sqlite3_busy_timeout(self->handle, DATABASE_BUSY_MS);
    if (self->read_only)
        return database_execute(self, "SELECT count(*) FROM sqlite_master", error);
    return database_execute(self,
                            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                            "PRAGMA foreign_keys=OFF; PRAGMA wal_autocheckpoint=4000",
                            error);
}

int database_open(const char *path, int read_only, database_t **out, error_t *error)
{
    size_t length = strlen(path);
    database_t *self = calloc(1, sizeof *self + length + 1);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory to open %s", path);
    memcpy(self->path, path, length + 1);
    self->read_only = read_only;
    int code = open_handle(self, error);
    if (code != OK)
        database_close(&self);
    *out = self;
    return code;
}

void database_close(database_t **self)
{
    if (!*self)
        return;
    sqlite3_close((*self)->handle);
    free(*self);
    *self = NULL;
}

const char *database_path(const database_t *self) { return self->path; }

int database_begin(database_t *self, error_t *error)
{
    return database_execute(self, "BEGIN IMMEDIATE", error);
}

int database_begin_read(database_t *self, error_t *error)
{
    return database_execute(self, "BEGIN", error);
}

void database_rollback(database_t *self)
{
    if (!sqlite3_get_autocommit(self->handle))
        sqlite3_exec(self->handle, "ROLLBACK", NULL, NULL, NULL);
}

int database_end(database_t *self, int code, error_t *error)
{
    if (code == OK)
        code = database_execute(self, "COMMIT", error);
    if (code != OK)
        database_rollback(self);
    return code;
}

int64_t database_changes(const database_t *self) { return sqlite3_changes64(self->handle); }
int64_t database_last_row(const database_t *self)
{
    return sqlite3_last_insert_rowid(self->handle);
}

static int read_version(database_t *self, const char *part, int64_t *version, error_t *error)
{
    statement_t *statement = NULL;
    int row = 0;
    int code = statement_new(self, "SELECT version FROM schema_version WHERE part = ?1", &statement,
                             error);
    if (code != OK)
        return code;
    statement_bind_text(statement, 1, part);
    code = statement_step(statement, &row, error);
    *version = row ? statement_int(statement, 0) : 0;
    statement_destroy(&statement);
    return code;
}

static int write_version(database_t *self, const char *part, int64_t version, error_t *error)
{
    statement_t *statement = NULL;
    int code = statement_new(self, "INSERT OR REPLACE INTO schema_version VALUES(?1, ?2)",
                             &statement, error);
    if (code != OK)
        return code;
    statement_bind_text(statement, 1, part);
    statement_bind_int(statement, 2, version);
    code = statement_run(statement, error);
    statement_destroy(&statement);
    return code;
}

static int too_new(const database_t *self, const char *part, int64_t version, size_t count,
                   error_t *error)
{
    return error_set(error, ERR_CONFLICT,
                     "%s: its %s tables have version %lld, this program knows up to %zu; use the "
                     "newer program",
                     self->path, part, (long long)version, count);
}

static int migrate_in_transaction(database_t *self, const char *part, const char *const *migrations,
                                  size_t count, error_t *error)
{
    int64_t version = 0;
    int code = read_version(self, part, &version, error);
    if (code == OK && (version < 0 || (uint64_t)version > count))
        code = too_new(self, part, version, count, error);
    for (size_t v = (size_t)version; code == OK && v < count; v++)
        code = database_execute(self, migrations[v], error);
    if (code == OK && (size_t)version < count)
        code = write_version(self, part, (int64_t)count, error);
    return code;
}

/* A gateway may look before the coordinator has created the tables. */
static int check_version(database_t *self, const char *part, size_t count, error_t *error)
{
    int64_t version = 0;
    int code = read_version(self, part, &version, error);
    if (code != OK && code != ERR_INTERNAL) /* "no such table" is ERR_INTERNAL here */
        return code;
    if (code == OK && version > (int64_t)count)
        return too_new(self, part, version, count, error);
    if (code == OK && version == (int64_t)count)
        return OK;
    return error_set(error, ERR_UNAVAILABLE,
                     "%s has no %s tables of this version yet; the coordinator creates them",
                     self->path, part);
}

int database_migrate(database_t *self, const char *part, const char *const *migrations,
                     size_t count, error_t *error)
{
    if (self->read_only)
        return check_version(self, part, count, error);
    int code = database_begin(self, error);
    if (code != OK)
        return code;
    code = database_execute(self,
                            "CREATE TABLE IF NOT EXISTS schema_version("
                            " part TEXT PRIMARY KEY, version INTEGER NOT NULL)",
                            error);
    if (code == OK)
        code = migrate_in_transaction(self, part, migrations, count, error);
    return database_end(self, code, error);
}

int statement_new(database_t *database, const char *sql, statement_t **out, error_t *error)
{
    statement_t *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self)
        return error_set(error, ERR_MEMORY, "no memory for a statement on %s", database->path);
    self->database = database;
    int result = sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &self->handle, NULL);
    if (result == SQLITE_OK) {
        *out = self;
        return OK;
    }
    statement_destroy(&self);
    int code = fail(database, result, error);
    return code == OK ? ERR_INTERNAL : code; /* no statement is never OK */
}

void statement_destroy(statement_t **self)
{
    if (!*self)
        return;
    sqlite3_finalize((*self)->handle);
    free(*self);
    *self = NULL;
}

static void note(statement_t *self, int result)
{
    if (result != SQLITE_OK && !self->bind_failure)
        self->bind_failure = result;
}

void statement_bind_bytes(statement_t *self, int parameter, const char *text, size_t length)
{
    note(self,
         sqlite3_bind_text64(self->handle, parameter, text, length, SQLITE_STATIC, SQLITE_UTF8));
}

void statement_bind_text(statement_t *self, int parameter, const char *text)
{
    if (text)
        statement_bind_bytes(self, parameter, text, strlen(text));
    else
        note(self, sqlite3_bind_null(self->handle, parameter));
}

void statement_bind_blob(statement_t *self, int parameter, const void *bytes, size_t length)
{
    note(self, sqlite3_bind_blob64(self->handle, parameter, bytes, length, SQLITE_STATIC));
}

void statement_bind_int(statement_t *self, int parameter, int64_t value)
{
    note(self, sqlite3_bind_int64(self->handle, parameter, value));
}

void statement_bind_real(statement_t *self, int parameter, double value)
{
    note(self, sqlite3_bind_double(self->handle, parameter, value));
}

void statement_reset(statement_t *self)
{
    sqlite3_reset(self->handle);
    sqlite3_clear_bindings(self->handle);
    self->bind_failure = SQLITE_OK;
}

int statement_step(statement_t *self, int *row, error_t *error)
{
    int result = self->bind_failure ? self->bind_failure : sqlite3_step(self->handle);
    *row = result == SQLITE_ROW;
    if (*row)
        return OK;
    int code = result == SQLITE_DONE ? OK : fail(self->database, result, error);
    statement_reset(self);
    return code;
}

int statement_run(statement_t *self, error_t *error)
{
    int row = 1;
    int code = OK;
    while (code == OK && row)
        code = statement_step(self, &row, error);
    return code;
}

const char *statement_text(const statement_t *self, int column)
{
    const unsigned char *text = sqlite3_column_text(self->handle, column);
    return text ? (const char *)text : "";
}

size_t statement_length(const statement_t *self, int column)
{
    return (size_t)sqlite3_column_bytes(self->handle, column);
}

const void *statement_blob(const statement_t *self, int column)
{
    return sqlite3_column_blob(self->handle, column);
}

int64_t statement_int(const statement_t *self, int column)
{
    return sqlite3_column_int64(self->handle, column);
}

double statement_real(const statement_t *self, int column)
{
    return sqlite3_column_double(self->handle, column);
}

int statement_is_null(const statement_t *self, int column)
{
    return sqlite3_column_type(self->handle, column) == SQLITE_NULL;
}
