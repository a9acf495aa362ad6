#include "plugins/registry.h"
#include "support/plugin_rig.h"
#include "support/test.h"

extern const struct tp_plugin tp_plugin_rate_limiting, tp_plugin_key_auth;

static struct plugin_rig *limited(const char *config)
{
    struct plugin_rig *rig = plugin_rig_new("/");

    plugin_rig_add(rig, &tp_plugin_rate_limiting, config);
    return rig;
}

TEST(the_limit_passes_and_the_next_call_is_refused)
{
    struct plugin_rig *rig = limited("{\"minute\":2}");
    struct mem_request *r = plugin_rig_get(rig, "/", NULL);

    CHECK_INT(r->status, 200);
    CHECK_STR(engine_mem_header(r, "X-RateLimit-Limit-Minute"), "2");
    CHECK_STR(engine_mem_header(r, "X-RateLimit-Remaining-Minute"), "1");
    CHECK_STR(engine_mem_header(r, "RateLimit-Limit"), "2");
    CHECK_STR(engine_mem_header(r, "RateLimit-Remaining"), "1");
    CHECK(engine_mem_header(r, "RateLimit-Reset").data != NULL);
    CHECK(engine_mem_header(r, "Retry-After").data == NULL);
    CHECK_INT(plugin_rig_get(rig, "/", NULL)->status, 200);
    r = plugin_rig_get(rig, "/", NULL);
    CHECK_INT(r->status, 429);
    CHECK(plugin_rig_says(r, "API rate limit exceeded"));
    CHECK_STR(engine_mem_header(r, "RateLimit-Remaining"), "0");
    CHECK_STR(engine_mem_header(r, "Retry-After"), engine_mem_header(r, "RateLimit-Reset"));
    engine_mem_advance(rig->engine, 60000);
    CHECK_INT(plugin_rig_get(rig, "/", NULL)->status, 200);
    plugin_rig_free(rig);
}

TEST(the_tightest_window_speaks_and_of_equal_ones_the_longest)
{
    struct plugin_rig *rig = limited("{\"second\":2,\"minute\":3,\"hour\":5}");
    struct mem_request *r;

    plugin_rig_get(rig, "/", NULL);
    plugin_rig_get(rig, "/", NULL);
    r = plugin_rig_get(rig, "/", NULL);
    CHECK_INT(r->status, 429);
    CHECK_STR(engine_mem_header(r, "RateLimit-Limit"), "2");
    CHECK_STR(engine_mem_header(r, "X-RateLimit-Remaining-Second"), "0");
    CHECK_STR(engine_mem_header(r, "X-RateLimit-Remaining-Minute"), "1");
    CHECK_STR(engine_mem_header(r, "X-RateLimit-Remaining-Hour"), "3");
    plugin_rig_free(rig);
    rig = limited("{\"second\":5,\"minute\":5}");
    r = plugin_rig_get(rig, "/", NULL);
    CHECK(tp_str_cmp(engine_mem_header(r, "RateLimit-Reset"), TP_STR("1")) != 0);
    plugin_rig_free(rig);
}

TEST(messages_codes_and_silence_are_configuration)
{
    struct plugin_rig *rig = limited(
        "{\"month\":1,\"error_code\":420,\"error_message\":\"calm down\",\"hide_client_headers\":true,"
        "\"calls_header\":\"X-Forecast-API-Calls\"}");
    struct mem_request *r = plugin_rig_get(rig, "/", NULL);

    CHECK_STR(engine_mem_header(r, "X-Forecast-API-Calls"), "1");
    CHECK(engine_mem_header(r, "RateLimit-Limit").data == NULL);
    r = plugin_rig_get(rig, "/", NULL);
    CHECK_INT(r->status, 420);
    CHECK(plugin_rig_says(r, "calm down"));
    CHECK_STR(engine_mem_header(r, "X-Forecast-API-Calls"), "1");
    CHECK(engine_mem_header(r, "Retry-After").data == NULL);
    plugin_rig_free(rig);
}

TEST(callers_are_told_apart)
{
    struct plugin_rig *rig = limited("{\"day\":1}");

    plugin_rig_add(rig, &tp_plugin_key_auth, "{\"anonymous\":\"amy\"}");
    CHECK_INT(plugin_rig_get(rig, "/", "Host: a\napikey: K1")->status, 200);
    CHECK_INT(plugin_rig_get(rig, "/", "Host: a\napikey: K1")->status, 429);
    CHECK_INT(plugin_rig_get(rig, "/", "Host: a\napikey: K2")->status, 200);
    CHECK_INT(plugin_rig_get(rig, "/", "Host: a")->status, 429); /* amy too */
    plugin_rig_free(rig);
}

TEST(a_header_cannot_use_up_somebodys_address)
{
    struct plugin_rig *rig = limited("{\"day\":1,\"limit_by\":\"header\",\"header_name\":\"X-U\"}");

    CHECK_INT(plugin_rig_get(rig, "/", "Host: a\nX-U: 127.0.0.1")->status, 200);
    CHECK_INT(plugin_rig_get(rig, "/", "Host: a")->status, 200);
    CHECK_INT(plugin_rig_get(rig, "/", "Host: a")->status, 429);
    CHECK_INT(plugin_rig_get(rig, "/", "Host: a\nX-U: u2")->status, 200);
    plugin_rig_free(rig);
}

TEST(a_path_is_counted_alone_and_others_by_address)
{
    struct plugin_rig *rig = limited("{\"day\":1,\"limit_by\":\"path\",\"path\":\"/a\"}");

    CHECK_INT(plugin_rig_get(rig, "/a", NULL)->status, 200);
    CHECK_INT(plugin_rig_get(rig, "/a", NULL)->status, 429);
    CHECK_INT(plugin_rig_get(rig, "/b", NULL)->status, 200);
    CHECK_INT(plugin_rig_get(rig, "/c", NULL)->status, 429);
    plugin_rig_free(rig);
}

/* --- Redis ------------------------------------------------------------------------------------- */

#define IN_REDIS "{\"minute\":3,\"policy\":\"redis\",\"redis\":{\"host\":\"127.0.0.1\",\"timeout\":200}"

TEST(redis_decides_after_the_script_was_sent_once)
{
    struct plugin_rig *rig = limited(IN_REDIS "}");
    struct mem_request *r = plugin_rig_get(rig, "/", NULL);
    struct tp_conn *c = rig->engine->conns[0];

    CHECK(!r->done);
    mem_conn_opened(c);
    CHECK(tp_str_find(tp_buf_str(&c->sent), TP_STR("EVALSHA")) >= 0);
    mem_conn_data(c, TP_STR("-NOSCRIPT No matching script\r\n"));
    engine_mem_turn(rig->engine);
    CHECK(tp_str_find(tp_buf_str(&c->sent), TP_STR("\r\nEVAL\r\n")) >= 0);
    mem_conn_data(c, TP_STR("*3\r\n:1800000000\r\n:0\r\n:1\r\n"));
    engine_mem_turn(rig->engine);
    CHECK_INT(r->status, 200);
    CHECK_STR(engine_mem_header(r, "RateLimit-Remaining"), "2");
    r = plugin_rig_get(rig, "/", NULL);
    mem_conn_data(c, TP_STR("*3\r\n:1800000000\r\n:1\r\n:3\r\n"));
    engine_mem_turn(rig->engine);
    CHECK_INT(r->status, 429);
    plugin_rig_free(rig);
}

TEST(without_redis_calls_are_counted_here)
{
    struct plugin_rig *rig = limited(IN_REDIS "}");
    struct mem_request *r = plugin_rig_get(rig, "/", NULL);

    mem_conn_lost(rig->engine->conns[0], TP_ERR_UNAVAILABLE);
    engine_mem_turn(rig->engine);
    CHECK_INT(r->status, 200);
    CHECK_STR(engine_mem_header(r, "RateLimit-Remaining"), "2");
    plugin_rig_free(rig);
}

TEST(without_redis_a_strict_row_fails)
{
    struct plugin_rig *rig = limited(IN_REDIS ",\"fault_tolerant\":false}");
    struct mem_request *r = plugin_rig_get(rig, "/", NULL);

    engine_mem_advance(rig->engine, 201);
    engine_mem_turn(rig->engine);
    CHECK_INT(r->status, 500);
    plugin_rig_free(rig);
}

TEST(nonsense_from_redis_is_a_failure_not_an_answer)
{
    struct plugin_rig *rig = limited(IN_REDIS ",\"fault_tolerant\":false}");
    struct mem_request *r = plugin_rig_get(rig, "/", NULL);

    mem_conn_opened(rig->engine->conns[0]);
    mem_conn_data(rig->engine->conns[0], TP_STR("*1\r\n:5\r\n"));
    engine_mem_turn(rig->engine);
    CHECK_INT(r->status, 500);
    r = plugin_rig_get(rig, "/", NULL);
    mem_conn_data(rig->engine->conns[0], TP_STR("*3\r\n:9223372036854775807\r\n:0\r\n:1\r\n")); /* the time */
    engine_mem_turn(rig->engine);
    CHECK_INT(r->status, 500);
    plugin_rig_free(rig);
}

TEST(a_client_that_leaves_while_redis_thinks_is_no_harm)
{
    struct plugin_rig *rig = limited(IN_REDIS "}");
    struct mem_request *r = plugin_rig_get(rig, "/", NULL);

    mem_conn_opened(rig->engine->conns[0]);
    engine_mem_leave(r);
    mem_conn_data(rig->engine->conns[0], TP_STR("*3\r\n:1800000000\r\n:0\r\n:1\r\n"));
    engine_mem_turn(rig->engine);
    plugin_rig_free(rig);
}
