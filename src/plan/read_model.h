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

#define TP_READ_MODEL_FORMAT 2 /* 2: digests take their key as a prefix */

/* Position and provenance; part of every write transaction. */
struct tp_read_model_meta {
    uint32_t format;
    struct tp_uuid database; /* identity of the source of truth */
    uint64_t epoch;
    uint64_t position;      /* feed position applied */
    uint64_t plan;          /* position of the last change the plan depends on */
    struct tp_hash_key key; /* of the digests */
};

/*
 * Open for reading: what `dir`/current names. TP_ERR_NOT_FOUND: none yet; TP_ERR_DAMAGED: not usable (wrong
 * format, truncated, …): control rebuilds. The environment is only opened here, never resized.
 */
enum tp_err tp_read_model_open(struct tp_read_model **out, const char *dir, uint64_t map_bytes, struct tp_diag *diag);
void tp_read_model_close(struct tp_read_model *rm);

/*
 * Control, at its start: walk all pages of what `current` names, before anybody writes. TP_ERR_DAMAGED: rebuild.
 * LMDB has no checksums; what this accepts cannot crash a reader.
 */
enum tp_err tp_read_model_check(const char *dir, struct tp_diag *diag);

/*
 * Reader side: switch to the environment that `current` names now. Views that are open (a plan being built) keep the
 * old one until they end. On failure the old one stays.
 */
enum tp_err tp_read_model_refresh(struct tp_read_model *rm, struct tp_diag *diag);

/* --- Views: a read transaction that lives inside one step --------------------------------------- */

struct tp_view;

/*
 * Begin to read; any thread may, each view is then that thread's own. View objects are kept and renewed, so this
 * costs no allocation. Values looked up are copies; nothing points into the map.
 */
enum tp_err tp_view_begin(struct tp_read_model *rm, struct tp_view **out);
void tp_view_end(struct tp_view *view);

enum tp_err tp_view_meta(struct tp_view *view, struct tp_read_model_meta *out);

/* Copies into the arena. Expiry is not judged here. */
enum tp_err tp_view_credential(struct tp_view *view, struct tp_str kind, struct tp_str key, struct tp_arena *arena,
                               struct tp_credential *out);
/* *has_plugins (may be NULL): there are plugin rows of this consumer in the same snapshot. */
enum tp_err tp_view_consumer(struct tp_view *view, const struct tp_uuid *id, struct tp_arena *arena,
                             struct tp_consumer *out, bool *has_plugins);
enum tp_err tp_view_consumer_by_username(struct tp_view *view, struct tp_str username, struct tp_arena *arena,
                                         struct tp_consumer *out, bool *has_plugins);

/* A plugin row scoped to a consumer. */
struct tp_consumer_plugin {
    struct tp_uuid id;
    struct tp_uuid route;   /* nil: any */
    struct tp_uuid service; /* nil: any */
    struct tp_str name;
    uint64_t revision;      /* a hash of `config`: equal configurations, equal revisions */
    struct tp_str config;   /* JSON text */
    struct tp_str ordering; /* JSON text or absent */
};
/* Enabled rows only; *count 0 when there are none. */
enum tp_err tp_view_consumer_plugins(struct tp_view *view, const struct tp_uuid *consumer, struct tp_arena *arena,
                                     struct tp_consumer_plugin **out, size_t *count);

/*
 * Rows the plan is compiled from ("services", "routes", "plugins" without consumer), parsed, by ascending id.
 * `revision` is a hash of the content. Ends at the first error of fn; TP_ERR_DAMAGED: a row is not what we wrote.
 */
typedef enum tp_err (*tp_view_row_fn)(void *data, uint64_t revision, const json_t *value);
enum tp_err tp_view_each(struct tp_view *view, struct tp_str entity, tp_view_row_fn fn, void *data);

/* --- Writing: control only -------------------------------------------------------------------- */

/* Does the read model keep rows of this entity (table name)? Others need not be told to it. */
bool tp_read_model_keeps(const char *entity);

/* A change as control applies it; `value` NULL: deleted. Entities that the read model does not keep are skipped. */
struct tp_change {
    const char *entity; /* table name */
    struct tp_uuid id;
    const json_t *value;
};

/*
 * Apply the changes of whole SQL transactions in one durable LMDB transaction and move the position.
 * *plan_changed (may be NULL) tells whether the plan depends on any of them.
 * TP_ERR_FULL: map or disk full; nothing was applied, the diag names which. A value that cannot be encoded
 * (the store never holds one) leaves no row and is named in the diag; the rest is applied.
 */
enum tp_err tp_read_model_apply(struct tp_read_model *rm, const struct tp_change *changes, size_t count,
                                uint64_t position, bool *plan_changed, struct tp_diag *diag);

/*
 * Build a new environment beside the current one: begin, add every row (any order inside; the builder sorts), end
 * publishes it under the next epoch (the caller then refreshes). end takes the builder also when it fails; abort
 * drops it. Memory: 24 bytes a row; the rows themselves wait in a file. TP_ERR_FULL as above.
 */
struct tp_read_model_builder;
enum tp_err tp_read_model_build_begin(struct tp_read_model_builder **out, const char *dir, uint64_t map_bytes,
                                      const struct tp_uuid *database, uint64_t position, struct tp_diag *diag);
enum tp_err tp_read_model_build_add(struct tp_read_model_builder *b, const char *entity, const json_t *value,
                                    struct tp_diag *diag);
enum tp_err tp_read_model_build_end(struct tp_read_model_builder *b, struct tp_diag *diag);
void tp_read_model_build_abort(struct tp_read_model_builder *b);

/* Remove environments older than the current one that no process needs any more. */
void tp_read_model_drop_old(const char *dir);

#endif
