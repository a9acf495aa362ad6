/*
 * `turnpike run`: owns the listening sockets and the two programs, and restarts what dies. Safe as PID 1.
 *
 *   STARTING ──control ready──► nginx started ──answers──► RUNNING
 *   RUNNING  ──HUP──► a second nginx on the same sockets; when it answers, the first quits, control restarts
 *   any      ──TERM, INT, QUIT──► DRAINING (delay) ──► QUITTING (nginx ends) ──► ENDING (control ends) ──► OVER
 *
 * One process, one thread, one loop: every wait is a deadline that the loop looks at.
 */
#ifndef TP_CLI_SUPERVISOR_H
#define TP_CLI_SUPERVISOR_H

#include "cli/instance.h"

/*
 * Run the instance until it is told to stop. Takes `instance`; `input` is read again at each reload. `ready_fd` ≥ 0
 * gets one byte when clients are served, and is closed. Returns the exit status.
 */
int tp_supervisor_run(struct tp_instance *instance, const struct tp_settings_input *input, int ready_fd);

/* Ask the nginx behind a ready socket whether it serves: one short, bounded try. */
bool tp_ready_ask(const char *socket_path);

#endif
