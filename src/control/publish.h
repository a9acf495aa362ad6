/*
 * Store → read model: follows the feed and applies it, one LMDB transaction for a batch of whole SQL
 * transactions; builds a new environment when there is none, or it is damaged, of another database, or behind
 * the oldest feed row. One thread of its own, with a store connection of its own.
 */
#ifndef TP_CONTROL_PUBLISH_H
#define TP_CONTROL_PUBLISH_H

#include "control/link.h"
#include "store/store.h"

struct tp_publisher;

struct tp_publisher_options {
    /* Opens the publisher's own connection; called again after it was lost. */
    enum tp_err (*open_store)(void *data, struct tp_store **out, struct tp_diag *diag);
    void *open_data;
    const char *read_model_dir;
    uint64_t map_bytes;
    struct tp_link *link;
    int64_t poll_ms; /* how often the feed is asked without a kick */
};

/*
 * Start the thread. Returns when the read model can be served from (an existing one is enough, even without
 * database) or, with a diag, when there is none and none can be built.
 */
enum tp_err tp_publisher_start(struct tp_publisher **out, const struct tp_publisher_options *options,
                               struct tp_diag *diag);
void tp_publisher_stop(struct tp_publisher *publisher);

/* A transaction was committed: look at once. */
void tp_publisher_kick(struct tp_publisher *publisher);

/*
 * Kick, and wait until `position` is in the read model and served by every worker of this node.
 * TP_ERR_TIMEOUT: still pending. Others (TP_ERR_FULL …): the read model could not take it; `fault` says why. The feed
 * goes on trying in every case.
 */
enum tp_err tp_publisher_wait(struct tp_publisher *publisher, uint64_t position, int64_t timeout_ms, char *fault,
                              size_t fault_size);

struct tp_publisher_status {
    bool database_reachable;
    uint64_t epoch, position, plan;
    char fault[256]; /* empty: none */
};
void tp_publisher_get_status(struct tp_publisher *publisher, struct tp_publisher_status *out);

#endif
