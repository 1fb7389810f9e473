"""What every part of the demo does with callers and servers; what happens between phases is counted, never dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from webhook.demo.admission import DemoError
from webhook.demo.calls import Callers, Tally
from webhook.demo.cluster import Cluster, Deployment
from webhook.demo.scenario import Scenario, Way, scenario

RPCS: Final = 1000
"""Of each caller in a steady phase that is shown at length."""
RATE: Final = 50
"""RPCs a second of each caller while something changes."""
_FOLLOWED_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Load:
    """Callers that go on calling while something changes."""

    name: str
    title: str
    callers: Callers
    servers: Deployment
    way: Way = field(default=Way())
    spec: Mapping[str, Any] = field(default_factory=dict)


class Stage:
    """Where scenarios are played: a cluster, and whoever looks on."""

    def __init__(self, cluster: Cluster, step: Callable[[str], None], show: Callable[[Scenario], None]) -> None:
        self.cluster = cluster
        self.step = step
        """Says what is about to be done."""
        self.show = show

    def deployment(self, namespace: str, name: str) -> Deployment:
        """Give a Deployment that was applied."""
        return self.cluster.deployments[namespace, name]

    def callers(self, namespace: str, name: str, most: int | None = None) -> Callers:
        """Give the client Pods of a Deployment, or some of them."""
        return Callers(self.deployment(namespace, name).pods[:most])

    def steady(self, name: str, title: str, tally: Tally, servers: Deployment, way: Way | None = None) -> None:
        """Show calls to servers that stayed the same."""
        self.show(scenario(name, title, tally, servers.addresses, way=way or Way(), steady=True))

    async def under_load(self, loads: Sequence[Load], change: Callable[[], Awaitable[Any]]) -> None:
        """Change something while calls go on, until all is followed; show what came of each load."""
        before = [set(load.servers.addresses) for load in loads]
        async with AsyncExitStack() as stack:
            tallies = [
                await stack.enter_async_context(load.callers.load(load.name, rate=RATE, **load.spec)) for load in loads
            ]
            await change()
            await asyncio.gather(*(_followed(load) for load in loads))
        for load, tally, known in zip(loads, tallies, before, strict=True):
            now = set(load.servers.addresses)
            seconds = _seconds_to_new(tally, load.servers, now - known)
            everybody = known | now | set(tally.backends)
            self.show(scenario(load.name, load.title, tally, everybody, way=load.way, seconds=seconds))

    async def settled(self, callers: Callers, servers: Collection[str], **spec: Any) -> None:
        """Wait until calls reach all servers and none fails."""
        end = time.monotonic() + _FOLLOWED_SECONDS
        tally = Tally()
        while set(tally.backends) != set(servers) or tally.failed:
            if time.monotonic() > end:
                raise DemoError(f"{spec}: after {_FOLLOWED_SECONDS:.0f} s calls reach {tally}, not all of {servers}")
            tally = await callers.run(rpcs=4 * len(servers), **spec)

    async def answers(self, callers: Callers, name: str, *, failing: bool) -> None:
        """Wait until calls of a load fail, or are answered."""
        end = time.monotonic() + _FOLLOWED_SECONDS
        while time.monotonic() < end:
            tally = await callers.so_far(name)
            if tally.failed if failing else tally.backends:
                return
            await asyncio.sleep(0.1)
        raise DemoError(f"{name}: no call {'failed' if failing else 'was answered'} in {_FOLLOWED_SECONDS:.0f} s")


def _seconds_to_new(tally: Tally, servers: Deployment, new: Collection[str]) -> float | None:
    """Give how long the slowest of the new servers was ready before it was first called."""
    waits = [tally.first_seen[address] - servers.ready_at[address] for address in new]
    # A sidecar may hear of a Pod before the demo does.
    return max(0.0, *waits) if waits else None


async def _followed(load: Load) -> None:
    """Wait until every live server was heard of, and none but them for a while."""
    end = time.monotonic() + _FOLLOWED_SECONDS
    while not set(load.servers.addresses) <= set((await load.callers.so_far(load.name)).backends):
        if time.monotonic() > end:
            raise DemoError(f"{load.name}: not every server was called after {_FOLLOWED_SECONDS:.0f} s")
        await asyncio.sleep(0.2)
    seen = (await load.callers.so_far(load.name)).backends
    while time.monotonic() < end:
        await asyncio.sleep(1.0)
        now = (await load.callers.so_far(load.name)).backends
        if {address for address in now if now[address] > seen[address]} <= set(load.servers.addresses):
            return
        seen = now
