"""Admissions over TLS: requests a second and core, latency, CPU and memory, beside a ceiling and a plain webhook.

    python benchmarks/admission.py [--json FILE] [--smoke] [--rounds N] [--seconds S]

The subjects take turns in short rounds, forwards and backwards, so that what else happens on the machine strikes
all of them alike. Nothing is asserted about time; only a wrong answer ends the run with exit code 1.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop
from caller import call_for
from machine import Cores, cpu_seconds, memory_mib, pinned, two_cores
from report import Report, flags, median, quantile
from reviews import MANY, large_pod, usual_pod
from served import Field, Served, start_all
from stages import stages
from subjects import Subject, ceiling_of, make_subjects

_CONNECTIONS: Final = 8
_LARGE: Final = "2,000 variables"
_PODS: Final = {"usual pod": usual_pod(), "100 upstreams": usual_pod(MANY), _LARGE: large_pod()}
_LOAD: Final = {
    "subject": "server", "pod": "pod", "per_second": "req/s", "p50_ms": "p50 ms", "p99_ms": "p99 ms",
    "max_ms": "max ms", "cpu_s_per_1000": "CPU s/1000", "to_ceiling": "of ceiling",
    "to_ceiling_cpu": "by CPU", "caller_busy": "caller",
    "failed": "failed",
}  # fmt: skip
_INSIDE: Final = {"pod": "pod", "connections": "connections", "p50_ms": "p50 ms", "p99_ms": "p99 ms",
                  "max_ms": "max ms", "requests": "requests"}  # fmt: skip
_AIM: Final = "Aims of evenkeel, usual pod: >= 2,000 req/s and >= 0.4 of the ceiling, p99 <= 10 ms"
_AIM_INSIDE: Final = f"Aims, {_LARGE}: p50 <= 2 ms, p99 <= 5 ms"
_STAGES: Final = {"pod": "pod", "review_bytes": "review bytes", "answer_bytes": "answer bytes",
                  "read_p50_us": "read us", "admit_p50_us": "admit us", "admit_p99_us": "admit p99",
                  "answer_p50_us": "answer us"}  # fmt: skip
_MEMORY: Final = {"subject": "server", "when": "when", "rss_mib": "RSS MiB", "uss_mib": "USS MiB"}


@dataclass(frozen=True, slots=True)
class Length:
    """How much is measured."""

    rounds: int
    seconds: float
    repeats: int


class Run:
    """One run against servers that listen."""

    def __init__(self, servers: Field, length: Length) -> None:
        self._servers = servers
        self._length = length
        self._memory = self._memory_now("at start")
        self._inside: list[dict[str, Any]] = []

    async def measure(self) -> list[Subject]:
        """Let every subject have its rounds, forwards and backwards in turn; a first, short one warms up."""
        subjects = await make_subjects(self._servers, _PODS)
        for subject in subjects:
            await call_for(subject.target, _CONNECTIONS, self._length.seconds / 4)
        for number in range(self._length.rounds):
            for subject in subjects if number % 2 == 0 else reversed(subjects):
                await self._round(subject)
        self._memory += self._memory_now("at the end")
        return subjects

    async def _round(self, subject: Subject) -> None:
        served, seconds = subject.served, self._length.seconds
        gc.collect()
        cpu, logged = cpu_seconds(served.pid), served.log_size()
        subject.add(await call_for(subject.target, _CONNECTIONS, seconds), cpu)
        if subject.name == "evenkeel":
            self._look_inside(subject.pod, _CONNECTIONS, served, logged)
            logged = served.log_size()
            await call_for(subject.target, 1, seconds / 2)
            self._look_inside(subject.pod, 1, served, logged)

    def _look_inside(self, pod: str, connections: int, served: Served, logged: int) -> None:
        """Take the durations that the server itself logged."""
        seconds = [line["seconds"] for line in served.admissions(logged)]
        self._inside.append({"pod": pod, "connections": connections, "seconds": seconds})

    def inside(self) -> list[dict[str, Any]]:
        """Sum up what the server's own log says: from a request's head to its answer."""
        return [self._inside_row(pod, connections) for pod in _PODS for connections in (1, _CONNECTIONS)]

    def _inside_row(self, pod: str, connections: int) -> dict[str, Any]:
        chosen = [each["seconds"] for each in self._inside if (each["pod"], each["connections"]) == (pod, connections)]
        times = [1000 * second for seconds in chosen for second in seconds]
        return {
            "pod": pod,
            "connections": connections,
            "p50_ms": round(median(times), 3),
            "p99_ms": round(quantile(times, 0.99), 3),
            "max_ms": round(max(times, default=0.0), 3),
            "requests": len(times),
        }

    def memory(self) -> list[dict[str, Any]]:
        """Give each server's memory at the start and at the end."""
        return sorted(self._memory, key=lambda row: str(row["subject"]))

    def _memory_now(self, when: str) -> list[dict[str, Any]]:
        return [{"subject": name, "when": when, **memory_mib(one.pid)} for name, one in self._servers.all().items()]


async def run(folder: Path, length: Length, cores: Cores, report: Report) -> int:
    """Measure, print, and give how many requests failed."""
    with start_all(folder, cores) as servers:
        current = Run(servers, length)
        subjects = await current.measure()
    rows = [subject.row(ceiling_of(subject, subjects)) for subject in subjects]
    title = f"Over TLS with keep-alive, {_CONNECTIONS} connections, {length.rounds} rounds of {length.seconds:g} s each"
    report.table(title, _LOAD, rows, "admission", _AIM)
    inside = "In Evenkeel's server, by its own log"
    report.table(inside, _INSIDE, current.inside(), "in the server", _AIM_INSIDE)
    report.table("Resident memory", _MEMORY, current.memory(), "memory")
    report.table("Without a socket, median microseconds", _STAGES, stages(_PODS, length.repeats), "stages")
    return sum(row["failed"] for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = flags(__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.5, help="of one round of one subject")
    options = parser.parse_args(arguments)
    length = Length(1, 0.2, 50) if options.smoke else Length(options.rounds, options.seconds, 1000)
    report, cores = Report(), two_cores()
    report.say(f"Admissions; {cores.describe()}")
    with tempfile.TemporaryDirectory() as name, pinned(cores.caller):
        failed = uvloop.run(run(Path(name), length, cores, report))
    report.write(options.json)
    report.say("" if failed == 0 else f"{failed} requests failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
