"""A request's body, read within bounds of size and time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Final

from starlette.types import Message, Receive

from webhook.core.errors import EvenkeelError, MalformedReview
from webhook.observe import Reason

_LINGER_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How large a body may be and how long it may take."""

    most_bytes: int
    seconds: float


class BodyTooLarge(MalformedReview):
    """The body is over the limit."""

    reason: ClassVar = Reason.TOO_LARGE

    def __init__(self, found: str, limits: BodyLimits) -> None:
        super().__init__(f"body: found {found}, expected at most {limits.most_bytes} bytes", status=413)


class WrongContentType(MalformedReview):
    """The body is said to be something else than JSON."""

    reason: ClassVar = Reason.WRONG_TYPE


class BodyTooSlow(MalformedReview):
    """The body did not come in time."""

    reason: ClassVar = Reason.SLOW_BODY


class BodyCut(EvenkeelError):
    """The caller went away before its body was complete; there is nobody to answer."""


def require_json(headers: list[tuple[bytes, bytes]]) -> None:
    """Raise WrongContentType unless the headers say `application/json`, with parameters or without."""
    found = _header(headers, b"content-type")
    if found.partition(b";")[0].strip().lower() != b"application/json":
        said = repr(found[:80].decode("latin-1")) if found else "nothing"
        raise WrongContentType(f"header content-type: found {said}, expected application/json", status=415)


async def read_body(headers: list[tuple[bytes, bytes]], receive: Receive, limits: BodyLimits) -> bytes:
    """Read the whole body.

    Raises BodyTooLarge as soon as that is known, BodyTooSlow when the time is over, BodyCut if the caller goes away.
    """
    length = _header(headers, b"content-length")
    if length.isdigit() and (len(length) > 18 or int(length) > limits.most_bytes):  # noqa: PLR2004
        raise BodyTooLarge(f"{length[:18].decode()} bytes", limits)
    try:
        async with asyncio.timeout(limits.seconds):
            return await _collect(receive, limits)
    except TimeoutError:
        raise BodyTooSlow(f"body: found it unfinished after {limits.seconds:g} s, expected all of it") from None


async def _collect(receive: Receive, limits: BodyLimits) -> bytes:
    message = await _next(receive)
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        _bound(len(body), limits)
        return body
    parts, length = [body], len(body)
    while message.get("more_body"):
        _bound(length, limits)
        message = await _next(receive)
        parts.append(message.get("body", b""))
        length += len(parts[-1])
    _bound(length, limits)
    return b"".join(parts)


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise BodyCut("the caller closed the connection before its body was complete")
    return message


def _bound(length: int, limits: BodyLimits) -> None:
    if length > limits.most_bytes:
        raise BodyTooLarge(f"more than {limits.most_bytes} bytes", limits)


async def linger(receive: Receive, seconds: float) -> None:
    """Throw away what still comes, for a while, after the answer has been sent.

    Closing a socket with unread bytes resets it, and the caller may then never see the answer.
    """
    left = _LINGER_BYTES
    try:
        async with asyncio.timeout(seconds):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")
