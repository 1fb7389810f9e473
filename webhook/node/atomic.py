"""Files that change all at once, by the scheme of the kubelet's atomic writer.

The files lie in a folder with a time in its name; `..data` links to it; what the container opens are links through
`..data`. A change writes a new folder and then swaps `..data` by one rename, which is what watchers look for.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_DATA: Final = "..data"
_NEXT: Final = "..data_tmp"


@dataclass(frozen=True, slots=True)
class Content:
    """One file: its bytes and its mode."""

    data: bytes
    mode: int = 0o644


def write_atomically(folder: Path, files: Mapping[str, Content], *, now: datetime | None = None) -> bool:
    """Make the folder show exactly these files (relative path -> content); False if it does already."""
    old = folder / _DATA
    if old.is_symlink() and _read(folder / old.readlink()) == dict(files):
        return False
    stamp = (now or datetime.now(UTC)).strftime("..%Y_%m_%d_%H_%M_%S.%f")
    fresh = folder / _unused(folder, stamp)
    _write(fresh, files)
    previous = old.readlink() if old.is_symlink() else None
    (folder / _NEXT).unlink(missing_ok=True)
    (folder / _NEXT).symlink_to(fresh.name)
    (folder / _NEXT).rename(old)
    _link(folder, {name.split("/")[0] for name in files})
    if previous:
        shutil.rmtree(folder / previous)
    return True


def _unused(folder: Path, stamp: str) -> str:
    # Two changes within a microsecond happen only to tests, which may give the time.
    return stamp if not (folder / stamp).exists() else _unused(folder, stamp + "0")


def _write(folder: Path, files: Mapping[str, Content]) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.data)
        path.chmod(content.mode)


def _read(folder: Path) -> dict[str, Content]:
    return {
        str(path.relative_to(folder)): Content(path.read_bytes(), path.stat().st_mode & 0o7777)
        for path in folder.rglob("*")
        if path.is_file()
    }


def _link(folder: Path, names: set[str]) -> None:
    shown = {path.name for path in folder.iterdir() if not path.name.startswith("..")}
    for name in names - shown:
        (folder / name).symlink_to(f"{_DATA}/{name}")
    for name in shown - names:
        (folder / name).unlink()
