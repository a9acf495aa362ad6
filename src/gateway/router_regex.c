/*
 * Regexes of routes: PCRE2 with JIT, anchored at the start where asked, and always with limits, so that a
 * catastrophic pattern costs some ten milliseconds at worst, on the longest paths, and counts as no match.
 */
#include "gateway/router_priv.h"

#include "turnpike/err.h"

#include <stdio.h>

static void free_code(void *code)
{
    pcre2_code_free(code);
}

/* Names by group number, from PCRE2's table: two bytes of number, then the name. */
static const struct tp_str *read_names(struct tp_arena *arena, const pcre2_code *code, uint32_t groups)
{
    struct tp_str *names = tp_arena_new_array(arena, struct tp_str, groups + 1);
    uint32_t count = 0, size = 0;
    PCRE2_SPTR table = NULL;

    pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; i < count; i++, table += size) {
        uint32_t group = (uint32_t)table[0] << 8 | table[1];

        if (group <= groups)
            names[group] = tp_str_from_cstr((const char *)table + 2);
    }
    return names;
}

const struct tp_regex *tp_regex_compile(struct tp_router *router, struct tp_str pattern, uint32_t options,
                                        char *message, size_t size)
{
    struct tp_regex *regex = tp_arena_new_type(router->arena, struct tp_regex);
    PCRE2_UCHAR text[160];
    PCRE2_SIZE offset;
    int error;

    if (router->flavor == TP_ROUTER_TRADITIONAL_COMPATIBLE)
        options |= PCRE2_UTF | PCRE2_UCP; /* that flavour's regexes know characters, not bytes */
    regex->code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.len, options, &error, &offset, NULL);
    if (!regex->code) {
        pcre2_get_error_message(error, text, sizeof(text));
        snprintf(message, size, "%s at offset %zu", (const char *)text, (size_t)offset);
        return NULL;
    }
    tp_arena_defer(router->arena, free_code, regex->code);
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter runs, under the same limits */
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->group_count);
    regex->names = read_names(router->arena, regex->code, regex->group_count);
    return regex;
}

enum tp_regex_result tp_regex_match(const struct tp_router *router, const struct tp_regex *regex, struct tp_str text,
                                    bool valid_utf8)
{
    /* only that flavour looked at the text before; in the other one a pattern may still ask for "(*UTF)" */
    bool checked = valid_utf8 && router->flavor == TP_ROUTER_TRADITIONAL_COMPATIBLE;
    int rc = pcre2_match(regex->code, (PCRE2_SPTR)text.data, text.len, 0, checked ? PCRE2_NO_UTF_CHECK : 0,
                         router->scratch, router->limits);

    if (rc > 0 || rc == 0) /* 0: more groups than fit; compile refused those */
        return TP_REGEX_YES;
    switch (rc) {
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
    case PCRE2_ERROR_JIT_STACKLIMIT:
    case PCRE2_ERROR_NOMEMORY: return TP_REGEX_EXHAUSTED;
    default: return TP_REGEX_NO; /* also text that is not UTF-8 */
    }
}

/* True when some '|' is outside every group, class and escape: then the start is not certain. */
static bool has_top_level_choice(struct tp_str pattern)
{
    int depth = 0;
    bool in_class = false;

    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.data[i];

        if (c == '\\') {
            if (i + 1 < pattern.len && (pattern.data[i + 1] == 'Q' || pattern.data[i + 1] == 'E'))
                return true; /* quoting: not worth following */
            i++;
        } else if (in_class) {
            in_class = c != ']';
        } else if (c == '[') {
            in_class = true;
            if (i + 1 < pattern.len && pattern.data[i + 1] == '^')
                i++;
            if (i + 1 < pattern.len && pattern.data[i + 1] == ']')
                i++; /* a ']' at the start of a class is a letter */
        } else if (c == '(') {
            depth++;
        } else if (c == ')') {
            depth--;
        } else if (c == '|' && depth <= 0) {
            return true;
        }
    }
    return false;
}

struct tp_str tp_regex_literal(struct tp_arena *arena, struct tp_str pattern)
{
    char *out = tp_arena_alloc(arena, pattern.len + 1);
    size_t w = 0, i = 0, last = 0; /* last: where the newest letter begins in `out` */

    if (has_top_level_choice(pattern))
        return tp_str_make(out, 0);
    if (pattern.len && pattern.data[0] == '^')
        i = 1;
    for (; i < pattern.len; i++) {
        char c = pattern.data[i];

        if (strchr("*?{", c) && c)
            return tp_str_make(out, last); /* the letter before may be absent */
        if (strchr("^$.[]()|+}\\", c) && c) {
            bool escaped_mark = c == '\\' && i + 1 < pattern.len &&
                                strchr("./-_~+*?()[]{}|^$\\", pattern.data[i + 1]) && pattern.data[i + 1];

            if (!escaped_mark)
                return tp_str_make(out, w);
            c = pattern.data[++i];
        }
        if ((unsigned char)c < 0x80 || (unsigned char)c >= 0xc0)
            last = w; /* a multi-byte letter counts as one for what follows it */
        out[w++] = c;
    }
    return tp_str_make(out, w);
}
