/* What dead processes leave behind: leftovers.h. */
#include "cli/leftovers.h"

#include "base/clock.h"
#include "base/paths.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ORPHANS_END_MS 5000

/* Sockets of masters that were killed together with their supervisor. */
void tp_leftovers_remove_sockets(const struct tp_layout *layout)
{
    char *folder = tp_path_under(layout->prefix, "sockets");
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (strncmp(entry->d_name, "ready-", 6) == 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    free(folder);
}

/* Our children that are left, by /proc: workers whose master was killed come to us. */
static size_t signal_children(int signal_number)
{
    char path[64], text[4096] = "", *rest = text;
    FILE *file;
    size_t count = 0, len;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    file = fopen(path, "re");
    if (!file)
        return 0;
    len = fread(text, 1, sizeof(text) - 1, file);
    text[len] = '\0';
    fclose(file);
    for (long pid; (pid = strtol(rest, &rest, 10)) > 0; count++)
        kill((pid_t)pid, signal_number);
    return count;
}

/* Nothing of ours outlives us. */
void tp_leftovers_end(void)
{
    int64_t started = tp_clock_monotonic_ms();
    const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

    while (waitpid(-1, NULL, WNOHANG) >= 0) {
        int64_t waited = tp_clock_monotonic_ms() - started;

        if (waited > ORPHANS_END_MS)
            break;
        signal_children(waited > 2000 ? SIGKILL : waited > 1000 ? SIGTERM : SIGQUIT);
        nanosleep(&pause, NULL);
    }
}
