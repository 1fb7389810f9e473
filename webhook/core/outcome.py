"""What becomes of a Pod: skipped with a reason, or given a sidecar by operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from webhook.core.capture import Captures
from webhook.core.model import JsonObject


class SkipReason(StrEnum):
    """Why a Pod is admitted without a sidecar. The code is stable; metrics and audit carry it."""

    NAMESPACE_DISABLED = "namespace-disabled"
    NOT_SELECTED = "not-selected"
    DISABLED = "disabled"
    SYSTEM_NAMESPACE = "system-namespace"
    HOST_NETWORK = "host-network"
    ALREADY_INJECTED = "already-injected"
    MIRROR_POD = "mirror-pod"
    WINDOWS = "windows-node"
    OTHER_MESH = "other-mesh"
    PORT_CONFLICT = "port-conflict"
    ANNOTATIONS_FULL = "annotations-full"
    NOT_CREATE = "not-create"
    NO_TRUST = "no-trust"


@dataclass(frozen=True, slots=True)
class Skip:
    """Decided not to inject: a code for counters, a sentence for people."""

    reason: SkipReason
    detail: str


@dataclass(frozen=True, slots=True)
class Inject:
    """Decided to inject; a container of ours that has lost its configuration is rendered again in its place."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What is put into a Pod."""

    container: JsonObject
    volume: JsonObject
    annotations: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    captures: Captures = field(default=Captures())
    """The names that go through it, and those that were to and do not."""


Operation = Mapping[str, Any]
"""One JSON Patch operation (RFC 6902): `op`, `path`, `value`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one Pod: skipped with a reason, or injected with operations."""

    skip: Skip | None
    operations: tuple[Operation, ...] = ()
    warnings: tuple[str, ...] = ()
    sidecar: Sidecar | None = None

    @property
    def injected(self) -> bool:
        """Say whether the operations put a sidecar in."""
        return self.skip is None
