"""Runs parts of the tests side by side, each a pytest of its own: they wait more than they compute.

    python tests/side_by_side.py unit|e2e|cluster [pytest's own arguments]

Every part reads only its own files. What a later part prints comes after the first; the exit code is that of the worst.
Those that run Pods each have a sandbox, with a network of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, NamedTuple

_HERE: Final = Path(__file__).parent
_NOTHING: Final = 5
"""With this pytest ends that found no test."""
_LIMIT: Final = ("timeout", "--foreground", "1800")
_SANDBOX: Final = (sys.executable, "-m", "webhook.node.sandbox", "--")
_FLEET: Final = ("e2e/test_fleet.py", "test_compose.py", "test_compose_xds.py")
_CORE: Final = ("core",)
_RECONCILED: Final = ("permissions", "reconciler", "reconciler_leader", "shop", "upgrade")
_PUSHED: Final = ("push", "push_outages", "push_services", "xds_auth")
_LIVE: Final = tuple(f"cluster/test_{name}.py" for name in (*_PUSHED, *_RECONCILED))
_AROUND: Final = ("cli", "check", "kube", "manifests", "server", "tls")


class Kind(NamedTuple):
    """Tests that are run together."""

    marks: str
    before: Sequence[str]
    """What stands before pytest's own command."""
    parts: Sequence[Sequence[str]]
    """Arguments of each part; all take about as long."""


def _only(names: Sequence[str]) -> list[str]:
    return [str(_HERE / name) for name in names]


def _without(folder: Path, *names: str) -> list[str]:
    return [str(folder), *(f"--ignore={_HERE / name}" for name in names)]


KINDS: Final = {
    "unit": Kind(
        "not e2e and not packaging and not demo and not cluster",
        (),
        (_only(_CORE), _only(_AROUND), _without(_HERE, *_CORE, *_AROUND, "e2e", "cluster")),
    ),
    "cluster": Kind(
        "cluster",
        (*_LIMIT, *_SANDBOX),
        (_only(_LIVE), [*_without(_HERE / "cluster", *_LIVE), str(_HERE / "deploy")]),
    ),
    "e2e": Kind("e2e", (*_LIMIT, *_SANDBOX), (_without(_HERE / "e2e", *_FLEET), _only(_FLEET))),
}


def main(arguments: Sequence[str]) -> int:
    """Run all parts of a kind; an interrupt ends them."""
    kind = KINDS[arguments[0]]
    pytest = (*kind.before, sys.executable, "-m", "pytest", "-q", "-m", kind.marks)
    with ExitStack() as stack:
        later = [stack.enter_context(tempfile.TemporaryFile()) for _ in kind.parts[1:]]
        running = [
            _start(stack, [*pytest, *part, *arguments[1:]], output)
            for part, output in zip(kind.parts, (None, *later), strict=True)
        ]
        try:
            codes = [part.wait() for part in running]
        except KeyboardInterrupt:
            for part in running:
                part.terminate()
            raise
        for printed in later:
            printed.seek(0)
            sys.stdout.buffer.write(printed.read())
    return worst(codes)


def worst(codes: Sequence[int]) -> int:
    """Give the exit code of all: that a part had none of the tests that were asked for is no fault of it."""
    return max([code for code in codes if code != _NOTHING] or codes, key=abs)


def _start(stack: ExitStack, command: Sequence[str], printed: IO[bytes] | None) -> subprocess.Popen[bytes]:
    errors = subprocess.STDOUT if printed else None
    return stack.enter_context(subprocess.Popen(command, stdout=printed, stderr=errors))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
