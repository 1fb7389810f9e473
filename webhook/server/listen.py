"""Uvicorn as we run it: sockets bound by us, signals handled elsewhere, nothing logged that we say ourselves."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from webhook.core.errors import SettingsError
from webhook.server.protocol import BoundedProtocol

_BACKLOG = 2048


def bind(name: str, host: str, port: int) -> socket.socket:
    """Bind a port; an empty host is all addresses, of IPv6 too where the machine has it.

    Raises SettingsError that names the setting if the port cannot be had.
    """
    try:
        if host:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, port), family=family, backlog=_BACKLOG)
        if socket.has_dualstack_ipv6():
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
        return socket.create_server(("", port), backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError([f"{name}: {host or '*'}:{port} cannot be listened on: {error.strerror}"]) from error


class Server(uvicorn.Server):
    """A server whose life is decided by who made it."""

    def __init__(self, name: str, config: uvicorn.Config, listener: socket.socket) -> None:
        super().__init__(config)
        self._name = name
        self._listener = listener

    async def run_until_told(self) -> None:
        """Serve until `should_exit` is set and the requests in flight are answered."""
        await self.serve(sockets=[self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and say where."""
        await super().startup(sockets)
        address = self._listener.getsockname()
        structlog.get_logger().info("listening", server=self._name, address=address[0], port=address[1])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: two servers share a process."""
        yield


def config(app: ASGIApp, keep_alive: int, limit: float, *, tls: ssl.SSLContext | None = None) -> uvicorn.Config:
    """Configure a server, over TLS if there is a context; the times are seconds."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        # Never NOTSET: uvicorn takes that for its trace level and formats a line for every connection.
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=math.ceil(limit),
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )
