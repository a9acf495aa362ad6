/*
 * The Admin API over its unix socket, with a real store, publisher and link: HTTP's rough edges, what a write
 * answers about being served, starting and stopping.
 */
#include "base/clock.h"
#include "base/frame.h"
#include "control/admin/admin.h"
#include "control/link.h"
#include "plugins/registry.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct node {
    char dir[TEMP_DIR_SIZE], database[96], socket[96], link_path[96], model[96];
    json_t *settings;
    struct tp_plugin_set *plugins;
    struct tp_link *link;
    struct tp_publisher *publisher;
    struct tp_admin *admin;
    atomic_bool database_away;
};

static enum tp_err open_store(void *data, struct tp_store **out, struct tp_diag *diag)
{
    struct node *n = data;

    if (atomic_load(&n->database_away)) {
        tp_diag_add(diag, NULL, "away");
        return TP_ERR_UNAVAILABLE;
    }
    return tp_sqlite_open(out, n->database, diag);
}

static void make_database(struct node *n, struct tp_diag *diag)
{
    struct tp_store *store = NULL;

    CHECK_INT(tp_sqlite_open(&store, n->database, diag), TP_OK);
    CHECK_INT(tp_store_migrate(store, diag), TP_OK);
    tp_store_free(store);
}

static enum tp_err start_admin(struct node *n, struct tp_admin **out, struct tp_diag *diag)
{
    struct tp_admin_options options = {
        .socket_path = n->socket,
        .settings = n->settings,
        .registry = &tp_bundled_plugins,
        .plugins = n->plugins,
        .open_store = open_store,
        .open_data = n,
        .publisher = n->publisher,
        .link = n->link,
    };

    return tp_admin_start(out, &options, diag);
}

static void start_node(struct node *n, uint64_t map_bytes)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_publisher_options options = {
        .open_store = open_store, .open_data = n, .read_model_dir = n->model, .map_bytes = map_bytes, .poll_ms = 1000
    };

    signal(SIGPIPE, SIG_IGN);
    *n = (struct node){ 0 };
    temp_dir_make(n->dir, "admin");
    snprintf(n->database, sizeof(n->database), "%s/t.db", n->dir);
    snprintf(n->socket, sizeof(n->socket), "%s/admin.sock", n->dir);
    snprintf(n->link_path, sizeof(n->link_path), "%s/link.sock", n->dir);
    snprintf(n->model, sizeof(n->model), "%s/read", n->dir);
    mkdir(n->model, 0700);
    n->settings = json_object();
    make_database(n, diag);
    CHECK_INT(tp_plugin_set_new(&n->plugins, &tp_bundled_plugins, TP_STR("bundled"), diag), TP_OK);
    CHECK_INT(tp_link_start(&n->link, n->link_path, diag), TP_OK);
    options.link = n->link;
    CHECK_INT(tp_publisher_start(&n->publisher, &options, diag), TP_OK);
    CHECK_INT(start_admin(n, &n->admin, diag), TP_OK);
    CHECK_STR(tp_diag_text(diag), "");
    tp_diag_free(diag);
}

static void stop_node(struct node *n)
{
    tp_admin_stop(n->admin);
    tp_publisher_stop(n->publisher);
    tp_link_stop(n->link);
    tp_plugin_set_free(n->plugins);
    json_decref(n->settings);
    temp_dir_remove(n->dir);
}

/* --- A client ---------------------------------------------------------------------------------------- */

static int dial(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_sec = 20 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the server may hang up early */
        data += n;
        len -= (size_t)n;
    }
}

static void receive_all(int fd, char *out, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while (used + 1 < size && (n = recv(fd, out + used, size - 1 - used, 0)) > 0)
        used += (size_t)n;
    out[used] = '\0';
}

/* Send the bytes, read until the server closes. Static storage for one answer a thread. */
static const char *talk(struct node *n, const char *request)
{
    static _Thread_local char answer[65536];
    int fd = dial(n->socket);

    answer[0] = '\0';
    if (fd < 0)
        return answer;
    send_all(fd, request, strlen(request));
    receive_all(fd, answer, sizeof(answer));
    close(fd);
    return answer;
}

static const char *post(struct node *n, const char *path, const char *json)
{
    char request[1024];

    snprintf(request, sizeof(request),
             "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             path, strlen(json), json);
    return talk(n, request);
}

static const char *get(struct node *n, const char *path)
{
    char request[512];

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    return talk(n, request);
}

static bool has_status(const char *answer, int status)
{
    char line[32];

    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) == 0)
        return true;
    fprintf(stderr, "not %d: %.300s\n", status, answer);
    return false;
}

/* --- HTTP -------------------------------------------------------------------------------------------- */

TEST(answers_carry_their_headers)
{
    struct node n;
    const char *answer;

    start_node(&n, 16 << 20);
    answer = get(&n, "/services");
    CHECK(has_status(answer, 200));
    CHECK(strstr(answer, "Server: kong/3.9.1\r\n") != NULL);
    CHECK(strstr(answer, "X-Kong-Admin-Latency: ") != NULL);
    CHECK(strstr(answer, "Content-Type: application/json; charset=utf-8\r\n") != NULL);
    CHECK(strstr(answer, "Content-Length: 23\r\n") != NULL);
    answer = talk(&n, "HEAD /services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(has_status(answer, 200));
    CHECK(strstr(answer, "Content-Length: 23\r\n") != NULL);
    CHECK_STR(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    stop_node(&n);
}

TEST(a_setting_hides_headers)
{
    struct node n;
    struct tp_diag *diag = tp_diag_new();
    const char *answer;

    start_node(&n, 16 << 20);
    tp_admin_stop(n.admin);
    json_object_set_new(n.settings, "headers", json_pack("[s]", "off"));
    CHECK_INT(start_admin(&n, &n.admin, diag), TP_OK);
    answer = get(&n, "/services");
    CHECK(!strstr(answer, "Server:") && !strstr(answer, "X-Kong-Admin-Latency"));
    tp_diag_free(diag);
    stop_node(&n);
}

TEST(several_requests_on_one_connection)
{
    struct node n;
    const char *answer;

    start_node(&n, 16 << 20);
    answer = talk(&n, "POST /services HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"host\"\r\n6\r\n:\"h\"}\n\r\n0\r\n\r\n"
                      "GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n"
                      "GET /services/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(has_status(answer, 201));
    CHECK(strstr(answer, "Disallow: /") != NULL);
    CHECK(strstr(answer, "HTTP/1.1 404 ") != NULL);
    stop_node(&n);
}

#define CHUNKED                                                                                                        \
    "POST /services HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"                    \
    "Transfer-Encoding: chunked\r\n\r\nB00000\r\n"

TEST(bodies_end_at_ten_mebibytes)
{
    struct node n;
    size_t head = strlen(CHUNKED), chunk = 0xb00000;
    char *request = malloc(head + chunk + 8);
    const char *answer;

    start_node(&n, 16 << 20);
    answer = talk(&n, "POST /services HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      "Content-Length: 11534336\r\n\r\n{");
    CHECK(has_status(answer, 413));
    CHECK(strstr(answer, "<title>413 Request Entity Too Large</title>") != NULL);

    memcpy(request, CHUNKED, head);
    memset(request + head, ' ', chunk);
    memcpy(request + head + chunk, "\r\n0\r\n\r\n", 8); /* with its NUL */
    CHECK(has_status(talk(&n, request), 413));
    free(request);
    CHECK(has_status(get(&n, "/services"), 200));
    stop_node(&n);
}

TEST(floods_of_headers_are_refused)
{
    struct node n;
    size_t size = 600000, used;
    char *request = malloc(size);

    start_node(&n, 16 << 20);
    used = (size_t)snprintf(request, size, "GET /services HTTP/1.1\r\nHost: x\r\n");
    while (used < size - 64)
        used += (size_t)snprintf(request + used, size - used, "X-Flood-%zu: aaaaaaaaaaaaaaaa\r\n", used);
    snprintf(request + used, size - used, "\r\n");
    CHECK(strncmp(talk(&n, request), "HTTP/1.1 200", 12) != 0);
    CHECK(has_status(get(&n, "/services"), 200));
    free(request);
    stop_node(&n);
}

TEST(garbage_and_clients_that_leave_do_no_harm)
{
    static const char *const cut[] = { "GET /ser", "POST /services HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
                                       "GET /services HTTP/1.1\r\nHost: x\r\n\r\n" };
    struct node n;

    start_node(&n, 16 << 20);
    talk(&n, "\x16\x03\x01\x02 nonsense\r\n\r\n");
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        int fd = dial(n.socket);

        send_all(fd, cut[i], strlen(cut[i]));
        close(fd);
    }
    CHECK(has_status(get(&n, "/services"), 200));
    stop_node(&n);
}

/* --- Served or not ----------------------------------------------------------------------------------- */

TEST(a_write_is_in_the_read_model_when_it_answers)
{
    struct node n;
    struct tp_publisher_status status;
    const char *answer;

    start_node(&n, 16 << 20);
    answer = post(&n, "/consumers", "{\"username\":\"bob\"}");
    CHECK(has_status(answer, 201));
    CHECK(!strstr(answer, "X-Turnpike-Served"));
    tp_publisher_get_status(n.publisher, &status);
    CHECK_INT(status.position, 1);
    stop_node(&n);
}

/* A worker that says hello and then never acknowledges anything. */
static int deaf_worker(struct node *n)
{
    struct tp_frame hello = { .type = TP_FRAME_HELLO, .pid = 4711 };
    struct tp_buf out;
    int fd = dial(n->link_path);
    int64_t end = tp_clock_monotonic_ms() + 5000;

    tp_buf_init(&out, 0);
    tp_frame_encode(&out, &hello);
    send_all(fd, out.data, out.len);
    tp_buf_fini(&out);
    while (!tp_link_worker_count(n->link) && tp_clock_monotonic_ms() < end)
        usleep(1000);
    return fd;
}

TEST(a_worker_that_lags_makes_the_write_pending)
{
    struct node n;
    const char *answer;
    char pids[64];
    int worker;

    snprintf(pids, sizeof(pids), "\"workers\":[%d]", (int)getpid()); /* told by the socket, not by the hello */
    start_node(&n, 16 << 20);
    worker = deaf_worker(&n);
    answer = post(&n, "/consumers", "{\"username\":\"bob\"}");
    CHECK(has_status(answer, 201));
    CHECK(strstr(answer, "X-Turnpike-Served: pending\r\n") != NULL);
    CHECK(strstr(get(&n, "/"), pids) != NULL);
    close(worker);
    stop_node(&n);
}

static void fill_read_model(struct node *n, const char **last)
{
    for (int i = 0; i < 3000; i++) {
        char body[128];

        snprintf(body, sizeof(body), "{\"username\":\"consumer-number-%d\",\"custom_id\":\"%064d\"}", i, i);
        *last = post(n, "/consumers", body);
        if (strncmp(*last, "HTTP/1.1 201", 12) != 0 || strstr(*last, "X-Turnpike-Served"))
            return;
    }
}

TEST(a_full_read_model_is_named_and_the_write_stands)
{
    struct node n;
    const char *answer = "";

    start_node(&n, 128 << 10);
    fill_read_model(&n, &answer);
    CHECK(has_status(answer, 201));
    CHECK(strstr(answer, "X-Turnpike-Served: failed\r\n") != NULL);
    CHECK(strstr(answer, "X-Turnpike-Fault: ") != NULL);
    CHECK(!strstr(get(&n, "/status"), "\"fault\":null"));
    CHECK(has_status(post(&n, "/consumers", "{\"username\":\"consumer-number-0\"}"), 409));
    stop_node(&n);
}

/* --- The database goes and comes ---------------------------------------------------------------------- */

TEST(the_server_starts_without_a_database_and_finds_it_later)
{
    struct node n;
    struct tp_diag *diag = tp_diag_new();

    start_node(&n, 16 << 20);
    tp_admin_stop(n.admin);
    atomic_store(&n.database_away, true);
    CHECK_INT(start_admin(&n, &n.admin, diag), TP_OK);
    CHECK(has_status(get(&n, "/services"), 503));
    CHECK(has_status(post(&n, "/services", "{\"host\":\"h\"}"), 503));
    CHECK(strstr(get(&n, "/status"), "\"reachable\":false") != NULL);
    atomic_store(&n.database_away, false);
    CHECK(has_status(post(&n, "/services", "{\"host\":\"h\"}"), 201));
    CHECK(strstr(get(&n, "/status"), "\"reachable\":true") != NULL);
    tp_diag_free(diag);
    stop_node(&n);
}

/* --- Many at once, starting and stopping ----------------------------------------------------------------- */

#define WRITERS 8
#define WRITES 25

struct writer {
    struct node *node;
    int number;
    int created;
};

static void *write_many(void *data)
{
    struct writer *w = data;

    for (int i = 0; i < WRITES; i++) {
        char body[64];

        snprintf(body, sizeof(body), "{\"username\":\"w%d-%d\"}", w->number, i);
        w->created += strncmp(post(w->node, "/consumers", body), "HTTP/1.1 201", 12) == 0;
    }
    return NULL;
}

TEST(writers_at_once_all_succeed)
{
    struct node n;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    int created = 0;

    start_node(&n, 64 << 20);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .node = &n, .number = i };
        pthread_create(&threads[i], NULL, write_many, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        created += writers[i].created;
    }
    CHECK_INT(created, WRITERS * WRITES);
    stop_node(&n);
}

static void *write_slowly(void *data)
{
    struct writer *w = data;

    w->created = strncmp(post(w->node, "/consumers", "{\"username\":\"slow\"}"), "HTTP/1.1 201", 12) == 0;
    return NULL;
}

TEST(stopping_finishes_running_calls)
{
    struct node n;
    struct writer writer = { .node = &n };
    pthread_t thread;
    int worker;

    start_node(&n, 16 << 20);
    worker = deaf_worker(&n); /* the write takes a second */
    pthread_create(&thread, NULL, write_slowly, &writer);
    usleep(300000);
    tp_admin_stop(n.admin);
    n.admin = NULL;
    pthread_join(thread, NULL);
    CHECK_INT(writer.created, 1);
    CHECK(access(n.socket, F_OK) != 0);
    close(worker);
    stop_node(&n);
}

TEST(one_server_for_a_socket)
{
    struct node n;
    struct tp_admin *second = NULL;
    struct tp_diag *diag = tp_diag_new();

    start_node(&n, 16 << 20);
    CHECK_INT(start_admin(&n, &second, diag), TP_ERR_EXISTS);
    CHECK(strstr(tp_diag_text(diag), "another process answers here already") != NULL);
    CHECK(has_status(get(&n, "/services"), 200));
    tp_diag_free(diag);
    stop_node(&n);
}

TEST(a_socket_left_behind_is_replaced)
{
    struct node n;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct tp_diag *diag = tp_diag_new();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    start_node(&n, 16 << 20);
    tp_admin_stop(n.admin);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", n.socket);
    CHECK_INT(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    CHECK_INT(start_admin(&n, &n.admin, diag), TP_OK);
    CHECK(has_status(get(&n, "/services"), 200));
    tp_diag_free(diag);
    stop_node(&n);
}

TEST(paths_of_sockets_are_short)
{
    struct node n;
    struct tp_admin *admin = NULL;
    struct tp_diag *diag = tp_diag_new();
    char long_path[200];

    start_node(&n, 16 << 20);
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    struct tp_admin_options options = { .socket_path = long_path,
                                        .settings = n.settings,
                                        .plugins = n.plugins,
                                        .open_store = open_store,
                                        .open_data = &n };
    CHECK_INT(tp_admin_start(&admin, &options, diag), TP_ERR_INVALID);
    CHECK(strstr(tp_diag_text(diag), "at most 107 bytes") != NULL);
    tp_diag_free(diag);
    stop_node(&n);
}
