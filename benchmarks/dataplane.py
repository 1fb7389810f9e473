"""What the injected sidecar costs an RPC and a Pod, and how even it is.

    python benchmarks/dataplane.py [--json FILE] [--smoke]

Real Envoys from admitted Pods, real gRPC, in a sandbox of its own that needs no root. Direct calls and calls
through the sidecar take turns, from the same caller to the same server. Nothing is asserted about time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from envoys import cpu_microseconds, memory_mib
from report import Report, flags, median
from things import PORT, namespace, servers, service
from world import Caller, World, made

from webhook.node import sandbox

_NAMESPACE: Final = "bench"
_ATTEMPTS: Final = 100
_ROUTES: Final = {
    "route": "route", "concurrency": "at once", "p50_ms": "p50 ms", "p99_ms": "p99 ms", "per_second": "RPC/s",
    "sidecar_cpu_us": "sidecar CPU us/RPC", "rpcs": "RPCs", "failed": "failed",
}  # fmt: skip
_SIZES: Final = {
    "upstreams": "upstreams", "annotation_bytes": "annotation bytes", "ready_s": "start to ready s",
    "rss_mib": "RSS MiB", "anon_mib": "anonymous MiB",
    "used_rss_mib": "RSS when used", "used_anon_mib": "anon. when used",
}  # fmt: skip
_SPREAD: Final = {"backends": "backends", "rpcs": "RPCs", "failed": "failed", "least": "least", "most": "most",
                  "ratio": "max/min"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Length:
    """How much is measured."""

    rounds: int
    """Of direct calls and of calls through the sidecar, in turn."""
    rpcs: dict[int, int]
    """Calls of one round, by how many are under way at once."""
    backends: int
    spread: int
    upstreams: tuple[int, ...]
    starts: int
    settle: float


_FULL: Final = Length(6, {1: 1000, 32: 4000}, 10, 10_000, (1, 10, 100), 3, 6.0)
_SMOKE: Final = Length(1, {1: 50, 32: 100}, 2, 200, (1, 10), 1, 0.2)


async def compare(caller: Caller, address: str, length: Length) -> list[dict[str, Any]]:
    """Call one server directly and through the sidecar, in turn, after a few calls that do not count."""
    routes: dict[str, dict[str, Any]] = {
        "direct": {"target": f"{address}:{PORT}"},
        "through the sidecar": {"target": "localhost:9001", "authority": "one"},
    }
    rows = []
    for concurrency, rpcs in length.rpcs.items():
        rounds: dict[str, list[dict[str, Any]]] = {route: [] for route in routes}
        for spec in routes.values():
            await caller.run(rpcs=rpcs // 4, concurrency=concurrency, **spec)
        for _ in range(length.rounds):
            for route, spec in routes.items():
                rounds[route].append(await _timed(caller, rpcs=rpcs, concurrency=concurrency, **spec))
        rows += [{"route": route, "concurrency": concurrency, **_sum(done)} for route, done in rounds.items()]
    return rows


async def _timed(caller: Caller, **spec: Any) -> dict[str, Any]:
    before = cpu_microseconds(caller.envoy)
    document = await caller.run(**spec)
    return {**document, "sidecar_cpu": cpu_microseconds(caller.envoy) - before}


def _sum(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the rounds of one route: medians of what each round says, totals of counts."""
    rpcs = sum(each["rpcs"] for each in rounds)
    return {
        "p50_ms": median([each["latency_ms"]["p50"] for each in rounds]),
        "p99_ms": median([each["latency_ms"]["p99"] for each in rounds]),
        "per_second": round(median([each["rpcs"] / each["seconds"] for each in rounds]), 1),
        "sidecar_cpu_us": round(sum(each["sidecar_cpu"] for each in rounds) / rpcs, 1),
        "rpcs": rpcs,
        "failed": sum(each["failed"] for each in rounds),
    }


async def spread(caller: Caller, length: Length) -> dict[str, Any]:
    """Count whom many RPCs over one channel reach, once the sidecar knows every server."""
    for _ in range(_ATTEMPTS):
        if len((await caller.run(authority="fleet", rpcs=4 * length.backends))["backends"]) == length.backends:
            break
        await asyncio.sleep(0.2)
    document = await caller.run(authority="fleet", rpcs=length.spread)
    counts = list(document["backends"].values())
    ratio = round(max(counts) / min(counts), 4)
    row = {"backends": len(counts), "rpcs": document["rpcs"], "failed": document["failed"]}
    return {**row, "least": min(counts), "most": max(counts), "ratio": ratio}


async def sizes(world: World, upstreams: int, length: Length) -> dict[str, Any]:
    """Start callers that see so many upstreams; look at their sidecars when idle, and when all have been called."""
    name = f"{_NAMESPACE}-{upstreams}"
    services = [service(f"upstream-{number:03d}", "echo") for number in range(upstreams)]
    await world.apply([namespace(name), *services, servers("echo", 1)], name)
    started = [await world.start_caller(f"caller-{number}", name) for number in range(length.starts)]
    await asyncio.sleep(length.settle)
    idle = memory_mib(started[0].envoy)
    failed = 0
    for number in range(upstreams):
        failed += (await started[0].run(authority=f"upstream-{number:03d}", rpcs=4))["failed"]
    used = memory_mib(started[0].envoy)
    await asyncio.gather(*(caller.pod.delete(1) for caller in started))
    return {
        "upstreams": upstreams,
        "annotation_bytes": started[0].annotation_bytes,
        "ready_s": round(median([caller.seconds_to_ready for caller in started]), 3),
        **{f"{kind}_mib": value for kind, value in idle.items()},
        **{f"used_{kind}_mib": value for kind, value in used.items()},
        "failed": failed,
    }


async def run(folder: Path, length: Length, report: Report) -> None:
    """Measure and print."""
    async with made(folder) as world:
        documents = [namespace(_NAMESPACE), service("one", "one"), service("fleet", "fleet")]
        await world.apply([*documents, servers("one", 1), servers("fleet", length.backends)], _NAMESPACE)
        caller = await world.start_caller("caller", _NAMESPACE)
        rows = await compare(caller, world.addresses(_NAMESPACE, "one")[0], length)
        report.table("One RPC, from the same caller to the same server", _ROUTES, rows, "route")
        even = await spread(caller, length)
        report.table("Spread of unary RPCs over one channel", _SPREAD, [even], "spread", "Aim: max/min <= 1.02")
        rows = [await sizes(world, upstreams, length) for upstreams in length.upstreams]
        report.table("The sidecar by the number of upstreams", _SIZES, rows, "sidecar")


def enter_sandbox(arguments: Sequence[str], *, smoke: bool) -> int:
    """Run this program in a sandbox and give its exit code; say why where the machine allows none."""
    why = sandbox.why_impossible()
    if why is not None:
        optional = smoke and os.environ.get("CI") != "true"
        print(f"benchmarks/dataplane.py: nothing was measured. {why}", file=sys.stdout if optional else sys.stderr)
        return 0 if optional else 1
    command = [sys.executable, "-m", "webhook.node.sandbox", "--", sys.executable, __file__, *arguments]
    with subprocess.Popen(command) as process:
        # The sandbox passes Ctrl-C on and ends everything inside; here it only has to be waited for.
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark."""
    options = flags(__doc__).parse_args(arguments)
    if not sandbox.inside():
        return enter_sandbox(arguments, smoke=options.smoke)
    report = Report()
    report.say("The data plane: Envoys of admitted Pods, nothing pinned")
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-") as name:
        asyncio.run(run(Path(name), _SMOKE if options.smoke else _FULL, report))
    report.write(options.json)
    return 1 if sum(row["failed"] for row in report.results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
