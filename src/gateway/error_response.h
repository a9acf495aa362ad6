/* Texts of errors; the bodies are tp_error_body_make (gateway/request.h). */
#ifndef TP_GATEWAY_ERROR_RESPONSE_H
#define TP_GATEWAY_ERROR_RESPONSE_H

/* The text that goes with an HTTP status; NULL for one that has none. */
const char *tp_error_text(int status);

struct tp_grpc_error {
    const char *code;    /* grpc-status */
    const char *message; /* grpc-message, unless a plugin has its own */
};
struct tp_grpc_error tp_grpc_error_of(int status);

#endif
