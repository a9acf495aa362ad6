/*
 * Bulk load: a file of JSON lines into the store, in one transaction, leaving one "read everything again" row in the
 * feed.
 *
 *   {"consumers": {"username": "ann"}}
 *   {"keyauth_credentials": {"consumer": {"username": "ann"}, "key": "k1"}}
 *
 * The member's name is a table ("keyauth_credentials") or a collection of the Admin API ("key-auths"). Entities are
 * validated as there. One with the id of a stored row replaces it.
 */
#ifndef TP_CONTROL_IMPORT_H
#define TP_CONTROL_IMPORT_H

#include "store/store.h"

#include <stdio.h>

struct tp_import {
    struct tp_store *store;
    const struct tp_registry *registry;
    FILE *input;
    /* Told now and then how far it is; may be NULL. */
    void (*on_progress)(void *data, uint64_t lines, uint64_t bytes);
    void *progress_data;
};

struct tp_import_result {
    uint64_t lines;    /* read */
    uint64_t loaded;   /* entities */
    uint64_t position; /* of the feed, after the commit */
};

/*
 * Load everything or nothing. On failure `diag` names the line, the store is as it was, and *result tells how far it
 * came.
 */
enum tp_err tp_import_run(const struct tp_import *import, struct tp_import_result *result, struct tp_diag *diag);

#endif
