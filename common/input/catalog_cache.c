#include "common/input/catalog_cache.h"
#include "common/input/hash64.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_VERSION 1
#define ALIGNMENT 64

static const char MAGIC[8] = "S4CATLG";

typedef struct {
    char magic[8];
    uint32_t version;
    uint32_t level;
    uint64_t rows;
    uint64_t file_size;
    int64_t file_mtime_ns;
    sha256_t fingerprint;
    uint64_t problem_counts[PROBLEM_KIND_COUNT];
    uint64_t section_bytes[SECTION_COUNT];
    uint64_t checksums[SECTION_COUNT];
    uint64_t header_checksum; /* of all before */
} cache_header_t;

static size_t align(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static uint64_t checksum_of_header(const cache_header_t *header)
{
    return hash64(header, offsetof(cache_header_t, header_checksum), CACHE_VERSION);
}

static char *name_in(const catalog_t *self, const char *folder, const char *suffix)
{
    char digits[65];
    char *name = NULL;
    sha256_hex(&self->fingerprint, digits);
    if (asprintf(&name, "%s/%s-%.32s-%" PRIu32 ".catalog%s", folder, level_plural(self->level),
                 digits, self->rows, suffix) < 0)
        return NULL;
    return name;
}

/* What the header says must be what is asked for, and must add up to the size of the file. */
static int header_fits(const catalog_t *self, const cache_header_t *header, size_t file_bytes)
{
    static const size_t units[SECTION_COUNT] = {1,
                                                sizeof(catalog_entry_t),
                                                sizeof(uint32_t),
                                                sizeof(uint32_t),
                                                sizeof(string_ref_t),
                                                sizeof(string_ref_t),
                                                sizeof(catalog_problem_t)};
    if (memcmp(header->magic, MAGIC, sizeof MAGIC) != 0 || header->version != CACHE_VERSION ||
        header->header_checksum != checksum_of_header(header))
        return 0;
    if (header->level != (uint32_t)self->level || header->rows != self->rows ||
        header->file_size != self->file.size || header->file_mtime_ns != self->file.mtime_ns ||
        !sha256_equal(&header->fingerprint, &self->fingerprint))
        return 0;
    size_t total = align(sizeof *header);
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (header->section_bytes[i] > file_bytes || header->section_bytes[i] % units[i] != 0)
            return 0;
        total += align(header->section_bytes[i]);
    }
    return total == file_bytes && header->section_bytes[SECTION_ROWS] / 4 == self->rows;
}

static int sections_verify(const cache_header_t *header, const char *mapping,
                           catalog_section_t sections[SECTION_COUNT])
{
    size_t at = align(sizeof *header);
    for (int i = 0; i < SECTION_COUNT; i++) {
        size_t bytes = header->section_bytes[i];
        if (hash64(mapping + at, bytes, (uint64_t)i) != header->checksums[i])
            return 0;
        sections[i] = (catalog_section_t){mapping + at, bytes};
        at += align(bytes);
    }
    return 1;
}

static void *map_file(const char *name, size_t *bytes)
{
    struct stat status;
    void *mapping = MAP_FAILED;
    int descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0)
        return MAP_FAILED;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size >= (off_t)align(sizeof(cache_header_t))) {
        *bytes = (size_t)status.st_size;
        mapping = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    }
    close(descriptor);
    return mapping;
}

/* The time of its last use is what the sweep goes by; one that cannot be set is as old as it is. */
static void touch(const catalog_t *self, const char *folder)
{
    char *name = name_in(self, folder, "");
    if (name)
        utimensat(AT_FDCWD, name, NULL, 0);
    free(name);
}

int catalog_cache_load(catalog_t *self, const char *folder)
{
    size_t bytes = 0;
    catalog_section_t sections[SECTION_COUNT];
    char *name = name_in(self, folder, "");
    void *mapping = name != NULL ? map_file(name, &bytes) : MAP_FAILED;
    free(name);
    if (mapping == MAP_FAILED)
        return 0;
    const cache_header_t *header = mapping;
    if (!header_fits(self, header, bytes) || !sections_verify(header, mapping, sections)) {
        munmap(mapping, bytes);
        return 0;
    }
    touch(self, folder);
    memcpy(self->sections, sections, sizeof sections);
    memcpy(self->problem_counts, header->problem_counts, sizeof header->problem_counts);
    self->mapping = mapping;
    self->mapping_bytes = bytes;
    return 1;
}

static int write_all(int descriptor, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(descriptor, at, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return 0;
        at += written;
        length -= (size_t)written;
    }
    return 1;
}

static int write_aligned(int descriptor, const void *bytes, size_t length)
{
    static const char zeros[ALIGNMENT] = {0};
    return write_all(descriptor, bytes, length) &&
           write_all(descriptor, zeros, align(length) - length);
}

static cache_header_t header_of(const catalog_t *self)
{
    cache_header_t header;
    memset(&header, 0, sizeof header);
    memcpy(header.magic, MAGIC, sizeof MAGIC);
    header.version = CACHE_VERSION;
    header.level = (uint32_t)self->level;
    header.rows = self->rows;
    header.file_size = self->file.size;
    header.file_mtime_ns = self->file.mtime_ns;
    header.fingerprint = self->fingerprint;
    memcpy(header.problem_counts, self->problem_counts, sizeof header.problem_counts);
    for (int i = 0; i < SECTION_COUNT; i++) {
        header.section_bytes[i] = self->sections[i].bytes;
        header.checksums[i] = hash64(self->sections[i].data, self->sections[i].bytes, (uint64_t)i);
    }
    header.header_checksum = checksum_of_header(&header);
    return header;
}

static int write_sections(const catalog_t *self, int descriptor)
{
    cache_header_t header = header_of(self);
    if (!write_aligned(descriptor, &header, sizeof header))
        return 0;
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (!write_aligned(descriptor, self->sections[i].data, self->sections[i].bytes))
            return 0;
    }
    return 1;
}

/* Without fsync: after a power cut the checksums tell, and the file is built again. */
int catalog_cache_save(const catalog_t *self, const char *folder)
{
    int saved = 0;
    char *temporary = name_in(self, folder, ".XXXXXX");
    char *name = name_in(self, folder, "");
    if (temporary != NULL && name != NULL) {
        int descriptor = mkostemp(temporary, O_CLOEXEC);
        if (descriptor >= 0) {
            saved = write_sections(self, descriptor);
            saved = close(descriptor) == 0 && saved && rename(temporary, name) == 0;
            if (!saved)
                unlink(temporary);
        }
    }
    free(temporary);
    free(name);
    return saved;
}

static int is_cache_name(const char *name)
{
    static const char *const ENDS[] = {".catalog", ".tmp"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        if (length > strlen(ENDS[i]) && !strcmp(name + length - strlen(ENDS[i]), ENDS[i]))
            return 1;
    return 0;
}

size_t catalog_cache_sweep(const char *folder, int64_t now_s, int64_t unused_s)
{
    size_t removed = 0;
    struct dirent *entry;
    DIR *names = opendir(folder);
    if (!names)
        return 0;
    while ((entry = readdir(names))) {
        struct stat state;
        if (is_cache_name(entry->d_name) &&
            !fstatat(dirfd(names), entry->d_name, &state, AT_SYMLINK_NOFOLLOW) &&
            S_ISREG(state.st_mode) && now_s - (int64_t)state.st_mtim.tv_sec >= unused_s)
            removed += !unlinkat(dirfd(names), entry->d_name, 0);
    }
    closedir(names);
    return removed;
}
