"""The webhook and the reconciler against a real API server with many Services and Pods.

    PYTHONPATH=. python benchmarks/catalog.py [--json FILE] [--smoke]

API server, etcd and controller manager run on the same machine; what the webhook itself needs is measured in its own
process. Nothing is asserted about time; a wrong answer ends the run with exit code 1.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crowd import fill, service
from fleet import fleet
from machine import cpu_seconds, memory_mib, two_cores
from measuring import measured
from paced import answer_length, call_paced
from process import Running, reconciler, webhook
from report import Report, flags, median, quantile

from tests.cluster.kit.controlplane import ControlPlane
from tests.cluster.kit.rest import Rest
from tests.controlplane.build import programs

_QUIET_SECONDS: Final = 300.0
_NEWS_SECONDS: Final = 30.0
_START: Final = {"services": "Services", "namespaces": "namespaces", "ready_s": "start to ready s",
                 "rss_mib": "RSS MiB", "uss_mib": "USS MiB", "cpu_s": "CPU s"}  # fmt: skip
_AIM_START: Final = "Aims: ready within 15 s, at most 250 MB"
_LOAD: Final = {"when": "while", "changes_per_s": "changes/s", "p50_ms": "p50 ms", "p99_ms": "p99 ms",
                "max_ms": "max ms", "requests": "requests", "cpu_ms_per_change": "CPU ms/change",
                "to_idle": "p99 to idle", "failed": "failed"}  # fmt: skip
_AIM_LOAD: Final = "Aim: p99 while 100 Services a second change at most twice the idle one"
_SEEN: Final = {"what": "from a change of one Service until", "p50_ms": "p50 ms", "max_ms": "max ms", "tries": "tries"}
_FLEET: Final = {"pods": "Pods", "rate": "patches/s allowed", "seconds": "s to the last Pod", "patches": "patches",
                 "requests": "API requests in all", "cpu_s": "CPU s", "rss_mib": "RSS MiB"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Length:
    """How much is measured."""

    services: int
    namespaces: int
    seconds: float
    tries: int
    pods: int
    rates: tuple[int, ...]


_WHOLE: Final = Length(10_000, 1_000, 20.0, 20, 2_000, (50, 200))
_SMOKE: Final = Length(200, 20, 2.0, 2, 20, (50,))


async def start(rest: Rest, folder: Path, plane: ControlPlane, length: Length, report: Report) -> Running:
    """Fill the cluster, start the webhook, and tell how long it takes and what it holds then."""
    report.say(f"filling the cluster: {length.services:,} Services in {length.namespaces:,} namespaces ...")
    await fill(rest, length.services, length.namespaces)
    running = webhook(folder, plane.kubeconfig, two_cores())
    seconds = await running.ready()
    row = {"services": length.services, "namespaces": length.namespaces, "ready_s": round(seconds, 2)}
    row |= {**memory_mib(running.pid), "cpu_s": round(cpu_seconds(running.pid), 2)}
    report.table("A webhook starts", _START, [row], "start", _AIM_START)
    return running


async def changes(rest: Rest, running: Running, length: Length, report: Report) -> int:
    """Compare admissions while nothing changes with those while Services do; give how many failed."""
    await _quiet(running)
    rows = [await _phase(rest, running, length, rate) for rate in (0, 10, 100, 0)]
    idle = median([row["p99_ms"] for row in rows if not row["changes_per_s"]])
    for row in rows:
        row["to_idle"] = round(row["p99_ms"] / idle, 2)
    title = f"Admissions, 100 a second, with {length.services:,} Services"
    report.table(title, _LOAD, rows, "changes", _AIM_LOAD)
    return sum(row["failed"] for row in rows)


async def _quiet(running: Running) -> None:
    """Wait until the controllers have made an EndpointSlice for everything, and no news of them comes."""
    used = cpu_seconds(running.pid)
    async with asyncio.timeout(_QUIET_SECONDS):
        while True:
            await asyncio.sleep(2)
            before, used = used, cpu_seconds(running.pid)
            if used - before < 0.02:
                return


async def _phase(rest: Rest, running: Running, length: Length, rate: int) -> dict[str, Any]:
    before = cpu_seconds(running.pid)
    async with asyncio.TaskGroup() as group:
        changing = group.create_task(_change(rest, length, rate))
        calling = group.create_task(call_paced(running.target(), 100, length.seconds))
    changed, (latencies, failed) = changing.result(), calling.result()
    used = cpu_seconds(running.pid) - before
    times = [1000 * second for second in latencies]
    return {
        "when": f"{rate} Services a second change" if rate else "nothing changes",
        "changes_per_s": round(changed / length.seconds, 1),
        "p50_ms": round(median(times), 3),
        "p99_ms": round(quantile(times, 0.99), 3),
        "max_ms": round(max(times), 3),
        "requests": len(times),
        "cpu_ms_per_change": round(1000 * used / changed, 3) if changed else None,
        "failed": failed,
    }


async def _change(rest: Rest, length: Length, rate: int) -> int:
    """Change so many Services a second, each to what it was not; give how many."""
    chosen = random.Random(7)  # noqa: S311 - the same Services in every run
    begun, done = time.monotonic(), 0
    while rate and (passed := time.monotonic() - begun) < length.seconds:
        if done < rate * passed:
            which = chosen.randrange(length.services)
            policy = {"evenkeel.dev/lb-policy": ("round_robin", "least_request")[done % 2]}
            await rest.patch(service(which, length.namespaces).path, {"metadata": {"annotations": policy}})
            done += 1
        else:
            await asyncio.sleep(1 / rate)
    return done


async def seen(rest: Rest, running: Running, length: Length, report: Report) -> None:
    """Tell how long it takes until a new Service is in the answers."""
    target, times = running.target(), []
    for number in range(length.tries):
        before = await answer_length(target)
        new = service(10 * number, length.namespaces, name=f"late-{number}", namespace=running.namespace)
        began = time.perf_counter()
        await rest.post(new.collection, new.document)
        async with asyncio.timeout(_NEWS_SECONDS):
            while await answer_length(target) == before:
                await asyncio.sleep(0.002)
        times.append(1000 * (time.perf_counter() - began))
    row = {"what": "it is in the answers", "p50_ms": round(median(times), 1), "max_ms": round(max(times), 1)}
    report.table("News", _SEEN, [{**row, "tries": len(times)}], "news")


async def run(folder: Path, length: Length, report: Report) -> int:
    """Measure everything; give how many answers were wrong or missing."""
    async with AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(folder / "plane", programs("etcd", "kubernetes")))
        rest = await stack.enter_async_context(Rest(plane.kubeconfig))
        running = await start(rest, folder, plane, length, report)
        with running:
            failed = await changes(rest, running, length, report)
            await seen(rest, running, length, report)
            report.table(
                "Resident memory at the end", _START, [{"services": length.services, **memory_mib(running.pid)}], "end"
            )
        rows = []
        for rate in length.rates:
            with reconciler(folder, plane.kubeconfig, two_cores(), rate) as one:
                rows.append(await fleet(rest, plane, one, length.pods, rate))
        report.table("One Service is added to the namespace of many injected Pods", _FLEET, rows, "fleet")
        return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = flags(__doc__).parse_args(arguments)
    length = _SMOKE if options.smoke else _WHOLE
    return measured(options.json, lambda folder, report: run(folder, length, report))


if __name__ == "__main__":
    sys.exit(main())
