// SPDX-License-Identifier: MIT
// Owns one HTTP exchange with a hub: its redirects, its limits, who gets the token, and when to try again.
// It must not know repositories or files. Redirects are followed here, not by libcurl, because each step is checked:
// https, or http when the endpoint itself was given as http; the token goes to the endpoint's host alone.
#include "hub_impl.h"
#include "libs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct hub_http {
    const hub_settings *settings;
    const hub_events *events;
    CURL *curl;
    char why[CURL_ERROR_SIZE];
    bool plain; // http is allowed: the endpoint is
};

// ---- addresses ----

typedef struct origin {
    char *scheme, *host, *port;
} origin;

static void origin_free(origin *o)
{
    hub_libs.curl_free(o->scheme);
    hub_libs.curl_free(o->host);
    hub_libs.curl_free(o->port);
}

static bool origin_of(const char *url, origin *o)
{
    *o = (origin){0};
    CURLU *parsed = hub_libs.curl_url();
    bool ok = parsed && hub_libs.curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
              hub_libs.curl_url_get(parsed, CURLUPART_SCHEME, &o->scheme, 0) == CURLUE_OK &&
              hub_libs.curl_url_get(parsed, CURLUPART_HOST, &o->host, 0) == CURLUE_OK &&
              hub_libs.curl_url_get(parsed, CURLUPART_PORT, &o->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    hub_libs.curl_url_cleanup(parsed);
    return ok;
}

static bool same_origin(const char *a, const char *b)
{
    origin x, y;
    bool known_x = origin_of(a, &x), known_y = origin_of(b, &y);
    bool same = known_x && known_y && strcasecmp(x.scheme, y.scheme) == 0 && strcasecmp(x.host, y.host) == 0 &&
                strcmp(x.port, y.port) == 0;
    origin_free(&x);
    origin_free(&y);
    return same;
}

static bool allowed_scheme(const hub_http *http, const char *url)
{
    return strncasecmp(url, "https://", 8) == 0 || (http->plain && strncasecmp(url, "http://", 7) == 0);
}

// Where an answer from `from` sends to: an absolute address (free()) that may be asked.
static ql_code redirected(const hub_http *http, const char *from, const char *location, char **to, ql_error *err)
{
    CURLU *url = hub_libs.curl_url();
    char *whole = NULL, *user = NULL;
    bool ok = url && *location && hub_libs.curl_url_set(url, CURLUPART_URL, from, 0) == CURLUE_OK &&
              hub_libs.curl_url_set(url, CURLUPART_URL, location, 0) == CURLUE_OK &&
              hub_libs.curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
              hub_libs.curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK && allowed_scheme(http, whole);
    *to = ok ? strdup(whole) : NULL;
    hub_libs.curl_free(whole);
    hub_libs.curl_free(user);
    hub_libs.curl_url_cleanup(url);
    if (*to)
        return QL_OK;
    return ok ? ql_fail_memory(err, strlen(location))
              : ql_fail(err, QL_E_IO, "%s redirects to \"%.200s\", which is not asked: only https is", from, location);
}

// ---- one exchange ----

typedef struct exchange {
    hub_http *http;
    const hub_request *request;
    hub_answer *answer;
    ql_code code; // of the sink
    ql_error *err;
} exchange;

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    exchange *x = user;
    hub_headers_line(&x->answer->headers, line, size * n);
    return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
    exchange *x = user;
    hub_answer *answer = x->answer;
    size_t len = size * n;
    long status = answer->headers.status;
    if (status != 200 && status != 206)
        return len; // what an error says to people in HTML is not of use
    if (x->request->sink) {
        x->code = x->request->sink(x->request->user, &answer->headers, bytes, len, x->err);
        return x->code == QL_OK ? len : 0;
    }
    ql_buf_append(&answer->body, bytes, len);
    if (answer->body.failed)
        x->code = ql_fail_memory(x->err, answer->body.len + len);
    else if (answer->body.len > HUB_MAX_METADATA)
        x->code = ql_fail(x->err, QL_E_IO, "%s sends more than %d bytes where a listing is expected", x->request->url,
                          HUB_MAX_METADATA);
    return x->code == QL_OK ? len : 0;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return hub_cancelled(((exchange *)user)->http->events);
}

static struct curl_slist *header_list(const hub_http *http, const char *url)
{
    struct curl_slist *list = hub_libs.curl_slist_append(NULL, "Accept-Encoding: identity");
    if (list && http->settings->token && same_origin(url, http->settings->endpoint)) {
        char *line = hub_format("Authorization: Bearer %s", http->settings->token);
        struct curl_slist *longer = line ? hub_libs.curl_slist_append(list, line) : NULL;
        free(line);
        if (!longer)
            hub_libs.curl_slist_free_all(list);
        list = longer;
    }
    return list;
}

static void set_options(exchange *x, const char *url, struct curl_slist *headers)
{
    hub_http *http = x->http;
    CURL *c = http->curl;
    bool content = x->request->sink != NULL;
    long timeout = content ? http->settings->download_timeout : http->settings->metadata_timeout;
    const char *authorities = getenv("SSL_CERT_FILE") ? getenv("SSL_CERT_FILE") : getenv("CURL_CA_BUNDLE");
    hub_libs.curl_easy_reset(c);
    hub_libs.curl_easy_setopt(c, CURLOPT_URL, url);
    hub_libs.curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTPS | (http->plain ? CURLPROTO_HTTP : 0)));
    hub_libs.curl_easy_setopt(c, CURLOPT_USERAGENT, "quantllm/" QL_VERSION);
    hub_libs.curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    hub_libs.curl_easy_setopt(c, CURLOPT_NOBODY, (long)x->request->head);
    if (x->request->from) { // not RESUME_FROM: libcurl would refuse a server that ignores ranges, the sink starts anew
        char range[32];
        snprintf(range, sizeof range, "%llu-", (unsigned long long)x->request->from);
        hub_libs.curl_easy_setopt(c, CURLOPT_RANGE, range); // copied
    }
    hub_libs.curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    hub_libs.curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    hub_libs.curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, timeout);
    hub_libs.curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L); // bytes a second, for so long:
    hub_libs.curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, timeout);
    if (!content) // a listing that trickles is no listing
        hub_libs.curl_easy_setopt(c, CURLOPT_TIMEOUT, 6 * timeout);
    if (authorities && *authorities)
        hub_libs.curl_easy_setopt(c, CURLOPT_CAINFO, authorities);
    hub_libs.curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    hub_libs.curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    hub_libs.curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    hub_libs.curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    hub_libs.curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    hub_libs.curl_easy_setopt(c, CURLOPT_XFERINFODATA, x);
    hub_libs.curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    http->why[0] = 0;
    hub_libs.curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->why);
}

static ql_code explain_failure(exchange *x, CURLcode result)
{
    const hub_http *http = x->http;
    char label[256];
    const char *why = *http->why ? http->why : hub_libs.curl_easy_strerror(result);
    if (x->code != QL_OK)
        return x->code;
    if (result == CURLE_ABORTED_BY_CALLBACK)
        return hub_fail_cancelled(x->err);
    hub_label(http->settings, label, sizeof label);
    if (result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE)
        return ql_fail(x->err, QL_E_IO, "%s is not who it says it is (%s): check the network and the clock, or name the "
                       "right authorities with SSL_CERT_FILE", label, why);
    x->answer->again = true;
    return ql_fail(x->err, QL_E_IO, "no connection to %s (%s): check the network, or give the path of a model", label,
                   why);
}

static ql_code ask(exchange *x, const char *url)
{
    struct curl_slist *headers = header_list(x->http, url);
    if (!headers)
        return ql_fail_memory(x->err, 4096);
    hub_answer_clear(x->answer);
    set_options(x, url, headers);
    CURLcode result = hub_libs.curl_easy_perform(x->http->curl);
    hub_libs.curl_slist_free_all(headers);
    return result == CURLE_OK ? QL_OK : explain_failure(x, result);
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

ql_code hub_http_once(hub_http *http, const hub_request *request, hub_answer *answer, ql_error *err)
{
    exchange x = {http, request, answer, QL_OK, err};
    char *url = strdup(request->url);
    ql_code code = url ? ask(&x, url) : ql_fail_memory(err, strlen(request->url));
    for (int n = 0; code == QL_OK && is_redirect(answer->headers.status); n++) {
        char *to = NULL;
        if (request->head && *answer->headers.linked_etag)
            break; // this is what was asked for
        if (n == HUB_MAX_REDIRECTS)
            code = ql_fail(err, QL_E_IO, "%s redirects more than %d times", request->url, HUB_MAX_REDIRECTS);
        else
            code = redirected(http, url, answer->headers.location, &to, err);
        if (code != QL_OK || (request->head && !same_origin(url, to))) {
            free(to);
            break;
        }
        free(url);
        url = to;
        code = ask(&x, url);
    }
    free(url);
    return code;
}

void hub_answer_clear(hub_answer *answer)
{
    hub_headers_clear(&answer->headers);
    ql_buf_free(&answer->body);
    answer->again = false;
}

// ---- again ----

static bool worth_another(const hub_answer *answer, ql_code code)
{
    long status = answer->headers.status;
    return code == QL_OK ? status == 408 || status == 429 || (status >= 500 && status <= 504) : answer->again;
}

bool hub_http_again(hub_http *http, const hub_answer *answer, ql_code code, int *attempt)
{
    enum { PATIENCE = 60, SLICE = 50 }; // seconds that a hub may ask for; milliseconds until a signal is seen
    if (!worth_another(answer, code) || *attempt >= http->settings->retries || answer->headers.retry_after > PATIENCE)
        return false;
    long pause = 500L << (*attempt < 6 ? *attempt : 6); // 0.5, 1, 2, 4, ... s
    if (code == QL_OK && answer->headers.retry_after >= 0)
        pause = answer->headers.retry_after * 1000;
    if (pause >= 1000)
        hub_note(http->events, "%s, trying again in %ld s", code == QL_OK ? "the Hub is busy" : "the connection was lost",
                 pause / 1000);
    for (; pause > 0; pause -= SLICE) {
        struct timespec slice = {0, SLICE * 1000000L};
        if (hub_cancelled(http->events))
            return false;
        nanosleep(&slice, NULL);
    }
    ++*attempt;
    return true;
}

ql_code hub_http_get(hub_http *http, const hub_request *request, hub_answer *answer, ql_error *err)
{
    int attempt = 0;
    ql_code code;
    do
        code = hub_http_once(http, request, answer, err);
    while (hub_http_again(http, answer, code, &attempt));
    return hub_cancelled(http->events) ? hub_fail_cancelled(err) : code;
}

ql_code hub_http_open(const hub_settings *settings, const hub_events *events, hub_http **http, ql_error *err)
{
    QL_TRY(hub_libs_load(err));
    hub_http *h = calloc(1, sizeof *h);
    if (h)
        h->curl = hub_libs.curl_easy_init();
    if (!h || !h->curl) {
        free(h);
        return ql_fail_memory(err, sizeof *h);
    }
    h->settings = settings;
    h->events = events;
    h->plain = strncmp(settings->endpoint, "http://", 7) == 0;
    *http = h;
    return QL_OK;
}

void hub_http_close(hub_http *http)
{
    if (!http)
        return;
    hub_libs.curl_easy_cleanup(http->curl);
    free(http);
}
