/* payload_io.h - payloads in and out of the spool, opened as columns. */
#ifndef STAGE4_COORDINATOR_MERGE_PAYLOAD_IO_H
#define STAGE4_COORDINATOR_MERGE_PAYLOAD_IO_H

#include "coordinator/merge/advance.h"
#include "proto/columns.h"

typedef struct {
    uint8_t *bytes;
    columns_t *columns;
} payload_t;

/* Zero-initialise before; payload_close after, also when opening failed. */
int payload_open(payload_t *self, const advance_input_t *input, const sha256_t *sha256,
                 const char *kind, error_t *error);
void payload_close(payload_t *self);

/* As payload_open, for the result of task `task` of the stage that has finished. Whatever is wrong
 * with it becomes ERR_NOT_FOUND with the field "task:<number>", so that the task runs again. */
int result_open(payload_t *self, const advance_input_t *input, uint32_t task, const char *kind,
                error_t *error);
/* Turns an error about the content of a task's result into that; others pass. Returns the code. */
int result_blame(uint32_t task, int code, error_t *error);

/* An array of the payload, as columns_get. */
int payload_u32(const payload_t *self, const char *name, size_t count, const uint32_t **out,
                error_t *error);
int payload_f32(const payload_t *self, const char *name, size_t count, const float **out,
                error_t *error);
int payload_f64(const payload_t *self, const char *name, size_t count, const double **out,
                error_t *error);
int payload_sha(const payload_t *self, const char *name, sha256_t *out, error_t *error);
/* The number of elements of a u32 column; its values in *out. */
int payload_list(const payload_t *self, const char *name, const uint32_t **out, size_t *count,
                 error_t *error);

void columns_put_sha(columns_writer_t *writer, const char *name, const sha256_t *value);
/* Finishes the writer and puts the payload into the spool. */
int payload_save(const advance_input_t *input, columns_writer_t **writer, sha256_t *out,
                 error_t *error);
int payload_save_bytes(const advance_input_t *input, uint8_t *bytes, size_t length, sha256_t *out,
                       error_t *error); /* frees `bytes` */

/* ERR_CANCELLED when the job's stop flag is set. */
int advance_stopped(const advance_input_t *input, error_t *error);

#endif
