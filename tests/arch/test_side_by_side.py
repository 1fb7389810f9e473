"""No test is left out, and none is run twice, where the tests run in parts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.side_by_side import KINDS, worst

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests").rglob("test_*.py"))
MARKED = ("e2e", "cluster")


def read_by(kind: str) -> Counter[Path]:
    """Count the parts that read each file."""
    found: Counter[Path] = Counter()
    for part in KINDS[kind].parts:
        without = [Path(word.removeprefix("--ignore=")) for word in part if word.startswith("--ignore=")]
        within = [Path(word) for word in part if not word.startswith("-")]
        assert all(path.exists() for path in (*without, *within)), part
        found.update(
            file
            for file in FILES
            if any(file.is_relative_to(one) for one in within) and not any(file.is_relative_to(one) for one in without)
        )
    return found


@pytest.mark.parametrize("kind", MARKED)
def test_every_file_with_such_tests_is_in_one_part(kind: str) -> None:
    """Wherever it stands."""
    found = read_by(kind)
    wanted = {file for file in FILES if f"mark.{kind}" in file.read_text()}

    assert wanted, kind
    assert {file.name for file in wanted if found[file] != 1} == set()


def test_unit_tests_are_in_one_part() -> None:
    """All of them outside the folders that have no unit tests at all."""
    found = read_by("unit")
    folders = {ROOT / "tests" / name for name in MARKED}

    assert {file.name for file in FILES if found[file] != 1 and not folders & set(file.parents)} == set()
    assert {file.name for file in FILES if found[file] and folders & set(file.parents)} == set()


@pytest.mark.parametrize(
    ("codes", "expected"), [((0, 0), 0), ((0, 5), 0), ((5, 1), 1), ((5, 5), 5), ((0, -15), -15), ((1, 124), 124)]
)
def test_the_worst_of_all_counts(codes: tuple[int, ...], expected: int) -> None:
    """But for a part that had none of the tests that somebody picked."""
    assert worst(codes) == expected
