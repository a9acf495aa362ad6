/*
 * Heap allocation that cannot fail: out of memory aborts with a message.
 */
#ifndef TP_BASE_MEM_H
#define TP_BASE_MEM_H

#include "turnpike/str.h"

#include <stdlib.h>

void *tp_malloc(size_t size);
void *tp_calloc(size_t count, size_t size); /* aborts on overflow */
void *tp_realloc(void *old, size_t size);
char *tp_strdup(const char *cstr); /* NULL gives NULL */
char *tp_strndup(struct tp_str s); /* NUL-terminated copy, owned by the caller */

#define tp_new(type) ((type *)tp_calloc(1, sizeof(type)))

#endif
