// SPDX-License-Identifier: MIT
// Owns finding libcurl and libcrypto at run time. It must not know what they are used for.
// They are never unloaded: libcrypto registers an exit handler.
#include "libs.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

hub_library_functions hub_libs;

// The library's name is that of the headers this was compiled with.
static const char curl_name[] = "libcurl.so.4";
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
static const char crypto_name[] = "libcrypto.so.3";
#else
static const char crypto_name[] = "libcrypto.so.1.1";
#endif

typedef struct wanted {
    const char *name;
    size_t at; // in hub_libs
} wanted;

#define HUB_WANTED(function) {#function, offsetof(hub_library_functions, function)},
static const wanted curl_functions[] = {HUB_CURL(HUB_WANTED)};
static const wanted crypto_functions[] = {HUB_CRYPTO(HUB_WANTED)};
#define COUNT(array) (sizeof(array) / sizeof *(array))

static ql_code load(const char *library, const char *package, const wanted *functions, size_t n, ql_error *err)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return ql_fail(err, QL_E_UNSUPPORTED, "downloads and checksums need %s, which is not installed here (Debian: "
                       "apt-get install %s)", library, package);
    for (size_t i = 0; i < n; i++) {
        void *function = dlsym(handle, functions[i].name);
        if (!function)
            return ql_fail(err, QL_E_UNSUPPORTED, "%s has no %s: it is too old for downloads", library,
                           functions[i].name);
        *(void **)((char *)&hub_libs + functions[i].at) = function;
    }
    return QL_OK;
}

ql_code hub_libs_load_crypto(ql_error *err)
{
    return hub_libs.EVP_sha256 ? QL_OK
                               : load(crypto_name, "libssl3", crypto_functions, COUNT(crypto_functions), err);
}

ql_code hub_libs_load(ql_error *err)
{
    static bool loaded;
    if (loaded)
        return QL_OK;
    QL_TRY(load(curl_name, "libcurl4", curl_functions, COUNT(curl_functions), err));
    QL_TRY(hub_libs_load_crypto(err));
    if (hub_libs.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ql_fail(err, QL_E_UNSUPPORTED, "%s can not be initialized", curl_name);
    loaded = true;
    return QL_OK;
}
