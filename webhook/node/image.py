"""What stands for container images on a node that has none."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from webhook.node.errors import NodeError

_HIDDEN: Final = ("/tmp", "/run", "/mnt", "/media")  # noqa: S108  # containers get empty ones


def own_folders() -> dict[str, Path]:
    """Give what runs this program where it lies in folders that containers do not see, such as a checkout in /tmp.

    Images of this machine are made of it: its Python, and the programs beside this package.
    """
    found = sorted({Path(sys.base_prefix), Path(sys.prefix), Path(__file__).resolve().parents[2]})
    hidden = [path for path in found if any(path.is_relative_to(folder) for folder in _HIDDEN)]
    outermost = [path for path in hidden if not any(path != other and path.is_relative_to(other) for other in hidden)]
    return {str(path): path for path in outermost}


@dataclass(frozen=True, slots=True)
class Image:
    """The machine's own file system, read-only, with these files put over it."""

    files: Mapping[str, Path]
    """Absolute path in the container -> file or folder of the machine."""
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    user: int = 0
    """The uid the image asks for; a Pod's `runAsUser` overrules it."""

    def __post_init__(self) -> None:
        for path, source in self.files.items():
            if not path.startswith("/"):
                raise NodeError(f"image file {path!r}: a path in a container starts with '/'")
            if not source.exists():
                raise NodeError(f"image file {path!r}: {source} does not exist on this machine")


@dataclass(frozen=True, slots=True)
class Images:
    """Finds the image of a container by the exact string in its `image` field."""

    known: Mapping[str, Image]
    fallback: Callable[[str], Image | None] | None = None

    def find(self, name: str) -> Image:
        """Give the image; NodeError names it and the known ones if there is none."""
        image = self.known.get(name)
        if image is None and self.fallback is not None:
            image = self.fallback(name)
        if image is None:
            known = ", ".join(sorted(self.known)) or "none"
            raise NodeError(f"image {name!r} is not known to this node; known are: {known}")
        return image
