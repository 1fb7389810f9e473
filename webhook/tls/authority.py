"""Certificates of our own making: a CA, and leaves that it signs. Pure but for the time that is given and new keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED: Final = timedelta(minutes=5)
"""A certificate is valid from so long ago: clocks of nodes and API servers differ a little."""
_RENEWED_AT: Final = 2 / 3
_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: bytes = field(repr=False)
    """PEM (PKCS #8)."""

    @property
    def pem(self) -> bytes:
        """Give the certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


def serving_names(service: str, namespace: str, cluster_domain: str) -> tuple[str, ...]:
    """Give the names a Service is called by; the first is the one that API servers and sidecars ask for."""
    inside = f"{service}.{namespace}"
    return f"{inside}.svc", f"{inside}.svc.{cluster_domain}", inside, service


def make_authority(now: datetime, lifetime: timedelta) -> Pair:
    """Make a CA that signs leaves and no other CAs.

    Each has a name of its own, so that whoever builds a chain never tries the wrong one of two.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = _name(f"Evenkeel webhook CA {now:%Y-%m-%d} {serial:x}"[:48])
    builder = (
        _builder(name, name, serial, key)
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
    )
    return Pair(builder.sign(key, hashes.SHA256()), _key_pem(key))


def issue(authority: Pair, names: Sequence[str], now: datetime, lifetime: timedelta) -> Pair:
    """Make a serving certificate for the names; it does not outlive its CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name("Evenkeel webhook"), issuer.subject, x509.random_serial_number(), key)
        .not_valid_before(max(now - BACKDATED, issuer.not_valid_before_utc))
        .not_valid_after(min(now + lifetime, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    signing_key = load_pem_private_key(authority.key, password=None)
    if not isinstance(signing_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"a CA of ours has an elliptic key, this is a {type(signing_key).__name__}")
    return Pair(builder.sign(signing_key, hashes.SHA256()), _key_pem(key))


def unfit_authority(pair: Pair) -> str | None:
    """Say why a pair cannot sign our leaves, or None; whether the time is right is not asked."""
    if not _fits(pair):
        return "its key belongs to another certificate, or is none of ours"
    try:
        extensions = pair.certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        return "it is not made for a CA"
    return None if constraints.ca else "it is the certificate of a server, not of a CA"


def unfit_leaf(leaf: Pair, authority: Pair) -> str | None:
    """Say why a leaf is none of this CA's, or None; whether the time is right is not asked."""
    if not _fits(leaf):
        return "its key belongs to another certificate, or cannot be read"
    try:
        leaf.certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return "the CA in use has not signed it"
    return None


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Give the DNS names a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def due(certificate: x509.Certificate, now: datetime) -> bool:
    """Say whether two thirds of a certificate's life are over: the last third is for mending what hinders renewal.

    Its life begins when it was made, not when it became valid.
    """
    begin, end = certificate.not_valid_before_utc + BACKDATED, certificate.not_valid_after_utc
    return now >= begin + (end - begin) * _RENEWED_AT


def expired(certificate: x509.Certificate, now: datetime) -> bool:
    """Say whether a certificate's time is over."""
    return now >= certificate.not_valid_after_utc


def _fits(pair: Pair) -> bool:
    try:
        key = load_pem_private_key(pair.key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return False
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*form) == pair.certificate.public_key().public_bytes(*form)


def _builder(
    subject: x509.Name, issuer: x509.Name, serial: int, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(serial)
        .public_key(key.public_key())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*usages: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in usages for usage in _USAGES})


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
