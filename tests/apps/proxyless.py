"""The client without a sidecar in Go: built once, outside the repository, like the other programs of the tests.

`python tests/apps/proxyless.py` does it (it needs a network, which a sandbox has not) and exits with 0 when it is
there, 1 when it cannot be had, 3 where Go is absent.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, NoReturn

# As a program it must find the package of the tests itself.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.apps.build import Absent
from tests.controlplane import build
from tests.controlplane.build import BuildFailed, Family, GoAbsent

HERE: Final = Path(__file__).parent
_ABSENT: Final = 3


class _Proxyless(Family):
    """Built like the control plane's programs, from its own Go module."""

    __slots__ = ()

    @property
    def folder(self) -> Path:
        return HERE / "go-proxyless"


_FAMILY: Final = _Proxyless("proxyless", {"proxyless": "."}, minutes=1)


def go_client() -> Path:
    """Find the client, or build it; Absent or BuildFailed say why it cannot be had."""
    try:
        return build._cached(_FAMILY)["proxyless"]
    except GoAbsent as error:
        raise Absent("Go is absent: install Go 1.26 or newer") from error


def main() -> NoReturn:
    """Build it, and say where it is or why it is not."""
    try:
        print(go_client())
    except Absent as error:
        print(error, file=sys.stderr)
        sys.exit(_ABSENT)
    except BuildFailed as error:
        sys.exit(str(error))
    sys.exit(0)


if __name__ == "__main__":
    main()
