#include "support/engine_mem.h"
#include "support/plan_maker.h"
#include "support/test.h"
#include "turnpike/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* A plugin that renders one template into the header X-Out, twice in one scope. */
struct conf {
    const char *source;
    const struct tp_template *tpl;
};

static enum tp_verdict on_access(struct tp_request *req, const void *data)
{
    const struct conf *conf = data;
    struct tp_str out;

    if (tp_template_render(conf->tpl, req, &out))
        return TP_FAIL;
    tp_request_set_header(req, TP_STR("X-Out"), out.len ? out : TP_STR("(empty)"));
    return TP_NEXT;
}

static const struct tp_plugin probe = { .name = "probe", .priority = 1, .on_access = on_access };

struct rig {
    struct plan_maker *plan;
    struct engine_mem *engine;
    struct mem_request *last;
};

static struct rig rig_for(const char *path, const char *source)
{
    struct rig rig = { .plan = plan_maker_new() };
    struct conf *conf = tp_arena_new_type(rig.plan->arena, struct conf);
    struct tp_template *tpl = NULL;
    const struct tp_route *route;
    char message[200] = "";

    if (tp_template_compile(tp_str_from_cstr(source), rig.plan->arena, &tpl, message, sizeof(message)))
        test_fail(__FILE__, __LINE__, "%s: %s", source, message);
    conf->tpl = tpl;
    route = plan_maker_route(rig.plan, (struct route_words){ .name = "r", .paths = path,
                                         .service = plan_maker_service(rig.plan, "http://10.0.0.1:80") });
    plan_maker_plugin(rig.plan, &probe, conf, route, NULL);
    rig.engine = engine_mem_new(&rig.plan->plan, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    engine_mem_answer(rig.engine, (struct mem_answer){ .status = 200 });
    return rig;
}

static void drop(struct rig *rig)
{
    engine_mem_free(rig->engine);
    plan_maker_free(rig->plan);
}

/* The text that the upstream got; "500" when the request failed. */
static struct tp_str sent(struct rig *rig, const char *target, const char *headers)
{
    struct tp_str rest, line;

    rig->last = engine_mem_get(rig->engine, target, headers);
    engine_mem_turn(rig->engine);
    if (rig->last->status == 500)
        return TP_STR("500");
    rest = tp_buf_str(&rig->last->upstream);
    while (tp_str_next(&rest, '\n', &line))
        if (tp_str_starts_nocase(line, TP_STR("x-out: ")))
            return tp_str_head(tp_str_from(line, 7), line.len - 8);
    return TP_STR_NULL;
}

static void check(const char *source, const char *want)
{
    struct rig rig = rig_for("~/re/(?<id>[^/]+)", source);

    CHECK_STR(sent(&rig, "/re/42?a=1&b=x&b=y&flag", "Host: h.test\nX-One: one\nX-Two: a\nX-Two: b"), want);
    drop(&rig);
}

/* The same look-up through the short way and through the sandbox. */
static void check_both(const char *expression, const char *want)
{
    char source[200];

    snprintf(source, sizeof(source), "$(%s)", expression);
    check(source, want);
    snprintf(source, sizeof(source), "$((%s))", expression);
    check(source, want);
}

TEST(literal_text_stays)
{
    check("plain", "plain");
    check("cost $5 (net)", "cost $5 (net)");
    check("$$(x)!", "$!");
    check("$(unbalanced", "$(unbalanced");
    check("$('$(uri_captures.id)')", "$(uri_captures.id)");
}

TEST(variables_give_the_same_by_both_ways)
{
    check_both("uri_captures.id", "42");
    check_both("uri_captures[\"id\"]", "42");
    check_both("uri_captures[1]", "42");
    check_both("uri_captures[0]", "/re/42");
    check_both("uri_captures[7]", "(empty)");
    check_both("headers.x_one", "one");
    check_both("headers['X-ONE']", "one");
    check_both("headers.nope", "(empty)");
    check_both("headers.nope or \"dflt\"", "dflt");
    check_both("headers.x_two", "table: 0x000000000000");
    check_both("query_params.a", "1");
    check_both("query_params.b", "table: 0x000000000000");
    check_both("query_params.flag", "true");
    check_both("query_params.A or 'none'", "none");
    check_both("shared.x", "(empty)");
    check_both("headers.host", "h.test");
}

TEST(lua_expressions_work)
{
    check("pre $(headers.x_one) post", "pre one post");
    check("$(5)", "5");
    check("$(1 + 2 .. '!')", "3!");
    check("$(headers.x_one:sub(1,2))", "on");
    check("$(headers.x_two[2])", "b");
    check("$(query_params.b[1] .. query_params.a)", "x1");
    check("$(type(headers.x_two))", "table");
    check("$(nil)", "(empty)");
    check("$(false)", "(empty)");
    check("$(1 == 1)", "true");
    check("$()", "(empty)");
    check("$((function() local s = '' for i = 1, 3 do s = s .. i end return s end)())", "123");
}

TEST(string_methods_work)
{
    check("$(('a,b,c'):gsub(',', ';'))", "a;b;c");
    check("$(('Bearer tok-1'):match('^Bearer%s+(.+)$'))", "tok-1");
    check("$(('key=value'):find('=', 1, true))", "4");
    check("$(('x1y22'):gsub('%d+', '<%0>'))", "x<1>y<22>");
    check("$(('abc'):gsub('', '-'))", "-a-b-c-");
    check("$(('abc'):gsub('%w', '%0%0', 2))", "aabbc");
    check("$(('f(a(b)c)d'):match('%b()'))", "(a(b)c)");
    check("$(('THE (quick) fox'):find('%((%a+)%)'))", "5");
    check("$(('hello world'):gsub('%f[%w]%w+', function(w) return w:upper() end))", "HELLO WORLD");
    check("$(('  trim '):match('^%s*(.-)%s*$'))", "trim");
    check("$(('aXbXc'):match('(.*)X'))", "aXb");
    check("$(('[]]'):match('[]]+'))", "]]");
    check("$(('a-z'):gsub('[^%-]', '.'))", ".-.");
    check("$(('abcabc'):match('(abc)%1'))", "abc");
    check("$(('x'):rep(3):upper():reverse())", "XXX");
    check("$(('%5.1f|%s'):format(3.14159, 'k'))", "  3.1|k");
    check("$((function() local n = 0 for w in ('a b c'):gmatch('%a') do n = n + 1 end return n end)())", "3");
    check("$(('test123'):match('%a+()'))", "5");
}

TEST(failing_expressions_are_failures)
{
    check("$(query_params.nope .. '-x')", "500");
    check("$(ERROR())", "500");
    check("$(headers.x_two .. 'x')", "500");
    check("$(('x'):match('(x' .. (')'):sub(2)))", "500");
    check("$(('x'):match('%'))", "500");
    check("$(('x'):gsub('x', '%9'))", "500");
    check("$(('x'):rep(70000))", "500");
}

TEST(the_sandbox_has_nothing_dangerous)
{
    check("$(type(os))", "nil");
    check("$(type(io) .. type(require) .. type(load) .. type(loadstring) .. type(getmetatable))", "nilnilnilnilnil");
    check("$(type(pcall) .. type(rawset) .. type(setfenv) .. type(debug) .. type(ffi) .. type(jit))",
          "nilnilnilnilnilnil");
    check("$(type(_G) .. type(string) .. type(coroutine) .. type(collectgarbage))", "nilnilnilnil");
    check("$(('').dump == nil)", "true");
    check("$(('%p'):format('x'))", "500");
    check("$(('%s'):format(headers))", "500");
    check("$(headers)", "table: 0x000000000000");
    check("$(type)", "function: 0x000000000000");
    check("$((function() headers.x = 1 end)())", "500");
    check("$((function() leak = 1 end)())", "500");
    check("$((function() shared.x = 1 end)())", "500");
}

TEST(endless_work_ends)
{
    check("$((function() while true do end end)())", "500");
    check("$((function() local s = 'x' while true do s = s .. s end end)())", "500");
    check("$((function() local t = {} for i = 1, 1e9 do t[i] = i end end)())", "500");
    check("$(('x'):rep(1e9))", "500");
    check("$(('a'):rep(60000):match('.-.-.-.-b'))", "500");
    check("$((function() local function f() return f() .. 'x' end return f() end)())", "500");
    check("$(('a'):rep(500):match(('a?'):rep(500)))", "500");
}

TEST(the_state_is_usable_after_failures)
{
    struct rig rig = rig_for("/", "$((function() local n = query_params.n + 0 while n > 0 do n = n + 1 end "
                                  "return 'done' end)())");

    engine_mem_answer(rig.engine, (struct mem_answer){ .status = 200 });
    CHECK_STR(sent(&rig, "/?n=1", "Host: a"), "500");
    CHECK_STR(sent(&rig, "/?n=0", "Host: a"), "done");
    CHECK_STR(sent(&rig, "/?n=1", "Host: a"), "500");
    drop(&rig);
}

TEST(a_rendered_value_cannot_break_out_of_its_header)
{
    struct rig rig = rig_for("/", "$(query_params.v)");
    struct tp_str upstream;

    sent(&rig, "/?v=a%0d%0aX-Evil:%201%00b", "Host: a");
    upstream = tp_buf_str(&rig.last->upstream);
    CHECK(tp_str_find(upstream, TP_STR("\nX-Evil")) < 0);
    CHECK(memchr(upstream.data, '\0', upstream.len) == NULL);
    drop(&rig);
}

TEST(captures_without_a_group_are_empty)
{
    struct rig rig = rig_for("~/re", "$(uri_captures[0] or 'none')");

    CHECK_STR(sent(&rig, "/re", "Host: a"), "none");
    drop(&rig);
    rig = rig_for("/re", "$(uri_captures.id or 'none')");
    CHECK_STR(sent(&rig, "/re", "Host: a"), "none");
    drop(&rig);
}

TEST(broken_expressions_do_not_compile)
{
    char message[200] = "";

    CHECK(!tp_template_check(TP_STR("$(a b)"), message, sizeof(message)));
    CHECK(message[0] != '\0');
    CHECK(!tp_template_check(TP_STR("x $(headers.end) y"), message, sizeof(message)));
    CHECK(!tp_template_check(TP_STR("$(shared.x = 1)"), message, sizeof(message)));
    CHECK(!tp_template_check(TP_STR("$(\")\")"), message, sizeof(message)));
    CHECK(tp_template_check(TP_STR(""), message, sizeof(message)));
    CHECK(tp_template_check(TP_STR("$"), message, sizeof(message)));
    CHECK(tp_template_check(TP_STR("$(unbalanced"), message, sizeof(message)));
    CHECK(tp_template_check(TP_STR("$(headers[ 'x' ] or 'y' )"), message, sizeof(message)));
}

TEST(callbacks_inside_callbacks_fail_before_the_stack_ends)
{
    struct rig rig = rig_for("/",
                             "$((function() local function f() return (('x'):gsub('x', f)) end return f() end)())");

    CHECK_STR(sent(&rig, "/", "Host: a"), "500");
    CHECK(tp_str_find(tp_buf_str(&rig.engine->log), TP_STR("too many calls inside each other")) >= 0);
    drop(&rig);
}

TEST(slow_library_calls_are_bounded_by_the_clock)
{
    struct rig rig = rig_for("/", "$((function() local a = ('x'):rep(900000) "
                                  "for i = 1, 20000 do a:lower() end return a end)())");
    clock_t start = clock();

    CHECK_STR(sent(&rig, "/", "Host: a"), "500");
    CHECK(clock() - start < 3 * CLOCKS_PER_SEC);
    drop(&rig);
}

TEST(a_header_that_comes_thousands_of_times_costs_no_more_than_its_size)
{
    enum { TIMES = 6000 };
    struct rig rig = rig_for("/", "$(headers.n) $(#headers.n)");
    char *headers = malloc(TIMES * 4 + 16);
    struct rusage before, after;

    strcpy(headers, "Host: a");
    for (size_t i = 0; i < TIMES; i++)
        memcpy(headers + 7 + i * 4, "\nN:1", 5);
    getrusage(RUSAGE_SELF, &before);
    CHECK_STR(sent(&rig, "/", headers), "table: 0x000000000000 6000");
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 64 * 1024);
    free(headers);
    drop(&rig);
}
