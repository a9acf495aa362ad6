/* Whether a regular expression can be used by the router. */
#ifndef TP_MODEL_REGEX_CHECK_H
#define TP_MODEL_REGEX_CHECK_H

#include "turnpike/str.h"

/* PCRE2 takes it; else the compiler's complaint in `message`, worded as Kong's regex library does. */
bool tp_regex_compiles(struct tp_str pattern, char *message, size_t size);

/*
 * False when it uses what an automaton cannot do (look-around, back-references, atomic groups, recursion): Kong's
 * default router refuses those. `message` then names it and where.
 */
bool tp_regex_is_regular(struct tp_str pattern, char *message, size_t size);

#endif
