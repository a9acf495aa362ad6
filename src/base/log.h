/*
 * The log of the control daemon and the CLI: one line each on stderr or in a file, with time and level.
 * In a worker the engine's log is used instead.
 */
#ifndef TP_BASE_LOG_H
#define TP_BASE_LOG_H

#include "turnpike/request.h" /* enum tp_log_level */

/* Lines below `level` are dropped. Call once at start, before threads. `fd` stays the caller's. */
void tp_log_start(int fd, enum tp_log_level level, const char *process_name);
void tp_log(enum tp_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "notice" → TP_LOG_NOTICE …; false for anything else. */
bool tp_log_level_parse(struct tp_str text, enum tp_log_level *out);

#endif
