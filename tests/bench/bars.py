"""What the measurements must show. Each bar is one line: what, how much, how much it may be.

Of several rounds the best counts: all else on the machine can only make a round slower. Of what
must never happen it is the worst. A row that was measured has all of its bars: where echod or a
server of this folder is missing from it, the bar has no value and is missed.
"""

import statistics

LEVEL = 1.05  # "level with" is within 5 %
EVENT_ROWS = ("messages-1", "messages-64", "messages-1000", "messages-10000", "pipeline", "bulk",
              "connect")
YARDSTICKS = ("bare epoll loop", "libuv, naively")  # of this folder: they are always there
EVENT_PEERS = (*YARDSTICKS, "bare epoll, 128 KiB", "Go, io.Copy", "Go, a buffer each", "Node.js",
               "uvloop", "asyncio")


class Results:
    """The measurements, by row, server and what was measured."""

    def __init__(self, rows):
        self.rows = rows

    def values(self, row, server, key):
        rounds = self.rows.get(row, {}).get("servers", {}).get(server, [])
        return [each[key] for each in rounds if key in each]

    def best(self, row, server, key):
        values = self.values(row, server, key)
        if not values:
            return None
        return max(values) if key == "per_second" else min(values)

    def ratio(self, row, key, server, base):
        above, below = self.best(row, server, key), self.best(row, base, key)
        return above / below if above and below else None

    def title(self, row):
        return self.rows[row]["title"]

    def has(self, row):
        """Whether it was asked for, whatever has come of it."""
        return row in self.rows


def bar(what, value, at_most=None, at_least=None):
    """`value`: None if it could not be measured."""
    passed = (value is not None and (at_most is None or value <= at_most) and
              (at_least is None or value >= at_least))
    limit = f"at most {at_most:,}" if at_most is not None else f"at least {at_least:,}"
    return {"what": what, "value": value, "limit": limit, "passed": passed}


def ratio_bar(results, what, row, key, server, base, **limits):
    """One server against another; none if the row was not asked for."""
    if results.has(row):
        yield bar(what, results.ratio(row, key, server, base), **limits)


def best_event_peer(results, row):
    """None if a yardstick is missing: a peer that is left might be the best one for that alone."""
    costs = {peer: results.best(row, peer, "server_cpu_us_each") for peer in EVENT_PEERS}
    if not all(costs[peer] for peer in YARDSTICKS):
        return None
    costs = {peer: cost for peer, cost in costs.items() if cost}
    return min(costs, key=costs.get)


def best_peer_bar(results, row):
    peer = best_event_peer(results, row)
    name = f", {peer}" if peer else ""
    return ratio_bar(results, f"{results.title(row)}: CPU against the best peer on epoll{name}",
                     row, "server_cpu_us_each", "echod", peer, at_most=LEVEL)


def cost_bars(results):
    """Level with the best event loop, and ahead of the naive one."""
    for row in filter(results.has, EVENT_ROWS):
        yield from best_peer_bar(results, row)
    for row in filter(results.has, ("messages-64", "messages-1000")):
        yield from ratio_bar(results, f"{results.title(row)}: CPU of naive libuv against echod's",
                             row, "server_cpu_us_each", "libuv, naively", "echod", at_least=1.4)


def timeout_bars(results):
    """What timeouts, and the size of the buffer, may cost or must bring."""
    cpu, epoll = "server_cpu_us_each", "bare epoll loop"
    for what, row, server, base, limit in (
            ("64 connections: with timeouts, CPU", "messages-64", "echod, timeouts", epoll, LEVEL),
            ("1,000 connections: with timeouts, CPU", "messages-1000", "echod, timeouts", epoll,
             1.08),
            ("bulk: with a 64 KiB buffer, CPU", "bulk", "echod, 64 KiB buffer", epoll, LEVEL),
            ("bulk: with 128 KiB buffers, CPU", "bulk", "echod", "bare epoll, 128 KiB", LEVEL),
            ("bulk: the default buffer, CPU", "bulk", "echod", "echod, 64 KiB buffer", 1.05)):
        yield from ratio_bar(results, f"{what} against {base}", row, cpu, server, base,
                             at_most=limit)


def fairness_bars(results):
    return ratio_bar(results, "beside four streams: p99 against the bare epoll loop", "fairness",
                     "p99_us", "echod", "bare epoll loop", at_most=1.0)


OWN_CORES = (("messages/s", "per_second", {"at_least": 2.0}), ("p50", "p50_us", {"at_most": 0.5}),
             ("CPU per message", "server_cpu_us_each", {"at_most": LEVEL}))
UNCHANGED = (
    ("one core: messages/s", "one-core", "per_second", {"at_least": 0.97}),
    ("64 connections: messages/s", "busy-64", "per_second", {"at_least": 0.97}),
    ("64 connections: CPU per message", "busy-64", "server_cpu_us_each", {"at_most": 1.03}),
    ("10 messages a second: CPU per message", "sparse", "cpu_us", {"at_most": 1.02}))


def admission_bars(results):
    """What all of them together may cost a connection."""
    for what, key, limits in (("CPU per connection", "server_cpu_us_each", {"at_most": LEVEL}),
                              ("connections/s", "per_second", {"at_least": 0.95})):
        yield from ratio_bar(results, f"every admission option: {what} against none", "admission",
                             key, "echod, every admission option", "echod", **limits)


def latency_bars(results):
    """What busy_poll must bring, and what it must not cost.

    To a client that waits for its answer as programs do, asleep. The row of one that never sleeps
    has no bar: there a round trip has one wake-up less to spare, and whoever polls is charged with
    the client's half of it as well.
    """
    for what, key, limits in OWN_CORES:
        yield from ratio_bar(results, f"own cores: {what} against the bare epoll loop",
                             "own-cores", key, "echod", "bare epoll loop", **limits)
    for what, row, key, limits in UNCHANGED:
        yield from ratio_bar(results, f"{what} against busy_poll = 0", row, key, "echod",
                             "echod, busy_poll = 0", **limits)


def ratio_of_neighbours(results, key):
    """Each stretch has a partner beside it, so it is the middle of the ratios that counts."""
    scraped, alone = (results.values("scraped", f"echod, {how}", key)
                      for how in ("scraped 10 times a second", "not scraped"))
    return statistics.median(a / b for a, b in zip(scraped, alone)) if scraped and alone else None


def scraping_bars(results):
    """What scraping costs those who are served meanwhile."""
    if not results.has("scraped"):
        return
    for what, key, limits in (("CPU per message", "server_cpu_us_each", {"at_most": 1.01}),
                              ("messages/s", "per_second", {"at_least": 0.99})):
        yield bar(f"scraped 10 times a second: {what} against not at all",
                  ratio_of_neighbours(results, key), **limits)


def worst_bar(results, what, row, key, at_most):
    """What may not happen in any round."""
    if results.has(row):
        yield bar(what, max(results.values(row, "echod", key), default=None), at_most=at_most)


def check_bars(results):
    """No measurement counts for anything if bytes get lost."""
    yield from worst_bar(results, "every byte verified: status of echod", "verified", "status", 0)
    yield from worst_bar(results, "bytes lost at half-close: lost bytes of echod", "half-close",
                         "lost_bytes", 0)
    yield from worst_bar(results, "a reader that does not read: growth of echod in bytes",
                         "slow-reader", "grown_bytes", 1 << 20)


def all_bars(rows):
    results = Results(rows)
    kinds = (cost_bars, timeout_bars, fairness_bars, admission_bars, latency_bars, scraping_bars,
             check_bars)
    return [each for kind in kinds for each in kind(results)]
