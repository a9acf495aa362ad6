/* A gateway with plugins in memory: plugin_rig.h. */
#include "support/plugin_rig.h"

#include "base/mem.h"
#include "model/fields.h"
#include "support/test.h"

#include <stdio.h>
#include <unistd.h>

struct plugin_rig *plugin_rig_new(const char *path)
{
    struct plugin_rig *rig = tp_new(struct plugin_rig);

    rig->plan = plan_maker_new();
    rig->service = plan_maker_service(rig->plan, "http://10.0.0.1:80");
    rig->route = plan_maker_route(rig->plan,
                                  (struct route_words){ .name = "r", .paths = path, .service = rig->service });
    temp_dir_make(rig->dir, "rig");
    return rig;
}

void plugin_rig_free(struct plugin_rig *rig)
{
    if (rig->engine) {
        struct tp_read_model *rm = rig->engine->gateway.read_model;
        struct tp_counters *counters = rig->engine->gateway.counters;

        engine_mem_free(rig->engine);
        tp_read_model_close(rm);
        tp_counters_free(counters);
        tp_shm_close(rig->shm);
    }
    plan_maker_free(rig->plan);
    temp_dir_remove(rig->dir);
    free(rig);
}

struct tp_plugin_row *plugin_rig_add(struct plugin_rig *rig, const struct tp_plugin *plugin, const char *config)
{
    json_t *value = tp_fields_defaults(plugin->fields);
    json_t *given = json_loads(config, 0, NULL);
    struct tp_diag *diag = tp_diag_new();
    void *conf = tp_arena_calloc(rig->plan->arena, 1, plugin->conf_size);

    TP_ASSERT(given && json_object_update_recursive(value, given) == 0);
    if (tp_fields_decode(plugin->fields, value, conf, rig->plan->arena, diag))
        test_fail(__FILE__, __LINE__, "%s: %s", config, tp_diag_text(diag));
    if (plugin->on_configure && plugin->on_configure(conf, rig->plan->arena, diag))
        test_fail(__FILE__, __LINE__, "%s: %s", config, tp_diag_text(diag));
    tp_diag_free(diag);
    json_decref(given);
    json_decref(value);
    return plan_maker_plugin(rig->plan, plugin, conf, rig->route, NULL);
}

static void add_row(struct tp_read_model_builder *b, const char *entity, const char *text)
{
    json_t *value = json_loads(text, 0, NULL);

    TP_ASSERT(value && tp_read_model_build_add(b, entity, value, NULL) == TP_OK);
    json_decref(value);
}

static struct tp_read_model *make_read_model(const char *dir)
{
    struct tp_uuid database = tp_uuid_random();
    struct tp_read_model_builder *b;
    struct tp_read_model *rm;
    struct tp_diag *diag = tp_diag_new();

    if (tp_read_model_build_begin(&b, dir, 1 << 24, &database, 1, diag))
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
    add_row(b, "consumers",
            "{\"id\":\"" RIG_BOB "\",\"username\":\"bob\",\"custom_id\":\"cust-bob\",\"tags\":null,"
            "\"created_at\":1,\"updated_at\":1}");
    add_row(b, "consumers",
            "{\"id\":\"" RIG_AMY "\",\"username\":\"amy\",\"custom_id\":null,\"tags\":null,"
            "\"created_at\":1,\"updated_at\":1}");
    add_row(b, "keyauth_credentials",
            "{\"id\":\"" RIG_BOB_KEY_ID "\",\"key\":\"K1\",\"consumer\":{\"id\":\"" RIG_BOB
            "\"},\"tags\":null,\"created_at\":1,\"ttl\":null}");
    add_row(b, "keyauth_credentials",
            "{\"id\":\"0000001f-0000-4000-8000-00000000001f\",\"key\":\"K2\",\"consumer\":"
            "{\"id\":\"" RIG_AMY "\"},\"tags\":null,\"created_at\":1,\"ttl\":null}");
    if (tp_read_model_build_end(b, diag) || tp_read_model_open(&rm, dir, 1 << 24, diag)) {
        test_fail(__FILE__, __LINE__, "%s", tp_diag_text(diag));
        exit(1);
    }
    tp_diag_free(diag);
    return rm;
}

struct engine_mem *plugin_rig_engine(struct plugin_rig *rig)
{
    const struct tp_shm_section sections[] = {
        { TP_COUNTERS_SECTION_IDENTITIES, 65536 },
        { TP_COUNTERS_SECTION_ADDRESSES, 65536 },
    };
    char path[100];

    if (rig->engine)
        return rig->engine;
    rig->engine = engine_mem_new(&rig->plan->plan, TP_ROUTER_TRADITIONAL_COMPATIBLE);
    rig->engine->gateway.read_model = make_read_model(rig->dir);
    snprintf(path, sizeof(path), "%s/state", rig->dir);
    TP_ASSERT(tp_shm_open(&rig->shm, path, sections, 2, NULL) == TP_OK);
    rig->engine->gateway.counters = tp_counters_new(rig->shm);
    return rig->engine;
}

struct mem_request *plugin_rig_send(struct plugin_rig *rig, struct mem_input input)
{
    struct engine_mem *e = plugin_rig_engine(rig);
    struct mem_request *r;

    e->answer_count = e->answer_next = 0;
    engine_mem_answer(e, (struct mem_answer){ .status = 200 });
    r = engine_mem_start(e, &input);
    engine_mem_turn(e);
    return r;
}

struct mem_request *plugin_rig_get(struct plugin_rig *rig, const char *target, const char *headers)
{
    return plugin_rig_send(rig, (struct mem_input){ .target = target, .headers = headers ? headers : "Host: a" });
}

struct tp_str plugin_rig_line(const struct mem_request *r)
{
    struct tp_str rest = tp_buf_str(&r->upstream), line = TP_STR_NULL;

    tp_str_next(&rest, '\r', &line);
    return line;
}

static bool next_header(struct tp_str *rest, struct tp_str name, struct tp_str *value)
{
    struct tp_str line;

    while (rest->data && tp_str_next(rest, '\n', &line) && line.len > 1)
        if (line.len > name.len && line.data[name.len] == ':' && tp_str_starts_nocase(line, name)) {
            *value = tp_str_trim(tp_str_make(line.data + name.len + 1, line.len - name.len - 2));
            return true;
        }
    return false;
}

struct tp_str plugin_rig_header(const struct mem_request *r, const char *name)
{
    struct tp_str rest = tp_buf_str(&r->upstream), value = TP_STR_NULL;

    return next_header(&rest, tp_str_from_cstr(name), &value) ? value : TP_STR_NULL;
}

size_t plugin_rig_header_count(const struct mem_request *r, const char *name)
{
    struct tp_str rest = tp_buf_str(&r->upstream), value;
    size_t count = 0;

    while (next_header(&rest, tp_str_from_cstr(name), &value))
        count++;
    return count;
}

struct tp_str plugin_rig_body(const struct mem_request *r)
{
    struct tp_str text = tp_buf_str(&r->upstream);
    ptrdiff_t at = tp_str_find(text, TP_STR("\r\n\r\n"));

    return at < 0 ? TP_STR_NULL : tp_str_from(text, (size_t)at + 4);
}

bool plugin_rig_says(const struct mem_request *r, const char *text)
{
    return tp_str_find(tp_buf_str(&r->out), tp_str_from_cstr(text)) >= 0;
}
