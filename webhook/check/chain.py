"""Does a caBundle vouch for a serving certificate, as the API server asks it. Pure but for the time it is given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import Certificate

_DEEPEST = 8


def untrusted(chain: Sequence[Certificate], authorities: Sequence[Certificate], dns_name: str, now: datetime) -> str:
    """Say why a client with these authorities refuses a server with this chain, leaf first; empty if it does not."""
    leaf = chain[0]
    if not _covers(leaf, dns_name):
        return f"it is for {', '.join(_names(leaf)) or 'no name at all'}, and not for {dns_name}"
    if not _in_time(leaf, now):
        return f"it is valid from {_date(leaf.not_valid_before_utc)} to {_date(leaf.not_valid_after_utc)}"
    if _leads_to(leaf, chain[1:], authorities, now, _DEEPEST):
        return ""
    return f"it was issued by {_issuer(leaf)}, which is not among {', '.join(map(_subject, authorities)) or 'any'}"


def _leads_to(
    certificate: Certificate,
    between: Sequence[Certificate],
    authorities: Sequence[Certificate],
    now: datetime,
    depth: int,
) -> bool:
    if certificate in authorities:
        return True
    if any(_issued(certificate, by) and _in_time(by, now) for by in authorities):
        return True
    return depth > 0 and any(
        _issued(certificate, by) and _in_time(by, now) and _leads_to(by, between, authorities, now, depth - 1)
        for by in between
        if by != certificate
    )


def _issued(certificate: Certificate, by: Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    try:
        return by.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _in_time(certificate: Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _names(leaf: Certificate) -> list[str]:
    try:
        sans = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return sans.get_values_for_type(x509.DNSName)


def _covers(leaf: Certificate, dns_name: str) -> bool:
    wild = f"*.{dns_name.partition('.')[2]}"
    return any(name.lower() in (dns_name, wild) for name in _names(leaf))


def _subject(certificate: Certificate) -> str:
    return _short(certificate.subject, certificate)


def _issuer(certificate: Certificate) -> str:
    return repr(certificate.issuer.rfc4514_string() or "a nameless authority")


def _short(name: x509.Name, certificate: Certificate) -> str:
    return repr(name.rfc4514_string() or f"serial {certificate.serial_number:x}")


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
