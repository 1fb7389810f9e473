"""Which Kubernetes objects a document's value holds, and what keeps it from holding any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Path = tuple[str | int, ...]
_DEEPEST: Final = 20


def is_list(value: Any) -> bool:
    """Say whether a value is a list of objects, as `kubectl get` writes it."""
    return isinstance(value, dict) and str(value.get("kind")).endswith("List") and "items" in value


def expand(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Give every object in a checked value with its path; none if the value is None."""
    if is_list(value):
        for index, item in enumerate(value["items"] or ()):
            yield from expand(item, (*path, "items", index))
    elif value is not None:
        yield path, value


def check(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Give what keeps a value from being Kubernetes objects, each with its path; nothing is wrong with None."""
    if value is None and not path:
        return
    if not isinstance(value, dict):
        yield path, f"found {kind_of(value)}; expected an object with apiVersion and kind"
        return
    wrong = [
        _wrong(value, key) for key in ("apiVersion", "kind") if not isinstance(value.get(key), str) or not value[key]
    ]
    if wrong:
        yield path, f"found {' and '.join(wrong)}; expected apiVersion and kind, as every Kubernetes object has them"
    if is_list(value):
        yield from _check_items(value["items"], path)


def _wrong(value: dict[str, Any], key: str) -> str:
    return f"no {key}" if value.get(key) in (None, "") else f"{kind_of(value[key])} as {key}"


def _check_items(items: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(items, list | None):
        yield (*path, "items"), f"found {kind_of(items)} as items; expected a list"
    elif len(path) > _DEEPEST:
        yield path, "found lists in lists in lists; expected objects"
    else:
        for index, item in enumerate(items or ()):
            yield from check(item, (*path, "items", index))


def kind_of(value: Any) -> str:
    """Name the kind of a value for people."""
    if value is None:
        return "nothing"
    kinds = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false"}
    return kinds.get(type(value), "a number")
