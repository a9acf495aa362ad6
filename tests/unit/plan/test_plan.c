/* The compiled plan's data, the set of plugins, and the cache of consumers' configurations. */
#include "base/diag.h"
#include "plan/plan.h"
#include "support/temp_dir.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define MAP (1ull << 30)
#define S1 "11111111-0000-4000-8000-000000000001"
#define S2 "11111111-0000-4000-8000-000000000002"
#define R1 "22222222-0000-4000-8000-000000000001"
#define R2 "22222222-0000-4000-8000-000000000002"
#define P1 "33333333-0000-4000-8000-000000000001"
#define P2 "33333333-0000-4000-8000-000000000002"

struct limit_conf {
    int64_t limit;
    int64_t doubled; /* derived */
};

static const struct tp_field limit_fields[] = {
    TP_FIELD(struct limit_conf, limit, INTEGER, .def = "1"),
    { 0 },
};

static int configured;

static enum tp_err configure_limit(void *conf, struct tp_arena *arena, struct tp_diag *diag)
{
    struct limit_conf *c = conf;

    (void)arena;
    configured++;
    if (c->limit > 1000) {
        tp_diag_add(diag, "config.limit", "is too much");
        return TP_ERR_INVALID;
    }
    c->doubled = c->limit * 2;
    return TP_OK;
}

static const struct tp_plugin limit_plugin = {
    .name = "limit",
    .priority = 900,
    .conf_size = sizeof(struct limit_conf),
    .fields = limit_fields,
    .on_configure = configure_limit,
};
static const struct tp_plugin other_plugin = { .name = "other-thing", .priority = 800 };
static const struct tp_plugin *const bundled[] = { &limit_plugin, &other_plugin };
static const struct tp_registry registry = { bundled, 2 };

static char dir[TEMP_DIR_SIZE];
static struct tp_read_model *rm;
static struct tp_plugin_set *set;
static uint64_t position;

static void set_up(void)
{
    static const struct tp_uuid database = { { 1 } };
    struct tp_read_model_builder *b;

    temp_dir_make(dir, "plan");
    position = 1;
    configured = 0;
    CHECK_INT(tp_read_model_build_begin(&b, dir, MAP, &database, position, NULL), TP_OK);
    CHECK_INT(tp_read_model_build_end(b, NULL), TP_OK);
    CHECK_INT(tp_read_model_open(&rm, dir, MAP, NULL), TP_OK);
    CHECK_INT(tp_plugin_set_new(&set, &registry, TP_STR("bundled, limit_950"), NULL), TP_OK);
}

static void tear_down(void)
{
    tp_plugin_set_free(set);
    tp_read_model_close(rm);
    temp_dir_remove(dir);
}

static void put(const char *entity, const char *json)
{
    json_t *value = json_loads(json, 0, NULL);
    struct tp_change change = { .entity = entity, .value = value };

    TP_ASSERT(value && tp_uuid_parse(tp_str_from_cstr(json_string_value(json_object_get(value, "id"))), &change.id));
    CHECK_INT(tp_read_model_apply(rm, &change, 1, ++position, NULL, NULL), TP_OK);
    json_decref(value);
}

/* Builds a plan; *findings (may be NULL) counts what was left out. */
static struct tp_plan *build(const struct tp_plan *previous, size_t *findings)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_plan *plan = NULL;
    struct tp_view *view;

    CHECK_INT(tp_view_begin(rm, &view), TP_OK);
    CHECK_INT(tp_plan_build(&plan, view, set, previous, diag), TP_OK);
    tp_view_end(view);
    if (findings)
        *findings = tp_diag_count(diag);
    else if (tp_diag_count(diag))
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    tp_diag_free(diag);
    return plan;
}

#define SERVICE(id, host, enabled)                                                                                     \
    "{\"id\":\"" id "\",\"name\":\"n\",\"protocol\":\"http\",\"host\":\"" host "\",\"port\":8080,\"path\":null,"       \
    "\"retries\":null,\"connect_timeout\":1,\"write_timeout\":2,\"read_timeout\":3,\"enabled\":" enabled               \
    ",\"tls_verify\":false,\"ca_certificates\":null}"
#define ROUTE(id, service, path)                                                                                       \
    "{\"id\":\"" id "\",\"protocols\":[\"http\"],\"paths\":[\"" path "\"],\"methods\":null,\"headers\":"               \
    "{\"x-a\":[\"1\",\"2\"]},\"sources\":[{\"ip\":\"10.0.0.0/8\",\"port\":null}],\"strip_path\":false,"                \
    "\"path_handling\":\"v1\",\"regex_priority\":7,\"created_at\":99,\"service\":" service "}"
#define LIMIT(id, name, limit, more)                                                                                   \
    "{\"id\":\"" id "\",\"name\":\"" name "\",\"service\":null,\"route\":{\"id\":\"" R1 "\"},\"consumer\":null,"       \
    "\"config\":{\"limit\":" limit "}" more "}"
#define TO(id) "{\"id\":\"" id "\"}"

TEST(rows_become_structs)
{
    const struct tp_service *s;
    const struct tp_route *r;
    struct tp_plan *plan;

    set_up();
    put("services", SERVICE(S1, "a.test", "true"));
    put("routes", ROUTE(R1, TO(S1), "/a"));
    plan = build(NULL, NULL);
    CHECK_INT(plan->position, position);
    CHECK_INT(plan->service_count, 1);
    CHECK_INT(plan->route_count, 1);
    s = plan->services[0];
    CHECK_STR(s->host, "a.test");
    CHECK_INT(s->port, 8080);
    CHECK_INT(s->retries, TP_INT_NULL);
    CHECK(s->path.data == NULL);
    CHECK(s->tls_verify == TP_FALSE && s->enabled);
    CHECK(tp_str_starts(s->json, TP_STR("{\"id\":\"" S1)));
    r = plan->routes[0];
    CHECK(r->service == s);
    CHECK_STR(r->id_text, R1);
    CHECK_STR(*TP_LIST_AT(r->paths, struct tp_str, 0), "/a");
    CHECK_INT(r->methods.count, 0);
    CHECK_INT(TP_LIST_AT(r->headers, struct tp_route_header, 0)->values.count, 2);
    CHECK_STR(TP_LIST_AT(r->sources, struct tp_route_ip, 0)->ip, "10.0.0.0/8");
    CHECK_INT(TP_LIST_AT(r->sources, struct tp_route_ip, 0)->port, TP_INT_NULL);
    CHECK(!r->strip_path && r->path_handling_v1 && r->request_buffering && !r->preserve_host);
    CHECK_INT(r->regex_priority, 7);
    CHECK_INT(r->https_redirect_status_code, 426);
    tp_plan_unref(plan);
    tear_down();
}

TEST(unchanged_rows_are_reused_and_outlive_the_plan_they_came_from)
{
    struct tp_plan *first, *second;
    const struct tp_service *s1, *s2;
    const struct tp_route *r1, *r2;

    set_up();
    put("services", SERVICE(S1, "a.test", "true"));
    put("services", SERVICE(S2, "b.test", "true"));
    put("routes", ROUTE(R1, TO(S1), "/a"));
    put("routes", ROUTE(R2, TO(S2), "/b"));
    put("plugins", LIMIT(P1, "limit", "3", ""));
    first = build(NULL, NULL);
    s1 = first->services[0];
    s2 = first->services[1];
    r1 = first->routes[0];
    r2 = first->routes[1];
    put("services", SERVICE(S1, "changed.test", "true"));
    second = build(first, NULL);
    CHECK(second->services[0] != s1);
    CHECK(second->services[1] == s2);
    CHECK(second->routes[0] != r1); /* its service is another object now */
    CHECK(second->routes[0]->service == second->services[0]);
    CHECK(second->routes[1] == r2);
    CHECK(second->plugins[0] == first->plugins[0]);
    CHECK_INT(configured, 1);
    CHECK_STR(r1->service->host, "a.test"); /* requests of the old plan see what they saw */
    tp_plan_unref(first);
    CHECK_STR(second->routes[1]->service->host, "b.test");
    CHECK_STR(second->plugins[0]->name, "limit");
    tp_plan_unref(tp_plan_ref(second));
    tp_plan_unref(second);
    tear_down();
}

TEST(routes_of_disabled_services_are_left_out)
{
    struct tp_plan *first, *second;

    set_up();
    put("services", SERVICE(S1, "a.test", "false"));
    put("routes", ROUTE(R1, TO(S1), "/a"));
    put("routes", ROUTE(R2, "null", "/none"));
    first = build(NULL, NULL);
    CHECK_INT(first->service_count, 1);
    CHECK_INT(first->route_count, 1);
    CHECK(first->routes[0]->service == NULL);
    put("services", SERVICE(S1, "a.test", "true"));
    second = build(first, NULL);
    CHECK_INT(second->route_count, 2);
    tp_plan_unref(first);
    tp_plan_unref(second);
    tear_down();
}

TEST(plugins_are_decoded_configured_and_cloned)
{
    struct tp_plan *plan;
    const struct tp_plugin_row *row;

    set_up();
    put("plugins", LIMIT(P1, "limit", "3", ",\"ordering\":{\"before\":{\"access\":[\"key-auth\"]}}"));
    put("plugins", LIMIT(P2, "limit_950", "4", ",\"ordering\":null"));
    plan = build(NULL, NULL);
    CHECK_INT(plan->plugin_count, 2);
    row = plan->plugins[0];
    CHECK(row->plugin == &limit_plugin && row->priority == 900);
    CHECK_INT(((const struct limit_conf *)row->conf)->limit, 3);
    CHECK_INT(((const struct limit_conf *)row->conf)->doubled, 6);
    CHECK_STR(*TP_LIST_AT(row->ordering.before_access, struct tp_str, 0), "key-auth");
    CHECK_INT(row->ordering.after_access.count, 0);
    CHECK(tp_uuid_is_nil(&row->service) && !tp_uuid_is_nil(&row->route));
    row = plan->plugins[1];
    CHECK(row->plugin == &limit_plugin && row->priority == 950);
    CHECK_STR(row->name, "limit_950");
    tp_plan_unref(plan);
    tear_down();
}

TEST(what_cannot_be_used_is_named_and_the_rest_is_served)
{
    struct tp_plan *plan;
    size_t findings;

    set_up();
    put("services", SERVICE(S1, "a.test", "true"));
    put("services", "{\"id\":\"" S2 "\",\"protocol\":\"http\",\"host\":7}");
    put("routes", ROUTE(R1, TO(S1), "/a"));
    put("routes", ROUTE(R2, TO(S2), "/b"));
    put("plugins", LIMIT(P1, "limit", "5000", ""));
    put("plugins", LIMIT(P2, "unheard-of", "1", ""));
    plan = build(NULL, &findings);
    CHECK_INT(findings, 4);
    CHECK_INT(plan->service_count, 1);
    CHECK_INT(plan->route_count, 1);
    CHECK_INT(plan->plugin_count, 2); /* refusing in their place: what they guard must not be open */
    CHECK(plan->plugins[0]->plugin == &tp_plugin_unusable && plan->plugins[0]->priority == 900);
    CHECK(plan->plugins[1]->plugin == &tp_plugin_unusable && plan->plugins[1]->priority == TP_UNUSABLE_PRIORITY);
    tp_plan_unref(plan);
    tear_down();
}

TEST(disabled_plugins_are_not_even_configured)
{
    struct tp_plan *plan;

    set_up();
    put("plugins", LIMIT(P1, "limit", "5000", ",\"enabled\":false"));
    plan = build(NULL, NULL);
    CHECK_INT(plan->plugin_count, 0);
    CHECK_INT(configured, 0);
    tp_plan_unref(plan);
    tear_down();
}

/* --- The set of plugins ------------------------------------------------------------------------ */

static size_t count_of(const char *setting)
{
    const struct tp_enabled_plugin *list;
    struct tp_plugin_set *s = NULL;
    size_t n;

    CHECK_INT(tp_plugin_set_new(&s, &registry, tp_str_from_cstr(setting), NULL), TP_OK);
    n = tp_plugin_set_list(s, &list);
    tp_plugin_set_free(s);
    return n;
}

TEST(the_setting_names_plugins)
{
    CHECK_INT(count_of("bundled"), 2);
    CHECK_INT(count_of("bundled,limit,limit"), 2);
    CHECK_INT(count_of(" bundled , limit_1251 , other-thing_-5"), 4);
    CHECK_INT(count_of("other-thing"), 1);
    CHECK_INT(count_of("off"), 0);
    CHECK_INT(count_of(""), 0);
}

TEST(unknown_plugins_are_all_named)
{
    struct tp_diag *diag = tp_diag_new();
    struct tp_plugin_set *s = NULL;

    CHECK_INT(tp_plugin_set_new(&s, &registry, TP_STR("limmit,bundled,limit_x,nope_5,limit_99999999999"), diag),
              TP_ERR_INVALID);
    CHECK(s == NULL);
    CHECK_INT(tp_diag_count(diag), 4);
    CHECK(strstr(tp_diag_message(diag, 0), "limmit") && strstr(tp_diag_message(diag, 0), "limit, other-thing"));
    tp_diag_free(diag);
}

/* --- The cache --------------------------------------------------------------------------------- */

static struct tp_consumer_plugin row_of(uint64_t revision, const char *config)
{
    return (struct tp_consumer_plugin){ .revision = revision, .config = tp_str_from_cstr(config) };
}

static int64_t limit_from(struct tp_conf_cache *cache, uint64_t revision, const char *config)
{
    struct tp_consumer_plugin row = row_of(revision, config);
    struct tp_conf *conf;
    int64_t limit = -1;

    if (tp_conf_cache_get(cache, &limit_plugin, &row, &conf) == TP_OK) {
        limit = ((const struct limit_conf *)tp_conf_data(conf))->limit;
        tp_conf_unref(conf);
    }
    return limit;
}

TEST(equal_configurations_are_decoded_once)
{
    struct tp_conf_cache *cache = tp_conf_cache_new(10);

    configured = 0;
    CHECK_INT(limit_from(cache, 1, "{\"limit\":5}"), 5);
    CHECK_INT(limit_from(cache, 1, "{\"limit\":5}"), 5);
    CHECK_INT(configured, 1);
    CHECK_INT(limit_from(cache, 2, "{\"limit\":6}"), 6);
    CHECK_INT(configured, 2);
    tp_conf_cache_free(cache);
}

TEST(configurations_whose_hashes_collide_are_told_apart)
{
    struct tp_conf_cache *cache = tp_conf_cache_new(10);

    CHECK_INT(limit_from(cache, 1, "{\"limit\":5}"), 5);
    CHECK_INT(limit_from(cache, 1, "{\"limit\":6}"), 6);
    CHECK_INT(limit_from(cache, 1, "{\"limit\":5}"), 5);
    tp_conf_cache_free(cache);
}

TEST(the_cache_is_bounded_and_drops_the_least_used)
{
    struct tp_conf_cache *cache = tp_conf_cache_new(3);

    configured = 0;
    for (uint8_t revision = 1; revision <= 3; revision++)
        limit_from(cache, revision, "{\"limit\":1}");
    limit_from(cache, 1, "{\"limit\":1}"); /* used again: 2 is the oldest */
    limit_from(cache, 4, "{\"limit\":1}");
    CHECK_INT(configured, 4);
    limit_from(cache, 1, "{\"limit\":1}");
    limit_from(cache, 3, "{\"limit\":1}");
    CHECK_INT(configured, 4);
    limit_from(cache, 2, "{\"limit\":1}");
    CHECK_INT(configured, 5);
    tp_conf_cache_free(cache);
}

TEST(a_held_configuration_outlives_the_cache)
{
    struct tp_conf_cache *cache = tp_conf_cache_new(1);
    struct tp_consumer_plugin row = row_of(1, "{\"limit\":9}");
    struct tp_conf *conf;

    CHECK_INT(tp_conf_cache_get(cache, &limit_plugin, &row, &conf), TP_OK);
    limit_from(cache, 2, "{\"limit\":1}");
    tp_conf_cache_free(cache);
    CHECK_INT(((const struct limit_conf *)tp_conf_data(conf))->limit, 9);
    tp_conf_unref(conf);
}

TEST(a_bad_configuration_is_refused_each_time_and_decoded_once)
{
    struct tp_conf_cache *cache = tp_conf_cache_new(10);

    configured = 0;
    CHECK_INT(limit_from(cache, 1, "{\"limit\":5000}"), -1);
    CHECK_INT(limit_from(cache, 1, "{\"limit\":5000}"), -1);
    CHECK_INT(configured, 1);
    CHECK_INT(limit_from(cache, 2, "not json"), -1);
    tp_conf_cache_free(cache);
}
