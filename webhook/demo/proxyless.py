"""A client without a sidecar, whose gRPC library asks the control plane itself: two Services at once, 2 -> 10 -> 3."""

from __future__ import annotations

import asyncio
from typing import Final

from webhook.core.model import DiscoveryMode, Mode
from webhook.data import data_folder
from webhook.demo.scenario import Way, documents
from webhook.demo.stage import RPCS, Load, Stage

_NAMESPACE: Final = "proxyless"
_CALLER: Final = "fe-deployment"
_BACKENDS: Final = ("be1", "be2")


class Proxyless:
    """The example `frontend` as its author had it: it dials `xds:///be1-srv`, in a namespace without a label."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def play(self) -> None:
        """Play all."""
        self._stage.step("proxyless: no sidecar anywhere, the client's gRPC library dials xds:///be1-srv and be2-srv")
        found = documents(data_folder("examples") / "proxyless.yaml")
        caller = [one for one in found if one["metadata"]["name"] == _CALLER]
        await self._stage.cluster.apply([one for one in found if one not in caller], namespace=_NAMESPACE)
        await self._stage.cluster.apply(caller, namespace=_NAMESPACE)
        await self._both("2 servers each", "")
        for replicas, before in ((10, 2), (3, 10)):
            self._stage.step(f"proxyless: scaling be1 from {before} to {replicas} under load")
            await self._scale(before, replicas)
            await self._both(f"be1 has {replicas} servers", f"-{replicas}")
        await self._stage.cluster.delete(_NAMESPACE)

    async def _both(self, title: str, suffix: str) -> None:
        """Call both at once, each evenly."""
        callers = self._stage.callers(_NAMESPACE, _CALLER)
        servers = {name: self._stage.deployment(_NAMESPACE, f"{name}-deployment") for name in _BACKENDS}
        for name in _BACKENDS:
            await self._stage.settled(callers, servers[name].addresses, target=_target(name))
        tallies = await asyncio.gather(*(callers.run(rpcs=RPCS, target=_target(name)) for name in _BACKENDS))
        for name, tally in zip(_BACKENDS, tallies, strict=True):
            shown = f"{_target(name)}, no sidecar, both at once; {title}"
            self._stage.steady(f"proxyless-{name}{suffix}", shown, tally, servers[name], _way(name))

    async def _scale(self, before: int, replicas: int) -> None:
        callers, stage = self._stage.callers(_NAMESPACE, _CALLER), self._stage
        change = f"proxyless-{before}-to-{replicas}"
        loads = [
            Load(
                f"{change}{suffix}",
                f"{_target(name)} while be1 is scaled from {before} to {replicas}",
                callers,
                stage.deployment(_NAMESPACE, f"{name}-deployment"),
                _way(name),
                {"target": _target(name)},
            )
            for name, suffix in zip(_BACKENDS, ("", "-be2"), strict=True)
        ]
        scaled = loads[0].servers
        await stage.under_load(loads, lambda: stage.cluster.scale(scaled, replicas))


def _target(name: str) -> str:
    return f"xds:///{name}-srv"


def _way(name: str) -> Way:
    return Way(_target(name), Mode.PROXYLESS, DiscoveryMode.XDS)
