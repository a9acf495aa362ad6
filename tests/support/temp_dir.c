/* Folders of tests: temp_dir.h. */
#include "support/temp_dir.h"

#include "turnpike/err.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_OPEN 16 /* folders that nftw keeps open at a time */

void temp_dir_make(char path[TEMP_DIR_SIZE], const char *name)
{
    int len = snprintf(path, TEMP_DIR_SIZE, "/tmp/tp-%s-XXXXXX", name);

    TP_ASSERT(len > 0 && len < TEMP_DIR_SIZE);
    TP_ASSERT(mkdtemp(path) != NULL);
}

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void temp_dir_remove(const char *path)
{
    if (nftw(path, on_entry, MAX_OPEN, FTW_DEPTH | FTW_PHYS) != 0)
        perror(path);
}
