/*
 * Decoded configurations of consumer-scoped plugin rows: a bounded cache of the most recently used, keyed by row,
 * content and plugin. One for each worker, used by its own thread; an entry that is still held by a request when
 * it is dropped lives until that request lets go.
 *
 * A configuration that cannot be decoded is kept, too: the question comes with every request of that consumer.
 */
#include "plan/plan.h"

#include "base/hash.h"
#include "base/mem.h"
#include "plan/decode.h"

#include <stdatomic.h>

struct tp_conf {
    atomic_int references;
    struct tp_arena *arena;
    const struct tp_plugin *plugin;
    struct tp_uuid id;
    uint64_t revision;
    enum tp_err err; /* of decoding; TP_OK: data is there */
    const void *data;
    /* The cache's: next in the bucket, and neighbours by last use. */
    struct tp_conf *next, *newer, *older;
};

struct tp_conf_cache {
    size_t max, count;
    struct tp_conf **buckets;
    size_t mask;
    struct tp_hash_key key;
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
    tp_random_bytes(&cache->key, sizeof(cache->key));
    return cache;
}

static struct tp_conf **bucket_of(struct tp_conf_cache *cache, const struct tp_uuid *id)
{
    struct tp_str name = tp_str_make((const char *)id->bytes, sizeof(id->bytes));

    return &cache->buckets[tp_hash64(&cache->key, name) & cache->mask];
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
    struct tp_conf **at = bucket_of(cache, &conf->id);

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

/* The entry of the row; one of older content is of no use to anybody any more. */
static struct tp_conf *find(struct tp_conf_cache *cache, const struct tp_plugin *plugin,
                            const struct tp_consumer_plugin *row)
{
    for (struct tp_conf *conf = *bucket_of(cache, &row->id); conf; conf = conf->next) {
        if (!tp_uuid_eq(&conf->id, &row->id))
            continue;
        if (conf->revision == row->revision && conf->plugin == plugin)
            return conf;
        drop(cache, conf);
        return NULL;
    }
    return NULL;
}

static struct tp_conf *decode(const struct tp_plugin *plugin, const struct tp_consumer_plugin *row)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_conf *conf = tp_arena_new_type(arena, struct tp_conf);
    json_t *config = json_loadb(row->config.data, row->config.len, 0, NULL);

    atomic_init(&conf->references, 1);
    conf->arena = arena;
    conf->plugin = plugin;
    conf->id = row->id;
    conf->revision = row->revision;
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
        bucket = bucket_of(cache, &row->id);
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
