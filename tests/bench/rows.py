"""The rows of the table: a load each, and what is measured of a server under it."""

import http.client
import json
import random
import re
import socket
import statistics
import subprocess
import threading
import time

import process

MESSAGE = 64  # bytes
HALF_CLOSE_BYTES = 16 << 20
HALF_CLOSE_PAUSE = 0.2  # well below socat's timeout after an end of file, which is half a second
SLOW_READER_BYTES = 64 << 20
IDLE = 10000
IDLE_FORKING = 50
ONCE = ("memory", "slow-reader", "verified")  # one round of each server
FAIRNESS_ROUNDS = 3  # times as long as others: a percentile wants many messages
STREAMS_NICE, MESSAGES_NICE = 10, -15
SPARSE_PAIRS = 5
SPARSE_TURNS = 200
SPARSE_INTERVAL = 0.1
SCRAPE_CONNECTIONS = 64
SCRAPE_PAIRS = 20
SCRAPE_INTERVAL = 0.1
SCRAPES_EACH = 5  # of a stretch with them


def on(processor, command):
    return command if processor is None else ["taskset", "-c", str(processor), *command]


class Row:
    """What all rows have; `connections` is how many the server must bear."""

    def connections(self, _):
        return 1


class Load(Row):
    """bench-load in one of its ways. The server's own CPU time is what counts."""

    def __init__(self, title, unit, *way, server_on=None, client_on=None):
        self.title, self.unit, self.way = title, unit, way
        self.server_on, self.client_on = server_on, client_on

    def connections(self, _):
        return int(self.way[1])

    def measure(self, server, arguments):
        way = list(self.way)
        way.insert(2, str(arguments.seconds))
        with server.start(self.server_on) as running:
            before = process.cpu_ticks(running.pid)
            result = json.loads(subprocess.check_output(
                on(self.client_on, [arguments.load, str(running.pid), str(running.port), *way]),
                text=True))
            after = process.cpu_ticks(running.pid)
        if server.forks and way[0] == "connect":
            del result["server_cpu_us_each"]  # spent by processes that are gone
        return {**result, "user_ticks": after[0] - before[0], "system_ticks": after[1] - before[1]}


class Fairness(Row):
    """Messages at a fixed rate, counted from when they were due, beside four streams.

    The server's turns are meant, not the scheduler's: so the streams' client yields, and the small
    messages' goes before, where that is permitted.
    """

    title = "a client with 1,000 small messages a second beside four streams"
    unit = "message"

    def measure(self, server, arguments):
        seconds = FAIRNESS_ROUNDS * arguments.seconds
        with server.start() as running:
            address = [str(running.pid), str(running.port)]
            streams = subprocess.Popen(
                ["nice", "-n", str(STREAMS_NICE), arguments.load, *address, "bulk", "4",
                 str(seconds + 0.5)], stdout=subprocess.PIPE, text=True)
            time.sleep(0.4)
            messages = subprocess.run(
                ["nice", "-n", str(MESSAGES_NICE), arguments.echoc, "--load", "-n", "1", "-d",
                 "1000", "--rate", "1000", "-t", str(seconds), "--json", "127.0.0.1", address[1]],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
            streamed = json.loads(streams.communicate()[0])
        latency = json.loads(messages)["latency_ns"]
        return {"p50_us": latency["p50"] / 1e3, "p99_us": latency["p99"] / 1e3,
                "bulk_mib_per_second": streamed["per_second"] / (1 << 20)}


class Memory(Row):
    """Connections that have echoed once and are idle. The kernel's own memory is not counted."""

    title = f"memory per idle connection ({IDLE:,} of them; {IDLE_FORKING} where each is a process)"
    unit = "connection"

    def connections(self, server):
        return IDLE_FORKING if server.forks else IDLE

    def measure(self, server, arguments):
        n = self.connections(server)
        with server.start() as running:
            time.sleep(0.2)
            before = process.memory(running.pid)
            client = subprocess.Popen(
                [arguments.load, str(running.pid), str(running.port), "idle", str(n), "0"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            opened = client.stdout.readline() == "open\n"
            after = process.memory(running.pid)
            client.communicate("\n")
        return {"bytes": (after - before) / n} if opened else {}


class HalfClose(Row):
    """A client that sends all it has, shuts down, and reads only then."""

    title = "bytes lost at half-close"
    unit = "byte"

    def measure(self, server, _):
        with server.start() as running:
            client = socket.create_connection(("127.0.0.1", running.port), 3)
            sender = threading.Thread(target=self.send, args=(client,))
            sender.start()
            time.sleep(HALF_CLOSE_PAUSE)
            received = self.receive(client)
            sender.join()
            client.close()
        return {"lost_bytes": HALF_CLOSE_BYTES - received}

    @staticmethod
    def send(client):
        try:
            client.sendall(bytes(HALF_CLOSE_BYTES))
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # what does not come back is counted

    @staticmethod
    def receive(client):
        received = 0
        try:
            while data := client.recv(1 << 20):
                received += len(data)
        except OSError:
            pass  # a reset, or three seconds without a byte
        return received


class SlowReader(Row):
    """A client that sends and does not read, until nothing goes any more."""

    title = "growth with a reader that does not read"
    unit = "byte"

    def measure(self, server, _):
        with server.start() as running:
            before = process.memory(running.pid)
            with socket.create_connection(("127.0.0.1", running.port), 0.5) as client:
                sent = self.send(client)
                grown = process.memory(running.pid) - before
        return {"sent_bytes": sent, "grown_bytes": grown}

    @staticmethod
    def send(client):
        block, sent = bytes(1 << 16), 0
        try:
            while sent < SLOW_READER_BYTES:
                sent += client.send(block)
        except OSError:
            pass  # the server has stopped reading, as it should
        time.sleep(0.2)
        return sent


class Verify(Row):
    """Not a measurement: does every byte come back? echoc checks."""

    title = "every byte verified"
    unit = "byte"

    def measure(self, server, arguments):
        n = "4" if server.forks else "64"
        with server.start() as running:
            result = subprocess.run(
                [arguments.echoc, "--load", "-n", n, "-d", "4", "-t", "0.5", "--json",
                 "127.0.0.1", str(running.port)], stdout=subprocess.PIPE, text=True, check=False)
        return {"messages": json.loads(result.stdout)["messages"], "status": result.returncode}


def ask(client, pid):
    """One message, and what it cost the server, in nanoseconds."""
    before = process.cpu_ns(pid)
    client.sendall(b"." * 64)
    client.recv(64, socket.MSG_WAITALL)
    time.sleep(0.002)  # it may still be polling
    return process.cpu_ns(pid) - before


def sparse(kinds, processor):
    """Servers of two or more kinds, several of each, ten messages a second to each, in turns.

    They sleep nearly always, so they do not disturb one another, and what disturbs the machine
    disturbs all of them alike. Returns the nanoseconds of each message by the kind's name.
    """
    running = [(kind.name, kind.start(processor)) for kind in kinds for _ in range(SPARSE_PAIRS)]
    costs = {kind.name: [] for kind in kinds}
    started, clients = [], []
    try:
        for name, server in running:
            started.append(server.__enter__())
            clients.append((name, server, socket.create_connection(("127.0.0.1", server.port))))
        for _ in range(SPARSE_TURNS):
            for name, server, client in random.sample(clients, len(clients)):
                costs[name].append(ask(client, server.pid))
                time.sleep(SPARSE_INTERVAL / len(clients) - 0.002)
    finally:
        for server in started:
            server.__exit__()
        for _, _, client in clients:
            client.close()
    return costs


def without_accidents(values):
    """The mean of the lower 95 %: an interrupt on a message's way is nobody's fault."""
    return statistics.mean(sorted(values)[:max(1, len(values) * 95 // 100)])


class Scraper:
    """Who fetches /metrics, over one connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)

    def scrape(self):
        self.connection.request("GET", "/metrics")
        return self.connection.getresponse().read().decode()

    def messages(self):
        page = self.scrape()
        total = re.search(r"^echod_received_bytes_total (\S+)$", page, re.MULTILINE)[1]
        return float(total) / MESSAGE


def stretch(scraper, pid, is_scraped):
    """Messages a second and what one costs the server, with or without somebody who scrapes."""
    messages, cpu_ns, started = scraper.messages(), process.cpu_ns(pid), time.monotonic()
    for _ in range(SCRAPES_EACH):
        time.sleep(SCRAPE_INTERVAL)
        if is_scraped:
            scraper.scrape()
    elapsed, cpu_ns = time.monotonic() - started, process.cpu_ns(pid) - cpu_ns
    n = scraper.messages() - messages
    return {"per_second": n / elapsed, "server_cpu_us_each": cpu_ns / 1e3 / n}


def scraped(server, metrics_port, arguments):
    """One server under one load; stretches with scraping and without, in turns."""
    found = {False: [], True: []}
    seconds = SCRAPE_PAIRS * 2 * (SCRAPES_EACH + 1) * SCRAPE_INTERVAL
    with server.start() as running:
        with subprocess.Popen([arguments.load, str(running.pid), str(running.port), "messages",
                               str(SCRAPE_CONNECTIONS), str(seconds)],
                              stdout=subprocess.DEVNULL) as load:
            try:
                scraper = Scraper(metrics_port)
                time.sleep(0.5)
                for _ in range(SCRAPE_PAIRS):
                    for is_scraped in random.sample((False, True), 2):
                        found[is_scraped].append(stretch(scraper, running.pid, is_scraped))
            finally:
                load.kill()
    return found


def rows():
    message, chunk = "message", "byte"
    return {
        "messages-1": Load("1 connection", message, "messages", "1"),
        "messages-64": Load("64 connections", message, "messages", "64"),
        "messages-1000": Load("1,000 connections", message, "messages", "1000"),
        "messages-10000": Load("10,000 connections", message, "messages", "10000"),
        "pipeline": Load("64 connections, a pipeline of 16 on each", message, "messages", "64",
                         "16"),
        "bulk": Load("bulk, 4 streams", chunk, "bulk", "4"),
        "connect": Load("connections, a byte on each", "connection", "connect", "1"),
        "fairness": Fairness(),
        "memory": Memory(),
        "half-close": HalfClose(),
        "slow-reader": SlowReader(),
        "verified": Verify(),
        "own-cores": Load("1 connection, server and client each on a core of its own", message,
                          "messages", "1", server_on=0, client_on=1),
        "own-cores-spin": Load("1 connection, each on its own core, and the client never sleeps",
                               message, "spin", "1", server_on=0, client_on=1),
        "one-core": Load("1 connection, server and client on one core", message, "messages", "1",
                         server_on=0, client_on=0),
        "admission": Load("connections, a byte on each, with every admission option and with none",
                          "connection", "connect", "1"),
        "busy-64": Load("64 connections, with and without busy_poll", message, "messages", "64"),
    }
