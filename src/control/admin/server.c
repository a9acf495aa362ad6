/*
 * The Admin API on libmicrohttpd: admin.h.
 *
 * One HTTP thread reads requests and writes answers and never waits. A whole request is suspended and queued; a
 * bounded pool of threads, each with a store connection, handles it and resumes it. So slow clients hold no store,
 * and a write that waits for the workers holds nobody else up.
 *
 *   URI seen → headers seen → body collected → queued (suspended) → handled → resumed → answered → freed
 */
#include "control/admin/admin.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/admin/call.h"
#include "control/admin/queue.h"
#include "control/admin/reply.h"
#include "control/socket.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define THREADS 16 /* a write may wait a second for lagging workers: reads want threads beside it */
#define MAX_CONNECTIONS 128
#define CONNECTION_MEMORY (256u << 10) /* request line, headers, parsed query: a thousand arguments fit */
#define IDLE_TIMEOUT_S 60
#define PENDING_BODIES_MAX (256u << 20)      /* bodies of all connections together */
#define DISCARD_MAX (4u * TP_ADMIN_BODY_MAX) /* of a body that is too large, before we hang up */
#define STOP_WAIT_MS 5000

static const char too_large[] = "Request Entity Too Large";

struct tp_admin {
    struct tp_admin_context context;
    struct tp_admin_queue queue;
    struct MHD_Daemon *daemon;
    int listen_fd;
    char *socket_path;
    pthread_t threads[THREADS];
    size_t thread_count;
    atomic_size_t body_bytes; /* collected and not yet freed */
    atomic_size_t requests;   /* seen and not yet completed */
    atomic_bool store_away;   /* the last attempt to open one failed: said once, not for every call */
    bool show_server, show_latency;
};

struct request {
    struct tp_admin_job job; /* first: a job is a request */
    struct tp_admin *admin;
    struct MHD_Connection *connection;
    struct tp_admin_call call;
    struct tp_buf body;
    size_t discarded;
    int64_t started_ms;
    bool has_headers, keeps_body, too_large, over_budget, handled;
};

/* --- Collecting a request -------------------------------------------------------------------------- */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct request *r = tp_new(struct request);
    struct tp_str whole;
    ptrdiff_t mark;

    r->admin = cls;
    r->connection = connection;
    r->started_ms = tp_clock_monotonic_ms();
    r->call.arena = tp_arena_new();
    r->call.context = &r->admin->context;
    tp_buf_init(&r->body, TP_ADMIN_BODY_MAX);
    whole = tp_arena_dup(r->call.arena, tp_str_from_cstr(uri));
    mark = tp_str_chr(whole, '?');
    r->call.path = mark < 0 ? whole : tp_str_head(whole, (size_t)mark);
    r->call.query = mark < 0 ? TP_STR("") : tp_str_from(whole, (size_t)mark + 1);
    atomic_fetch_add(&r->admin->requests, 1);
    return r;
}

static struct tp_str header(struct request *r, const char *name)
{
    const char *value = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);

    return value ? tp_arena_dup(r->call.arena, tp_str_from_cstr(value)) : TP_STR_NULL;
}

static void on_headers(struct request *r, const char *method)
{
    struct tp_admin_call *call = &r->call;
    struct tp_str length = header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);
    int64_t bytes;

    r->has_headers = true;
    call->method = tp_arena_dup(call->arena, tp_str_from_cstr(method));
    call->content_type = header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    call->origin = header(r, MHD_HTTP_HEADER_ORIGIN);
    call->requested_headers = header(r, "Access-Control-Request-Headers");
    r->keeps_body = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    r->too_large = length.data && tp_str_to_i64(length, &bytes) && bytes > TP_ADMIN_BODY_MAX;
}

static enum MHD_Result on_data(struct request *r, const char *data, size_t size)
{
    struct tp_admin *admin = r->admin;

    if (!r->keeps_body || r->too_large || r->over_budget) {
        r->discarded += size;
        return r->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
    }
    if (atomic_load(&admin->body_bytes) + size > PENDING_BODIES_MAX) {
        r->over_budget = true;
        return MHD_YES;
    }
    tp_buf_add(&r->body, tp_str_make(data, size));
    r->too_large = r->body.failed;
    if (!r->too_large)
        atomic_fetch_add(&admin->body_bytes, size);
    return MHD_YES;
}

/* --- Answering ------------------------------------------------------------------------------------- */

static void add_headers(struct request *r, struct MHD_Response *response)
{
    const struct tp_admin_reply *reply = &r->call.reply;
    char latency[32];

    for (size_t i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value.data);
    if (reply->content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    if (r->admin->show_latency) {
        snprintf(latency, sizeof(latency), "%lld", (long long)(tp_clock_monotonic_ms() - r->started_ms));
        MHD_add_response_header(response, "X-Kong-Admin-Latency", latency);
    }
    if (r->admin->show_server)
        MHD_add_response_header(response, MHD_HTTP_HEADER_SERVER, TP_ADMIN_SERVER);
}

static enum MHD_Result send_reply(struct request *r)
{
    struct tp_admin_reply *reply = &r->call.reply;
    struct MHD_Response *response;
    enum MHD_Result result;

    if (reply->body)
        response = MHD_create_response_from_buffer(reply->body_len, reply->body, MHD_RESPMEM_MUST_FREE);
    else
        response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    reply->body = NULL; /* handed over */
    add_headers(r, response);
    result = MHD_queue_response(r->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Make an answer that needs no handler. */
static void refuse(struct request *r, int status, const char *message)
{
    tp_admin_reply_cors(&r->call);
    if (status == 413) {
        tp_admin_reply_page(&r->call, 413, message);
    } else {
        tp_admin_reply_message(&r->call, status, "%s", message);
        tp_admin_reply_header(&r->call, "Retry-After", TP_STR("1"));
    }
    r->handled = true;
}

/* The request is whole: hand it to a thread. */
static enum MHD_Result on_whole(struct request *r)
{
    if (r->too_large)
        refuse(r, 413, too_large);
    else if (r->over_budget)
        refuse(r, 503, "Too many request bodies at once");
    if (r->handled)
        return send_reply(r);
    r->call.body = tp_buf_str(&r->body);
    MHD_suspend_connection(r->connection);
    if (!tp_admin_queue_push(&r->admin->queue, &r->job)) {
        refuse(r, 503, "The Admin API is shutting down");
        MHD_resume_connection(r->connection); /* calls us again, to send it */
    }
    return MHD_YES;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are libmicrohttpd's */
static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *data, size_t *size, void **con_cls)
{
    struct request *r = *con_cls;

    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    if (!r->has_headers) {
        on_headers(r, method);
        if (!r->too_large)
            return MHD_YES;
        refuse(r, 413, too_large); /* at once: what it is about to send is not read */
        return send_reply(r);
    }
    if (*size) {
        enum MHD_Result result = on_data(r, data, *size);

        *size = 0;
        return result;
    }
    return r->handled ? send_reply(r) : on_whole(r);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct request *r = *con_cls;

    (void)cls;
    (void)connection;
    (void)code;
    if (!r)
        return;
    *con_cls = NULL;
    atomic_fetch_sub(&r->admin->body_bytes, r->body.len);
    atomic_fetch_sub(&r->admin->requests, 1);
    tp_admin_call_fini(&r->call);
    tp_buf_fini(&r->body);
    tp_arena_free(r->call.arena);
    free(r);
}

/* --- Threads that handle ----------------------------------------------------------------------------- */

static void open_store(struct tp_admin *admin, struct tp_store **store)
{
    const struct tp_admin_options *options = &admin->context.options;
    struct tp_diag *diag = tp_diag_new();
    bool failed = options->open_store(options->open_data, store, diag) != TP_OK;
    bool failed_before = atomic_exchange(&admin->store_away, failed);

    if (failed)
        *store = NULL;
    if (failed && !failed_before)
        tp_log(TP_LOG_WARN, "admin: the database cannot be opened: %s", tp_diag_text(diag));
    else if (!failed && failed_before)
        tp_log(TP_LOG_NOTICE, "admin: the database can be opened again");
    tp_diag_free(diag);
}

static void *run_thread(void *data)
{
    struct tp_admin *admin = data;
    struct tp_store *store = NULL;
    struct tp_admin_job *job;

    while ((job = tp_admin_queue_pop(&admin->queue))) {
        struct request *r = (struct request *)job;

        if (!store)
            open_store(admin, &store);
        r->call.store = store;
        tp_admin_handle(&r->call);
        r->call.store = NULL;
        if (r->call.store_lost) {
            tp_store_free(store);
            store = NULL;
        }
        r->handled = true;
        MHD_resume_connection(r->connection); /* r is the HTTP thread's again */
    }
    tp_store_free(store);
    return NULL;
}

/* --- Life ------------------------------------------------------------------------------------------ */

static void log_library(void *cls, const char *format, va_list args)
{
    char text[512];

    (void)cls;
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    tp_log(TP_LOG_INFO, "admin: %s", text);
}

/* Whether the setting `headers` asks for either name; unset: yes. */
static bool shows(const json_t *settings, const char *name, const char *group)
{
    const json_t *headers = json_object_get(settings, "headers"), *item;
    size_t i;

    if (!json_is_array(headers))
        return true;
    json_array_foreach(headers, i, item) {
        struct tp_str text = tp_str_from_cstr(json_string_value(item));

        if (tp_str_eq_nocase(text, tp_str_from_cstr(name)) || tp_str_eq_nocase(text, tp_str_from_cstr(group)))
            return true;
    }
    return false;
}

static enum tp_err start_threads(struct tp_admin *admin, struct tp_diag *diag)
{
    while (admin->thread_count < THREADS) {
        if (pthread_create(&admin->threads[admin->thread_count], NULL, run_thread, admin) != 0) {
            tp_diag_add(diag, "admin", "cannot start a thread");
            return TP_ERR_IO;
        }
        admin->thread_count++;
    }
    return TP_OK;
}

static enum tp_err start_daemon(struct tp_admin *admin, struct tp_diag *diag)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

    admin->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, NULL, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET,
        admin->listen_fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, admin, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (admin->daemon)
        return TP_OK;
    tp_diag_add(diag, "admin", "the HTTP server does not start");
    return TP_ERR_IO;
}

enum tp_err tp_admin_start(struct tp_admin **out, const struct tp_admin_options *options, struct tp_diag *diag)
{
    struct tp_admin *admin = tp_new(struct tp_admin);
    enum tp_err err;

    admin->listen_fd = -1;
    tp_admin_queue_init(&admin->queue);
    tp_admin_context_init(&admin->context, options);
    admin->show_server = shows(options->settings, "Server", "server_tokens");
    admin->show_latency = shows(options->settings, "X-Kong-Admin-Latency", "latency_tokens");
    err = tp_control_socket_listen(&admin->listen_fd, options->socket_path, diag);
    if (err)
        goto out;
    admin->socket_path = tp_strdup(options->socket_path);
    err = start_threads(admin, diag);
    if (err)
        goto out;
    err = start_daemon(admin, diag);
    if (err)
        goto out;
    *out = admin;
    admin = NULL; /* handed over */
out:
    tp_admin_stop(admin);
    return err;
}

/* Let what was accepted be answered. */
static void drain(struct tp_admin *admin)
{
    int64_t end = tp_clock_monotonic_ms() + STOP_WAIT_MS;

    while (atomic_load(&admin->requests) && tp_clock_monotonic_ms() < end)
        usleep(5000);
}

void tp_admin_stop(struct tp_admin *admin)
{
    if (!admin)
        return;
    if (admin->daemon) {
        MHD_quiesce_daemon(admin->daemon);
        drain(admin);
    }
    /* From here on the HTTP thread refuses; what is queued is still handled and resumed. */
    tp_admin_queue_close(&admin->queue);
    for (size_t i = 0; i < admin->thread_count; i++)
        pthread_join(admin->threads[i], NULL);
    if (admin->daemon)
        MHD_stop_daemon(admin->daemon);
    if (admin->listen_fd >= 0)
        close(admin->listen_fd);
    if (admin->socket_path)
        unlink(admin->socket_path);
    tp_admin_context_fini(&admin->context);
    tp_admin_queue_fini(&admin->queue);
    free(admin->socket_path);
    free(admin);
}
