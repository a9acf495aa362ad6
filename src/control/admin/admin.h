/*
 * The Admin API (reference: admin-api.md): HTTP on a unix socket, behind nginx.
 */
#ifndef TP_CONTROL_ADMIN_ADMIN_H
#define TP_CONTROL_ADMIN_ADMIN_H

#include "control/publish.h"
#include "plan/plan.h"
#include "quota/counters.h"

struct tp_admin;

/* All borrowed; they outlive the server. */
struct tp_admin_options {
    const char *socket_path;
    const json_t *settings; /* effective settings, flat (base/paths.h) */
    const struct tp_registry *registry;
    const struct tp_plugin_set *plugins; /* those enabled by settings */
    enum tp_err (*open_store)(void *data, struct tp_store **out, struct tp_diag *diag);
    void *open_data;
    struct tp_publisher *publisher;     /* NULL: nothing serves, writes answer at once */
    struct tp_link *link;               /* NULL: no workers to show */
    const struct tp_counters *counters; /* NULL: none to show */
    struct tp_uuid node_id;
    int supervisor_pid;
};

/*
 * Serve until stopped; several threads, each with a store connection of its own, opened when it is first needed
 * and again after it was lost: the server starts and answers (503) while the database is away.
 */
enum tp_err tp_admin_start(struct tp_admin **out, const struct tp_admin_options *options, struct tp_diag *diag);
/* Finishes running calls, with a limit for clients that trickle. NULL is accepted. */
void tp_admin_stop(struct tp_admin *admin);

#endif
