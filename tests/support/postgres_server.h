/*
 * A real PostgreSQL of a test's own: in a folder under /tmp, on a loopback port and a unix socket, with TLS and SCRAM.
 * Users: "trusted" (no password), "scram" (password "geheim"); both own the database "turnpike". Over TLS a password
 * is always asked for. It ends with the program.
 */
#ifndef TESTS_SUPPORT_POSTGRES_SERVER_H
#define TESTS_SUPPORT_POSTGRES_SERVER_H

#include "support/temp_dir.h"

#include <stdbool.h>
#include <sys/types.h>

struct postgres_server {
    char dir[TEMP_DIR_SIZE]; /* the socket lies here, and server.crt */
    char bin[128];
    int port;
    pid_t pid; /* 0: it does not run */
};

/* Is there a PostgreSQL on this machine? */
bool postgres_is_installed(void);
/*
 * Make one and start it, on the first free port from `port` on. `settings` are options of the command line
 * ("-c fsync=off"), separated by spaces. Ends the program when it cannot.
 */
void postgres_server_make(struct postgres_server *server, int port, const char *settings);
void postgres_server_start(struct postgres_server *server);
/* Stop it with SIGINT (politely, at once), SIGTERM (waits for clients) or SIGKILL; returns when it has gone. */
void postgres_server_stop(struct postgres_server *server, int signal);
/* Run psql commands as the superuser; the program ends when they fail. */
void postgres_server_sql(const struct postgres_server *server, const char *database, const char *sql);
void postgres_server_remove(struct postgres_server *server);

#endif
