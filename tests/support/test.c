/* The frame's runner: test.h. */
#include "support/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_TESTS 1000

static struct {
    const char *name;
    void (*fn)(void);
} tests[MAX_TESTS];
static size_t test_count;
static size_t failures_in_test;

void test_register(const char *name, void (*fn)(void))
{
    if (test_count == MAX_TESTS)
        abort();
    tests[test_count].name = name;
    tests[test_count++].fn = fn;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;

    failures_in_test++;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void test_check_str(const char *file, int line, const char *expr, struct tp_str got, struct tp_str want)
{
    if (!tp_str_eq(got, want) || (got.data == NULL) != (want.data == NULL))
        test_fail(file, line, "%s\n  got  \"%.*s\"\n  want \"%.*s\"", expr, TP_STR_ARG(got), TP_STR_ARG(want));
}

void test_check_int(const char *file, int line, const char *expr, int64_t got, int64_t want)
{
    if (got != want)
        test_fail(file, line, "%s is %lld, not %lld", expr, (long long)got, (long long)want);
}

int main(int argc, char **argv)
{
    size_t passed = 0, failed = 0;

    for (size_t i = 0; i < test_count; i++) {
        if (argc > 1 && !strstr(tests[i].name, argv[1]))
            continue;
        failures_in_test = 0;
        tests[i].fn();
        printf("%s %s\n", failures_in_test ? "FAIL" : "ok  ", tests[i].name);
        if (failures_in_test)
            failed++;
        else
            passed++;
    }
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed || passed == 0;
}
