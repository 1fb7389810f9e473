"""Many sidecars that say who they are at once, to an `evenkeel xds` that asks a real API server about each.

    PYTHONPATH=. python benchmarks/tokens.py [--json FILE] [--smoke]

Every sidecar is fake and has a Pod of its own and a token bound to it. They, the server, the API server and etcd
share the machine's cores. Nothing is asserted about time; a sidecar that was refused ends the run with exit code 1.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc
from crowd import together
from machine import cpu_seconds
from measuring import measured
from report import Report, flags, quantile

from tests import builders
from tests.cluster.kit.ads import token_of
from tests.cluster.kit.controlplane import ControlPlane
from tests.cluster.kit.install import NAMESPACE, XDS, accounts, pod, total
from tests.cluster.kit.pods import make_node
from tests.cluster.kit.rest import Rest
from tests.controlplane.build import programs
from tests.xds.process import Sidecar, XdsProcess

_ALL, _FEW = 1_000, 20
_SHOP, _NODE, _ORDERS = "shop", "node-1", "orders.shop:50051"
_BACK_OFF: Final = (0.25, 2.0)
"""Seconds after which a sidecar comes again, as sidecar_templates/ads.yaml says."""
_PATIENCE: Final = 120.0
_REVIEWS: Final = "evenkeel_xds_token_reviews_total"
_STORM: Final = {"what": "sidecars that come", "clients": "at once", "half_s": "half told after s",
                 "last_s": "all told after s", "again": "told to come again", "reviews": "reviews",
                 "refused": "refused", "cpu_s": "CPU s"}  # fmt: skip


async def tokens(rest: Rest, count: int) -> list[str]:
    """Make Pods, and have a token issued for each."""
    path = f"/api/v1/namespaces/{_SHOP}/pods"
    wanted = (pod(name=f"front-{number}") for number in range(count))
    await together(rest.post(path, {**one, "spec": {**one["spec"], "nodeName": _NODE}}) for one in wanted)
    made = (await rest.get(path))["items"]
    issued: list[str] = []

    async def issue(one: Any) -> None:
        issued.append(await token_of(rest, one))

    await together(issue(one) for one in made)
    return issued


async def storm(what: str, replica: XdsProcess, shown: Sequence[str]) -> dict[str, Any]:
    """Let everybody come, each until told of the endpoints it asks for."""
    before = total((await replica.health("/metrics"))[1], _REVIEWS)
    cpu, begun = cpu_seconds(replica.pid), time.monotonic()
    told: list[float] = []
    again = refused = 0

    async def come(token: str) -> None:
        nonlocal again, refused
        async with replica.channel() as channel:
            while True:
                try:
                    await Sidecar(channel, token).first(_ORDERS)
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                        refused += 1
                        return
                    again += 1
                    await asyncio.sleep(random.uniform(*_BACK_OFF))  # noqa: S311 - spreads, guards nothing
                else:
                    told.append(time.monotonic() - begun)
                    return

    async with asyncio.timeout(_PATIENCE):
        await asyncio.gather(*map(come, shown))
    reviews = total((await replica.health("/metrics"))[1], _REVIEWS) - before
    return {
        "what": what,
        "clients": len(shown),
        "half_s": round(quantile(told, 0.5), 2),
        "last_s": round(max(told, default=0.0), 2),
        "again": again,
        "reviews": int(reviews),
        "refused": refused,
        "cpu_s": round(cpu_seconds(replica.pid) - cpu, 2),
    }


async def run(folder: Path, count: int, report: Report) -> int:
    """Measure; give how many were refused."""
    found = programs("etcd", "kubernetes", "kustomize")
    async with ControlPlane(folder / "plane", found) as plane, Rest(plane.kubeconfig) as rest:
        for namespace in (NAMESPACE, _SHOP):
            await plane.namespace(namespace)
        for one in accounts(found["kustomize"]):
            await rest.apply(one)
        await make_node(rest, _NODE)
        await rest.post(f"/api/v1/namespaces/{_SHOP}/services", builders.service("orders"))
        issued = await tokens(rest, count)
        kubeconfig = await plane.kubeconfig_for(XDS, NAMESPACE)
        rows = []
        for number, what in enumerate(("that nobody knows", "after a restart of the server")):
            home = folder / str(number)
            home.mkdir()
            async with XdsProcess(home, kubeconfig, sidecar_own_namespace=NAMESPACE) as replica:
                await replica.serving()
                rows.append(await storm(what, replica, issued))
                if number:
                    rows.append(await storm("that it knows", replica, issued))
    report.table("Tokens that a real API server reviews", _STORM, rows, "tokens")
    return sum(row["refused"] for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = flags(__doc__).parse_args(arguments)
    count = _FEW if options.smoke else _ALL
    return measured(options.json, lambda folder, report: run(folder, count, report))


if __name__ == "__main__":
    sys.exit(main())
