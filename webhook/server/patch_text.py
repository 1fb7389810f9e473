"""A patch as the API server wants it, JSON in base64, joined from parts that are encoded once."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import orjson

from webhook.core.outcome import Operation

_MOST_KEPT: Final = 256
"""Texts; Kubernetes bounds the annotations of one Pod to 256 KiB."""


def encode_patch(operations: Sequence[Operation]) -> bytes:
    """Give operations as JSON in base64.

    Nearly all of a patch is configuration, the same for every Pod of a Deployment. Base64 writes three bytes as four,
    so parts that are padded to whole threes can be encoded apart and joined; JSON does not mind the spaces.
    """
    leads = (b"", *(b",",) * (len(operations) - 1))
    return b"".join((_OPEN, *map(_part, leads, operations), _CLOSE))


def _part(lead: bytes, operation: Operation) -> bytes:
    value = operation["value"]
    if isinstance(value, str):
        return _text(lead, operation["op"], operation["path"], value)
    return _encoded(lead + orjson.dumps(operation))


@lru_cache(maxsize=_MOST_KEPT)
def _text(lead: bytes, op: str, path: str, value: str) -> bytes:
    return _encoded(lead + orjson.dumps({"op": op, "path": path, "value": value}))


def _encoded(text: bytes) -> bytes:
    return b2a_base64(text + b" " * (-len(text) % 3), newline=False)


_OPEN: Final = _encoded(b"[")
_CLOSE: Final = _encoded(b"]")
