/* The log of control and the CLI: base/log.h. Every line is one write, so lines of processes do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static const char *const level_names[] = { "debug", "info", "notice", "warn", "error", "crit" };

/* Set once before threads start. */
static struct {
    int fd;
    enum tp_log_level level;
    const char *process_name;
} sink = { .fd = STDERR_FILENO, .level = TP_LOG_NOTICE, .process_name = "turnpike" };

void tp_log_start(int fd, enum tp_log_level level, const char *process_name)
{
    sink.fd = fd;
    sink.level = level;
    sink.process_name = process_name;
}

/* Control bytes in what others sent must not forge lines. */
static void clean(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    }
}

void tp_log(enum tp_log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    time_t now = time(NULL);
    struct tm tm;
    size_t len;
    va_list args;
    int n;

    if (level < sink.level)
        return;
    gmtime_r(&now, &tm);
    len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%SZ", &tm);
    len += (size_t)snprintf(line + len, sizeof(line) - len, " [%s] %s[%d]: ", level_names[level], sink.process_name,
                            (int)getpid());
    va_start(args, format);
    n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
    va_end(args);
    len += n < (int)(sizeof(line) - len - 1) ? (size_t)n : sizeof(line) - len - 2;
    clean(line, len);
    line[len++] = '\n';
    if (write(sink.fd, line, len) < 0)
        return; /* nobody left to tell */
}

bool tp_log_level_parse(struct tp_str text, enum tp_log_level *out)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(*level_names); i++) {
        if (tp_str_eq(text, tp_str_from_cstr(level_names[i]))) {
            *out = (enum tp_log_level)i;
            return true;
        }
    }
    if (tp_str_eq(text, TP_STR("alert")) || tp_str_eq(text, TP_STR("emerg"))) {
        *out = TP_LOG_CRIT;
        return true;
    }
    return false;
}
