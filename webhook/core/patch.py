"""JSON Patch (RFC 6902) recorded while editing, never found by comparing: a comparison of a large Pod costs seconds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from webhook.core.model import JsonObject
from webhook.core.outcome import Operation


@lru_cache(maxsize=1024)  # the same few paths in every Pod
def pointer(*path: str | int) -> str:
    """Give the JSON Pointer (RFC 6901) of a path."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


class PatchRecorder:
    """Edits a document and records each edit as an operation.

    The original is never changed: what an edit touches is copied, and only that. An operation therefore always
    applies to the original after those before it.
    """

    def __init__(self, document: JsonObject) -> None:
        self._document: Any = dict(document)
        # By identity; the values keep the objects alive, so that no identity is given out twice.
        self._copied: dict[int, Any] = {id(self._document): self._document}
        self._operations: list[Operation] = []

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Give what was recorded, in order."""
        return tuple(self._operations)

    @property
    def document(self) -> JsonObject:
        """Give the edited document; it shares what no edit touched with the original."""
        return self._document  # type: ignore[no-any-return]

    def set(self, *path: str | int, value: Any) -> None:
        """Set a member of an object, or replace an item of a list; missing or null parents are made objects."""
        *parents, last = path
        holder = self._holder(parents, {})
        exists = isinstance(holder, list) or last in holder
        holder[last] = value
        self._record("replace" if exists else "add", path, value)

    def insert(self, *path: str | int, index: int, value: Any) -> None:
        """Insert an item into a list; a missing or null list is made."""
        holder = self._holder(path, [])
        holder.insert(index, value)
        self._record("add", (*path, index), value)

    def append(self, *path: str | int, value: Any) -> None:
        """Append an item to a list; a missing or null list is made."""
        holder = self._holder(path, [])
        holder.append(value)
        self._record("add", (*path, "-"), value)

    def _record(self, op: str, path: tuple[str | int, ...], value: Any) -> None:
        self._operations.append({"op": op, "path": pointer(*path), "value": value})

    def _holder(self, path: Sequence[str | int], empty: Any) -> Any:
        """Give a copy of ours of what stands at a path, making what is missing or null on the way."""
        node: Any = self._document
        for depth, part in enumerate(path, start=1):
            child = node.get(part) if isinstance(node, dict) else node[part]
            if child is None:
                # The recorded value must stay empty when the document is filled, so both are made anew.
                child = self._own(type(empty)() if depth == len(path) else {})
                self._record("add", tuple(path[:depth]), type(child)())
            elif id(child) not in self._copied:
                child = self._own(child.copy())
            node[part] = child
            node = child
        return node

    def _own(self, value: Any) -> Any:
        self._copied[id(value)] = value
        return value
