#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>

#include "target.h"

static struct target target;
static char text[TARGET_TEXT_MAX];

static void expect(const char *host, int family, const char *address, const char *name)
{
        cr_assert_eq(target_resolve(&target, host, 7007, family), 0);
        cr_assert_geq(target.n_addresses, 1);
        cr_assert_str_eq(target_format(&target.addresses[0], text), address);
        cr_assert_str_eq(target.name, name);
        target_free(&target);
}

Test(target, literal_addresses_are_taken_as_they_are)
{
        expect("192.0.2.1", AF_UNSPEC, "192.0.2.1", "192.0.2.1 port 7007");
        expect("2001:db8::1", AF_UNSPEC, "2001:db8::1", "2001:db8::1 port 7007");
        expect("127.0.0.1", AF_INET, "127.0.0.1", "127.0.0.1 port 7007");
}

#define N_FOUND 40

/* Found for a name, 192.0.2.1 and so on. */
static struct sockaddr_in found[N_FOUND];
static struct addrinfo list[N_FOUND];

int __real_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb on_found,
                          const char *node, const char *service, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb on_found,
                          const char *node, const char *service, const struct addrinfo *hints);
void __real_uv_freeaddrinfo(struct addrinfo *info);
void __wrap_uv_freeaddrinfo(struct addrinfo *info);

int __wrap_uv_getaddrinfo(uv_loop_t *loop, uv_getaddrinfo_t *request, uv_getaddrinfo_cb on_found,
                          const char *node, const char *service, const struct addrinfo *hints)
{
        if (strcmp(node, "many.example") != 0)
                return __real_uv_getaddrinfo(loop, request, on_found, node, service, hints);
        for (uint32_t i = 0; i < N_FOUND; i++) {
                found[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                                .sin_addr.s_addr = htonl(0xc0000201 + i)};
                list[i] = (struct addrinfo){.ai_addr = (struct sockaddr *)&found[i],
                                            .ai_addrlen = sizeof(found[i]),
                                            .ai_next = i + 1 < N_FOUND ? &list[i + 1] : NULL};
        }
        request->addrinfo = list;
        return 0;
}

void __wrap_uv_freeaddrinfo(struct addrinfo *info)
{
        if (info != list)
                __real_uv_freeaddrinfo(info);
}

Test(target, all_addresses_of_a_name_are_taken_in_their_order)
{
        char expected[TARGET_TEXT_MAX];

        cr_assert_eq(target_resolve(&target, "many.example", 7, AF_UNSPEC), 0);
        cr_assert_eq(target.n_addresses, N_FOUND);
        for (int i = 0; i < N_FOUND; i++) {
                snprintf(expected, sizeof(expected), "192.0.2.%d", i + 1);
                cr_assert_str_eq(target_format(&target.addresses[i], text), expected);
        }
        target_free(&target);
}

Test(target, a_path_is_a_unix_socket)
{
        expect("/run/echo.sock", AF_UNSPEC, "/run/echo.sock", "/run/echo.sock");
        expect("./echo.sock", AF_UNSPEC, "./echo.sock", "./echo.sock");
        cr_assert_eq(target_resolve(&target, "./echo.sock", 7, AF_UNSPEC), 0);
        cr_assert_eq(target.addresses[0].sockaddr.ss_family, AF_UNIX);
        target_free(&target);
}

Test(target, a_path_that_is_too_long_is_refused)
{
        char path[200];

        memset(path, '/', sizeof(path));
        path[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = '\0';
        cr_assert_eq(target_resolve(&target, path, 7, AF_UNSPEC), -ENAMETOOLONG);
        path[sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1] = '\0';
        cr_assert_eq(target_resolve(&target, path, 7, AF_UNSPEC), 0);
        target_free(&target);
}

Test(target, an_address_of_the_wrong_family_is_refused)
{
        cr_assert_lt(target_resolve(&target, "192.0.2.1", 7, AF_INET6), 0);
        cr_assert_lt(target_resolve(&target, "2001:db8::1", 7, AF_INET), 0);
}

/* The source of the n-th connection, or "" if the kernel chooses it. */
static const char *source(const char *host, uint64_t n)
{
        struct sockaddr_in chosen;
        bool is_chosen;

        cr_assert_eq(target_resolve(&target, host, 7, AF_UNSPEC), 0);
        cr_assert_geq(target.n_each_source, 1);
        target.n_each_source = 20000;
        is_chosen = target_source(&target, &target.addresses[0], n, &chosen);
        target_free(&target);
        if (!is_chosen)
                return "";
        cr_assert_eq(chosen.sin_port, 0);
        inet_ntop(AF_INET, &chosen.sin_addr, text, sizeof(text));
        return text;
}

Test(target, loopback_sources_follow_one_another_before_ports_run_out)
{
        cr_assert_str_eq(source("127.0.0.1", 0), "");
        cr_assert_str_eq(source("127.0.0.1", 19999), "");
        cr_assert_str_eq(source("127.0.0.1", 20000), "127.0.0.2");
        cr_assert_str_eq(source("127.0.0.1", 1000000), "127.0.0.51");
        cr_assert_str_eq(source("127.3.2.1", 20000), "127.0.0.2");
        for (uint64_t n = 0; n < 100000000; n += 9999)
                source("127.0.0.1", n);
}

Test(target, elsewhere_the_kernel_chooses_the_source)
{
        cr_assert_str_eq(source("192.0.2.1", 20000), "");
        cr_assert_str_eq(source("::1", 20000), "");
        cr_assert_str_eq(source("/run/echo.sock", 20000), "");
}
