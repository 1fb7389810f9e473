"""A server of many protocols: `mixed.py PROTOCOL=PORT ...`. Whichever way it is asked, it says which pod it is.

grpc is cleartext gRPC, any unary method; tls the same over TLS, with the certificate and key of $MIXED_CERTIFICATE;
http is HTTP/1.1. greets is TCP where the server speaks first, as a mail server or MySQL, and then sends back each line;
echoes is TCP where the client speaks first, as with PostgreSQL. Both say bye to a client that has nothing more to say.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

HOST: Final = "0.0.0.0"
POD: Final = socket.gethostname()
WHO: Final = json.dumps({"pod": POD, "address": socket.gethostbyname(POD)}).encode()


async def _unary(_request: bytes, _context: Any) -> bytes:
    return WHO


class _AnyMethod(grpc.GenericRpcHandler):
    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(_unary)


async def serve_grpc(port: int) -> None:
    """Serve cleartext gRPC."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_AnyMethod(),))
    server.add_insecure_port(f"{HOST}:{port}")
    await server.start()
    await server.wait_for_termination()


async def serve_tls(port: int) -> None:
    """Serve gRPC over TLS."""
    pem = await asyncio.to_thread(Path(os.environ["MIXED_CERTIFICATE"]).read_bytes)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_AnyMethod(),))
    server.add_secure_port(f"{HOST}:{port}", grpc.ssl_server_credentials([(pem, pem)]))
    await server.start()
    await server.wait_for_termination()


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (await reader.readuntil(b"\r\n\r\n")).strip():
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(WHO), WHO))
        await writer.drain()


async def _greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 %s ready\r\n" % POD.encode())
    await _echoes(reader, writer)


async def _echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(b"%s: %s" % (POD.encode(), line))
        await writer.drain()
    writer.write(b"%s: bye\n" % POD.encode())
    await writer.drain()


def stream(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> Callable[[int], Awaitable[None]]:
    """Give what serves a protocol on a port; a connection that breaks off is its client's business."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()

    async def serve(port: int) -> None:
        server = await asyncio.start_server(connected, HOST, port)
        await server.serve_forever()

    return serve


PROTOCOLS: Final = {
    "grpc": serve_grpc,
    "tls": serve_tls,
    "http": stream(_http),
    "greets": stream(_greets),
    "echoes": stream(_echoes),
}


async def main(words: list[str]) -> None:
    """Serve all of it until somebody ends the process."""
    async with asyncio.TaskGroup() as group:
        for protocol, port in (word.split("=") for word in words):
            group.create_task(PROTOCOLS[protocol](int(port)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
