/* version: ours, and of what it is built on. */
#include "cli/commands.h"

#include <curl/curl.h>
#include <jansson.h>
#include <lmdb.h>
#include <luajit.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

int tp_cmd_version(const struct tp_args *args)
{
    char pcre[64] = "";

    printf("%s\n", TURNPIKE_VERSION);
    if (!tp_args_get(args, "all"))
        return 0;
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    printf("compatible with Kong: 3.9.1\n"
           "nginx: " TURNPIKE_NGINX_VERSION "\nluajit: " LUAJIT_VERSION "\n"
           "sqlite: %s\nlmdb: %s\nopenssl: %s\njansson: %s\npcre2: %s\nlibmicrohttpd: %s\ncurl: %s\nlibsodium: %s\n",
           sqlite3_libversion(), mdb_version(NULL, NULL, NULL), OpenSSL_version(OPENSSL_VERSION_STRING),
           jansson_version_str(), pcre, MHD_get_version(), curl_version_info(CURLVERSION_NOW)->version,
           sodium_version_string());
    return 0;
}
