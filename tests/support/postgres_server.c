/* A PostgreSQL for tests: support/postgres_server.h. */
#include "support/postgres_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 64

static char extra_settings[512];

static void die(const char *what)
{
    fprintf(stderr, "postgres_server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static bool find_bin(char *out, size_t size)
{
    glob_t found;
    bool any = glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0 && found.gl_pathc > 0;

    if (any)
        snprintf(out, size, "%s", found.gl_pathv[found.gl_pathc - 1]); /* sorted: the newest */
    globfree(&found);
    return any;
}

bool postgres_is_installed(void)
{
    char bin[128], path[160];

    if (!find_bin(bin, sizeof(bin)))
        return false;
    snprintf(path, sizeof(path), "%s/initdb", bin);
    return access(path, X_OK) == 0;
}

/* --- As somebody else ------------------------------------------------------------------------- */

/* PostgreSQL refuses to run as root. */
static const struct passwd *its_user(void)
{
    const struct passwd *user = NULL;

    if (getuid() != 0)
        return NULL;
    user = getpwnam("postgres");
    return user ? user : getpwnam("nobody");
}

/* Its output goes to the log. It ends with us. */
static pid_t spawn(const struct postgres_server *server, char *const argv[])
{
    const struct passwd *user = its_user();
    char log[TEMP_DIR_SIZE + 16];
    pid_t pid = fork();
    int fd;

    if (pid < 0)
        die("fork");
    if (pid > 0)
        return pid;
    if (user && (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGINT);
    snprintf(log, sizeof(log), "%s/log", server->dir);
    fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir(server->dir))
        _exit(126);
    execv(argv[0], argv);
    _exit(127);
}

__attribute__((format(printf, 2, 3)))
static pid_t spawnf(const struct postgres_server *server, const char *format, ...)
{
    char line[2048], *argv[MAX_ARGS], *save = NULL;
    va_list args;
    size_t n = 0;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    for (char *arg = strtok_r(line, " ", &save); arg && n + 1 < MAX_ARGS; arg = strtok_r(NULL, " ", &save))
        argv[n++] = arg;
    argv[n] = NULL;
    return spawn(server, argv);
}

static void await_success(pid_t pid, const char *what)
{
    int status = -1;

    if (waitpid(pid, &status, 0) < 0 || status != 0)
        die(what);
}

/* --- Making ----------------------------------------------------------------------------------- */

static bool is_free(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                   .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    bool is_ours;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    is_ours = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return is_ours;
}

static void write_file(const struct postgres_server *server, const char *name, const char *text)
{
    char path[TEMP_DIR_SIZE + 32];
    FILE *file;

    snprintf(path, sizeof(path), "%s/data/%s", server->dir, name);
    file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        die(path);
}

static void make_cluster(const struct postgres_server *server)
{
    await_success(spawnf(server, "%s/initdb -D %s/data -U postgres -E UTF8 --locale=C --auth=trust --no-sync",
                         server->bin, server->dir), "initdb: see its log");
    await_success(spawnf(server, "/usr/bin/openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
                         " -keyout %s/server.key -out %s/server.crt -days 2 -subj /CN=localhost"
                         " -addext subjectAltName=DNS:localhost", server->dir, server->dir), "openssl");
    write_file(server, "pg_hba.conf", "local all all trust\n"
                                      "hostssl all all 127.0.0.1/32 scram-sha-256\n"
                                      "hostnossl all scram 127.0.0.1/32 scram-sha-256\n"
                                      "hostnossl all all 127.0.0.1/32 trust\n");
}

void postgres_server_make(struct postgres_server *server, int port, const char *settings)
{
    const struct passwd *user = its_user();

    *server = (struct postgres_server){ .port = port };
    if (!find_bin(server->bin, sizeof(server->bin)))
        die("not installed");
    snprintf(extra_settings, sizeof(extra_settings), "%s", settings);
    while (!is_free(server->port))
        server->port++;
    temp_dir_make(server->dir, "postgres");
    if ((user && chown(server->dir, user->pw_uid, user->pw_gid)) || chmod(server->dir, 0755))
        die("chown");
    make_cluster(server);
    postgres_server_start(server);
    postgres_server_sql(server, "postgres", "CREATE ROLE trusted LOGIN; CREATE ROLE scram LOGIN PASSWORD 'geheim'");
    postgres_server_sql(server, "postgres", "CREATE DATABASE turnpike");
    postgres_server_sql(server, "turnpike", "GRANT ALL ON DATABASE turnpike TO PUBLIC; GRANT ALL ON SCHEMA public"
                                            " TO PUBLIC");
}

/* --- Running ---------------------------------------------------------------------------------- */

/* The last line of its pid file says how far it is. */
static bool is_ready(const struct postgres_server *server)
{
    char path[TEMP_DIR_SIZE + 32], text[1024];
    FILE *file;
    size_t n;

    snprintf(path, sizeof(path), "%s/data/postmaster.pid", server->dir);
    file = fopen(path, "r");
    if (!file)
        return false;
    n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[n] = '\0';
    return atoi(text) == server->pid && strstr(text, "ready");
}

void postgres_server_start(struct postgres_server *server)
{
    const struct timespec tick = { 0, 20 * 1000000 };

    server->pid = spawnf(server,
                         "%s/postgres -D %s/data -k %s -p %d -c listen_addresses=127.0.0.1 -c ssl=on"
                         " -c ssl_cert_file=%s/server.crt -c ssl_key_file=%s/server.key %s",
                         server->bin, server->dir, server->dir, server->port, server->dir, server->dir,
                         extra_settings);
    for (int i = 0; i < 1500; i++) {
        if (is_ready(server))
            return;
        nanosleep(&tick, NULL);
    }
    die("did not start: see its log");
}

void postgres_server_stop(struct postgres_server *server, int signal)
{
    if (!server->pid)
        return;
    kill(server->pid, signal);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void postgres_server_sql(const struct postgres_server *server, const char *database, const char *sql)
{
    char psql[160], port[16];
    char *const argv[] = { psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", (char *)server->dir, "-p", port, "-U",
                           "postgres", "-d", (char *)database, "-c", (char *)sql, NULL };

    snprintf(psql, sizeof(psql), "%s/psql", server->bin);
    snprintf(port, sizeof(port), "%d", server->port);
    await_success(spawn(server, argv), sql);
}

void postgres_server_remove(struct postgres_server *server)
{
    postgres_server_stop(server, SIGINT);
    if (server->dir[0])
        temp_dir_remove(server->dir);
    server->dir[0] = '\0';
}
