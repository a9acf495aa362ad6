/* Certificates and keys as files for nginx. */
#include "cli/tls_files.h"

#include "base/mem.h"
#include "base/paths.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#define SELF_SIGNED_DAYS (20 * 365L)

void tp_tls_files_fini(struct tp_tls_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->pairs[i].certificate);
        free(files->pairs[i].key);
    }
    files->count = 0;
}

/* PEM itself, or base64 of PEM: the PEM text, owned. NULL: `item` is a path. */
static char *inline_pem(struct tp_str item)
{
    unsigned char *decoded;
    int len;

    if (tp_str_find(item, TP_STR("-----BEGIN")) >= 0)
        return tp_strndup(item);
    if (item.len < 64 || item.len % 4 != 0 || item.len > 1 << 20)
        return NULL;
    decoded = tp_calloc(1, item.len + 1);
    len = EVP_DecodeBlock(decoded, (const unsigned char *)item.data, (int)item.len);
    if (len > 0 && strstr((char *)decoded, "-----BEGIN"))
        return (char *)decoded;
    free(decoded);
    return NULL;
}

/* A path for one item of ssl_cert or ssl_cert_key. Owned; NULL after a finding. */
static char *item_file(struct tp_str item, const char *setting, size_t i, const struct tp_layout *layout,
                       struct tp_diag *diag)
{
    char *pem = inline_pem(item), *path, name[128];

    if (!pem) {
        path = tp_strndup(item);
        if (access(path, R_OK) == 0)
            return path;
        tp_diag_add(diag, setting, "%s: no such file at %s", setting, path);
        free(path);
        return NULL;
    }
    snprintf(name, sizeof(name), "ssl/%s-%zu.pem", setting, i + 1);
    path = tp_path_under(layout->prefix, name);
    if (tp_file_replace(path, tp_str_from_cstr(pem), 0600, (gid_t)-1, diag)) {
        free(path);
        path = NULL;
    }
    free(pem);
    return path;
}

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name;
    X509V3_CTX ctx;
    X509_EXTENSION *alt;
    bool ok;

    if (!cert)
        return NULL;
    name = X509_get_subject_name(cert);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    alt = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, "DNS:localhost");
    ok = alt && X509_set_version(cert, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
         X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
         X509_gmtime_adj(X509_getm_notAfter(cert), SELF_SIGNED_DAYS * 86400) && X509_set_pubkey(cert, key) &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0) &&
         X509_set_issuer_name(cert, name) && X509_add_ext(cert, alt, -1) && X509_sign(cert, key, EVP_sha256());
    X509_EXTENSION_free(alt);
    if (ok)
        return cert;
    X509_free(cert);
    return NULL;
}

static enum tp_err write_bio(BIO *bio, const char *path, struct tp_diag *diag)
{
    char *data;
    long len = BIO_get_mem_data(bio, &data);

    return tp_file_replace(path, tp_str_make(data, (size_t)len), 0600, (gid_t)-1, diag);
}

static enum tp_err write_pair(const struct tp_tls_pair *pair, EVP_PKEY *key, X509 *cert, struct tp_diag *diag)
{
    BIO *key_text = BIO_new(BIO_s_mem()), *cert_text = BIO_new(BIO_s_mem());
    enum tp_err err = TP_ERR_IO;

    if (key_text && cert_text && PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) &&
        PEM_write_bio_X509(cert_text, cert))
        err = write_bio(key_text, pair->key, diag);
    if (!err)
        err = write_bio(cert_text, pair->certificate, diag); /* last: its presence means that both are there */
    BIO_free(key_text);
    BIO_free(cert_text);
    return err;
}

static enum tp_err make_self_signed(const struct tp_tls_pair *pair, bool ecdsa, struct tp_diag *diag)
{
    EVP_PKEY *key;
    X509 *cert;
    enum tp_err err = TP_ERR_IO;

    if (access(pair->certificate, R_OK) == 0 && access(pair->key, R_OK) == 0)
        return TP_OK;
    key = ecdsa ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    cert = key ? self_signed(key) : NULL;
    if (cert)
        err = write_pair(pair, key, cert, diag);
    else
        tp_diag_add(diag, NULL, "cannot make a self-signed certificate");
    X509_free(cert);
    EVP_PKEY_free(key);
    return err;
}

/* One pair for all listeners without a certificate of their own: RSA for old clients, ECDSA for the rest. */
static enum tp_err default_files(struct tp_tls_files *out, const struct tp_layout *layout, struct tp_diag *diag)
{
    static const char *const names[][2] = { { "ssl/default.crt", "ssl/default.key" },
                                            { "ssl/default-ecdsa.crt", "ssl/default-ecdsa.key" } };
    enum tp_err err = TP_OK;

    for (size_t i = 0; i < 2 && !err; i++) {
        struct tp_tls_pair *pair = &out->pairs[out->count++];

        pair->certificate = tp_path_under(layout->prefix, names[i][0]);
        pair->key = tp_path_under(layout->prefix, names[i][1]);
        err = make_self_signed(pair, i == 1, diag);
    }
    return err;
}

enum tp_err tp_tls_files_make(struct tp_tls_files *out, const char *stem, const struct tp_settings *settings,
                              const struct tp_layout *layout, struct tp_diag *diag)
{
    char cert_name[64], key_name[64];
    struct tp_str certs, keys, cert, key;
    enum tp_err err = TP_OK;

    *out = (struct tp_tls_files){ 0 };
    snprintf(cert_name, sizeof(cert_name), "%sssl_cert", stem);
    snprintf(key_name, sizeof(key_name), "%sssl_cert_key", stem);
    certs = tp_str_from_cstr(tp_settings_text(settings, cert_name));
    keys = tp_str_from_cstr(tp_settings_text(settings, key_name));
    if (!certs.data)
        err = default_files(out, layout, diag);
    while (!err && out->count < TP_TLS_PAIRS_MAX && tp_str_next(&certs, ',', &cert) && tp_str_next(&keys, ',', &key)) {
        struct tp_tls_pair *pair = &out->pairs[out->count];

        pair->certificate = item_file(tp_str_trim(cert), cert_name, out->count, layout, diag);
        pair->key = item_file(tp_str_trim(key), key_name, out->count, layout, diag);
        out->count++;
        if (!pair->certificate || !pair->key)
            err = TP_ERR_INVALID;
    }
    if (err)
        tp_tls_files_fini(out);
    return err;
}
