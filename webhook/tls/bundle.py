"""A serving certificate with its key: parsed, checked, compared by content. Pure but for the time it is given."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from webhook.core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Content:
    """What the files hold, as read at one moment."""

    certificate: bytes
    """The leaf and its chain, PEM."""
    key: bytes
    client_ca: bytes | None = None

    @property
    def digest(self) -> str:
        """Give a name for this content that tells nothing of the key."""
        parts = (self.certificate, self.key, self.client_ca or b"")
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A pair that belongs together."""

    content: Content
    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    """What the certificate is for: its DNS names and addresses."""
    issuer: str = ""
    """Who signed it, as people write it."""

    def invalid(self, now: datetime) -> str | None:
        """Say why the pair is no good at this time, or None."""
        if now > self.not_after:
            return f"the certificate expired on {self.not_after:%Y-%m-%d %H:%M:%S} UTC"
        if now < self.not_before:
            return f"the certificate is not valid before {self.not_before:%Y-%m-%d %H:%M:%S} UTC"
        return None


def parse_bundle(content: Content) -> Bundle:
    """Parse what the files hold.

    Raises SettingsError with everything that is wrong; whether the time is right is `Bundle.invalid`'s to say.
    """
    problems: list[str] = []
    leaf = _leaf(content.certificate, problems)
    public = _public_key(content.key, problems)
    if content.client_ca is not None:
        _authorities(content.client_ca, problems)
    if leaf and public and _spki(leaf) != public:
        problems.append("tls_key: found the key of another certificate, expected that of tls_cert")
    if problems or leaf is None:
        raise SettingsError(problems)
    issuer = leaf.issuer.rfc4514_string()
    return Bundle(content, leaf.not_valid_before_utc, leaf.not_valid_after_utc, _names(leaf), issuer)


def _leaf(pem: bytes, problems: list[str]) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError as error:
        problems.append(f"tls_cert: found no certificate ({_first_line(error)}), expected PEM")
        return None


def _public_key(pem: bytes, problems: list[str]) -> bytes | None:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        problems.append(f"tls_key: found no usable key ({_first_line(error)}), expected PEM without a password")
        return None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _authorities(pem: bytes, problems: list[str]) -> None:
    try:
        x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        problems.append(f"client_ca: found no certificate ({_first_line(error)}), expected one or more as PEM")


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        sans = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = (str(address) for address in sans.get_values_for_type(x509.IPAddress))
    return (*sans.get_values_for_type(x509.DNSName), *addresses)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:120] if text else type(error).__name__


def utc_now() -> datetime:
    """Give the time as certificates count it."""
    return datetime.now(UTC)
