"""The Envoy of a Pod, seen from outside: found by its command line, measured by /proc."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Final

import httpx

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PROBE_PORT: Final = 19021
_PATIENCE: Final = 30.0
_STEP: Final = 0.005


def find_envoy(name: str, namespace: str) -> int:
    """Give the process id of a Pod's sidecar; the sandbox's own /proc shows the processes of its Pods."""
    wanted = [b"--service-node", f"{name}.{namespace}".encode()]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(arguments[at : at + 2] == wanted for at in range(len(arguments))):
            return int(folder.name)
    raise LookupError(f"no process has --service-node {name}.{namespace}")


def cpu_microseconds(pid: int) -> float:
    """Give the CPU time that a process has used in all its threads; the kernel counts in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / _TICKS * 1e6


def memory_mib(pid: int) -> dict[str, float]:
    """Give a process's resident memory, and how much of it is anonymous: the rest is mostly its program's file."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {key: value for key, _, value in lines}
    return {key: round(int(found[name].split()[0]) / 1024, 1) for key, name in (("rss", "VmRSS"), ("anon", "RssAnon"))}


async def wait_answering(address: str) -> float:
    """Ask a sidecar whether it is ready, in quick succession, and give the unix time at which it says so."""
    end = time.monotonic() + _PATIENCE
    async with httpx.AsyncClient(trust_env=False, timeout=1.0) as client:
        while time.monotonic() < end:
            try:
                if (await client.get(f"http://{address}:{_PROBE_PORT}/ready")).is_success:
                    return time.time()
            except httpx.TransportError:
                pass
            await asyncio.sleep(_STEP)
    raise TimeoutError(f"the sidecar of {address} is not ready after {_PATIENCE:.0f} s")
