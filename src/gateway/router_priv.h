/*
 * The router's inside. Compiled once: every route becomes one or more entries ("virtual routes"), sorted best
 * first; an entry's place in that order is its rank. Index structures (router_index.c) give the few ranks that
 * can match a request, in order; router_match.c then decides entry by entry.
 *
 *   router.c           compiling routes into entries, matching
 *   router_priority.c  the order of entries, by flavour
 *   router_host.c      host and SNI patterns
 *   router_regex.c     PCRE2 with limits
 *   router_match.c     does this entry match this request
 *   router_index.c     which entries are worth asking
 */
#ifndef TP_GATEWAY_ROUTER_PRIV_H
#define TP_GATEWAY_ROUTER_PRIV_H

#include "gateway/router.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct tp_diag;

/* --- Patterns ----------------------------------------------------------------------------------- */

struct tp_host_pattern {
    enum { TP_HOST_EXACT, TP_HOST_SUFFIX, TP_HOST_PREFIX } kind;
    struct tp_str text;    /* without '*' and port: "a.test", ".w.test", "right." */
    struct tp_str literal; /* as configured */
    uint16_t port;         /* 0: any */
};

struct tp_regex {
    pcre2_code *code;
    const struct tp_str *names; /* by group number; data NULL: unnamed */
    uint32_t group_count;       /* without the whole match */
};

struct tp_header_rule {
    struct tp_str name;
    const struct tp_str *values; /* lower case */
    size_t value_count;
    const struct tp_regex *const *regexes;
    size_t regex_count;
};

/* --- Entries ------------------------------------------------------------------------------------ */

/* Attributes that a route asks for; the bits of the traditional flavour. */
enum {
    TP_ASKS_SNI = 0x04,
    TP_ASKS_METHOD = 0x08,
    TP_ASKS_PATH = 0x10,
    TP_ASKS_HEADER = 0x20,
    TP_ASKS_HOST = 0x40,
};

struct tp_entry {
    const struct tp_route *route;
    size_t route_index;
    struct tp_uuid id; /* of the virtual route */
    unsigned asks;
    uint64_t priority; /* traditional_compatible */
    /* Prefixes, all of one length, or regexes; never both. */
    const struct tp_str *prefixes;
    size_t prefix_count;
    const struct tp_regex *const *regexes;
    const struct tp_str *regex_literals; /* what each regex must start with; may be empty */
    size_t regex_count;
    const struct tp_host_pattern *hosts;
    size_t host_count;
    const struct tp_host_pattern *snis;
    size_t sni_count;
    const struct tp_header_rule *headers;
    size_t header_count;
    const struct tp_str *methods;
    size_t method_count;
};

/* --- Index -------------------------------------------------------------------------------------- */

/* Ranks, ascending. */
struct tp_ranks {
    uint32_t *items;
    size_t count, capacity;
};

struct tp_prefix_slot {
    uint64_t hash;
    struct tp_str prefix; /* data NULL: empty slot */
    struct tp_ranks ranks;
};

struct tp_path_index {
    struct tp_prefix_slot *slots; /* open addressing, a power of two; NULL: none */
    size_t slot_count, used;
    size_t *lengths; /* of the prefixes, distinct, ascending */
    size_t length_count, length_capacity;
    struct tp_ranks others; /* entries that no prefix narrows */
};

struct tp_host_slot {
    uint64_t hash;
    struct tp_str text; /* data NULL: empty slot */
    struct tp_path_index paths;
};

struct tp_router {
    struct tp_arena *arena;
    enum tp_router_flavor flavor;
    struct tp_entry *entries; /* best first */
    size_t entry_count, entry_capacity;
    struct tp_path_index anywhere; /* entries without hosts */
    struct tp_host_slot *hosts;
    size_t host_slot_count, host_used;
    bool has_host_wildcards;
    /* Scratch of the matching thread. */
    pcre2_match_context *limits;
    pcre2_match_data *scratch;
    pcre2_jit_stack *jit_stack;
};

/* Sort the entries, best first. */
void tp_router_sort(struct tp_router *router);
/* The 64-bit priority of the default flavour, as Kong 3.9.1 really computes it (routing.md §5.3). */
uint64_t tp_entry_priority(const struct tp_entry *entry);

struct tp_host_pattern tp_host_pattern_parse(struct tp_str text);
struct tp_host_pattern tp_sni_pattern_parse(struct tp_str text);
bool tp_host_pattern_matches(const struct tp_host_pattern *pattern, const struct tp_router_input *input,
                             bool traditional);
bool tp_sni_pattern_matches(const struct tp_host_pattern *pattern, struct tp_str sni);

/* What a regex must match at least at its start, in plain letters. */
struct tp_str tp_regex_literal(struct tp_arena *arena, struct tp_str pattern);

enum tp_regex_result { TP_REGEX_NO, TP_REGEX_YES, TP_REGEX_EXHAUSTED };
/* NULL with a message when the pattern is wrong. Lives in router->arena. */
const struct tp_regex *tp_regex_compile(struct tp_router *router, struct tp_str pattern, uint32_t options,
                                        char *message, size_t size);
/* On YES the offsets are in router->scratch. */
enum tp_regex_result tp_regex_match(const struct tp_router *router, const struct tp_regex *regex, struct tp_str text,
                                    bool valid_utf8);

/* On true, `match` tells path and captures (not the route). */
bool tp_entry_matches(const struct tp_router *router, const struct tp_entry *entry, const struct tp_router_input *input,
                      struct tp_arena *arena, struct tp_match *match);

void tp_router_index(struct tp_router *router);
/* The best entry that matches, or NULL. */
const struct tp_entry *tp_router_search(const struct tp_router *router, const struct tp_router_input *input,
                                        struct tp_arena *arena, struct tp_match *match);

#endif
