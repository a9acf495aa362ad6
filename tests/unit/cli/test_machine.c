/* What containers and resolv.conf say. */
#include "cli/machine.h"
#include "support/test.h"

#include <stdlib.h>

TEST(cpu_quota_is_rounded_up)
{
    CHECK_INT(tp_cpu_max_parse("max 100000\n"), 0);
    CHECK_INT(tp_cpu_max_parse("25000 100000\n"), 1);
    CHECK_INT(tp_cpu_max_parse("100000 100000\n"), 1);
    CHECK_INT(tp_cpu_max_parse("150000 100000\n"), 2);
    CHECK_INT(tp_cpu_max_parse("-1 100000\n"), 0);
    CHECK_INT(tp_cpu_max_parse(""), 0);
    CHECK(tp_machine_processors() >= 1);
    CHECK(tp_machine_open_files() >= 1024);
}

static void check_servers(const char *text, const char *want)
{
    char *got = tp_resolv_conf_parse(text);

    CHECK_STR(got, want);
    free(got);
}

TEST(name_servers_are_found)
{
    check_servers("", "");
    check_servers("search x\nnameserver 10.0.0.2\n", "10.0.0.2");
    check_servers("nameserver\t10.0.0.2 # first\n nameserver ::1\nnameserver fe80::1%eth0\nnameserver 1.1.1.1",
                  "10.0.0.2 [::1] 1.1.1.1");
    check_servers("nameserver 1.1.1.1; foo\nnameserver evil;}\nnameservers 2.2.2.2\n", "1.1.1.1");
}

static void check_search(const char *text, const char *want, int want_ndots)
{
    char *search;
    int ndots;

    tp_resolv_conf_search(text, &search, &ndots);
    CHECK_STR(search ? search : "none", want);
    CHECK_INT(ndots, want_ndots);
    free(search);
}

TEST(the_search_list_is_found)
{
    check_search("", "none", 1);
    check_search("search\nsearchlist a\nsearch .\n", "none", 1);
    check_search("nameserver 1.1.1.1\nsearch ns.svc.cluster.local\tsvc.cluster.local.  x\noptions timeout:1 ndots:5\n",
                 "ns.svc.cluster.local,svc.cluster.local,x", 5);
    check_search("domain a.test\nsearch b.test\n", "b.test", 1);
    check_search("search a.test\ndomain b.test\n", "b.test", 1);
    check_search("search evil;} \"x fine\noptions ndots:99 ndots:x ndots:-1\n", "fine", 15);
}
