"""How the house is built: who may import whom, what the core is made of, where names stand."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from webhook.core import names

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "webhook").rglob("*.py"))
LONGEST = 300


def test_the_import_contracts_are_kept() -> None:
    """Inner never imports outer, siblings do not know each other, the core does no I/O (pyproject.toml)."""
    program = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

    assert ran.returncode == 0, ran.stdout
    assert f"Contracts: {len(contracts)} kept, 0 broken." in ran.stdout


def test_the_core_loads_only_the_standard_library() -> None:
    """And of the package itself nothing but the core."""
    program = "import json, sys; before = set(sys.modules); import webhook.core.inject, webhook.core.envoy.static; "
    program += "print(json.dumps(sorted(set(sys.modules) - before)))"
    printed = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=True).stdout
    loaded: list[str] = json.loads(printed)

    assert "webhook.core.inject" in loaded
    assert [
        name
        for name in loaded
        if name.partition(".")[0] not in sys.stdlib_module_names
        and name not in {"webhook", "webhook.core"}
        and not name.startswith("webhook.core.")
    ] == []


@pytest.mark.parametrize("module", ["webhook", "webhook.core.names", "webhook.core.errors"])
def test_importing_does_nothing(module: str) -> None:
    """No output, no warning."""
    ran = subprocess.run([sys.executable, "-W", "error", "-c", f"import {module}"], capture_output=True, check=True)

    assert (ran.stdout, ran.stderr) == (b"", b"")


def test_no_module_is_over_three_hundred_lines() -> None:
    """One that is wants to be cut along a noun."""
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}

    assert len(lines) > 50
    assert {path: count for path, count in lines.items() if count > LONGEST} == {}


def test_every_name_is_unique() -> None:
    """Two constants of one value would be two names for one thing."""
    values = [
        value
        for key, value in vars(names).items()
        if key.isupper() and isinstance(value, str) and key not in ("EGRESS_ROUTES", "TOKEN_AUDIENCE")
    ]

    assert [value for value, count in Counter(values).items() if count > 1] == []
    # Envoy's listener and its route configuration may share theirs: they are of two kinds.
    assert names.EGRESS_ROUTES == names.EGRESS_LISTENER
    # And a token is for the very program that is also a cluster of Envoy's.
    assert names.TOKEN_AUDIENCE == names.XDS_CLUSTER


def test_every_name_of_the_contract_stands_once() -> None:
    """A key under our domain is written in names.py only."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in MODULES
        if path.name != "names.py"
        for line, text in literals(path)
        if text.startswith(f"{names.DOMAIN}/")
    ]

    assert found == []


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Give the texts of a module that are values, with their lines; docstrings are none."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def test_every_source_module_of_the_core_has_tests() -> None:
    """Of its own name, but where one is tested with its neighbour."""
    together = {
        "envoy.listeners": "envoy_listeners",
        "envoy.resources": "envoy_resources",
        "envoy.routes": "routes",
        "envoy.static": "envoy_resources",
        "model": "services",
        "lint_service": "lint",
    }
    modules = {
        ".".join(path.relative_to(ROOT / "webhook" / "core").with_suffix("").parts)
        for path in MODULES
        if path.is_relative_to(ROOT / "webhook" / "core") and path.name != "__init__.py"
    }
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "core").glob("test_*.py")}

    assert sorted(module for module in modules if together.get(module, module) not in tests) == []
