/*
 * The control daemon: opens the store, keeps the read model current, serves the Admin API, saves counters.
 */
#ifndef TP_CONTROL_DAEMON_H
#define TP_CONTROL_DAEMON_H

/*
 * Run until SIGTERM or SIGQUIT. `prefix` holds run/settings.json. `ready_fd` ≥ 0 gets one byte when the read
 * model can be served from, and is closed. Returns the exit status; says on stderr what is wrong.
 */
int tp_control_run(const char *prefix, int ready_fd);

#endif
