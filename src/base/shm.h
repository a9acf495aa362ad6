/*
 * The shared file: one file per instance, mapped by control and by all workers, made of lock-free atomics
 * only, so that it survives a reload, an upgrade, and the death of any process.
 *
 * Layout: a page of header (magic, layout version, sizes, hash key), then sections. A file of another layout
 * or size is set aside (renamed to .old) and a new one made. The sections' owners define what
 * lies in them (quota/counters.h, …).
 */
#ifndef TP_BASE_SHM_H
#define TP_BASE_SHM_H

#include "base/diag.h"
#include "base/hash.h"

struct tp_shm;

/* A section's name and size; tables of them must be the same in every process of an instance. */
struct tp_shm_section {
    const char *name; /* at most 31 bytes */
    size_t size;      /* bytes, rounded up to a page */
};

/*
 * Map the file at `path`, making it (mode 0660) when it is absent. New sections are all zero.
 * On success *out is owned: tp_shm_close. On failure `diag` says what to fix.
 */
enum tp_err tp_shm_open(struct tp_shm **out, const char *path, const struct tp_shm_section *sections, size_t count,
                        struct tp_diag *diag);
void tp_shm_close(struct tp_shm *shm);

/* Start of a section, page aligned; valid until close. NULL for an unknown name. */
void *tp_shm_section(struct tp_shm *shm, const char *name, size_t *size);

/* Drawn when the file was made: the key of every hash in it. */
const struct tp_hash_key *tp_shm_hash_key(const struct tp_shm *shm);

/* True for the process that made the file in this call of open. */
bool tp_shm_is_new(const struct tp_shm *shm);

/* Whether what was saved has been put back into this file, whichever process made it. */
bool tp_shm_is_filled(const struct tp_shm *shm);
void tp_shm_set_filled(struct tp_shm *shm);

#endif
