"""Pods created one after another while something else happens, and what became of each."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.cluster.kit.install import injected, pod, until
from tests.cluster.kit.rest import Rest, RestError
from webhook.core import names

_AT_ONCE: Final = 16


@dataclass(slots=True)
class Stream:
    """What became of the Pods so far: each asked for was created or failed, each created is injected or bare."""

    asked: int = 0
    created: int = 0
    injected: int = 0
    bare: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    """By which version of ours the injected ones were injected."""

    async def goes_on(self, pods: int = 20) -> None:
        """Wait until so many more Pods have been asked for and all is known of them."""
        aim = self.asked + pods

        async def reached() -> bool:
            return self.created + self.failed >= aim

        await until(reached, f"{pods} more Pods created")

    def take(self, document: dict[str, Any], warnings: tuple[str, ...]) -> None:
        """Count a Pod that was created."""
        self.created += 1
        self.warnings.update(warnings)
        if injected(document):
            self.injected += 1
            self.versions[version_of(document)] += 1
        else:
            self.bare += 1

    def refuse(self, error: Exception) -> None:
        """Count one that was not."""
        self.failed += 1
        self.errors[str(error)[:300]] += 1

    @property
    def harmed(self) -> dict[str, Any]:
        """Give everything that should not be: empty where every Pod asked for was created with its sidecar."""
        unknown = self.asked - self.created - self.failed
        found = {"bare": self.bare, "failed": self.failed, "unknown": unknown, **self.errors, **self.warnings}
        return {key: value for key, value in found.items() if value}


@asynccontextmanager
async def stream(rest: Rest, namespace: str, *, rate: float = 20.0) -> AsyncIterator[Stream]:
    """Create Pods at a steady pace, really and not by dry run; they are deleted at the end.

    One that is late is created as soon as it can be, none is left out. The namespace's Pods must not be run.
    """
    found = Stream()
    creating = asyncio.create_task(_create_all(rest, namespace, rate, found), name=f"stream into {namespace}")
    try:
        yield found
        if creating.done():
            # It never ends by itself.
            await creating
    finally:
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        await rest.delete(f"/api/v1/namespaces/{namespace}/pods", gracePeriodSeconds=0)


def version_of(document: dict[str, Any]) -> str:
    """Give the version that wrote a Pod's configuration."""
    status = (document["metadata"].get("annotations") or {}).get(names.STATUS, "{}")
    return str(json.loads(status).get("version", "none"))


async def _create_all(rest: Rest, namespace: str, rate: float, found: Stream) -> None:
    places = asyncio.Semaphore(_AT_ONCE)
    due = time.monotonic()
    pending: set[asyncio.Task[None]] = set()
    try:
        while True:
            await places.acquire()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += 1 / rate
            found.asked += 1
            task = asyncio.create_task(_create(rest, namespace, f"stream-{found.asked:05d}", found, places))
            pending.add(task)
            task.add_done_callback(pending.discard)
    finally:
        # What was asked for is waited for, so that nothing remains unknown.
        await asyncio.gather(*pending)


async def _create(rest: Rest, namespace: str, name: str, found: Stream, places: asyncio.Semaphore) -> None:
    try:
        found.take(*await rest.post_with_warnings(f"/api/v1/namespaces/{namespace}/pods", pod(name=name)))
    except (RestError, httpx.HTTPError, OSError) as error:
        found.refuse(error)
    finally:
        places.release()
