/* memory_meter.h - the largest single allocation since it was last asked for, and the peak
 * of resident memory. Include it in one file of a test program: without AddressSanitizer it
 * takes malloc's place, with it it listens to its hooks. */
#ifndef STAGE4_TESTS_LIB_MEMORY_METER_H
#define STAGE4_TESTS_LIB_MEMORY_METER_H

#include <stddef.h>
#include <sys/resource.h>

static size_t memory_largest; /* a test's instrument, not the program's state */

static inline void memory_note(size_t size)
{
    if (size > memory_largest)
        memory_largest = size;
}

static inline size_t memory_take_largest(void)
{
    size_t largest = memory_largest;
    memory_largest = 0;
    return largest;
}

/* The most that was ever resident, mappings included. */
static inline size_t memory_resident_peak(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (size_t)usage.ru_maxrss * 1024 : 0;
}

#if defined(__SANITIZE_ADDRESS__)

/* As in LLVM's sanitizer/allocator_interface.h, which gcc's packages lack. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

/* What was freed goes back soon: the resident memory is to be that of the code under test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=1"; }

static void memory_on_malloc(const volatile void *pointer, size_t size)
{
    (void)pointer;
    memory_note(size);
}

static void memory_on_free(const volatile void *pointer) { (void)pointer; }

static inline void memory_meter_start(void)
{
    __sanitizer_install_malloc_and_free_hooks(memory_on_malloc, memory_on_free);
}

#else

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);

void *malloc(size_t size)
{
    memory_note(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    memory_note(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
    memory_note(size);
    return __libc_realloc(pointer, size);
}

static inline void memory_meter_start(void) {}

#endif
#endif
