#pragma once

/* A page that is fetched over HTTP, by libcurl. */

#include <stdint.h>

#define PAGE_TEXT_MAX 512

struct page_source {
        char url[PAGE_TEXT_MAX];
        int family; /* AF_UNSPEC: either */
        double timeout_s;
};

/*
 * Makes the URL of a host's metrics: `host` is a name, an address, or a URL, which is taken as it
 * is, but with /metrics where it has no path. -EINVAL: it is none of them; -ENOMEM. -ENOSYS: built
 * without libcurl.
 */
int page_source_init(struct page_source *ret_source, const char *host, uint16_t port, int family,
                     double timeout_s);

/*
 * Fetches the page, of at most 16 MiB; free(3) frees it. -ENOTCONN: nobody has answered; -EPROTO:
 * what came is no such page; -ENOMEM. `problem` then says what it was.
 */
int page_fetch(const struct page_source *source, char **ret_page,
               char problem[static PAGE_TEXT_MAX]);
