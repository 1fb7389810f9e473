"""Who was let in, and why somebody was not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from webhook.xds.identity import Identity


class NotServed(Exception):
    """A client is not let in: the status and the text are what it gets; whoever raises this has logged it."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Client:
    """A client that was let in."""

    identity: Identity
    seconds: float | None = None
    """For how long its stream may live, such as until its token expires; None is up to the server."""


Authenticate = Callable[[Mapping[str, str], str], Awaitable[Client]]
"""From a stream's metadata (lower-case keys) and its peer (`ipv4:10.0.0.7:41234`) to who it is; raises NotServed."""

Anonymous = Callable[[str, Any], Awaitable[Client]]
"""From the peer of a stream without a token, and the node (core.v3.Node) of its first request, to who it is.

Raises NotServed.
"""
