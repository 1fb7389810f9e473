"""Certificates for tests, and handshakes without a socket."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from webhook.tls.files import CertificateFiles


class Folder:
    """The files that a mounted Secret would be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, self.key, self.ca = folder / "tls.crt", folder / "tls.key", folder / "ca.crt"

    def files(self, *, client_ca: bool = False) -> CertificateFiles:
        """Give the source that reads them."""
        return CertificateFiles(self.certificate, self.key, self.ca if client_ca else None)

    def put(self, pair: trustme.LeafCert) -> None:
        """Write a pair."""
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
        self.key.write_bytes(pair.private_key_pem.bytes())


def issue(ca: trustme.CA, *, days: float = 90, begins: float = -1) -> trustme.LeafCert:
    """Make a pair for localhost that is valid from some days from now to others."""
    now = datetime.now(UTC)
    return ca.issue_cert("localhost", not_before=now + timedelta(days=begins), not_after=now + timedelta(days=days))


class Handshake:
    """A client and a server that talk through memory."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = "localhost") -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(to_server, to_client, server_side=True)
        self.client = client.wrap_bio(to_client, to_server, server_hostname=name)
        for _ in range(4):
            for side in (self.client, self.server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue

    def serial(self) -> int:
        """Give the serial number of the certificate that the client saw."""
        certificate = self.client.getpeercert()
        return int(str(certificate["serialNumber"]), 16) if certificate else 0

    def talk(self, text: bytes) -> bytes:
        """Send a text to the server and give what it read."""
        self.client.write(text)
        return self.server.read()


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    """Make a client that trusts a CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    return context


def serial(pair: trustme.LeafCert) -> int:
    """Give the serial number of a pair."""
    from cryptography import x509  # noqa: PLC0415

    return x509.load_pem_x509_certificate(pair.cert_chain_pems[0].bytes()).serial_number
