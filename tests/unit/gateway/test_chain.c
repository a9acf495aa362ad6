/* Which plugin configurations run and in which order: scopes, ordering, clones, consumers' own rows. */
#include "gateway/chain.h"
#include "gateway/program.h"
#include "support/engine_mem.h"
#include "support/plan_maker.h"
#include "support/test.h"

static struct plan_maker *maker;
static struct tp_service *service;
static struct tp_route *route, *other;
static struct tp_buf trace;

static enum tp_verdict on_access(struct tp_request *req, const void *conf)
{
    (void)req;
    tp_buf_addf(&trace, "%s ", (const char *)conf);
    return TP_NEXT;
}

static const struct tp_plugin high = { .name = "high", .priority = 900, .on_access = on_access };
static const struct tp_plugin middle_a = { .name = "middle-a", .priority = 500, .on_access = on_access };
static const struct tp_plugin middle_b = { .name = "middle-b", .priority = 500, .on_access = on_access };
static const struct tp_plugin low = { .name = "low", .priority = 100, .on_access = on_access };

static void begin(void)
{
    maker = plan_maker_new();
    service = plan_maker_service(maker, "http://127.0.0.1:80");
    route = plan_maker_route(maker, (struct route_words){ .paths = "/r", .service = service });
    other = plan_maker_route(maker, (struct route_words){ .paths = "/other" });
    tp_buf_init(&trace, 0);
}

static struct tp_plugin_row *row(const struct tp_plugin *plugin, const char *conf, const struct tp_route *r,
                                 const struct tp_service *s)
{
    return plan_maker_plugin(maker, plugin, conf, r, s);
}

/* The configurations that a GET runs, in order. */
static struct tp_str run(const char *target)
{
    struct engine_mem *engine = engine_mem_new(&maker->plan, TP_ROUTER_TRADITIONAL_COMPATIBLE);

    tp_buf_reset(&trace);
    engine_mem_get(engine, target, NULL);
    engine_mem_free(engine);
    return tp_buf_str(&trace);
}

static void end(void)
{
    tp_buf_fini(&trace);
    plan_maker_free(maker);
}

TEST(the_most_specific_scope_wins_and_a_missing_one_lets_the_next_run)
{
    begin();
    row(&high, "global", NULL, NULL);
    CHECK_STR(run("/r"), "global ");
    row(&high, "service", NULL, service);
    CHECK_STR(run("/r"), "service ");
    row(&high, "route", route, NULL);
    CHECK_STR(run("/r"), "route ");
    row(&high, "both", route, service);
    CHECK_STR(run("/r"), "both ");
    CHECK_STR(run("/other"), "global ");
    end();
}

TEST(ranks_are_those_of_kong)
{
    CHECK_INT(tp_scope_rank(true, true, true), 1);
    CHECK_INT(tp_scope_rank(true, false, true), 2);
    CHECK_INT(tp_scope_rank(false, true, true), 3);
    CHECK_INT(tp_scope_rank(true, true, false), 4);
    CHECK_INT(tp_scope_rank(false, false, true), 5);
    CHECK_INT(tp_scope_rank(true, false, false), 6);
    CHECK_INT(tp_scope_rank(false, true, false), 7);
    CHECK_INT(tp_scope_rank(false, false, false), 8);
}

TEST(priority_then_name_descending)
{
    begin();
    row(&low, "low", NULL, NULL);
    row(&middle_a, "a", NULL, NULL);
    row(&middle_b, "b", NULL, NULL);
    row(&high, "high", NULL, NULL);
    CHECK_STR(run("/r"), "high b a low ");
    end();
}

TEST(a_clone_runs_beside_its_original_at_its_own_priority)
{
    struct tp_plugin_row *clone;

    begin();
    row(&low, "original", route, NULL);
    clone = row(&low, "clone", route, NULL);
    clone->name = TP_STR("low_901");
    clone->priority = 901;
    row(&high, "high", NULL, NULL);
    CHECK_STR(run("/r"), "clone high original ");
    end();
}

TEST(ordering_moves_one_instance)
{
    struct tp_plugin_row *moved;

    begin();
    row(&high, "high", NULL, NULL);
    row(&middle_a, "a", NULL, NULL);
    moved = row(&low, "low", NULL, NULL);
    moved->ordering.before_access = plan_maker_words(maker, "high");
    CHECK_STR(run("/r"), "low high a ");
    moved->ordering.before_access = plan_maker_words(maker, "absent middle-a");
    CHECK_STR(run("/r"), "high low a ");
    moved->ordering = (struct tp_ordering){ 0 };
    ((struct tp_plugin_row *)maker->plan.plugins[0])->ordering.after_access = plan_maker_words(maker, "middle-a low");
    CHECK_STR(run("/r"), "a low high ");
    end();
}

TEST(orderings_that_contradict_each_other_still_run_everything)
{
    begin();
    row(&high, "high", NULL, NULL)->ordering.after_access = plan_maker_words(maker, "low");
    row(&low, "low", NULL, NULL)->ordering.after_access = plan_maker_words(maker, "high");
    CHECK_INT(run("/r").len, strlen("high low "));
    end();
}

TEST(routes_without_rows_of_their_own_share_a_chain)
{
    struct tp_arena *arena = tp_arena_new();
    struct tp_chain_rows *rows;
    struct tp_route *more;

    begin();
    more = plan_maker_route(maker, (struct route_words){ .paths = "/more", .service = service });
    row(&low, "low", NULL, NULL);
    row(&high, "high", other, NULL);
    rows = tp_chain_rows_new(arena, &maker->plan);
    CHECK(tp_chain_build(arena, rows, route, service) == tp_chain_build(arena, rows, more, service));
    CHECK(tp_chain_build(arena, rows, route, service) != tp_chain_build(arena, rows, other, NULL));
    CHECK_INT(tp_chain_build(arena, rows, other, NULL)->count, 2);
    end();
    tp_arena_free(arena);
}

/* --- Rows of the caller ------------------------------------------------------------------------- */

struct word_conf {
    struct tp_str word;
};
static const struct tp_field word_fields[] = { TP_FIELD(struct word_conf, word, STRING), { 0 } };

static const struct tp_plugin early = {
    .name = "early", .priority = 900, .conf_size = sizeof(struct word_conf), .fields = word_fields
};
static const struct tp_plugin late = {
    .name = "late", .priority = 100, .conf_size = sizeof(struct word_conf), .fields = word_fields
};
static const struct tp_plugin added = {
    .name = "added", .priority = 50, .conf_size = sizeof(struct word_conf), .fields = word_fields
};
static const struct tp_plugin *const all[] = { &added, &early, &late };
static const struct tp_registry registry = { all, 3 };

static struct tp_consumer_plugin own(const char *name, const char *json, const struct tp_route *r,
                                     const struct tp_service *s)
{
    struct tp_consumer_plugin p = {
        .id = tp_uuid_random(), .name = tp_str_from_cstr(name), .revision = 1, .config = tp_str_from_cstr(json)
    };

    if (r)
        p.route = r->id;
    if (s)
        p.service = s->id;
    return p;
}

static struct tp_str word_of(const struct tp_chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (tp_str_eq(chain->slots[i].name, tp_str_from_cstr(name)))
            return ((const struct word_conf *)chain->slots[i].conf)->word;
    }
    return TP_STR_NULL;
}

TEST(a_callers_rows_are_chosen_for_plugins_that_are_still_to_run)
{
    static const struct word_conf early_conf = { { "static-early", 12 } }, late_conf = { { "static-late", 11 } };
    struct tp_consumer_plugin rows[6];
    struct engine_mem *engine;
    struct mem_request *r;
    const struct tp_chain *base, *chain;

    begin();
    row(&early, (const char *)&early_conf, NULL, NULL);
    row(&late, (const char *)&late_conf, route, NULL);
    engine = engine_mem_new(&maker->plan, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    CHECK(tp_plugin_set_new(&engine->gateway.plugins, &registry, TP_STR("bundled"), NULL) == TP_OK);
    engine->gateway.conf_cache = tp_conf_cache_new(16);
    engine_mem_answer(engine, (struct mem_answer){ .status = 200, .late = true });
    r = engine_mem_get(engine, "/r", NULL); /* held while the upstream is asked */
    base = engine->gateway.program->routes[0].chain;

    rows[0] = own("early", "{\"word\":\"own-early\"}", NULL, NULL);     /* has run: too late */
    rows[1] = own("late", "{\"word\":\"own-any\"}", NULL, NULL);        /* rank 5 */
    rows[2] = own("late", "{\"word\":\"own-service\"}", NULL, service); /* rank 3 */
    rows[3] = own("late", "{\"word\":\"own-other\"}", other, NULL);     /* another route */
    rows[4] = own("added", "{\"word\":\"own-added\"}", NULL, NULL);
    chain = tp_chain_specialise(r->req, base, base, 1, rows, 5);
    CHECK_INT(chain->count, 3);
    CHECK_STR(word_of(chain, "early"), "static-early");
    CHECK_STR(word_of(chain, "late"), "own-service");
    CHECK_STR(word_of(chain, "added"), "own-added");
    CHECK_STR(chain->slots[chain->access[0]].name, "early");
    CHECK_STR(chain->slots[chain->access[2]].name, "added");

    rows[4].ordering = TP_STR("{\"before\":{\"access\":[\"late\"]}}");
    chain = tp_chain_specialise(r->req, base, base, 1, rows, 5);
    CHECK_STR(chain->slots[chain->access[1]].name, "added");
    rows[4].config = TP_STR("not json");
    rows[4].revision++;
    rows[5] = own("unknown", "{}", NULL, NULL);
    chain = tp_chain_specialise(r->req, base, base, 1, rows, 6);
    CHECK_INT(chain->count, 4); /* what cannot be used refuses the call, and is told */
    CHECK(chain->slots[chain->access[1]].plugin == &tp_plugin_unusable);
    CHECK(chain->slots[chain->access[3]].plugin == &tp_plugin_unusable);
    CHECK(engine->log.len > 0);
    chain = tp_chain_specialise(r->req, base, chain, 1, NULL, 0); /* another caller: back to the static rows */
    CHECK_STR(word_of(chain, "late"), "static-late");

    engine_mem_leave(r);
    tp_conf_cache_free(engine->gateway.conf_cache);
    tp_plugin_set_free(engine->gateway.plugins);
    engine_mem_free(engine);
    end();
}
