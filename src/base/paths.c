/* Paths below an instance's prefix: base/paths.h. */
#include "base/paths.h"

#include "base/mem.h"

#include <stdio.h>

char *tp_path_under(const char *prefix, const char *relative)
{
    char *path;

    if (relative[0] == '/')
        return tp_strdup(relative);
    if (asprintf(&path, "%s/%s", prefix, relative) < 0)
        abort();
    return path;
}
