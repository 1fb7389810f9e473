from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.cli.kit import POD, Shell
from webhook import __version__
from webhook.core.errors import SettingsError

EVENKEEL = [sys.executable, "-m", "webhook"]
ROOT = Path(__file__).parents[2]


def test_version(shell: Shell) -> None:
    """One line, for scripts."""
    assert shell.run("--version") == (0, f"evenkeel {__version__}\n", [])


def test_help_names_every_command(shell: Shell) -> None:
    """And those of later versions are not there yet."""
    ran = shell.run("--help")
    commands = ran.out.partition("Commands:\n")[2].splitlines()

    assert [line.split()[0] for line in commands if line[2] != " "] == [
        "inject",
        "eject",
        "config",
        "explain",
        "check",
        "serve",
        "reconcile",
        "xds",
        "demo",
    ]
    assert ran.code == 0


def test_nothing_asked_is_a_wrong_call(shell: Shell) -> None:
    """Help goes to standard error then."""
    ran = shell.run()

    assert (ran.code, ran.out) == (2, "")
    assert ran.err[0].startswith("Usage: evenkeel")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["injct"],
            ["evenkeel: No such command 'injct'. Did you mean 'inject', 'eject'?", "evenkeel: try `evenkeel --help`"],
        ),
        (["inject"], ["evenkeel: Missing option '--filename' / '-f'.", "evenkeel: try `evenkeel inject --help`"]),
    ],
)
def test_a_wrong_call_is_told_in_sentences(arguments: list[str], expected: list[str], shell: Shell) -> None:
    """With the nearest right one and where to read on; exit code 2."""
    assert shell.run(*arguments) == (2, "", expected)


def test_a_mistyped_option_names_the_right_one(shell: Shell) -> None:
    """As a mistyped command does."""
    ran = shell.run("inject", "-f", "x", "--catalgo", "y")

    assert ran.code == 2
    assert "--catalgo" in ran.err[0]
    assert "--catalog" in ran.err[0].partition("--catalgo")[2]


def fake(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    """Put a module in place of one that starts programs or servers."""
    module = ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_serve_hands_its_options_to_the_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once; the rest are the settings' defaults."""
    seen: list[Any] = []
    monkeypatch.setattr("webhook.compose.runner.run", lambda _, settings: seen.append(settings) or 0)
    for name in ("c.pem", "k.pem", "ca.pem", "a.yaml", "b.yaml"):
        shell.write(name, "")
    ran = shell.run(
        "serve", "--tls-cert", "c.pem", "--tls-key", "k.pem", "--port", "1234", "--health-port", "4321",
        "--client-ca", "ca.pem", "--catalog", "a.yaml", "--catalog", "b.yaml",
    )  # fmt: skip

    assert ran == (0, "", [])
    assert (seen[0].port, seen[0].health_port) == (1234, 4321)
    assert (seen[0].tls_cert, seen[0].tls_key, seen[0].client_ca) == (Path("c.pem"), Path("k.pem"), Path("ca.pem"))
    assert seen[0].catalog == (Path("a.yaml"), Path("b.yaml"))


def test_a_wrong_setting_ends_serve_with_two(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every problem a line, no traceback."""

    def refuse(*_: Any) -> int:
        raise SettingsError(["one is wrong", "two is wrong"])

    monkeypatch.setattr("webhook.compose.runner.run", refuse)

    assert shell.run("serve") == (2, "", ["evenkeel: one is wrong", "evenkeel: two is wrong"])


def test_demo_passes_its_options_and_its_code_on(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the demo says is its own business."""
    seen: list[Any] = []
    fake(monkeypatch, "webhook.demo.main", run_demo=lambda **given: seen.append(given) or 1)

    assert shell.run("demo", "--json", "--picture", "p.svg").code == 1
    assert seen == [{"as_json": True, "picture": Path("p.svg")}]


def test_a_demo_without_its_libraries_says_how_to_get_them(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are an extra, which not every installation has."""
    monkeypatch.setitem(sys.modules, "webhook.demo.main", None)
    monkeypatch.setattr("builtins.__import__", _without_demo(__import__))

    expected = "evenkeel: the demo needs the module pyroute2, which is not installed: pip install 'evenkeel[demo]'"
    assert shell.run("demo") == (1, "", [expected])


def _without_demo(original: Any) -> Any:
    def imported(name: str, *rest: Any, **more: Any) -> Any:
        if name == "webhook.demo.main":
            raise ModuleNotFoundError("no", name="pyroute2")
        return original(name, *rest, **more)

    return imported


def test_a_bug_is_not_hidden(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no user's error keeps its traceback."""
    monkeypatch.setattr("webhook.cli.inject._tell", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        shell.run("inject", "-f", "-", stdin=POD)


def test_text_of_manifests_cannot_steer_the_terminal(shell: Shell) -> None:
    """Control characters are shown, not obeyed."""
    ran = shell.run("inject", "--all", "-f", "-", stdin=POD.replace("name: web\n  n", 'name: "w\\e[31mb\\n"\n  n'))

    assert ran.err[0] == "Pod shop/w\\x1b[31mb\\n: injected (no upstream yet)"


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> None:
    """NO_COLOR is honoured."""
    assert "\x1b" not in shell.run("inject", "-f", "-", stdin=POD).err[0]

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert "\x1b[33m" in shell.run("inject", "-f", "-", stdin=POD).err[0]

    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shell.run("inject", "-f", "-", stdin=POD).err[0]


def test_a_reader_that_leaves_is_no_news(tmp_path: Path) -> None:
    """`evenkeel inject ... | head` ends without a word about pipes."""
    (tmp_path / "p.yaml").write_text(POD + "# much\n" * 100_000)
    with subprocess.Popen(
        [*EVENKEEL, "inject", "-f", tmp_path / "p.yaml"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        process.stdout.read(1)
        process.stdout.close()
        told = process.stderr.read().decode()

    assert "pipe" not in told.lower()
    assert "Traceback" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """One sentence, exit code 1."""
    (tmp_path / "p.yaml").write_text(POD)
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*EVENKEEL, "inject", "-f", tmp_path / "p.yaml"], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False
        )

    assert ran.returncode == 1
    assert (
        ran.stderr.decode().splitlines()[-1] == "evenkeel: standard output cannot be written (No space left on device)"
    )


def test_help_is_quick() -> None:
    """Under half a second, so that people ask for it; the best of three, as machines have other things to do."""

    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([*EVENKEEL, "--help"], cwd=ROOT, check=True, capture_output=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.5


def test_help_loads_no_more_than_it_needs() -> None:
    """No server, no YAML, no pydantic for a page of help."""
    program = (
        "import sys\nfrom webhook.cli.main import main\nmain(['--help'])\n"
        "heavy = {'yaml', 'pydantic', 'fastapi', 'uvicorn', 'rich', 'jsonpatch', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, env=os.environ)

    assert shown.stdout.decode().splitlines()[-1] == "[]"
