/*
 * Expected failures. Our own bugs are TP_ASSERT; an operator's mistakes are tp_diag (base/diag.h).
 */
#ifndef TURNPIKE_ERR_H
#define TURNPIKE_ERR_H

enum tp_err {
    TP_OK = 0,
    TP_ERR_INVALID, /* malformed or out of range: a diag or an error tree says what */
    TP_ERR_NOT_FOUND,
    TP_ERR_EXISTS,    /* would break uniqueness */
    TP_ERR_REFERENCE, /* a foreign key that points nowhere, or a row that others point to */
    TP_ERR_TOO_LARGE,
    TP_ERR_FULL,        /* a bounded container, the disk, or the read model's map is full */
    TP_ERR_IO,          /* the operating system or a file */
    TP_ERR_UNAVAILABLE, /* a database, Redis, control or a name server is not there */
    TP_ERR_TIMEOUT,
    TP_ERR_DAMAGED, /* stored bytes are not what we wrote */
    TP_ERR_CLOSED,  /* the other side has gone */
    TP_ERR_AGAIN,   /* would wait: call again when woken */
};

/* A short lower-case English phrase for logs; static storage. */
const char *tp_err_text(enum tp_err err);

_Noreturn void tp_assert_failed(const char *expr, const char *file, int line);

/* A bug of ours. Nothing that a peer or an operator sends may trip it. */
#define TP_ASSERT(expr) ((expr) ? (void)0 : tp_assert_failed(#expr, __FILE__, __LINE__))

#endif
