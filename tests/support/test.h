/*
 * A small unit test frame: TEST(name) { CHECK(…) … }. Every test registers itself; the program runs all,
 * or those whose name contains its first argument, and ends with "N passed, N failed".
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include "turnpike/str.h"

#include <stdint.h>

void test_register(const char *name, void (*fn)(void));
/* Records a failure of the running test and goes on with it. */
void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void test_check_str(const char *file, int line, const char *expr, struct tp_str got, struct tp_str want);
void test_check_int(const char *file, int line, const char *expr, int64_t got, int64_t want);

/* clang-format off */
#define TEST(name) \
    static void name(void); \
    __attribute__((constructor)) static void register_##name(void) { test_register(#name, name); } \
    static void name(void)

#define CHECK(expr) ((expr) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #expr))
#define CHECK_INT(got, want) test_check_int(__FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(want))
/* Both a struct tp_str, or text ending in NUL. */
#define CHECK_STR(got, want) test_check_str(__FILE__, __LINE__, #got, TEST_STR(got), TEST_STR(want))
#define TEST_STR(x) \
    _Generic((x), struct tp_str: test_str_same, char *: tp_str_from_cstr, const char *: tp_str_from_cstr)(x)
static inline struct tp_str test_str_same(struct tp_str s) { return s; }
/* clang-format on */

#endif
