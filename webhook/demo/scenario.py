"""What one phase of the demo showed, and the manifests that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml

from webhook.core.model import DiscoveryMode, Mode
from webhook.data import data_folder
from webhook.demo.calls import Tally

_NONE = "none"


@dataclass(frozen=True, slots=True)
class Way:
    """How calls got from the app to a server."""

    target: str = "localhost:9001"
    """What the app dialled."""
    mode: Mode | None = Mode.SIDECAR
    """Who balanced the calls; None: nobody."""
    discovery: DiscoveryMode | None = DiscoveryMode.DNS
    """How that one heard of servers."""

    def document(self) -> dict[str, str]:
        """Give it as JSON."""
        return {"target": self.target, "mode": self.mode or _NONE, "discovery": self.discovery or _NONE}


def bare(target: str) -> Way:
    """Say that an app dialled a name and nobody balanced."""
    return Way(target, None, None)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What one phase showed."""

    name: str
    title: str
    steady: bool
    rpcs: int
    failed: int
    backends: Mapping[str, int]
    way: Way = field(default=Way())
    errors: Mapping[str, int] = field(default_factory=dict)
    seconds_to_new_backend: float | None = None

    @property
    def injected(self) -> bool:
        """Say whether the webhook gave the callers anything."""
        return self.way.mode is not None

    @property
    def evenness(self) -> float | None:
        """Give the busiest backend's RPCs over the idlest's; None where the set of backends changed."""
        if not self.steady or not self.backends:
            return None
        least = min(self.backends.values())
        return max(self.backends.values()) / least if least else float("inf")

    def document(self) -> dict[str, Any]:
        """Give it as JSON; every backend that was there is named, also with 0."""
        made: dict[str, Any] = {
            "name": self.name,
            "injected": self.injected,
            **self.way.document(),
            "steady": self.steady,
            "rpcs": self.rpcs,
            "failed": self.failed,
            "backends": dict(self.backends),
        }
        if self.errors:
            made["errors"] = dict(self.errors)
        if self.seconds_to_new_backend is not None:
            made["seconds_to_new_backend"] = round(self.seconds_to_new_backend, 2)
        return made


def scenario(
    name: str,
    title: str,
    tally: Tally,
    servers: Iterable[str],
    *,
    way: Way,
    steady: bool = False,
    seconds: float | None = None,
) -> Scenario:
    """Make a scenario of what callers counted."""
    backends = {address: tally.backends.get(address, 0) for address in sorted(servers, key=ip_address)}
    return Scenario(name, title, steady, tally.rpcs, tally.failed, backends, way, dict(tally.errors), seconds)


def manifests(example: str) -> list[Mapping[str, Any]]:
    """Read the manifests of an example as they are, but for kustomize's own file."""
    folder = data_folder("examples") / example
    files = sorted(path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")
    return [document for file in files for document in documents(file)]


def documents(file: Path) -> list[Mapping[str, Any]]:
    """Read the documents of a file."""
    return [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document]


def without_label(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the labels from a Namespace: its Pods get nothing."""
    if document["kind"] != "Namespace":
        return document
    kept = {key: value for key, value in document["metadata"].items() if key != "labels"}
    return {**document, "metadata": kept}


def scaled(document: Mapping[str, Any], name: str, replicas: int) -> Mapping[str, Any]:
    """Give a Deployment of this name so many replicas."""
    if (document["kind"], document["metadata"]["name"]) != ("Deployment", name):
        return document
    return {**document, "spec": {**document["spec"], "replicas": replicas}}


def annotated(document: Mapping[str, Any], annotations: Mapping[str, str]) -> Mapping[str, Any]:
    """Write annotations on a Deployment's Pods."""
    spec = document["spec"]
    metadata = spec["template"].get("metadata", {})
    written = {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}
    return {**document, "spec": {**spec, "template": {**spec["template"], "metadata": written}}}


def renamed(document: Mapping[str, Any], name: str, **spec: Any) -> Mapping[str, Any]:
    """Give an object another name, and its spec other fields."""
    metadata = {**document["metadata"], "name": name}
    return {**document, "metadata": metadata, "spec": {**document["spec"], **spec}}
