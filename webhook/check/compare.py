"""What stands in the cluster beside what ships, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from webhook.core.annotations import shown
from webhook.core.model import JsonObject

_FILLED_IN: Final[dict[str, Any]] = {
    "matchPolicy": "Equivalent",
    "scope": "*",
    "port": 443,
    "timeoutSeconds": 10,
    "reinvocationPolicy": "Never",
    "failurePolicy": "Fail",
    "namespaceSelector": {},
    "objectSelector": {},
}
"""What the API server writes where an object says nothing."""
_NOT_COMPARED: Final = ("caBundle",)
"""Whoever makes the certificate writes it; whether it is right is another check."""
_CLOUD_KEYS: Final = ("control-plane", "kubernetes.azure.com/managedby")
"""Azure adds exceptions for its own namespaces to every webhook, again and again."""


class Difference(NamedTuple):
    """A field that is not as shipped."""

    field: str
    found: str
    shipped: str

    def __str__(self) -> str:
        """Give a line for people."""
        return f"{self.field}: found {self.found}, shipped {self.shipped}"


def differences(shipped: Any, found: Any, field: str = "") -> Iterator[Difference]:
    """Name every field in which an object differs from what ships; what the API server fills in is none."""
    if isinstance(shipped, dict) and isinstance(found, dict):
        yield from _objects(shipped, found, field)
    elif isinstance(shipped, list) and isinstance(found, list):
        yield from _lists(shipped, found, field)
    elif shipped != found:
        yield Difference(field, _said(found), _said(shipped))


def _objects(shipped: JsonObject, found: JsonObject, field: str) -> Iterator[Difference]:
    for key in sorted({*shipped, *found} - set(_NOT_COMPARED)):
        where = f"{field}.{key}" if field else key
        if key in shipped and key in found:
            yield from differences(shipped[key], found[key], where)
        elif key in shipped and shipped[key] not in (_FILLED_IN.get(key), None, {}, []):
            yield Difference(where, "nothing", _said(shipped[key]))
        elif key in found and found[key] not in (_FILLED_IN.get(key), None, {}, []):
            yield Difference(where, _said(found[key]), "nothing")


def _lists(shipped: list[Any], found: list[Any], field: str) -> Iterator[Difference]:
    if all(isinstance(one, dict) and "name" in one for one in (*shipped, *found)):
        yield from _named(shipped, found, field)
        return
    found = [one for one in found if one in shipped or not _of_a_cloud(one)]
    if len(shipped) != len(found):
        yield Difference(field, _said(found), _said(shipped))
        return
    for index, (one, other) in enumerate(zip(shipped, found, strict=True)):
        yield from differences(one, other, f"{field}[{index}]")


def _named(shipped: list[JsonObject], found: list[JsonObject], field: str) -> Iterator[Difference]:
    ours, theirs = ({one["name"]: one for one in many} for many in (shipped, found))
    for name in sorted({*ours, *theirs}):
        where = f"{field}[{name}]"
        if name not in theirs:
            yield Difference(where, "nothing", "one")
        elif name not in ours:
            yield Difference(where, "one", "nothing")
        else:
            yield from differences(ours[name], theirs[name], where)


def _of_a_cloud(one: Any) -> bool:
    return isinstance(one, dict) and one.get("key") in _CLOUD_KEYS and one.get("operator") in ("NotIn", "DoesNotExist")


def _said(value: Any) -> str:
    return shown(" ".join(str(value).split())) if isinstance(value, str | dict | list) else str(value)
