"""Many namespaces and Services, made in a cluster as quickly as it takes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.kit.rest import Rest, RestError

_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Made:
    """An object, and where it goes."""

    collection: str
    document: dict[str, Any]

    @property
    def path(self) -> str:
        """Give where it is."""
        return f"{self.collection}/{self.document['metadata']['name']}"


def namespace(number: int) -> str:
    """Give a namespace's name."""
    return f"crowd-{number:04d}"


def service(number: int, namespaces: int, *, name: str = "", namespace: str = "") -> Made:
    """Give a headless Service; one in ten has a port whose number its pods decide, one in ten is exported."""
    name, inside = name or f"service-{number:05d}", namespace or f"crowd-{number % namespaces:04d}"
    target: int | str = "grpc" if number % 10 == 3 else 50051
    annotations = {"evenkeel.dev/export-to": f"crowd-{(number + 1) % namespaces:04d}"} if number % 10 == 7 else {}
    spec = {
        "clusterIP": "None",
        "selector": {"app": name},
        "ports": [{"name": "grpc", "port": 50051, "targetPort": target}],
    }
    metadata = {"name": name, "namespace": inside, "annotations": annotations}
    document = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return Made(f"/api/v1/namespaces/{inside}/services", document)


async def fill(rest: Rest, services: int, namespaces: int) -> None:
    """Make everything, the namespaces first."""
    made = (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(number)}}
        for number in range(namespaces)
    )
    await together(rest.post("/api/v1/namespaces", one) for one in made)
    wanted = (service(number, namespaces) for number in range(services))
    await together(rest.post(one.collection, one.document) for one in wanted)


async def together(calls: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Await many calls, some at a time; what is there already stays."""
    waiting = iter(calls)

    async def work() -> None:
        for call in waiting:
            with contextlib.suppress(_Exists):
                await _once(call)

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


class _Exists(Exception):
    """The object is there."""


async def _once(call: Coroutine[Any, Any, Any]) -> None:
    try:
        await call
    except RestError as error:
        if error.reason != "AlreadyExists":
            raise
        raise _Exists from error
