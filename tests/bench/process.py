"""What the kernel tells of a process: CPU time, memory, children. Linux only."""

import os
import signal
import subprocess
import time


def children(pid):
    """The processes that it has started, and those that these have."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        return []
    return found + [below for child in found for below in children(child)]


def tree(pid):
    return [pid, *children(pid)]


def cpu_ns(pid):
    """CPU time of all of its threads, in nanoseconds: clock_getcpuclockid(3)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def cpu_ticks(pid):
    """CPU time in user space and in the kernel, in clock ticks, children included."""
    user = system = 0
    for each in tree(pid):
        try:
            with open(f"/proc/{each}/stat", encoding="utf-8") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        user, system = user + int(fields[11]), system + int(fields[12])
    return user, system


def memory(pid):
    """Memory of it and its children in bytes; what they share is counted once."""
    total = 0
    for each in tree(pid):
        try:
            with open(f"/proc/{each}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            continue
    return total * 1024


def pin(pid, processor):
    """Binds all of its threads. Not before it runs: echod does not poll where it finds only one
    usable processor, since whom it serves would have to share it."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {processor})


def end(process):
    """Ends a subprocess.Popen and what it has started."""
    for pid in reversed(tree(process.pid)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def first_line(command):
    """What a program says of itself, for the versions; empty when it cannot."""
    return next(iter(lines(command)), "")


def lines(command):
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, timeout=10, check=False)
    except OSError:
        return []
    return [line.strip() for line in result.stdout.splitlines() if line.strip()]
