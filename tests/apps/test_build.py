"""The applications in other languages are had once, found again, and their absence is explained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.apps import build
from tests.apps.build import Absent, BuildFailed
from tests.controlplane import build as controlplane

NPM = """#!/bin/sh
echo "$*" >> "$COUNT"
test -z "$BREAK" || { echo "no such version"; exit 1; }
test -f package-lock.json && mkdir -p node_modules/@grpc
"""


@pytest.fixture
def installs(tmp_path, monkeypatch) -> Path:
    """Have a Node and an npm that do nothing, an empty cache, and a file with a line for each installation."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"node": "#!/bin/sh\necho v99\n", "npm": NPM}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    count = tmp_path / "count"
    count.touch()
    monkeypatch.setenv("PATH", f"{programs}:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COUNT", str(count))
    monkeypatch.setenv("BREAK", "")
    return count


def test_what_node_needs_is_installed_once_as_it_is_locked(installs):
    """Without running anything that a package brings."""
    first, again = build.node(), build.node()

    assert first == again
    assert (first.modules / "@grpc").is_dir()
    assert ["ci --ignore-scripts --no-audit --no-fund --no-update-notifier"] == installs.read_text().splitlines()


def test_a_failed_installation_tells_what_npm_said_and_leaves_nothing(installs, monkeypatch, tmp_path):
    """So that the next run tries again."""
    monkeypatch.setenv("BREAK", "yes")
    with pytest.raises(BuildFailed, match="the client in Node cannot be installed:\nno such version"):
        build.node()

    assert ["lock"] == [path.name for path in (tmp_path / "cache" / "evenkeel" / "apps").iterdir()]


def test_absent_languages_are_named_with_what_would_do(tmp_path, monkeypatch):
    """Each for itself."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(controlplane, "_GO_HOME", tmp_path / "go")

    with pytest.raises(Absent, match=r"Go is absent: install Go 1\.26 or newer$"):
        build.go_app()
    with pytest.raises(Absent, match="Node is absent: install nodejs"):
        build.node()


def test_the_program_ends_with_3_where_something_is_absent(tmp_path):
    """As a Makefile asks; without Python on the PATH there is no other language either."""
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    program = f"import runpy, sys; sys.path.insert(0, {str(build.HERE.parents[1])!r}); "
    program += "from pathlib import Path; from tests.controlplane import build; build._GO_HOME = Path('/none'); "
    program += f"runpy.run_path({build.__file__!r}, run_name='__main__')"
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)

    assert 3 == ran.returncode
    assert "Go is absent" in ran.stderr
    assert "Node is absent" in ran.stderr


def test_every_module_is_pinned_by_a_checksum_and_names_no_registry():
    """Go's by go.sum, Node's by the lock file, which leaves out where a package comes from."""
    lock = json.loads((build.HERE / "node" / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}

    assert (build.HERE / "go" / "go.sum").stat().st_size > 0
    assert {name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")} == set()
    assert {name for name, entry in packages.items() if "resolved" in entry} == set()
    assert lock["packages"][""]["dependencies"] == {"@grpc/grpc-js": packages["node_modules/@grpc/grpc-js"]["version"]}
