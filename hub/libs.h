// SPDX-License-Identifier: MIT
// libcurl and libcrypto, loaded when the network is first needed. Linked, they and their 30 libraries would add 9.5 ms to
// every start of the command (measured: 1.2 ms to 10.7 ms for an empty main), and most starts need no network.
#ifndef HUB_LIBS_H
#define HUB_LIBS_H

#define CURL_DISABLE_TYPECHECK
#define CURL_DISABLE_DEPRECATION
#include <curl/curl.h>
#include <openssl/evp.h>

#include "base/error.h"

#define HUB_CURL(X)                                                                                                  \
    X(curl_global_init) X(curl_easy_init) X(curl_easy_setopt) X(curl_easy_perform) X(curl_easy_reset)                \
    X(curl_easy_cleanup) X(curl_easy_strerror) X(curl_slist_append) X(curl_slist_free_all) X(curl_url) X(curl_url_set) \
    X(curl_url_get) X(curl_url_cleanup) X(curl_free)
#define HUB_CRYPTO(X)                                                                                                \
    X(EVP_MD_CTX_new) X(EVP_MD_CTX_free) X(EVP_DigestInit_ex) X(EVP_DigestUpdate) X(EVP_DigestFinal_ex) X(EVP_sha1)  \
    X(EVP_sha256)

// Each function under its own name: hub_libs.curl_easy_perform(...).
#define HUB_POINTER(function) __typeof__(function) *function;
typedef struct hub_library_functions {
    HUB_CURL(HUB_POINTER)
    HUB_CRYPTO(HUB_POINTER)
} hub_library_functions;

extern hub_library_functions hub_libs; // filled by hub_libs_load

ql_code hub_libs_load(ql_error *err);
ql_code hub_libs_load_crypto(ql_error *err); // of checksums alone

#endif
