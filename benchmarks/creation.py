"""Pods created at a steady rate through a real API server, with the webhook in the path and without.

    PYTHONPATH=. python -m webhook.node.sandbox -- python benchmarks/creation.py [--json FILE] [--smoke]

Evenkeel is installed from deploy/overlays/self-managed with its two replicas. API server, etcd, controller manager and
webhook share the machine's cores. Ends with exit code 1 where a Pod was refused or came out bare.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from measuring import ABSENT, measured
from report import Report, flags, median, quantile
from reviews import usual_pod

from tests.cluster.kit.install import injected, installed, render
from tests.cluster.kit.rest import Rest, RestError
from tests.cluster.kit.world import World
from tests.controlplane.build import programs
from webhook.core import names
from webhook.node import sandbox

_DURATION: Final = "apiserver_admission_webhook_admission_duration_seconds"
_LABELS: Final = 'name="inject.evenkeel.dev"'
_PODS: Final = {"where": "namespace", "asked_per_s": "asked/s", "created": "created", "failed": "failed",
                "bare": "bare", "per_s": "created/s", "p50_ms": "p50 ms", "p99_ms": "p99 ms",
                "max_ms": "max ms"}  # fmt: skip
_SERVER: Final = {"calls": "calls", "mean_ms": "mean ms", "p99_ms": "p99 ms"}
_AIM: Final = "Aims: failed 0, bare 0"
_AIM_SERVER: Final = "Aims: mean at most 6 ms, p99 at most 25 ms"


def pod(namespace: str) -> dict[str, Any]:
    """Give the usual Pod as somebody posts it who is no controller."""
    document = usual_pod(namespace)
    metadata = {key: document["metadata"][key] for key in ("generateName", "namespace", "labels", "annotations")}
    spec = {key: value for key, value in document["spec"].items() if key in ("containers", "securityContext")}
    mounts = ("volumeMounts",)
    containers = [{key: one[key] for key in one if key not in mounts} for one in spec["containers"]]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "containers": containers}}


async def create(rest: Rest, namespace: str, rate: int, seconds: float) -> dict[str, Any]:
    """Create Pods when they are due, whether or not those before are there; give what became of them."""
    document, path = pod(namespace), f"/api/v1/namespaces/{namespace}/pods"
    latencies: list[float] = []
    counted: Counter[str] = Counter()

    async def one() -> None:
        began = time.perf_counter()
        try:
            created = await rest.post(path, document)
        except (RestError, httpx.HTTPError) as error:
            counted["failed"] += 1
            counted[str(error)[:200]] += 1
        else:
            latencies.append(1000 * (time.perf_counter() - began))
            counted["bare"] += not injected(created)

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))
            group.create_task(one())
    return {
        "where": namespace,
        "asked_per_s": rate,
        "created": len(latencies),
        "failed": counted["failed"],
        "bare": counted["bare"],
        "per_s": round(len(latencies) / (time.monotonic() - begun), 1),
        "p50_ms": round(median(latencies), 2),
        "p99_ms": round(quantile(latencies, 0.99), 2),
        "max_ms": round(max(latencies, default=0.0), 2),
    }


def buckets(text: str) -> dict[float, float]:
    """Give the cumulative counts of the API server's own histogram of calls to us, by upper bound in seconds."""
    found: Counter[float] = Counter()
    for labels, count in re.findall(rf"^{_DURATION}_bucket{{(.*?)}} (\S+)$", text, re.MULTILINE):
        if _LABELS in labels:
            found[float(re.findall(r'le="([^"]+)"', labels)[0].replace("+Inf", "inf"))] += float(count)
    return dict(sorted(found.items()))


def sums(text: str) -> tuple[float, float]:
    """Give the seconds and the number of calls."""
    pairs = [
        [
            float(value)
            for labels, value in re.findall(rf"^{_DURATION}_{part}{{(.*?)}} (\S+)$", text, re.MULTILINE)
            if _LABELS in labels
        ]
        for part in ("sum", "count")
    ]
    return sum(pairs[0]), sum(pairs[1])


def within(before: str, after: str, share: float) -> float:
    """Give a quantile in milliseconds as Prometheus' histogram_quantile does: straight lines inside a bucket."""
    old, new = buckets(before), buckets(after)
    counts = {bound: count - old.get(bound, 0.0) for bound, count in new.items()}
    wanted = share * max(counts.values(), default=0.0)
    low, below = 0.0, 0.0
    for bound, count in counts.items():
        if count >= wanted:
            part = (wanted - below) / (count - below) if count > below else 0.0
            return 1000 * (low if bound == float("inf") else low + (bound - low) * part)
        low, below = bound, count
    return 0.0


async def run(folder: Path, rate: int, seconds: float, report: Report) -> int:
    """Measure; give how many Pods were refused or came out bare though they should not have."""
    found = programs("etcd", "kubernetes", "kustomize")
    async with World(folder, found) as world, installed(world, render(found["kustomize"], "self-managed")):
        await world.namespace("with-the-webhook", {names.INJECT: names.ENABLED})
        await world.namespace("without-it")
        service = {"clusterIP": "None", "selector": {"app": "orders"}, "ports": [{"name": "grpc", "port": 50051}]}
        manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "orders"}, "spec": service}
        await world.apply([manifest], namespace="with-the-webhook")
        await create(world.rest, "without-it", rate, seconds / 10)
        rows = [await create(world.rest, "without-it", rate, seconds)]
        before = await world.plane.metrics()
        rows.append(await create(world.rest, "with-the-webhook", rate, seconds))
        after = await world.plane.metrics()
    report.table(f"Pods created, {rate} a second for {seconds:g} s", _PODS, rows, "creation", _AIM)
    (spent, calls), (spent_before, calls_before) = sums(after), sums(before)
    row = {"calls": int(calls - calls_before), "p99_ms": round(within(before, after, 0.99), 2)}
    row["mean_ms"] = round(1000 * (spent - spent_before) / max(1, row["calls"]), 2)
    report.table("What the API server says of its calls to the webhook", _SERVER, [row], "webhook", _AIM_SERVER)
    return sum(row["failed"] for row in rows) + rows[1]["bare"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = flags(__doc__)
    parser.add_argument("--rate", type=int, default=50, help="Pods a second")
    options = parser.parse_args(arguments)
    if not sandbox.inside():
        Report().say("not in a sandbox: start it by `python -m webhook.node.sandbox -- ...`")
        return ABSENT
    seconds = 3.0 if options.smoke else 60.0
    return measured(options.json, lambda folder, report: run(folder, options.rate, seconds, report))


if __name__ == "__main__":
    sys.exit(main())
