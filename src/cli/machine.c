/* Processors, open files and name servers of this machine. */
#include "cli/machine.h"

#include "base/buf.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define TEXT_MAX 65536

char *tp_file_text(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text;
    size_t len = 0;
    ssize_t n;

    if (fd < 0)
        return NULL;
    text = tp_malloc(TEXT_MAX + 1);
    while (len < TEXT_MAX && (n = read(fd, text + len, TEXT_MAX - len)) > 0)
        len += (size_t)n;
    close(fd);
    text[len] = '\0';
    return text;
}

static int processors_of(double quota, double period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    return (int)((quota + period - 1) / period);
}

int tp_cpu_max_parse(const char *text)
{
    char *rest;
    double quota = strtod(text, &rest); /* "max": no number, no limit */

    return rest == text ? 0 : processors_of(quota, strtod(rest, NULL));
}

static int smaller_limit(int a, int b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* cpu.max of our group and of every group around it: each binds. */
static int limit_v2(void)
{
    char *groups = tp_file_text("/proc/self/cgroup"), *line, *group, path[4400];
    int limit = 0;

    line = groups ? strstr(groups, "0::/") : NULL;
    if (!line) {
        free(groups);
        return 0;
    }
    group = line + 3;
    group[strcspn(group, "\n")] = '\0';
    for (;;) {
        char *text, *slash;

        snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", strcmp(group, "/") == 0 ? "" : group);
        text = tp_file_text(path);
        if (text)
            limit = smaller_limit(limit, tp_cpu_max_parse(text));
        free(text);
        slash = strrchr(group, '/');
        if (!slash || group[1] == '\0')
            break;
        slash[slash == group] = '\0'; /* "/a/b" → "/a" → "/" */
    }
    free(groups);
    return limit;
}

static int limit_v1(void)
{
    char *quota = tp_file_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    char *period = tp_file_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    int limit = quota && period ? processors_of(strtod(quota, NULL), strtod(period, NULL)) : 0;

    free(quota);
    free(period);
    return limit;
}

int tp_machine_processors(void)
{
    int limit = smaller_limit(limit_v2(), limit_v1());
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);

    limit = smaller_limit(limit, count);
    return limit > 0 ? limit : 1;
}

int tp_machine_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < 1024)
        return 1024;
    return limit.rlim_max > 16384 ? 16384 : (int)limit.rlim_max;
}

char *tp_resolv_conf_parse(const char *text)
{
    struct tp_str rest = tp_str_from_cstr(text), line;
    unsigned char bytes[16];
    struct tp_buf out;
    char ip[64];

    tp_buf_init(&out, 4096);
    while (tp_str_next(&rest, '\n', &line)) {
        line = tp_str_trim(line);
        if (!tp_str_starts(line, TP_STR("nameserver")) || line.len < 11 || !strchr(" \t", line.data[10]))
            continue;
        line = tp_str_trim(tp_str_from(line, 10));
        snprintf(ip, sizeof(ip), "%.*s", (int)strcspn(line.data, " \t\r\n#;"), line.data);
        if (inet_pton(AF_INET, ip, bytes) == 1)
            tp_buf_addf(&out, "%s%s", out.len ? " " : "", ip);
        else if (inet_pton(AF_INET6, ip, bytes) == 1) /* link-local ones with a zone are not for nginx */
            tp_buf_addf(&out, "%s[%s]", out.len ? " " : "", ip);
    }
    return tp_buf_take(&out);
}

/* "keyword rest" with its keyword taken off. */
static bool take_keyword(struct tp_str *line, struct tp_str keyword)
{
    if (!tp_str_starts(*line, keyword) || line->len == keyword.len || !strchr(" \t", line->data[keyword.len]))
        return false;
    *line = tp_str_trim(tp_str_from(*line, keyword.len));
    return true;
}

static bool next_word(struct tp_str *rest, struct tp_str *word)
{
    size_t len = 0;

    *rest = tp_str_trim(*rest);
    while (len < rest->len && !strchr(" \t", rest->data[len]))
        len++;
    *word = tp_str_head(*rest, len);
    *rest = tp_str_from(*rest, len);
    return len > 0;
}

static bool is_domain(struct tp_str word)
{
    for (size_t i = 0; i < word.len; i++)
        if (!isalnum((unsigned char)word.data[i]) && !strchr("-_.", word.data[i]))
            return false;
    return word.len > 0 && word.data[0] != '.';
}

static char *search_list(struct tp_str rest)
{
    struct tp_str word;
    struct tp_buf out;

    tp_buf_init(&out, 4096);
    while (next_word(&rest, &word)) {
        if (word.len > 0 && word.data[word.len - 1] == '.')
            word.len--;
        if (is_domain(word))
            tp_buf_addf(&out, "%s%.*s", out.len ? "," : "", TP_STR_ARG(word));
    }
    if (out.len > 0)
        return tp_buf_take(&out);
    tp_buf_fini(&out);
    return NULL;
}

void tp_resolv_conf_search(const char *text, char **search, int *ndots)
{
    struct tp_str rest = tp_str_from_cstr(text), line, word;
    int64_t n;

    *search = NULL;
    *ndots = 1;
    while (tp_str_next(&rest, '\n', &line)) {
        line = tp_str_trim(line);
        if (take_keyword(&line, TP_STR("search")) || take_keyword(&line, TP_STR("domain"))) {
            free(*search); /* the last one counts */
            *search = search_list(line);
        } else if (take_keyword(&line, TP_STR("options"))) {
            while (next_word(&line, &word))
                if (tp_str_starts(word, TP_STR("ndots:")) && tp_str_to_i64(tp_str_from(word, 6), &n) && n >= 0)
                    *ndots = n > 15 ? 15 : (int)n;
        }
    }
}
