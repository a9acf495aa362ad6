/*
 * Decoded configurations of consumer-scoped plugin rows: a bounded cache of the most recently used, keyed by content
 * and plugin. Rows with the same content share one: a hundred thousand customers have a handful of plans. One cache for
 * each worker, used by its own thread; an entry that is still held by a request when it is dropped lives until that
 * request lets go.
 *
 * A configuration that cannot be decoded is kept, too: the question comes with every request of that consumer.
 */
#include "plan/plan.h"

#include "base/mem.h"
#include "plan/decode.h"

#include <stdatomic.h>

struct tp_conf {
    atomic_int references;
    struct tp_arena *arena;
    const struct tp_plugin *plugin;
    uint64_t revision;
    struct tp_str config;
    enum tp_err err; /* of decoding; TP_OK: data is there */
    const void *data;
    /* The cache's: next in the bucket, and neighbours by last use. */
    struct tp_conf *next, *newer, *older;
};

struct tp_conf_cache {
    size_t max, count;
    struct tp_conf **buckets;
    size_t mask;
    struct tp_conf *newest, *oldest;
};

struct tp_conf_cache *tp_conf_cache_new(size_t max_entries)
{
    struct tp_conf_cache *cache = tp_new(struct tp_conf_cache);
    size_t size = 16;

    cache->max = max_entries ? max_entries : 1;
    while (size < cache->max)
        size *= 2;
    cache->mask = size - 1;
    cache->buckets = tp_calloc(size, sizeof(struct tp_conf *));
    return cache;
}

/* A revision is a hash already. */
static struct tp_conf **bucket_of(struct tp_conf_cache *cache, uint64_t revision)
{
    return &cache->buckets[revision & cache->mask];
}

static void unlink_use(struct tp_conf_cache *cache, struct tp_conf *conf)
{
    *(conf->newer ? &conf->newer->older : &cache->newest) = conf->older;
    *(conf->older ? &conf->older->newer : &cache->oldest) = conf->newer;
}

static void link_newest(struct tp_conf_cache *cache, struct tp_conf *conf)
{
    conf->newer = NULL;
    conf->older = cache->newest;
    *(conf->older ? &conf->older->newer : &cache->oldest) = conf;
    cache->newest = conf;
}

static void drop(struct tp_conf_cache *cache, struct tp_conf *conf)
{
    struct tp_conf **at = bucket_of(cache, conf->revision);

    while (*at != conf)
        at = &(*at)->next;
    *at = conf->next;
    unlink_use(cache, conf);
    cache->count--;
    tp_conf_unref(conf);
}

void tp_conf_cache_free(struct tp_conf_cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        drop(cache, cache->oldest);
    free(cache->buckets);
    free(cache);
}

/* The text decides, not its hash. */
static struct tp_conf *find(struct tp_conf_cache *cache, const struct tp_plugin *plugin,
                            const struct tp_consumer_plugin *row)
{
    struct tp_conf *conf = *bucket_of(cache, row->revision);

    while (conf && (conf->revision != row->revision || conf->plugin != plugin || !tp_str_eq(conf->config, row->config)))
        conf = conf->next;
    return conf;
}

static struct tp_conf *decode(const struct tp_plugin *plugin, const struct tp_consumer_plugin *row)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_conf *conf = tp_arena_new_type(arena, struct tp_conf);
    json_t *config = json_loadb(row->config.data, row->config.len, 0, NULL);

    atomic_init(&conf->references, 1);
    conf->arena = arena;
    conf->plugin = plugin;
    conf->revision = row->revision;
    conf->config = tp_arena_dup(arena, row->config);
    conf->err = config ? tp_decode_config(plugin, config, arena, &conf->data, NULL) : TP_ERR_DAMAGED;
    json_decref(config);
    return conf;
}

enum tp_err tp_conf_cache_get(struct tp_conf_cache *cache, const struct tp_plugin *plugin,
                              const struct tp_consumer_plugin *row, struct tp_conf **out)
{
    struct tp_conf *conf = find(cache, plugin, row), **bucket;

    if (conf) {
        unlink_use(cache, conf);
    } else {
        if (cache->count == cache->max)
            drop(cache, cache->oldest);
        conf = decode(plugin, row);
        bucket = bucket_of(cache, row->revision);
        conf->next = *bucket;
        *bucket = conf;
        cache->count++;
    }
    link_newest(cache, conf);
    if (conf->err)
        return conf->err;
    atomic_fetch_add_explicit(&conf->references, 1, memory_order_relaxed);
    *out = conf;
    return TP_OK;
}

const void *tp_conf_data(const struct tp_conf *conf)
{
    return conf->data;
}

void tp_conf_unref(struct tp_conf *conf)
{
    if (conf && atomic_fetch_sub_explicit(&conf->references, 1, memory_order_acq_rel) == 1)
        tp_arena_free(conf->arena);
}
