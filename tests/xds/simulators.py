"""Clients of the control plane, as far as sessions go, and what stands between them and the sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2

from webhook.xds.identity import Identity
from webhook.xds.limits import Limits
from webhook.xds.session import Delta, Refused, Session, StateOfTheWorld
from webhook.xds.source import EDS, WHOLE, Resource, Source
from webhook.xds.subscriptions import Subscriptions
from webhook.xds.wire import packed

POISON = b"poison"
"""Clients refuse a resource with this in it."""
ME = Identity("shop", "front-0")


class Shelf:
    """A source of resources that a test puts there."""

    def __init__(self) -> None:
        self.there: dict[str, Resource] = {}

    def put(self, name: str, content: str | None) -> None:
        """Put a resource in its place; None takes it away."""
        if content is None:
            self.there.pop(name, None)
        else:
            self.there[name] = resource(name, content)

    def get(self, _client: Identity, name: str) -> Resource | None:
        """Give a resource."""
        return self.there.get(name)


def resource(name: str, content: str) -> Resource:
    """Make a resource whose version is its content."""
    return Resource(content, packed("test.Thing", f"{name}={content}".encode()))


def name_of(type_url: str, body: Any) -> str:
    """Read the name in a resource."""
    if type_url == EDS and body.type_url == EDS:
        return str(endpoint_pb2.ClusterLoadAssignment.FromString(body.value).cluster_name)
    return str(body.value.decode().partition("=")[0])


class Hub:
    """The server without its sockets."""

    def __init__(self, sources: Mapping[str, Source], limits: Limits | None = None) -> None:
        self.sources = sources
        self.limits = limits
        self.subscriptions: Subscriptions[Session] = Subscriptions()
        self.refused: list[tuple[Identity, Refused]] = []

    def changed(self, type_url: str, names: Iterable[str]) -> None:
        """Tell those who want these names."""
        for name in names:
            for session in self.subscriptions.of(type_url, name):
                session.changed(type_url, name, 0.0)

    def receive(self, session: Session, request: Any) -> None:
        """Hand over a request."""
        received = session.receive(request.SerializeToString())
        self.subscriptions.drop(session, received.type_url, received.gone)
        self.subscriptions.add(session, received.type_url, received.added)
        if received.refused is not None:
            self.refused.append((session.client, received.refused))

    def leave(self, session: Session) -> None:
        """Forget a session."""
        for type_url, name in session.wanted:
            self.subscriptions.drop(session, type_url, (name,))


class Simulator(ABC):
    """A client that takes what it is told, refuses poison, and does not answer while it is silent."""

    session_type: type[Session]

    def __init__(self, hub: Hub, identity: Identity = ME) -> None:
        self.hub = hub
        self.identity = identity
        self.wanted: dict[str, set[str]] = {}
        self.held: dict[str, dict[str, bytes]] = {}
        self.silent = False
        self.waiting: dict[str, Any] = {}
        """Responses that it has not answered; a session sends no second one of a type before."""
        self.responses = 0
        self._connect()

    def _connect(self) -> None:
        self.session = self.session_type(self.identity, self.hub.sources, self.hub.limits)

    def pump(self) -> None:
        """Read and answer until nothing more comes."""
        if not self.silent:
            for response in list(self.waiting.values()):
                self._answer(response)
            self.waiting.clear()
        while (made := self.session.take()) is not None:
            response = self.parse(made.body)
            assert response.type_url == made.type_url
            assert made.type_url not in self.waiting
            self.responses += 1
            if self.silent:
                self.waiting[made.type_url] = response
            else:
                self._answer(response)

    def reconnect(self) -> None:
        """Lose the stream and ask again for what it wants."""
        self.hub.leave(self.session)
        self.waiting.clear()
        self._connect()
        for type_url, names in self.wanted.items():
            self.ask_again(type_url, sorted(names))

    def _answer(self, response: Any) -> None:
        bad = [each for each in response.resources if POISON in each.SerializeToString()]
        if not bad:
            self.apply(response)
        self.answer(response, "poison is refused" if bad else "")

    def subscribe(self, type_url: str, *names: str) -> None:
        """Want names."""
        new = sorted(set(names) - self.wanted.setdefault(type_url, set()))
        self.wanted[type_url] |= set(new)
        self.ask(type_url, new, [])

    def unsubscribe(self, type_url: str, *names: str) -> None:
        """Want names no more, and forget what they were."""
        gone = sorted(set(names) & self.wanted.setdefault(type_url, set()))
        self.wanted[type_url] -= set(gone)
        for name in gone:
            self.held.get(type_url, {}).pop(name, None)
        self.ask(type_url, [], gone)

    @abstractmethod
    def parse(self, body: bytes) -> Any:
        """Read a response."""

    @abstractmethod
    def apply(self, response: Any) -> None:
        """Hold what a response tells."""

    @abstractmethod
    def answer(self, response: Any, error: str) -> None:
        """Take or refuse a response."""

    @abstractmethod
    def ask(self, type_url: str, new: list[str], gone: list[str]) -> None:
        """Say what is wanted now."""

    @abstractmethod
    def ask_again(self, type_url: str, names: list[str]) -> None:
        """Say it on a new stream."""


class SotwSimulator(Simulator):
    """A client of the state-of-the-world variant."""

    session_type = StateOfTheWorld

    def _connect(self) -> None:
        super()._connect()
        self._nonces: dict[str, str] = {}
        self._versions: dict[str, str] = {}

    def parse(self, body: bytes) -> Any:
        """Read a DiscoveryResponse."""
        return discovery_pb2.DiscoveryResponse.FromString(body)

    def apply(self, response: Any) -> None:
        """Hold what is told; of some types that is all there is."""
        told = {name_of(response.type_url, each): each.SerializeToString() for each in response.resources}
        held = self.held.setdefault(response.type_url, {})
        if response.type_url in WHOLE:
            held.clear()
        held.update({name: body for name, body in told.items() if name in self.wanted[response.type_url]})

    def answer(self, response: Any, error: str) -> None:
        """Send a DiscoveryRequest with the nonce."""
        self._nonces[response.type_url] = response.nonce
        if not error:
            self._versions[response.type_url] = response.version_info
        self._send(response.type_url, sorted(self.wanted[response.type_url]), error)

    def ask(self, type_url: str, new: list[str], gone: list[str]) -> None:  # noqa: ARG002 - all are named
        """Send a DiscoveryRequest with all names."""
        self._send(type_url, sorted(self.wanted[type_url]), "")

    def ask_again(self, type_url: str, names: list[str]) -> None:
        """Send the same on the new stream."""
        self._send(type_url, names, "")

    def _send(self, type_url: str, names: list[str], error: str) -> None:
        request = discovery_pb2.DiscoveryRequest(
            type_url=type_url,
            resource_names=names,
            response_nonce=self._nonces.get(type_url, ""),
            version_info=self._versions.get(type_url, ""),
        )
        if error:
            request.error_detail.message = error
        self.hub.receive(self.session, request)


class DeltaSimulator(Simulator):
    """A client of the delta variant."""

    session_type = Delta

    def _connect(self) -> None:
        super()._connect()
        self.versions: dict[str, dict[str, str]] = getattr(self, "versions", {})

    def parse(self, body: bytes) -> Any:
        """Read a DeltaDiscoveryResponse."""
        return discovery_pb2.DeltaDiscoveryResponse.FromString(body)

    def apply(self, response: Any) -> None:
        """Hold what is told, and forget what is said to be gone."""
        held, versions = self.held.setdefault(response.type_url, {}), self.versions.setdefault(response.type_url, {})
        for each in response.resources:
            assert each.name == name_of(response.type_url, each.resource)
            if each.name in self.wanted[response.type_url]:
                held[each.name], versions[each.name] = each.resource.SerializeToString(), each.version
        for name in response.removed_resources:
            held.pop(name, None)
            versions.pop(name, None)

    def answer(self, response: Any, error: str) -> None:
        """Send a DeltaDiscoveryRequest with the nonce."""
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        if error:
            request.error_detail.message = error
        self.hub.receive(self.session, request)

    def ask(self, type_url: str, new: list[str], gone: list[str]) -> None:
        """Send a DeltaDiscoveryRequest with what is new and what is not wanted any more."""
        for name in gone:
            self.versions.get(type_url, {}).pop(name, None)
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=type_url, resource_names_subscribe=new, resource_names_unsubscribe=gone
        )
        self.hub.receive(self.session, request)

    def ask_again(self, type_url: str, names: list[str]) -> None:
        """Send all names, and the versions that are still held."""
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=type_url,
            resource_names_subscribe=names,
            initial_resource_versions=self.versions.get(type_url, {}),
        )
        self.hub.receive(self.session, request)
