"""Handshakes that fail are counted by reason: event loops swallow them."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
import trustme
from prometheus_client import CollectorRegistry

from webhook.tls.bundle import Content, parse_bundle
from webhook.tls.context import LiveContext
from webhook.tls.metrics import HandshakeMetrics

CA, OTHER = trustme.CA(), trustme.CA()


class Listener:
    """A listener in memory, and what it counts."""

    def __init__(self, client_ca: trustme.CA | None = None) -> None:
        pair = CA.issue_cert("localhost")
        callers = client_ca.cert_pem.bytes() if client_ca else None
        content = Content(pair.cert_chain_pems[0].bytes(), pair.private_key_pem.bytes(), callers)
        self._registry = CollectorRegistry()
        self.live = LiveContext(parse_bundle(content), HandshakeMetrics(self._registry))

    def shake(self, client: ssl.SSLContext) -> None:
        """Try a handshake to its end on both sides."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.live.listener.wrap_bio(incoming, outgoing, server_side=True)
        sides = [client.wrap_bio(outgoing, incoming, server_hostname="localhost"), server]
        for _ in range(4):
            for side in tuple(sides):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                except ssl.SSLError:
                    sides.remove(side)

    def hear(self, text: bytes) -> None:
        """Let a caller say something that is no TLS."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.live.listener.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(text)
        with pytest.raises(ssl.SSLError):
            server.do_handshake()

    def counted(self) -> set[str]:
        """Give the reasons that were counted."""
        samples = [sample for metric in self._registry.collect() for sample in metric.samples]
        return {one.labels["reason"] for one in samples if one.name.endswith("failures_total") and one.value}


def _client(trusted: trustme.CA = CA, change: Callable[[ssl.SSLContext], None] = lambda _: None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.configure_trust(context)
    change(context)
    return context


def test_a_good_handshake_is_no_failure() -> None:
    """Waiting for the other side is none either."""
    listener = Listener()
    listener.shake(_client())

    assert set() == listener.counted()


def test_a_caller_that_does_not_trust_us_says_so() -> None:
    """This is what a wrong caBundle looks like from here."""
    listener = Listener()
    listener.shake(_client(OTHER))

    assert {"refused-by-caller"} == listener.counted()


def test_a_caller_without_the_certificate_that_we_want() -> None:
    """With `client_ca`: none, or somebody else's."""
    without, stranger = Listener(client_ca=CA), Listener(client_ca=CA)
    without.shake(_client())
    stranger.shake(_client(change=OTHER.issue_cert("apiserver").configure_cert))

    assert {"caller-not-trusted"} == without.counted() == stranger.counted()


def test_a_caller_that_speaks_no_tls() -> None:
    """A probe that was given the wrong port."""
    listener = Listener()
    listener.hear(b"GET /readyz HTTP/1.1\r\n\r\n")

    assert {"no-tls"} == listener.counted()


def test_a_caller_with_old_tls() -> None:
    """Its version is none of ours."""
    listener = Listener()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client = _client(change=_old)
    listener.shake(client)

    assert {"other"} == listener.counted()


def _old(context: ssl.SSLContext) -> None:
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
