"""How much one client may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds, each so that no sidecar and no gRPC library meets it, and who does costs the others nothing."""

    names: int = 4_000
    """Names wanted on one stream, all types together."""
    name_length: int = 512
    request_bytes: int = 1 << 20
    """Envoy's first request lists all its extensions: some 50 KB."""
    requests_per_second: float = 20.0
    """More are read later: the client's flow control stops it."""
    burst: int = 400
    bytes_per_request: int = 16 << 10
    """So many bytes count as one request."""
    response_bytes: int = 64 << 10
    """What is more is told in the next response; one resource goes whole. A slow reader holds so much of our memory."""
    streams_per_pod: int = 100
    """A gRPC library may open a stream for each name that it dials."""
    streams: int = 20_000
    authentication_seconds: float = 15.0
    slow_seconds: float = 10.0
    """Whoever has not answered or not read a response for so long is counted as slow."""
    stream_seconds: float = 3600.0
    """A stream lives at most so long, some a tenth less, so that not all come back at once."""
