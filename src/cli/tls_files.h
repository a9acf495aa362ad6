/*
 * The certificates of nginx's own listeners, as files: given ones by path, inline ones written below the prefix, and
 * a self-signed pair for listeners with `ssl` that have none.
 */
#ifndef TP_CLI_TLS_FILES_H
#define TP_CLI_TLS_FILES_H

#include "cli/layout.h"

#define TP_TLS_PAIRS_MAX 8

struct tp_tls_pair {
    char *certificate;
    char *key;
};

struct tp_tls_files {
    struct tp_tls_pair pairs[TP_TLS_PAIRS_MAX];
    size_t count;
};

/*
 * Files for the settings <stem>ssl_cert and <stem>ssl_cert_key ("", "admin_", "status_"). On success *out is
 * filled: tp_tls_files_fini.
 */
enum tp_err tp_tls_files_make(struct tp_tls_files *out, const char *stem, const struct tp_settings *settings,
                              const struct tp_layout *layout, struct tp_diag *diag);
void tp_tls_files_fini(struct tp_tls_files *files);

#endif
