"""Images of the programs of tests/apps, found when a Pod first names one."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import trustme

from tests.apps import build
from tests.apps.build import Absent
from webhook.node.image import Image

HERE: Final = Path(build.__file__).parent
LANGUAGES: Final = ("python", "node", "go")
"""As the images `app-python`, `app-node` and `app-go`: /app/app is a client, told by its arguments what to call."""
MIXED: Final = "app-mixed"
"""The server of many protocols; its certificate is for the name `mixed`, by the authority at /app/ca.crt."""


def needed(language: str) -> None:
    """Skip a test where a language is absent from this machine; in CI that is a failure."""
    try:
        _FIND[language]()
    except Absent as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


def present() -> list[str]:
    """Give the languages that are on this machine."""
    return [language for language in LANGUAGES if _is_there(language)]


def _is_there(language: str) -> bool:
    try:
        _FIND[language]()
    except Absent:
        return False
    return True


def images(folder: Path) -> Callable[[str], Image | None]:
    """Give what finds an image by its name; what they need is written into a folder."""
    made: dict[str, Image] = {}

    def find(name: str) -> Image | None:
        if name not in made and name in _MAKE:
            (folder / name).mkdir()
            made[name] = _MAKE[name](folder / name)
        return made.get(name)

    return find


def _python(folder: Path) -> Image:
    files = _trusted(folder)
    return _program(folder, [sys.executable, str(HERE / "python" / "client.py")], files)


def _mixed(folder: Path) -> Image:
    files = _trusted(folder)
    return _program(folder, [sys.executable, str(HERE / "python" / "mixed.py")], files)


def _node(folder: Path) -> Image:
    found = build.node()
    files = {"/app/client.js": HERE / "node" / "client.js", "/app/node_modules": found.modules}
    return _program(folder, [str(found.program), "/app/client.js"], files)


def _go(folder: Path) -> Image:
    return _program(folder, ["/app/go"], {"/app/go": build.go_app()})


def _program(folder: Path, words: list[str], files: dict[str, Path]) -> Image:
    script = folder / "app"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    script.chmod(0o755)
    return Image(files={"/app/app": script, **files}, entrypoint=("/app/app",))


def _trusted(folder: Path) -> dict[str, Path]:
    # One authority for all images of a run: they lie side by side.
    pair = folder.parent / "mixed.crt", folder.parent / "ca.crt"
    if not pair[0].exists():
        authority = trustme.CA()
        authority.cert_pem.write_to_path(pair[1])
        authority.issue_cert("mixed").private_key_and_cert_chain_pem.write_to_path(pair[0])
        pair[0].chmod(0o644)
    return {"/app/mixed.crt": pair[0], "/app/ca.crt": pair[1]}


_FIND: Final[dict[str, Callable[[], object]]] = {"python": lambda: None, "node": build.node, "go": build.go_app}
_MAKE: Final[dict[str, Callable[[Path], Image]]] = {
    "app-python": _python,
    "app-node": _node,
    "app-go": _go,
    MIXED: _mixed,
}
