"""Tells the callers in the Pods what to call, and adds up what became of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from webhook.node.pod import Pod as RunningPod

_CONTROL_PORT: Final = 8080
_CONTROL_VARIABLE: Final = "ECHO_CONTROL_PORT"
_LONGEST_RUN: Final = 90.0
_CONNECT_RETRIES: Final = 4


@dataclass(slots=True)
class Tally:
    """Every RPC that was started, by the backend that answered it or the error that ended it."""

    rpcs: int = 0
    failed: int = 0
    backends: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    first_seen: dict[str, float] = field(default_factory=dict)
    """Backend -> unix time of the first answer that any caller had of it."""

    def add(self, document: dict[str, Any]) -> None:
        """Add what one caller reports."""
        self.rpcs += document["rpcs"]
        self.failed += document["failed"]
        self.backends.update(document["backends"])
        self.errors.update(document["errors"])
        for address, seen in document["first_seen"].items():
            self.first_seen[address] = min(seen, self.first_seen.get(address, seen))


class Callers:
    """The client Pods of the examples."""

    def __init__(self, pods: Sequence[RunningPod]) -> None:
        self._urls = [f"http://{pod.address}:{_control_port(pod)}" for pod in pods]

    async def run(self, **spec: Any) -> Tally:
        """Let every caller make its RPCs at the same time; `spec` is as examples/echo/gateway.py says."""
        return _sum(await self._ask("POST", "/run", spec))

    @asynccontextmanager
    async def load(self, name: str, **spec: Any) -> AsyncIterator[Tally]:
        """Keep calling in the background; the tally is complete when the block is left."""
        tally = Tally()
        await self._ask("POST", "/load", {"name": name, **spec})
        try:
            yield tally
        finally:
            for document in await self._ask("DELETE", f"/load/{name}", None):
                tally.add(document)

    async def so_far(self, name: str) -> Tally:
        """Give the tally of a load that is still running."""
        return _sum(await self._ask("GET", f"/load/{name}", None))

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> list[dict[str, Any]]:
        return await asyncio.gather(*(_ask(method, url + path, body) for url in self._urls))


def _control_port(pod: RunningPod) -> int:
    """Give where a caller is told what to call: a Pod that calls port 8080 had better not serve it too."""
    variables = (one for container in pod.document["spec"]["containers"] for one in container.get("env") or ())
    return next((int(one["value"]) for one in variables if one["name"] == _CONTROL_VARIABLE), _CONTROL_PORT)


async def _ask(method: str, url: str, body: dict[str, Any] | None) -> dict[str, Any]:
    # A caller without a readiness probe may not listen yet: connecting is tried again, a request never is.
    transport = httpx.AsyncHTTPTransport(retries=_CONNECT_RETRIES)
    async with httpx.AsyncClient(trust_env=False, timeout=_LONGEST_RUN, transport=transport) as client:
        answer = await client.request(method, url, json=body)
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def _sum(documents: Iterable[dict[str, Any]]) -> Tally:
    tally = Tally()
    for document in documents:
        tally.add(document)
    return tally
