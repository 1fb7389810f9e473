"""TLS for gRPC whose certificate is replaced while it serves: each new connection gets the newest pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import grpc


class Pem(NamedTuple):
    """A certificate with its chain, and its key."""

    certificate: bytes
    key: bytes


class LiveCredentials:
    """Credentials of a server that ask for the pair in use before each handshake.

    Connections that are open keep theirs. What `current` gives must be good: whoever has it refuses a broken pair.
    """

    def __init__(self, current: Callable[[], Pem]) -> None:
        self._current = current
        self._given = current()

    def make(self) -> grpc.ServerCredentials:
        """Make the credentials, of one port: two would have to be told of each change."""
        return grpc.dynamic_ssl_server_credentials(_configuration(self._given), self._newer)

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        # Called in a thread of gRPC's. Two at once may both give the new pair, which is as well.
        pem = self._current()
        if pem == self._given:
            return None
        self._given = pem
        return _configuration(pem)


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)])
