#include "page.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util.h"

#ifdef HAVE_CURL

#include <curl/curl.h>
#include <linux/tcp.h> /* libc's struct tcp_info is older */
#include <netinet/in.h>
#include <unistd.h>

#define PAGE_MAX_BYTES (16 << 20)

struct text {
        char *bytes;
        size_t length;
        bool is_answered; /* something came, be it a page or not */
};

static int error_of(CURLUcode code)
{
        return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

/* A URL without a path means the metrics. */
static CURLUcode complete_path(CURLU *url)
{
        char *path = NULL;
        CURLUcode code = curl_url_get(url, CURLUPART_PATH, &path, 0);

        if (code == CURLUE_OK && strcmp(path, "/") == 0)
                code = curl_url_set(url, CURLUPART_PATH, "/metrics", 0);
        curl_free(path);
        return code;
}

static CURLUcode set_host(CURLU *url, const char *host, uint16_t port)
{
        bool is_ipv6 = strchr(host, ':') && host[0] != '[';
        char text[PAGE_TEXT_MAX];

        if (strstr(host, "://"))
                return curl_url_set(url, CURLUPART_URL, host, 0);
        snprintf(text, sizeof(text), is_ipv6 ? "http://[%s]:%u/" : "http://%s:%u/", host, port);
        return curl_url_set(url, CURLUPART_URL, text, 0);
}

int page_source_init(struct page_source *ret_source, const char *host, uint16_t port, int family,
                     double timeout_s)
{
        CURLU *url = curl_url();
        char *whole = NULL;
        CURLUcode code;
        size_t length;

        if (!url)
                return -ENOMEM;
        *ret_source = (struct page_source){.family = family, .timeout_s = timeout_s};
        code = set_host(url, host, port);
        if (code == CURLUE_OK)
                code = complete_path(url);
        if (code == CURLUE_OK)
                code = curl_url_get(url, CURLUPART_URL, &whole, 0);
        curl_url_cleanup(url);
        if (code != CURLUE_OK)
                return error_of(code);
        length = strlen(whole);
        if (length < sizeof(ret_source->url))
                memcpy(ret_source->url, whole, length + 1);
        curl_free(whole);
        return length < sizeof(ret_source->url) ? 0 : -EINVAL;
}

/* Less than was given tells libcurl to stop. */
static size_t on_bytes(char *bytes, size_t size, size_t n, void *user)
{
        struct text *text = user;
        size_t length = size * n;
        char *grown;

        if (length > PAGE_MAX_BYTES - text->length)
                return 0;
        grown = realloc(text->bytes, text->length + length + 1);
        if (!grown)
                return 0;
        memcpy(grown + text->length, bytes, length);
        text->bytes = grown;
        text->length += length;
        grown[text->length] = '\0';
        return length;
}

/* libcurl does not tell bytes that are no HTTP. An end alone has no data. */
static int on_close(void *user, curl_socket_t descriptor)
{
        struct text *text = user;
        struct tcp_info info = {0};

        getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)});
        text->is_answered = text->is_answered || info.tcpi_data_segs_in > 0;
        return close(descriptor);
}

static void set_options(CURL *curl, const struct page_source *source, struct text *text,
                        char *problem)
{
        static const long resolve[] = {CURL_IPRESOLVE_WHATEVER, CURL_IPRESOLVE_V4,
                                       CURL_IPRESOLVE_V6};
        int family = source->family == AF_INET ? 1 : source->family == AF_INET6 ? 2 : 0;

        curl_easy_setopt(curl, CURLOPT_URL, source->url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_IPRESOLVE, resolve[family]);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(source->timeout_s * 1e3) + 1);
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "echoc/" ECHOD_VERSION);
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, text);
        curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, on_close);
        curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, text);
}

/* What came, with what libcurl says of how it came. */
static int judge(CURLcode code, long status, const struct text *text, char *problem)
{
        if (code != CURLE_OK && problem[0] == '\0')
                snprintf(problem, PAGE_TEXT_MAX, "%s", curl_easy_strerror(code));
        if (code != CURLE_OK)
                return text->is_answered ? -EPROTO : -ENOTCONN;
        if (status == 200 && text->bytes)
                return 0;
        snprintf(problem, PAGE_TEXT_MAX, status == 200 ? "the page is empty" : "HTTP status %ld",
                 status);
        return -EPROTO;
}

int page_fetch(const struct page_source *source, char **ret_page,
               char problem[static PAGE_TEXT_MAX])
{
        static_assert(PAGE_TEXT_MAX >= CURL_ERROR_SIZE, "libcurl writes so much");
        struct text text = {0};
        CURL *curl = curl_easy_init();
        long status = 0;
        CURLcode code;
        int r;

        problem[0] = '\0';
        if (!curl)
                return -ENOMEM;
        set_options(curl, source, &text, problem);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(curl); /* closes */
        r = judge(code, status, &text, problem);
        if (r < 0)
                free(text.bytes);
        else
                *ret_page = text.bytes;
        return r;
}

#else

int page_source_init(struct page_source *ret_source, const char *host, uint16_t port, int family,
                     double timeout_s)
{
        (void)host;
        (void)port;
        *ret_source = (struct page_source){.family = family, .timeout_s = timeout_s};
        return -ENOSYS;
}

int page_fetch(const struct page_source *source, char **ret_page,
               char problem[static PAGE_TEXT_MAX])
{
        (void)source;
        (void)ret_page;
        snprintf(problem, PAGE_TEXT_MAX, "built without libcurl");
        return -ENOTCONN;
}

#endif
