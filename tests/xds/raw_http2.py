"""A client that never reads: HTTP/2 by hand, since no library can be made to behave so badly."""

from __future__ import annotations

import asyncio
import struct
from typing import Final

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_HEADERS: Final = 4
_INITIAL_WINDOW: Final = 4


async def call_and_never_read(port: int, path: str, message: bytes) -> asyncio.StreamWriter:
    """Begin a stream whose flow-control window stays shut, and send one message; close what is given to end it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "xds",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    writer.write(_PREFACE + _frame(_SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW, 0)))
    writer.write(_frame(_HEADERS, _END_HEADERS, 1, b"".join(_literal(*pair) for pair in headers.items())))
    writer.write(_frame(_DATA, 0, 1, b"\0" + struct.pack(">I", len(message)) + message))
    await writer.drain()
    return writer


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _literal(name: str, value: str) -> bytes:
    """Write a header that no table has."""
    return bytes((0, len(name))) + name.encode() + bytes((len(value),)) + value.encode()
