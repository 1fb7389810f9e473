"""One client's stream as a state machine: requests in, responses out. No I/O, no clock.

| what comes | what follows |
| --- | --- |
| new names | they are told, or that they do not exist |
| a response is taken, or refused | the next one may be sent; what was refused is not sent again until it is another |
| a name changes | it is told, once the response before is answered; what changes meanwhile is told together |
| a type that nobody serves, an answer to anything but the last response | nothing |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import DecodeError

from webhook.xds.identity import Identity
from webhook.xds.limits import Limits
from webhook.xds.source import ORDER, WHOLE, Resource, Source
from webhook.xds.watch import ABSENT, WHOLE_SET, Watch
from webhook.xds.wire import delta_discovery_response, discovery_response

_WILDCARD: Final = "*"
_REASON_LENGTH: Final = 500


class Malformed(Exception):
    """What a client sent is no request."""


class TooMuch(Exception):
    """A client asks for more than any sane one does."""


class Refused(NamedTuple):
    """A response that a client did not take."""

    type_url: str
    names: tuple[str, ...]
    reason: str


class Response(NamedTuple):
    """What is to be written."""

    type_url: str
    body: bytes
    since: float | None
    """When the first of what it tells has changed; None where it only answers."""


class Received(NamedTuple):
    """What a request has changed."""

    type_url: str = ""
    added: Sequence[str] = ()
    gone: Sequence[str] = ()
    refused: Refused | None = None


class Session(ABC):
    """What both variants have in common."""

    def __init__(self, client: Identity, sources: Mapping[str, Source], limits: Limits | None = None) -> None:
        self.client = client
        self._sources = sources
        self._limits = limits or Limits()
        self._watches: dict[str, Watch] = {}
        self._nonces = 0

    @staticmethod
    @abstractmethod
    def node(data: bytes) -> Any:
        """Give the node (core.v3.Node) of a request; raises Malformed."""

    @abstractmethod
    def receive(self, data: bytes) -> Received:
        """Take a request; raises Malformed and TooMuch."""

    @abstractmethod
    def _response(self, type_url: str, nonce: str, watch: Watch) -> tuple[bytes, dict[str, str]] | None:
        """Write what is due, and give the versions in it; None where the client has everything."""

    def changed(self, type_url: str, name: str, since: float) -> None:
        """Hear that a name that the client wants may be another now."""
        self._watches[type_url].changed(name, since)

    def take(self) -> Response | None:
        """Give the next response that may be sent; it counts as sent."""
        for type_url in ORDER:
            watch = self._watches.get(type_url)
            if watch is None or watch.waits or not (watch.due or watch.suspects or watch.owed):
                continue
            nonce, since = str(self._nonces + 1), watch.since
            made = self._response(type_url, nonce, watch)
            if not watch.due:
                watch.since = None
            if made is not None:
                self._nonces += 1
                watch.sent(made[1], nonce)
                return Response(type_url, made[0], since)
        return None

    @property
    def waits(self) -> bool:
        """Say whether a response is unanswered."""
        return any(watch.waits for watch in self._watches.values())

    @property
    def wanted(self) -> tuple[tuple[str, str], ...]:
        """Give all that the client wants, by type and name."""
        return tuple((type_url, name) for type_url, watch in self._watches.items() for name in watch.wanted)

    def _watch(self, type_url: str) -> Watch:
        return self._watches.setdefault(type_url, Watch())

    def _answered(self, type_url: str, watch: Watch, request: Any) -> Refused | None:
        """Take the answer to the last response, if the request is one."""
        if not watch.waits or request.response_nonce != watch.nonce:
            return None
        if not request.HasField("error_detail"):
            watch.accept()
            return None
        names = tuple(watch.flight)
        watch.refuse()
        return Refused(type_url, names, request.error_detail.message[:_REASON_LENGTH])

    def _names(self, watch: Watch, asked: Iterable[str]) -> dict[str, None]:
        """Give the names of a request; a wildcard is answered, with nothing."""
        names = dict.fromkeys(asked)
        wildcard = _WILDCARD in names
        names.pop(_WILDCARD, None)
        watch.owed = watch.owed or wildcard
        for name in names:
            if len(name) > self._limits.name_length:
                raise TooMuch(f"a name of {len(name)} characters is too long")
        known = sum(len(each.wanted) for each in self._watches.values())
        if known + len(names.keys() - watch.wanted.keys()) > self._limits.names:
            raise TooMuch(f"more than {self._limits.names} names on one stream")
        return names

    def _due(self, type_url: str, watch: Watch) -> list[tuple[str, Resource | None]]:
        """Take what is due and other than the client has it, up to the size of a response."""
        source, found, size = self._sources[type_url], [], 0
        alone = bool(watch.suspects)
        for name in tuple(watch.suspects or watch.due):
            watch.suspects.pop(name, None)
            watch.due.pop(name, None)
            resource = source.get(self.client, name)
            version = ABSENT if resource is None else resource.version
            if version in (watch.held.get(name), watch.refused.get(name)):
                continue
            found.append((name, resource))
            size += len(resource.body) if resource else len(name)
            if alone or size >= self._limits.response_bytes:
                break
        return found


class StateOfTheWorld(Session):
    """The variant whose requests name everything that is wanted."""

    @staticmethod
    def node(data: bytes) -> Any:
        """Give the node of a request."""
        return _read(discovery_pb2.DiscoveryRequest, data).node

    def receive(self, data: bytes) -> Received:
        """Take a DiscoveryRequest."""
        request = _read(discovery_pb2.DiscoveryRequest, data)
        type_url, first = request.type_url, request.type_url not in self._watches
        if type_url not in self._sources:
            return Received()
        watch = self._watch(type_url)
        if not first and request.response_nonce != watch.nonce:
            return Received()
        watch.owed = watch.owed or (first and not request.resource_names)
        names, answers = self._names(watch, request.resource_names), watch.waits
        refused = self._answered(type_url, watch, request)
        gone = watch.unsubscribe([name for name in watch.wanted if name not in names])
        added = watch.subscribe([name for name in names if name not in watch.wanted])
        if gone and watch.refused.get(WHOLE_SET):
            watch.due.update(watch.wanted)  # it may take the set without them
        if added:
            watch.forget(WHOLE_SET)  # it waits for an answer, though that may be the one that it had
        if not (first or answers or gone or added or request.HasField("error_detail")):
            watch.again()
        return Received(type_url, added, gone, refused)

    def _response(self, type_url: str, nonce: str, watch: Watch) -> tuple[bytes, dict[str, str]] | None:
        whole = type_url in WHOLE
        found = self._everything(type_url, watch) if whole else self._there(type_url, watch)
        resources = [(name, each) for name, each in found if each is not None]
        # All that is wanted belongs to the version of a whole set: who asks for one thing more waits for an answer.
        version = _digest(((name, each.version if each else ABSENT) for name, each in found))
        if whole and not watch.owed and version in (watch.held.get(WHOLE_SET), watch.refused.get(WHOLE_SET)):
            return None
        if not whole and not resources and not watch.owed:
            return None
        versions = {WHOLE_SET: version} if whole else {name: each.version for name, each in resources}
        return discovery_response(type_url, nonce, version, (each for _, each in resources)), versions

    def _there(self, type_url: str, watch: Watch) -> list[tuple[str, Resource | None]]:
        """Take what is due and exists: that something is gone cannot be said here."""
        while found := self._due(type_url, watch):
            if there := [(name, each) for name, each in found if each is not None]:
                return list(there)
        return []

    def _everything(self, type_url: str, watch: Watch) -> list[tuple[str, Resource | None]]:
        watch.due.clear()
        source = self._sources[type_url]
        return [(name, source.get(self.client, name)) for name in sorted(watch.wanted)]


class Delta(Session):
    """The variant whose requests and responses say what is other than before."""

    @staticmethod
    def node(data: bytes) -> Any:
        """Give the node of a request."""
        return _read(discovery_pb2.DeltaDiscoveryRequest, data).node

    def receive(self, data: bytes) -> Received:
        """Take a DeltaDiscoveryRequest."""
        request = _read(discovery_pb2.DeltaDiscoveryRequest, data)
        type_url, first = request.type_url, request.type_url not in self._watches
        if type_url not in self._sources:
            return Received()
        watch = self._watch(type_url)
        watch.owed = watch.owed or (first and type_url in WHOLE and not request.resource_names_subscribe)
        names = self._names(watch, request.resource_names_subscribe)
        refused = self._answered(type_url, watch, request)
        gone = watch.unsubscribe(request.resource_names_unsubscribe)
        added = watch.subscribe(names)
        if first:
            had = request.initial_resource_versions
            watch.held.update({name: had[name] for name in names if had.get(name)})
        return Received(type_url, added, gone, refused)

    def _response(self, type_url: str, nonce: str, watch: Watch) -> tuple[bytes, dict[str, str]] | None:
        found = self._due(type_url, watch)
        if not found and not watch.owed:
            return None
        resources = [(name, each) for name, each in found if each is not None]
        removed = [name for name, each in found if each is None]
        versions = {name: ABSENT if each is None else each.version for name, each in found}
        return delta_discovery_response(type_url, nonce, resources, removed), versions


def _read(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise Malformed("that is no discovery request") from error


def _digest(versions: Iterable[tuple[str, str]]) -> str:
    text = "\n".join(f"{name} {version}" for name, version in versions)
    return blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()
