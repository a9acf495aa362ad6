/*
 * The counter tables in the shared file: cells of 64 bytes in buckets of eight, lock-free.
 *
 * One word of a cell holds the window's start and the count; it moves by compare-and-swap only, and only
 * while the count is below the limit, which rolls the window over and admits in one step.
 */
#ifndef TP_QUOTA_COUNTERS_H
#define TP_QUOTA_COUNTERS_H

#include "base/shm.h"
#include "turnpike/quota.h"

#define TP_COUNTERS_SECTION_IDENTITIES "quota.identities"
#define TP_COUNTERS_SECTION_ADDRESSES "quota.addresses"

struct tp_counters;

/*
 * The shared file with room for so many counters; the one place that lists its sections, for control and workers must
 * agree on them. As tp_shm_open.
 */
enum tp_err tp_counters_open_file(struct tp_shm **out, const char *path, uint64_t identities, uint64_t addresses,
                                  struct tp_diag *diag);

/* Views on the two sections of `shm`, which must outlive it. */
struct tp_counters *tp_counters_new(struct tp_shm *shm);
void tp_counters_free(struct tp_counters *counters);

/* turnpike/quota.h says what they do; these know no request. */
void tp_counters_take(struct tp_counters *counters, const struct tp_quota_key *key, bool flat, int64_t now_s,
                      struct tp_quota_state *state);
void tp_counters_peek(struct tp_counters *counters, const struct tp_quota_key *key, bool flat, int64_t now_s,
                      struct tp_quota_state *state);

/* Cells evicted while their window still ran, since the file was made: shown in /status. */
uint64_t tp_counters_evicted(const struct tp_counters *counters);

/* For saving: windows of an hour and longer that changed since they were last saved. */
struct tp_counter_image {
    enum tp_quota_table table;
    enum tp_period period;
    uint8_t name[32]; /* instance uuid, then the identity's digest */
    int64_t window_start;
    uint64_t count;
};
/* Fills up to `max`; *cursor starts at 0 and ends at UINT64_MAX when all was seen. */
size_t tp_counters_unsaved(struct tp_counters *counters, uint64_t *cursor, struct tp_counter_image *out, size_t max);
/* Put a saved count back, unless the cell already holds more for that window. */
void tp_counters_restore(struct tp_counters *counters, const struct tp_counter_image *image);

#endif
