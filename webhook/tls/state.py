"""What our Secret holds: the CA in use, its successor and predecessors, and the leaf. Read and written, pure.

| key | holds |
| --- | --- |
| `tls.crt`, `tls.key` | the leaf that all replicas serve |
| `ca.crt` | what is published as caBundle: every CA below |
| `signing-ca.crt`, `signing-ca.key` | the CA that signs leaves |
| `next-ca.crt`, `next-ca.key` | during a change: the CA that will |
| `next-ca.published` | since when it stands in every webhook configuration |
| `previous-ca.crt`, `previous-ca.until` | CAs that may still have signed what somebody serves, and until when |
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from webhook.tls.authority import Pair, unfit_authority


@dataclass(frozen=True, slots=True)
class State:
    """The Secret's content as a value."""

    signing: Pair
    """The CA that signs leaves."""
    leaf: Pair | None
    """What is served; None where the Secret's cannot be read."""
    coming: Pair | None = None
    """The next CA: published beside the one in use, signing nothing yet."""
    published: datetime | None = None
    """Since when `coming` is published."""
    leaving: tuple[x509.Certificate, ...] = ()
    """Earlier CAs, still published."""
    until: datetime | None = None
    """How long those stay."""

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        """Give the CAs to publish, that in use first."""
        coming = (self.coming.certificate,) if self.coming else ()
        return (self.signing.certificate, *coming, *self.leaving)

    @property
    def bundle(self) -> bytes:
        """Give the CAs to publish, PEM."""
        return _pem(self.authorities)


class Unusable(ValueError):
    """Content from which nothing can be taken over; the text says why."""


def read_state(data: Mapping[str, bytes] | None) -> State:
    """Read a Secret's content; None is that of no Secret.

    What may be missing (the leaf, the next and the previous CAs) is missing where it cannot be read; without the CA
    in use there is nothing: raises Unusable.
    """
    if data is None:
        raise Unusable("there is none")
    signing = _pair(data, "signing-ca")
    if signing is None:
        raise Unusable(_why(data))
    problem = unfit_authority(signing)
    if problem:
        raise Unusable(f"signing-ca.crt is no use: {problem}")
    coming = _pair(data, "next-ca")
    if coming is not None and unfit_authority(coming):
        coming = None
    published = _time(data, "next-ca.published") if coming else None
    until = _time(data, "previous-ca.until")
    leaving = certificates(data.get("previous-ca.crt", b"")) if until else ()
    return State(signing, _pair(data, "tls"), coming, published, leaving, until)


def write_state(state: State) -> dict[str, bytes]:
    """Give the Secret's content."""
    return dict(_entries(state))


def decode(data: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Give a Secret's `data` as bytes; what is not base64 is empty."""
    return {key: _base64(value) for key, value in (data or {}).items()}


def encode(data: Mapping[str, bytes]) -> dict[str, str]:
    """Give bytes as a Secret's `data`."""
    return {key: b64encode(value).decode() for key, value in data.items()}


def certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Give the certificates of a bundle; none where it cannot be read."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return ()


def _entries(state: State) -> Iterator[tuple[str, bytes]]:
    pairs = {"tls": state.leaf, "signing-ca": state.signing, "next-ca": state.coming}
    for name, pair in pairs.items():
        if pair is not None:
            yield f"{name}.crt", pair.pem
            yield f"{name}.key", pair.key
    yield "ca.crt", state.bundle
    if state.published is not None:
        yield "next-ca.published", state.published.isoformat().encode()
    if state.leaving and state.until is not None:
        yield "previous-ca.crt", _pem(state.leaving)
        yield "previous-ca.until", state.until.isoformat().encode()


def _why(data: Mapping[str, bytes]) -> str:
    if data.get("signing-ca.crt") and data.get("signing-ca.key"):
        return "signing-ca.crt cannot be read"
    if data.get("tls.crt"):
        return "it holds a certificate, but no CA of ours: somebody else made it"
    return "it holds no CA"


def _pair(data: Mapping[str, bytes], name: str) -> Pair | None:
    found, key = certificates(data.get(f"{name}.crt", b"")), data.get(f"{name}.key")
    return Pair(found[0], key) if found and key else None


def _time(data: Mapping[str, bytes], key: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(data.get(key, b"").decode())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _base64(value: object) -> bytes:
    try:
        return b64decode(str(value or ""))
    except ValueError:
        return b""


def _pem(found: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in found)
