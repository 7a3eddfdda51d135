"""The machine's description: numbers without it say nothing."""

import os
import platform


def line_of(path, key):
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":" if ":" in line else "=")
                if name.strip() == key:
                    return value.strip().strip('"')
    except OSError:
        pass
    return "unknown"


def describe():
    kilobytes = line_of("/proc/meminfo", "MemTotal").split()[0]
    return {
        "CPU": line_of("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": f"{int(kilobytes) / (1 << 20):.1f} GiB" if kilobytes.isdigit() else "unknown",
        "virtual": "yes" if "hypervisor" in line_of("/proc/cpuinfo", "flags").split() else "no",
        "kernel": f"Linux {platform.release().split('-')[0]}",
        "system": line_of("/etc/os-release", "PRETTY_NAME"),
        "C library": " ".join(platform.libc_ver()),
    }
