/* Folders of tests: temp_dir.h. */
#include "support/temp_dir.h"

#include "turnpike/err.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool file_holds(const char *path, size_t size, const char *text)
{
    FILE *file = fopen(path, "re");
    char *bytes = malloc(size + 1);
    bool found;

    TP_ASSERT(file && bytes);
    size = fread(bytes, 1, size, file);
    found = memmem(bytes, size, text, strlen(text)) != NULL;
    free(bytes);
    fclose(file);
    return found;
}

static const char *wanted; /* by on_file: nftw hands nothing through */

static int on_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)at;
    return type == FTW_F && file_holds(path, (size_t)st->st_size, wanted);
}

bool temp_dir_holds(const char *path, const char *text)
{
    wanted = text;
    return nftw(path, on_file, MAX_OPEN, FTW_PHYS) != 0;
}

void temp_dir_remove(const char *path)
{
    if (nftw(path, on_entry, MAX_OPEN, FTW_DEPTH | FTW_PHYS) != 0)
        perror(path);
}
