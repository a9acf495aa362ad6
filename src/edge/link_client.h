/*
 * The worker's end of the link to control (base/frame.h): says hello, hears what the read model holds, brings the
 * program up to it, acknowledges. Control may come and go; traffic does not depend on it.
 */
#ifndef TP_EDGE_LINK_CLIENT_H
#define TP_EDGE_LINK_CLIENT_H

#include "edge/edge.h"

#define TP_EDGE_HELLO_MS 50 /* how long the start waits for control */

struct tp_edge_link *tp_edge_link_new(struct tp_edge_worker *worker);
/*
 * In init_process, before the read model is read: connect and say hello, so that control counts this worker before it
 * can have read anything old. Gives up after TP_EDGE_HELLO_MS.
 */
void tp_edge_link_greet(struct tp_edge_link *link);
/* In init_process, after the first program was built (or not): from now on everything runs on the event loop. */
void tp_edge_link_start(struct tp_edge_link *link);
void tp_edge_link_free(struct tp_edge_link *link);

#endif
