"""The catalog from the API server: followed object by object, published whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import orjson
import structlog

from webhook.core.authorities import authorities
from webhook.core.catalog import Catalog, CatalogBuilder
from webhook.core.model import Problem, ServiceRef
from webhook.kube.api import Api, Json
from webhook.kube.metrics import DiscoveryMetrics
from webhook.kube.pace import Pace
from webhook.kube.reflector import Change, ChangeKind, Key, Reflector
from webhook.kube.resources import ENDPOINT_SLICES, MUTATING_WEBHOOKS, NAMESPACES, SERVICES, Resource
from webhook.kube.trim import trim_configuration, trim_namespace, trim_service, trim_slice
from webhook.observe import CatalogMetrics

_MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
_CONTROLLER: Final = "endpointslice-controller.k8s.io"
_HEADLESS: Final = "service.kubernetes.io/headless"
HEADLESS_SLICES: Final = f"{_MANAGED_BY}={_CONTROLLER},{_HEADLESS}"
"""Slices that Kubernetes makes, of headless Services only: of all others nobody asks what a named port means."""
OTHER_SLICES: Final = f"{_MANAGED_BY}!={_CONTROLLER}"
"""Slices that somebody else makes, such as for a Service without a selector: they carry no label to choose by."""
_SLICES: Final = {"endpointslices-headless": HEADLESS_SLICES, "endpointslices-other": OTHER_SLICES}
"""No slice is in both."""
_AT_ONCE: Final = 100
"""Services read before admissions get their turn: a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a publication changed, compared with the one before.

    `services` are those that have come, gone, or are others now in any field of the catalog's Service, so also one
    whose named port means another number; `namespaces` likewise. With `everything` both are empty and nothing is
    known: it is the first publication, or the first one that a subscriber hears of. A change of problems only leaves
    all three empty.
    """

    services: frozenset[ServiceRef] = frozenset()
    namespaces: frozenset[str] = frozenset()
    everything: bool = False


Subscriber = Callable[[Catalog, Changed], None]
_Keep = Callable[[Json], Any]
_Handler = Callable[[Change], None]


class Discovery:
    """Watches Services, Namespaces and the EndpointSlices that matter, and publishes the catalog that they make.

    The first publication comes once all first lists are in, and has it all; then one change is published at once and
    many together, `pace.publish_seconds` apart. When the API server is gone the last catalog stays.
    """

    def __init__(
        self,
        api: Api,
        publish: Callable[[Catalog], None] | None,
        metrics: CatalogMetrics,
        watching: DiscoveryMetrics,
        *,
        pace: Pace | None = None,
        configuration: str = "evenkeel",
    ) -> None:
        """Take what to call with each catalog, None where subscribers are all.

        `configuration` is the webhook configuration that publishes our CAs.
        """
        self._publish = publish
        self._metrics = metrics
        self._pace = pace or Pace()
        self._builder = CatalogBuilder(self._document)
        self._catalog: Catalog | None = None
        self._subscribers: list[Subscriber] = []
        self._stirred = asyncio.Event()
        self._told: frozenset[Problem] = frozenset()
        self._log = structlog.get_logger().bind()

        def follow(
            resource: Resource, keep: _Keep, handler: _Handler, name: str, selector: str | None, only: str | None = None
        ) -> Reflector:
            return Reflector(
                api,
                resource,
                handler=handler,
                label_selector=selector,
                field_selector=f"metadata.name={only}" if only else None,
                keep=keep,
                name=name,
                pace=self._pace,
                observer=watching.of(name),
            )

        self._services = follow(SERVICES, trim_service, self._service, "services", None)
        self._reflectors = (
            self._services,
            follow(NAMESPACES, trim_namespace, self._namespace, "namespaces", None),
            *(
                follow(ENDPOINT_SLICES, trim_slice, partial(self._slice, name), name, selector)
                for name, selector in _SLICES.items()
            ),
        )
        self._trust = follow(
            MUTATING_WEBHOOKS, trim_configuration, self._configuration, "authorities", None, configuration
        )

    def missing(self) -> str | None:
        """Say what has not been listed yet and why, or None once a catalog has been published; for readiness."""
        for reflector in self._reflectors:
            if not reflector.synced:
                why = f": {reflector.last_error}" if reflector.last_error else ""
                return f"the {reflector.name} of the cluster are not known yet{why}"
        return None if self._catalog else "the Services are being read"

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber(catalog, changed)` after each publication, in the event loop, with what has changed.

        The catalog is the one just published. Calls come in order, none is left out, and the first one, which comes
        at once where a catalog has been published before, says `everything`. It must not block; what it raises ends
        `run`.
        """
        self._subscribers.append(subscriber)
        if self._catalog is not None:
            subscriber(self._catalog, Changed(everything=True))

    async def run(self) -> None:
        """Follow the cluster for ever."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in (*self._reflectors, self._trust):
                tasks.create_task(reflector.run())
            tasks.create_task(self._publish_changes())

    def _document(self, ref: ServiceRef) -> Json | None:
        text = self._services.objects.get(Key(*ref))
        return None if text is None else orjson.loads(text)

    def _service(self, change: Change) -> None:
        if change.kind is not ChangeKind.REPLACED:
            self._builder.service(ServiceRef(*change.key))
        self._stirred.set()

    def _namespace(self, change: Change) -> None:
        if change.kind is not ChangeKind.REPLACED:
            self._builder.namespace(change.key.name, _read(change))
        self._stirred.set()

    def _slice(self, source: str, change: Change) -> None:
        if change.kind is not ChangeKind.REPLACED:
            self._builder.slice((source, change.key), _read(change))
        self._stirred.set()

    def _configuration(self, change: Change) -> None:
        if change.kind is not ChangeKind.REPLACED:
            found = _read(change)
            self._builder.trust(authorities(found["bundles"]) if found else "")
        self._stirred.set()

    async def _publish_changes(self) -> None:
        for reflector in self._reflectors:
            await reflector.wait_synced()
        # It decides nothing about admissions by DNS: what cannot be had must not keep those waiting.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._trust.wait_synced(), self._pace.trust_seconds)
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while self._builder.read(_AT_ONCE):  # noqa: ASYNC110 - nothing to wait for, others get their turn
                await asyncio.sleep(0)
            if self._take(*self._builder.build()):
                await self._pace.sleep(self._pace.publish_seconds)

    def _take(self, catalog: Catalog, services: frozenset[ServiceRef], namespaces: frozenset[str]) -> bool:
        """Publish a catalog, unless it is the one that was."""
        before = self._catalog
        if catalog is before:
            return False
        if self._publish is not None:
            self._publish(catalog)
        self._catalog = catalog
        self._metrics.loaded(len(catalog.services), catalog.upstream_count, catalog.problems)
        self._tell(before, catalog)
        changed = Changed(everything=True) if before is None else Changed(services, namespaces)
        for subscriber in self._subscribers:
            subscriber(catalog, changed)
        return True

    def _tell(self, before: Catalog | None, catalog: Catalog) -> None:
        """Log the first catalog, and each problem once when it appears."""
        if before is None:
            self._log.info("catalog loaded", services=len(catalog.services), upstreams=catalog.upstream_count)
        elif catalog.problems is before.problems:
            return
        problems = frozenset(catalog.problems)
        for problem in catalog.problems:
            if problem not in self._told:
                self._log.warning("catalog problem", code=problem.code, where=problem.where, message=problem.message)
        self._told = problems


def _read(change: Change) -> Json | None:
    found: Json | None = None if change.kind is ChangeKind.DELETED else orjson.loads(change.object)
    return found
