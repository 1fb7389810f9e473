"""The program between the node and a container: goes into the Pod's namespaces, builds the root, runs the command.

It runs once per container, so it imports as little as it can. Over its standard input, a socket, it gets one
marshalled dictionary (see `process.Command`) and answers in lines: `started PID`, or `failed ERRNO TEXT`; then `ended
CODE`. It stays until the command ends, hands signals on to it (SIGUSR2 stands for SIGKILL), and dies with the node.
"""

# No pathlib here: it takes longer to import than all the rest.
# ruff: noqa: PTH101, PTH102, PTH103, PTH116, PTH211

import marshal
import os
import select
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NoReturn

from webhook.node import linux

_FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
_CANNOT_START: Final = 128


def main() -> None:
    """Start what the order on standard input says and report until it has ended."""
    linux.die_with_parent(signal.SIGKILL)
    order = marshal.loads(_read_all())  # noqa: S302  # only ever from the node, over a socket pair
    for fd in order["namespaces"]:
        os.set_inheritable(fd, False)  # noqa: FBT003  # it has no keyword
    told, tell = os.pipe()
    try:
        run = _exec_inside(order) if order["join"] else _new_container(order)
    except OSError as error:
        _say(_failure(error))
        return
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _become(order, run, tell)
    os.close(tell)
    _supervise(pid, told)


def _supervise(pid: int, told: int) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        try:
            os.kill(pid, signal.SIGKILL if number == signal.SIGUSR2 else number)
        except ProcessLookupError:
            return

    for number in (*_FORWARDED, signal.SIGUSR2):
        signal.signal(number, forward)
    failure = os.read(told, 2000)
    _say(failure.decode() if failure else f"started {pid}")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not failure:
        _say(f"ended {code if code >= 0 else 128 - code}")


def _new_container(order: dict[str, Any]) -> Callable[[], None]:
    for fd in order["namespaces"]:
        linux.setns(fd)
    linux.unshare(linux.CLONE_NEWPID)

    def run() -> None:
        linux.unshare(linux.CLONE_NEWNS)
        _build_root(order["root"], order["steps"])
        uid, gid = order["user"]
        if (uid, gid) != (0, 0):
            linux.unshare(linux.CLONE_NEWUSER)
            linux.map_user(inside_uid=uid, inside_gid=gid, outside_uid=0, outside_gid=0)

    return run


def _exec_inside(order: dict[str, Any]) -> Callable[[], None]:
    folder = f"/proc/{order['join']}/ns"
    mounts, processes, user = (os.open(f"{folder}/{name}", os.O_RDONLY) for name in ("mnt", "pid", "user"))
    own_user = os.stat("/proc/self/ns/user").st_ino
    for fd in (*order["namespaces"], processes, mounts):
        linux.setns(fd)

    def run() -> None:
        # Joining the user namespace that one is in already is refused.
        if os.fstat(user).st_ino != own_user:
            linux.setns(user)

    return run


def _build_root(root: str, steps: list[tuple[str, ...]]) -> None:
    linux.mount_tmpfs(root)
    for step in steps:
        _STEPS[step[0]](root, *step[1:])
    linux.change_root(root)


def _folder(root: str, path: str, mode: str = "755") -> None:
    os.mkdir(root + path)
    # Not left to mkdir, which the umask would narrow.
    os.chmod(root + path, int(mode, 8))


def _file(root: str, path: str) -> None:
    os.close(os.open(root + path, os.O_CREAT | os.O_WRONLY, 0o644))


def _bind(root: str, source: str, path: str) -> None:
    linux.bind(source, root + path)


def _show(root: str, source: str, path: str) -> None:
    try:
        linux.bind(source, root + path)
    except OSError:
        # An entry of the machine's own folders that went away meanwhile, or that the caller may not look at: the
        # container does without.
        return


_STEPS: Final[dict[str, Callable[..., None]]] = {
    "folder": _folder,
    "ensure": lambda root, path: os.makedirs(root + path, exist_ok=True),
    "file": _file,
    "link": lambda root, target, path: os.symlink(target, root + path),
    "bind": _bind,
    "show": _show,
    "tmpfs": lambda root, path, options: linux.mount_tmpfs(root + path, options),
    "proc": lambda root, path: linux.mount_proc(root + path),
    "freeze": lambda root, path: linux.make_read_only(root + path),
    "thaw": lambda root, path: linux.make_writable(root + path),
}


def _become(order: dict[str, Any], prepare: Callable[[], None], tell: int) -> NoReturn:
    try:
        linux.die_with_parent(signal.SIGKILL)
        prepare()
        os.chdir(order["cwd"])
        # Again, for a change of user undoes it.
        linux.die_with_parent(signal.SIGKILL)
        _check_parent(tell)
        linux.forbid_new_privileges()
        _tidy()
        os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606  # it is there to do this
    except OSError as error:
        os.write(tell, _failure(error).encode())
    os._exit(_CANNOT_START)


def _check_parent(tell: int) -> None:
    # It may have died before it could be watched: then nobody is left to read from this pipe.
    poll = select.poll()
    poll.register(tell, 0)
    if poll.poll(0):
        os._exit(_CANNOT_START)


def _tidy() -> None:
    # What Python or the node set differently from what a program expects to be born with.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    os.setsid()
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _failure(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"failed {error.errno or 0} {where}{error.strerror or error}"


def _read_all() -> bytes:
    size = int.from_bytes(_read_exactly(8), "big")
    return _read_exactly(size)


def _read_exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        if not chunk:
            raise SystemExit(1)
        data += chunk
    return data


def _say(line: str) -> None:
    os.write(0, line.replace("\n", " ").encode() + b"\n")
