#!/usr/bin/env python3
"""Makes the tables from the measurements.

    report.py results.json [--markdown RESULTS.md] [--readme FILE]

Without options, the table as the benchmark prints it. RESULTS.md keeps what stands in it from the
line "## Remarks" on.
"""

import argparse
import json
import os
import statistics
import sys
import textwrap

sys.dont_write_bytecode = True  # nothing is left in the source tree

import bars
import rows as loads

REMARKS = "## Remarks"
LOAD_ROWS = (*bars.EVENT_ROWS, "own-cores", "own-cores-spin", "one-core", "admission", "busy-64",
             "scraped")


def spread(values, scale=1.0, digits=2):
    """The median, and in brackets the least and the most."""
    scaled = [value * scale for value in values]
    if not scaled:
        return "–"
    middle = f"{statistics.median(scaled):,.{digits}f}"
    if len(scaled) == 1:
        return middle
    return f"{middle} ({min(scaled):,.{digits}f}–{max(scaled):,.{digits}f})"


def pick(rounds, key):
    return [each[key] for each in rounds if key in each]


def kernel_share(rounds):
    """The part of the CPU time that is spent in the kernel, from ticks over all rounds."""
    system = sum(pick(rounds, "system_ticks"))
    total = system + sum(pick(rounds, "user_ticks"))
    return system / total if total else None


def scale_and_digits(unit):
    """Bytes are told by the MiB."""
    return (1 << 20, 1) if unit == "byte" else (1, 2)


def load_line(name, rounds, unit):
    per_byte = unit == "byte"
    share = kernel_share(rounds)
    rate = spread(pick(rounds, "per_second"), 1 / (1 << 20) if per_byte else 1, 0)
    cpu = spread(pick(rounds, "server_cpu_us_each"), *scale_and_digits(unit))
    return [name, rate, cpu, f"{share:.0%}" if share is not None else "–",
            spread(pick(rounds, "p50_us"), digits=1), spread(pick(rounds, "p99_us"), digits=1)]


def kernel_line(rounds, unit):
    """What the kernel alone costs: the system time of the bare loop, which does nothing else."""
    share, cpu = kernel_share(rounds), pick(rounds, "server_cpu_us_each")
    scale, digits = scale_and_digits(unit)
    return ["*the kernel alone*", "", spread(cpu, scale * (share or 0), digits), "100%", "", ""]


def load_table(row):
    unit = "MiB" if row["unit"] == "byte" else row["unit"]
    head = ["server", f"{unit}s/s" if unit != "MiB" else "MiB/s", f"server CPU, µs per {unit}",
            "of it in the kernel", "p50, µs", "p99, µs"]
    lines = [load_line(name, rounds, row["unit"]) for name, rounds in row["servers"].items()]
    epoll = row["servers"].get("bare epoll loop")
    if epoll:
        lines.append(kernel_line(epoll, row["unit"]))
    used = [i for i in range(len(head)) if any(line[i] not in ("", "–") for line in lines)]
    return [[line[i] for i in used] for line in [head, *lines]]


def fairness_table(row):
    return [["server", "p50, µs", "p99, µs", "the streams, MiB/s"]] + [
        [name, *(spread(pick(rounds, key), digits=0)
                 for key in ("p50_us", "p99_us", "bulk_mib_per_second"))]
        for name, rounds in row["servers"].items()]


def sparse_table(row):
    return [["server", "server CPU, µs per message", "messages"]] + [
        [name, spread(pick(rounds, "cpu_us"), digits=3), str(rounds[0]["count"])]
        for name, rounds in row["servers"].items()]


def lost_cell(lost):
    """Never, or how many bytes in the middle, the best and the worst of the rounds."""
    if lost and max(lost) == 0:
        return "none"
    return f"{spread(lost, digits=0)} bytes" if lost else "–"


def each_peer_table(rows):
    """What is yes or no, or one number, for each server: a column each."""
    kinds = (*loads.ONCE, "half-close")
    names = list(dict.fromkeys(name for row in kinds
                               for name in rows.get(row, {}).get("servers", {})))
    table = [["server", "memory per idle connection, bytes", "lost at half-close, of 16 MiB",
              "growth, reader that does not read, MiB", "every byte verified"]]
    for name in names:
        found = {row: rows.get(row, {}).get("servers", {}).get(name, []) for row in kinds}
        status = pick(found["verified"], "status")
        table.append([
            name, spread(pick(found["memory"], "bytes"), digits=0),
            lost_cell(pick(found["half-close"], "lost_bytes")),
            spread(pick(found["slow-reader"], "grown_bytes"), 1 / (1 << 20), 1),
            "–" if not status else "no" if any(status) else "yes"])
    return table


def tables(results):
    rows = results["rows"]
    for name, row in rows.items():
        if name in LOAD_ROWS:
            yield row["title"], load_table(row)
        elif name == "fairness":
            yield row["title"], fairness_table(row)
        elif name == "sparse":
            yield row["title"], sparse_table(row)
    if any(name in rows for name in (*loads.ONCE, "half-close")):
        yield "memory, half-close, slow readers", each_peer_table(rows)


def bar_value(value):
    return "not measured" if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")


def bars_table(results):
    return [["bar", "measured", "limit", ""]] + [
        [each["what"], bar_value(each["value"]), each["limit"],
         "met" if each["passed"] else "**missed**"] for each in results["bars"]]


def plain(table):
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    return "\n".join("  " + "  ".join(
        cell.rjust(width) if i else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in table)


def markdown(table):
    head = "|" + "|".join(table[0]) + "|\n|" + "---|" + "---:|" * (len(table[0]) - 1)
    return head + "".join("\n|" + "|".join(line) + "|" for line in table[1:])


def text(results):
    parts = [f"{title}\n{plain(table)}" for title, table in tables(results)]
    parts.append(f"bars\n{plain(bars_table(results))}")
    if results["missing"]:
        parts.append("not installed, left out: " + ", ".join(results["missing"]))
    return "\n\n".join(parts).replace("**", "").replace("*", "")


HOW = """By `meson test --benchmark -C build`, which writes `results.json`; this page, but for the
remarks, is `report.py`'s, and the plot `plot.py`'s. Medians, with the least and the most in
brackets. One server at a time, alternately, {rounds} rounds of {seconds} s ({peer_rounds} for the
servers that are not from this repository, 2 at most where each connection is a process), after
0.2 s to warm up; messages of 64 bytes; one worker, not pinned to a processor unless the row says
so; all over loopback. CPU time is the server's own, from the kernel's clock of the process. *The
kernel alone* is the system time of the bare epoll loop, which does nothing but call it. A bar goes
by the best of the rounds; where something must not happen at all, by the worst."""

# What is measured in another way, where one of these rows is there.
DIFFERENT = (
    (("fairness",), f"""Small messages beside four streams: rounds of {{fair_seconds:g}} s. The
client of the streams runs at nice {loads.STREAMS_NICE}, and echoc, which sends the small messages,
at nice {loads.MESSAGES_NICE} where that is permitted: the server's turns are meant, not the
scheduler's."""),
    (("sparse",), f"""10 messages a second: {2 * loads.SPARSE_PAIRS} echods at once,
{loads.SPARSE_PAIRS} with `busy_poll` and {loads.SPARSE_PAIRS} without, are asked in turns, all on
one processor and the client on another. The figure is the mean of the lower 95 % of the messages'
costs, once, and its bar goes by that."""),
    (("scraped",), f"""With and without somebody who scrapes /metrics: one echod under one load of
{loads.SCRAPE_CONNECTIONS} connections, and in it {loads.SCRAPE_PAIRS} pairs of stretches of
{loads.SCRAPES_EACH * loads.SCRAPE_INTERVAL:g} s, one with scraping and one without, in turns. Bars
go by the median of the ratios of the two."""),
    (("half-close",), f"""Half-close: {{rounds}} rounds, {{peer_rounds}} for every server that is not
from this repository. The client reads only from {loads.HALF_CLOSE_PAUSE:g} s on, and gives up after
3 s without a byte."""),
    (loads.ONCE, """Memory, the reader that does not read, and the verification of every byte: one
run of each server, so nothing is known of their spread."""),
)


def differences(results):
    """A line for each kind of row for which the introduction's first sentences do not hold."""
    values = {**results, "fair_seconds": loads.FAIRNESS_ROUNDS * results["seconds"]}
    return "\n".join(
        textwrap.fill(text.format(**values), 100, initial_indent="- ", subsequent_indent="  ")
        for names, text in DIFFERENT if any(name in results["rows"] for name in names))


def introduction(results):
    machine = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    versions = "\n".join(f"- {name}: {version}" for name, version in results["versions"].items())
    missing = ", ".join(results["missing"]) or "none"
    how = textwrap.fill(HOW.format(**results), 100)
    different = differences(results)
    how += f"\n\nWhat differs:\n\n{different}" if different else ""
    return f"""# What was measured

{how}

The machine: {machine}; load average before: {results['load_before']:.2f}.

{versions}

Not installed, left out: {missing}.

![CPU time, rates and latency of each server](results.svg)
"""


def missed(results):
    names = [f"- {each['what']}: {bar_value(each['value'])}, {each['limit']}"
             for each in results["bars"] if not each["passed"]]
    return "What misses its bar:\n\n" + "\n".join(names) if names else "No bar is missed."


def page(results, remarks):
    parts = [introduction(results), "## Bars\n\n" + missed(results) + "\n\n" +
             markdown(bars_table(results))]
    parts += [f"## {title[0].upper()}{title[1:]}\n\n{markdown(table)}"
              for title, table in tables(results)]
    return "\n\n".join(part.strip() for part in [*parts, remarks] if part.strip()) + "\n"


def remarks_of(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        before, found, after = file.read().partition(REMARKS)
    return found + after


SHORT = (("messages-1", "server_cpu_us_each", 1, "CPU µs per message, 1 connection", 2),
         ("messages-64", "server_cpu_us_each", 1, "64", 2),
         ("messages-1000", "server_cpu_us_each", 1, "1,000", 2),
         ("messages-10000", "server_cpu_us_each", 1, "10,000", 2),
         ("bulk", "server_cpu_us_each", 1 << 20, "CPU µs per MiB", 0),
         ("connect", "per_second", 1, "connections/s", 0),
         ("memory", "bytes", 1, "bytes per idle connection", 0),
         ("fairness", "p99_us", 1, "p99 beside 4 streams, µs", 0))


def short_table(results):
    """Medians only, a line for each server: for the README."""
    rows = results["rows"]
    names = list(rows.get("messages-1", {}).get("servers", {}))
    table = [["server", *(title for *_, title, _ in SHORT)]]
    for name in names:
        cells = [pick(rows.get(row, {}).get("servers", {}).get(name, []), key)
                 for row, key, *_ in SHORT]
        table.append([name] + [
            f"{statistics.median(values) * scale:,.{digits}f}" if values else "–"
            for values, (_, _, scale, _, digits) in zip(cells, SHORT)])
    return table


def write(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("results")
    parser.add_argument("--markdown")
    parser.add_argument("--readme")
    arguments = parser.parse_args()
    with open(arguments.results, encoding="utf-8") as file:
        results = json.load(file)
    results["bars"] = bars.all_bars(results["rows"])
    if arguments.markdown:
        write(arguments.markdown, page(results, remarks_of(arguments.markdown)))
    if arguments.readme:
        write(arguments.readme, markdown(short_table(results)) + "\n")
    if not arguments.markdown and not arguments.readme:
        print(text(results))


if __name__ == "__main__":
    main()
