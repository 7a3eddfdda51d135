#!/usr/bin/env python3
"""Draws the measurements: plot.py results.json results.svg"""

import html
import json
import statistics
import sys

PANELS = (("messages-1", "server_cpu_us_each", 1, "1 connection: server CPU, µs per message"),
          ("messages-64", "server_cpu_us_each", 1, "64 connections: server CPU, µs per message"),
          ("messages-1000", "server_cpu_us_each", 1,
           "1,000 connections: server CPU, µs per message"),
          ("messages-10000", "server_cpu_us_each", 1,
           "10,000 connections: server CPU, µs per message"),
          ("bulk", "server_cpu_us_each", 1 << 20, "4 streams: server CPU, µs per MiB"),
          ("fairness", "p99_us", 1, "p99 of small messages beside 4 streams, µs"),
          ("own-cores", "per_second", 1, "1 connection, each on its own core: messages/s"),
          ("connect", "per_second", 1, "connections/s, a byte on each"))
COLUMNS, WIDTH, LABEL, VALUE = 2, 440, 140, 62
BAR, GAP, HEAD, MARGIN = 14, 5, 34, 16
COLOURS = {True: "#1b6ca8", False: "#9aa5b1"}


def bars_of(rows, name, key, scale):
    """The median, least and most of each server, as many as were measured."""
    found = []
    for server, rounds in rows.get(name, {}).get("servers", {}).items():
        values = [each[key] * scale for each in rounds if key in each]
        if values:
            found.append((server, statistics.median(values), min(values), max(values)))
    return found


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def text(x, y, content, size=11, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{html.escape(content)}</text>')


def bar(x, y, scale, entry):
    """A bar as long as the median, a line from the least to the most, and the number."""
    server, median, least, most = entry
    middle = y + BAR / 2
    colour = COLOURS[server.startswith("echod")]
    weight = "bold" if server == "echod" else "normal"
    return [
        text(x + LABEL - 6, y + BAR - 3, server, anchor="end", weight=weight),
        f'<rect x="{x + LABEL}" y="{y:.1f}" width="{median * scale:.1f}" height="{BAR}" '
        f'fill="{colour}"/>',
        f'<path d="M{x + LABEL + least * scale:.1f} {middle:.1f}H{x + LABEL + most * scale:.1f}" '
        'stroke="#222" stroke-width="1.5"/>',
        text(x + LABEL + most * scale + 4, y + BAR - 3, number(median)),
    ]


def panel(x, y, title, entries):
    scale = (WIDTH - LABEL - VALUE) / max(most for *_, most in entries)
    parts = [text(x, y + 16, title, 12, weight="bold")]
    for i, entry in enumerate(entries):
        parts += bar(x, y + HEAD - 8 + i * (BAR + GAP), scale, entry)
    return parts


def draw(results):
    panels = [(title, bars_of(results["rows"], name, key, scale))
              for name, key, scale, title in PANELS]
    panels = [(title, entries) for title, entries in panels if entries]
    parts, y = [], MARGIN
    for first in range(0, len(panels), COLUMNS):
        line = panels[first:first + COLUMNS]
        for i, (title, entries) in enumerate(line):
            parts += panel(MARGIN + i * (WIDTH + MARGIN), y, title, entries)
        y += HEAD + max(len(entries) for _, entries in line) * (BAR + GAP) + MARGIN
    width = MARGIN + COLUMNS * (WIDTH + MARGIN)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" '
            f'width="{width}" height="{y}" font-family="sans-serif" fill="#222">\n'
            f'<rect width="{width}" height="{y}" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(draw(results))


if __name__ == "__main__":
    main()
