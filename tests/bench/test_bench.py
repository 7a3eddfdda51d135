#!/usr/bin/env python3
"""The benchmark's own sums: what misses a bar, and what is told of a row. Measures nothing."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # nothing is left in the source tree

import bars
import report
import rows

HERE = os.path.dirname(os.path.abspath(__file__))


NAMES = {"epoll": "bare epoll loop", "naive": "libuv, naively", "go": "Go, io.Copy"}


def row(**rounds):
    return {"title": "a row", "unit": "message",
            "servers": {NAMES.get(name, name): values for name, values in rounds.items()}}


def cost(*values):
    return [{"server_cpu_us_each": value, "per_second": 1e6 / value} for value in values]


def bar_of(found, beginning):
    """The one bar that is called so."""
    bar, = (each for each in bars.all_bars(found) if each["what"].startswith(beginning))
    return bar


class Bars(unittest.TestCase):
    best_peer = "a row: CPU against the best peer"

    def test_the_best_round_counts(self):
        bar = bar_of({"connect": row(echod=cost(9, 4), epoll=cost(5, 4), naive=cost(8))},
                     self.best_peer)
        self.assertEqual((bar["value"], bar["passed"]), (1, True))

    def test_a_row_that_was_not_asked_for_has_no_bar(self):
        self.assertEqual(bars.all_bars({}), [])
        self.assertEqual(bars.all_bars({"memory": row()}), [])

    def test_without_echod_every_bar_is_missed(self):
        for name in (*rows.rows(), "sparse", "scraped"):
            for bar in bars.all_bars({name: row(epoll=cost(5), naive=cost(8), go=cost(6))}):
                self.assertEqual((bar["value"], bar["passed"]), (None, False), bar["what"])

    def test_without_a_yardstick_of_ours_the_bar_is_missed(self):
        for there in ({"epoll": cost(5)}, {"naive": cost(8)}, {}):
            bar = bar_of({"connect": row(echod=cost(4), go=cost(6), **there)}, self.best_peer)
            self.assertEqual((bar["value"], bar["passed"]), (None, False))
        for bar in bars.all_bars({"admission": row(echod=cost(5))}):
            self.assertEqual((bar["value"], bar["passed"]), (None, False), bar["what"])

    def test_a_peer_that_is_not_installed_is_left_out(self):
        self.assertTrue(bar_of({"connect": row(echod=cost(5), epoll=cost(5), naive=cost(8))},
                               self.best_peer)["passed"])

    def test_of_bytes_that_are_lost_the_worst_round_counts(self):
        found = {"half-close": row(echod=[{"lost_bytes": 0}, {"lost_bytes": 7}])}
        self.assertEqual(bar_of(found, "bytes lost")["value"], 7)
        self.assertFalse(bar_of(found, "bytes lost")["passed"])


def results(**found):
    return {"machine": {}, "load_before": 0, "rounds": 5, "peer_rounds": 3, "seconds": 0.6,
            "versions": {}, "missing": [], "rows": found, "bars": bars.all_bars(found)}


class Report(unittest.TestCase):
    def test_what_is_not_measured_is_told(self):
        page = report.page(results(connect=row(epoll=cost(5))), "")
        self.assertIn("best peer on epoll: not measured, at most 1.05", page)
        self.assertIn("|not measured|at most 1.05|**missed**|", page)

    def test_lost_bytes_have_a_spread(self):
        lost = [{"lost_bytes": value} for value in (13900000, 0, 13800000)]
        page = report.page(results(**{"half-close": row(socat=lost, echod=[{"lost_bytes": 0}])}),
                           "")
        self.assertIn("13,800,000 (0–13,900,000) bytes", page)
        self.assertIn("|echod|–|none|–|–|", page)

    def test_the_introduction_says_what_differs_in_these_rows(self):
        self.assertNotIn("What differs", report.page(results(connect=row()), ""))
        page = report.page(results(sparse=row(), memory=row()), "")
        self.assertIn("mean of the lower 95 %", page)
        self.assertIn("one run of each", page)
        self.assertNotIn("scrapes", page)


class Run(unittest.TestCase):
    def test_an_echod_that_does_not_start_fails_it(self):
        """No peers: nothing but Python is in the path."""
        with tempfile.TemporaryDirectory() as folder:
            output = os.path.join(folder, "results.json")
            run = subprocess.run(
                [sys.executable, os.path.join(HERE, "bench"), "--output", output, "--rounds", "1",
                 "--rows", "admission,sparse,scraped",
                 *(f"--{name}=/bin/false" for name in ("echod", "echoc", "load", "epoll", "naive"))],
                env={"PATH": folder}, capture_output=True, text=True, check=False)
            self.assertEqual(run.returncode, 1, run.stderr)
            with open(output, encoding="utf-8") as file:
                self.assertEqual([bar["passed"] for bar in json.load(file)["bars"]], [False] * 5)
        self.assertIn("echod does not start", run.stderr)
        self.assertIn("not measured", run.stdout)


if __name__ == "__main__":
    unittest.main()
