"""The ways in which a webhook can be away, each as a block in which it is."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from tests.cluster.kit.install import NAMESPACE, WEBHOOK, Installed, until

_SERVICE: Final = f"/api/v1/namespaces/{NAMESPACE}/services/{WEBHOOK}"
_SLICES: Final = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
_OF_SERVICE: Final = f"kubernetes.io/service-name={WEBHOOK}"
_NOBODY: Final = "10.244.255.250"
"""An address of the Pods' network that no Pod has: what is sent there is never answered."""
Outage = Callable[[Installed], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def scaled_away(evenkeel: Installed) -> AsyncIterator[None]:
    """Have no replicas at all."""
    try:
        await evenkeel.scale(WEBHOOK, 0)
        yield
    finally:
        await evenkeel.scale(WEBHOOK, 2)


@asynccontextmanager
async def no_endpoints(evenkeel: Installed) -> AsyncIterator[None]:
    """Let the Service select nobody, and end what the API server is still connected to."""
    before = (await evenkeel.world.rest.get(_SERVICE))["spec"]["selector"]
    try:
        await evenkeel.world.rest.patch(_SERVICE, {"spec": {"selector": {"away": "true"}}})
        await until(lambda: _leads_to(evenkeel, set()), "without endpoints")
        # Over a connection that is open calls go on, whatever becomes of the Service.
        _signal(evenkeel, signal.SIGKILL)
        yield
    finally:
        await evenkeel.world.rest.patch(_SERVICE, {"spec": {"selector": {**before, "away": None}}})


@asynccontextmanager
async def swallowed(evenkeel: Installed) -> AsyncIterator[None]:
    """Let the Service lead to where packets vanish, as behind a firewall."""
    rest = evenkeel.world.rest
    async with no_endpoints(evenkeel):
        await rest.patch(_SERVICE, {"spec": {"selector": None}})
        await rest.delete(_SLICES, labelSelector=_OF_SERVICE)
        await rest.apply(_slice(_NOBODY))
        await until(lambda: _leads_to(evenkeel, {_NOBODY}), "led astray")
        try:
            yield
        finally:
            await rest.delete(f"{_SLICES}/astray")


@asynccontextmanager
async def killed(evenkeel: Installed) -> AsyncIterator[None]:
    """Kill every replica's process, this very moment; the node starts them again."""
    _signal(evenkeel, signal.SIGKILL)
    yield


@asynccontextmanager
async def hung(evenkeel: Installed) -> AsyncIterator[None]:
    """Let every replica's process stand still: connections are taken, and nothing comes back."""
    stopped = _signal(evenkeel, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


OUTAGES: Final[dict[str, Outage]] = {
    "scaled-away": scaled_away,
    "no-endpoints": no_endpoints,
    "swallowed": swallowed,
    "killed": killed,
    "hung": hung,
}


def _signal(evenkeel: Installed, number: signal.Signals) -> list[int]:
    """Send a signal to every replica's process, and give those."""
    return signalled(evenkeel.replicas(), number)


def signalled(pods: Iterable[Any], number: signal.Signals) -> list[int]:
    """Send a signal to every process of some Pods' containers, and give those."""
    containers = [one for pod in pods for one in pod._order.everything]
    pids = [one._process.pid for one in containers if one._process is not None]
    for pid in pids:
        os.kill(pid, number)
    return pids


async def _leads_to(evenkeel: Installed, addresses: set[str]) -> bool:
    listed = await evenkeel.world.rest.get(_SLICES, labelSelector=_OF_SERVICE)
    endpoints = [endpoint for one in listed["items"] for endpoint in one.get("endpoints") or ()]
    return {address for endpoint in endpoints for address in endpoint["addresses"]} == addresses


def _slice(address: str) -> dict[str, Any]:
    metadata = {"name": "astray", "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": WEBHOOK}}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": 10250, "protocol": "TCP"}],
    }
