"""What the measurements must show. Each bar is one line: what, how much, how much it may be.

Of several rounds the best counts: all else on the machine can only make a round slower.
"""

LEVEL = 1.05  # "level with" is within 5 %
EVENT_ROWS = ("messages-1", "messages-64", "messages-1000", "messages-10000", "pipeline", "bulk",
              "connect")
EVENT_PEERS = ("bare epoll loop", "bare epoll, 128 KiB", "libuv, naively", "Go, io.Copy",
               "Go, a buffer each", "Node.js", "uvloop", "asyncio")


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


def bar(what, value, at_most=None, at_least=None):
    passed = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    limit = f"at most {at_most:,}" if at_most is not None else f"at least {at_least:,}"
    return {"what": what, "value": value, "limit": limit, "passed": passed}


def best_event_peer(results, row):
    costs = {peer: results.best(row, peer, "server_cpu_us_each") for peer in EVENT_PEERS}
    costs = {peer: cost for peer, cost in costs.items() if cost}
    return min(costs, key=costs.get) if costs else None


def cost_bars(results):
    """Level with the best event loop, and ahead of the naive one."""
    cpu = "server_cpu_us_each"
    for row in EVENT_ROWS:
        peer = best_event_peer(results, row)
        ratio = results.ratio(row, cpu, "echod", peer)
        if ratio:
            yield bar(f"{results.title(row)}: CPU against the best peer on epoll, {peer}", ratio,
                      at_most=LEVEL)
    for row in ("messages-64", "messages-1000"):
        ratio = results.ratio(row, cpu, "libuv, naively", "echod")
        if ratio:
            yield bar(f"{results.title(row)}: CPU of naive libuv against echod's", ratio,
                      at_least=1.4)


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
        ratio = results.ratio(row, cpu, server, base)
        if ratio:
            yield bar(f"{what} against {base}", ratio, at_most=limit)


def fairness_bars(results):
    ratio = results.ratio("fairness", "p99_us", "echod", "bare epoll loop")
    if ratio:
        yield bar("beside four streams: p99 against the bare epoll loop", ratio, at_most=1.0)


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
        ratio = results.ratio("admission", key, "echod, every admission option", "echod")
        if ratio:
            yield bar(f"every admission option: {what} against none", ratio, **limits)


def latency_bars(results):
    """What busy_poll must bring, and what it must not cost."""
    for client, row in (("", "own-cores"), (", client never sleeps", "own-cores-spin")):
        for what, key, limits in OWN_CORES:
            ratio = results.ratio(row, key, "echod", "bare epoll loop")
            if ratio:
                yield bar(f"own cores{client}: {what} against the bare epoll loop", ratio, **limits)
    for what, row, key, limits in UNCHANGED:
        ratio = results.ratio(row, key, "echod", "echod, busy_poll = 0")
        if ratio:
            yield bar(f"{what} against busy_poll = 0", ratio, **limits)


def check_bars(results):
    """No measurement counts for anything if bytes get lost."""
    for row, key in (("verified", "status"), ("half-close", "lost_bytes")):
        values = results.values(row, "echod", key)
        if values:
            yield bar(f"{results.title(row)}: {key.replace('_', ' ')} of echod", max(values),
                      at_most=0)
    grown = results.values("slow-reader", "echod", "grown_bytes")
    if grown:
        yield bar("a reader that does not read: growth of echod in bytes", max(grown),
                  at_most=1 << 20)


def all_bars(rows):
    results = Results(rows)
    kinds = (cost_bars, timeout_bars, fairness_bars, admission_bars, latency_bars, check_bars)
    return [each for kind in kinds for each in kind(results)]
