"""A certificate authority of an hour and one serving certificate, for what runs on this machine only."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFE: Final = timedelta(hours=1)
_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the parts are, as PEM."""

    ca: Path
    cert: Path
    key: Path


def write_certificate(folder: Path, address: str, *names: str) -> CertificateFiles:
    """Make a CA and a certificate for an IP address and names, signed by it, and write both into a folder."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name, leaf_name = _name("evenkeel demo CA"), _name("evenkeel")
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    ca = _builder(ca_name, ca_name, ca_key).add_extension(constraints, critical=True).sign(ca_key, hashes.SHA256())
    sans = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address)), *map(x509.DNSName, names)])
    leaf = _builder(leaf_name, ca_name, key).add_extension(sans, critical=False).sign(ca_key, hashes.SHA256())
    files = CertificateFiles(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")
    files.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    files.cert.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFE)
    )
