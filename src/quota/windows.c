/*
 * Calendar windows in UTC, by arithmetic on epoch seconds: no time zone, no libc state, no limit in 2038.
 */
#include "quota/windows.h"

#define DAY_S 86400
#define DAYS_OF_400_YEARS 146097
#define DAYS_TO_1970 719468 /* from 1 March of year 0 */

static const int64_t flat_length[TP_PERIODS] = {
    [TP_SECOND] = 1,  [TP_MINUTE] = 60,          [TP_HOUR] = 3600,
    [TP_DAY] = DAY_S, [TP_MONTH] = 30LL * DAY_S, [TP_YEAR] = 365LL * DAY_S,
};

const char *tp_period_name(enum tp_period period)
{
    static const char *const names[TP_PERIODS] = {
        [TP_SECOND] = "second", [TP_MINUTE] = "minute", [TP_HOUR] = "hour",
        [TP_DAY] = "day",       [TP_MONTH] = "month",   [TP_YEAR] = "year",
    };

    TP_ASSERT((unsigned)period < TP_PERIODS);
    return names[period];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/*
 * Years are counted from March here, so that the leap day is a year's last: then the days before a month
 * follow one linear formula, and months 10 and 11 belong to the next civil year.
 */
static int64_t days_before_month(int64_t year, int month)
{
    int64_t y = year - (month <= 2);
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;

    return era * DAYS_OF_400_YEARS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           DAYS_TO_1970;
}

static void civil_month(int64_t days, int64_t *year, int *month)
{
    int64_t z = days + DAYS_TO_1970;
    int64_t era = floor_div(z, DAYS_OF_400_YEARS);
    int64_t day_of_era = z - era * DAYS_OF_400_YEARS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int from_march = (int)((5 * day_of_year + 2) / 153);

    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

int64_t tp_window_number(enum tp_period period, int64_t now_s)
{
    int64_t year;
    int month;

    if (period < TP_MONTH)
        return floor_div(now_s, flat_length[period]);
    civil_month(floor_div(now_s, DAY_S), &year, &month);
    return period == TP_MONTH ? year * 12 + month - 1 : year;
}

int64_t tp_window_start(enum tp_period period, int64_t number)
{
    if (period < TP_MONTH)
        return number * flat_length[period];
    if (period == TP_MONTH) {
        int64_t year = floor_div(number, 12);

        return days_before_month(year, (int)(number - year * 12) + 1) * DAY_S;
    }
    return days_before_month(number, 1) * DAY_S;
}

struct tp_window tp_window_at(enum tp_period period, int64_t now_s, bool flat)
{
    return tp_window_of_number(period, tp_window_number(period, now_s), flat);
}

struct tp_window tp_window_of_number(enum tp_period period, int64_t number, bool flat)
{
    int64_t start = tp_window_start(period, number);
    int64_t length = flat ? flat_length[period] : tp_window_start(period, number + 1) - start;

    return (struct tp_window){ start, length };
}
