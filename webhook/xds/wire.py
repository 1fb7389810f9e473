"""Responses as bytes.

What a thousand clients are told is serialized once; a response is that and a few fields more. Written by hand, as
protobuf in Python would copy every resource into a message first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from webhook.xds.source import Resource

_LOW: Final = 0x7F
_MORE: Final = 0x80


def packed(message: str, content: bytes) -> bytes:
    """Write a google.protobuf.Any that has a message of this full name."""
    return field(1, f"type.googleapis.com/{message}".encode()) + field(2, content)


def discovery_response(type_url: str, nonce: str, version: str, resources: Iterable[Resource]) -> bytes:
    """Write a DiscoveryResponse."""
    fields = (field(2, each.body) for each in resources)
    return b"".join((field(1, version.encode()), *fields, field(4, type_url.encode()), field(5, nonce.encode())))


def delta_discovery_response(
    type_url: str, nonce: str, resources: Iterable[tuple[str, Resource]], removed: Iterable[str]
) -> bytes:
    """Write a DeltaDiscoveryResponse."""
    fields = (field(2, _resource(name, each)) for name, each in resources)
    gone = (field(6, name.encode()) for name in removed)
    return b"".join((*fields, *gone, field(4, type_url.encode()), field(5, nonce.encode())))


def _resource(name: str, resource: Resource) -> bytes:
    return field(3, name.encode()) + field(1, resource.version.encode()) + field(2, resource.body)


def field(number: int, payload: bytes) -> bytes:
    """Write a field that has a length: bytes, a text or a message."""
    return bytes((number << 3 | 2,)) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    """Write a number, seven bits at a time, the lowest first."""
    written = bytearray()
    while value > _LOW:
        written.append(value & _LOW | _MORE)
        value >>= 7
    written.append(value)
    return bytes(written)
