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
