/*
 * Lua patterns, as field tables and Kong's schemas write them: anchors, character classes (%a %d %u …),
 * sets, and the repetitions * + - ?. No captures, no %b, no %f.
 */
#ifndef TP_MODEL_LUA_PATTERN_H
#define TP_MODEL_LUA_PATTERN_H

#include "turnpike/str.h"

/*
 * True when `pattern` is found in `text`. The pattern is one of ours; the text may be anything: a search that
 * takes too many steps counts as not found.
 */
bool tp_lua_pattern_find(const char *pattern, struct tp_str text);

#endif
