"""DNS and pushed endpoints side by side: the same Service, the same load, the same changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from webhook.core.model import DiscoveryMode
from webhook.demo.scenario import Scenario

_CHANGES: Final = (
    ("scale-5-to-10", "with-sidecar-10"),
    ("scale-10-to-5", "with-sidecar-5-again"),
    ("rolling-replacement", "all-replaced"),
)
"""Scenarios under load, and the steady ones after them; those of pushed endpoints end in -xds."""
_SUFFIXES: Final = {DiscoveryMode.DNS: "", DiscoveryMode.XDS: "-xds"}


@dataclass(frozen=True, slots=True)
class Side:
    """What one discovery made of a change."""

    under_load: Scenario
    after: Scenario

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        seconds, spread = self.under_load.seconds_to_new_backend, self.after.evenness
        return {
            "seconds_to_new_backend": None if seconds is None else round(seconds, 2),
            "rpcs": self.under_load.rpcs,
            "failed": self.under_load.failed,
            "max_over_min_after": None if spread is None else round(spread, 2),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """One change, seen from both sides."""

    change: str
    sides: Mapping[DiscoveryMode, Side]

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {"change": self.change, **{mode.value: side.document() for mode, side in self.sides.items()}}


def compare(scenarios: Iterable[Scenario]) -> list[Comparison]:
    """Pair what both kinds of callers saw of each change; none of a run that did not come that far."""
    known = {scenario.name: scenario for scenario in scenarios}
    wanted = {
        change: {mode: (f"{change}{suffix}", f"{after}{suffix}") for mode, suffix in _SUFFIXES.items()}
        for change, after in _CHANGES
    }
    return [
        Comparison(change, {mode: Side(*(known[name] for name in pair)) for mode, pair in sides.items()})
        for change, sides in wanted.items()
        if all(name in known for pair in sides.values() for name in pair)
    ]
