"""The certificate that is served and the authorities that the API server was given: do they agree. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.x509 import Certificate

from webhook.check.chain import untrusted
from webhook.check.model import Finding, failed, ok, together, warning
from webhook.core.model import JsonObject

_LITTLE: Final = 0.25
"""Renewal comes at two thirds of the lifetime or before; with less left than this, it does not come."""


class Entry(NamedTuple):
    """A webhook entry, by the name of its configuration and its own."""

    where: str
    webhook: JsonObject


def entries(configurations: Iterable[JsonObject | None]) -> tuple[Entry, ...]:
    """Give every entry of some webhook configurations."""
    return tuple(
        Entry(f"{one.get('kind') or 'webhook configuration'} {one['metadata']['name']}: {webhook.get('name')}", webhook)
        for one in configurations
        if one is not None
        for webhook in one.get("webhooks") or ()
    )


def authorities(webhook: JsonObject) -> list[Certificate]:
    """Give the authorities of a webhook entry; raises ValueError with what is wrong."""
    text = (webhook.get("clientConfig") or {}).get("caBundle") or ""
    if not text:
        raise ValueError("caBundle is empty: the API server trusts nobody there")
    try:
        return x509.load_pem_x509_certificates(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ValueError("caBundle holds no certificate in PEM") from error


def served_chain(secret: JsonObject) -> list[Certificate]:
    """Give the chain that a TLS Secret holds, leaf first; raises ValueError with what is wrong."""
    try:
        return x509.load_pem_x509_certificates(base64.b64decode((secret.get("data") or {}).get("tls.crt") or ""))
    except (binascii.Error, ValueError) as error:
        raise ValueError("its tls.crt holds no certificate in PEM") from error


def judge_ca_bundles(found: Iterable[Entry], remedy: Iterable[str]) -> Finding:
    """Judge whether every entry has authorities, and one at least is valid; several are usual during a change."""
    entries_ = list(found)
    troubles = [failed(f"{entry.where}: {why}", remedy=remedy) for entry in entries_ for why in _no_bundle(entry)]
    return together(troubles, ok(f"in {len(entries_)} webhook entries"))


def _no_bundle(entry: Entry) -> Iterator[str]:
    try:
        authorities(entry.webhook)
    except ValueError as error:
        yield str(error)


def judge_agreement(
    found: Iterable[Entry], chain: list[Certificate], dns_name: str, now: datetime, remedy: Iterable[str]
) -> Finding:
    """Judge whether each entry's caBundle vouches for the certificate that is served."""
    troubles = []
    for entry in found:
        try:
            why = untrusted(chain, authorities(entry.webhook), dns_name, now)
        except ValueError as error:
            why = str(error)
        if why:
            said = f"{entry.where}: the API server refuses the certificate that is served: {why}"
            troubles.append(failed(said, remedy=remedy))
    return together(troubles, ok(f"for {dns_name}"))


def judge_lifetime(chain: Iterable[Certificate], now: datetime, remedy: Iterable[str]) -> Finding:
    """Judge what is left of the lifetimes in a chain by fraction, whatever they are."""
    parts = list(chain)
    troubles = [each for certificate in parts for each in _lifetime(certificate, now, remedy)]
    leaf = parts[0]
    return together(troubles, ok(f"{_left(leaf, now)} left, {_fraction(leaf, now):.0%} of its life"))


def _lifetime(certificate: Certificate, now: datetime, remedy: Iterable[str]) -> Iterator[Finding]:
    name = certificate.subject.rfc4514_string() or "the leaf"
    if now > certificate.not_valid_after_utc:
        yield failed(f"{name}: expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC", remedy=remedy)
    elif now < certificate.not_valid_before_utc:
        yield failed(
            f"{name}: not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            remedy="is a clock wrong? Else wait",
        )
    elif _fraction(certificate, now) < _LITTLE:
        yield warning(
            f"{name}: {_left(certificate, now)} left, {_fraction(certificate, now):.0%} of its life: "
            "it should have been renewed by now",
            remedy=remedy,
        )


def _fraction(certificate: Certificate, now: datetime) -> float:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return (certificate.not_valid_after_utc - now) / life


def _left(certificate: Certificate, now: datetime) -> str:
    hours = (certificate.not_valid_after_utc - now).total_seconds() / 3600
    return f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"  # noqa: PLR2004
