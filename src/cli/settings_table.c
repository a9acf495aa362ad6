/*
 * Every setting there is. A new one needs a line here and a reader, nothing else: parsing, checking, `config show`
 * and the help text come from this table. Names and defaults of the first two parts are Kong's.
 */
#include "cli/settings.h"

static const char *const log_levels[] = { "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg", NULL };
static const char *const databases[] = { "sqlite", "postgres", "off", "cassandra", NULL };
static const char *const flavors[] = { "traditional", "traditional_compatible", NULL };
static const char *const suites[] = { "modern", "intermediate", "old", "fips", "custom", NULL };
static const char *const error_types[] = { "text/plain", "text/html", "application/json", "application/xml", NULL };
static const char *const roles[] = { "traditional", "control_plane", "data_plane", NULL };
static const char *const consistencies[] = { "eventual", "strict", NULL };
static const char *const sandboxes[] = { "off", "sandbox", "on", NULL };
static const char *const mtls_modes[] = { "shared", "pki", NULL };
static const char *const ocsp_modes[] = { "on", "off", "optional", NULL };

#define USED(n, t, d, text, ...)                                                                                       \
    {                                                                                                                  \
        .name = #n, .type = TP_SETTING_##t, .use = TP_SETTING_USED, .def = (d), .about = (text), ##__VA_ARGS__         \
    }
#define OURS(n, t, d, text, ...)                                                                                       \
    {                                                                                                                  \
        .name = #n, .type = TP_SETTING_##t, .use = TP_SETTING_OURS, .def = (d), .about = (text), ##__VA_ARGS__         \
    }
#define ACCEPTED(n, t, d, ...)                                                                                         \
    {                                                                                                                  \
        .name = #n, .type = TP_SETTING_##t, .use = TP_SETTING_ACCEPTED, .def = (d),                                    \
        .about = "Kong's; accepted, without effect here", ##__VA_ARGS__                                                \
    }
#define BETWEEN(lo, hi) .ranged = true, .min = (lo), .max = (hi)
#define ONE_OF(list) .one_of = (list)
#define NEEDED .needed = true
#define SECRET .secret = true

const struct tp_setting tp_setting_table[] = {
    /* General */
    USED(prefix, TEXT, "/var/lib/turnpike", "folder of this instance: logs, sockets, read model, database", NEEDED),
    USED(log_level, ENUM, "notice", "what is logged", ONE_OF(log_levels), NEEDED),
    USED(proxy_access_log, TEXT, "logs/access.log", "file, /dev/stdout, syslog:… or off", NEEDED),
    USED(proxy_error_log, TEXT, "logs/error.log", "file, /dev/stderr, syslog:… or off", NEEDED),
    USED(admin_access_log, TEXT, "logs/admin_access.log", "file, /dev/stdout, syslog:… or off", NEEDED),
    USED(admin_error_log, TEXT, "logs/error.log", "file, /dev/stderr, syslog:… or off", NEEDED),
    USED(status_access_log, TEXT, "off", "file, /dev/stdout, syslog:… or off", NEEDED),
    USED(status_error_log, TEXT, "logs/status_error.log", "file, /dev/stderr, syslog:… or off", NEEDED),
    USED(plugins, LIST, "bundled", "plugins to offer: bundled, off, names; name_N declares a clone at priority N",
         NEEDED),
    USED(port_maps, LIST, NULL, "outside:inside pairs of ports, shown upstream and used in routing"),
    USED(node_id, TEXT, NULL, "UUID of this node; else one is drawn and kept in the prefix"),
    USED(error_template_html, TEXT, NULL, "file with the HTML page of errors: two %s, message and request id"),
    USED(error_template_json, TEXT, NULL, "the same for JSON"),
    USED(error_template_xml, TEXT, NULL, "the same for XML"),
    USED(error_template_plain, TEXT, NULL, "the same for plain text"),

    /* Listeners */
    USED(proxy_listen, LIST, "0.0.0.0:8000", "where clients call: <ip>:<port> [flags], … or off", NEEDED),
    USED(admin_listen, LIST, "127.0.0.1:8001", "where the Admin API answers", NEEDED),
    USED(status_listen, LIST, "off", "where /status and /metrics answer", NEEDED),

    /* Workers and server */
    USED(nginx_user, TEXT, NULL,
         "user [group] of the workers when started as root; unset: turnpike, www-data or nobody"),
    USED(nginx_main_user, TEXT, NULL, "the same as nginx_user, which wins"),
    USED(nginx_worker_processes, TEXT, "auto", "how many workers; auto: as many as the cgroup has processors", NEEDED),
    USED(nginx_main_worker_processes, TEXT, NULL, "the same as nginx_worker_processes; wins when set"),
    USED(nginx_main_worker_rlimit_nofile, TEXT, "auto", "open files of a worker", NEEDED),
    USED(nginx_events_worker_connections, TEXT, "auto", "connections of a worker", NEEDED),
    USED(nginx_events_multi_accept, ONOFF, "on", "accept all waiting connections at once"),
    USED(nginx_http_charset, TEXT, "UTF-8", "charset added to text answers that name none"),
    USED(nginx_http_client_max_body_size, TEXT, "0", "largest body of a client's request; 0: no limit"),
    USED(nginx_http_client_body_buffer_size, TEXT, "8k", "what of a body is kept in memory"),
    USED(nginx_http_keepalive_requests, NUMBER, "10000", "requests on one client connection", BETWEEN(1, 1e9)),
    USED(nginx_admin_client_max_body_size, TEXT, "10m", "largest body of an Admin API call"),
    USED(nginx_admin_client_body_buffer_size, TEXT, "10m", "what of it is kept in memory"),

    /* TLS */
    USED(ssl_cipher_suite, ENUM, "intermediate", "modern, intermediate, old, fips or custom", ONE_OF(suites), NEEDED),
    USED(ssl_protocols, TEXT, "TLSv1.2 TLSv1.3", "with ssl_cipher_suite = custom"),
    USED(ssl_ciphers, TEXT, NULL, "with ssl_cipher_suite = custom"),
    USED(ssl_prefer_server_ciphers, ONOFF, "on", "off in the modern and intermediate suites"),
    USED(ssl_dhparam, TEXT, NULL, "file of Diffie-Hellman parameters"),
    USED(ssl_session_tickets, ONOFF, "on", "resume TLS sessions by ticket"),
    USED(ssl_session_timeout, TEXT, "1d", "how long a TLS session may be resumed"),
    USED(ssl_session_cache_size, TEXT, "10m", "cache of TLS sessions"),
    USED(ssl_cert, LIST, NULL, "certificates of the proxy: files, PEM or base64; unset: a self-signed one"),
    USED(ssl_cert_key, LIST, NULL, "their keys, as many", SECRET),
    USED(admin_ssl_cert, LIST, NULL, "certificates of the Admin API"),
    USED(admin_ssl_cert_key, LIST, NULL, "their keys", SECRET),
    USED(status_ssl_cert, LIST, NULL, "certificates of the status listener"),
    USED(status_ssl_cert_key, LIST, NULL, "their keys", SECRET),
    USED(lua_ssl_trusted_certificate, LIST, "system", "trust store for connections to upstreams"),
    USED(lua_ssl_verify_depth, NUMBER, "1",
         "depth of certificate chains towards Redis and the like; services have tls_verify_depth", BETWEEN(0, 100)),

    /* Headers, addresses, limits */
    USED(headers, LIST, "server_tokens, latency_tokens, X-Kong-Request-Id", "headers added to answers, or off"),
    USED(headers_upstream, LIST, "X-Kong-Request-Id", "headers added to upstream requests, or off"),
    USED(trusted_ips, LIST, NULL, "peers whose X-Forwarded-* and real-ip headers count: IP, CIDR, unix:"),
    USED(real_ip_header, TEXT, "X-Real-IP", "where trusted peers name the client", NEEDED),
    USED(real_ip_recursive, ONOFF, "off", "on: the last untrusted address of the list"),
    USED(error_default_type, ENUM, "text/plain", "type of error pages when nothing else decides", ONE_OF(error_types),
         NEEDED),
    USED(allow_debug_header, BOOLEAN, "off", "answer Kong-Debug: 1 with what was matched"),
    USED(upstream_keepalive_pool_size, NUMBER, "512", "idle connections kept for one upstream, per worker",
         BETWEEN(0, 1e6)),
    USED(upstream_keepalive_max_requests, NUMBER, "10000", "requests on one upstream connection; 0: no limit",
         BETWEEN(0, 1e12)),
    USED(upstream_keepalive_idle_timeout, NUMBER, "60", "seconds an upstream connection may idle; 0: for ever",
         BETWEEN(0, 1e9)),
    USED(router_flavor, ENUM, "traditional_compatible", "how routes are matched", ONE_OF(flavors), NEEDED),

    /* Datastore */
    USED(database, ENUM, "sqlite", "the source of truth: sqlite or postgres; off comes with a later version",
         ONE_OF(databases), NEEDED),
    USED(pg_host, TEXT, "127.0.0.1", "PostgreSQL: host"),
    USED(pg_port, NUMBER, "5432", "PostgreSQL: port", BETWEEN(1, 65535)),
    USED(pg_database, TEXT, "kong", "PostgreSQL: database"),
    USED(pg_user, TEXT, "kong", "PostgreSQL: user"),
    USED(pg_password, TEXT, NULL, "PostgreSQL: password", SECRET),
    USED(pg_schema, TEXT, NULL, "PostgreSQL: schema"),
    USED(pg_timeout, NUMBER, "5000", "PostgreSQL: milliseconds", BETWEEN(0, 1e9)),
    USED(pg_ssl, BOOLEAN, "off", "PostgreSQL: use TLS"),
    USED(pg_ssl_verify, BOOLEAN, "off", "PostgreSQL: verify its certificate"),
    USED(pg_ssl_cert, TEXT, NULL, "PostgreSQL: our certificate, a file"),
    USED(pg_ssl_cert_key, TEXT, NULL, "PostgreSQL: its key, a file", SECRET),
    USED(pg_ro_host, TEXT, NULL, "PostgreSQL: host of a standby for reading; unset settings of it are the primary's"),
    USED(pg_ro_port, NUMBER, NULL, "PostgreSQL: port of the standby", BETWEEN(1, 65535)),
    USED(pg_ro_database, TEXT, NULL, "PostgreSQL: database of the standby"),
    USED(pg_ro_user, TEXT, NULL, "PostgreSQL: user of the standby"),
    USED(pg_ro_password, TEXT, NULL, "PostgreSQL: password of the standby", SECRET),
    USED(pg_ro_schema, TEXT, NULL, "PostgreSQL: schema of the standby"),
    USED(pg_ro_timeout, NUMBER, NULL, "PostgreSQL: milliseconds, of the standby", BETWEEN(0, 1e9)),
    USED(pg_ro_ssl, BOOLEAN, "off", "PostgreSQL: use TLS to the standby"),
    USED(pg_ro_ssl_verify, BOOLEAN, "off", "PostgreSQL: verify the standby's certificate"),

    /* Names */
    USED(dns_resolver, LIST, NULL, "name servers, ip[:port]; unset: those of /etc/resolv.conf"),
    USED(dns_hostsfile, TEXT, "/etc/hosts", "hosts file", NEEDED),
    USED(dns_stale_ttl, NUMBER, "3600", "seconds an expired answer may be used while a new one is fetched",
         BETWEEN(0, 1e9)),
    USED(dns_not_found_ttl, NUMBER, "30", "seconds \"no such name\" is remembered", BETWEEN(0, 1e9)),
    USED(dns_error_ttl, NUMBER, "1", "seconds a failure is remembered", BETWEEN(0, 1e9)),

    /* Ours */
    OURS(sqlite_path, TEXT, "data/turnpike.db", "file of the embedded database, relative to the prefix", NEEDED),
    OURS(read_model_map_size, BYTES, "64g", "address space of the read model; the file grows by use only",
         BETWEEN(1 << 20, 1e14), NEEDED),
    OURS(quota_identities, NUMBER, "1048576", "counters for consumers and credentials; memory only when used",
         BETWEEN(1024, 1 << 28), NEEDED),
    OURS(quota_addresses, NUMBER, "262144", "counters for addresses, headers and paths", BETWEEN(1024, 1 << 28),
         NEEDED),
    OURS(rate_limiting_flat_windows, BOOLEAN, "off", "on: Kong's months of 30 and years of 365 days"),
    OURS(admin_serve_timeout, NUMBER, "1", "seconds an Admin API write waits until this node's workers serve it",
         BETWEEN(0, 3600), NEEDED),
    OURS(feed_poll_interval, NUMBER, "1", "seconds between looks at the change feed without being told",
         BETWEEN(0.01, 3600), NEEDED),
    OURS(counters_save_interval, NUMBER, "5", "seconds between saves of long quota windows", BETWEEN(0.1, 3600),
         NEEDED),
    OURS(dns_search, LIST, NULL,
         "domains that names with too few dots are looked for in; unset: those of /etc/resolv.conf"),
    OURS(dns_ndots, NUMBER, NULL, "dots that are enough; unset: as in /etc/resolv.conf", BETWEEN(0, 15)),
    OURS(drain_delay, NUMBER, "0", "seconds to go on serving after a stop was asked, for load balancers to notice",
         BETWEEN(0, 3600), NEEDED),
    OURS(drain_idle, NUMBER, "5",
         "seconds idle client connections stay open when stopping or reloading, for their next request to be answered",
         BETWEEN(0, 3600)),
    OURS(drain_timeout, NUMBER, "10", "seconds requests in flight may take when stopping; then they are cut",
         BETWEEN(0, 86400), NEEDED),
    OURS(nginx_binary, TEXT, "nginx", "the nginx program", NEEDED),
    OURS(nginx_module, TEXT, NULL, "our nginx module; unset: beside this program, or where Debian keeps modules"),

    /* Kong's, without effect here */
    ACCEPTED(lua_max_req_headers, NUMBER, "100", BETWEEN(1, 1000)),
    ACCEPTED(lua_max_resp_headers, NUMBER, "100", BETWEEN(1, 1000)),
    ACCEPTED(lua_max_uri_args, NUMBER, "100", BETWEEN(1, 1000)),
    ACCEPTED(lua_max_post_args, NUMBER, "100", BETWEEN(1, 1000)),
    ACCEPTED(nginx_daemon, ONOFF, "on"),
    ACCEPTED(nginx_main_daemon, ONOFF, NULL),
    ACCEPTED(nginx_conf, TEXT, NULL),
    ACCEPTED(nginx_http_lua_regex_match_limit, TEXT, NULL),
    ACCEPTED(nginx_http_lua_regex_cache_max_entries, TEXT, NULL),
    ACCEPTED(proxy_stream_access_log, TEXT, "logs/access.log basic"),
    ACCEPTED(proxy_stream_error_log, TEXT, "logs/error.log"),
    ACCEPTED(admin_gui_access_log, TEXT, "logs/admin_gui_access.log"),
    ACCEPTED(admin_gui_error_log, TEXT, "logs/admin_gui_error.log"),
    ACCEPTED(stream_listen, LIST, "off"),
    ACCEPTED(admin_gui_listen, LIST, "off"),
    ACCEPTED(cluster_listen, LIST, "0.0.0.0:8005"),
    ACCEPTED(admin_gui_url, LIST, NULL),
    ACCEPTED(admin_gui_path, TEXT, "/"),
    ACCEPTED(admin_gui_api_url, TEXT, NULL),
    ACCEPTED(admin_gui_ssl_cert, LIST, NULL),
    ACCEPTED(admin_gui_ssl_cert_key, LIST, NULL, SECRET),
    ACCEPTED(vaults, LIST, "bundled"),
    ACCEPTED(anonymous_reports, BOOLEAN, "off"),
    ACCEPTED(proxy_server, TEXT, NULL, SECRET),
    ACCEPTED(proxy_server_ssl_verify, BOOLEAN, "on"),
    ACCEPTED(request_debug, BOOLEAN, "on"),
    ACCEPTED(request_debug_token, TEXT, NULL, SECRET),
    ACCEPTED(untrusted_lua, ENUM, "sandbox", ONE_OF(sandboxes)),
    ACCEPTED(untrusted_lua_sandbox_requires, LIST, NULL),
    ACCEPTED(untrusted_lua_sandbox_environment, LIST, NULL),
    ACCEPTED(mem_cache_size, TEXT, "128m"),
    ACCEPTED(dedicated_config_processing, BOOLEAN, "on"),
    ACCEPTED(client_ssl, BOOLEAN, "off"),
    ACCEPTED(client_ssl_cert, TEXT, NULL),
    ACCEPTED(client_ssl_cert_key, TEXT, NULL, SECRET),
    ACCEPTED(lua_ssl_protocols, TEXT, "TLSv1.2 TLSv1.3"),
    ACCEPTED(lua_socket_pool_size, NUMBER, "256"),
    ACCEPTED(lua_package_path, TEXT, NULL),
    ACCEPTED(lua_package_cpath, TEXT, NULL),
    ACCEPTED(pg_max_concurrent_queries, NUMBER, "0"),
    ACCEPTED(pg_semaphore_timeout, NUMBER, "60000"),
    ACCEPTED(pg_keepalive_timeout, NUMBER, NULL),
    ACCEPTED(pg_pool_size, NUMBER, NULL),
    ACCEPTED(pg_backlog, NUMBER, NULL),
    ACCEPTED(pg_ssl_required, BOOLEAN, NULL),
    ACCEPTED(pg_ro_max_concurrent_queries, NUMBER, NULL),
    ACCEPTED(pg_ro_semaphore_timeout, NUMBER, NULL),
    ACCEPTED(pg_ro_keepalive_timeout, NUMBER, NULL),
    ACCEPTED(pg_ro_pool_size, NUMBER, NULL),
    ACCEPTED(pg_ro_backlog, NUMBER, NULL),
    ACCEPTED(declarative_config, TEXT, NULL),
    ACCEPTED(declarative_config_string, TEXT, NULL, SECRET),
    ACCEPTED(lmdb_environment_path, TEXT, "dbless.lmdb"),
    ACCEPTED(lmdb_map_size, TEXT, "2048m"),
    ACCEPTED(db_update_frequency, NUMBER, "5"),
    ACCEPTED(db_update_propagation, NUMBER, "0"),
    ACCEPTED(db_cache_ttl, NUMBER, "0"),
    ACCEPTED(db_cache_neg_ttl, NUMBER, NULL),
    ACCEPTED(db_resurrect_ttl, NUMBER, "30"),
    ACCEPTED(db_cache_warmup_entities, LIST, "services"),
    ACCEPTED(worker_consistency, ENUM, "eventual", ONE_OF(consistencies)),
    ACCEPTED(worker_state_update_frequency, NUMBER, "5", BETWEEN(1e-9, 1e9)),
    ACCEPTED(worker_events_max_payload, NUMBER, "65535"),
    ACCEPTED(dns_order, LIST, "LAST, SRV, A, CNAME"),
    ACCEPTED(dns_valid_ttl, NUMBER, NULL),
    ACCEPTED(dns_cache_size, NUMBER, "10000"),
    ACCEPTED(dns_no_sync, BOOLEAN, "off"),
    ACCEPTED(new_dns_client, BOOLEAN, "off"),
    ACCEPTED(resolver_address, LIST, NULL),
    ACCEPTED(resolver_hosts_file, TEXT, "/etc/hosts"),
    ACCEPTED(resolver_family, LIST, "A, SRV"),
    ACCEPTED(resolver_valid_ttl, NUMBER, NULL),
    ACCEPTED(resolver_stale_ttl, NUMBER, "3600"),
    ACCEPTED(resolver_error_ttl, NUMBER, "1"),
    ACCEPTED(resolver_lru_cache_size, NUMBER, "10000"),
    ACCEPTED(resolver_mem_cache_size, TEXT, "5m"),
    ACCEPTED(role, ENUM, "traditional", ONE_OF(roles)),
    ACCEPTED(cluster_control_plane, TEXT, "127.0.0.1:8005"),
    ACCEPTED(cluster_cert, TEXT, NULL),
    ACCEPTED(cluster_cert_key, TEXT, NULL, SECRET),
    ACCEPTED(cluster_mtls, ENUM, "shared", ONE_OF(mtls_modes)),
    ACCEPTED(cluster_ca_cert, TEXT, NULL),
    ACCEPTED(cluster_server_name, TEXT, NULL),
    ACCEPTED(cluster_ocsp, ENUM, "off", ONE_OF(ocsp_modes)),
    ACCEPTED(cluster_data_plane_purge_delay, NUMBER, "1209600", BETWEEN(60, 1e12)),
    ACCEPTED(cluster_max_payload, NUMBER, "16777216", BETWEEN(4194304, 1e12)),
    ACCEPTED(cluster_use_proxy, BOOLEAN, "off"),
    ACCEPTED(cluster_dp_labels, LIST, NULL),
    ACCEPTED(cluster_rpc, BOOLEAN, "off"),
    ACCEPTED(cluster_incremental_sync, BOOLEAN, "off"),
    ACCEPTED(tracing_instrumentations, LIST, "off"),
    ACCEPTED(tracing_sampling_rate, NUMBER, "0.01", BETWEEN(0, 1)),
    ACCEPTED(opentelemetry_tracing, LIST, NULL),
    ACCEPTED(opentelemetry_tracing_sampling_rate, NUMBER, NULL),
    ACCEPTED(wasm, BOOLEAN, "off"),
    ACCEPTED(wasm_filters_path, TEXT, NULL),
    ACCEPTED(wasm_filters, LIST, "bundled, user"),
    ACCEPTED(pluginserver_names, LIST, NULL),
};
const size_t tp_setting_count = sizeof(tp_setting_table) / sizeof(tp_setting_table[0]);

const char *const tp_directive_blocks[] = { "main",   "events", "http",   "upstream",  "proxy",  "location",
                                            "status", "admin",  "stream", "supstream", "sproxy", NULL };
