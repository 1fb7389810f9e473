"""The webhook configurations as far as certificates go: which of their entries call us, and by which CAs."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from cryptography import x509

from webhook.kube.errors import NotFound
from webhook.kube.resources import MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, Resource
from webhook.tls.state import certificates

JSON_PATCH: Final = "application/json-patch+json"


class Door(Protocol):
    """What certificates need of the API server (webhook.kube.api.Api)."""

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Read an object."""

    async def create(self, path: str, body: dict[str, Any], **params: Any) -> Any:
        """Create an object."""

    async def replace(self, path: str, body: dict[str, Any], **params: Any) -> Any:
        """Replace an object at the version it names."""

    async def patch(self, path: str, body: Any, *, content_type: str = ..., **params: Any) -> Any:
        """Change a part of an object."""


@dataclass(frozen=True, slots=True)
class Registration:
    """How we are registered: the name of both webhook configurations, and the Service they call."""

    configuration: str
    service: str
    namespace: str

    @property
    def host(self) -> str:
        """Give the name that API servers want to see in the certificate."""
        return f"{self.service}.{self.namespace}.svc"


@dataclass(frozen=True, slots=True)
class Entry:
    """One webhook that calls our Service."""

    index: int
    name: str
    bundle: bytes
    """Its caBundle, PEM; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A webhook configuration, and those of its entries that call us."""

    resource: Resource
    name: str
    version: str
    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.name}"

    @property
    def path(self) -> str:
        """Give its path in the API."""
        return self.resource.path(name=self.name)

    def operations(self, bundle: bytes) -> list[dict[str, Any]]:
        """Give the JSON patch that makes our entries' caBundle this one: empty if it is.

        It applies to the version that was read and to no other, and touches nothing else.
        """
        # PEM is compared as bytes: whoever rewrites it in another form gets it back once, not for ever.
        different = [entry for entry in self.entries if entry.bundle != bundle]
        if not different:
            return []
        text = b64encode(bundle).decode()
        guard: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": self.version}]
        guard += [{"op": "test", "path": f"/webhooks/{one.index}/name", "value": one.name} for one in different]
        # `add` on a member that exists replaces it.
        change = [
            {"op": "add", "path": f"/webhooks/{one.index}/clientConfig/caBundle", "value": text} for one in different
        ]
        return [*guard, *change]

    def with_bundle(self, bundle: bytes) -> Configuration:
        """Give it as it is after that patch."""
        return replace(self, entries=tuple(replace(entry, bundle=bundle) for entry in self.entries))


def parse_configuration(resource: Resource, document: Mapping[str, Any], registration: Registration) -> Configuration:
    """Read a webhook configuration."""
    metadata = document.get("metadata") or {}
    entries = tuple(
        Entry(index, str(webhook.get("name", "")), _decoded((webhook.get("clientConfig") or {}).get("caBundle")))
        for index, webhook in enumerate(document.get("webhooks") or [])
        if _calls_us(webhook, registration)
    )
    version = str(metadata.get("resourceVersion", ""))
    return Configuration(resource, registration.configuration, version, entries)


async def read_configurations(door: Door, registration: Registration) -> tuple[Configuration, ...]:
    """Read the webhook configurations that exist; raises ClusterError."""
    found = []
    for resource in (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS):
        try:
            document = await door.get(resource.path(name=registration.configuration))
        except NotFound:
            continue
        found.append(parse_configuration(resource, document, registration))
    return tuple(found)


def publishes(configurations: Sequence[Configuration], authority: x509.Certificate) -> bool:
    """Say whether a CA stands in every entry that calls us; so it does where there are none."""
    bundles = {entry.bundle for configuration in configurations for entry in configuration.entries}
    return all(authority in certificates(bundle) for bundle in bundles)


def published_authorities(configurations: Sequence[Configuration]) -> tuple[x509.Certificate, ...]:
    """Give every CA that stands in an entry that calls us."""
    bundles = (entry.bundle for configuration in configurations for entry in configuration.entries)
    return tuple(dict.fromkeys(one for bundle in bundles for one in certificates(bundle)))


def _calls_us(webhook: Mapping[str, Any], registration: Registration) -> bool:
    service = (webhook.get("clientConfig") or {}).get("service") or {}
    return (service.get("name"), service.get("namespace")) == (registration.service, registration.namespace)


def _decoded(text: object) -> bytes:
    try:
        return b64decode(str(text or ""))
    except ValueError:
        return b""
