"""The tokens that clients show: taken from a call's metadata, and what they say of themselves, unproved.

What a token says is only ever held against it: it spares the API server a question whose answer is plain.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

METADATA_KEY: Final = "authorization"
_SCHEME: Final = re.compile(r"bearer[ \t]+", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""A JSON web token: three parts of base64url. Those of service accounts are no others."""
_LONGEST: Final = 8192


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and what it says of itself."""

    text: str
    audiences: frozenset[str]
    issued: float
    """Seconds since 1970, as all times here."""
    expires: float

    @property
    def digest(self) -> bytes:
        """Give a name for it that lets nobody in."""
        return hashlib.sha256(self.text.encode()).digest()

    def __repr__(self) -> str:
        """Show nothing: what is written down somewhere could be used."""
        return "Token(...)"


def shown(metadata: Mapping[str, str]) -> str | None:
    """Give the token in a call's metadata, raw or after `Bearer`; None where there is none.

    Envoy sends the token as its file has it, gRPC libraries write `Bearer` before it.
    """
    text = metadata.get(METADATA_KEY, "").strip()
    scheme = _SCHEME.match(text)
    return (text[scheme.end() :] if scheme else text) or None


def read_token(text: str) -> Token:
    """Read what a token says of itself; raises ValueError, which does not quote it, where it is none."""
    if len(text) > _LONGEST or _TOKEN.fullmatch(text) is None:
        raise ValueError("it is no JSON web token")
    try:
        claims = orjson.loads(_base64(text.split(".")[1]))
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise ValueError("it is no JSON web token")  # noqa: TRY004 - the text is wrong, not its type
    expires = _time(claims.get("exp"))
    if expires is None:
        raise ValueError("it never expires; a projected one is needed")
    issued = _time(claims.get("iat"))
    return Token(text, _audiences(claims.get("aud")), expires if issued is None else issued, expires)


def _base64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _audiences(found: Any) -> frozenset[str]:
    several = found if isinstance(found, list) else [found]
    return frozenset(one for one in several if isinstance(one, str))


def _time(found: Any) -> float | None:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None
