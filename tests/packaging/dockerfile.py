"""Runs the steps of a Dockerfile without Docker: in a folder, by this machine's Python, as nobody in particular."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534
PLACES = re.compile(r"(?<![\w./])/(?=(?:opt|src|build)\b)")
"""The absolute paths that the Dockerfile writes to; everything else is the image's."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a Dockerfile, its continued lines joined."""

    stage: int
    word: str
    rest: str


def read_steps(text: str) -> list[Step]:
    """Read all instructions in order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stage = -1
    steps = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, rest = line.split(maxsplit=1)
        stage += word == "FROM"
        steps.append(Step(stage, word, rest))
    return steps


def values(steps: Sequence[Step], word: str, stage: int) -> list[str]:
    """List what the instructions of one kind say in a stage."""
    return [step.rest for step in steps if step.word == word and step.stage == stage]


@dataclass(frozen=True, slots=True)
class Builder:
    """A folder that stands for the image's root, and who works in it."""

    root: Path
    context: Path
    python: Path
    user: int | None

    def build(self, steps: Sequence[Step]) -> None:
        """Carry out the first stage; a step that fails shows what it printed."""
        folder = self.root
        environment = self.environment()
        for step in steps:
            match step.word:
                case "WORKDIR":
                    folder = self.place(step.rest)
                    self.make(folder)
                case "ENV":
                    environment |= dict(pair.split("=", 1) for pair in step.rest.split())
                case "COPY":
                    self.copy(step.rest, folder)
                case "RUN":
                    self.run(["sh", "-euc", self.translated(step.rest)], folder, environment)

    def environment(self) -> dict[str, str]:
        """Return what a step sees: its own Python first, and how this machine reaches packages."""
        tools = self.root / "tools"
        passed = ("PIP_", "SSL_", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY")
        outer = {name: value for name, value in os.environ.items() if name.startswith(passed)}
        return {**outer, "PATH": f"{tools}:/usr/bin:/bin", "HOME": str(self.root / "home"), "LANG": "C.UTF-8"}

    def prepare(self) -> None:
        """Put this machine's Python where the image has its own."""
        for name in ("", "home", "tools", "opt"):
            self.make(self.root / name)
        (self.root / "tools" / "python").symlink_to(self.python)

    def make(self, folder: Path) -> None:
        """Make a folder of the working user."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.give(folder)

    def give(self, path: Path) -> None:
        """Let the working user have a file."""
        if self.user is not None:
            os.chown(path, self.user, self.user, follow_symlinks=False)

    def place(self, path: str) -> Path:
        """Return where an absolute path of the image is here."""
        return self.root / path.lstrip("/")

    def translated(self, command: str) -> str:
        """Write a command's paths as they are here."""
        return PLACES.sub(f"{self.root}/", command)

    def copy(self, rest: str, folder: Path) -> None:
        """Copy what the Dockerfile names, as far as .dockerignore lets it through."""
        *sources, target = rest.split()
        sent = (self.context / ".dockerignore").read_text().splitlines()
        for source in sources:
            assert f"!{source}" in sent, f".dockerignore keeps {source} back"
            to = folder / target if len(sources) == 1 else folder / target / source
            if (self.context / source).is_dir():
                shutil.copytree(self.context / source, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(self.context / source, to)
        for path in all_below(folder):
            self.give(path)

    def run(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
        """Run a command as the working user; return what it printed."""
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )

        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout


def all_below(folder: Path) -> Iterator[Path]:
    """List everything in a folder, the folder first; links are not followed."""
    yield folder
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            yield Path(parent, name)


def lock_up(folder: Path) -> None:
    """Take everybody's right to write."""
    for path in all_below(folder):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def unlock(folder: Path) -> None:
    """Give the owner back the right to write, so that it can be removed."""
    for path in all_below(folder):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def worker() -> tuple[Path, int | None]:
    """Choose a Python and an unprivileged user who can run it; the present user where there is no other."""
    own = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    if os.geteuid() != 0:
        return own, None
    for python in (own, Path("/usr/bin/python3"), Path("/usr/local/bin/python3")):
        if can_build(python, NOBODY):
            return python, NOBODY
    return own, None


def can_build(python: Path, user: int) -> bool:
    """Say whether a user can make virtual environments with a Python that is new enough."""
    check = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run(
            [python, "-c", check], cwd="/", user=user, group=user, extra_groups=[], check=False, capture_output=True
        )
    except OSError:
        return False
    return done.returncode == 0
