"""What a person sees of the demo, without running it."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from webhook.demo.picture import write_picture
from webhook.demo.scenario import Scenario, Way, bare, manifests
from webhook.demo.screen import Screen, bar, evenness, side_by_side, summary, used
from webhook.demo.side_by_side import compare


def scenario(backends: dict[str, int], **changed: Any) -> Scenario:
    """Make a scenario, steady and without failures unless it says so."""
    rpcs = sum(backends.values())
    usual: dict[str, Any] = {"name": "s", "title": "t", "steady": True, "rpcs": rpcs, "failed": 0}
    return Scenario(**{**usual, "backends": backends, **changed})


def beside(change: str, after: str, *, dns: float | None, xds: float | None) -> list[Scenario]:
    """Make the four scenarios of a change that was seen by DNS and by pushed endpoints."""
    return [
        each
        for suffix, seconds in (("", dns), ("-xds", xds))
        for each in (
            scenario({"a": 7, "b": 3}, name=change + suffix, steady=False, seconds_to_new_backend=seconds, failed=1),
            scenario({"a": 100, "b": 100}, name=after + suffix),
        )
    ]


@pytest.mark.parametrize(
    ("count", "longest", "expected"),
    [(0, 10, ""), (10, 10, "█" * 40), (5, 10, "█" * 20), (1, 320, "▏"), (0, 0, ""), (319, 320, "█" * 39 + "▉")],
)
def test_a_bar_is_in_proportion_to_the_longest(count, longest, expected):
    """To an eighth of a character."""
    assert expected == bar(count, longest)


@pytest.mark.parametrize(
    ("backends", "steady", "expected"),
    [
        ({"a": 100, "b": 100}, True, "1.00"),
        ({"a": 102, "b": 100}, True, "1.02"),
        ({"a": 100, "b": 0}, True, "∞"),
        ({"a": 100, "b": 50}, False, ""),
        ({}, True, ""),
    ],
)
def test_evenness_is_told_where_the_backends_stayed(backends, steady, expected):
    """The busiest over the idlest; while backends come and go it would say nothing."""
    assert expected == evenness(scenario(backends, steady=steady))


def test_the_summary_counts_what_failed_and_says_why():
    """The first three kinds of error, cut."""
    errors = {f"UNAVAILABLE: {number} {'x' * 300}": number for number in range(1, 6)}
    told = summary(scenario({"a": 1, "b": 0}, failed=15, errors=errors, seconds_to_new_backend=2.34))

    assert told.startswith("1 RPCs, 15 failed; 1 of 2 servers used; max/min ∞; a new server's first RPC 2.34 s after")
    assert 4 == len(told.splitlines())
    assert max(map(len, told.splitlines()[1:])) < 180


def test_backends_that_were_never_called_are_counted_too():
    """Ten servers of which four are used is what the demo is about."""
    assert "4 of 10" == used(scenario({f"10.0.0.{n}": 100 if n < 4 else 0 for n in range(10)}))


def test_every_backend_gets_a_line():
    """With its bar and its count."""
    out = io.StringIO()
    Screen(out).show(scenario({"10.244.0.2": 400, "10.244.0.3": 200}))

    lines = [line.split() for line in out.getvalue().splitlines() if "10.244" in line]
    assert [["10.244.0.2", "█" * 40, "400"], ["10.244.0.3", "█" * 20, "200"]] == lines


def test_the_document_names_every_backend_and_rounds_seconds():
    """As `--json` prints it."""
    document = scenario({"a": 1, "b": 0}, seconds_to_new_backend=1.23456).document()

    assert {"a": 1, "b": 0} == document["backends"]
    assert (True, "localhost:9001", "sidecar", "dns") == tuple(
        document[key] for key in ("injected", "target", "mode", "discovery")
    )
    assert 1.23 == document["seconds_to_new_backend"]
    assert "errors" not in document


def test_the_picture_has_a_bar_for_each_backend(tmp_path):
    """Before and after, side by side; a backend without calls has a thin grey one."""
    file = tmp_path / "spread.svg"
    before = scenario({"10.0.0.1": 4000, "10.0.0.2": 0}, name="without-sidecar", way=bare("hoge-app-service:50051"))
    after = scenario({"10.0.1.1": 2000, "10.0.1.2": 2000}, name="with-sidecar-10")

    write_picture([before, after], file)

    bars = ET.fromstring(file.read_text()).findall("{http://www.w3.org/2000/svg}rect")[1:]
    assert ["210", "1", "105", "105"] == [rect.get("width") for rect in bars]
    assert 3 == len({rect.get("fill") for rect in bars})


def test_no_picture_is_drawn_of_half_a_run(tmp_path):
    """There would be nothing to compare."""
    write_picture([scenario({"a": 1}, name="without-sidecar")], tmp_path / "spread.svg")

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("example", ["hoge", "ticketing", "frontend"])
def test_the_examples_are_read_as_they_are(example):
    """Without kustomize's own file, which is no object of Kubernetes."""
    kinds = {document["kind"] for document in manifests(example)}

    assert {"Namespace", "Service", "Deployment"} == kinds


def test_the_document_of_callers_without_anything_says_so():
    """Nobody balanced, nobody heard of servers, and the webhook gave nothing."""
    document = scenario({"a": 1}, way=bare("orders:50051")).document()

    assert {
        "injected": False,
        "target": "orders:50051",
        "mode": "none",
        "discovery": "none",
    }.items() <= document.items()


def test_each_change_is_shown_in_two_columns():
    """Seconds as bars in proportion to the longest of all; what took no new server has none."""
    seen = [
        *beside("scale-5-to-10", "with-sidecar-10", dns=4.0, xds=0.0),
        *beside("scale-10-to-5", "with-sidecar-5-again", dns=None, xds=None),
        *beside("rolling-replacement", "all-replaced", dns=2.0, xds=1.0),
    ]
    lines = list(side_by_side(compare(seen)))

    assert ["dns", "xds"] == lines[1].split()
    assert [["4.00", "s", "█" * 20, "0.00", "s"], ["2.00", "s", "█" * 10, "1.00", "s", "█" * 5]] == [
        line.split("after")[1].split() for line in lines if "first RPC" in line
    ]
    assert 3 == sum("1 of 10" in line for line in lines) == sum(line.split()[-2:] == ["1.00", "1.00"] for line in lines)


def test_the_document_of_a_comparison_has_both_sides():
    """As `--json` prints it, beside the scenarios."""
    [found] = compare(beside("scale-5-to-10", "with-sidecar-10", dns=4.321, xds=None))

    same = {"rpcs": 10, "failed": 1, "max_over_min_after": 1.0}
    assert {
        "change": "scale-5-to-10",
        "dns": {"seconds_to_new_backend": 4.32, **same},
        "xds": {"seconds_to_new_backend": None, **same},
    } == found.document()


def test_half_a_change_is_not_compared():
    """A run that was cut short shows what it has."""
    whole = beside("scale-5-to-10", "with-sidecar-10", dns=4.0, xds=0.1)

    assert [[], [], [], []] == [compare([one for one in whole if one is not missing]) for missing in whole]
    assert [] == list(side_by_side([]))


def test_the_picture_shows_how_long_new_servers_waited(tmp_path):
    """One bar for each change and each way of hearing of it, below the backends."""
    file = tmp_path / "spread.svg"
    panels = [
        scenario({"10.0.0.1": 1}, name="without-sidecar", way=bare("orders")),
        scenario({"10.0.1.1": 1}, name="with-sidecar-10", way=Way()),
    ]
    waits = beside("rolling-replacement", "all-replaced", dns=5.0, xds=0.05)

    write_picture([*panels, *waits], file)

    root = ET.fromstring(file.read_text())
    texts = [text.text for text in root.findall("{http://www.w3.org/2000/svg}text")]
    bars = root.findall("{http://www.w3.org/2000/svg}rect")[3:]
    assert ["440", "4"] == [rect.get("width") for rect in bars]
    assert {"rolling replacement: DNS is asked", "5.00 s", "rolling replacement: endpoints are pushed"} <= set(texts)


def test_every_scenario_is_a_line_of_the_table_however_long_its_name():
    """Numbers stand in columns."""
    out = io.StringIO()
    long = "dial-productcatalogservice-without-sidecar"
    Screen(out).end([scenario({"a": 1}, name="s"), scenario({"a": 1}, name=long)])
    table = [line for line in out.getvalue().splitlines() if line.startswith(("scenario", "s ", long))]

    assert 1 == len({line.index("1 of 1") for line in table[1:]} | {table[0].index("servers used")})
