"""The servers under test: how each is started, and which of them are not installed here."""

import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import process

HERE = os.path.dirname(os.path.abspath(__file__))
PORTS = itertools.count(30000)  # below the ephemeral ones, and above those of the tests
START_SECONDS = 10

XINETD = """defaults
{{
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
    log_type = FILE /dev/null
}}
service echo
{{
    type = INTERNAL UNLISTED
    id = echo-stream
    socket_type = stream
    protocol = tcp
    port = {port}
    bind = 127.0.0.1
    wait = no
    user = {user}
    disable = no
}}
"""


class Server:
    """A kind of server. `command` makes a command line of a port; `forks`: a process for each
    connection, so only a few connections are tried; `own`: from here, so all rounds;
    `descriptors_each`: open files that it needs for a connection."""

    def __init__(self, name, command, version="", forks=False, own=False, environment=None,
                 descriptors_each=1):
        self.name, self.command, self.version = name, command, version
        self.forks, self.own, self.descriptors_each = forks, own, descriptors_each
        self.environment = {**os.environ, **(environment or {})}

    def start(self, processor=None):
        return Running(self, processor)


class Running:
    """A server that runs as long as the `with` block, on a port and perhaps a processor
    of its own."""

    def __init__(self, server, processor):
        self.server, self.port, self.processor = server, next(PORTS), processor

    def __enter__(self):
        command = self.server.command(self.port)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self.log,
                                        stdout=self.log, env=self.server.environment)
        self.pid = self.process.pid
        try:
            self.wait_until_it_echoes()
            if self.processor is not None:
                process.pin(self.pid, self.processor)
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_it_echoes(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                    client.sendall(b"?")
                    if client.recv(1) == b"?":
                        return
            except OSError:
                time.sleep(0.02)
        self.log.seek(0)
        raise RuntimeError(f"{self.server.name} does not start: {self.log.read().decode()}")

    def __exit__(self, *_):
        process.end(self.process)
        self.log.close()


def echod(binary, name="echod", **options):
    """echod with one worker, and the options that the row is about."""
    settings = {"workers": "1", "log_level": '"error"', **options}
    text = " ".join(f"{option} = {value};" for option, value in settings.items())

    def command(port):
        listener = f'{{ address = "127.0.0.1"; port = {port}; backlog = 4096; }}'
        return [binary, "-c", "/dev/null", "-o", text, "-o", f"listeners = ( {listener} );"]

    return Server(name, command, ", ".join(process.lines([binary, "-V"])), own=True)


def own(arguments):
    """echod as it comes and with other options, and the yardsticks of this folder."""
    return {
        "echod": echod(arguments.echod),
        "timeouts": echod(arguments.echod, "echod, timeouts", idle_timeout="60",
                          max_lifetime="600"),
        "small": echod(arguments.echod, "echod, 64 KiB buffer", read_buffer="65536"),
        "guarded": echod(arguments.echod, "echod, every admission option", max_connections="10000",
                         when_full='"reject"', max_connections_per_source="1000",
                         connection_rate_per_source="1000000.0",
                         allow='[ "127.0.0.0/8", "192.0.2.0/24", "2001:db8::/32" ]',
                         deny='[ "127.255.0.0/16", "198.51.100.0/24", "2001:db8:dead::/48" ]'),
        "sleepy": echod(arguments.echod, "echod, busy_poll = 0", busy_poll="0.0"),
        "epoll": Server("bare epoll loop", lambda port: [arguments.epoll, str(port), "65536"],
                        "64 KiB buffer", own=True),
        "epoll-large": Server("bare epoll, 128 KiB",
                              lambda port: [arguments.epoll, str(port), "131072"], own=True),
        "naive": Server("libuv, naively", lambda port: [arguments.naive, str(port)], own=True),
    }


def python_with_uvloop():
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(python) and subprocess.run(
                [python, "-c", "import uvloop"], stderr=subprocess.DEVNULL, check=False
        ).returncode == 0:
            return python
    return None


def go_server(folder):
    """Compiles the Go peer into the folder; None without a compiler that works."""
    binary = os.path.join(folder, "server_go")
    environment = {**os.environ, "GOCACHE": os.path.join(folder, "go-cache"),
                   "GO111MODULE": "off", "GOTOOLCHAIN": "local"}
    built = subprocess.run(["go", "build", "-o", binary, os.path.join(HERE, "server_go.go")],
                           env=environment, check=False)
    return binary if built.returncode == 0 else None


def event_peers(folder):
    """The installed servers on an event loop, or None where one is missing, by name."""
    python, node = python_with_uvloop(), shutil.which("node")
    script = os.path.join(HERE, "server_asyncio.py")
    go = go_server(folder) if shutil.which("go") else None
    interpreter = python or sys.executable
    one_thread = {"GOMAXPROCS": "1"}
    return {
        "Go": go and Server("Go, io.Copy", lambda port: [go, str(port)],
                            process.first_line(["go", "version"]), environment=one_thread,
                            descriptors_each=3),
        "Go, buffers": go and Server("Go, a buffer each", lambda port: [go, str(port), "buffer"],
                                     environment=one_thread),
        "Node.js": node and Server(
            "Node.js", lambda port: [node, os.path.join(HERE, "server_node.js"), str(port)],
            process.first_line([node, "--version"])),
        "uvloop": python and Server(
            "uvloop", lambda port: [python, script, str(port), "uvloop"], process.first_line(
                [python, "-c", "import uvloop; print(uvloop.__version__)"])),
        "asyncio": Server("asyncio", lambda port: [interpreter, script, str(port)],
                          process.first_line([interpreter, "--version"])),
    }


def xinetd_command(binary, folder):
    def command(port):
        path = os.path.join(folder, f"xinetd.{port}.conf")
        user = process.first_line(["id", "-un"])
        with open(path, "w", encoding="ascii") as file:
            file.write(XINETD.format(port=port, user=user))
        return [binary, "-dontfork", "-f", path]
    return command


def forking_peers(folder):
    """The installed servers that start a process for each connection, or None, by name."""
    socat, ncat = shutil.which("socat"), shutil.which("ncat")
    xinetd = shutil.which("xinetd", path=os.environ.get("PATH", "") + ":/usr/sbin")
    return {
        "socat": socat and Server(
            "socat, fork", lambda port: [
                socat, f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=1024",
                "PIPE"], version_of_socat(socat), forks=True),
        "ncat": ncat and Server(
            "ncat -k -c cat", lambda port: [ncat, "-l", "-k", "-c", "cat", "127.0.0.1", str(port)],
            process.first_line([ncat, "--version"]), forks=True),
        "ncat --exec": ncat and Server(
            "ncat -k --exec cat", lambda port: [
                ncat, "-l", "-k", "--exec", shutil.which("cat"), "127.0.0.1", str(port)],
            forks=True),
        "xinetd": xinetd and Server("xinetd", xinetd_command(xinetd, folder),
                                    process.first_line([xinetd, "-version"]), forks=True),
    }


def version_of_socat(socat):
    output = subprocess.run([socat, "-V"], capture_output=True, text=True, check=False).stdout
    return next((line for line in output.splitlines() if "version" in line), "")
