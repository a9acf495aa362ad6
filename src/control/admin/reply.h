/*
 * Answers: statuses, bodies, headers. The only place of the Admin API that knows how they look on the wire.
 */
#ifndef TP_CONTROL_ADMIN_REPLY_H
#define TP_CONTROL_ADMIN_REPLY_H

#include "control/admin/call.h"

#define TP_ADMIN_VERSION "3.9.1" /* the Kong version whose API this is */
#define TP_ADMIN_SERVER "kong/" TP_ADMIN_VERSION

/* `body` (taken) as JSON. Each of these replaces an answer given before, headers stay. */
void tp_admin_reply_json(struct tp_admin_call *call, int status, json_t *body);
void tp_admin_reply_empty(struct tp_admin_call *call, int status);
/* {"message": …} */
void tp_admin_reply_message(struct tp_admin_call *call, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tp_admin_reply_text(struct tp_admin_call *call, int status, const char *text);
/* The small HTML page that Kong's nginx makes of an error without a body. */
void tp_admin_reply_page(struct tp_admin_call *call, int status, const char *reason);

/* Add a header; `value` must live as long as the arena. Control characters in it become spaces. */
void tp_admin_reply_header(struct tp_admin_call *call, const char *name, struct tp_str value);

/* The headers of every answer: CORS. */
void tp_admin_reply_cors(struct tp_admin_call *call);

/* The usual ones. */
void tp_admin_not_found(struct tp_admin_call *call);          /* 404 {"message":"Not found"} */
void tp_admin_method_not_allowed(struct tp_admin_call *call); /* 405 */
void tp_admin_unexpected(struct tp_admin_call *call);         /* 500 */

/* JSON text from text that may hold anything: bad bytes become U+FFFD. Owned. */
json_t *tp_admin_json_text(struct tp_str s);

#endif
