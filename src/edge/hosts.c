/* The hosts file: hosts.h. */
#include "edge/hosts.h"

#include "base/map.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>

enum { MAX_NAME_BYTES = 256 };

/* What tells one state of the file from another. */
struct version {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct tp_edge_hosts {
    const char *path;
    ngx_log_t *log;
    struct tp_map *names; /* lower case → struct tp_edge_addresses */
    struct version version;
    time_t looked;
};

static struct tp_str lower(struct tp_str name, char buffer[MAX_NAME_BYTES])
{
    size_t len = name.len < MAX_NAME_BYTES ? name.len : MAX_NAME_BYTES;

    for (size_t i = 0; i < len; i++)
        buffer[i] = (char)tolower((unsigned char)name.data[i]);
    return tp_str_make(buffer, len);
}

static void add_host(struct tp_map *names, struct tp_str name, const struct tp_address *address)
{
    char buffer[MAX_NAME_BYTES];
    struct tp_edge_addresses *list;

    name = lower(name, buffer);
    list = tp_map_get(names, name);
    if (!list) {
        list = tp_new(struct tp_edge_addresses);
        tp_map_set(names, name, list);
    }
    if (list->count < TP_EDGE_MAX_ADDRESSES)
        list->items[list->count++] = *address;
}

/* "address name name # remark" */
static void read_line(struct tp_map *names, char *line)
{
    struct tp_address address;
    char *rest = NULL, *word;

    line[strcspn(line, "#\n")] = '\0';
    word = strtok_r(line, " \t\r", &rest);
    if (!word || !tp_edge_address_parse(tp_str_from_cstr(word), &address))
        return;
    while ((word = strtok_r(NULL, " \t\r", &rest)))
        add_host(names, tp_str_from_cstr(word), &address);
}

static bool version_of(const char *path, struct version *out)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return false;
    memset(out, 0, sizeof(*out)); /* compared as bytes */
    out->device = st.st_dev;
    out->inode = st.st_ino;
    out->size = st.st_size;
    out->changed = st.st_mtim;
    return true;
}

/* What was known stays when the file cannot be read: an editor may be about to replace it. */
static void read_file(struct tp_edge_hosts *hosts)
{
    FILE *file = fopen(hosts->path, "re");
    char line[4096];

    if (!file) {
        ngx_log_error(NGX_LOG_WARN, hosts->log, ngx_errno, "cannot read the hosts file \"%s\"", hosts->path);
        return;
    }
    tp_map_free(hosts->names, free);
    hosts->names = tp_map_new();
    while (fgets(line, sizeof(line), file))
        read_line(hosts->names, line);
    fclose(file);
}

static void look_again(struct tp_edge_hosts *hosts)
{
    struct version now;

    if (hosts->looked == ngx_time())
        return;
    hosts->looked = ngx_time();
    if (!version_of(hosts->path, &now) || memcmp(&now, &hosts->version, sizeof(now)) == 0)
        return;
    hosts->version = now;
    read_file(hosts);
}

struct tp_edge_hosts *tp_edge_hosts_new(const char *path, ngx_log_t *log)
{
    struct tp_edge_hosts *hosts = tp_new(struct tp_edge_hosts);

    hosts->path = path;
    hosts->log = log;
    hosts->names = tp_map_new();
    hosts->looked = ngx_time();
    (void)version_of(path, &hosts->version); /* before it is read: a change in between is seen later */
    read_file(hosts);
    return hosts;
}

void tp_edge_hosts_free(struct tp_edge_hosts *hosts)
{
    if (!hosts)
        return;
    tp_map_free(hosts->names, free);
    free(hosts);
}

/* localhost and what ends in it are this machine, also without a line in the file (RFC 6761, section 6.3). */
static const struct tp_edge_addresses *loopback(struct tp_str name)
{
    static const struct tp_edge_addresses addresses = { .count = 1, .items = { { .bytes = { 127, 0, 0, 1 } } } };

    return tp_str_eq(name, TP_STR("localhost")) || tp_str_ends(name, TP_STR(".localhost")) ? &addresses : NULL;
}

const struct tp_edge_addresses *tp_edge_hosts_find(struct tp_edge_hosts *hosts, struct tp_str name)
{
    char buffer[MAX_NAME_BYTES];
    const struct tp_edge_addresses *found;

    look_again(hosts);
    if (name.len > sizeof(buffer))
        return NULL;
    name = lower(name, buffer);
    found = tp_map_get(hosts->names, name);
    return found ? found : loopback(name);
}
