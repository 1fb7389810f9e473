"""A long-running program of the test control plane: started, looked after, stopped; its output in a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_ROOT: Final = str(Path(__file__).parents[3])
# Whatever ends the tests, even SIGKILL, ends what they started.
_LAUNCH: Final = f"""
import os, signal, sys
sys.path.insert(0, {_ROOT!r})
from webhook.node.linux import die_with_parent
die_with_parent(signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
_STOP_SECONDS: Final = 20.0
_LAST_WORDS: Final = 25


class ProgramDied(Exception):
    """A program of the control plane ended by itself; the text ends with what it said last."""


@dataclass(slots=True)
class Program:
    """One program; bound to no event loop, so that tests with loops of their own can stop and start it."""

    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    _child: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """Give the program's name."""
        return Path(self.argv[0]).name

    @property
    def pid(self) -> int:
        """Give its process, or 0 while it does not run."""
        return self._child.pid if self._child is not None and self._child.poll() is None else 0

    def start(self) -> None:
        """Start it in a session of its own; a second start goes on in the same log."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise ProgramDied unless it runs."""
        if self._child is None:
            raise ProgramDied(f"{self.name} was never started")
        code = self._child.poll()
        if code is not None:
            raise ProgramDied(f"{self.name} ended with code {code}; it said last:\n{self.last_words()}")

    def last_words(self) -> str:
        """Give the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_WORDS:])

    async def stop(self) -> None:
        """Ask it to end and wait until it has; one that does not is killed."""
        if self._child is not None:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._child.wait, _STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
