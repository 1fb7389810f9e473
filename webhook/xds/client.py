"""Who was let in, and why somebody was not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from webhook.xds.identity import Identity


class Refusal(StrEnum):
    """Why a client was refused; a label of a metric."""

    TOKEN_MISSING = "token-missing"  # noqa: S105 - a label
    TOKEN_INVALID = "token-invalid"  # noqa: S105 - a label
    AUDIENCE = "wrong-audience"
    NAMESPACE = "namespace"
    UNAVAILABLE = "unavailable"
    """Nobody could say who it is, for now."""
    TOO_MANY = "too-many-streams"
    ENDING = "ending"


class Refused(Exception):
    """A client is not let in; the text is for it and for the log."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Client:
    """A client that was let in."""

    identity: Identity
    seconds: float | None = None
    """For how long its stream may live, such as until its token expires; None is up to the server."""


Authenticate = Callable[[Mapping[str, str], str], Awaitable[Client]]
"""From a stream's metadata (lower-case keys) and its peer (`ipv4:10.0.0.7:41234`) to who it is.

Raises Refused.
"""
