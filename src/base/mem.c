/* Allocation that cannot fail: base/mem.h. */
#include "base/mem.h"

#include <stdio.h>

_Noreturn static void out_of_memory(size_t size)
{
    fprintf(stderr, "turnpike: out of memory (%zu bytes asked)\n", size);
    abort();
}

void *tp_malloc(size_t size)
{
    void *p = malloc(size ? size : 1);

    if (!p)
        out_of_memory(size);
    return p;
}

void *tp_calloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1); /* NULL too when the product overflows */

    if (!p)
        out_of_memory(size);
    return p;
}

void *tp_realloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);

    if (!p)
        out_of_memory(size);
    return p;
}

char *tp_strdup(const char *cstr)
{
    return cstr ? tp_strndup(tp_str_from_cstr(cstr)) : NULL;
}

char *tp_strndup(struct tp_str s)
{
    char *copy = tp_malloc(s.len + 1);

    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}
