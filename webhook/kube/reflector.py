"""List and watch: a copy of one kind of object that follows the API server, and says what changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import structlog

from webhook.kube.api import Api, Event, Json
from webhook.kube.errors import ClusterError, Gone, Silent, Unreachable
from webhook.kube.pace import Backoff, Pace
from webhook.kube.resources import Resource

_MOST_RESUMED: Final = 3
"""Failures in a row after which the version itself is suspected, and all is listed again."""
_TOO_SHORT: Final = 5.0
"""Seconds. A watch that ends sooner, though it may live for minutes, ended for a reason that may recur at once."""
_BREATH: Final = 50
"""Events after which others on the loop get their turn: a backlog is handed over without a pause."""


class Key(NamedTuple):
    """An object by namespace (empty where it has none) and name."""

    namespace: str
    name: str


_NO_KEY: Final = Key("", "")


class ChangeKind(StrEnum):
    """What a Change tells."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    REPLACED = "REPLACED"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a handler hears, in order.

    ADDED and MODIFIED carry the object, DELETED the last one known, all as `keep` gave it; what `keep` makes equal to
    the one known is no change. After a list come the differences to what was known, deletions that nobody was told
    about among them, and then, without a key, one REPLACED: all of the list is in.
    """

    kind: ChangeKind
    key: Key = _NO_KEY
    object: Any = None


class Relist(StrEnum):
    """Why everything was listed."""

    START = "start"
    EXPIRED = "expired"
    SILENT = "silent"
    FAILED = "failed"


class Observer(Protocol):
    """Hears how the watching goes; DiscoveryMetrics has one for each resource."""

    def contact(self, objects: int) -> None:
        """Hear that the API server said something, and how many objects are known."""

    def listed(self, reason: Relist) -> None:
        """Hear that everything was listed, and why."""

    def failed(self, error: ClusterError) -> None:
        """Hear of each failure."""

    def connected(self, *, up: bool) -> None:
        """Hear that what is known follows the API server, or does not (now)."""


class Reflector:
    """Follows one kind of object for ever.

    Whatever fails, the last state stays, and it comes back by itself: an expired version (410) leads to a new list,
    a broken connection to a watch from where it broke, each after a pause that grows. A silent connection is given up.
    `keep` trims an object before it is held, or gives None for one that is not wanted. A list comes in pages of
    `page_size` objects: what is not trimmed yet is held whole, so pages of large objects had better be short.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource,
        *,
        handler: Callable[[Change], None],
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        keep: Callable[[Json], Any] | None = None,
        name: str | None = None,
        pace: Pace | None = None,
        observer: Observer | None = None,
        page_size: int = 500,
    ) -> None:
        self.name = name or resource.plural
        self.last_error: ClusterError | None = None
        """Why the last attempt failed; None after one that did not."""
        self.last_contact: float | None = None
        """When the API server last said something, by the pace's clock."""
        self._api = api
        self._path = resource.path(namespace)
        self._selectors: dict[str, Any] = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._handler = handler
        self._keep = keep
        self._pace = pace or Pace()
        self._observer = observer
        self._page_size = page_size
        self._backoff = Backoff(self._pace)
        self._objects: dict[Key, Any] = {}
        self._version: str | None = None
        self._reason = Relist.START
        self._failures = 0
        self._opened_at: float | None = None
        self._lost_at: float | None = None
        self._synced = asyncio.Event()
        self._log = structlog.get_logger().bind(resource=self.name)

    @property
    def synced(self) -> bool:
        """Say whether a whole list was in once."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait for the first whole list."""
        await self._synced.wait()

    @property
    def objects(self) -> Mapping[Key, Any]:
        """Give what is known now, as `keep` gave it: a view that changes."""
        return MappingProxyType(self._objects)

    async def run(self) -> None:
        """Follow for ever; raises only what the handler raises."""
        while True:
            try:
                if self._version is None:
                    self._version = await self._list()
                await self._watch(self._version)
            except ClusterError as error:
                self._failed(error)
                # What another call finds out first is worth knowing: else each would wait for up to half a minute.
                back = self._api.presence.back if isinstance(error, Unreachable) else None
                await self._backoff.wait(error.retry_after, sooner=back)
            else:
                self._failures = 0
                if not self._lived:
                    self._report(up=False)
                    await self._backoff.wait()

    async def _list(self) -> str:
        fresh: dict[Key, Any] = {}
        version = ""
        async with aclosing(self._api.pages(self._path, limit=self._page_size, **self._selectors)) as pages:
            async for page in pages:
                fresh.update(pair for each in page.items if (pair := self._kept(each))[1] is not None)
                version = page.version
        if self._observer is not None:
            self._observer.listed(self._reason)
        self._replace(fresh)
        self._contact()
        self._synced.set()
        return version

    def _replace(self, fresh: dict[Key, Any]) -> None:
        for key in self._objects.keys() - fresh.keys():
            self._set(key, None)
        for key, value in fresh.items():
            self._set(key, value)
        self._handler(Change(ChangeKind.REPLACED))

    async def _watch(self, version: str) -> None:
        self._opened_at = None
        stream = self._api.watch(
            self._path,
            version=version,
            timeout=self._pace.watch_timeout(),
            silence=self._pace.silent_seconds,
            opened=self._opened,
            **self._selectors,
        )
        try:
            async with aclosing(stream) as events:
                count = 0
                async for event in events:
                    self._take(event)
                    self._contact()
                    self._failures = 0
                    count += 1
                    if count % _BREATH == 0:
                        await asyncio.sleep(0)
        finally:
            if self._lived:
                self._backoff.reset()

    def _opened(self) -> None:
        self._opened_at = self._pace.clock()
        self._contact()

    @property
    def _lived(self) -> bool:
        """Say whether the last watch was open for a while."""
        return self._opened_at is not None and self._pace.clock() - self._opened_at >= _TOO_SHORT

    def _take(self, event: Event) -> None:
        version = str((event.object.get("metadata") or {}).get("resourceVersion") or "")
        if _earlier(version, self._version):
            raise Gone("GET", self._path, f"the version went back from {self._version} to {version}: etcd was restored")
        if event.type in (ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED):
            key, value = self._kept(event.object)
            self._set(key, None if event.type == ChangeKind.DELETED else value)
        # A bookmark is nothing but a version; an event's version counts once the event has been handled.
        self._version = version or self._version

    def _kept(self, found: Json) -> tuple[Key, Any]:
        metadata = found.get("metadata") or {}
        key = Key(str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))
        return key, found if self._keep is None else self._keep(found)

    def _set(self, key: Key, value: Any) -> None:
        known = self._objects.get(key)
        if known == value:
            return
        if value is None:
            del self._objects[key]
            self._handler(Change(ChangeKind.DELETED, key, known))
        else:
            self._objects[key] = value
            self._handler(Change(ChangeKind.ADDED if known is None else ChangeKind.MODIFIED, key, value))

    def _contact(self) -> None:
        now = self.last_contact = self._pace.clock()
        self.last_error = None
        if self._observer is not None:
            self._observer.contact(len(self._objects))
        self._report(up=True)
        if self._lost_at is not None:
            self._log.info("the API server is back", seconds=round(now - self._lost_at, 1))
            self._lost_at = None

    def _failed(self, error: ClusterError) -> None:
        self.last_error = error
        self._failures += 1
        if self._observer is not None:
            self._observer.failed(error)
        if isinstance(error, Gone):
            self._version, self._reason = None, Relist.EXPIRED
        elif isinstance(error, Silent):
            # Perhaps it only had nothing to say; a list asks for an answer, and finds out.
            self._version, self._reason = None, Relist.SILENT
        elif self._failures > _MOST_RESUMED and self._version is not None:
            self._version, self._reason = None, Relist.FAILED
        if not isinstance(error, Gone | Silent):
            self._lost(error)

    def _report(self, *, up: bool) -> None:
        if self._observer is not None:
            self._observer.connected(up=up)

    def _lost(self, error: ClusterError) -> None:
        self._report(up=False)
        if self._lost_at is None:
            self._lost_at = self._pace.clock()
            self._log.warning("the API server is lost, what is known stays in use", error=str(error))


def _earlier(version: str, than: str | None) -> bool:
    """Say whether a version is surely earlier; where they are no numbers nobody can tell."""
    return than is not None and version.isdecimal() and than.isdecimal() and int(version) < int(than)
