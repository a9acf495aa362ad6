/*
 * Percent-encoding, as URLs and form bodies use it.
 */
#ifndef TP_BASE_URL_H
#define TP_BASE_URL_H

#include "turnpike/arena.h"

/* %XX decoded; `plus`: '+' is a space. Bad escapes stay as they are. Returns `s` itself when nothing changes. */
struct tp_str tp_url_decode(struct tp_arena *arena, struct tp_str s, bool plus);

/* Every byte outside A-Z a-z 0-9 - . _ ~ encoded as upper-case %XX. */
struct tp_str tp_url_encode(struct tp_arena *arena, struct tp_str s);

#endif
