"""A reflector with all that it told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from tests.kube.apiserver import ApiServer
from tests.kube.kit import Json, Time, running, until
from webhook.kube.api import Api
from webhook.kube.metrics import DiscoveryMetrics
from webhook.kube.reflector import Change, Reflector
from webhook.kube.resources import NAMESPACES

PATH = NAMESPACES.path()


def thing(name: str, **labels: str) -> Json:
    """Make a small object."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def line(kind: str, obj: Json) -> bytes:
    """Write an event."""
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


class Followed:
    """A reflector with all that it told."""

    def __init__(self, api: Api, time: Time, **options: Any) -> None:
        self.changes: list[tuple[str, str]] = []
        self.registry = CollectorRegistry()
        self.time = time
        observer = DiscoveryMetrics(self.registry, now=lambda: time.now).of("namespaces")
        spans = {"silent_seconds": options.pop("silent_seconds", 30.0)}
        options = {"keep": lambda found: found["metadata"].get("labels"), "pace": time.pace(**spans)} | options
        self.reflector = Reflector(api, NAMESPACES, handler=self._heard, observer=observer, **options)

    def _heard(self, change: Change) -> None:
        self.changes.append((change.kind.value, change.key.name))

    def known(self) -> set[str]:
        """Give the names that are known."""
        return {key.name for key in self.reflector.objects}

    def metric(self, name: str, **labels: str) -> float | None:
        """Read a metric."""
        return self.registry.get_sample_value(f"evenkeel_discovery_{name}", {"resource": "namespaces", **labels})


Follow = Callable[..., Any]


def follower(server: ApiServer, api: Api) -> Follow:
    """Give a way to follow the server's namespaces; two are there."""

    @asynccontextmanager
    async def followed(**options: Any) -> AsyncIterator[Followed]:
        for name in ("a", "b"):
            await server.put(PATH, thing(name))
        one = Followed(api, Time(), **options)
        async with running(one.reflector.run()):
            yield one

    return followed


async def at_ease(server: ApiServer, one: Followed, watches: int = 1) -> None:
    """Wait until a watch is open."""
    await until(lambda: one.reflector.synced and len(server.open(PATH)) == watches)
