/* See regex_check.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/regex_check.h"

#include <pcre2.h>
#include <stdio.h>

bool tp_regex_compiles(struct tp_str pattern, char *message, size_t size)
{
    PCRE2_UCHAR text[256];
    PCRE2_SIZE offset;
    pcre2_code *code;
    int error;

    code = pcre2_compile((PCRE2_SPTR)(pattern.data ? pattern.data : ""), pattern.len, PCRE2_ANCHORED, &error, &offset,
                         NULL);
    if (code) {
        pcre2_code_free(code);
        return true;
    }
    pcre2_get_error_message(error, text, sizeof(text));
    if (offset >= pattern.len)
        snprintf(message, size, "pcre2_compile() failed: %s in \"%.*s\"", (char *)text, TP_STR_ARG(pattern));
    else
        snprintf(message, size, "pcre2_compile() failed: %s in \"%.*s\" at \"%.*s\"", (char *)text, TP_STR_ARG(pattern),
                 TP_STR_ARG(tp_str_from(pattern, offset)));
    return false;
}

/* What follows "(?" in a group that no automaton can match, or that has another meaning elsewhere. */
static const struct {
    const char *opening;
    const char *what;
} groups[] = {
    { "=", "look-around, including look-ahead and look-behind, is not supported" },
    { "!", "look-around, including look-ahead and look-behind, is not supported" },
    { "<=", "look-around, including look-ahead and look-behind, is not supported" },
    { "<!", "look-around, including look-ahead and look-behind, is not supported" },
    { "P=", "backreferences are not supported" },
    { ">", "unrecognized flag" },
    { "|", "unrecognized flag" },
    { "(", "unrecognized flag" },
    { "R", "unrecognized flag" },
    { "P>", "unrecognized flag" },
    { "&", "unrecognized flag" },
    { "#", "unrecognized flag" },
    { "'", "unrecognized flag" },
};

static const char *irregular_group(struct tp_str rest)
{
    if (!tp_str_starts(rest, TP_STR("(?")))
        return rest.len > 1 && rest.data[0] == '(' && rest.data[1] == '*' ? "repetition operator missing expression"
                                                                          : NULL;
    rest = tp_str_from(rest, 2);
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (tp_str_starts(rest, tp_str_from_cstr(groups[i].opening)))
            return groups[i].what;
    }
    if (rest.len && (rest.data[0] == '+' || (rest.data[0] >= '0' && rest.data[0] <= '9')))
        return "unrecognized flag";
    return NULL;
}

static const char *irregular_escape(char c, bool in_class)
{
    if (c >= '1' && c <= '9')
        return "backreferences are not supported";
    if (in_class)
        return NULL;
    /* \Z \G \K \R \X \Q \E \g \k mean something to PCRE2 only */
    return strchr("ZGKRXQEgkhHNCc", c) && c ? "unrecognized escape sequence" : NULL;
}

static bool fail_at(struct tp_str pattern, size_t at, const char *what, char *message, size_t size)
{
    snprintf(message, size, "regex parse error:\n    %.*s\n    %*s^\nerror: %s", TP_STR_ARG(pattern),
             (int)(at < 200 ? at : 200), "", what);
    return false;
}

bool tp_regex_is_regular(struct tp_str pattern, char *message, size_t size)
{
    bool in_class = false;

    for (size_t i = 0; i < pattern.len; i++) {
        const char *what = NULL;
        char c = pattern.data[i];

        if (c == '\\') {
            if (i + 1 == pattern.len)
                break;
            what = irregular_escape(pattern.data[i + 1], in_class);
        } else if (in_class) {
            in_class = c != ']';
        } else if (c == '[') {
            in_class = true;
            /* a ']' in first place is a member */
            if (i + 1 < pattern.len && pattern.data[i + 1] == '^')
                i++;
            if (i + 1 < pattern.len && pattern.data[i + 1] == ']')
                i++;
        } else if (c == '(') {
            what = irregular_group(tp_str_from(pattern, i));
        }
        if (what)
            return fail_at(pattern, i, what, message, size);
        if (c == '\\')
            i++;
    }
    return true;
}
