"""The spread before and after, as an SVG picture made of the run's own numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from webhook.core.model import DiscoveryMode
from webhook.demo.scenario import Scenario
from webhook.demo.side_by_side import compare

_WIDTH: Final = 860
_PANEL: Final = 400
_ROW: Final = 24
_TOP: Final = 92
_BARS: Final = 210
_LABEL: Final = 108
_HEAD: Final = 44
"""Above the rows about new servers."""
_LONG_LABEL: Final = 290
_LONG_BARS: Final = 440
_HOW: Final = {DiscoveryMode.DNS: "DNS is asked", DiscoveryMode.XDS: "endpoints are pushed"}
_INK: Final = "#1f2933"
_MUTED: Final = "#616e7c"
_BEFORE: Final = "#d64545"
_AFTER: Final = "#2186eb"
_PUSHED: Final = "#0c6b58"
_COLOURS: Final = {DiscoveryMode.DNS: _AFTER, DiscoveryMode.XDS: _PUSHED}


class _Wait(NamedTuple):
    """How long a new server was ready before it was called."""

    what: str
    mode: DiscoveryMode
    seconds: float


def write_picture(scenarios: Sequence[Scenario], file: Path) -> None:
    """Draw the scenarios `without-sidecar` and `with-sidecar-10` side by side, one bar a backend.

    Below them, where the run has it, how long new servers waited for their first RPC by DNS and where they are pushed.
    Nothing is written where the run did not come that far. Raises OSError where the file cannot be written.
    """
    by_name = {scenario.name: scenario for scenario in scenarios}
    panels = [by_name[name] for name in ("without-sidecar", "with-sidecar-10") if name in by_name]
    if len(panels) < 2:  # noqa: PLR2004 before and after
        return
    rows = max(len(panel.backends) for panel in panels)
    waits = list(_waits(scenarios))
    below = _TOP + rows * _ROW
    height = below + (_HEAD + len(waits) * _ROW if waits else 0) + 44
    svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {_WIDTH} {height}", role="img")
    svg.set("font-family", "system-ui, sans-serif")
    ET.SubElement(svg, "title").text = "RPCs per backend, without and with the sidecar"
    ET.SubElement(svg, "rect", width="100%", height="100%", fill="#ffffff", rx="8")
    _text(svg, 20, 32, "RPCs per backend: 4 clients, 10 servers, 1,000 RPCs each", size=17, weight="600")
    longest = max(max(panel.backends.values()) for panel in panels)
    for index, (panel, colour) in enumerate(zip(panels, (_BEFORE, _AFTER), strict=True)):
        heading = "Without a sidecar" if index == 0 else "With Evenkeel"
        _panel(svg, panel, 20 + index * (_PANEL + 20), heading, colour, longest)
    _new_servers(svg, waits, below)
    _text(svg, 20, height - 16, "Measured by `make demo`, one bar a pod of the headless Service.", fill=_MUTED)
    ET.indent(svg)
    file.write_bytes(ET.tostring(svg, encoding="utf-8", xml_declaration=True) + b"\n")


def _panel(svg: ET.Element, scenario: Scenario, left: int, heading: str, colour: str, longest: int) -> None:
    used = sum(1 for count in scenario.backends.values() if count)
    _text(svg, left, 62, heading, size=15, weight="600", fill=colour)
    summary = f"{used} of {len(scenario.backends)} servers used, {scenario.failed} of {scenario.rpcs:,} RPCs failed"
    _text(svg, left, 80, summary, fill=_MUTED)
    for row, (address, count) in enumerate(scenario.backends.items()):
        top = _TOP + row * _ROW
        _text(svg, left, top + 15, address, fill=_INK)
        width = max(1, round(_BARS * count / longest)) if longest else 1
        bar = {"x": str(left + _LABEL), "y": str(top + 3), "width": str(width), "height": str(_ROW - 8)}
        ET.SubElement(svg, "rect", bar, fill=colour if count else "#cbd2d9", rx="2")
        _text(svg, left + _LABEL + width + 8, top + 15, f"{count:,}", fill=_INK if count else _MUTED)


def _waits(scenarios: Sequence[Scenario]) -> Iterator[_Wait]:
    for comparison in compare(scenarios):
        for mode, side in comparison.sides.items():
            if side.under_load.seconds_to_new_backend is not None:
                what = f"{comparison.change.replace('-', ' ')}: {_HOW[mode]}"
                yield _Wait(what, mode, side.under_load.seconds_to_new_backend)


def _new_servers(svg: ET.Element, waits: Sequence[_Wait], top: int) -> None:
    if not waits:
        return
    _text(svg, 20, top + 32, "Seconds until the slowest of the new servers was used", size=15, weight="600")
    longest = max(wait.seconds for wait in waits)
    for row, wait in enumerate(waits):
        at = top + _HEAD + row * _ROW
        _text(svg, 20, at + 15, wait.what)
        width = max(1, round(_LONG_BARS * wait.seconds / longest)) if longest else 1
        bar = {"x": str(20 + _LONG_LABEL), "y": str(at + 3), "width": str(width), "height": str(_ROW - 8)}
        ET.SubElement(svg, "rect", bar, fill=_COLOURS[wait.mode], rx="2")
        _text(svg, 20 + _LONG_LABEL + width + 8, at + 15, f"{wait.seconds:.2f} s")


def _text(svg: ET.Element, x: int, y: int, text: str, *, size: int = 13, weight: str = "400", fill: str = _INK) -> None:
    attributes = {"x": str(x), "y": str(y), "font-size": str(size), "font-weight": weight, "fill": fill}
    ET.SubElement(svg, "text", attributes).text = text
