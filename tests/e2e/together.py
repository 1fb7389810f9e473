"""Runs the end-to-end tests in two sandboxes side by side: they wait more than they compute.

    python tests/e2e/together.py [pytest's own arguments]

Each sandbox has a network of its own. What the second prints comes after the first; the exit code is that of the worse.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

_HERE: Final = Path(__file__).parent
_LIMIT: Final = "900"
_APART: Final = (_HERE / "test_fleet.py", _HERE.parent / "test_compose.py", _HERE.parent / "test_compose_xds.py")
"""About as long as all the rest: a stream that is silent for a minute, and programs that are started and ended."""


def main(arguments: list[str]) -> int:
    """Run both; an interrupt ends both."""
    rest = [str(_HERE), *(f"--ignore={path}" for path in _APART)]
    with ExitStack() as stack:
        printed = stack.enter_context(tempfile.TemporaryFile())
        parts = [_start(stack, rest, arguments, None), _start(stack, list(map(str, _APART)), arguments, printed)]
        try:
            codes = [part.wait() for part in parts]
        except KeyboardInterrupt:
            for part in parts:
                part.terminate()
            raise
        printed.seek(0)
        sys.stdout.buffer.write(printed.read())
    return max(codes, key=abs)


def _start(
    stack: ExitStack, paths: list[str], arguments: list[str], printed: IO[bytes] | None
) -> subprocess.Popen[bytes]:
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "e2e", *paths, *arguments]
    command = ["timeout", "--foreground", _LIMIT, sys.executable, "-m", "webhook.node.sandbox", "--", *tests]
    errors = subprocess.STDOUT if printed else None
    return stack.enter_context(subprocess.Popen(command, stdout=printed, stderr=errors))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
