/*
 * The fields of a plugin's `redis` record: names, defaults and ranges that Kong's plugins share.
 */
#include "turnpike/redis.h"

const struct tp_field tp_redis_fields[] = {
    TP_FIELD(struct tp_redis_conf, host, STRING, .check = tp_check_host, .about = "Name or address of the server."),
    TP_FIELD(struct tp_redis_conf, port, INTEGER, .def = "6379", .between = TP_BETWEEN(0, 65535),
             .about = "The server's port."),
    TP_FIELD(struct tp_redis_conf, timeout, INTEGER, .def = "2000", .between = TP_BETWEEN(0, 2147483646),
             .about = "Milliseconds that a call may take in all, connecting included."),
    TP_FIELD(struct tp_redis_conf, username, STRING, .referenceable = true,
             .about = "User to log in as; needs Redis 6. Unset: only the password is sent."),
    TP_FIELD(struct tp_redis_conf, password, STRING, .referenceable = true, .encrypted = true, .secret = true,
             .nullable_text = true, .about = "Password to log in with; unset: no login."),
    TP_FIELD(struct tp_redis_conf, database, INTEGER, .def = "0", .about = "Number of the database."),
    TP_FIELD(struct tp_redis_conf, ssl, BOOLEAN, .optional = true, .def = "false", .about = "Speak TLS to the server."),
    TP_FIELD(struct tp_redis_conf, ssl_verify, BOOLEAN, .optional = true, .def = "false",
             .about = "Verify the server's certificate."),
    TP_FIELD(struct tp_redis_conf, server_name, STRING, .optional = true, .check = tp_check_sni,
             .about = "Name to ask for and to verify in TLS; unset: the host."),
    { 0 },
};
