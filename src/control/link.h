/*
 * The control end of the link (base/frame.h): tells workers what is in the read model, and knows which of
 * them serve it. One thread of its own; functions may be called from any.
 */
#ifndef TP_CONTROL_LINK_H
#define TP_CONTROL_LINK_H

#include "base/diag.h"

struct tp_link;

/* Listen on the unix socket `path` (mode 0660; a stale one is replaced). */
enum tp_err tp_link_start(struct tp_link **out, const char *path, struct tp_diag *diag);
void tp_link_stop(struct tp_link *link);

/* What the read model holds now: sent to every worker, and to each that connects later. */
void tp_link_set_state(struct tp_link *link, uint64_t epoch, uint64_t position, uint64_t plan);

/*
 * Wait until every connected worker serves `position`. TP_OK also when there is no worker (none can be
 * behind: a worker reads the model before it serves). TP_ERR_TIMEOUT after timeout_ms.
 */
enum tp_err tp_link_wait(struct tp_link *link, uint64_t position, int64_t timeout_ms);

size_t tp_link_worker_count(struct tp_link *link);
/* Process ids of connected workers into `out`; returns how many there are. */
size_t tp_link_worker_pids(struct tp_link *link, int *out, size_t max);

#endif
