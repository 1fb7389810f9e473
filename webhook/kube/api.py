"""The only door to the API server: JSON in and out, time-outs set, errors translated, calls counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import orjson

from webhook.kube.config import Access, find_access
from webhook.kube.errors import Gone, Unreachable, error_from_status
from webhook.kube.presence import Presence
from webhook.kube.resources import place
from webhook.kube.stream import lines, warnings
from webhook.kube.transport import Transport

Json = dict[str, Any]
Items = list[Json]

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 30.0
SILENT_SECONDS: Final = 130.0
"""A watch that says nothing for so long is dead: bookmarks come about each minute, so two are missing."""
_LIMITS: Final = aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS)
_INTERNAL_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of a change: the object, and what people should see."""

    object: Json
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of one kind, and the version of the cluster's state that they are of."""

    items: Items
    version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Json


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """The API server's version."""

    major: int
    minor: int
    git: str


class Api:
    """An async context manager that talks to one API server.

    Parameters are given in the API's spelling: `labelSelector="a=b"`, `dryRun="All"`; None is left out. Every call
    raises a ClusterError (webhook.kube.errors) and nothing else. None tries again by itself, but with refused
    credentials, which are read anew first.
    """

    def __init__(self, access: Access, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        """How often was called what: (verb as RBAC has it, resource, subresource)."""
        self.presence = Presence()
        """Whether it answers."""
        self._transport = Transport(access, clock)

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> Api:
        """Find the credentials: the kubeconfig given, a Pod's service account, KUBECONFIG, ~/.kube/config.

        Raises SettingsError with what was looked for; so does entering the context, with what is wrong in it.
        """
        return cls(find_access(kubeconfig, context))

    async def __aenter__(self) -> Self:
        """Read the credentials; no connection is made yet."""
        await self._transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._transport.close()

    async def get(self, path: str, **params: Any) -> Json:
        """Read one object."""
        return (await self._call("get", "GET", path, params)).object

    async def create(self, path: str, body: Json, **params: Any) -> Answer:
        """Create an object in a collection."""
        return await self._call("create", "POST", path, params, body)

    async def replace(self, path: str, body: Json, **params: Any) -> Answer:
        """Replace an object; with a resourceVersion in it, only that version."""
        return await self._call("update", "PUT", path, params, body)

    async def patch(
        self, path: str, body: Any, *, content_type: str = "application/merge-patch+json", **params: Any
    ) -> Answer:
        """Patch an object."""
        return await self._call("patch", "PATCH", path, params, body, content_type)

    async def delete(self, path: str, body: Json | None = None, **params: Any) -> Json:
        """Delete an object, or with a collection's path all that the selectors choose."""
        verb = "delete" if place(path).named else "deletecollection"
        return (await self._call(verb, "DELETE", path, params, body)).object

    async def version(self) -> ServerVersion:
        """Give the API server's version."""
        found = await self.get("/version")
        major, minor = ("".join(filter(str.isdigit, str(found.get(key, "")))) for key in ("major", "minor"))
        return ServerVersion(int(major or 0), int(minor or 0), str(found.get("gitVersion", "")))

    async def list(self, path: str, *, limit: int = 500, **params: Any) -> Listing:
        """Read a whole collection, page by page; begins once more where a page has expired meanwhile."""
        try:
            return await self._list(path, limit, params)
        except Gone:
            return await self._list(path, limit, params)

    async def pages(self, path: str, *, limit: int = 500, **params: Any) -> AsyncGenerator[Listing, None]:
        """Read a collection page by page; raises Gone where the next page has expired."""
        token: str | None = None
        while token != "":
            found = (await self._call("list", "GET", path, {"limit": limit, "continue": token, **params})).object
            metadata = found.get("metadata") or {}
            token = str(metadata.get("continue") or "")
            yield Listing(_complete(found), str(metadata.get("resourceVersion") or ""))

    async def watch(
        self,
        path: str,
        *,
        version: str,
        timeout: int,  # noqa: ASYNC109 - the API server keeps it
        silence: float = SILENT_SECONDS,
        opened: Callable[[], None] | None = None,
        **params: Any,
    ) -> AsyncGenerator[Event, None]:
        """Give what changes after a version, bookmarks among it, until the API server ends it after `timeout` seconds.

        `opened` is called once the API server has accepted the watch. Raises Gone where the version is too old,
        Unreachable where the connection breaks or is silent for `silence` seconds; a line cut in two is no event.
        Close it (contextlib.aclosing) where it is left early.
        """
        self._count("watch", path)
        asked = {"watch": True, "allowWatchBookmarks": True, "resourceVersion": version, "timeoutSeconds": timeout}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        async with self._answer("GET", path, {**asked, **params}, limits) as response:
            if opened is not None:
                opened()
            async with aclosing(lines(response.content.iter_any())) as found:
                async for line in found:
                    yield _event(path, line)

    async def _list(self, path: str, limit: int, params: Mapping[str, Any]) -> Listing:
        items: Items = []
        version = ""
        async with aclosing(self.pages(path, limit=limit, **params)) as pages:
            async for page in pages:
                items += page.items
                version = page.version
        return Listing(items, version)

    async def _call(
        self,
        verb: str,
        method: str,
        path: str,
        params: Mapping[str, Any],
        body: Any = None,
        content_type: str = "application/json",
    ) -> Answer:
        self._count(verb, path)
        async with self._answer(method, path, params, _LIMITS, body, content_type) as response:
            content = await response.read()
            return Answer(_object(method, path, content), warnings(response.headers.getall("Warning", ())))

    @asynccontextmanager
    async def _answer(self, method: str, path: str, *how: Any) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        try:
            async with self._transport.answer(method, path, *how) as response:
                self.presence.answered()
                yield response
        except Unreachable:
            self.presence.lost()
            raise

    def _count(self, verb: str, path: str) -> None:
        where = place(path)
        self.calls[verb, where.resource, where.subresource] += 1


def _object(method: str, path: str, content: bytes) -> Json:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(method, path, "the answer is no JSON object: is that the API server?")
    return found


def _complete(found: Json) -> Items:
    """Give the objects of a list with their apiVersion and kind, which it says but once."""
    items: Items = found.get("items") or []
    kind = str(found.get("kind") or "").removesuffix("List")
    for item in items:
        item.setdefault("apiVersion", found.get("apiVersion"))
        item.setdefault("kind", kind)
    return items


def _event(path: str, line: bytes) -> Event:
    found = _object("GET", path, line)
    kind, value = found.get("type"), found.get("object")
    if not isinstance(kind, str) or not isinstance(value, dict):
        raise Unreachable("GET", path, "a line of the watch is no event: is that the API server?")
    if kind == "ERROR":
        raise error_from_status("GET", path, value, _INTERNAL_ERROR)
    return Event(kind, value)
