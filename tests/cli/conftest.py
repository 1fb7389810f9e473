from __future__ import annotations

from pathlib import Path

import pytest

from tests import builders
from tests.cli.kit import Shell
from webhook import templates


@pytest.fixture(autouse=True)
def _templates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of commands would each parse the shipped ones, which do not change."""
    load = templates.load_templates
    shipped = builders.templates()
    monkeypatch.setattr(templates, "load_templates", lambda folder: load(folder) if folder else shipped)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Shell:
    """Give a place to run commands in."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Shell(tmp_path, monkeypatch, capsysbinary)
