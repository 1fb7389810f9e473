"""Endpoints pushed to many sidecars, and a catalog of many endpoints.

    PYTHONPATH=. python benchmarks/push.py [--json FILE] [--smoke]

The server is a process on a core of its own; the sidecars are fake, in two processes on another core, each with a TLS
connection of its own. Nothing is asserted about time; who was not told of a change ends the run with exit code 1.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from machine import Cores, cpu_seconds, memory_mib, pinned, two_cores
from push_world import World
from report import Report, flags, median, quantile

from webhook.demo.certificate import CertificateFiles, write_certificate

_HERE: Final = Path(__file__).parent
_PATIENCE: Final = 20.0
_CLIENT_PROCESSES: Final = 2
_CONNECT: Final = {"what": "all sidecars have everything after", "seconds": "s", "cpu_s": "CPU s of the server",
                   "rss_mib": "RSS MiB", "uss_mib": "USS MiB"}  # fmt: skip
_PUSH: Final = {"what": "one Service changes", "changes": "changes", "told": "told", "last_p50_ms": "last p50 ms",
                "last_p99_ms": "p99", "all_p50_ms": "all p50 ms", "all_p99_ms": "p99",
                "cpu_ms": "CPU ms each",
                "taken_ms": "taking it ms, most", "missing": "not told"}  # fmt: skip
_AIM_CONNECT: Final = "Aims: a storm of 5 s, at most 300 MB"
_AIM_PUSH: Final = "Aim: the last within 1 s"
_AIM_CROWD: Final = "Aim: at most 600 MB"
_AIM_CHANGE: Final = "Aim: one change within 50 ms"


@dataclass(frozen=True, slots=True)
class Length:
    """How much is measured."""

    clients: int
    services: int
    changes: int
    crowd: int
    """Services of the large catalog, of ten endpoints each."""


_WHOLE: Final = Length(1_000, 50, 50, 10_000)
_SMOKE: Final = Length(20, 5, 3, 200)


class Child:
    """A process of the benchmark that is told, and tells, by lines of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def tell(self, **fields: Any) -> None:
        """Write a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(fields) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Read a line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"process {self.pid} has ended")
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def child(program: str, *arguments: Any, cores: frozenset[int]) -> Iterator[Child]:
    """Run one of our programs; it is ended when the block is left."""
    command = [sys.executable, str(_HERE / program), *map(str, arguments)]
    with pinned(cores):
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Child(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one change."""

    taken: float
    """Seconds in which the server did nothing else: it took the change and noted whom to tell."""
    times: list[float]
    """Seconds until each sidecar knew."""
    missing: int
    """Sidecars that never did."""


class Fleet:
    """The server and its sidecars."""

    def __init__(self, stack: ExitStack, world: World, files: CertificateFiles, clients: int, cores: Cores) -> None:
        self._world = world
        self._files = files
        self._cores = cores
        self._own = stack.enter_context(ExitStack())
        self._port = 0
        self._marks = 0
        self.clients = clients
        self.server = self._start()
        share = -(-clients // _CLIENT_PROCESSES)
        self._sidecars = [
            stack.enter_context(self._client(first, min(share, clients - first))) for first in range(0, clients, share)
        ]

    def connect(self) -> float:
        """Let all sidecars connect; give the seconds until the last has everything."""
        begun = time.monotonic()
        for each in self._sidecars:
            each.tell()
        return self._complete(begun)

    def restart(self) -> float:
        """Kill the server and start another in its place; give the seconds from then until the last has everything."""
        self._own.close()
        self.server = self._start()
        return self._complete(self._began)

    def change(self, count: int, pause: float) -> list[Told]:
        """Change so many Services, one after the other."""
        marks = range(self._marks + 1, self._marks + 1 + count)
        self._marks += count
        heard = {}
        for mark in marks:
            self.server.tell(service=mark % self._world.services, mark=mark)
            heard[mark] = self.server.hear()
            time.sleep(pause)
        return [self._told(mark, heard[mark]["at"], heard[mark]["seconds"]) for mark in marks]

    def _told(self, mark: int, begun: float, taken: float) -> Told:
        concerned = sum(
            self._world.namespace(mark % self._world.services) == self._world.namespace(client)
            for client in range(self.clients)
        )
        until = time.monotonic() + _PATIENCE
        while True:
            for each in self._sidecars:
                each.tell(mark=mark)
            times = [heard - begun for each in self._sidecars for heard in each.hear()["times"]]
            if len(times) >= concerned or time.monotonic() > until:
                return Told(taken, times, concerned - len(times))
            time.sleep(0.05)

    def _start(self) -> Child:
        world = (self._world.services, self._world.namespaces)
        program = child(
            "push_server.py", *world, self._files.cert, self._files.key, self._port, cores=self._cores.server
        )
        server = self._own.enter_context(program)
        said = server.hear()
        self._port, self._began = said["listening"], said["at"]
        return server

    def _client(self, first: int, count: int) -> AbstractContextManager[Child]:
        world = (self._world.services, self._world.namespaces, first, count)
        return child("push_clients.py", *world, self._files.ca, self._port, cores=self._cores.caller)

    def _complete(self, begun: float) -> float:
        return max(float(each.hear()["complete"]) for each in self._sidecars) - begun


def fleet(folder: Path, length: Length, report: Report) -> int:
    """Measure many sidecars that all see the same Services; give how many were not told of something."""
    with ExitStack() as stack:
        many = Fleet(stack, World(length.services), write_certificate(folder, "127.0.0.1"), length.clients, two_cores())
        idle = memory_mib(many.server.pid)
        rows = [{"what": "nobody is connected", **idle}]
        rows.append(_storm("they connect for the first time", many, many.connect()))
        pushes = [_changes("two a second", many, length.changes, 0.5)]
        pushes.append(_changes("ten a second", many, length.changes, 0.1))
        rows.append({"what": f"after {2 * length.changes} changes", **memory_mib(many.server.pid)})
        rows.append(_storm("the server was killed and started again", many, many.restart()))
        pushes.append(_changes("after the restart", many, length.changes, 0.5))
    report.table(
        f"{length.clients:,} sidecars that see {length.services} Services", _CONNECT, rows, "connect", _AIM_CONNECT
    )
    report.table("From a change of an EndpointSlice to the sidecars", _PUSH, pushes, "push", _AIM_PUSH)
    return sum(int(row["missing"]) for row in pushes)


def _storm(what: str, many: Fleet, seconds: float) -> dict[str, Any]:
    used = round(cpu_seconds(many.server.pid), 2)
    return {"what": what, "seconds": round(seconds, 2), "cpu_s": used, **memory_mib(many.server.pid)}


def _changes(what: str, many: Fleet, count: int, pause: float) -> dict[str, Any]:
    before = cpu_seconds(many.server.pid)
    found = many.change(count, pause)
    used = cpu_seconds(many.server.pid) - before
    last = [1000 * max(each.times, default=math.nan) for each in found]
    every = [1000 * seconds for each in found for seconds in each.times]
    return {
        "what": what,
        "changes": count,
        "told": len(every) // count,
        "last_p50_ms": round(median(last), 1),
        "last_p99_ms": round(quantile(last, 0.99), 1),
        "all_p50_ms": round(median(every), 1),
        "all_p99_ms": round(quantile(every, 0.99), 1),
        "cpu_ms": round(1000 * used / count, 1),
        "taken_ms": round(1000 * max(each.taken for each in found), 2),
        "missing": sum(each.missing for each in found),
    }


def crowd(folder: Path, length: Length, report: Report) -> int:
    """Measure a large cluster of which every sidecar sees ten Services; give how many were not told of something."""
    world = World(length.crowd, namespaces=length.crowd // 10)
    with ExitStack() as stack:
        begun = time.monotonic()
        many = Fleet(stack, world, write_certificate(folder, "127.0.0.1"), length.clients, two_cores())
        rows = [_storm("start: everything is read", many, time.monotonic() - begun)]
        rows.append(_storm("they connect for the first time", many, many.connect()))
        pushes = [_changes("ten a second", many, length.changes, 0.1)]
        rows.append({"what": f"after {length.changes} changes", **memory_mib(many.server.pid)})
    title = f"{length.crowd:,} Services, {10 * length.crowd:,} endpoints, {length.clients:,} sidecars that see ten each"
    report.table(title, _CONNECT, rows, "crowd", _AIM_CROWD)
    report.table("From a change of an EndpointSlice to the sidecars", _PUSH, pushes, "crowd-push", _AIM_CHANGE)
    return sum(int(row["missing"]) for row in pushes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = flags(__doc__).parse_args(arguments)
    length, report = _SMOKE if options.smoke else _WHOLE, Report()
    report.say(two_cores().describe())
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-") as folder:
        missing = fleet(Path(folder), length, report) + crowd(Path(folder), length, report)
    report.write(options.json)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
