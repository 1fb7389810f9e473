"""The program that makes a Pod's network, UTS and IPC namespaces, and sets its interface up when told.

It talks over its standard input, a socket: says `ready`, hears `ADDRESS NETMASK GATEWAY`, says `done`, and ends
when the other end closes. The node keeps the namespaces alive by open descriptors, so nothing has to stay running.
"""

import os
import signal
import sys

from webhook.node import interface, linux


def main() -> None:
    """Make the namespaces and serve the conversation; any failure is said as `failed REASON`."""
    linux.die_with_parent(signal.SIGKILL)
    try:
        _prepare(sys.argv[1])
        _say("ready")
        words = os.read(0, 200).decode().split()
        if words:
            interface.configure("eth0", *words)
            _say("done")
    except OSError as error:
        _say(f"failed {error}")
    os.read(0, 1)


def _prepare(hostname: str) -> None:
    linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC)
    linux.set_hostname(hostname)
    interface.raise_loopback()
    # As container runtimes do: a process without privileges may listen on port 80 of its own Pod.
    fd = os.open("/proc/sys/net/ipv4/ip_unprivileged_port_start", os.O_WRONLY)
    os.write(fd, b"0")
    os.close(fd)


def _say(line: str) -> None:
    os.write(0, line.encode() + b"\n")
