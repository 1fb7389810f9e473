"""What one client wants of one type, what it has, and what it is still to be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

ABSENT: Final = ""
"""The version of what does not exist."""
WHOLE_SET: Final = "*"
"""Stands for the name where versions are those of all that is wanted together."""


@dataclass(slots=True)
class Watch:
    """The state of one type on one stream. At most one response is unanswered; what changes meanwhile is due after."""

    wanted: dict[str, None] = field(default_factory=dict)
    due: dict[str, None] = field(default_factory=dict)
    """Names to be looked at: they may be others than the client has."""
    held: dict[str, str] = field(default_factory=dict)
    """Versions that the client has, by name."""
    refused: dict[str, str] = field(default_factory=dict)
    """Versions that it has refused: not sent again."""
    suspects: dict[str, None] = field(default_factory=dict)
    """Names that were refused together: sent alone, to find out which it is."""
    flight: dict[str, str] = field(default_factory=dict)
    """Versions in the unanswered response, as far as they are wanted still."""
    alone: bool = False
    """Whether that had one only."""
    nonce: str = ""
    """Of the last response."""
    waits: bool = False
    """Whether that is unanswered."""
    owed: bool = False
    """Whether a response is owed even if there is nothing to tell."""
    since: float | None = None
    """When the first of what is due has changed."""

    def subscribe(self, names: Iterable[str]) -> list[str]:
        """Take names that the client asks for, whatever it had of them; give those that are new."""
        added = []
        for name in names:
            if name not in self.wanted:
                added.append(name)
            self.wanted[name] = self.due[name] = None
            self.forget(name)
        return added

    def unsubscribe(self, names: Iterable[str]) -> list[str]:
        """Take names that the client wants no more; give those that it did want."""
        gone = [name for name in names if name in self.wanted]
        for name in gone:
            del self.wanted[name]
            self.due.pop(name, None)
            self.forget(name)
        if not self.due:
            self.since = None
        return gone

    def again(self) -> None:
        """Take it that the client has lost what it had, though not that it would take now what it has refused."""
        self.held.clear()
        self.due.update(self.wanted)

    def changed(self, name: str, since: float) -> None:
        """Hear that a name may be another now."""
        self.due[name] = None
        self.since = since if self.since is None else min(self.since, since)

    def sent(self, versions: dict[str, str], nonce: str) -> None:
        """Note that a response is on its way."""
        self.flight, self.nonce, self.waits, self.owed = versions, nonce, True, False
        self.alone = len(versions) == 1

    def accept(self) -> None:
        """Note that the client has taken it."""
        self.held.update(self.flight)
        for name in self.flight:
            self.refused.pop(name, None)
        self._answered()

    def refuse(self) -> None:
        """Note that the client has refused it: of several nobody knows which one it was."""
        if self.alone:
            self.refused.update(self.flight)
        else:
            self.suspects.update(dict.fromkeys(self.flight))
        self._answered()

    def forget(self, name: str) -> None:
        """Take it that the client has nothing of a name, and has refused nothing."""
        for known in (self.held, self.refused, self.flight, self.suspects):
            known.pop(name, None)

    def _answered(self) -> None:
        self.flight, self.waits = {}, False
