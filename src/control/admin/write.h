/*
 * Writes: one transaction, then the wait until this node serves it.
 */
#ifndef TP_CONTROL_ADMIN_WRITE_H
#define TP_CONTROL_ADMIN_WRITE_H

#include "control/admin/keys.h"

#define TP_ADMIN_SERVED_WAIT_MS 1000

/* Does the work and answers the call. True: commit; false: roll back. */
typedef bool (*tp_admin_write_fn)(struct tp_admin_call *call);

/*
 * Run `fn` in a transaction. After a commit that changed something, waits until the workers of this node serve
 * it; X-Turnpike-Served says when they do not yet. When the commit fails, the answer becomes that failure.
 */
void tp_admin_transaction(struct tp_admin_call *call, tp_admin_write_fn fn);

/*
 * Within a transaction: complete and check `input` (may be changed), then write. *out is the entity, owned.
 * False: answered.
 */
bool tp_admin_insert(struct tp_admin_call *call, const struct tp_entity *entity, json_t *input, json_t **out);
/* PUT: replace what `key` names, or make it. */
bool tp_admin_upsert(struct tp_admin_call *call, const struct tp_admin_key *key, json_t *input, json_t **out);
/* PATCH: merge into `stored`. */
bool tp_admin_update(struct tp_admin_call *call, const struct tp_entity *entity, json_t *input, const json_t *stored,
                     json_t **out);
/* The same, and answer with the new value. Takes `stored`. */
bool tp_admin_change(struct tp_admin_call *call, const struct tp_entity *entity, json_t *stored);
/* Deletes what cascades too. */
bool tp_admin_remove(struct tp_admin_call *call, const struct tp_entity *entity, const json_t *stored);

#endif
