/*
 * The settings that a worker reads: run/settings.json, one flat object of Kong-named keys (reference/configuration.md)
 * as the CLI wrote it. Values are text, numbers, booleans or lists of text; an absent key has Kong's default.
 */
#ifndef TP_EDGE_SETTINGS_H
#define TP_EDGE_SETTINGS_H

#include "base/diag.h"
#include "gateway/gateway.h"

struct tp_edge_settings {
    struct tp_arena *arena;
    struct tp_str prefix; /* where base/paths.h starts; NUL behind it */
    struct tp_gateway_settings gateway;
    struct tp_str plugins;              /* "bundled,request-transformer_1251" */
    struct tp_str hosts_file;           /* dns_hostsfile */
    struct tp_list search_domains;      /* of struct tp_str */
    int64_t search_ndots;
    struct tp_str trusted_certificates; /* lua_ssl_trusted_certificate: a file; absent: the system's store */
    int64_t tls_verify_depth;           /* lua_ssl_verify_depth: as in Kong not for services, for all other TLS peers */
    int64_t keepalive_pool_size;        /* idle connections of one key; 0: none are kept */
    int64_t keepalive_max_requests;     /* 0: no limit, also below */
    int64_t keepalive_idle_ms;
    uint64_t read_model_map_bytes;
    uint64_t quota_identities, quota_addresses; /* counters in the shared file */
    int64_t upstream_buffer_bytes;              /* nginx_proxy_proxy_buffer_size: an upstream's head must fit */
    int64_t drain_idle_ms; /* how long a worker that leaves waits for idle clients */
};

/*
 * Read the file. On success *out is owned: tp_edge_settings_free. TP_ERR_IO, TP_ERR_INVALID: `diag` names the
 * keys that are wrong, all of them.
 */
enum tp_err tp_edge_settings_load(struct tp_edge_settings **out, const char *path, struct tp_diag *diag);
void tp_edge_settings_free(struct tp_edge_settings *settings);

#endif
