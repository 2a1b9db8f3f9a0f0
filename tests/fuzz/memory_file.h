/* memory_file.h - the fuzzer's bytes as a file with a path, without a disk. */
#ifndef STAGE4_TESTS_FUZZ_MEMORY_FILE_H
#define STAGE4_TESTS_FUZZ_MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    int descriptor;
    char path[64];
} memory_file_t;

static inline memory_file_t memory_file_new(const uint8_t *bytes, size_t length)
{
    memory_file_t self;
    self.descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    if (self.descriptor < 0 || write(self.descriptor, bytes, length) != (ssize_t)length)
        abort();
    snprintf(self.path, sizeof self.path, "/proc/self/fd/%d", self.descriptor);
    return self;
}

static inline void memory_file_close(memory_file_t *self) { close(self->descriptor); }

#endif
