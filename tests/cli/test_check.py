"""`evenkeel check` from its arguments to its exit code, against a cluster in memory."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.check import world
from tests.check.api import FakeApi
from webhook.cli.check import Wish, run_check
from webhook.core.errors import SettingsError
from webhook.kube.errors import Unreachable

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give what runs a check-up, and what it gave: exit code, standard output, standard error."""
    monkeypatch.delenv("NO_COLOR", raising=False)

    def checked(api: FakeApi, wish: Wish | None = None, /) -> tuple[int, str, str]:
        code = run_check(lambda: api, wish or Wish(), now=lambda: world.NOW)
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    return checked


def test_a_healthy_cluster_is_done(run: Run) -> None:
    """Exit code 0; nothing but the report, and no colours where nobody sees them."""
    code, out, err = run(world.healthy())

    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert out.splitlines()[0] == "Kubernetes"
    assert out.splitlines()[-1] == "42 checks: 42 ok"


def test_warnings_alone_are_no_failure(run: Run) -> None:
    """A pipeline goes on."""
    api = world.healthy()
    api.find("Service", "orders")["spec"]["clusterIP"] = "10.96.0.7"

    assert run(api)[0] == 0


def test_what_fails_is_exit_code_1(run: Run) -> None:
    """Also where the API server does not answer at all: the report says so."""
    api = world.healthy()
    api.broken["/version"] = Unreachable("get", "/version", "connection refused")
    code, out, _ = run(api)

    assert code == 1
    assert "get /version: no answer: connection refused" in out


def test_before_installation_other_things_are_looked_at(run: Run) -> None:
    """Nothing of ours is there yet."""
    code, out, _ = run(FakeApi(), Wish(before=True))

    assert code == 0
    assert "you may create what the installation needs" in out
    assert "control plane" not in out


def test_json_is_the_only_thing_on_standard_output(run: Run) -> None:
    """One document with every check."""
    code, out, err = run(world.healthy(), Wish(as_json=True))
    document = json.loads(out)

    assert (code, err) == (0, "")
    assert document["result"] == "ok"
    assert {tuple(one) for one in document["checks"]} == {
        ("category", "name", "title", "result", "found", "remedy"),
    }
    assert {one["result"] for one in document["checks"]} == {"ok"}


def test_another_namespace_is_asked_for_by_name(run: Run) -> None:
    """An installation may stand anywhere."""
    _, out, _ = run(world.healthy(), Wish(namespace="balance"))

    assert "namespace balance does not exist: Evenkeel is not installed" in out


def test_settings_of_a_file_count_instead_of_the_cluster_s(run: Run, tmp_path: Path) -> None:
    """For those whose account may not read the Deployment."""
    file = tmp_path / "settings.yaml"
    file.write_text("sidecar: {image: r.example.com/e:1}")
    _, out, _ = run(world.healthy(), Wish(settings=file))

    assert "now it would be r.example.com/e:1" in out


def test_a_settings_file_that_is_wrong_is_told_before_anything_is_asked(run: Run, tmp_path: Path) -> None:
    """It is a wrong call, exit code 2, and no fault of the cluster."""
    file = tmp_path / "settings.yaml"
    file.write_text("prot: 1")
    api = world.healthy()

    with pytest.raises(SettingsError, match="did you mean port"):
        run(api, Wish(settings=file))

    assert api.asked == []


class Terminal(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        """Say that somebody watches."""
        return True


def test_on_a_terminal_progress_is_seen_and_wiped_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that says what is being looked at; nothing of it stays."""
    watched = Terminal()
    monkeypatch.setattr("sys.stderr", watched)
    monkeypatch.setenv("TERM", "xterm")
    run(world.healthy())

    assert "\r\x1b[K... the API server answers\r\x1b[K" in watched.getvalue()
    assert watched.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_on_a_terminal_only_and_never_against_no_color(
    no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://no-color.org."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stdout", screen)
    run_check(world.healthy, Wish(), now=lambda: world.NOW)

    assert (b"\x1b[32m" in screen.buffer.getvalue()) is coloured  # type: ignore[attr-defined]


def test_an_output_that_knows_only_ascii_gets_plain_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under LC_ALL=C, and in many a build log."""
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", screen)
    run_check(world.healthy, Wish(), now=lambda: world.NOW)

    assert b"\n+ the API server answers\n" in screen.buffer.getvalue()  # type: ignore[attr-defined]
