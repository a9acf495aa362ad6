/*
 * The read model: what a node needs to serve, in LMDB, written by control and mapped by every worker.
 *
 * Directory `dir`/<epoch>/ holds one environment; the file `dir`/current names the epoch in use. A
 * process opens an environment once (LMDB forbids twice); this module guards that. Keys are a kind byte and 16
 * bytes (UUID or keyed digest); values start with a version byte. Secrets are found by digest and not kept.
 * Stored bytes are never trusted: every decoder is bounded and answers TP_ERR_DAMAGED.
 */
#ifndef TP_PLAN_READ_MODEL_H
#define TP_PLAN_READ_MODEL_H

#include "base/diag.h"
#include "base/hash.h"
#include "turnpike/request.h"

#include <jansson.h>

struct tp_read_model;

#define TP_READ_MODEL_FORMAT 1

/* Position and provenance; part of every write transaction. */
struct tp_read_model_meta {
    uint32_t format;
    struct tp_uuid database;  /* identity of the source of truth */
    uint64_t epoch;
    uint64_t position;        /* feed position applied */
    uint64_t plan;            /* position of the last change the plan depends on */
    struct tp_hash_key key;   /* of the digests */
};

/*
 * Open for reading: what `dir`/current names. TP_ERR_NOT_FOUND: none yet; TP_ERR_DAMAGED: not usable (wrong
 * format, truncated, …): control rebuilds. The environment is only opened here, never resized.
 */
enum tp_err tp_read_model_open(struct tp_read_model **out, const char *dir, uint64_t map_bytes,
                               struct tp_diag *diag);
void tp_read_model_close(struct tp_read_model *rm);

/* Reader side: switch to the environment that `current` names now. No view may be open. */
enum tp_err tp_read_model_refresh(struct tp_read_model *rm, struct tp_diag *diag);

/* --- Views: a read transaction that lives inside one step --------------------------------------- */

struct tp_view;

/* One view object is kept and renewed; *not* thread safe: one for each thread. */
enum tp_err tp_view_begin(struct tp_read_model *rm, struct tp_view **out);
void tp_view_end(struct tp_view *view); /* every pointer from it is garbage now */

enum tp_err tp_view_meta(struct tp_view *view, struct tp_read_model_meta *out);

/* Copies into the arena. Expiry is not judged here. */
enum tp_err tp_view_credential(struct tp_view *view, struct tp_str kind, struct tp_str key,
                               struct tp_arena *arena, struct tp_credential *out);
enum tp_err tp_view_consumer(struct tp_view *view, const struct tp_uuid *id, struct tp_arena *arena,
                             struct tp_consumer *out);
enum tp_err tp_view_consumer_by_username(struct tp_view *view, struct tp_str username,
                                         struct tp_arena *arena, struct tp_consumer *out);

/* A plugin row scoped to a consumer. */
struct tp_consumer_plugin {
    struct tp_uuid id;
    struct tp_uuid route;   /* nil: any */
    struct tp_uuid service; /* nil: any */
    struct tp_str name;
    uint64_t revision;      /* changes with every write of the row */
    struct tp_str config;   /* JSON text */
    struct tp_str ordering; /* JSON text or absent */
};
/* Enabled rows only; *count 0 when there are none (cheap: one look-up, none when the consumer has no flag). */
enum tp_err tp_view_consumer_plugins(struct tp_view *view, const struct tp_uuid *consumer,
                                     struct tp_arena *arena, struct tp_consumer_plugin **out,
                                     size_t *count);

/* Rows the plan is compiled from ("services", "routes", "plugins" without consumer), parsed. */
typedef enum tp_err (*tp_view_row_fn)(void *data, uint64_t revision, const json_t *value);
enum tp_err tp_view_each(struct tp_view *view, struct tp_str entity, tp_view_row_fn fn, void *data);

/* --- Writing: control only -------------------------------------------------------------------- */

/* A change as control applies it; `value` NULL: deleted. */
struct tp_change {
    const char *entity; /* table name */
    struct tp_uuid id;
    const json_t *value;
};

/*
 * Apply the changes of whole SQL transactions in one durable LMDB transaction and move the position.
 * *plan_changed (may be NULL) tells whether the plan depends on any of them.
 * TP_ERR_FULL: map or disk full; nothing was applied, the diag names which.
 */
enum tp_err tp_read_model_apply(struct tp_read_model *rm, const struct tp_change *changes, size_t count,
                                uint64_t position, bool *plan_changed, struct tp_diag *diag);

/*
 * Build a new environment beside the current one: begin, add every row (any order inside; the builder sorts), end
 * publishes it under the next epoch. abort drops it.
 */
struct tp_read_model_builder;
enum tp_err tp_read_model_build_begin(struct tp_read_model_builder **out, const char *dir,
                                      uint64_t map_bytes, const struct tp_uuid *database,
                                      uint64_t position, struct tp_diag *diag);
enum tp_err tp_read_model_build_add(struct tp_read_model_builder *b, const char *entity, const json_t *value,
                                    struct tp_diag *diag);
enum tp_err tp_read_model_build_end(struct tp_read_model_builder *b, struct tp_diag *diag);
void tp_read_model_build_abort(struct tp_read_model_builder *b);

/* Remove environments older than the current one that no process needs any more. */
void tp_read_model_drop_old(const char *dir);

#endif
