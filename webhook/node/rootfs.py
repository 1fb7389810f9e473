"""Plans a container's root: the machine's folders, read-only, with files and mount points put in between.

A mount needs a file or folder to lie on. Where the machine has none, the folder that lacks it is *exploded*: it
becomes an empty folder in memory in which each of the machine's entries is shown again, one by one.
Planning reads the machine's folders and changes nothing; the steps are carried out by `enter`.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from webhook.node.errors import ContainerError
from webhook.node.process import Step

_MAX_LINKS: Final = 40
_EMPTY: Final = {"tmp": "1777", "run": "755", "mnt": "755", "media": "755", "lost+found": "755"}
"""Folders of the machine that a container must not see, and the mode of the empty ones in their place."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One volume, or one file that the node keeps, at its place in a container."""

    source: Path
    path: str
    read_only: bool = False


@dataclass(slots=True)
class _Shown:
    """A file or folder of the machine."""

    source: str
    required: bool = False

    @property
    def is_folder(self) -> bool:
        return Path(self.source).is_dir()


@dataclass(slots=True)
class _Link:
    target: str


@dataclass(slots=True)
class _Folder:
    """A folder of the container's own."""

    entries: "dict[str, _Entry]" = field(default_factory=dict)
    mode: str = "755"


@dataclass(slots=True)
class _File:
    """An empty file for something to be mounted on."""


_Entry = _Shown | _Link | _Folder | _File


def plan(
    files: Mapping[str, Path], mounts: Sequence[Mount], *, read_only: bool, working_dir: str = "/", machine: str = "/"
) -> list[Step]:
    """Give the steps that build the root; ContainerError names a path that cannot be made."""
    root = _explode(machine)
    for name, mode in _EMPTY.items():
        if not isinstance(root.entries.get(name), _Link):
            root.entries[name] = _Folder(mode=mode)
    root.entries["proc"] = _Folder()
    for path, source in sorted(files.items()):
        _put(root, path, _Shown(str(source), required=True))
    placed = [(mount, _mount_point(root, mount)) for mount in sorted(mounts, key=lambda mount: mount.path)]
    _make_folder(root, working_dir)
    return [*_steps(root, ""), *_closing(root, placed, read_only)]


def _closing(root: _Folder, placed: Sequence[tuple[Mount, str]], read_only: bool) -> Iterator[Step]:
    # What is shown of the machine is never writable: a Pod must not change the machine that it visits.
    yield ("freeze", "")
    if not read_only:
        yield ("thaw", "")
    yield ("proc", "/proc")
    device = root.entries.get("dev")
    if isinstance(device, _Shown) and Path(device.source, "shm").is_dir():
        yield ("tmpfs", "/dev/shm", "mode=1777,size=64m")  # noqa: S108  # the container's own
    for mount, path in placed:
        if any(path.startswith(outer + "/") for _, outer in placed) and mount.source.is_dir():
            yield ("ensure", path)
        yield ("bind", str(mount.source), path)
        if mount.read_only:
            yield ("freeze", path)


def _steps(folder: _Folder, path: str) -> Iterator[Step]:
    for name, entry in sorted(folder.entries.items()):
        inner = f"{path}/{name}"
        if isinstance(entry, _Folder):
            yield ("folder", inner, entry.mode)
            yield from _steps(entry, inner)
        elif isinstance(entry, _Link):
            yield ("link", entry.target, inner)
        else:
            is_folder = isinstance(entry, _Shown) and entry.is_folder
            yield ("folder", inner) if is_folder else ("file", inner)
            if isinstance(entry, _Shown):
                yield ("bind" if entry.required else "show", entry.source, inner)


def _explode(source: str) -> _Folder:
    folder = _Folder()
    try:
        with os.scandir(source) as found:
            for entry in found:
                folder.entries[entry.name] = (
                    _Link(str(Path(entry.path).readlink())) if entry.is_symlink() else _Shown(entry.path)
                )
        folder.mode = f"{stat.S_IMODE(Path(source).stat().st_mode):o}"
    except OSError as error:
        raise ContainerError("CreateContainerError", f"cannot show {source}: {error.strerror}") from error
    return folder


def _mount_point(root: _Folder, mount: Mount) -> str:
    """Make sure that something of the right kind lies where the mount goes; give the path free of links."""
    if mount.source.is_dir():
        return _make_folder(root, mount.path)
    folder, name, path = _parent_of(root, mount.path)
    found = folder.entries.get(name)
    # A link, such as /etc/resolv.conf on many machines, gives way: nothing else in the container uses its target.
    if found is None or isinstance(found, _Link):
        folder.entries[name] = _File()
    elif isinstance(found, _Folder) or (isinstance(found, _Shown) and found.is_folder):
        raise ContainerError("CreateContainerError", f"mount {mount.path}: a file cannot lie on a folder")
    return f"{path}/{name}"


def _put(root: _Folder, path: str, entry: _Entry) -> None:
    folder, name, _ = _parent_of(root, path)
    folder.entries[name] = entry


def _parent_of(root: _Folder, path: str) -> tuple[_Folder, str, str]:
    outer, _, name = os.path.normpath(path).rpartition("/")
    if not name:
        raise ContainerError("CreateContainerError", f"{path!r} is no place for a file or a mount")
    real = _make_folder(root, outer or "/", own=True)
    return _walk(root, real), name, real.rstrip("/")


def _make_folder(root: _Folder, path: str, *, own: bool = False) -> str:
    """Make a path a folder, following links; with `own` one whose entries can be changed. Gives the real path."""
    waiting = [name for name in os.path.normpath(path).split("/") if name]
    done: list[str] = []
    links = 0
    while waiting:
        name = waiting.pop(0)
        if name == "..":
            done = done[:-1]
            continue
        folder = _walk(root, "/".join(done))
        entry = folder.entries.get(name)
        if isinstance(entry, _Link):
            links += 1
            done = [] if entry.target.startswith("/") else done
            waiting = [part for part in entry.target.split("/") if part not in {"", "."}] + waiting
            _limit(links, path)
        else:
            _step_into(folder, name, path, waiting, own=own)
            done.append(name)
            if isinstance(folder.entries[name], _Shown):
                done += waiting
                break
    return "/" + "/".join(done)


def _step_into(folder: _Folder, name: str, path: str, waiting: Sequence[str], *, own: bool) -> None:
    entry = folder.entries.setdefault(name, _Folder())
    if isinstance(entry, _File) or (isinstance(entry, _Shown) and not entry.is_folder):
        raise ContainerError("CreateContainerError", f"{path}: {name!r} in it is a file, not a folder")
    # Left whole if all that is asked for lies in it already, and no link on the way leads elsewhere.
    if isinstance(entry, _Shown) and (own or not _has_plain_folder(entry.source, waiting)):
        folder.entries[name] = _explode(entry.source)


def _has_plain_folder(source: str, names: Sequence[str]) -> bool:
    for name in names:
        source = f"{source}/{name}"
        if Path(source).is_symlink() or not Path(source).is_dir():
            return False
    return ".." not in names


def _walk(root: _Folder, path: str) -> _Folder:
    folder = root
    for name in path.split("/"):
        entry = folder.entries.get(name) if name else folder
        if not isinstance(entry, _Folder):
            raise ContainerError("CreateContainerError", f"{path}: {name!r} in it is not a folder")
        folder = entry
    return folder


def _limit(links: int, path: str) -> None:
    if links > _MAX_LINKS:
        raise ContainerError("CreateContainerError", f"{path}: too many symbolic links in it")
