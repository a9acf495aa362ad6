/* The store's suite: pages, tags, walks. See suite_support.h. */

/* Reads all pages of `size` rows; checks order and that no page but the last is short. Returns how many rows. */
static size_t count_pages(struct tp_store *s, const char *entity, struct tp_page_query query)
{
    struct tp_uuid last = { 0 }, id;
    size_t total = 0;
    bool more = true;

    while (more) {
        json_t *rows = NULL, *value;
        size_t i;

        if (tp_store_page(s, kind(entity), &query, &rows, &more)) {
            test_fail(__FILE__, __LINE__, "page: %s", tp_store_error(s));
            return 0;
        }
        CHECK(!more || json_array_size(rows) == query.size);
        json_array_foreach(rows, i, value) {
            CHECK(tp_uuid_parse(tp_str_from_cstr(json_string_value(json_object_get(value, "id"))), &id));
            CHECK(tp_uuid_cmp(&id, &last) > 0);
            last = id;
        }
        total += json_array_size(rows);
        query.after = &last;
        json_decref(rows);
    }
    return total;
}

/* Services 1 and 2; 2,500 routes: every second of service 1, tags by divisors. */
static struct tp_store *many_routes(void)
{
    struct tp_store *s = open_empty();
    struct tp_store_fault fault;

    put(s, "services", 1, "{'name':'one','host':'h','tags':['two']}");
    put(s, "services", 2, "{'name':'two','host':'h'}");
    CHECK_INT(tp_store_begin(s), TP_OK);
    for (unsigned i = 0; i < 2500; i++)
        CHECK_INT(insert(s, &fault, "routes", 10 + i, "{'name':'r%u','service':{'id':'%s'},'tags':['all'%s%s]}", i,
                         text_n(1 + i % 2), i % 2 ? "" : ",'two'", i % 3 ? "" : ",'three'"),
                  TP_OK);
    CHECK_INT(tp_store_commit(s, NULL), TP_OK);
    return s;
}

TEST(pages_cover_every_row_once_in_order)
{
    struct tp_store *s = many_routes();
    struct tp_uuid one = uuid_n(1), nobody = uuid_n(7);

    CHECK_INT(count_pages(s, "routes", (struct tp_page_query){ .size = 100 }), 2500);
    CHECK_INT(count_pages(s, "routes", (struct tp_page_query){ .size = 999 }), 2500);
    CHECK_INT(count_pages(s, "routes", (struct tp_page_query){ .size = 2500 }), 2500);
    CHECK_INT(count_pages(s, "services", (struct tp_page_query){ .size = 1 }), 2);
    CHECK_INT(count_pages(s, "consumers", (struct tp_page_query){ .size = 1 }), 0);
    CHECK_INT(
        count_pages(s, "routes", (struct tp_page_query){ .size = 99, .foreign_field = "service", .foreign = &one }),
        1250);
    CHECK_INT(
        count_pages(s, "routes", (struct tp_page_query){ .size = 99, .foreign_field = "service", .foreign = &nobody }),
        0);
    tp_store_free(s);
}

TEST(tags_filter_by_and_and_by_or)
{
    struct tp_store *s = many_routes();
    struct tp_uuid one = uuid_n(1);
    struct tp_str tags[] = { TP_STR("two"), TP_STR("three"), TP_STR("none"), TP_STR("all"), TP_STR("x") };

#define TAGGED(...) ((struct tp_page_query){ .size = 77, .tags = tags, __VA_ARGS__ })
    CHECK_INT(count_pages(s, "routes", TAGGED(.tag_count = 1)), 1250);
    CHECK_INT(count_pages(s, "routes", TAGGED(.tag_count = 2)), 417);
    CHECK_INT(count_pages(s, "routes", TAGGED(.tag_count = 3)), 0);
    CHECK_INT(count_pages(s, "routes", TAGGED(.tag_count = 1, .tags_any = true)), 1250);
    CHECK_INT(count_pages(s, "routes", TAGGED(.tag_count = 2, .tags_any = true)), 1667);
    CHECK_INT(count_pages(s, "routes", TAGGED(.tag_count = 3, .tags_any = true)), 1667);
    CHECK_INT(count_pages(s, "routes", TAGGED(.tag_count = 5, .tags_any = true)), 2500);
    CHECK_INT(count_pages(s, "services", TAGGED(.tag_count = 1)), 1);
    CHECK_INT(count_pages(s, "routes", TAGGED(.tag_count = 2, .foreign_field = "service", .foreign = &one)), 417);
    CHECK_INT(
        count_pages(s, "routes", TAGGED(.tag_count = 2, .tags_any = true, .foreign_field = "service", .foreign = &one)),
        1250);
#undef TAGGED
    tp_store_free(s);
}

TEST(the_tags_list_goes_by_id_and_resumes_inside_an_entity)
{
    struct tp_store *s = open_empty();
    struct tp_page_query query = { .size = 2 };
    struct tp_uuid id;
    char seen[512] = "";
    bool more = true;
    json_t *rows;

    put(s, "services", 3, "{'name':'s','host':'h','tags':['red','blue tag','red']}");
    put(s, "consumers", 1, "{'username':'b','tags':['red']}");
    put(s, "routes", 2, "{'tags':['z','a','m']}");
    for (int page = 0; more && page < 10; page++) {
        json_t *value = NULL;
        size_t i;

        CHECK_INT(tp_store_tags(s, TP_STR_NULL, &query, &rows, &more), TP_OK);
        json_array_foreach(rows, i, value)
            snprintf(seen + strlen(seen), sizeof(seen) - strlen(seen), "%s.%s ",
                     json_string_value(json_object_get(value, "entity_name")),
                     json_string_value(json_object_get(value, "tag")));
        value = json_array_get(rows, json_array_size(rows) - 1);
        tp_uuid_parse(tp_str_from_cstr(json_string_value(json_object_get(value, "entity_id"))), &id);
        query.after = &id;
        query.after_tag = tp_str_from_cstr(!strcmp(strrchr(seen, '.'), ".red ") ? "red" : "a");
        query.after_entity = tp_str_from_cstr(strstr(seen, "services") ? "services" : "routes");
        json_decref(rows);
        if (page == 0) /* the first page ended with routes.z */
            query.after_tag = TP_STR("z");
        else if (page == 1)
            query.after_tag = TP_STR("m");
    }
    CHECK_STR((const char *)seen, "consumers.red routes.z routes.a routes.m services.red services.blue tag ");
    query = (struct tp_page_query){ .size = 1 };
    CHECK_INT(tp_store_tags(s, TP_STR("red"), &query, &rows, &more), TP_OK);
    CHECK(more);
    CHECK_STR(shown(rows), "[{'entity_id':'00000001-0000-4000-8000-000000000000','entity_name':'consumers',"
                           "'tag':'red'}]");
    json_decref(rows);
    id = uuid_n(1);
    query.after = &id;
    CHECK_INT(tp_store_tags(s, TP_STR("red"), &query, &rows, &more), TP_OK);
    CHECK(!more);
    CHECK_INT(json_array_size(rows), 1);
    json_decref(rows);
    CHECK_INT(tp_store_tags(s, TP_STR("none"), &query, &rows, &more), TP_OK);
    CHECK_INT(json_array_size(rows), 0);
    json_decref(rows);
    tp_store_free(s);
}

TEST(plugin_names_are_listed_once)
{
    struct tp_store *s = open_empty();
    json_t *names;

    CHECK_INT(tp_store_plugin_names(s, &names), TP_OK);
    CHECK_STR(shown(names), "[]");
    json_decref(names);
    put(s, "services", 1, "{'name':'s','host':'h'}");
    put(s, "plugins", 2, "{'name':'key-auth'}");
    put(s, "plugins", 3, "{'name':'key-auth','service':{'id':'%s'}}", text_n(1));
    put(s, "plugins", 4, "{'name':'acl'}");
    CHECK_INT(tp_store_plugin_names(s, &names), TP_OK);
    CHECK_STR(shown(names), "['acl','key-auth']");
    json_decref(names);
    tp_store_free(s);
}

struct walk {
    size_t seen;
    size_t stop_at;
    struct tp_store *writer;
};

static enum tp_err on_row(void *data, const json_t *value)
{
    struct walk *walk = data;

    CHECK(json_is_object(value));
    walk->seen++;
    if (walk->writer && walk->seen == 1)
        put(walk->writer, "routes", 99999, "{'name':'late'}");
    return walk->seen == walk->stop_at ? TP_ERR_CLOSED : TP_OK;
}

TEST(a_walk_sees_one_snapshot_and_stops_on_request)
{
    struct tp_store *s = many_routes();
    struct walk walk = { .writer = open_another() }, short_walk = { .stop_at = 700 };

    CHECK_INT(tp_store_each(s, kind("routes"), on_row, &walk), TP_OK);
    CHECK_INT(walk.seen, 2500);
    CHECK_INT(tp_store_each(s, kind("routes"), on_row, &short_walk), TP_ERR_CLOSED);
    CHECK_INT(short_walk.seen, 700);
    walk = (struct walk){ .writer = walk.writer };
    tp_store_free(walk.writer);
    walk.writer = NULL;
    CHECK_INT(tp_store_each(s, kind("routes"), on_row, &walk), TP_OK);
    CHECK_INT(walk.seen, 2501);
    tp_store_free(s);
}
