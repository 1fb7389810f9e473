"""What is printed: golden reports, what a terminal can show, and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tests.check.faults_workloads  # noqa: F401 it adds to the table
from tests.check import world
from tests.check.api import FakeApi
from tests.check.faults import FAULTS
from tests.check.kit import lines
from webhook import __version__
from webhook.check.model import Line, failed, ok, skipped, warning
from webhook.check.registry import AFTER, BEFORE
from webhook.check.show import Printer, as_json

GOLDEN = Path(__file__).parent / "golden"
BROKEN = (
    "wrong-ca-bundle",
    "no-rbac",
    "service-not-headless",
    "typo-in-an-annotation-of-a-pod",
    "no-endpoint-is-ready",
)


def broken() -> FakeApi:
    """Make a cluster with five faults at once."""
    api = world.healthy()
    for name in BROKEN:
        FAULTS[name][0](api)
    return api


def report(found: list[Line], *, encoding: str = "utf-8", coloured: bool = False) -> str:
    """Print a report."""
    printer = Printer(encoding=encoding, coloured=coloured)
    return "".join(map(printer.line, found)) + printer.summary(found)


@pytest.mark.parametrize(
    ("name", "make", "checks"),
    [
        ("before", world.healthy, BEFORE),
        ("healthy", world.healthy, AFTER),
        ("broken", broken, AFTER),
        ("not-installed", FakeApi, AFTER),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_report_reads_as_written_down(name: str, make: object, checks: object, update_golden: bool) -> None:
    """Somebody reads every change of it."""
    text = report(await lines(make(), checks)).replace(__version__, "VERSION")  # type: ignore[operator,arg-type]
    file = GOLDEN / f"{name}.txt"
    if update_golden:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        pytest.fail(f"{file.name} is written anew: read the difference")

    assert text == file.read_text(encoding="utf-8")


A_FEW = [
    Line("one", "a", "all is well", ok("2 of 2")),
    Line("one", "b", "this is odd", warning("Ärger\x1b[2J", remedy="kubectl get x")),
    Line("two", "c", "this is bad", failed("line\none", "two")),
    Line("two", "d", "this was not seen", skipped("no reason")),
]


def test_signs_where_the_output_can_show_them() -> None:
    """What a stranger wrote steers no terminal and breaks no line."""
    assert report(A_FEW).splitlines() == [
        "one",
        "---",
        "√ all is well: 2 of 2",
        "‼ this is odd",
        "    Ärger\\x1b[2J",
        "    remedy: kubectl get x",
        "",
        "two",
        "---",
        "× this is bad",  # noqa: RUF001 a sign
        "    line\\none",
        "    two",
        "- this was not seen",
        "    no reason",
        "",
        "4 checks: 1 ok, 1 warning, 1 failed, 1 skipped",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "no-such-encoding"])
def test_plain_letters_where_it_cannot(encoding: str) -> None:
    """Nothing is lost, and nothing raises."""
    text = report(A_FEW, encoding=encoding)

    assert text.isascii()
    assert [line[0] for line in text.splitlines()[:-1] if line[1:2] == " " and line[0] != " "] == ["+", "!", "x", "-"]
    assert "    \\xc4rger\\x1b[2J" in text.splitlines()


def test_colours_stand_around_the_marks_only() -> None:
    """So that a copied line can be searched for."""
    assert "\x1b[32m√\x1b[0m all is well: 2 of 2\n" in report(A_FEW, coloured=True)


def test_a_long_list_is_cut_for_people_and_whole_for_machines() -> None:
    """A thousand bare Pods shall not push the rest from the screen."""
    many = [Line("one", "a", "x", failed(*map(str, range(30))))]

    assert "    19\n    and 10 more (--output json shows all)\n" in report(many)
    assert len(json.loads(as_json(many))["checks"][0]["found"]) == 30


def test_json_has_stable_keys() -> None:
    """And one word on the whole."""
    document = json.loads(as_json(A_FEW))

    assert document["result"] == "failed"
    assert document["checks"][1] == {
        "category": "one",
        "name": "b",
        "title": "this is odd",
        "result": "warning",
        "found": ["Ärger\x1b[2J"],
        "remedy": ["kubectl get x"],
    }
    assert json.loads(as_json(A_FEW[:2]))["result"] == "ok"
