"""The handful of Linux calls that Python 3.11 lacks, by way of libc; imports little, for it runs once per container."""

import ctypes
import os
import struct
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x40000
MNT_DETACH: Final = 2

_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MS_NOEXEC: Final = 8
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_AT_FDCWD: Final = -100
_AT_RECURSIVE: Final = 0x8000
_SYS_MOUNT_SETATTR: Final = 442  # the same number on every architecture
_SYS_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_MOUNT_ATTR_RDONLY: Final = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces; OSError if the kernel refuses."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int = 0) -> None:
    """Move this process into the namespace that an open /proc/PID/ns file stands for."""
    _check(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Make a file system appear at the target; OSError names it."""
    arguments = (os.fsencode(text) if text is not None else None for text in (source, target, kind))
    packed = data.encode() if data is not None else None
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), packed), f"mount {source} on {target}")


def bind(source: str, target: str) -> None:
    """Show `source` and the mounts below it at `target`."""
    # Recursive, because mounts inherited from another user namespace may not be shown without those below.
    mount(source, target, None, MS_BIND | MS_REC)


def mount_tmpfs(target: str, options: str = "mode=0755") -> None:
    """Mount an empty file system in memory."""
    mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, options)


def mount_proc(target: str) -> None:
    """Mount the /proc of the process-id namespace that the caller is in."""
    mount("proc", target, "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def make_private(target: str) -> None:
    """Keep mounts made from here on from reaching any other mount namespace."""
    mount("none", target, None, MS_REC | MS_PRIVATE)


def make_read_only(target: str) -> None:
    """Make a mount and all mounts below it read-only; needs Linux 5.12."""
    _set_attributes(target, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY, 0)


def make_writable(target: str) -> None:
    """Make one mount, not those below it, writable again."""
    _set_attributes(target, 0, 0, _MOUNT_ATTR_RDONLY)


def _set_attributes(target: str, flags: int, wanted: int, unwanted: int) -> None:
    attributes = struct.pack("QQQQ", wanted, unwanted, 0, 0)
    size = ctypes.c_size_t(len(attributes))
    result = _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, attributes, size)
    _check(result, f"change how {target} is mounted")


def unmount(target: str) -> None:
    """Take a mount away, at once for new users and for present ones when they are done."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"unmount {target}")


def change_root(folder: str) -> None:
    """Make a mount point the root of this mount namespace and forget the old root."""
    machine = os.uname().machine
    number = _SYS_PIVOT_ROOT.get(machine)
    if number is None:
        raise OSError(f"pivot_root is not known for {machine}")
    os.chdir(folder)
    # Old root on top of the new one, then away with it: needs no folder to put it in (pivot_root(2)).
    _check(_libc.syscall(number, b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def die_with_parent(signal: int) -> None:
    """Ask the kernel to signal this process when its parent ends; a change of user forgets it."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl")


def forbid_new_privileges() -> None:
    """Let no program started from here gain privileges by its file's mode."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def set_hostname(name: str) -> None:
    """Name the machine within this UTS namespace."""
    packed = name.encode()
    _check(_libc.sethostname(packed, ctypes.c_size_t(len(packed))), "sethostname")


def map_user(*, inside_uid: int, inside_gid: int, outside_uid: int, outside_gid: int) -> None:
    """Say who the caller is in the user namespace that it has just made."""
    # Without the right to drop groups, for one could thereby escape a group that is denied something.
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{inside_uid} {outside_uid} 1")
    _write("/proc/self/gid_map", f"{inside_gid} {outside_gid} 1")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
