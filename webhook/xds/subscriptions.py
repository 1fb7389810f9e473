"""Who wants what, so that a change costs those whom it concerns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Generic, TypeVar

_Who = TypeVar("_Who")


class Subscriptions(Generic[_Who]):
    """Everybody who wants a name of a type."""

    def __init__(self) -> None:
        self._wanted: dict[tuple[str, str], dict[_Who, None]] = {}

    def __len__(self) -> int:
        """Count the names that somebody wants."""
        return len(self._wanted)

    def of(self, type_url: str, name: str) -> Collection[_Who]:
        """Give who wants a name."""
        return self._wanted.get((type_url, name), {}).keys()

    def add(self, who: _Who, type_url: str, names: Iterable[str]) -> None:
        """Note that somebody wants names."""
        for name in names:
            self._wanted.setdefault((type_url, name), {})[who] = None

    def drop(self, who: _Who, type_url: str, names: Iterable[str]) -> None:
        """Note that somebody wants names no more."""
        for name in names:
            all_of_it = self._wanted.get((type_url, name), {})
            all_of_it.pop(who, None)
            if not all_of_it:
                self._wanted.pop((type_url, name), None)
