#include <criterion/criterion.h>
#include <string.h>

#include "admission.h"
#include "source_table.h"
#include "util.h"

#define NETWORKS_MAX 8

static struct prefix allowed[NETWORKS_MAX], denied[NETWORKS_MAX], believed[NETWORKS_MAX];
static struct prefix_list allow = {.prefixes = allowed}, deny = {.prefixes = denied},
                          proxy_sources = {.prefixes = believed};
static struct source_table sources;
static struct admission admission = {
        .allow = &allow,
        .deny = &deny,
        .proxy_sources = &proxy_sources,
        .max_connections = 10,
        .sources = &sources,
};

static void open_table(void)
{
        source_table_init(&sources, (const uint8_t[SIPHASH_KEY_SIZE]){0});
}

static void close_table(void)
{
        source_table_destroy(&sources);
}

TestSuite(admission, .init = open_table, .fini = close_table);

/* While so many are open. Who is admitted is gone again at once. */
static int decide_while(const struct address *peer, uint64_t n_open)
{
        struct source *source;
        int r = admission_decide(&admission, peer, n_open, 0, &source);

        source_release(source);
        return r;
}

static void add(struct prefix_list *list, const char *network)
{
        cr_assert_lt(list->n_prefixes, NETWORKS_MAX);
        cr_assert_eq(prefix_parse(&list->prefixes[list->n_prefixes++], network), 0, "%s", network);
}

static int decide(const char *peer)
{
        struct address address;

        cr_assert_eq(address_parse(&address, peer, 51000), 0, "%s", peer);
        return decide_while(&address, 0);
}

static int decide_unix(uint64_t n_open)
{
        const struct address peer = {.family = AF_UNIX};

        return decide_while(&peer, n_open);
}

Test(admission, empty_lists_admit_everybody)
{
        cr_assert_eq(decide("192.0.2.1"), ADMITTED);
        cr_assert_eq(decide("2001:db8::1"), ADMITTED);
        cr_assert_eq(decide("0.0.0.0"), ADMITTED);
        cr_assert_eq(decide("::"), ADMITTED);
}

Test(admission, allow_alone_admits_nobody_else)
{
        add(&allow, "192.0.2.0/24");
        cr_assert_eq(decide("192.0.2.0"), ADMITTED);
        cr_assert_eq(decide("192.0.2.255"), ADMITTED);
        cr_assert_eq(decide("192.0.1.255"), REFUSED_DENY);
        cr_assert_eq(decide("192.0.3.0"), REFUSED_DENY);
        cr_assert_eq(decide("2001:db8::1"), REFUSED_DENY);
}

Test(admission, deny_alone_refuses_nobody_else)
{
        add(&deny, "2001:db8::/32");
        cr_assert_eq(decide("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), REFUSED_DENY);
        cr_assert_eq(decide("2001:db9::"), ADMITTED);
        cr_assert_eq(decide("32.1.13.184"), ADMITTED); /* the same first bits, another family */
}

Test(admission, the_longest_match_decides)
{
        add(&deny, "0.0.0.0/0");
        add(&allow, "10.0.0.0/8");
        add(&deny, "10.1.0.0/16");
        add(&allow, "10.1.2.0/24");
        add(&deny, "10.1.2.3");
        cr_assert_eq(decide("11.0.0.0"), REFUSED_DENY);
        cr_assert_eq(decide("10.2.0.0"), ADMITTED);
        cr_assert_eq(decide("10.1.3.0"), REFUSED_DENY);
        cr_assert_eq(decide("10.1.2.4"), ADMITTED);
        cr_assert_eq(decide("10.1.2.3"), REFUSED_DENY);
}

Test(admission, the_order_within_a_list_does_not_matter)
{
        add(&allow, "10.1.2.0/24");
        add(&allow, "10.0.0.0/8");
        add(&deny, "10.1.2.3");
        add(&deny, "10.1.0.0/16");
        cr_assert_eq(decide("10.1.2.4"), ADMITTED);
        cr_assert_eq(decide("10.1.2.3"), REFUSED_DENY);
        cr_assert_eq(decide("10.1.3.0"), REFUSED_DENY);
}

Test(admission, deny_wins_a_tie)
{
        add(&allow, "10.0.0.0/8");
        add(&deny, "10.0.0.0/8");
        cr_assert_eq(decide("10.0.0.1"), REFUSED_DENY);
}

Test(admission, deny_wins_a_tie_of_everybody)
{
        add(&allow, "0.0.0.0/0");
        add(&deny, "0.0.0.0/0");
        cr_assert_eq(decide("10.0.0.1"), REFUSED_DENY);
}

Test(admission, a_whole_family_can_be_allowed)
{
        add(&allow, "::/0");
        cr_assert_eq(decide("::1"), ADMITTED);
        cr_assert_eq(decide("127.0.0.1"), REFUSED_DENY);
        add(&allow, "0.0.0.0/0");
        cr_assert_eq(decide("127.0.0.1"), ADMITTED);
}

Test(admission, a_mapped_peer_counts_as_ipv4)
{
        add(&deny, "192.0.2.0/24");
        cr_assert_eq(decide("::ffff:192.0.2.1"), REFUSED_DENY);
        cr_assert_eq(decide("::ffff:192.0.3.1"), ADMITTED);
}

Test(admission, a_mapped_network_counts_as_ipv4)
{
        add(&deny, "::ffff:192.0.2.0/120");
        cr_assert_eq(decide("192.0.2.1"), REFUSED_DENY);
        cr_assert_eq(decide("192.0.3.1"), ADMITTED);
}

Test(admission, an_ipv6_network_does_not_reach_mapped_peers)
{
        add(&deny, "::/0");
        cr_assert_eq(decide("::ffff:192.0.2.1"), ADMITTED);
}

Test(admission, the_lists_do_not_concern_unix_peers)
{
        add(&allow, "192.0.2.0/24");
        add(&deny, "0.0.0.0/0");
        add(&deny, "::/0");
        cr_assert_eq(decide_unix(0), ADMITTED);
}

Test(admission, the_last_place_is_given_and_the_next_is_not)
{
        const struct address peer = {.family = AF_INET};

        cr_assert_eq(decide_while(&peer, 9), ADMITTED);
        cr_assert_eq(decide_while(&peer, 10), REFUSED_FULL);
        cr_assert_eq(decide_while(&peer, 11), REFUSED_FULL);
        cr_assert_eq(decide_while(&peer, UINT64_MAX), REFUSED_FULL);
}

Test(admission, unix_peers_need_a_place_too)
{
        cr_assert_eq(decide_unix(10), REFUSED_FULL);
}

Test(admission, who_is_denied_is_not_told_that_it_is_full)
{
        struct address peer;

        add(&deny, "192.0.2.1");
        cr_assert_eq(address_parse(&peer, "192.0.2.1", 1), 0);
        cr_assert_eq(decide_while(&peer, 10), REFUSED_DENY);
}

static void limit(uint32_t max_connections, double rate)
{
        source_table_set_limits(&sources, &(struct source_limits){max_connections, rate}, 0);
}

Test(admission, a_source_may_have_so_many_connections_and_no_more)
{
        struct address peer = {.family = AF_INET, .ip = {192, 0, 2, 1}};
        struct source *first, *second;

        limit(1, 0);
        cr_assert_eq(admission_decide(&admission, &peer, 0, 0, &first), ADMITTED);
        cr_assert_not_null(first);
        cr_assert_eq(admission_decide(&admission, &peer, 1, 0, &second), REFUSED_SOURCE_LIMIT);
        cr_assert_null(second);
        source_release(first);
        cr_assert_eq(decide("192.0.2.1"), ADMITTED);
}

Test(admission, a_source_may_not_come_too_fast)
{
        limit(0, 2);
        cr_assert_eq(decide("192.0.2.1"), ADMITTED);
        cr_assert_eq(decide("192.0.2.1"), ADMITTED);
        cr_assert_eq(decide("192.0.2.1"), REFUSED_SOURCE_RATE);
        cr_assert_eq(decide("192.0.2.2"), ADMITTED);
}

Test(admission, the_limits_of_sources_do_not_concern_unix_peers)
{
        limit(1, 1);
        for (int i = 0; i < 3; i++)
                cr_assert_eq(decide_unix(0), ADMITTED);
}

Test(admission, who_is_denied_or_finds_no_place_takes_no_token)
{
        const struct address peer = {.family = AF_INET, .ip = {192, 0, 2, 1}};

        limit(0, 1);
        cr_assert_eq(decide_while(&peer, 10), REFUSED_FULL);
        add(&deny, "192.0.2.1");
        cr_assert_eq(decide_while(&peer, 0), REFUSED_DENY);
        cr_assert_eq(sources.n_sources, 0);
        deny.n_prefixes = 0;
        cr_assert_eq(decide_while(&peer, 9), ADMITTED);
        cr_assert_eq(decide_while(&peer, 9), REFUSED_SOURCE_RATE);
        cr_assert_eq(decide_while(&peer, 10), REFUSED_FULL);
}

Test(admission, of_both_limits_of_a_source_that_on_connections_is_told)
{
        const struct address peer = {.family = AF_INET, .ip = {192, 0, 2, 1}};
        struct source *source, *none;

        limit(1, 1);
        cr_assert_eq(admission_decide(&admission, &peer, 0, 0, &source), ADMITTED);
        cr_assert_eq(admission_decide(&admission, &peer, 1, 0, &none), REFUSED_SOURCE_LIMIT);
        source_release(source);
        cr_assert_eq(decide_while(&peer, 0), REFUSED_SOURCE_RATE);
}

static bool believes(const char *peer)
{
        struct address address;

        cr_assert_eq(address_parse(&address, peer, 51000), 0, "%s", peer);
        return admission_believes(&admission, &address);
}

Test(admission, only_proxy_sources_are_believed)
{
        cr_assert_not(believes("192.0.2.1"));
        add(&proxy_sources, "192.0.2.0/24");
        add(&allow, "2001:db8::/32");
        cr_assert(believes("192.0.2.1"));
        cr_assert_not(believes("192.0.3.1"));
        cr_assert_not(believes("2001:db8::1"));
        add(&proxy_sources, "2001:db8::1");
        cr_assert(believes("2001:db8::1"));
        cr_assert_not(believes("2001:db8::2"));
}

/* The lists are about clients, and it is none. */
Test(admission, a_proxy_may_be_denied_and_believed)
{
        add(&proxy_sources, "192.0.2.1");
        add(&deny, "192.0.2.1");
        cr_assert(believes("192.0.2.1"));
}

Test(admission, unix_peers_are_believed)
{
        cr_assert(admission_believes(&admission, &(struct address){.family = AF_UNIX}));
}

Test(admission, verdicts_have_the_names_of_the_metrics)
{
        cr_assert_str_eq(admission_verdict_name(REFUSED_DENY), "deny");
        cr_assert_str_eq(admission_verdict_name(REFUSED_FULL), "full");
        cr_assert_str_eq(admission_verdict_name(REFUSED_SOURCE_LIMIT), "source_limit");
        cr_assert_str_eq(admission_verdict_name(REFUSED_SOURCE_RATE), "source_rate");
        cr_assert_str_eq(admission_verdict_name(REFUSED_PROXY_HEADER), "proxy_header");
        for (enum admission_verdict verdict = 0; verdict < N_ADMISSION_VERDICTS; verdict++)
                cr_assert_not_null(admission_verdict_name(verdict));
}
