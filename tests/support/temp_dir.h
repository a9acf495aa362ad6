/* A folder of a test's own under /tmp. */
#ifndef TESTS_SUPPORT_TEMP_DIR_H
#define TESTS_SUPPORT_TEMP_DIR_H

#include <stdbool.h>

#define TEMP_DIR_SIZE 64

/* Make one: its path, which `name` is part of, goes to `path`. Ends the program when it cannot. */
void temp_dir_make(char path[TEMP_DIR_SIZE], const char *name);

/* Remove it with all that lies in it. */
void temp_dir_remove(const char *path);

/* True when a file in it, or in a folder of it, contains `text`. */
bool temp_dir_holds(const char *path, const char *text);

#endif
