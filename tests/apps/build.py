"""The gRPC applications in Go and Node that the end-to-end tests run: built or installed once, outside the repository.

`python tests/apps/build.py` does it (it needs a network, which a sandbox has not) and exits with 0 when all is there,
1 when something cannot be had, 3 where Go or Node is absent.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

# As a program it must find the package of the tests itself.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.controlplane import build
from tests.controlplane.build import BuildFailed, Family, GoAbsent

HERE: Final = Path(__file__).parent
_ABSENT: Final = 3
_PINNED: Final = ("package.json", "package-lock.json")
_INSTALL: Final = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")


class Absent(BuildFailed):
    """A language is not on this machine; the text says what would do."""


class _GoApp(Family):
    """Built like the control plane's programs, from its own Go module."""

    __slots__ = ()

    @property
    def folder(self) -> Path:
        return HERE / "go"


_GO_APP: Final = _GoApp("app", {"app": "."}, minutes=1)


@dataclass(frozen=True, slots=True)
class Node:
    """What runs the client in Node."""

    program: Path
    modules: Path
    """The folder `node_modules`."""


def go_app() -> Path:
    """Find the application in Go, or build it; Absent or BuildFailed say why it cannot be had."""
    try:
        return build.cached(_GO_APP)["app"]
    except GoAbsent as error:
        raise Absent("Go is absent: install Go 1.26 or newer") from error


def node() -> Node:
    """Find Node and what its client needs, or install that; Absent or BuildFailed say why it cannot be had."""
    program = shutil.which("node")
    if program is None:
        raise Absent("Node is absent: install nodejs, 18 or newer, and npm")
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evenkeel" / "apps"
    folder = root / f"node-{_digest(program)}"
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        with build.locked(root / "lock"):
            if not folder.exists():
                _install(folder)
    return Node(Path(program), folder / "node_modules")


def _digest(program: str) -> str:
    version = subprocess.run([program, "--version"], capture_output=True, check=True).stdout
    pinned = [(HERE / "node" / name).read_bytes() for name in _PINNED]
    return hashlib.sha256(b"\0".join([version, *pinned])).hexdigest()[:20]


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Absent("npm is absent: install npm, or see that it is on the PATH")
    # In the same folder, so that the last step is a rename: nobody ever sees half of it.
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    unfinished.mkdir()
    try:
        for name in _PINNED:
            shutil.copy(HERE / "node" / name, unfinished)
        answer = subprocess.run([npm, *_INSTALL], cwd=unfinished, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise BuildFailed(f"the client in Node cannot be installed:\n{answer.stdout}{answer.stderr}")
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def main() -> NoReturn:
    """Build and install; say where everything is, and what is absent."""
    code = 0
    for name, find in (("go", go_app), ("node", node)):
        try:
            print(name, find())
        except Absent as error:
            print(error, file=sys.stderr)
            code = code or _ABSENT
        except BuildFailed as error:
            print(error, file=sys.stderr)
            code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
