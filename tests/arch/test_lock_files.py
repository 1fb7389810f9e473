"""The lock files against pyproject.toml, without asking anybody outside."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)( ; [^\\]+)? \\")
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?P<ranges>[^;]*)")


def normal(name: str) -> str:
    """Write a distribution's name the one way that compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


def release(version: str) -> tuple[int, ...]:
    """Make a version comparable, without zeros at its end."""
    numbers = [int(part) for part in re.match(r"[\d.]*\d", version)[0].split(".")]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def allowed(version: str, ranges: str) -> bool:
    """Say whether a version lies in ranges such as `>=1.27,<2`."""
    compare = {
        ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b,
        "==": lambda a, b: a == b,
    }
    parts = [re.fullmatch(r"\s*(>=|<|==)\s*([\w.]+)\s*", part) for part in ranges.split(",")]
    return all(part and compare[part[1]](release(version), release(part[2])) for part in parts)


def pins(lock: str) -> dict[str, tuple[str, int]]:
    """Read a lock file: for each name its version and the number of its hashes."""
    found: dict[str, tuple[str, int]] = {}
    name = ""
    for line in (ROOT / lock).read_text().splitlines():
        if pin := PIN.fullmatch(line):
            name = normal(pin["name"])
            found[name] = (pin["version"], 0)
        elif re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line):
            version, hashes = found[name]
            found[name] = (version, hashes + 1)
        else:
            assert not line.strip() or line.lstrip().startswith("#"), f"{lock}: {line!r} is neither pin nor hash"
    return found


def declared() -> dict[str, list[str]]:
    """Read what pyproject.toml asks for, by the lock file that must pin it."""
    document: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = document["project"]["dependencies"]
    extras = [each for extra in document["project"]["optional-dependencies"].values() for each in extra]
    build = document["build-system"]["requires"]
    return {LOCKS[0]: runtime, LOCKS[1]: [*runtime, *extras, *build], LOCKS[2]: build}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_dependency_is_pinned_within_its_range(lock: str) -> None:
    """Who changes pyproject.toml runs `make lock`."""
    found = pins(lock)
    problems = []
    for text in declared()[lock]:
        requirement = REQUIREMENT.match(text)
        assert requirement, text
        version, _ = found.get(normal(requirement["name"]), ("", 0))
        if not version or not allowed(version, requirement["ranges"]):
            problems.append(f"{text}: {lock} has {version or 'no pin'}")

    assert problems == []


@pytest.mark.parametrize("lock", LOCKS)
def test_each_pin_has_hashes(lock: str) -> None:
    """Pip installs nothing that was not there when the lock was made."""
    found = pins(lock)

    assert [name for name, (_, hashes) in found.items() if not hashes] == []
    assert found


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_says_where_packages_come_from(lock: str) -> None:
    """Each machine has its own source; the hashes make it not matter which."""
    text = (ROOT / lock).read_text()

    assert re.findall(r"\S+://\S+|^\s*--?(?:index|extra|find|trusted|i|f)\S*", text, flags=re.MULTILINE) == []


def test_the_locks_agree() -> None:
    """What is tested is what is shipped, and what builds it."""
    dev = pins("requirements-dev.lock")
    others = {name: pin for lock in (LOCKS[0], LOCKS[2]) for name, pin in pins(lock).items()}

    assert {name: dev.get(name) for name in others} == others
