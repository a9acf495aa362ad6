/*
 * Where an instance keeps its things, relative to its prefix. Unix socket paths end at 107 bytes.
 */
#ifndef TP_BASE_PATHS_H
#define TP_BASE_PATHS_H

#define TP_PATH_SETTINGS "run/settings.json" /* effective settings, flat JSON: read by control and by the module */
#define TP_PATH_SECRETS "run/secrets.json"   /* the secret ones in clear, mode 0600: read by control */
#define TP_PATH_CONTROL_PID "run/control.pid"
#define TP_PATH_CONTROL_LOCK "run/control.lock" /* held by control while it lives */
#define TP_PATH_RELOAD "run/reload"             /* how the last reload ended: "ok" or why not */
#define TP_PATH_START_LOG "logs/turnpike.log"   /* the supervisor in the background, and what its children say */
#define TP_PATH_NGINX_CONF "run/nginx.conf"     /* rendered at start */
#define TP_PATH_PID "run/turnpike.pid"          /* the supervisor's; locked while it lives */
#define TP_PATH_NGINX_PID "run/nginx.pid"
#define TP_PATH_NODE_ID "run/node.id"
#define TP_PATH_READ_MODEL "read"          /* plan/read_model.h */
#define TP_PATH_SHM "shared/state"         /* base/shm.h */
#define TP_PATH_LINK "sockets/link.sock"   /* base/frame.h */
#define TP_PATH_ADMIN "sockets/admin.sock" /* HTTP: the Admin API */
#define TP_PATH_SQLITE "data/turnpike.db"
#define TP_PATH_ERROR_LOG "logs/error.log"
#define TP_PATH_CONTROL_LOG "logs/control.log"

/* `prefix`/`relative`, or `relative` alone when it is absolute. Owned. */
char *tp_path_under(const char *prefix, const char *relative);

#endif
