/* Error names and the assertion's end: turnpike/err.h. */
#include "turnpike/err.h"

#include <stdio.h>
#include <stdlib.h>

const char *tp_err_text(enum tp_err err)
{
    switch (err) {
    case TP_OK: return "ok";
    case TP_ERR_INVALID: return "invalid";
    case TP_ERR_NOT_FOUND: return "not found";
    case TP_ERR_EXISTS: return "exists already";
    case TP_ERR_REFERENCE: return "broken reference";
    case TP_ERR_TOO_LARGE: return "too large";
    case TP_ERR_FULL: return "full";
    case TP_ERR_IO: return "input/output error";
    case TP_ERR_UNAVAILABLE: return "unavailable";
    case TP_ERR_TIMEOUT: return "timed out";
    case TP_ERR_DAMAGED: return "damaged";
    case TP_ERR_CLOSED: return "closed";
    case TP_ERR_AGAIN: return "would wait";
    }
    return "unknown error";
}

void tp_assert_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "turnpike: bug: %s:%d: assertion failed: %s\n", file, line, expr);
    abort();
}
