"""The small parts of answers: lines of a watch, `Warning` headers."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Final

from webhook.kube.errors import shorten

_WARNING: Final = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


async def lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Cut a stream into lines of any length; what follows the last line end was cut off and is none."""
    parts: list[bytes] = []
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for other in others:
            line = b"".join(parts)
            parts = [other]
            if line.strip():
                yield line


def warnings(headers: Iterable[str]) -> tuple[str, ...]:
    """Read `Warning` headers: what the API server, policies and webhooks want people to see."""
    texts = (text for header in headers for text in _WARNING.findall(header))
    return tuple(shorten(re.sub(r"\\(.)", r"\1", text)) for text in texts)
