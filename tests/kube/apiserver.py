"""A small API server on a real socket: lists by pages, watches, and fails as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiohttp import web

Json = dict[str, Any]
Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Call:
    """One request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def watch(self) -> bool:
        """Say whether it asked for a watch."""
        return "watch" in self.query


@dataclass(eq=False)
class Watch:
    """An open watch."""

    path: str
    selector: str
    response: web.StreamResponse
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, kind: str, obj: Json) -> None:
        """Send an event."""
        await self.response.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")


class ApiServer:
    """Keeps objects by their collection's path and tells watches of changes; every change is a new version."""

    def __init__(self) -> None:
        self.port = 0
        self.calls: list[Call] = []
        self.faults: list[tuple[str, Fault]] = []
        """What the next request to a path with such a beginning (`list`, `watch` or a method) meets instead."""
        self.oldest = 0
        """Watches and pages of earlier versions have expired."""
        self.limit = 500
        self.token = "good"
        self.version = 100
        self.watches: list[Watch] = []
        self._objects: dict[str, dict[str, Json]] = {}
        self._history: list[tuple[int, str, str, Json]] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> Self:
        """Listen, on the same port as before if there was one."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Go away, with every connection."""
        self.cut()
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    def kubeconfig(self, folder: Path, **user: Any) -> Path:
        """Write a kubeconfig that leads here."""
        file = folder / "kubeconfig"
        document = {
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "test", "user": user or {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        file.write_text(json.dumps(document))
        return file

    async def put(self, path: str, obj: Json) -> None:
        """Create or change an object in a collection."""
        key = f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
        kind = "MODIFIED" if key in self._objects.setdefault(path, {}) else "ADDED"
        self._objects[path][key] = self._stamped(obj)
        await self._tell(path, kind, self._objects[path][key])

    async def remove(self, path: str, obj: Json) -> None:
        """Delete an object."""
        found = self._objects[path].pop(f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}")
        await self._tell(path, "DELETED", self._stamped(found))

    async def bookmark(self, path: str) -> None:
        """Tell every watch of a collection the version of now."""
        self.version += 1
        for watch in self.open(path):
            await watch.write("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def open(self, path: str) -> list[Watch]:
        """Give the open watches of a collection."""
        return [watch for watch in self.watches if watch.path == path]

    def cut(self) -> None:
        """Break every watch's connection."""
        for watch in self.watches:
            watch.done.set()

    def expire(self) -> None:
        """Forget all history: watches and pages from before are 410."""
        self.oldest = self.version = self.version + 1
        self._history.clear()

    def asked(self, path: str, *, watch: bool) -> list[Call]:
        """Give the lists or watches of a collection that were asked for."""
        return [call for call in self.calls if call.path == path and call.watch is watch]

    def _stamped(self, obj: Json) -> Json:
        self.version += 1
        return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}

    async def _tell(self, path: str, kind: str, obj: Json) -> None:
        self._history.append((self.version, path, kind, obj))
        for watch in self.open(path):
            if matches(watch.selector, obj):
                await watch.write(kind, obj)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        call = Call(request.method, request.path, dict(request.query), dict(request.headers), body)
        self.calls.append(call)
        verb = "watch" if call.watch else "list" if request.path in self._objects else request.method
        for index, (beginning, fault) in enumerate(self.faults):
            if f"{verb} {request.path}".startswith(beginning):
                del self.faults[index]
                return await fault(request)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return status(401, "Unauthorized", "Unauthorized")
        if call.watch:
            return await self._watch(request)
        if verb == "list":
            return self._list(request)
        return status(404, "NotFound", f'{request.path} "x" not found')

    def _list(self, request: web.Request) -> web.Response:
        at, _, start = request.query.get("continue", f"{self.version}/0").partition("/")
        if int(at) < self.oldest:
            return status(410, "Expired", "The provided continue parameter is too old")
        found = [obj for obj in self._objects[request.path].values() if matches(_selector(request), obj)]
        first, end = int(start), int(start) + min(self.limit, int(request.query["limit"]))
        token = f"{at}/{end}" if end < len(found) else ""
        # As the API server does: what a list says once its objects do not say.
        items = [{key: value for key, value in obj.items() if key not in ("apiVersion", "kind")} for obj in found]
        kind = f"{found[0]['kind']}List" if found else "List"
        version = found[0]["apiVersion"] if found else "v1"
        metadata = {"resourceVersion": at, "continue": token}
        return web.json_response({"kind": kind, "apiVersion": version, "metadata": metadata, "items": items[first:end]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        response = await opened(request)
        watch = Watch(request.path, _selector(request), response)
        if since < self.oldest:
            await watch.write("ERROR", status_object(410, "Expired", "too old resource version"))
            return response
        for version, path, kind, obj in self._history:
            if version > since and path == request.path and matches(watch.selector, obj):
                await watch.write(kind, obj)
        self.watches.append(watch)
        try:
            await watch.done.wait()
        finally:
            self.watches.remove(watch)
        abort(request)
        return response


def status_object(code: int, reason: str, message: str, **details: Any) -> Json:
    """Make a Status."""
    return {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}


def status(code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Make an answer that is a Status."""
    return web.json_response(status_object(code, reason, message), status=code, headers=headers)


def answers(response: Callable[[], web.StreamResponse]) -> Fault:
    """Make a fault that answers with this."""

    async def fault(_: web.Request) -> web.StreamResponse:
        return response()

    return fault


def says(*chunks: bytes, cut: bool = False) -> Fault:
    """Make a fault that answers a watch with these bytes, and ends it or breaks the connection."""

    async def fault(request: web.Request) -> web.StreamResponse:
        response = await opened(request)
        for chunk in chunks:
            await response.write(chunk)
        if cut:
            await asyncio.sleep(0.01)  # so that what was written leaves before the connection breaks
            abort(request)
        return response

    return fault


def hangs(until: asyncio.Event, *, begun: bool) -> Fault:
    """Make a fault that says nothing, before its head or after it."""

    async def fault(request: web.Request) -> web.StreamResponse:
        response = await opened(request) if begun else web.Response()
        await until.wait()
        return response

    return fault


async def opened(request: web.Request) -> web.StreamResponse:
    """Send the head of a watch's answer."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response


def abort(request: web.Request) -> None:
    """Break the connection of a request."""
    if request.transport is not None:
        request.transport.abort()


def _selector(request: web.Request) -> str:
    return request.query.get("labelSelector", "")


def matches(selector: str, obj: Json) -> bool:
    """Say whether a label selector chooses an object; knows `a=b`, `a!=b` and `a`."""
    labels = obj["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        key, operator, value = term.partition("!=" if "!=" in term else "=")
        if operator == "!=" and labels.get(key) == value:
            return False
        if operator == "=" and labels.get(key) != value:
            return False
        if not operator and key not in labels:
            return False
    return True
