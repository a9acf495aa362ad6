/*
 * The shared file: base/shm.h. A new file is prepared under another name and renamed, so no process ever
 * sees half of one; a lock file keeps two processes from preparing at the same time.
 */
#include "base/shm.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC 0x54505348 /* "TPSH" */
#define LAYOUT 1
#define PAGE 4096
#define MAX_SECTIONS 16
#define NAME_MAX_BYTES 32

struct section_entry {
    char name[NAME_MAX_BYTES]; /* NUL-terminated */
    uint64_t offset, size;
};

struct header {
    uint32_t magic;
    uint32_t layout;
    uint64_t file_size;
    uint64_t section_count;
    struct tp_hash_key hash_key;
    struct section_entry sections[MAX_SECTIONS];
    atomic_uint filled; /* see tp_shm_is_filled */
};
_Static_assert(sizeof(struct header) <= PAGE, "the header fits its page");

struct tp_shm {
    struct header *header; /* start of the mapping */
    size_t size;
    bool is_new;
};

static void describe(struct header *header, const struct tp_shm_section *sections, size_t count)
{
    uint64_t offset = PAGE;

    memset(header, 0, sizeof(*header));
    header->magic = MAGIC;
    header->layout = LAYOUT;
    header->section_count = count;
    for (size_t i = 0; i < count; i++) {
        struct section_entry *entry = &header->sections[i];

        TP_ASSERT(strlen(sections[i].name) < NAME_MAX_BYTES);
        memcpy(entry->name, sections[i].name, strlen(sections[i].name));
        entry->offset = offset;
        entry->size = (sections[i].size + PAGE - 1) / PAGE * PAGE;
        offset += entry->size;
    }
    header->file_size = offset;
}

/* The same layout, whatever the hash key. */
static bool is_same(const struct header *found, const struct header *wanted)
{
    return found->magic == wanted->magic && found->layout == wanted->layout && found->file_size == wanted->file_size &&
           found->section_count == wanted->section_count &&
           memcmp(found->sections, wanted->sections, sizeof(found->sections)) == 0;
}

static bool is_usable(int fd, const struct header *wanted)
{
    struct header found;
    struct stat st;

    return fstat(fd, &st) == 0 && (uint64_t)st.st_size == wanted->file_size &&
           pread(fd, &found, sizeof(found), 0) == (ssize_t)sizeof(found) && is_same(&found, wanted);
}

static int fail(struct tp_diag *diag, const char *path, const char *what)
{
    tp_diag_add(diag, path, "cannot %s the shared file: %s", what, strerror(errno));
    return -1;
}

/* Write a new file beside `path` and move it there. Returns its fd or -1. */
static int create(const char *path, struct header *header, struct tp_diag *diag)
{
    struct tp_buf temp;
    int fd;

    tp_buf_init(&temp, 0);
    tp_buf_addf(&temp, "%s.new", path);
    tp_random_bytes(&header->hash_key, sizeof(header->hash_key));
    fd = open(temp.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0660);
    if (fd < 0) {
        fail(diag, temp.data, "create");
        goto out;
    }
    if (ftruncate(fd, (off_t)header->file_size) || pwrite(fd, header, sizeof(*header), 0) != sizeof(*header) ||
        fchmod(fd, 0660) || rename(temp.data, path)) {
        fail(diag, path, "prepare");
        close(fd);
        fd = -1;
    }
out:
    tp_buf_fini(&temp);
    return fd;
}

/* A file that cannot be used is kept beside, for whoever wants to look. */
static void set_aside(const char *path)
{
    struct tp_buf old;

    tp_buf_init(&old, 0);
    tp_buf_addf(&old, "%s.old", path);
    rename(path, old.data); /* a failure shows when the new file is moved here */
    tp_buf_fini(&old);
}

static int open_or_create(const char *path, struct header *wanted, bool *is_new, struct tp_diag *diag)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0 && is_usable(fd, wanted))
        return fd;
    if (fd < 0 && errno != ENOENT)
        return fail(diag, path, "open");
    if (fd >= 0) {
        close(fd);
        set_aside(path);
    }
    *is_new = true;
    return create(path, wanted, diag);
}

static int lock_beside(const char *path, struct tp_diag *diag)
{
    struct tp_buf name;
    int fd;

    tp_buf_init(&name, 0);
    tp_buf_addf(&name, "%s.lock", path);
    fd = open(name.data, O_RDWR | O_CREAT | O_CLOEXEC, 0660);
    if (fd < 0 || (flock(fd, LOCK_EX) && errno != ENOLCK)) {
        fail(diag, name.data, "lock");
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    tp_buf_fini(&name);
    return fd;
}

enum tp_err tp_shm_open(struct tp_shm **out, const char *path, const struct tp_shm_section *sections, size_t count,
                        struct tp_diag *diag)
{
    struct header wanted;
    bool is_new = false;
    int lock, fd;
    void *at;

    TP_ASSERT(count <= MAX_SECTIONS);
    describe(&wanted, sections, count);
    lock = lock_beside(path, diag);
    if (lock < 0)
        return TP_ERR_IO;
    fd = open_or_create(path, &wanted, &is_new, diag);
    close(lock);
    if (fd < 0)
        return TP_ERR_IO;
    at = mmap(NULL, wanted.file_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED) {
        fail(diag, path, "map");
        return TP_ERR_IO;
    }
    *out = tp_new(struct tp_shm);
    **out = (struct tp_shm){ .header = at, .size = wanted.file_size, .is_new = is_new };
    return TP_OK;
}

void tp_shm_close(struct tp_shm *shm)
{
    if (!shm)
        return;
    munmap(shm->header, shm->size);
    free(shm);
}

void *tp_shm_section(struct tp_shm *shm, const char *name, size_t *size)
{
    for (size_t i = 0; i < shm->header->section_count; i++) {
        const struct section_entry *entry = &shm->header->sections[i];

        if (strcmp(entry->name, name) == 0) {
            if (size)
                *size = entry->size;
            return (char *)shm->header + entry->offset;
        }
    }
    return NULL;
}

const struct tp_hash_key *tp_shm_hash_key(const struct tp_shm *shm)
{
    return &shm->header->hash_key;
}

bool tp_shm_is_new(const struct tp_shm *shm)
{
    return shm->is_new;
}

bool tp_shm_is_filled(const struct tp_shm *shm)
{
    return atomic_load(&shm->header->filled) != 0;
}

void tp_shm_set_filled(struct tp_shm *shm)
{
    atomic_store(&shm->header->filled, 1);
}
