/* GET /status: is the node well, in Kong's shape, and under "turnpike" what is ours. */
#include "control/admin/dispatch.h"
#include "control/admin/reply.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_PIDS 256

/* How sizes are shown: ?unit= and ?scale=. */
struct size_format {
    char unit; /* lower case; b: the bare number */
    int scale;
};

/* False: answered. */
static bool parse_format(struct tp_admin_call *call, struct size_format *format)
{
    struct tp_str unit = tp_admin_pairs_get(&call->args, "unit", NULL);
    struct tp_str scale = tp_admin_pairs_get(&call->args, "scale", NULL);
    int64_t digits;

    *format = (struct size_format){ .unit = 'm', .scale = 2 };
    if (unit.data) {
        if (unit.len != 1 || !strchr("bBkKmMgG", unit.data[0])) {
            tp_admin_reply_message(call, 400, "invalid unit '%.*s' (expected 'k/K', 'm/M', or 'g/G')",
                                   TP_STR_ARG(unit));
            return false;
        }
        format->unit = (char)(unit.data[0] | 0x20);
    }
    if (scale.data && tp_str_to_i64(scale, &digits)) {
        if (digits < 0) {
            tp_admin_reply_message(call, 400, "scale must be equal or greater than 0");
            return false;
        }
        format->scale = digits > 15 ? 15 : (int)digits;
    }
    return true;
}

static json_t *size_value(uint64_t bytes, const struct size_format *format)
{
    static const struct {
        char unit;
        const char *name;
        double bytes;
    } units[] = { { 'k', "KiB", 1024.0 }, { 'm', "MiB", 1048576.0 }, { 'g', "GiB", 1073741824.0 } };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].unit == format->unit)
            return json_sprintf("%.*f %s", format->scale, (double)bytes / units[i].bytes, units[i].name);
    }
    return json_integer((json_int_t)bytes);
}

/* Memory that a process has resident; 0: it is gone. */
static uint64_t resident_bytes(int pid)
{
    char path[64], line[128] = "";
    const char *resident;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/statm", pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (!fgets(line, sizeof(line), file))
        line[0] = '\0';
    fclose(file);
    resident = strchr(line, ' '); /* pages: "size resident …" */
    return resident ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static json_t *worker_memory(struct tp_link *link, const struct size_format *format)
{
    int pids[MAX_PIDS];
    size_t count = link ? tp_link_worker_pids(link, pids, MAX_PIDS) : 0;
    json_t *list = json_array();

    for (size_t i = 0; i < count && i < MAX_PIDS; i++)
        json_array_append_new(list, json_pack("{s:i,s:o}", "pid", pids[i], "http_allocated_gc",
                                              size_value(resident_bytes(pids[i]), format)));
    return list;
}

static bool database_reachable(struct tp_admin_call *call)
{
    if (!call->store)
        return false;
    if (tp_store_ping(call->store) == TP_OK)
        return true;
    call->store_lost = true;
    return false;
}

static json_t *read_model(struct tp_publisher *publisher)
{
    struct tp_publisher_status status = { 0 };

    if (publisher)
        tp_publisher_get_status(publisher, &status);
    return json_pack("{s:I,s:I,s:I,s:o}", "epoch", (json_int_t)status.epoch, "position", (json_int_t)status.position,
                     "plan", (json_int_t)status.plan, "fault",
                     status.fault[0] ? tp_admin_json_text(tp_str_from_cstr(status.fault)) : json_null());
}

static json_t *ours(const struct tp_admin_options *options)
{
    json_int_t workers = options->link ? (json_int_t)tp_link_worker_count(options->link) : 0;
    json_int_t evicted = options->counters ? (json_int_t)tp_counters_evicted(options->counters) : 0;

    return json_pack("{s:s,s:o,s:I,s:{s:I}}", "version", TURNPIKE_VERSION, "read_model", read_model(options->publisher),
                     "workers", workers, "counters", "evicted", evicted);
}

/*
 * NEEDSWORK: connections and requests of the proxy are counted by nginx, which control cannot ask; zeros until the
 * workers publish them in the shared file (#3).
 */
static json_t *server_counts(void)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i}", "connections_active", 0, "connections_accepted", 0,
                     "connections_handled", 0, "connections_reading", 0, "connections_writing", 0,
                     "connections_waiting", 0, "total_requests", 0);
}

static void on_status(struct tp_admin_call *call)
{
    const struct tp_admin_options *options = &call->context->options;
    struct size_format format;

    if (!parse_format(call, &format))
        return;
    tp_admin_reply_json(call, 200,
                        json_pack("{s:o,s:{s:o,s:{}},s:{s:b},s:o}", "server", server_counts(), "memory",
                                  "workers_lua_vms", worker_memory(options->link, &format), "lua_shared_dicts",
                                  "database", "reachable", (int)database_reachable(call), "turnpike", ours(options)));
}

static void on_dns(struct tp_admin_call *call)
{
    tp_admin_reply_message(call, 501, "not implemented with the legacy DNS client");
}

const struct tp_admin_endpoint tp_admin_status_endpoints[] = {
    { .pattern = "/status", .on = { .get = on_status } },
    { .pattern = "/status/dns", .on = { .get = on_dns } },
    { 0 },
};
