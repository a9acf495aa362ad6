#include "edge/search_list.h"
#include "support/test.h"

static const struct tp_str domains[] = { { "a.test", 6 }, { "b.test", 6 } };
static const struct tp_edge_search_list list = { { domains, 2 }, 2 };

static const char *at(const struct tp_edge_search_list *l, const char *name, size_t index)
{
    static char out[TP_EDGE_NAME_BYTES];

    return tp_edge_search_list_name(l, tp_str_from_cstr(name), index, out) ? out : "none";
}

TEST(a_short_name_is_searched_first)
{
    CHECK_STR(tp_str_from_cstr(at(&list, "web", 0)), "web.a.test");
    CHECK_STR(tp_str_from_cstr(at(&list, "web", 1)), "web.b.test");
    CHECK_STR(tp_str_from_cstr(at(&list, "web", 2)), "web");
    CHECK_STR(tp_str_from_cstr(at(&list, "web", 3)), "none");
}

TEST(a_name_with_enough_dots_is_asked_first_as_it_stands)
{
    CHECK_STR(tp_str_from_cstr(at(&list, "x.y.test", 0)), "x.y.test");
    CHECK_STR(tp_str_from_cstr(at(&list, "x.y.test", 1)), "x.y.test.a.test");
    CHECK_STR(tp_str_from_cstr(at(&list, "x.y.test", 2)), "x.y.test.b.test");
    CHECK_STR(tp_str_from_cstr(at(&list, "x.y.test", 3)), "none");
    CHECK_STR(tp_str_from_cstr(at(&list, "x.y", 2)), "x.y");
}

TEST(a_dot_at_the_end_ends_the_search)
{
    CHECK_STR(tp_str_from_cstr(at(&list, "web.", 0)), "web");
    CHECK_STR(tp_str_from_cstr(at(&list, "web.", 1)), "none");
}

TEST(without_a_list_a_name_stands_for_itself)
{
    static const struct tp_edge_search_list empty = { { NULL, 0 }, 1 };

    CHECK_STR(tp_str_from_cstr(at(&empty, "web", 0)), "web");
    CHECK_STR(tp_str_from_cstr(at(&empty, "web", 1)), "none");
}

TEST(names_that_get_too_long_are_empty)
{
    char name[251];

    memset(name, 'x', 250);
    name[250] = '\0';
    CHECK_STR(tp_str_from_cstr(at(&list, name, 0)), "");
    CHECK_INT((int)strlen(at(&list, name, 2)), 250);
}
