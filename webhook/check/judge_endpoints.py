"""EndpointSlices as `evenkeel xds` reads them: what is odd is left out there, and named here. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from webhook.check.model import Finding, ok, together, warning
from webhook.core.endpoints import EndpointBook
from webhook.core.model import JsonObject

_MOST: Final = 10
"""Slices that are named: more would hide the rest of the report."""
_REMEDY: Final = "its label endpointslice.kubernetes.io/managed-by names who has to mend it"


def judge_endpoints(slices: Iterable[JsonObject]) -> Finding:
    """Judge whether every endpoint can be told to sidecars."""
    book, read = EndpointBook(), 0
    for place, document in enumerate(slices):
        book.put(place, document)
        read += 1
    odd = book.problems
    troubles = [warning(str(problem), remedy=(_REMEDY,)) for problem in odd[:_MOST]]
    if len(odd) > _MOST:
        troubles.append(warning(f"and {len(odd) - _MOST} more"))
    return together(troubles, ok(f"{read} EndpointSlices"))
