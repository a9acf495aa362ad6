/* What this machine, or the container around us, allows. */
#ifndef TP_CLI_MACHINE_H
#define TP_CLI_MACHINE_H

/* Processors that may be used: affinity, bounded by the cgroup's quota (v2 and v1). At least 1. */
int tp_machine_processors(void);

/* Files a worker may open: the hard limit, within 1024 and 16384 as Kong does. */
int tp_machine_open_files(void);

/* Processors that the text of cgroup v2's cpu.max grants, rounded up; 0: no limit, or not of that form. */
int tp_cpu_max_parse(const char *text);

/*
 * Name servers of the text of a resolv.conf, as nginx's `resolver` takes them, separated by spaces. Owned; NULL when
 * there are none.
 */
char *tp_resolv_conf_parse(const char *text);

/*
 * Its search list, separated by commas, and ndots. What cannot be a domain is left out. *search is owned, and NULL when
 * there is none; *ndots is 1 when nothing is said.
 */
void tp_resolv_conf_search(const char *text, char **search, int *ndots);

/* The beginning of a file as text, at most 64 KiB. Owned; NULL when it cannot be read. */
char *tp_file_text(const char *path);

#endif
