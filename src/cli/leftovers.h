/*
 * What processes leave behind when they are killed: sockets, and orphans that come to us as child subreaper.
 */
#ifndef TP_CLI_LEFTOVERS_H
#define TP_CLI_LEFTOVERS_H

#include "cli/layout.h"

/* Remove the ready sockets of masters that were killed together with their supervisor. */
void tp_leftovers_remove_sockets(const struct tp_layout *layout);

/* End every child that is left, gently first, and reap it: nothing of ours outlives us. */
void tp_leftovers_end(void);

#endif
