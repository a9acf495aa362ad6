#include "quota/windows.h"
#include "support/test.h"

#include <time.h>

static int64_t utc(int year, int month, int day, int hour, int minute, int second)
{
    struct tm tm = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second
    };

    return timegm(&tm);
}

static void check_window(enum tp_period period, int64_t now, int64_t start, int64_t end)
{
    struct tp_window w = tp_window_at(period, now, false);

    CHECK_INT(w.start, start);
    CHECK_INT(w.start + w.length, end);
}

TEST(periods_have_names)
{
    CHECK_STR(tp_period_name(TP_SECOND), "second");
    CHECK_STR(tp_period_name(TP_YEAR), "year");
}

TEST(short_windows_are_multiples)
{
    int64_t now = utc(2026, 11, 23, 15, 7, 42);

    check_window(TP_SECOND, now, now, now + 1);
    check_window(TP_MINUTE, now, utc(2026, 11, 23, 15, 7, 0), utc(2026, 11, 23, 15, 8, 0));
    check_window(TP_HOUR, now, utc(2026, 11, 23, 15, 0, 0), utc(2026, 11, 23, 16, 0, 0));
    check_window(TP_DAY, now, utc(2026, 11, 23, 0, 0, 0), utc(2026, 11, 24, 0, 0, 0));
}

TEST(months_follow_the_calendar)
{
    check_window(TP_MONTH, utc(2026, 1, 31, 23, 59, 59), utc(2026, 1, 1, 0, 0, 0), utc(2026, 2, 1, 0, 0, 0));
    check_window(TP_MONTH, utc(2026, 2, 1, 0, 0, 0), utc(2026, 2, 1, 0, 0, 0), utc(2026, 3, 1, 0, 0, 0));
    check_window(TP_MONTH, utc(2024, 2, 29, 12, 0, 0), utc(2024, 2, 1, 0, 0, 0), utc(2024, 3, 1, 0, 0, 0));
    check_window(TP_MONTH, utc(2026, 12, 31, 23, 59, 59), utc(2026, 12, 1, 0, 0, 0), utc(2027, 1, 1, 0, 0, 0));
}

TEST(leap_years_have_366_days)
{
    CHECK_INT(tp_window_at(TP_YEAR, utc(2024, 6, 1, 0, 0, 0), false).length, 366 * 86400);
    CHECK_INT(tp_window_at(TP_YEAR, utc(2026, 6, 1, 0, 0, 0), false).length, 365 * 86400);
    CHECK_INT(tp_window_at(TP_YEAR, utc(2100, 6, 1, 0, 0, 0), false).length, 365 * 86400);
    CHECK_INT(tp_window_at(TP_YEAR, utc(2000, 6, 1, 0, 0, 0), false).length, 366 * 86400);
}

TEST(flat_windows_start_by_the_calendar_and_last_30_and_365_days)
{
    struct tp_window month = tp_window_at(TP_MONTH, utc(2026, 1, 31, 0, 0, 0), true);
    struct tp_window year = tp_window_at(TP_YEAR, utc(2024, 12, 31, 0, 0, 0), true);

    CHECK_INT(month.start, utc(2026, 1, 1, 0, 0, 0));
    CHECK_INT(month.length, 30 * 86400);
    CHECK_INT(year.start, utc(2024, 1, 1, 0, 0, 0));
    CHECK_INT(year.length, 365 * 86400);
}

TEST(no_trouble_in_2038_nor_in_2106_nor_before_1970)
{
    check_window(TP_MONTH, utc(2038, 1, 19, 3, 14, 8), utc(2038, 1, 1, 0, 0, 0), utc(2038, 2, 1, 0, 0, 0));
    check_window(TP_YEAR, utc(2106, 2, 7, 6, 28, 16), utc(2106, 1, 1, 0, 0, 0), utc(2107, 1, 1, 0, 0, 0));
    check_window(TP_MONTH, utc(1969, 12, 31, 23, 0, 0), utc(1969, 12, 1, 0, 0, 0), utc(1970, 1, 1, 0, 0, 0));
    check_window(TP_MINUTE, -1, -60, 0);
}

TEST(every_day_of_four_centuries_agrees_with_libc)
{
    int wrong = 0;

    for (int64_t day = -36525; day < 4 * 36525; day++) {
        time_t t = (time_t)(day * 86400 + 43200);
        struct tm tm;

        gmtime_r(&t, &tm);
        if (tp_window_at(TP_MONTH, t, false).start != utc(tm.tm_year + 1900, tm.tm_mon + 1, 1, 0, 0, 0))
            wrong++;
        if (tp_window_at(TP_YEAR, t, false).start != utc(tm.tm_year + 1900, 1, 1, 0, 0, 0))
            wrong++;
        if (tp_window_start(TP_MONTH, tp_window_number(TP_MONTH, t)) != tp_window_at(TP_MONTH, t, false).start)
            wrong++;
    }
    CHECK_INT(wrong, 0);
}
