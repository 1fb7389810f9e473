"""The server's TLS: one context for the listener, behind it the pair in use, replaced whole."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from webhook.core.errors import SettingsError
from webhook.tls.bundle import Bundle
from webhook.tls.metrics import HandshakeMetrics

_PROTOCOLS: Final = ["http/1.1"]


class LiveContext:
    """An SSLContext whose pair changes under it.

    Each handshake takes the context of the newest pair; connections that are open keep theirs. CAs of callers are
    replaced too: loading them into a context that is in use would only ever add some.
    """

    def __init__(self, bundle: Bundle, handshakes: HandshakeMetrics | None = None) -> None:
        """Begin with a pair; raises SettingsError if OpenSSL refuses it."""
        self.listener: ssl.SSLContext = make_context(bundle)
        """For the listener; it stays the same object."""
        if handshakes is not None:
            self.listener.sslobject_class = _counting(handshakes)
        self.bundle = bundle
        """The pair that new connections get."""
        self._current = self.listener
        self.listener.sni_callback = self._choose

    def replace(self, bundle: Bundle) -> None:
        """Give new connections this pair; raises SettingsError, and changes nothing, if OpenSSL refuses it."""
        self._current = make_context(bundle)
        self.bundle = bundle

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _listener: ssl.SSLContext) -> None:
        # Called in every handshake, whether the caller names a server or not.
        handshake.context = self._current


def make_context(bundle: Bundle) -> ssl.SSLContext:
    """Make a context of its own for a pair.

    TLS 1.2 or newer. With CAs of callers, a caller without a certificate of theirs gets no answer.
    Raises SettingsError if OpenSSL refuses the pair.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    # A resumed session would bring back the trust of an older pair.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    try:
        with _as_file(bundle.content.certificate) as certificate, _as_file(bundle.content.key) as key:
            context.load_cert_chain(certificate, key)
        if bundle.content.client_ca is not None:
            context.load_verify_locations(cadata=bundle.content.client_ca.decode("ascii", "replace"))
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError([f"tls_cert, tls_key: OpenSSL refuses them: {error}"]) from error
    return context


def _counting(handshakes: HandshakeMetrics) -> type[ssl.SSLObject]:
    """Make the class of the listener's connections. Event loops swallow a failed handshake: nobody else hears of it."""

    class Connection(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                handshakes.failed(error)
                raise

    return Connection


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Give a path from which OpenSSL, which reads only files, gets just the bytes that were checked."""
    if hasattr(os, "memfd_create"):
        # Not on a disk: the key stays in memory and a read-only root needs no /tmp.
        number = os.memfd_create("evenkeel")
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{number}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
