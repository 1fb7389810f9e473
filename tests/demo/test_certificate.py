"""The demo's own certificate."""

from __future__ import annotations

import socket
import ssl
import stat
import threading

from webhook.demo.certificate import write_certificate


def test_a_client_that_trusts_the_ca_accepts_it_for_that_address_only(tmp_path):
    """A real handshake for the address it was made for, and one for another."""
    files = write_certificate(tmp_path, "127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.cert, files.key)
    trusting = ssl.create_default_context(cafile=str(files.ca))

    assert [None, "ERR"] == [_handshake(server, trusting, name) for name in ("127.0.0.1", "127.0.0.2")]


def test_it_is_for_the_names_too_that_it_was_made_for(tmp_path):
    """As the control plane of endpoints needs it, whom Pods call by name."""
    files = write_certificate(tmp_path, "127.0.0.1", "evenkeel-xds.evenkeel-system.svc")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.cert, files.key)
    trusting = ssl.create_default_context(cafile=str(files.ca))
    called = ("evenkeel-xds.evenkeel-system.svc", "127.0.0.1", "evenkeel-xds.evenkeel-system")

    assert [None, None, "ERR"] == [_handshake(server, trusting, name) for name in called]


def test_the_key_is_its_owners(tmp_path):
    """Nobody else can read it."""
    files = write_certificate(tmp_path, "127.0.0.1")

    assert 0o600 == stat.S_IMODE(files.key.stat().st_mode)


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str | None:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=_accept, args=(server, theirs))
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=name).close()
    except ssl.SSLCertVerificationError:
        return "ERR"
    finally:
        ours.close()
        thread.join()
    return None


def _accept(server: ssl.SSLContext, connection: socket.socket) -> None:
    try:
        server.wrap_socket(connection, server_side=True).close()
    except OSError:
        connection.close()
